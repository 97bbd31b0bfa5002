package fsdev_test

import (
	"maps"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// tracedEnv is a device "dev" on a reactor whose tracepoints are recorded. on calls functions on its thread.
type tracedEnv struct {
	*opened
	tr *reactortest.Tracer
	h  *reactortest.Reactors
}

func newTraced(t *testing.T) *tracedEnv {
	e := &tracedEnv{opened: &opened{}, tr: &reactortest.Tracer{}}
	e.h = reactortest.NewReactors(t, []int{2}, reactor.Options{StallThreshold: -1, Tracer: e.tr})
	th := e.h.Thread(nil)
	e.on(func() {
		if err := fsdev.Initialize(th, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}); err != nil {
			t.Fatal(err)
		}
		e.dev = newFakeDevice(t, th)
		if _, err := fsdev.Register(th, "dev", nil, e.dev); err != nil {
			t.Fatal(err)
		}
		var err error
		if e.desc, err = fsdev.Open(th, "dev", noEvent, nil); err != nil {
			t.Fatal(err)
		}
		e.ch = e.desc.IOChannel(th)
	})
	t.Cleanup(func() {
		e.on(func() {
			e.ch.Put()
			e.desc.Close()
			fsdev.Finish(th, func(*reactor.Thread, any, error) {}, nil)
		})
		if owners := slices.Sorted(maps.Values(e.tr.Owners)); slices.Contains(owners, "dev") {
			t.Errorf("at the end there are %q", owners)
		}
	})
	return e
}

func (e *tracedEnv) on(fn func()) {
	e.h.Framework.AppThread().SendMsg(func(*reactor.Thread, any) { fn() }, nil)
	e.h.PollReactors()
}

func (e *tracedEnv) done(t *testing.T) *completions { return &completions{ch: e.ch, tb: t} }

func TestOperationsAreTraced(t *testing.T) {
	const start, done = reactor.TpointFsdevIOStart, reactor.TpointFsdevIODone
	e := newTraced(t)
	read := func(unique uint64) {
		iovs := [][]byte{make([]byte, 4096)}
		if errno := e.desc.Read(e.ch, unique, 7, 8, 4096, 1<<20, 0, iovs, sizeDone, e.done(t)); errno != 0 {
			t.Error(errno)
		}
	}
	e.on(func() {
		read(10)
		e.dev.completeAll(0)
	})
	if len(e.tr.Entries) > 0 {
		t.Errorf("recorded %v with nothing on", e.tr.Entries)
	}
	e.tr.Enable(start, done)
	e.on(func() {
		read(11)
		e.desc.Umount(e.ch, 12, statusDone, e.done(t))
		e.dev.completeAll(syscall.EIO)
	})
	if es := e.tr.Entries; len(es) == 4 {
		if es[0].Object == es[1].Object || es[0].Object != es[2].Object || es[1].Object != es[3].Object || es[0].Object == 0 {
			t.Errorf("objects %#x, %#x, %#x, %#x", es[0].Object, es[1].Object, es[2].Object, es[3].Object)
		}
	}
	// The last operation that was submitted with tracepoints on is the last that is looked at.
	e.on(func() {
		read(13)
		e.tr.Masks[reactor.TraceGroupFsdev].Store(0)
		e.dev.completeAll(0)
		read(14)
		e.dev.completeAll(0)
	})
	e.tr.Enable(done)
	e.on(func() {
		e.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
		read(15)
		e.dev.submit = nil
	})
	type row struct {
		Core  int
		Owner string
		TP    reactor.Tpoint
		Size  uint32
		Args  [4]uint64
	}
	var got []row
	for _, e := range e.tr.Entries {
		got = append(got, row{e.Core, e.Owner, e.Tpoint, e.Size, e.Args})
	}
	r, u := uint64(fsdev.IORead), uint64(fsdev.IOUmount)
	want := []row{
		{2, "dev", start, 4096, [4]uint64{r, 11, 7, 1 << 20}},
		{2, "dev", start, 0, [4]uint64{u, 12, 0, 0}},
		{2, "dev", done, 0, [4]uint64{r, uint64(syscall.EIO)}},
		{2, "dev", done, 0, [4]uint64{u, uint64(syscall.EIO)}},
		{2, "dev", start, 4096, [4]uint64{r, 13, 7, 1 << 20}},
		{2, "dev", done, 0, [4]uint64{r, 0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTracingAnOperationAllocatesNothing(t *testing.T) {
	e := newTraced(t)
	e.tr.Enable(reactor.TpointFsdevIOStart, reactor.TpointFsdevIODone)
	e.tr.Entries = make([]reactortest.TracedEntry, 0, 10000)
	e.on(func() {
		e.dev.submit = func(io *fsdev.IO) { e.dev.pending = append(e.dev.pending, io) }
		e.desc.Fsync(e.ch, 1, 1, 0, false, statusDone, e.done(t))
		e.dev.completeAll(0)
		io := e.tr.Entries[0]
		if n := testing.AllocsPerRun(100, func() { e.ch.Thread().TraceRecord(io.TraceEntry) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
