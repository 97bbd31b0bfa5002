package rpc

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// call is a request that is being served, whatever its types.
type call struct {
	svc    *Service
	method string
	id     json.RawMessage // nil for a notification
	answer *answer

	answered atomic.Bool
	result   any
	err      *Error
}

// answer is what a connection sends as one: the response to a request, or those to a batch.
type answer struct {
	next  *answer
	to    *conn           // nil for Service.Call
	done  chan<- struct{} // for Service.Call; has room
	batch bool
	calls []*call
	left  atomic.Int32 // calls that have not been answered
}

// finish completes the call. It never waits, since it may be called on a reactor.
func (c *call) finish(result any, err *Error) {
	if c.answered.Swap(true) {
		panic(fmt.Sprintf("rpc: %s is answered twice", c.method))
	}
	c.result, c.err = result, err
	a := c.answer
	if a.left.Add(-1) > 0 {
		return
	}
	if a.done != nil {
		a.done <- struct{}{}
		return
	}
	a.to.push(a)
}

// silent says whether there is nothing to say: of a notification only errors are told.
func (c *call) silent() bool { return c.id == nil && c.err == nil }

type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

type errorResponse struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   *Error          `json:"error"`
}

// encode returns the response without a newline.
func (c *call) encode() []byte {
	id := c.id
	if id == nil {
		id = json.RawMessage("null")
	}
	if c.err == nil {
		text, err := marshal(response{"2.0", id, c.result})
		if err == nil && len(text) <= maxResponse {
			return text
		}
		c.err = errorf(InternalError, "%s: a response of more than %d bytes", c.method, maxResponse)
		if err != nil {
			c.err = errorf(InternalError, "%s: %v", c.method, err)
		}
	}
	text, err := marshal(errorResponse{"2.0", id, c.err})
	if err != nil {
		panic(err) // an integer, a string, and an id that was JSON
	}
	return text
}

// encode returns what is to be sent, nil if nothing is.
func (a *answer) encode() []byte {
	var text []byte
	for _, c := range a.calls {
		if c.silent() {
			continue
		}
		if len(text) > 0 {
			text = append(text, ',')
		}
		text = append(text, c.encode()...)
	}
	switch {
	case text == nil:
		return nil
	case a.batch:
		text = append(append([]byte{'['}, text...), ']')
	}
	return append(text, '\n')
}

// Request is a call of a method with parameters P and result R. It belongs to the handler until it is answered.
//
// SPDK: struct spdk_jsonrpc_request
type Request[P, R any] struct {
	*call
	// Params are the parameters, decoded, and the handler's to keep.
	Params P
}

// Reply answers with a result, which must not change afterwards. Any goroutine; it does not wait.
//
// SPDK: spdk_jsonrpc_begin_result, spdk_jsonrpc_end_result, spdk_jsonrpc_send_bool_response
func (r *Request[P, R]) Reply(result R) { r.finish(result, nil) }

// Fail answers with an error. Any goroutine; it does not wait.
//
// SPDK: spdk_jsonrpc_send_error_response, spdk_jsonrpc_send_error_response_fmt
func (r *Request[P, R]) Fail(code int, format string, args ...any) {
	r.finish(nil, errorf(code, format, args...))
}

// FailErr answers with what err says, and as the code the negative of the errno that it wraps, or [InternalError] if
// it wraps none; an [*Error] as it is. Any goroutine; it does not wait.
func (r *Request[P, R]) FailErr(err error) { r.finish(nil, errnoError(err)) }

// Service returns the service that the request came to.
func (r *Request[P, R]) Service() *Service { return r.svc }

// Method returns the name that the method was called by.
func (r *Request[P, R]) Method() string { return r.call.method }
