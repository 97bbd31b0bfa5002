package rpc_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type echoParams struct {
	Text  string   `json:"text"`
	Times *uint16  `json:"times,omitempty"`
	Tags  []string `json:"tags,omitempty"`
}

func (p *echoParams) SetDefaults() { p.Times = new(uint16(1)) }

type echoResult struct {
	Text  string   `json:"text"`
	Times uint16   `json:"times"`
	Tags  []string `json:"tags"`
}

// held are the requests of test_hold that have not been answered.
var held struct {
	sync.Mutex
	list []*rpc.Request[rpc.None, bool]
}

// takeHeld waits for n requests of test_hold and returns them.
func takeHeld(t testing.TB, n int) []*rpc.Request[rpc.None, bool] {
	t.Helper()
	var list []*rpc.Request[rpc.None, bool]
	eventually(t, "requests to come", func() bool {
		held.Lock()
		defer held.Unlock()
		list = append(list, held.list...)
		held.list = nil
		return len(list) >= n
	})
	return list
}

func init() {
	both := rpc.Startup | rpc.Runtime
	rpc.Register(rpc.Method{Name: "test_echo", States: both, Doc: "Say it again."},
		func(t *reactor.Thread, req *rpc.Request[echoParams, echoResult]) {
			t.AssertCurrent()
			req.Reply(echoResult{req.Params.Text, *req.Params.Times, req.Params.Tags})
		})
	rpc.Register(rpc.Method{Name: "test_relaxed", States: both, Relaxed: true, Doc: "Know one parameter."},
		func(_ *reactor.Thread, req *rpc.Request[echoParams, string]) { req.Reply(req.Params.Text) })
	rpc.Register(rpc.Method{Name: "test_hold", States: both, Doc: "Answer later."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
			held.Lock()
			defer held.Unlock()
			held.list = append(held.list, req)
		})
	rpc.Register(rpc.Method{Name: "test_fail", States: both, Doc: "Fail."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) { req.FailErr(io.ErrUnexpectedEOF) })
	rpc.Register(rpc.Method{Name: "test_startup", States: rpc.Startup, Doc: "Early."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) { req.Reply(true) })
	rpc.Register(rpc.Method{Name: "test_runtime", States: rpc.Runtime, Doc: "Late."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) { req.Reply(true) })
	rpc.Register(rpc.Method{Name: "test_big", States: both, Doc: "A long result."},
		func(_ *reactor.Thread, req *rpc.Request[bigParams, []byte]) { req.Reply(make([]byte, req.Params.Size)) })
	rpc.RegisterAlias("test_echo", "test_say")
}

type bigParams struct {
	Size int `json:"size"`
}

// rig is a service on a running reactor.
type rig struct {
	t   testing.TB
	fw  *reactor.Framework
	svc *rpc.Service
}

func newRig(t testing.TB) *rig {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return startRig(t, fw, log)
}

func startRig(t testing.TB, fw *reactor.Framework, log *slog.Logger) *rig {
	t.Helper()
	th, err := fw.CreateThread("app_thread", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t, fw, rpc.NewService(th, log)}
	t.Cleanup(func() {
		if err := r.svc.Close(); err != nil {
			t.Error(err)
		}
		fw.Stop()
	})
	return r
}

func (r *rig) listen(o rpc.ListenOptions) *rpc.Server {
	r.t.Helper()
	srv, err := r.svc.Listen(filepath.Join(r.t.TempDir(), "rpc.sock"), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return srv
}

func (r *rig) dial(srv *rpc.Server) *rpc.Client {
	r.t.Helper()
	c, err := rpc.Dial(context.Background(), srv.Path())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// within is a context that ends when nothing should take so long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
