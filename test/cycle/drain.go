package cycle

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// drain ends a history: everything comes to its end, a fresh INIT works, and nothing is left.
func (w *world) drain() {
	w.hold, w.failNext, w.refuse = 0, [classes]syscall.Errno{}, [maxThreads]bool{}
	w.refill()
	for range 100 {
		if w.dev != nil {
			w.dev.completeAll()
		}
		w.collect()
		if w.rest(0) && (w.dev == nil || len(w.dev.held) == 0) {
			break
		}
	}
	if w.book.deletes > 0 {
		w.putAll()
		w.rest(0)
		if w.bed.D != nil {
			w.fail("Delete does not call back")
		}
	}
	if len(w.live) > 0 || len(w.book.under) > 0 {
		w.fail("%d requests and %d changes never end", len(w.live), len(w.book.under))
	}
	if w.dev == nil {
		w.dev = newDevice(w, dispatchertest.FSName)
	}
	if w.bed.D == nil {
		w.create()
	}
	for i := range w.bed.Threads {
		if w.refs[i] == 0 {
			w.get(i)
		}
	}
	w.fresh()
	w.leave()
}

// fresh begins a session as a new client does.
func (w *world) fresh() {
	r := w.changeNow(initKind)
	if r.Errno != 0 {
		w.fail("a fresh INIT fails with %v", r.Errno)
	}
	w.probe(session)
	if r := w.changeNow(destroyKind); r.Errno != 0 {
		w.fail("DESTROY fails with %v", r.Errno)
	}
	w.probe(noSession)
	if r := w.changeNow(initKind); r.Errno != 0 {
		w.fail("the INIT after it fails with %v", r.Errno)
	}
}

func (w *world) changeNow(k kind) *request {
	w.change(w.cfg.threads-1, k)
	r := w.live[len(w.live)-1]
	w.rest(0)
	if r.Done != 1 {
		w.fail("a fresh change %d does not end", k)
	}
	return r
}

// probe wants all channels to be in a state.
func (w *world) probe(want state) {
	if got := w.book.now(); got != want {
		w.fail("at the end there is %v, want %v", got, want)
	}
	for i := range w.bed.Threads {
		r := w.submit(i, FUSE_STATFS, 0, 96)
		w.rest(0)
		if r.Done != 1 || r.Errno == 0 != (want == session) {
			w.fail("with %v, STATFS on thread %d ends %d times with %v", want, i, r.Done, r.Errno)
		}
	}
}

// leave takes everything down.
func (w *world) leave() {
	w.putAll()
	w.startDelete(0)
	w.rest(0)
	switch {
	case w.bed.D != nil:
		w.fail("the last Delete does not call back")
	case w.asked != 0 || w.counted != 0:
		w.fail("%d questions and %d readers of the counters have no answer", w.asked, w.counted)
	case w.dev.mounted || w.dev.chans != 0:
		w.fail("a mount, or %d channels, are left", w.dev.chans)
	}
	w.exhaust(0)
	if n := len(w.hog.held); n != w.cfg.ioPool() {
		w.fail("there are %d free IO, want %d", n, w.cfg.ioPool())
	}
	w.refill()
	w.rest(0)
	w.hogDesc.Close()
	var done int
	fsdev.Finish(w.bed.T, func(_ *reactor.Thread, _ any, err error) {
		if done++; err != nil {
			w.fail("fsdev.Finish: %v", err)
		}
	}, nil)
	w.dev.removing = true
	w.rest(0)
	if done != 1 {
		w.fail("fsdev.Finish has called back %d times", done)
	}
	for _, t := range w.bed.Threads {
		t.Exit()
	}
	w.rest(0)
	for i, t := range w.bed.Threads {
		if !t.IsExited() {
			w.fail("something holds thread %d", i)
		}
	}
}
