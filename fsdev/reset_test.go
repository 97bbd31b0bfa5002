package fsdev_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// resettable is a fake device that is reset when the test says so.
type resettable struct {
	*fakeDevice
	t      *reactor.Thread
	resets int
	done   func(t *reactor.Thread, err error)
}

func (r *resettable) Reset(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	r.resets++
	r.t, r.done = t, done
}

// newResettable is newUser with a resettable device.
func newResettable(tb testing.TB, threads int) (*user, *resettable) {
	tb.Helper()
	u := &user{env: newEnvOpts(tb, threads, fsdev.Opts{IOPoolSize: 256, IOCacheSize: 16})}
	u.dev = newFakeDevice(tb, u.t)
	r := &resettable{fakeDevice: u.dev}
	var err error
	if u.f, err = fsdev.Register(u.t, "fs0", nil, r); err != nil {
		tb.Fatal(err)
	}
	u.desc = u.open(u.t, "fs0", nil)
	for _, th := range u.Threads {
		u.chs = append(u.chs, u.desc.IOChannel(th))
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		for i := range u.chs {
			u.put(i)
		}
		u.PollThreads()
		u.desc.Close()
	})
	return u, r
}

// logReset is a ResetFunc that logs.
func logReset(t *reactor.Thread, ctx any, err error) {
	log := ctx.(*[]string)
	*log = append(*log, fmt.Sprintf("reset on %s: %v", t.Name(), err))
}

func TestResetWithoutAnythingInFlight(t *testing.T) {
	u := newUser(t, 2)
	var log []string
	for range 2 {
		if err := u.f.Reset(u.Threads[1], logReset, &log); err != nil {
			t.Fatal(err)
		}
		if len(log) > 0 {
			t.Error("called back from inside the call")
		}
		u.PollThreads()
		if diff := cmp.Diff([]string{"reset on thread2: <nil>"}, log); diff != "" {
			t.Error(diff)
		}
		log = nil
	}
}

// Reset aborts, waits for what cannot be aborted, resets the module, and lets go what came
// meanwhile, in order.
func TestResetStepByStep(t *testing.T) {
	u, r := newResettable(t, 3)
	a := &abortIO{errno: syscall.EALREADY}
	asked := u.dev.abortsWith(a)
	var log []string
	u.lock(0, 1, &log)
	u.lock(1, 2, &log)
	u.lock(1, 3, &log)
	if err := u.f.Reset(u.Threads[2], logReset, &log); err != nil {
		t.Fatal(err)
	}
	u.PollThreads()
	if diff := cmp.Diff([]string{"FLOCK 1", "FLOCK 2", "FLOCK 3"}, *asked); diff != "" {
		t.Error(diff)
	}
	// New operations wait, on every channel, and on one that is created meanwhile.
	u.put(2)
	u.PollThreads()
	u.chs[2] = u.desc.IOChannel(u.Threads[2])
	for i := range 3 {
		u.lock(i, uint64(10+i), &log)
		u.lock(i, uint64(20+i), &log)
	}
	u.PollThreads()
	if len(u.dev.pending) != 3 || r.resets != 0 {
		t.Errorf("the module has %d operations, was reset %d times", len(u.dev.pending), r.resets)
	}
	u.dev.pending[0].Complete(0)
	u.dev.pending[2].Complete(syscall.EINTR)
	u.PollThreads()
	if r.resets != 0 {
		t.Error("reset with an operation in flight")
	}
	u.dev.pending[1].Complete(syscall.EIO)
	u.dev.pending = nil
	u.PollThreads()
	if r.resets != 1 || r.t != u.Threads[2] || len(u.dev.pending) != 0 {
		t.Fatalf("reset %d times, %d operations", r.resets, len(u.dev.pending))
	}
	if diff := cmp.Diff([]string{"1: ok", "3: EINTR", "2: input/output error"}, log); diff != "" {
		t.Error(diff)
	}
	log = nil
	r.done(u.Threads[2], syscall.ENODATA)
	u.PollThreads()
	if diff := cmp.Diff([]string{"reset on thread3: no data available"}, log); diff != "" {
		t.Error(diff)
	}
	if len(u.dev.pending) != 6 {
		t.Fatalf("%d of 6 operations went on", len(u.dev.pending))
	}
	log = nil
	u.dev.completeAll(0)
	u.PollThreads()
	if diff := cmp.Diff([]string{"10: ok", "20: ok", "11: ok", "21: ok", "12: ok", "22: ok"}, log); diff != "" {
		t.Error(diff)
	}
	// From now on nothing waits.
	u.lock(2, 30, &log)
	if len(u.dev.pending) != 1 {
		t.Error("an operation waits after the reset")
	}
	u.dev.completeAll(0)
}

func TestResetRefuses(t *testing.T) {
	u, r := newResettable(t, 1)
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := u.f.Reset(u.t, nil, nil); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("a second one: %v", err)
	}
	u.PollThreads()
	r.done(u.t, nil)
	u.PollThreads()
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Errorf("after that: %v", err)
	}
	u.PollThreads()
	r.done(u.t, nil)
	u.PollThreads()
	u.f.Unregister(u.t, nil, nil)
	if err := u.f.Reset(u.t, nil, nil); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("of a device that is being removed: %v", err)
	}
}

// What waits for the end of a reset can be aborted: the module has never seen it.
func TestAbortOfWhatWaitsForAReset(t *testing.T) {
	u, r := newResettable(t, 2)
	asked := u.dev.abortsWith(&abortIO{})
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Fatal(err)
	}
	u.PollThreads()
	var log []string
	for i := range uint64(4) {
		u.lock(0, 1+i, &log)
	}
	u.lock(1, 9, &log)
	c := &completions{ch: u.chs[0], tb: t}
	if errno := u.desc.Abort(u.chs[0], 2, statusDone, c); errno != 0 {
		t.Error(errno)
	}
	if errno := u.desc.Abort(u.chs[0], 2, statusDone, c); errno != syscall.ENOENT {
		t.Errorf("a second time: %v", errno)
	}
	if errno := u.desc.AbortAny(u.chs[0], 9, statusDone, c); errno != 0 {
		t.Error(errno)
	}
	if len(log)+len(c.got) > 0 {
		t.Error("completed from inside the call")
	}
	u.PollThreads()
	if diff := cmp.Diff([]string{"2: EINTR", "9: EINTR"}, log); diff != "" {
		t.Error(diff)
	}
	if len(c.got) != 2 || c.got[0].Errno != 0 || c.got[1].Errno != 0 || len(*asked) > 0 {
		t.Errorf("the aborts ended with %+v, the module was asked for %v", c.got, *asked)
	}
	log = nil
	r.done(u.t, nil)
	u.PollThreads()
	u.dev.completeAll(0)
	if diff := cmp.Diff([]string{"1: ok", "3: ok", "4: ok"}, log); diff != "" {
		t.Error(diff)
	}
}

// An abort that a client asks for goes to the module although it is being reset.
func TestAbortDuringTheDrainOfAReset(t *testing.T) {
	u := newUser(t, 1)
	a := &abortIO{errno: syscall.EALREADY}
	asked := u.dev.abortsWith(a)
	var log []string
	u.lock(0, 1, &log)
	if err := u.f.Reset(u.t, logReset, &log); err != nil {
		t.Fatal(err)
	}
	u.PollThreads()
	a.errno = 0
	c := &completions{ch: u.chs[0], tb: t}
	if errno := u.desc.Abort(u.chs[0], 1, statusDone, c); errno != 0 {
		t.Error(errno)
	}
	u.PollThreads()
	if diff := cmp.Diff([]string{"1: EINTR", "reset on thread1: <nil>"}, log); diff != "" {
		t.Error(diff)
	}
	if len(*asked) != 2 || len(c.got) != 1 {
		t.Errorf("asked for %v, aborts ended with %+v", *asked, c.got)
	}
}

// Close during a reset aborts what waits, and a removal comes after the reset.
func TestCloseAndUnregisterDuringAReset(t *testing.T) {
	u, r := newResettable(t, 2)
	u.dev.abortsWith(&abortIO{})
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Fatal(err)
	}
	u.PollThreads()
	var log []string
	desc := u.open(u.Threads[1], "fs0", nil)
	u.lock(0, 1, &log)
	u.lockBy(desc, 0, 2, &log)
	desc.Fsync(u.chs[1], 0, 1, 0, false, func(_ any, _ *iochannel.Channel, errno syscall.Errno) {
		log = append(log, "fsync: "+errName(errno))
	}, nil)
	desc.Release(u.chs[1], 3, 1, 2, func(any, *iochannel.Channel, syscall.Errno) { log = append(log, "released") }, nil)
	desc.Close()
	u.PollThreads()
	if diff := cmp.Diff([]string{"2: EINTR", "fsync: EINTR"}, log); diff != "" {
		t.Error(diff)
	}
	log = nil
	gone := false
	u.f.Unregister(u.t, func(*reactor.Thread, any, error) { gone = true }, nil)
	u.PollThreads()
	if diff := cmp.Diff([]string{"1: EINTR"}, log); diff != "" {
		t.Error(diff)
	}
	u.put(0)
	u.put(1)
	last := u.desc
	u.desc = u.open2(t)
	last.Close()
	u.PollThreads()
	if gone || u.dev.destructs != 0 {
		t.Error("removed during a reset")
	}
	r.done(u.t, nil)
	u.PollThreads()
	u.dev.completeAll(0)
	u.PollThreads()
	if !gone || u.dev.destructs != 1 || log[len(log)-1] != "released" {
		t.Errorf("gone %v, destructed %d times, %v", gone, u.dev.destructs, log)
	}
}

// open2 opens a device for the clean-up of a test that has closed the first one.
func (u *user) open2(tb testing.TB) *fsdev.Desc {
	tb.Helper()
	u.register("fs1")
	return u.open(u.t, "fs1", nil)
}

// A READDIR's entry function may submit the next operation from inside the call of a module.
// That goes after what has been waiting, and is completed after its call.
func TestSubmitFromInsideAnEntry(t *testing.T) {
	u := newUser(t, 1)
	var log []string
	next := uint64(100)
	entry := func(any, *iochannel.Channel, []byte, fsdev.FileObject, *fsdev.Attr, uint64) bool {
		next++
		u.lock(0, next, &log)
		log = append(log, "submitted")
		return true
	}
	u.dev.submit = func(io *fsdev.IO) {
		log = append(log, fmt.Sprint(io.Type, " ", io.Unique))
		if io.Type == fsdev.IOReaddir {
			io.Emit(name, 0, &fsdev.Attr{}, 1)
		}
		io.Complete(0)
		log = append(log, "end of call")
	}
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Fatal(err)
	}
	u.t.Poll(0, 0) // frozen
	u.desc.Readdir(u.chs[0], 1, 1, 2, 0, false, entry, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
	u.lock(0, 2, &log)
	u.PollThreads()
	want := []string{
		"READDIR 1", "submitted", "end of call", "FLOCK 2", "end of call", "FLOCK 101", "end of call", "2: ok", "101: ok",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("after a reset: %s", diff)
	}
	log = nil
	u.desc.Readdir(u.chs[0], 1, 1, 2, 0, false, entry, func(any, *iochannel.Channel, syscall.Errno) {
		log = append(log, "1: ok")
	}, nil)
	u.PollThreads()
	want = []string{"READDIR 1", "FLOCK 102", "end of call", "submitted", "end of call", "102: ok", "1: ok"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
}

// Histograms that are switched on during a reset leave out what waits.
func TestHistogramsDuringAReset(t *testing.T) {
	u, r := newResettable(t, 1)
	for range 2 { // the second time the IO has been timed before
		u.histograms(u.f, false)
		if err := u.f.Reset(u.t, nil, nil); err != nil {
			t.Fatal(err)
		}
		u.PollThreads()
		var log []string
		u.lock(0, 1, &log)
		u.histograms(u.f, true)
		u.lock(0, 2, &log)
		u.Advance(1000)
		r.done(u.t, nil)
		u.PollThreads()
		u.dev.completeAll(0)
		u.PollThreads()
		if h := u.stats(u.f).Histograms[fsdev.IOFlock]; h.Count() != 1 || h.Max != 1000 {
			t.Errorf("%d IO were timed, %d ticks at most", h.Count(), h.Max)
		}
	}
}
