package fsdev_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// abortable submits one operation and returns how often it was completed.
func abortable(t *testing.T, d *fsdev.Desc, ch *iochannel.Channel, unique uint64) *int {
	t.Helper()
	done := new(int)
	errno := d.Flock(ch, unique, 1, 2, 3, 4, func(any, *iochannel.Channel, syscall.Errno) { *done++ }, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	return done
}

func TestAbortNamesTheIOByItsUnique(t *testing.T) {
	o := newOpened(t)
	for u := range uint64(5) {
		abortable(t, o.desc, o.ch, u)
	}
	locks := o.dev.pending
	o.dev.pending = nil
	var aborted *fsdev.IO
	o.dev.submit = func(io *fsdev.IO) {
		if io.Type != fsdev.IOAbort || io.Unique != 0 {
			t.Errorf("the module saw %v with unique %d", io.Type, io.Unique)
		}
		aborted = io.Target
		io.Target.Complete(syscall.EINTR)
		io.Complete(0)
	}
	c := &completions{ch: o.ch, tb: t}
	if errno := o.desc.Abort(o.ch, 3, statusDone, c); errno != 0 {
		t.Fatal(errno)
	}
	if aborted != locks[3] {
		t.Error("another IO was aborted")
	}
	// It has been completed, if not yet delivered.
	if errno := o.desc.Abort(o.ch, 3, statusDone, c); errno != syscall.ENOENT {
		t.Errorf("a second abort: %v", errno)
	}
	o.PollThreads()
	if len(c.got) != 1 || c.got[0].Errno != 0 {
		t.Errorf("the abort completed with %v", c.got)
	}
	if errno := o.desc.Abort(o.ch, 99, statusDone, c); errno != syscall.ENOENT {
		t.Errorf("abort of what was never there: %v", errno)
	}
	for i, io := range locks {
		if i != 3 {
			io.Complete(0)
		}
	}
	o.PollThreads()
}

func TestAbortDoesNotMatchUniqueZero(t *testing.T) {
	o := newOpened(t)
	done := abortable(t, o.desc, o.ch, 0)
	if errno := o.desc.Abort(o.ch, 0, statusDone, nil); errno != syscall.ENOENT {
		t.Errorf("abort of unique 0: %v", errno)
	}
	o.dev.completeAll(0)
	if *done != 1 {
		t.Errorf("completed %d times", *done)
	}
}

// Two clients of a device share a thread's channel, but not their uniques.
func TestAbortLeavesOtherDescriptorsAlone(t *testing.T) {
	o := newOpened(t)
	other := o.open(o.t, "fs0", nil)
	abortable(t, other, o.ch, 7)
	if errno := o.desc.Abort(o.ch, 7, statusDone, nil); errno != syscall.ENOENT {
		t.Errorf("abort of another client's IO: %v", errno)
	}
	abortable(t, o.desc, o.ch, 7)
	var target *fsdev.IO
	o.dev.submit = func(io *fsdev.IO) {
		target = io.Target
		io.Complete(syscall.EALREADY)
	}
	c := &completions{ch: o.ch, tb: t}
	if errno := o.desc.Abort(o.ch, 7, statusDone, c); errno != 0 {
		t.Fatal(errno)
	}
	if target.Desc() != o.desc {
		t.Error("aborted another client's IO")
	}
	o.PollThreads()
	o.dev.completeAll(0)
	o.PollThreads()
	other.Close()
}

func TestAbortWithoutAFreeIOIsENOBUFS(t *testing.T) {
	o := newOpened(t)
	for u := range uint64(64) {
		abortable(t, o.desc, o.ch, u+1)
	}
	if errno := o.desc.Abort(o.ch, 7, statusDone, nil); errno != syscall.ENOBUFS {
		t.Errorf("got %v", errno)
	}
	o.dev.completeAll(0)
}

// abortIO is how a module's ABORT ends.
type abortIO struct {
	errno syscall.Errno // of the abort; the target is completed with EINTR if it is 0
	hold  bool          // the abort, for later
}

// abortsWith makes the device keep operations and answer aborts. It returns a log of the types
// that were aborted.
func (d *fakeDevice) abortsWith(a *abortIO) *[]string {
	log := new([]string)
	d.submit = func(io *fsdev.IO) {
		if io.Type != fsdev.IOAbort {
			d.pending = append(d.pending, io)
			return
		}
		*log = append(*log, fmt.Sprint(io.Target.Type, " ", io.Target.Unique))
		if a.hold {
			d.pending = append(d.pending, io)
			return
		}
		if a.errno == 0 {
			d.take(io.Target).Complete(syscall.EINTR)
		}
		io.Complete(a.errno)
	}
	return log
}

// take takes an IO out of pending.
func (d *fakeDevice) take(io *fsdev.IO) *fsdev.IO {
	for i, p := range d.pending {
		if p == io {
			d.pending = append(d.pending[:i:i], d.pending[i+1:]...)
			return io
		}
	}
	panic("the IO is not pending")
}

// lock submits an FLOCK, which has to wait, on channel i and logs how it ends.
func (u *user) lock(i int, unique uint64, log *[]string) {
	u.lockBy(u.desc, i, unique, log)
}

func (u *user) lockBy(d *fsdev.Desc, i int, unique uint64, log *[]string) {
	u.tb.Helper()
	ch := u.chs[i]
	errno := d.Flock(ch, unique, 1, 2, 3, 4, func(_ any, got *iochannel.Channel, errno syscall.Errno) {
		if got != ch {
			u.tb.Errorf("%d was completed on another channel", unique)
		}
		*log = append(*log, fmt.Sprintf("%d: %s", unique, errName(errno)))
	}, nil)
	if errno != 0 {
		u.tb.Fatal(errno)
	}
}

func errName(errno syscall.Errno) string {
	switch errno {
	case 0:
		return "ok"
	case syscall.EINTR:
		return "EINTR"
	}
	return errno.Error()
}

func TestAbortAny(t *testing.T) {
	for _, tt := range []struct {
		name  string
		on    int // the channel of the operation
		errno syscall.Errno
		hold  bool
		want  []string
	}{
		{"on the own channel", 0, 0, false, []string{"7: EINTR"}},
		{"on the next thread", 1, 0, false, []string{"7: EINTR"}},
		{"on the last thread", 2, 0, false, []string{"7: EINTR"}},
		{"cannot be stopped", 2, syscall.EALREADY, false, nil},
		{"the module does not find it", 1, syscall.ENOENT, false, nil},
		{"the module takes its time", 2, 0, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUser(t, 3)
			var log []string
			asked := u.dev.abortsWith(&abortIO{errno: tt.errno, hold: tt.hold})
			for i := range 3 {
				u.lock(i, uint64(100+i), &log)
			}
			u.lock(tt.on, 7, &log)
			c := &completions{ch: u.chs[0], tb: t}
			if errno := u.desc.AbortAny(u.chs[0], 7, statusDone, c); errno != 0 {
				t.Fatal(errno)
			}
			if len(c.got) > 0 {
				t.Error("completed from inside the call")
			}
			u.PollThreads()
			if diff := cmp.Diff([]string{"FLOCK 7"}, *asked); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.want, log); diff != "" {
				t.Error(diff)
			}
			if tt.hold {
				if len(c.got) > 0 {
					t.Error("completed before the module was done")
				}
				n := len(u.dev.pending)
				io := u.dev.pending[n-1]
				u.dev.pending = u.dev.pending[:n-1]
				io.Complete(0)
				u.PollThreads()
			}
			if len(c.got) != 1 || c.got[0].Errno != tt.errno {
				t.Errorf("the abort ended with %+v, want %v", c.got, tt.errno)
			}
			u.dev.completeAll(0)
			u.PollThreads()
		})
	}
}

func TestAbortAnyFindsNothing(t *testing.T) {
	u := newUser(t, 3)
	var log []string
	asked := u.dev.abortsWith(&abortIO{})
	other := u.open(u.Threads[1], "fs0", nil)
	u.lockBy(other, 1, 7, &log) // another client's
	c := &completions{ch: u.chs[0], tb: t}
	if errno := u.desc.AbortAny(u.chs[0], 0, statusDone, c); errno != syscall.ENOENT {
		t.Errorf("of 0: %v", errno)
	}
	if errno := u.desc.AbortAny(u.chs[0], 7, statusDone, c); errno != 0 {
		t.Errorf("of 7: %v", errno)
	}
	u.PollThreads()
	if len(c.got) != 1 || c.got[0].Errno != syscall.ENOENT || len(*asked) > 0 || len(log) > 0 {
		t.Errorf("ended with %+v, asked for %v, %v", c.got, *asked, log)
	}
	// What it has used as its own is free again, and does not show up in a later operation.
	for range 64 {
		u.lock(0, 1, &log)
	}
	for _, io := range u.dev.pending {
		if io.Type == fsdev.IOFlock && io.Owner != 4 {
			t.Errorf("an FLOCK has the owner %d", io.Owner)
		}
	}
	u.dev.completeAll(0)
	u.PollThreads()
	other.Close()
	u.PollThreads()
}

func TestAbortAnyWithoutAFreeIO(t *testing.T) {
	u := newUser(t, 2)
	asked := u.dev.abortsWith(&abortIO{})
	var log []string
	u.lock(1, 7, &log)
	for u.desc.Fsync(u.chs[1], 0, 1, 0, false, func(any, *iochannel.Channel, syscall.Errno) {}, nil) == 0 {
	}
	// The channel of the operation has no IO left to ask with; this one has one.
	c := &completions{ch: u.chs[0], tb: t}
	u.dev.pending[1].Complete(0)
	u.dev.pending = append(u.dev.pending[:1], u.dev.pending[2:]...)
	for u.desc.Fsync(u.chs[1], 0, 1, 0, false, func(any, *iochannel.Channel, syscall.Errno) {}, nil) == 0 {
	}
	if errno := u.desc.AbortAny(u.chs[0], 7, statusDone, c); errno != syscall.ENOBUFS {
		t.Errorf("with no IO at all: %v", errno)
	}
	if errno := u.desc.AbortAny(u.chs[1], 7, statusDone, c); errno != syscall.ENOBUFS {
		t.Errorf("with no IO on the own channel: %v", errno)
	}
	if len(c.got) > 0 || len(*asked) > 0 {
		t.Errorf("ended with %+v, asked for %v", c.got, *asked)
	}
	u.dev.completeAll(0)
	u.PollThreads()
}

// The IO that AbortAny travels with may be the last one.
func TestAbortAnyWithoutAFreeIOOnTheOtherThread(t *testing.T) {
	u := newUser(t, 2)
	asked := u.dev.abortsWith(&abortIO{})
	var log []string
	u.lock(1, 7, &log)
	u.do(0, 1) // its cache has some now
	u.dev.abortsWith(&abortIO{})
	for u.desc.Fsync(u.chs[1], 0, 1, 0, false, func(any, *iochannel.Channel, syscall.Errno) {}, nil) == 0 {
	}
	c := &completions{ch: u.chs[0], tb: t}
	if errno := u.desc.AbortAny(u.chs[0], 7, statusDone, c); errno != 0 {
		t.Fatal(errno)
	}
	u.PollThreads()
	if len(c.got) != 1 || c.got[0].Errno != syscall.ENOBUFS || len(*asked) > 0 {
		t.Errorf("ended with %+v, asked for %v", c.got, *asked)
	}
	u.dev.completeAll(0)
	u.PollThreads()
}

func TestAbortAnySurvivesTheEndOfItsChannels(t *testing.T) {
	u := newUser(t, 3)
	c := &completions{ch: u.chs[0], tb: t}
	if errno := u.desc.AbortAny(u.chs[0], 7, statusDone, c); errno != 0 {
		t.Fatal(errno)
	}
	for i := range u.chs {
		u.put(i)
	}
	u.PollThreads()
	if len(c.got) != 1 || c.got[0].Errno != syscall.ENOENT {
		t.Errorf("ended with %+v", c.got)
	}
}

// Close asks for the abort of what its own client has in flight, whatever its channel.
func TestCloseAbortsWhatIsInFlight(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.EALREADY} {
		u := newUser(t, 3)
		var log []string
		asked := u.dev.abortsWith(&abortIO{errno: errno})
		desc := u.open(u.Threads[1], "fs0", nil)
		for i := range 3 {
			u.lockBy(desc, i, uint64(i+1), &log)
			u.lock(i, uint64(i+11), &log)
			// These are left alone.
			none := func(any, *iochannel.Channel, syscall.Errno) {}
			desc.Umount(u.chs[i], 21, none, nil)
			desc.Forget(u.chs[i], 22, 1, 1, none, nil)
			desc.Release(u.chs[i], 23, 1, 2, none, nil)
			desc.Releasedir(u.chs[i], 24, 1, 2, none, nil)
		}
		desc.Close()
		if len(*asked) > 0 {
			t.Error("the module was asked from inside Close")
		}
		u.PollThreads()
		if diff := cmp.Diff([]string{"FLOCK 1", "FLOCK 2", "FLOCK 3"}, *asked); diff != "" {
			t.Errorf("aborts that end with %v: %s", errno, diff)
		}
		want := []string{"1: EINTR", "2: EINTR", "3: EINTR"}
		if errno != 0 {
			want = nil
		}
		if diff := cmp.Diff(want, log); diff != "" {
			t.Errorf("aborts that end with %v: %s", errno, diff)
		}
		u.dev.completeAll(0)
		u.PollThreads()
		if len(log) != 6 {
			t.Errorf("at the end: %v", log)
		}
	}
}

// The channels of a closed descriptor may still have operations in flight, and the device is
// there until the last has been completed.
func TestCloseBeforeTheChannelsArePut(t *testing.T) {
	e := newEnv(t, 2)
	d, f := e.register("fs0")
	asked := d.abortsWith(&abortIO{errno: syscall.EALREADY})
	desc := e.open(e.t, "fs0", nil)
	ch := desc.IOChannel(e.Threads[1])
	done := 0
	desc.Fsync(ch, 1, 1, 0, false, func(_ any, got *iochannel.Channel, errno syscall.Errno) {
		if got != ch || errno != 0 {
			t.Errorf("completed with %v", errno)
		}
		done++
	}, nil)
	gone := false
	f.Unregister(e.t, func(*reactor.Thread, any, error) { gone = true }, nil)
	desc.Close()
	e.PollThreads()
	ch.Put()
	e.PollThreads()
	if gone || done != 0 {
		t.Errorf("device gone %v, %d completed", gone, done)
	}
	d.completeAll(0)
	e.PollThreads()
	if !gone || done != 1 || len(*asked) != 1 {
		t.Errorf("device gone %v, %d completed, aborts of %v", gone, done, *asked)
	}
}

// After the event, whoever still has something in flight gets it back.
func TestUnregisterAbortsWhatIsInFlightAfterTheEvents(t *testing.T) {
	u := newUser(t, 3)
	var log []string
	u.dev.abortsWith(&abortIO{})
	event := func(th *reactor.Thread, _ fsdev.EventType, _ *fsdev.Fsdev, _ any) {
		log = append(log, "told on "+th.Name())
	}
	descs := []*fsdev.Desc{
		u.open(u.Threads[2], "fs0", event), u.open(u.Threads[1], "fs0", event), u.open(u.Threads[2], "fs0", event),
	}
	u.lock(0, 1, &log)
	u.lockBy(descs[0], 1, 2, &log)
	u.lockBy(descs[1], 2, 3, &log)
	u.f.Unregister(u.Threads[1], nil, nil)
	u.PollThreads()
	want := []string{"told on thread2", "told on thread3", "told on thread3", "1: EINTR", "2: EINTR", "3: EINTR"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	// What is submitted after that is not aborted until its descriptor is closed.
	log = nil
	u.lock(0, 4, &log)
	u.lockBy(descs[0], 0, 5, &log)
	u.PollThreads()
	if len(log) > 0 {
		t.Error(log)
	}
	for _, d := range descs {
		d.Close()
	}
	u.PollThreads()
	if diff := cmp.Diff([]string{"5: EINTR"}, log); diff != "" {
		t.Error(diff)
	}
	u.dev.completeAll(0)
}

// The layer asks with an IO of its own, one at a time, and goes on with the next when the
// module has answered, even if the answer takes time and the operations end meanwhile.
func TestTheLayerAbortsWithoutAFreeIO(t *testing.T) {
	u := newUser(t, 1)
	a := &abortIO{hold: true}
	asked := u.dev.abortsWith(a)
	var log []string
	n := uint64(0)
	for n < 256 {
		n++
		u.lock(0, n, &log)
	}
	ignore := func(any, *iochannel.Channel, syscall.Errno) {}
	if errno := u.desc.Umount(u.chs[0], 0, ignore, nil); errno != syscall.ENOBUFS {
		t.Fatalf("there is an IO left: %v", errno)
	}
	if err := u.f.Reset(u.t, nil, nil); err != nil {
		t.Fatal(err)
	}
	u.PollThreads()
	if len(*asked) != 1 || len(u.dev.pending) != 257 {
		t.Fatalf("asked for %v, %d pending", *asked, len(u.dev.pending))
	}
	abort := u.dev.take(u.dev.pending[256])
	if abort.Thread() != u.t || abort.Desc() != u.desc || abort.Channel() == nil || abort.Unique != 0 || abort.Ctx != nil {
		t.Errorf("the abort is %+v", abort)
	}
	// The second one ends by itself; it must not be asked for any more.
	u.dev.take(u.dev.pending[1]).Complete(0)
	u.dev.take(abort.Target).Complete(syscall.EINTR)
	a.hold = false
	abort.Complete(0)
	mustPanic(t, "ABORT with unique 0 is completed", func() { abort.Complete(0) })
	u.PollThreads()
	if len(*asked) != 255 || len(log) != 256 {
		t.Errorf("%d were asked for, %d completed", len(*asked), len(log))
	}
}
