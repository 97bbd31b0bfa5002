package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// peer is a server that says what it is told to.
func peer(t *testing.T, replies ...string) *rpc.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		dec := json.NewDecoder(theirs)
		for _, r := range replies {
			var req json.RawMessage
			if dec.Decode(&req) != nil {
				return
			}
			theirs.Write([]byte(r))
		}
		theirs.Close()
	}()
	c := rpc.NewClient(ours)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientRefusesNonsense(t *testing.T) {
	for _, reply := range []string{
		`{"jsonrpc":"1.0","id":1,"result":1}`, `{"id":1,"result":1}`, `{"jsonrpc":"2.0","id":1}`, `1`, `x`, "",
		`{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}`, `{"jsonrpc":"2.0","id":7,"result":1}`,
		`{"jsonrpc":"2.0","id":"1","result":1}`, `{"jsonrpc":"2.0","id":1,`,
	} {
		c := peer(t, reply)
		err := c.Call(within(t), "m", nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "rpc: connection lost: ") {
			t.Errorf("%s: %v", reply, err)
		}
		if again := c.Call(within(t), "m", nil, nil); again != err {
			t.Errorf("%s: then %v", reply, again)
		}
	}
}

func TestClientResult(t *testing.T) {
	c := peer(t, `{"jsonrpc":"2.0","id":1,"result":null}`, `{"jsonrpc":"2.0","id":2,"result":"x"}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`)
	if err := c.Call(within(t), "m", nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Call(within(t), "m", nil, new(int)); err == nil || !strings.HasPrefix(err.Error(), "rpc: result of m: ") {
		t.Error(err)
	}
	var bad *rpc.Error
	if err := c.Call(within(t), "m", nil, nil); !errors.As(err, &bad) || bad.Code != rpc.ParseError {
		t.Error(err)
	}
}

func TestClientContextAndClose(t *testing.T) {
	r := newRig(t)
	c := r.dial(r.listen(rpc.ListenOptions{}))
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error)
	go func() { got <- c.Call(ctx, "test_hold", nil, nil) }()
	req := takeHeld(t, 1)[0]
	cancel()
	if err := <-got; err != context.Canceled {
		t.Error(err)
	}
	req.Reply(true) // for nobody; the connection stays
	if err := c.Call(within(t), "test_startup", nil, nil); err != nil {
		t.Error(err)
	}
	go func() { got <- c.Call(context.Background(), "test_hold", nil, nil) }()
	takeHeld(t, 1)
	c.Close()
	if err := <-got; err != rpc.ErrClosed {
		t.Error(err)
	}
	if err := c.Call(within(t), "test_startup", nil, nil); err != rpc.ErrClosed {
		t.Error(err)
	}
}

func TestDialNobody(t *testing.T) {
	if _, err := rpc.Dial(within(t), filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("somebody is there")
	}
}

func TestMethodTable(t *testing.T) {
	names := map[string]rpc.MethodInfo{}
	for _, m := range rpc.Methods() {
		names[m.Name] = m
	}
	if got := names["test_say"].AliasOf; got != "test_echo" {
		t.Errorf("test_say is an alias of %q", got)
	}
	if s, ok := rpc.MethodStates("test_startup"); !ok || s != rpc.Startup || s.String() != "startup" {
		t.Errorf("test_startup: %v, %v", s, ok)
	}
	var fields []string
	for _, f := range names["test_echo"].Params.Properties {
		fields = append(fields, f.Name)
	}
	if diff := cmp.Diff([]string{"text", "times", "tags"}, fields); diff != "" {
		t.Error(diff)
	}
	for _, fn := range []func(){
		func() { rpc.RegisterAlias("test_say", "test_tell") },
		func() { rpc.RegisterAlias("none", "test_tell") },
		func() { rpc.RegisterAlias("test_echo", "test_fail") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("an impossible alias is accepted")
				}
			}()
			fn()
		}()
	}
}
