package jsonrpcclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

// peer is the server of a test: it notes what it hears, and says what it is told to.
type peer struct {
	t     *testing.T
	c     *rpc.Client
	nc    net.Conn
	heard chan string
}

func newPeer(t *testing.T) *peer {
	ours, theirs := net.Pipe()
	p := &peer{t, rpc.NewClient(ours), theirs, make(chan string, 16)}
	go func() {
		dec := json.NewDecoder(theirs)
		for {
			var raw json.RawMessage
			if dec.Decode(&raw) != nil {
				return
			}
			p.heard <- string(raw)
		}
	}()
	t.Cleanup(func() {
		p.c.Close()
		theirs.Close()
	})
	return p
}

// hears waits for a request and compares it.
func (p *peer) hears(want string) {
	p.t.Helper()
	select {
	case got := <-p.heard:
		if got != want {
			p.t.Errorf("the server hears %s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("the server hears nothing")
	}
}

// call calls a method whose request the server answers with replies, one after the other.
func (p *peer) call(result any, replies ...string) error {
	done := make(chan error, 1)
	go func() { done <- p.c.Call(context.Background(), "m", nil, result) }()
	<-p.heard
	for _, r := range replies {
		p.nc.Write([]byte(r))
	}
	return <-done
}

func TestBeginEndRequest(t *testing.T) {
	p := newPeer(t)
	go p.c.Call(context.Background(), "test_method", map[string]string{"key": "value"}, nil)
	p.hears(`{"jsonrpc":"2.0","id":1,"method":"test_method","params":{"key":"value"}}`)
	go p.c.Call(context.Background(), "other", nil, nil)
	p.hears(`{"jsonrpc":"2.0","id":2,"method":"other"}`)
}

func TestParseResponseSuccess(t *testing.T) {
	var result map[string]int
	if err := newPeer(t).call(&result, `{"jsonrpc":"2.0","id":1,"result":{"a":1}}`+"\n"); err != nil || result["a"] != 1 {
		t.Errorf("%v, %v", result, err)
	}
}

func TestParseResponseError(t *testing.T) {
	err := newPeer(t).call(nil, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`)
	var e *rpc.Error
	if !errors.As(err, &e) || *e != (rpc.Error{Code: rpc.MethodNotFound, Message: "Method not found"}) {
		t.Error(err)
	}
}

func TestParseResponseIncomplete(t *testing.T) {
	var result bool
	if err := newPeer(t).call(&result, `{"jsonrpc":"2.0","i`, `d":1,"result":`, `true}`); err != nil || !result {
		t.Errorf("%v, %v", result, err)
	}
}

// refused checks that a response ends the connection.
func refused(t *testing.T, reply string) {
	t.Helper()
	if err := newPeer(t).call(nil, reply); err == nil || !strings.HasPrefix(err.Error(), "rpc: connection lost") {
		t.Errorf("%s: %v", reply, err)
	}
}

func TestParseResponseInvalidJSON(t *testing.T) { refused(t, `{invalid json}`) }

func TestParseResponseWrongVersion(t *testing.T) {
	refused(t, `{"jsonrpc":"1.0","id":1,"result":true}`)
}

func TestParseResponseNotObject(t *testing.T) { refused(t, `"just a string"`+"\n") }

func TestBeginEndBatch(t *testing.T) {
	p := newPeer(t)
	if err := p.c.Batch(context.Background(), nil); err != nil {
		t.Error(err)
	}
	go p.c.Batch(context.Background(), []*rpc.BatchCall{{Method: "a"}, {Method: "b"}})
	p.hears(`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"b"}]`)
}

func TestBatchSingleRequest(t *testing.T) {
	p := newPeer(t)
	go p.c.Batch(context.Background(), []*rpc.BatchCall{{Method: "a", Params: []int{1}}})
	p.hears(`[{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}]`)
}

func TestBatchMultipleRequests(t *testing.T) {
	p := newPeer(t)
	go p.c.Batch(context.Background(), []*rpc.BatchCall{{Method: "a"}, {Method: "b", Params: []int{1}}, {Method: "c"}})
	p.hears(`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"b","params":[1]},` +
		`{"jsonrpc":"2.0","id":3,"method":"c"}]`)
}

func TestParseBatchResponseSuccess(t *testing.T) {
	p := newPeer(t)
	var a, b int
	done := make(chan error, 1)
	go func() {
		done <- p.c.Batch(context.Background(), []*rpc.BatchCall{{Method: "a", Result: &a}, {Method: "b", Result: &b}})
	}()
	<-p.heard
	p.nc.Write([]byte(`[{"jsonrpc":"2.0","id":2,"result":2},{"jsonrpc":"2.0","id":1,"result":1}]`))
	if err := <-done; err != nil || a != 1 || b != 2 {
		t.Errorf("%d, %d, %v", a, b, err)
	}
}

func TestParseBatchResponseWithError(t *testing.T) {
	p := newPeer(t)
	calls := []*rpc.BatchCall{{Method: "a"}, {Method: "b"}}
	done := make(chan error, 1)
	go func() { done <- p.c.Batch(context.Background(), calls) }()
	<-p.heard
	p.nc.Write([]byte(`[{"jsonrpc":"2.0","id":1,"result":1},` +
		`{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}]`))
	var e *rpc.Error
	if err := <-done; err != nil || calls[0].Err != nil || !errors.As(calls[1].Err, &e) || e.Code != -1 {
		t.Errorf("%v, %v, %v", err, calls[0].Err, calls[1].Err)
	}
}
