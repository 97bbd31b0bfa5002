package rpc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// wire is a connection on which a test says what it likes.
type wire struct {
	t  testing.TB
	nc *net.UnixConn
	r  *bufio.Reader
}

func (r *rig) wire(srv *rpc.Server) *wire {
	r.t.Helper()
	nc, err := net.Dial("unix", srv.Path())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{r.t, nc.(*net.UnixConn), bufio.NewReader(nc)}
}

func (w *wire) say(text string) {
	w.t.Helper()
	if _, err := w.nc.Write([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

// hear returns the next line, or how the connection ended.
func (w *wire) hear() string {
	line, err := w.r.ReadString('\n')
	switch {
	case err == nil:
		return strings.TrimSuffix(line, "\n")
	case err == io.EOF || errors.Is(err, syscall.ECONNRESET):
		return "EOF " + line
	}
	w.t.Helper()
	w.t.Fatal(err)
	return ""
}

func (w *wire) expect(lines ...string) {
	w.t.Helper()
	for _, want := range lines {
		if got := w.hear(); got != want {
			w.t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	const invalid = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}`
	bad := func(id, what string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":%q}}`, id, "Invalid parameters: "+what)
	}
	echo := `{"method":"test_echo","params":{"text":"a"}`
	for _, tc := range []struct {
		name, say string
		want      []string
	}{
		{"simple", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":{"text":"<é>"}}`,
			[]string{`{"jsonrpc":"2.0","id":1,"result":{"text":"<é>","times":1,"tags":null}}`}},
		{"no version", echo + `,"id":"x"}`, []string{
			`{"jsonrpc":"2.0","id":"x","result":{"text":"a","times":1,"tags":null}}`}},
		{"integers in any form", `{"id":1.5,"method":"test_echo","params":{"text":"a","times":1.20e2}}`,
			[]string{`{"jsonrpc":"2.0","id":1.5,"result":{"text":"a","times":120,"tags":null}}`}},
		{"two at once", `{"id":1,"method":"test_fail"}{"id":2,"method":"test_fail"}`, []string{
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"unexpected EOF"}}`,
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"unexpected EOF"}}`}},
		{"notifications", echo + `}` + echo + `,"id":null}` + `{"method":"test_fail"}`,
			[]string{`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"unexpected EOF"}}`}},
		{"unknown method", `{"id":1,"method":"no"}`, []string{
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`}},
		{"version", `{"jsonrpc":"1.0","id":1,"method":"test_fail"}`, []string{invalid}},
		{"no method", `{"id":1}`, []string{invalid}},
		{"method is a number", `{"id":1,"method":1}`, []string{invalid}},
		{"id is an object", `{"id":{},"method":"test_fail"}`, []string{invalid}},
		{"params are a string", `{"id":1,"method":"test_fail","params":"x"}`, []string{invalid}},
		{"unknown key", `{"id":1,"method":"test_fail","more":1}`, []string{invalid}},
		{"key twice", `{"id":1,"id":1,"method":"test_fail"}`, []string{invalid}},
		{"a string", `"x"`, []string{invalid}},
		{"a number", `12 `, []string{invalid}},
		{"empty batch", `[]`, []string{invalid}},
		{"null params", `{"id":1,"method":"test_startup","params":null}`, []string{`{"jsonrpc":"2.0","id":1,"result":true}`}},
		{"params of a method that has none", `{"id":1,"method":"test_startup","params":{}}`, []string{
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"'test_startup' requires no parameters"}}`}},
		{"wrong state", `{"id":1,"method":"test_runtime"}`, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-1,` +
			`"message":"Method may only be called after framework is initialized using framework_start_init RPC."}}`}},
		{"missing", `{"id":1,"method":"test_echo","params":{}}`, []string{bad("1", "text: missing")}},
		{"missing params", `{"id":1,"method":"test_echo"}`, []string{bad("1", "text: missing")}},
		{"array", `{"id":1,"method":"test_echo","params":["a"]}`, []string{bad("1", "want an object")}},
		{"unknown", `{"id":1,"method":"test_echo","params":{"text":"a","Text":"a"}}`,
			[]string{bad("1", "Text: no such parameter")}},
		{"twice", `{"id":1,"method":"test_echo","params":{"text":"a","text":"b"}}`, []string{bad("1", "text: given twice")}},
		{"relaxed", `{"id":1,"method":"test_relaxed","params":{"text":"a","x":[{}]}}`, []string{
			`{"jsonrpc":"2.0","id":1,"result":"a"}`}},
		{"type", `{"id":1,"method":"test_echo","params":{"text":1}}`, []string{bad("1", "text: want a string")}},
		{"null", `{"id":1,"method":"test_echo","params":{"text":null}}`, []string{bad("1", "text: want a string")}},
		{"NUL", `{"id":1,"method":"test_echo","params":{"text":"a\u0000"}}`,
			[]string{bad("1", "text: want a string without NUL")}},
		{"range", `{"id":1,"method":"test_echo","params":{"text":"a","times":65536}}`,
			[]string{bad("1", "times: want an integer of 16 bits, not negative")}},
		{"fraction", `{"id":1,"method":"test_echo","params":{"text":"a","times":1.5}}`,
			[]string{bad("1", "times: want an integer of 16 bits, not negative")}},
		{"element", `{"id":1,"method":"test_echo","params":{"text":"a","tags":["a",1]}}`,
			[]string{bad("1", "tags[1]: want a string")}},
		{"batch", `[{"id":1,"method":"test_startup"},1,{"method":"test_startup"},{"id":2,"method":"test_startup"}]`,
			[]string{`[{"jsonrpc":"2.0","id":1,"result":true},` + invalid + `,{"jsonrpc":"2.0","id":2,"result":true}]`}},
		{"batch of notifications", `[{"method":"test_startup"}]`, nil},
		{"after all that", " \n{\"id\":1,\t\"method\":\"test_startup\"}\n\n", []string{
			`{"jsonrpc":"2.0","id":1,"result":true}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, step := range []int{len(tc.say), 1} {
				w := r.wire(srv)
				w.t = t
				for b := range slices.Chunk([]byte(tc.say), step) {
					w.say(string(b))
				}
				w.expect(tc.want...)
				w.nc.CloseWrite()
				w.expect("EOF ")
			}
		})
	}
}

// TestBadBytes has what is no JSON, or too much of it, answered, its connection closed, and nobody else disturbed.
func TestBadBytes(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{RequestTimeout: 200 * time.Millisecond})
	other := r.dial(srv)
	long := `{"method":"` + strings.Repeat("x", 300<<10) + `"}`
	for name, say := range map[string]string{
		"not JSON":         `{"method"}`,
		"binary":           "\x00\xff\x13\x37",
		"no UTF-8":         "{\"method\":\"\xff\"}",
		"newline":          "{\"method\":\"\n\"}",
		"long":             long,
		"deep":             strings.Repeat("[", 65),
		"many":             "[" + strings.Repeat("1,", 8192) + "1]",
		"half":             `{"method":`,
		"a number of 1 MB": strings.Repeat("1", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			w := r.wire(srv)
			w.t = t
			w.nc.Write([]byte(say)) // it may be too much for the server to take
			got := w.hear()
			var resp struct {
				ID    any `json:"id"`
				Error rpc.Error
			}
			// What the server did not read takes with it what it said.
			if got != "EOF " {
				err := json.Unmarshal([]byte(got), &resp)
				if err != nil || resp.Error.Code != rpc.ParseError || resp.ID != nil {
					t.Errorf("answer %s", got)
				}
				w.expect("EOF ")
			} else if len(say) < 256<<10 {
				t.Error("no answer")
			}
			var res echoResult
			if err := other.Call(within(t), "test_echo", echoParams{Text: "x"}, &res); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLargestRequest(t *testing.T) {
	r := newRig(t)
	w := r.wire(r.listen(rpc.ListenOptions{}))
	const frame = `{"id":1,"method":"test_relaxed","params":{"text":""}}`
	text := strings.Repeat("x", 256<<10-len(frame))
	w.say(strings.Replace(frame, `""`, `"`+text+`"`, 1))
	w.expect(`{"jsonrpc":"2.0","id":1,"result":"` + text + `"}`)
}

func TestLongestResponse(t *testing.T) {
	r := newRig(t)
	c := r.dial(r.listen(rpc.ListenOptions{}))
	var got []byte
	if err := c.Call(within(t), "test_big", bigParams{4 << 20}, &got); err != nil || len(got) != 4<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	err := c.Call(within(t), "test_big", bigParams{24 << 20}, &got)
	want := &rpc.Error{Code: rpc.InternalError, Message: "test_big: a response of more than 33554432 bytes"}
	if diff := cmp.Diff(want, err); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersOutOfOrder(t *testing.T) {
	r := newRig(t)
	w := r.wire(r.listen(rpc.ListenOptions{}))
	w.say(`{"id":1,"method":"test_hold"}{"id":2,"method":"test_hold"}` +
		`[{"id":3,"method":"test_hold"},{"id":4,"method":"test_startup"}]{"id":5,"method":"test_startup"}`)
	w.expect(`{"jsonrpc":"2.0","id":5,"result":true}`)
	list := takeHeld(t, 3)
	w.nc.CloseWrite() // who has said all still hears the answers
	list[1].Reply(false)
	w.expect(`{"jsonrpc":"2.0","id":2,"result":false}`)
	list[2].Fail(-19, "no %s", "device")
	w.expect(`[{"jsonrpc":"2.0","id":3,"error":{"code":-19,"message":"no device"}},` +
		`{"jsonrpc":"2.0","id":4,"result":true}]`)
	list[0].FailErr(fmt.Errorf("x: %w", syscall.ENOENT))
	w.expect(`{"jsonrpc":"2.0","id":1,"error":{"code":-2,"message":"x: no such file or directory"}}`, "EOF ")
}

func TestAnswerTwicePanics(t *testing.T) {
	r := newRig(t)
	w := r.wire(r.listen(rpc.ListenOptions{}))
	w.say(`{"id":1,"method":"test_hold"}`)
	req := takeHeld(t, 1)[0]
	req.Reply(true)
	defer func() {
		if got := recover(); got != "rpc: test_hold is answered twice" {
			t.Errorf("panic %v", got)
		}
	}()
	req.Reply(true)
}

// TestSixtyFifthConnection waits until another one ends.
func TestSixtyFifthConnection(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	var conns []*wire
	for range 64 {
		w := r.wire(srv)
		w.say(`{"id":1,"method":"test_startup"}`)
		w.expect(`{"jsonrpc":"2.0","id":1,"result":true}`)
		conns = append(conns, w)
	}
	late := r.wire(srv)
	late.say(`{"id":1,"method":"test_startup"}`)
	late.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := late.r.ReadString('\n'); err == nil {
		t.Errorf("connection 65 is served: %s", line)
	}
	late.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	conns[10].nc.Close()
	late.expect(`{"jsonrpc":"2.0","id":1,"result":true}`)
}

// TestSlowReader does not hold up anybody, and its connection ends.
func TestSlowReader(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{RequestTimeout: 300 * time.Millisecond})
	slow := r.wire(srv)
	cutOff := make(chan struct{})
	go func() {
		defer close(cutOff)
		for { // more than sockets hold
			if _, err := slow.nc.Write([]byte(`{"id":1,"method":"test_big","params":{"size":100000}}`)); err != nil {
				return
			}
		}
	}()
	c := r.dial(srv)
	for {
		if err := c.Call(within(t), "test_startup", nil, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-cutOff:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestUnansweredRequestsAreBounded has a client that asks and asks.
func TestUnansweredRequestsAreBounded(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	w := r.wire(srv)
	const n = 1500
	go io.WriteString(w.nc, strings.Repeat(`{"id":1,"method":"test_hold"}`, n))
	list := takeHeld(t, 1024)
	time.Sleep(20 * time.Millisecond)
	held.Lock()
	more := len(held.list)
	held.Unlock()
	if len(list) != 1024 || more != 0 {
		t.Errorf("%d requests are under way, and %d", len(list), more)
	}
	for done := 0; done < n; {
		for _, req := range list {
			req.Reply(true)
			w.expect(`{"jsonrpc":"2.0","id":1,"result":true}`)
			done++
		}
		if done < n {
			list = takeHeld(t, 1)
		}
	}
}

func TestStates(t *testing.T) {
	r := newRig(t)
	c := r.dial(r.listen(rpc.ListenOptions{}))
	call := func(method string) error { return c.Call(within(t), method, nil, nil) }
	if err := call("test_startup"); err != nil {
		t.Error(err)
	}
	r.svc.SetState(rpc.Runtime)
	if err := call("test_runtime"); err != nil {
		t.Error(err)
	}
	var bad *rpc.Error
	if err := call("test_startup"); !errors.As(err, &bad) || bad.Code != rpc.InvalidState {
		t.Error(err)
	}
	r.svc.SetAllowlist([]string{"test_fail"})
	if err := call("test_runtime"); !errors.As(err, &bad) || bad.Code != rpc.MethodNotFound {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"test_fail"}, r.svc.Methods(false, true)); diff != "" {
		t.Error(diff)
	}
	r.svc.SetAllowlist(nil)
	if err := c.Call(within(t), "test_say", echoParams{Text: "x"}, nil); err != nil {
		t.Error(err)
	}
}

func TestServiceCall(t *testing.T) {
	r := newRig(t)
	got, err := r.svc.Call(within(t), "test_echo", echoParams{Text: "x"})
	if err != nil || string(got) != `{"text":"x","times":1,"tags":null}` {
		t.Errorf("%s, %v", got, err)
	}
	_, err = r.svc.Call(within(t), "test_fail", nil)
	if diff := cmp.Diff(&rpc.Error{Code: rpc.InternalError, Message: "unexpected EOF"}, err); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.svc.Call(ctx, "test_hold", nil); err != context.Canceled {
		t.Error(err)
	}
	takeHeld(t, 1)[0].Reply(true) // nobody waits
}

func TestPause(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{Paused: true})
	w := r.wire(srv)
	w.say(`{"id":1,"method":"test_startup"}`)
	w.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if line, err := w.r.ReadString('\n'); err == nil {
		t.Errorf("a paused server says %s", line)
	}
	w.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	srv.Resume()
	w.expect(`{"jsonrpc":"2.0","id":1,"result":true}`)
	srv.Pause()
	w.say(`{"id":1,"method":"test_startup"}`)
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

// TestClose ends what waits, whatever it waits for, and tells what has been answered.
func TestClose(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	w, half, stuck := r.wire(srv), r.wire(srv), r.wire(srv)
	half.say(`{"id":`)
	stuck.say(strings.Repeat(`{"id":1,"method":"test_big","params":{"size":1000000}}`, 3))
	w.say(`{"id":1,"method":"test_hold"}{"id":2,"method":"test_hold"}`)
	list := takeHeld(t, 2)
	list[1].Reply(true)
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	w.expect(`{"jsonrpc":"2.0","id":2,"result":true}`, "EOF ")
	list[0].Reply(true) // to nobody
	for _, name := range []string{srv.Path(), srv.Path() + ".lock"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func TestListenErrors(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, tc := range []struct {
		path string
		want error
	}{
		{srv.Path(), syscall.EADDRINUSE},
		{"", syscall.EINVAL},
		{"/" + strings.Repeat("x", 200), syscall.ENAMETOOLONG},
		{file, syscall.EEXIST},
		{dir + "/none/x", syscall.ENOENT},
		{stale, nil},
	} {
		if _, err := r.svc.Listen(tc.path, rpc.ListenOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("listen at %s: %v, want %v", tc.path, err, tc.want)
		}
	}
	other := newRig(t)
	if _, err := other.svc.Listen(srv.Path(), rpc.ListenOptions{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen where another listens: %v", err)
	}
	if _, err := os.ReadFile(file); err != nil {
		t.Error(err)
	}
}

// TestBind has clients wait until a socket is served, and leaves nothing of one that never is.
func TestBind(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "rpc.sock")
	socket, err := rpc.Bind(path, rpc.ListenOptions{Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.Bind(path, rpc.ListenOptions{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bound twice: %v", err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := rpc.NewClient(nc)
	defer c.Close()
	answered := make(chan error, 1)
	go func() { answered <- c.Call(within(t), "test_startup", nil, nil) }()
	srv, err := r.svc.Serve(socket, rpc.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if _, err := r.svc.Serve(socket, rpc.ListenOptions{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("served twice: %v", err)
	}
	if err := errors.Join(socket.Close(), srv.Close()); err != nil { // the first does nothing
		t.Error(err)
	}
	if _, err := r.svc.Serve(socket, rpc.ListenOptions{}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("served after its end: %v", err)
	}
	if socket, err = rpc.Bind(path, rpc.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(socket.Close(), socket.Close()); err != nil {
		t.Error(err)
	}
	noneLeft(t, socket.Files()...)
}

func noneLeft(t *testing.T, files ...string) {
	t.Helper()
	for _, name := range files {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// TestBequeath serves a socket by what a program inherits, and does not touch the files, which it may not see.
func TestBequeath(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "rpc.sock")
	socket, err := rpc.Bind(path, rpc.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := socket.Bequeath()
	if err != nil {
		t.Fatal(err)
	}
	heir, err := h.Inherit()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := r.svc.Serve(heir, rpc.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fd, err := heir.FD(); err != nil || fd < 0 {
		t.Errorf("descriptor %d, %v", fd, err)
	}
	if err := r.dial(srv).Call(within(t), "test_startup", nil, nil); err != nil {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range heir.Files() {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	noneLeft(t, heir.Files()...)
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (rpc.Heirloom{Path: path, Listener: fd}).Inherit(); err == nil {
		t.Error("a file passes for a socket")
	}
}

func TestSocketModeAndOwner(t *testing.T) {
	r := newRig(t)
	uid, gid := os.Getuid(), os.Getgid()
	srv := r.listen(rpc.ListenOptions{Mode: 0o660, Owner: &uid, Group: &gid})
	st, err := os.Stat(srv.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Mode().Perm(); got != 0o660 {
		t.Errorf("mode %o", got)
	}
	if st, err := os.Stat(srv.Path() + ".lock"); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("lock: %v, %v", st, err)
	}
}

func TestTrace(t *testing.T) {
	r := newRig(t)
	var buf bytes.Buffer
	srv := r.listen(rpc.ListenOptions{Trace: func(d rpc.Direction, text []byte) {
		fmt.Fprintf(&buf, "%s: %s\n", d, text)
	}})
	w := r.wire(srv)
	w.say("{\"id\":1,\n\"method\":\"test_startup\"}")
	w.expect(`{"jsonrpc":"2.0","id":1,"result":true}`)
	srv.Close()
	want := "request: {\"id\":1,\n\"method\":\"test_startup\"}\n" +
		"response: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}\n\n"
	if diff := cmp.Diff(want, buf.String()); diff != "" {
		t.Error(diff)
	}
}

// TestManyClients has clients of all kinds at once.
func TestManyClients(t *testing.T) {
	r := newRig(t)
	srv := r.listen(rpc.ListenOptions{})
	var wg sync.WaitGroup
	for i := range 40 {
		c := r.dial(srv)
		for j := range 3 {
			wg.Go(func() {
				for k := range 20 {
					text := fmt.Sprint(i, j, k)
					var res, res2 echoResult
					err := c.Call(within(t), "test_echo", echoParams{Text: text}, &res)
					batch := []*rpc.BatchCall{
						{Method: "test_fail"},
						{Method: "test_echo", Params: echoParams{Text: text}, Result: &res2},
					}
					err = errors.Join(err, c.Batch(within(t), batch), batch[1].Err)
					if err != nil || batch[0].Err == nil || res.Text != text || res2.Text != text {
						t.Errorf("%v, %v, %v, %v", err, batch[0].Err, res, res2)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}
