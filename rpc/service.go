package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// Service runs the registered methods on one thread, for its servers and for [Service.Call]. Its methods may be called
// from any goroutine; those that wait must not be called on a reactor.
//
// Not in SPDK, where it is the process.
type Service struct {
	thread *reactor.Thread
	log    *slog.Logger
	state  atomic.Uint32
	allow  atomic.Pointer[[]string] // nil: all

	turn sync.Mutex    // one request at a time is on its way to the thread
	ran  chan struct{} // it has been there

	mu      sync.Mutex
	servers map[string]*Server // by path
	warned  map[string]bool    // aliases that were used
	closed  bool
	ctx     context.Context // until closed
	cancel  context.CancelFunc
}

// NewService returns a service in state [Startup] whose methods run on t. Reports go to log, nil for slog.Default.
func NewService(t *reactor.Thread, log *slog.Logger) *Service {
	if log == nil {
		log = slog.Default()
	}
	s := &Service{
		thread:  t,
		log:     log,
		ran:     make(chan struct{}, 1),
		servers: map[string]*Server{},
		warned:  map[string]bool{},
	}
	s.state.Store(uint32(Startup))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// SetState says where the application is: [Startup] or [Runtime].
//
// SPDK: spdk_rpc_set_state
func (s *Service) SetState(state State) { s.state.Store(uint32(state)) }

// State returns where the application is.
//
// SPDK: spdk_rpc_get_state
func (s *Service) State() State { return State(s.state.Load()) }

// SetAllowlist restricts clients, and Call, to the named methods; nil lifts that.
//
// SPDK: spdk_rpc_set_allowlist
func (s *Service) SetAllowlist(names []string) {
	if names == nil {
		s.allow.Store(nil)
		return
	}
	s.allow.Store(new(slices.Clone(names)))
}

func (s *Service) allowed(name string) bool {
	allow := s.allow.Load()
	return allow == nil || slices.Contains(*allow, name)
}

// IsMethodAllowed returns nil if the method may be called in state, an error that wraps ENOENT if there is no such
// method or it is not on the list, and EPERM if the state is not one of its.
//
// SPDK: spdk_rpc_is_method_allowed
func (s *Service) IsMethodAllowed(name string, state State) error {
	states, ok := MethodStates(name)
	switch {
	case !ok || !s.allowed(name):
		return fmt.Errorf("rpc: there is no method %q: %w", name, syscall.ENOENT)
	case states&state != state:
		return fmt.Errorf("rpc: %s may not be called in state %v: %w", name, state, syscall.EPERM)
	}
	return nil
}

// Methods returns the names of the methods that may be called, sorted. current leaves out those that may not be called
// in the present state, and aliases adds old names.
func (s *Service) Methods(current, aliases bool) []string {
	names := []string{}
	for _, e := range sorted() {
		if s.allowed(e.Name) && (aliases || e.aliasOf == nil) && (!current || e.States&s.State() != 0) {
			names = append(names, e.Name)
		}
	}
	return names
}

// Call calls a method as a client would, without a socket, and returns the result as JSON. params is what encoding/json
// can write, nil for none. The error is an [*Error], or ctx's, in which case the method may run all the same.
//
// Not in SPDK, whose json_config.c opens a socket to itself.
func (s *Service) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	var raw json.RawMessage
	if params != nil {
		text, err := marshal(params)
		if err != nil {
			return nil, errorf(InvalidParams, "Invalid parameters: %v", err)
		}
		raw = text
	}
	done := make(chan struct{}, 1)
	a := &answer{done: done}
	c := a.add(s, method, nil)
	s.run(c, raw)
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	text, err := marshal(c.result)
	if err != nil {
		return nil, errorf(InternalError, "%s: %v", method, err)
	}
	return text, nil
}

// add puts a call into the answer.
func (a *answer) add(s *Service, method string, id json.RawMessage) *call {
	c := &call{svc: s, method: method, id: id, answer: a}
	a.calls = append(a.calls, c)
	a.left.Add(1)
	return c
}

// wireRequest is a request, taken apart.
type wireRequest struct {
	method     string
	params, id json.RawMessage // nil if null or not there
}

// parseRequest takes an object apart; ok is false if it is no request.
//
// SPDK: parse_single_request
func parseRequest(raw json.RawMessage) (r wireRequest, ok bool) {
	list, ok := members(raw)
	if !ok {
		return r, false
	}
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.name] {
			return r, false
		}
		seen[m.name] = true
		first := m.value[0]
		null := string(m.value) == "null"
		var text string
		switch m.name {
		case "jsonrpc":
			ok = json.Unmarshal(m.value, &text) == nil && text == "2.0"
		case "method":
			ok = first == '"' && json.Unmarshal(m.value, &r.method) == nil
		case "params":
			if ok = null || first == '{' || first == '['; ok && !null {
				r.params = m.value
			}
		case "id":
			if ok = null || first == '"' || first == '-' || first >= '0' && first <= '9'; ok && !null {
				r.id = m.value
			}
		default:
			ok = false
		}
		if !ok {
			return r, false
		}
	}
	return r, seen["method"]
}

// serve runs what a client has sent, an object or array, and has the answer go to to.
func (s *Service) serve(raw []byte, to *conn) {
	a := &answer{to: to}
	list := []json.RawMessage{raw}
	if raw[0] == '[' {
		batch, ok := elements(raw)
		if a.batch = ok && len(batch) > 0; a.batch {
			list = batch
		}
	}
	// All calls are in the answer before the first is answered.
	requests := make([]wireRequest, len(list))
	valid := make([]bool, len(list))
	for i, text := range list {
		requests[i], valid[i] = parseRequest(text)
		a.add(s, requests[i].method, requests[i].id)
	}
	for i, c := range a.calls {
		if valid[i] {
			s.run(c, requests[i].params)
		} else {
			c.id = nil
			c.finish(nil, errorf(InvalidRequest, "Invalid request"))
		}
	}
}

// stateError says why a method may not be called now.
func (s *Service) stateError(e *entry) *Error {
	switch state := s.State(); {
	case e.States&state == state:
		return nil
	case state == Startup:
		return errorf(InvalidState, "Method may only be called after framework is initialized using "+
			"framework_start_init RPC.")
	}
	return errorf(InvalidState, "Method may only be called before framework is initialized. Use --wait-for-rpc "+
		"command line parameter and then issue this RPC before the framework_start_init RPC.")
}

// delivery is a call on its way to the thread.
type delivery struct {
	s   *Service
	e   *entry
	c   *call
	run func(t *reactor.Thread)
}

// run has a call answered, by its method or with an error, and returns when the method has returned, which may be
// before it answers.
func (s *Service) run(c *call, params json.RawMessage) {
	e := lookup(c.method)
	if e == nil || !s.allowed(c.method) {
		c.finish(nil, errorf(MethodNotFound, "Method not found"))
		return
	}
	if e.aliasOf != nil {
		s.warnAlias(e)
	}
	if err := s.stateError(e); err != nil {
		c.finish(nil, err)
		return
	}
	run, bad := e.prepare(params, c)
	if bad != nil {
		c.finish(nil, bad)
		return
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.thread.SendMsgWait(s.ctx, deliver, &delivery{s, e, c, run}); err != nil {
		c.finish(nil, errorf(InternalError, "the application is ending"))
		return
	}
	<-s.ran
}

func deliver(t *reactor.Thread, ctx any) {
	d := ctx.(*delivery)
	// The state may have changed on the way, but here it is the thread that changes it.
	if err := d.s.stateError(d.e); err != nil {
		d.c.finish(nil, err)
	} else {
		d.run(t)
	}
	d.s.ran <- struct{}{}
}

func (s *Service) warnAlias(e *entry) {
	s.mu.Lock()
	warned := s.warned[e.Name]
	s.warned[e.Name] = true
	s.mu.Unlock()
	if !warned {
		s.log.Warn("a deprecated name of an RPC was used", "method", e.Name, "instead", e.aliasOf.Name)
	}
}

// Close ends all servers, see [Server.Close]. Later calls are refused.
//
// SPDK: spdk_rpc_finish
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	servers := s.servers
	s.servers = map[string]*Server{}
	s.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		errs = append(errs, srv.end())
	}
	s.cancel()
	return errors.Join(errs...)
}

// marshal is json.Marshal that leaves <, > and & alone.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}
