package aio_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const patience = 20 * time.Second

// tempDir makes a directory in dir, or in os.TempDir.
func tempDir(tb testing.TB, dir string) string {
	tb.Helper()
	dir, err := os.MkdirTemp(dir, "aio-test-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// rig is an export of a directory, and a client on a thread that is polled by hand.
type rig struct {
	testing.TB
	h    *reactortest.Harness
	t    *reactor.Thread
	a    *aio.Aio
	disp *fusedispatcher.Dispatcher
	c    *loopback.Conn
	dir  string // on the host
}

func newRig(tb testing.TB, o aio.Opts) *rig {
	tb.Helper()
	if o.Root == "" {
		o.Root = tempDir(tb, "")
	}
	r := &rig{TB: tb, h: reactortest.New(tb, 1), dir: o.Root}
	r.t = r.h.Threads[0]
	if err := fsdev.Initialize(r.t, fsdev.Opts{IOPoolSize: 1024, IOCacheSize: 64}); err != nil {
		tb.Fatal(err)
	}
	var err error
	if r.a, err = aio.Create(r.t, "aio0", o); err != nil {
		tb.Fatal(err)
	}
	if r.disp, err = fusedispatcher.Create(r.t, fusedispatcher.Opts{FsdevName: "aio0", MaxRequests: 256}); err != nil {
		tb.Fatal(err)
	}
	if r.c, err = loopback.New(r.t, r.disp, loopback.Options{Depth: 256}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.close)
	r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Init(loopback.InitOptions{}, fn, ctx) })
	return r
}

func (r *rig) close() {
	if r.Failed() {
		return
	}
	r.ok(r.c.Destroy)
	r.c.Close()
	done := 0
	r.disp.Delete(r.t, func(*reactor.Thread, any, syscall.Errno) { done++ }, nil)
	r.until(func() bool { return done == 1 })
	fsdev.Finish(r.t, func(_ *reactor.Thread, _ any, err error) {
		done++
		if err != nil {
			r.Error(err)
		}
	}, nil)
	r.until(func() bool { return done == 2 })
}

// until polls until something is true.
func (r *rig) until(isTrue func() bool) {
	r.Helper()
	end := time.Now().Add(patience)
	for n := 0; !isTrue(); n++ {
		r.t.Poll(0, 0)
		if n%1024 == 1023 && time.Now().After(end) {
			r.Fatalf("nothing has come of it after %v", patience)
		}
	}
}

type opFunc = func(fn loopback.ReplyFunc, ctx any) syscall.Errno

// answer is a request under way, and its reply.
type answer struct {
	done bool
	r    loopback.Reply
	data []byte
}

func keep(ctx any, rep *loopback.Reply) {
	a := ctx.(*answer)
	a.done = true
	a.r = *rep
	a.data = append(a.data[:0], rep.Data...)
}

// start submits a request.
func (r *rig) start(op opFunc) *answer {
	r.Helper()
	a := &answer{}
	if errno := op(keep, a); errno != 0 {
		r.Fatalf("submit: %v", errno)
	}
	return a
}

// do waits for the reply of a request.
func (r *rig) do(op opFunc) *answer {
	r.Helper()
	a := r.start(op)
	r.until(func() bool { return a.done })
	return a
}

func (r *rig) ok(op opFunc) *answer {
	r.Helper()
	return r.want(0, op)
}

func (r *rig) want(errno syscall.Errno, op opFunc) *answer {
	r.Helper()
	a := r.do(op)
	if a.r.Errno != errno {
		r.Fatalf("%v, want %v", a.r.Errno, errno)
	}
	return a
}

// Operations as functions that take the callback.
func (r *rig) lookup(node uint64, name string) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Lookup(node, name, fn, ctx) }
}

func (r *rig) getattr(node, fh uint64) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Getattr(node, fh, fn, ctx) }
}

func (r *rig) create(node uint64, name string, flags uint32) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Create(node, name, 0o644, flags, fn, ctx)
	}
}

func (r *rig) open(node uint64, flags uint32) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Open(node, flags, fn, ctx) }
}

func (r *rig) release(node, fh uint64) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Release(node, fh, fn, ctx) }
}

func (r *rig) unlink(node uint64, name string) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Unlink(node, name, fn, ctx) }
}

func (r *rig) mkdir(node uint64, name string) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Mkdir(node, name, 0o755, fn, ctx) }
}

func (r *rig) forget(node, n uint64) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Forget(node, n, fn, ctx) }
}

func (r *rig) read(node, fh, off uint64, p []byte) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Read(node, fh, off, p, fn, ctx) }
}

func (r *rig) write(node, fh, off uint64, p []byte) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Write(node, fh, off, p, fn, ctx) }
}

// readAll reads the root from its beginning to its end.
func (r *rig) readAll(plus bool) (all []loopback.Dirent) {
	r.Helper()
	fh := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(root, 0, fn, ctx) }).r.Handle
	buf := make([]byte, 64<<10)
	for off, more := uint64(0), true; more; {
		data := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Readdir(root, fh, off, plus, buf, fn, ctx)
		}).data
		more = len(data) > 0
		if !loopback.ParseDirents(data, plus, func(e *loopback.Dirent) bool {
			d := *e
			d.Name = slices.Clone(e.Name)
			all = append(all, d)
			off = e.Next
			return true
		}) {
			r.Fatal("entries are malformed")
		}
	}
	r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Releasedir(root, fh, fn, ctx) })
	return all
}
