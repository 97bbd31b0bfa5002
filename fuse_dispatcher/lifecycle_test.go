package fusedispatcher_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// Every test below ends, in its bed's close, with an INIT that must work, a Delete and a check
// that nothing is left.

var initIn = Bytes(&InitIn{Major: 7, Minor: 45})

func (b *bed) startInit(i int) *reply { return b.start(i, FUSE_INIT, 0, 80, initIn) }

func (b *bed) startDestroy(i int) *reply { return b.start(i, FUSE_DESTROY, 0, 16) }

// probe returns what a request on each channel is answered, the same for all.
func (b *bed) probe() syscall.Errno {
	b.tb.Helper()
	var first syscall.Errno
	for i, ch := range b.chans {
		if ch == nil {
			continue
		}
		errno := b.do(i, FUSE_GETATTR, node, 120, Bytes(&GetattrIn{})).errno
		if i == 0 || b.chans[0] == nil && i == 1 {
			first = errno
		} else if errno != first {
			b.tb.Errorf("channel %d answers %v, the first %v", i, errno, first)
		}
	}
	return first
}

// expect polls and wants a request to be over, with errno.
func (b *bed) expect(r *reply, errno syscall.Errno) {
	b.tb.Helper()
	b.PollThreads()
	if r.done != 1 || r.errno != errno {
		b.tb.Errorf("opcode %d completed %d times with %v, want %v", r.hdr.Opcode, r.done, r.errno, errno)
	}
}

// expectNone polls and wants a request still to be under way.
func (b *bed) expectNone(r *reply) {
	b.tb.Helper()
	b.PollThreads()
	if r.done != 0 {
		b.tb.Errorf("opcode %d completed with %v", r.hdr.Opcode, r.errno)
	}
}

func TestCreateRefuses(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	for _, o := range []fusedispatcher.Opts{{}, {FsdevName: "fs", MaxRequests: -1}} {
		if _, err := fusedispatcher.Create(b.t, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if b.d.FsdevName() != fsName || b.d.MaxWrite() != 1<<20 {
		t.Errorf("serves %q with writes of %d", b.d.FsdevName(), b.d.MaxWrite())
	}
}

func TestSessions(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	check := func(when string, want syscall.Errno, mounts int) {
		t.Helper()
		if got := b.probe(); got != want || b.fs.mounts != mounts {
			t.Errorf("%s: requests get %v, want %v; %d mounts", when, got, want, b.fs.mounts)
		}
	}
	check("at first", syscall.ENOTCONN, 0)
	quiet(b, FUSE_FORGET, node, u64(1))
	b.expect(b.startDestroy(1), 0)
	check("after DESTROY without INIT", syscall.ENOTCONN, 0)
	b.expect(b.startInit(1), 0)
	check("after INIT", 0, 1)
	b.expect(b.startInit(2), 0)
	check("after a second INIT", 0, 1)
	b.expect(b.startDestroy(0), 0)
	check("after DESTROY", syscall.ENOTCONN, 0)
	quiet(b, FUSE_FORGET, node, u64(1))
	quiet(b, FUSE_BATCH_FORGET, node, u64(1), u64(1), u64(1))
	b.expect(b.startDestroy(0), 0)
	b.expect(b.startInit(0), 0)
	check("after another INIT", 0, 1)
}

func TestControlRequestsWithoutRoomAreRefused(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, room := range []int{0, 15} {
		b.expect(b.start(0, FUSE_DESTROY, 0, room), syscall.EINVAL)
		b.expect(b.start(0, FUSE_INIT, 0, room, initIn), syscall.EINVAL)
	}
	if got := b.probe(); got != 0 {
		t.Errorf("afterwards requests get %v", got)
	}
}

// A second INIT, as of a client that was rebooted, ends what the first left.
func TestSecondInitEndsTheFirstSession(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.init(45)
	b.fs.do = b.fs.hold
	w := []*reply{b.start(0, FUSE_STATFS, node, 96), b.start(1, FUSE_STATFS, node, 96)}
	r := b.startInit(1)
	b.expect(r, 0)
	for _, w := range w {
		b.expect(w, syscall.EINTR)
	}
	b.fs.do = nil
	if got := b.probe(); got != 0 || b.fs.mounts != 1 {
		t.Errorf("afterwards requests get %v, %d mounts", got, b.fs.mounts)
	}
}

// What comes while MOUNT is under way waits for it, in order.
func TestControlRequestsDuringInitWaitForIt(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	var mounting []*fsdev.IO
	b.fs.mount = func(io *fsdev.IO) { mounting = append(mounting, io) }
	r := []*reply{b.startInit(0), b.startDestroy(1), b.startInit(2), b.startInit(0), b.startDestroy(2), b.startInit(1)}
	for i, when := range []int{2, 3, 5, 6} { // requests over after each mount
		b.PollThreads()
		if len(mounting) != i+1 {
			t.Fatalf("%d mounts, want %d", len(mounting), i+1)
		}
		if got := b.probe(); got != syscall.ENOTCONN {
			t.Errorf("during INIT requests get %v", got)
		}
		b.fs.mounted(mounting[i])
		b.PollThreads()
		for j, r := range r {
			// A DESTROY after the INIT is over at once, the next INIT has to mount first.
			if over := j < when; over != (r.done == 1) {
				t.Errorf("after mount %d: request %d completed %d times", i, j, r.done)
			}
		}
	}
	b.fs.mount = nil
	if got := b.probe(); got != 0 || b.fs.mounts != 1 {
		t.Errorf("afterwards requests get %v, %d mounts", got, b.fs.mounts)
	}
}

func TestInitFailures(t *testing.T) {
	t.Run("no fsdev", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		b.removeFS()
		b.expect(b.startInit(1), syscall.ENODEV)
		b.expect(b.startDestroy(1), 0)
		b.fs = newFakeFS(t, b.t, fsName)
		b.expect(b.startInit(1), 0)
	})
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EACCES} {
		t.Run("mount fails", func(t *testing.T) {
			b := newBed(t, 2, fusedispatcher.Opts{})
			b.fs.mount = func(io *fsdev.IO) { io.Complete(errno) }
			b.fs.umount = func(io *fsdev.IO) {
				t.Error("UMOUNT of what was not mounted")
				io.Complete(0)
			}
			b.expect(b.startInit(1), errno)
			if got := b.probe(); got != syscall.ENOTCONN {
				t.Errorf("afterwards requests get %v", got)
			}
			b.removeFS() // nothing holds it
			b.fs = newFakeFS(t, b.t, fsName)
		})
	}
	for k := range 4 {
		t.Run(fmt.Sprint("no channel on thread ", k), func(t *testing.T) {
			b := newBed(t, 4, fusedispatcher.Opts{})
			b.fs.refuse = func(on *reactor.Thread) bool { return on == b.Threads[k] }
			b.expect(b.startInit(1), syscall.ENOMEM)
			if got := b.probe(); got != syscall.ENOTCONN || b.fs.mounts != 0 {
				t.Errorf("afterwards requests get %v, %d mounts", got, b.fs.mounts)
			}
			b.removeFS()
			b.fs = newFakeFS(t, b.t, fsName)
		})
	}
}

// removeFS unregisters the fsdev and wants it to go.
func (b *bed) removeFS() {
	b.tb.Helper()
	gone := b.startRemoveFS()
	b.PollThreads()
	if !*gone {
		b.tb.Error("the fsdev does not go")
	}
}

func (b *bed) startRemoveFS() *bool {
	gone := new(bool)
	b.fs.f.Unregister(b.Threads[len(b.Threads)-1], func(*reactor.Thread, any, error) { *gone = true }, nil)
	return gone
}

// A channel that is created without a session holds nothing of the last one.
func TestChannelCreatedAfterDestroyHoldsNoFsdev(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.init(45)
	b.chans[1].Put()
	b.PollThreads()
	b.expect(b.startDestroy(0), 0)
	if b.chans[1] = b.d.IOChannel(b.Threads[1]); b.chans[1] == nil {
		t.Fatal("got no channel")
	}
	b.removeFS()
	b.fs = newFakeFS(t, b.t, fsName)
	b.expect(b.startInit(1), 0)
	if got := b.probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
}

// A channel that is created while the fsdev has none for its thread fails.
func TestChannelIsRefusedWhenTheFsdevHasNone(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.chans[1].Put()
	b.PollThreads()
	b.init(45)
	b.fs.refuse = func(on *reactor.Thread) bool { return on == b.Threads[1] }
	if b.chans[1] = b.d.IOChannel(b.Threads[1]); b.chans[1] != nil {
		t.Error("got a channel")
	}
	b.fs.refuse = nil
	if b.chans[1] = b.d.IOChannel(b.Threads[1]); b.chans[1] == nil {
		t.Fatal("got no channel")
	}
	if got := b.probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
}

func TestMountAndUmountWaitForAFreeIO(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	for range 2 {
		release := exhaust(b)
		r := b.startInit(0)
		for range 50 {
			b.PollOnce()
		}
		if r.done != 0 {
			t.Error("INIT is over without a MOUNT")
		}
		release()
		b.expect(r, 0)
		release = exhaust(b)
		r = b.startDestroy(0)
		for range 50 {
			b.PollOnce()
		}
		if r.done != 0 {
			t.Error("DESTROY is over without an UMOUNT")
		}
		release()
		b.expect(r, 0)
	}
}

func TestDestroyWaitsForUmount(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.init(45)
	var held *fsdev.IO
	b.fs.umount = func(io *fsdev.IO) { held = io }
	r := b.startDestroy(1)
	b.expectNone(r)
	if got := b.probe(); got != syscall.ENOTCONN {
		t.Errorf("during DESTROY requests get %v", got)
	}
	b.fs.umounted(held)
	b.expect(r, 0)
}

// Teardown aborts what is in flight and waits for what cannot be aborted.
func TestTeardownDrains(t *testing.T) {
	for _, how := range []string{"DESTROY", "INIT", "REMOVE", "Delete"} {
		for _, abortable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, abortable %v", how, abortable), func(t *testing.T) {
				b := newBed(t, 3, fusedispatcher.Opts{})
				b.init(45)
				b.fs.do = b.fs.hold
				if !abortable {
					b.fs.abort = func(io *fsdev.IO) { io.Complete(syscall.EALREADY) }
				}
				var w []*reply
				for i := range 9 {
					w = append(w, b.start(i%3, FUSE_SETLKW, node, 16,
						Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK})))
				}
				var r *reply
				var deleted **syscall.Errno
				var gone *bool
				switch how {
				case "DESTROY":
					r = b.startDestroy(1)
				case "INIT":
					r = b.startInit(1)
				case "REMOVE":
					gone = b.startRemoveFS()
				case "Delete":
					b.PollThreads()
					deleted = b.startDelete(b.Threads[2])
				}
				over := func() bool {
					switch {
					case r != nil:
						return r.done == 1 && r.errno == 0
					case gone != nil:
						return *gone && b.events == 1
					}
					b.putChannels()
					b.PollThreads()
					return *deleted != nil && **deleted == 0
				}
				b.PollThreads()
				if !abortable {
					late := b.start(2, FUSE_STATFS, node, 96)
					b.expect(late, syscall.ENOTCONN)
					if r != nil {
						b.expectNone(r)
					}
					b.fs.release(0)
					b.PollThreads()
				}
				for _, w := range w {
					want := syscall.Errno(0)
					if abortable {
						want = syscall.EINTR
					}
					b.expect(w, want)
				}
				if !over() {
					t.Errorf("%s is not over", how)
				}
				if how == "REMOVE" {
					b.fs = newFakeFS(t, b.t, fsName)
				}
				if how == "Delete" {
					b.recreate()
				}
			})
		}
	}
}

// recreate replaces a deleted dispatcher.
func (b *bed) recreate() {
	b.tb.Helper()
	var err error
	b.d, err = fusedispatcher.Create(b.t, fusedispatcher.Opts{FsdevName: fsName, MaxRequests: 48})
	if err != nil {
		b.tb.Fatal(err)
	}
	for i, t := range b.Threads {
		b.chans[i] = b.d.IOChannel(t)
	}
}

// Blocked requests that hold all the IO there is are aborted one by one, as IO comes free.
func TestTeardownAbortsWithAnEmptyPool(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.init(45)
	b.fs.do = b.fs.hold
	var w []*reply
	for range 40 {
		w = append(w, b.start(0, FUSE_SETLKW, node, 16,
			Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK})))
	}
	release := exhaust(b)
	r := b.startDestroy(0)
	for range 50 {
		b.PollOnce()
	}
	release()
	b.expect(r, 0)
	for _, w := range w {
		b.expect(w, syscall.EINTR)
	}
}

// A request that cannot be aborted is asked once, and does not keep the others from it.
func TestTeardownAsksEveryRequestOnce(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.init(45)
	b.fs.do = b.fs.hold
	for range 40 {
		b.start(0, FUSE_STATFS, node, 96)
	}
	asked := map[*fsdev.IO]int{}
	b.fs.abort = func(io *fsdev.IO) {
		asked[io.Target]++
		io.Complete(syscall.EALREADY)
	}
	r := b.startDestroy(0)
	for range 50 {
		b.PollOnce()
	}
	for _, io := range b.fs.pending {
		if asked[io] != 1 {
			t.Fatalf("a request was aborted %d times", asked[io])
		}
	}
	b.fs.release(0)
	b.expect(r, 0)
}

func TestRemove(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.init(45)
	b.removeFS()
	if got := b.probe(); got != syscall.ENOTCONN || b.events != 1 || b.fs.mounts != 0 {
		t.Errorf("afterwards requests get %v, %d events, %d mounts", got, b.events, b.fs.mounts)
	}
	b.expect(b.startInit(2), syscall.ENODEV)
	b.fs = newFakeFS(t, b.t, fsName)
	b.expect(b.startInit(2), 0)
	if got := b.probe(); got != 0 || b.events != 1 {
		t.Errorf("with a new fsdev requests get %v, %d events", got, b.events)
	}
}

func TestRemoveWithoutASessionIsNoConcern(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.init(45)
	b.expect(b.startDestroy(0), 0)
	b.removeFS()
	if b.events != 0 {
		t.Errorf("%d events", b.events)
	}
	b.fs = newFakeFS(t, b.t, fsName)
}

func TestRemoveDuringInit(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.ENODEV} {
		b := newBed(t, 3, fusedispatcher.Opts{})
		var held *fsdev.IO
		b.fs.mount = func(io *fsdev.IO) { held = io }
		r := b.startInit(1)
		b.expectNone(r)
		gone := b.startRemoveFS()
		b.expectNone(r)
		if *gone || b.events != 0 {
			t.Error("the fsdev went during INIT")
		}
		if errno == 0 {
			b.fs.mounted(held)
		} else {
			held.Complete(errno)
		}
		b.expect(r, errno)
		if !*gone || b.events != 1 || b.fs.mounts != 0 {
			t.Errorf("gone %v, %d events, %d mounts", *gone, b.events, b.fs.mounts)
		}
		b.fs = newFakeFS(t, b.t, fsName)
	}
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(b *bed) *reply // what is under way
		want syscall.Errno       // of that
	}{
		{"unused", func(*bed) *reply { return nil }, 0},
		{"with a session", func(b *bed) *reply { b.init(45); return nil }, 0},
		{"after DESTROY", func(b *bed) *reply { b.init(45); return b.do(0, FUSE_DESTROY, 0, 16) }, 0},
		{"right after INIT was sent", func(b *bed) *reply { return b.startInit(1) }, 0},
		{"right after DESTROY was sent", func(b *bed) *reply { b.init(45); return b.startDestroy(1) }, 0},
	} {
		for on := range 3 {
			t.Run(fmt.Sprintf("%s, on thread %d", tt.name, on), func(t *testing.T) {
				b := newBed(t, 3, fusedispatcher.Opts{})
				r := tt.prep(b)
				first, second := b.startDelete(b.Threads[on]), b.startDelete(b.Threads[0])
				if *first != nil || *second != nil {
					t.Error("Delete called back from inside the call")
				}
				b.PollThreads()
				// Which of the two comes first depends on the threads.
				if *first != nil && **first == syscall.EALREADY {
					first, second = second, first
				}
				if *first != nil {
					t.Errorf("Delete is over with channels: %v", **first)
				}
				if *second == nil || **second != syscall.EALREADY {
					t.Errorf("the second Delete: %v", *second)
				}
				if r != nil && (r.done != 1 || r.errno != tt.want && r.errno != syscall.ENODEV) {
					t.Errorf("opcode %d completed %d times with %v", r.hdr.Opcode, r.done, r.errno)
				}
				if got := b.probe(); got != syscall.ENOTCONN {
					t.Errorf("afterwards requests get %v", got)
				}
				b.expect(b.startInit(1), syscall.ENODEV)
				b.expect(b.startDestroy(2), 0)
				b.putChannels()
				b.PollThreads()
				if *first == nil || **first != 0 {
					t.Errorf("Delete: %v", *first)
				}
				if ch := b.d.IOChannel(b.t); ch != nil {
					t.Error("a deleted dispatcher gave a channel")
				}
				b.recreate()
			})
		}
	}
}

func TestDeleteDuringInitAndRemove(t *testing.T) {
	t.Run("INIT", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		var held *fsdev.IO
		b.fs.mount = func(io *fsdev.IO) { held = io }
		r := b.startInit(1)
		b.expectNone(r)
		deleted := b.startDelete(b.Threads[1])
		b.expectNone(r)
		b.fs.mounted(held)
		b.expect(r, 0)
		b.putChannels()
		b.PollThreads()
		if *deleted == nil || **deleted != 0 {
			t.Errorf("Delete: %v", *deleted)
		}
		b.fs.mount = nil
		b.recreate()
	})
	t.Run("REMOVE", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		b.init(45)
		var held *fsdev.IO
		b.fs.umount = func(io *fsdev.IO) { held = io }
		gone := b.startRemoveFS()
		b.PollThreads()
		deleted := b.startDelete(b.Threads[1])
		b.putChannels()
		b.PollThreads()
		if *deleted != nil || *gone {
			t.Error("Delete did not wait for the REMOVE")
		}
		b.fs.umounted(held)
		b.PollThreads()
		if *deleted == nil || **deleted != 0 || !*gone {
			t.Errorf("Delete: %v, gone %v", *deleted, *gone)
		}
		b.fs = newFakeFS(t, b.t, fsName)
		b.recreate()
	})
	t.Run("from the event", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		var deleted bool
		d, err := fusedispatcher.Create(b.t, fusedispatcher.Opts{FsdevName: fsName, MaxRequests: 16,
			Event: func(on *reactor.Thread, d *fusedispatcher.Dispatcher, _ any) {
				d.Delete(on, func(*reactor.Thread, any, syscall.Errno) { deleted = true }, nil)
			}})
		if err != nil {
			t.Fatal(err)
		}
		old, oldChans := b.d, b.chans
		b.d, b.chans = d, nil
		for _, on := range b.Threads {
			b.chans = append(b.chans, d.IOChannel(on))
		}
		b.init(45)
		b.putChannels()
		b.removeFS()
		if !deleted {
			t.Error("not deleted")
		}
		b.d, b.chans = old, oldChans
		b.fs = newFakeFS(t, b.t, fsName)
	})
}

// The control thread needs no channel of the dispatcher.
func TestControlThreadWithoutAChannel(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.chans[0].Put()
	b.chans[0] = nil
	b.PollThreads()
	b.expect(b.startInit(1), 0)
	if got := b.probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
	b.expect(b.startDestroy(2), 0)
	b.expect(b.startInit(2), 0)
}

// Whenever a channel is created during INIT or DESTROY, it works, or does not, like the others.
func TestChannelIsCreatedAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(b *bed, k int) {
		b.chans[k].Put()
		b.chans[k] = nil
		b.PollThreads()
	}, func(b *bed, k int) {
		if b.chans[k] = b.d.IOChannel(b.Threads[k]); b.chans[k] == nil {
			b.tb.Error("got no channel")
		}
	})
}

func TestChannelIsPutAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(*bed, int) {}, func(b *bed, k int) {
		b.chans[k].Put()
		b.chans[k] = nil
	})
}

func TestChannelIsPutAndRevivedAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(*bed, int) {}, func(b *bed, k int) {
		b.chans[k].Put()
		if b.chans[k] = b.d.IOChannel(b.Threads[k]); b.chans[k] == nil {
			b.tb.Error("got no channel")
		}
	})
}

// testChannelAtAnyTime takes INIT, INIT again and DESTROY through in single steps, and calls
// change for thread k at every one of them in turn.
func testChannelAtAnyTime(t *testing.T, prepare, change func(b *bed, k int)) {
	const threads, requester = 4, 1
	for k := range threads {
		if k == requester {
			continue
		}
		for at := 0; ; at++ {
			b := newBed(t, threads, fusedispatcher.Opts{})
			prepare(b, k)
			step := 0
			for _, request := range []func(int) *reply{b.startInit, b.startInit, b.startDestroy, b.startInit} {
				r := request(requester)
				for r.done == 0 {
					for _, on := range b.Threads {
						if step == at {
							change(b, k)
						}
						step++
						b.Poll(on)
					}
				}
				b.expect(r, 0)
			}
			if got := b.probe(); got != 0 {
				t.Errorf("thread %d, step %d: requests get %v", k, at, got)
			}
			if t.Failed() {
				t.Fatalf("thread %d, step %d", k, at)
			}
			if step <= at {
				if b.chans[k] == nil {
					b.chans[k] = b.d.IOChannel(b.Threads[k])
				}
				break
			}
		}
	}
}

// Nothing of a session is visible before it is whole: at every step of an INIT, a request on
// any thread is refused or works.
func TestRequestsAtAnyTimeDuringInit(t *testing.T) {
	const threads = 3
	for at := 0; ; at++ {
		b := newBed(t, threads, fusedispatcher.Opts{})
		r := b.startInit(1)
		step := 0
		var sent []*reply
		for r.done == 0 {
			for _, on := range b.Threads {
				if step == at {
					for i := range threads {
						sent = append(sent, b.start(i, FUSE_STATFS, node, 96))
					}
				}
				step++
				b.Poll(on)
			}
		}
		b.PollThreads()
		for _, s := range sent {
			if s.done != 1 || s.errno != 0 && s.errno != syscall.ENOTCONN {
				t.Errorf("step %d: completed %d times with %v", at, s.done, s.errno)
			}
		}
		if step <= at {
			return
		}
	}
}

func TestTooManyRequestsAreENOBUFS(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{MaxRequests: 8})
	b.fs.do = b.fs.hold
	for range 8 {
		b.start(0, FUSE_STATFS, node, 96)
	}
	m := b.message(FUSE_STATFS, node)
	errno := b.d.SubmitRequest(b.chans[0], [][]byte{m}, nil, func(any, syscall.Errno, uint32) {
		t.Error("a refused request completed")
	}, nil)
	if !errors.Is(errno, syscall.ENOBUFS) {
		t.Errorf("got %v", errno)
	}
	b.fs.release(0)
	b.PollThreads()
	b.fs.do = nil
	b.do(0, FUSE_STATFS, node, 96)
}

// A completion may submit the next request, also while its channel is being drained.
func TestCompletionSubmitsTheNextRequest(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = b.fs.hold
	m := b.message(FUSE_STATFS, node)
	out := [][]byte{make([]byte, 96)}
	var got []syscall.Errno
	var again fusedispatcher.SubmitCplFunc
	again = func(_ any, errno syscall.Errno, _ uint32) {
		if got = append(got, errno); len(got) < 5 {
			if errno := b.d.SubmitRequest(b.chans[0], [][]byte{m}, out, again, nil); errno != 0 {
				t.Error(errno)
			}
		}
	}
	b.d.SubmitRequest(b.chans[0], [][]byte{m}, out, again, nil)
	b.fs.release(0)
	r := b.startDestroy(0)
	b.expect(r, 0)
	want := []syscall.Errno{0, syscall.EINTR, syscall.ENOTCONN, syscall.ENOTCONN, syscall.ENOTCONN}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
