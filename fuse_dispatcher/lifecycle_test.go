package fusedispatcher_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Every test below ends, in its bed's close, with an INIT that must work, a Delete and a check
// that nothing is left.

func TestCreateRefuses(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	for _, o := range []fusedispatcher.Opts{{}, {FsdevName: "fs", MaxRequests: -1}} {
		if _, err := fusedispatcher.Create(b.T, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if b.D.FsdevName() != fsName || b.D.MaxWrite() != 1<<20 {
		t.Errorf("serves %q with writes of %d", b.D.FsdevName(), b.D.MaxWrite())
	}
}

func TestSessions(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	check := func(when string, want syscall.Errno, mounts int) {
		t.Helper()
		if got := b.Probe(); got != want || b.FS.Mounts != mounts {
			t.Errorf("%s: requests get %v, want %v; %d mounts", when, got, want, b.FS.Mounts)
		}
	}
	check("at first", syscall.ENOTCONN, 0)
	b.Quiet(FUSE_FORGET, node, u64(1))
	b.Expect(b.StartDestroy(1), 0)
	check("after DESTROY without INIT", syscall.ENOTCONN, 0)
	b.Expect(b.StartInit(1), 0)
	check("after INIT", 0, 1)
	b.Expect(b.StartInit(2), 0)
	check("after a second INIT", 0, 1)
	b.Expect(b.StartDestroy(0), 0)
	check("after DESTROY", syscall.ENOTCONN, 0)
	b.Quiet(FUSE_FORGET, node, u64(1))
	b.Quiet(FUSE_BATCH_FORGET, node, u64(1), u64(1), u64(1))
	b.Expect(b.StartDestroy(0), 0)
	b.Expect(b.StartInit(0), 0)
	check("after another INIT", 0, 1)
}

func TestControlRequestsWithoutRoomAreRefused(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, room := range []int{0, 15} {
		b.Expect(b.Start(0, FUSE_DESTROY, 0, room), syscall.EINVAL)
		b.Expect(b.Start(0, FUSE_INIT, 0, room, initIn), syscall.EINVAL)
	}
	if got := b.Probe(); got != 0 {
		t.Errorf("afterwards requests get %v", got)
	}
}

// A second INIT, as of a client that was rebooted, ends what the first left.
func TestSecondInitEndsTheFirstSession(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	b.FS.Do = b.FS.Hold
	w := []*reply{b.Start(0, FUSE_STATFS, node, 96), b.Start(1, FUSE_STATFS, node, 96)}
	r := b.StartInit(1)
	b.Expect(r, 0)
	for _, w := range w {
		b.Expect(w, syscall.EINTR)
	}
	b.FS.Do = nil
	if got := b.Probe(); got != 0 || b.FS.Mounts != 1 {
		t.Errorf("afterwards requests get %v, %d mounts", got, b.FS.Mounts)
	}
}

// What comes while MOUNT is under way waits for it, in order.
func TestControlRequestsDuringInitWaitForIt(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	var mounting []*fsdev.IO
	b.FS.Mount = func(io *fsdev.IO) { mounting = append(mounting, io) }
	r := []*reply{b.StartInit(0), b.StartDestroy(1), b.StartInit(2), b.StartInit(0), b.StartDestroy(2), b.StartInit(1)}
	for i, when := range []int{2, 3, 5, 6} { // requests over after each mount
		b.PollThreads()
		if len(mounting) != i+1 {
			t.Fatalf("%d mounts, want %d", len(mounting), i+1)
		}
		if got := b.Probe(); got != syscall.ENOTCONN {
			t.Errorf("during INIT requests get %v", got)
		}
		b.FS.Mounted(mounting[i])
		b.PollThreads()
		for j, r := range r {
			// A DESTROY after the INIT is over at once, the next INIT has to mount first.
			if over := j < when; over != (r.Done == 1) {
				t.Errorf("after mount %d: request %d completed %d times", i, j, r.Done)
			}
		}
	}
	b.FS.Mount = nil
	if got := b.Probe(); got != 0 || b.FS.Mounts != 1 {
		t.Errorf("afterwards requests get %v, %d mounts", got, b.FS.Mounts)
	}
}

func TestInitFailures(t *testing.T) {
	t.Run("no fsdev", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		b.RemoveFS()
		b.Expect(b.StartInit(1), syscall.ENODEV)
		b.Expect(b.StartDestroy(1), 0)
		b.FS = newFakeFS(t, b.T, fsName)
		b.Expect(b.StartInit(1), 0)
	})
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EACCES} {
		t.Run("mount fails", func(t *testing.T) {
			b := newBed(t, 2, fusedispatcher.Opts{})
			b.FS.Mount = func(io *fsdev.IO) { io.Complete(errno) }
			b.FS.Umount = func(io *fsdev.IO) {
				t.Error("UMOUNT of what was not mounted")
				io.Complete(0)
			}
			b.Expect(b.StartInit(1), errno)
			if got := b.Probe(); got != syscall.ENOTCONN {
				t.Errorf("afterwards requests get %v", got)
			}
			b.RemoveFS() // nothing holds it
			b.FS = newFakeFS(t, b.T, fsName)
		})
	}
	for k := range 4 {
		t.Run(fmt.Sprint("no channel on thread ", k), func(t *testing.T) {
			b := newBed(t, 4, fusedispatcher.Opts{})
			b.FS.Refuse = func(on *reactor.Thread) bool { return on == b.Threads[k] }
			b.Expect(b.StartInit(1), syscall.ENOMEM)
			if got := b.Probe(); got != syscall.ENOTCONN || b.FS.Mounts != 0 {
				t.Errorf("afterwards requests get %v, %d mounts", got, b.FS.Mounts)
			}
			b.RemoveFS()
			b.FS = newFakeFS(t, b.T, fsName)
		})
	}
}

// A channel that is created without a session holds nothing of the last one.
func TestChannelCreatedAfterDestroyHoldsNoFsdev(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	b.Chans[1].Put()
	b.PollThreads()
	b.Expect(b.StartDestroy(0), 0)
	if b.Chans[1] = b.D.IOChannel(b.Threads[1]); b.Chans[1] == nil {
		t.Fatal("got no channel")
	}
	b.RemoveFS()
	b.FS = newFakeFS(t, b.T, fsName)
	b.Expect(b.StartInit(1), 0)
	if got := b.Probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
}

// A channel that is created while the fsdev has none for its thread fails.
func TestChannelIsRefusedWhenTheFsdevHasNone(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Chans[1].Put()
	b.PollThreads()
	b.Init(45)
	b.FS.Refuse = func(on *reactor.Thread) bool { return on == b.Threads[1] }
	if b.Chans[1] = b.D.IOChannel(b.Threads[1]); b.Chans[1] != nil {
		t.Error("got a channel")
	}
	b.FS.Refuse = nil
	if b.Chans[1] = b.D.IOChannel(b.Threads[1]); b.Chans[1] == nil {
		t.Fatal("got no channel")
	}
	if got := b.Probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
}

func TestMountAndUmountWaitForAFreeIO(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	for range 2 {
		release := b.Exhaust()
		r := b.StartInit(0)
		for range 50 {
			b.PollOnce()
		}
		if r.Done != 0 {
			t.Error("INIT is over without a MOUNT")
		}
		release()
		b.Expect(r, 0)
		release = b.Exhaust()
		r = b.StartDestroy(0)
		for range 50 {
			b.PollOnce()
		}
		if r.Done != 0 {
			t.Error("DESTROY is over without an UMOUNT")
		}
		release()
		b.Expect(r, 0)
	}
}

func TestDestroyWaitsForUmount(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	var held *fsdev.IO
	b.FS.Umount = func(io *fsdev.IO) { held = io }
	r := b.StartDestroy(1)
	b.ExpectNone(r)
	if got := b.Probe(); got != syscall.ENOTCONN {
		t.Errorf("during DESTROY requests get %v", got)
	}
	b.FS.Umounted(held)
	b.Expect(r, 0)
}

// Teardown aborts what is in flight and waits for what cannot be aborted.
func TestTeardownDrains(t *testing.T) {
	for _, how := range []string{"DESTROY", "INIT", "REMOVE", "Delete"} {
		for _, abortable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, abortable %v", how, abortable), func(t *testing.T) {
				b := newBed(t, 3, fusedispatcher.Opts{})
				b.Init(45)
				b.FS.Do = b.FS.Hold
				if !abortable {
					b.FS.Abort = func(io *fsdev.IO) { io.Complete(syscall.EALREADY) }
				}
				var w []*reply
				for i := range 9 {
					w = append(w, b.Start(i%3, FUSE_SETLKW, node, 16,
						Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK})))
				}
				var r *reply
				var deleted **syscall.Errno
				var gone *bool
				switch how {
				case "DESTROY":
					r = b.StartDestroy(1)
				case "INIT":
					r = b.StartInit(1)
				case "REMOVE":
					gone = b.StartRemoveFS()
				case "Delete":
					b.PollThreads()
					deleted = b.StartDelete(b.Threads[2])
				}
				over := func() bool {
					switch {
					case r != nil:
						return r.Done == 1 && r.Errno == 0
					case gone != nil:
						return *gone && b.Events == 1
					}
					b.PutChannels()
					b.PollThreads()
					return *deleted != nil && **deleted == 0
				}
				b.PollThreads()
				if !abortable {
					late := b.Start(2, FUSE_STATFS, node, 96)
					b.Expect(late, syscall.ENOTCONN)
					if r != nil {
						b.ExpectNone(r)
					}
					b.FS.Release(0)
					b.PollThreads()
				}
				for _, w := range w {
					want := syscall.Errno(0)
					if abortable {
						want = syscall.EINTR
					}
					b.Expect(w, want)
				}
				if !over() {
					t.Errorf("%s is not over", how)
				}
				if how == "REMOVE" {
					b.FS = newFakeFS(t, b.T, fsName)
				}
				if how == "Delete" {
					b.Recreate()
				}
			})
		}
	}
}

// Blocked requests that hold all the IO there is are aborted one by one, as IO comes free.
func TestTeardownAbortsWithAnEmptyPool(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.Init(45)
	b.FS.Do = b.FS.Hold
	var w []*reply
	for range 40 {
		w = append(w, b.Start(0, FUSE_SETLKW, node, 16,
			Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK})))
	}
	release := b.Exhaust()
	r := b.StartDestroy(0)
	for range 50 {
		b.PollOnce()
	}
	release()
	b.Expect(r, 0)
	for _, w := range w {
		b.Expect(w, syscall.EINTR)
	}
}

// A request that cannot be aborted is asked once, and does not keep the others from it.
func TestTeardownAsksEveryRequestOnce(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.Init(45)
	b.FS.Do = b.FS.Hold
	for range 40 {
		b.Start(0, FUSE_STATFS, node, 96)
	}
	asked := map[*fsdev.IO]int{}
	b.FS.Abort = func(io *fsdev.IO) {
		asked[io.Target]++
		io.Complete(syscall.EALREADY)
	}
	r := b.StartDestroy(0)
	for range 50 {
		b.PollOnce()
	}
	for _, io := range b.FS.Pending {
		if asked[io] != 1 {
			t.Fatalf("a request was aborted %d times", asked[io])
		}
	}
	b.FS.Release(0)
	b.Expect(r, 0)
}

// A request of several operations is aborted whichever is under way, also one that begins during the teardown.
func TestTeardownAbortsEveryOperationOfARequest(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	b.FS.Do = b.FS.Hold
	w := b.Start(1, FUSE_BATCH_FORGET, node, 0, Bytes(&BatchForgetIn{Count: 5}), forgets(9, 1, 9, 2, 9, 3, 9, 4, 9, 5))
	r := b.StartDestroy(0)
	b.Expect(r, 0)
	b.Expect(w, syscall.EINTR)
	if n := len(b.FS.Calls); n != 5 {
		t.Errorf("the module was asked %d times to forget, want 5", n)
	}
}

func TestRemove(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.Init(45)
	b.RemoveFS()
	if got := b.Probe(); got != syscall.ENOTCONN || b.Events != 1 || b.FS.Mounts != 0 {
		t.Errorf("afterwards requests get %v, %d events, %d mounts", got, b.Events, b.FS.Mounts)
	}
	b.Expect(b.StartInit(2), syscall.ENODEV)
	b.FS = newFakeFS(t, b.T, fsName)
	b.Expect(b.StartInit(2), 0)
	if got := b.Probe(); got != 0 || b.Events != 1 {
		t.Errorf("with a new fsdev requests get %v, %d events", got, b.Events)
	}
}

func TestRemoveWithoutASessionIsNoConcern(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.Init(45)
	b.Expect(b.StartDestroy(0), 0)
	b.RemoveFS()
	if b.Events != 0 {
		t.Errorf("%d events", b.Events)
	}
	b.FS = newFakeFS(t, b.T, fsName)
}

func TestRemoveDuringInit(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.ENODEV} {
		b := newBed(t, 3, fusedispatcher.Opts{})
		var held *fsdev.IO
		b.FS.Mount = func(io *fsdev.IO) { held = io }
		r := b.StartInit(1)
		b.ExpectNone(r)
		gone := b.StartRemoveFS()
		b.ExpectNone(r)
		if *gone || b.Events != 0 {
			t.Error("the fsdev went during INIT")
		}
		if errno == 0 {
			b.FS.Mounted(held)
		} else {
			held.Complete(errno)
		}
		b.Expect(r, errno)
		if !*gone || b.Events != 1 || b.FS.Mounts != 0 {
			t.Errorf("gone %v, %d events, %d mounts", *gone, b.Events, b.FS.Mounts)
		}
		b.FS = newFakeFS(t, b.T, fsName)
	}
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(b *bed) *reply // what is under way
		want syscall.Errno       // of that
	}{
		{"unused", func(*bed) *reply { return nil }, 0},
		{"with a session", func(b *bed) *reply { b.Init(45); return nil }, 0},
		{"after DESTROY", func(b *bed) *reply { b.Init(45); return b.Do(0, FUSE_DESTROY, 0, 16) }, 0},
		{"right after INIT was sent", func(b *bed) *reply { return b.StartInit(1) }, 0},
		{"right after DESTROY was sent", func(b *bed) *reply { b.Init(45); return b.StartDestroy(1) }, 0},
	} {
		for on := range 3 {
			t.Run(fmt.Sprintf("%s, on thread %d", tt.name, on), func(t *testing.T) {
				b := newBed(t, 3, fusedispatcher.Opts{})
				r := tt.prep(b)
				first, second := b.StartDelete(b.Threads[on]), b.StartDelete(b.Threads[0])
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
				if r != nil && (r.Done != 1 || r.Errno != tt.want && r.Errno != syscall.ENODEV) {
					t.Errorf("opcode %d completed %d times with %v", r.Hdr.Opcode, r.Done, r.Errno)
				}
				if got := b.Probe(); got != syscall.ENOTCONN {
					t.Errorf("afterwards requests get %v", got)
				}
				b.Expect(b.StartInit(1), syscall.ENODEV)
				b.Expect(b.StartDestroy(2), 0)
				b.PutChannels()
				b.PollThreads()
				if *first == nil || **first != 0 {
					t.Errorf("Delete: %v", *first)
				}
				if ch := b.D.IOChannel(b.T); ch != nil {
					t.Error("a deleted dispatcher gave a channel")
				}
				b.Recreate()
			})
		}
	}
}

func TestDeleteDuringInitAndRemove(t *testing.T) {
	t.Run("INIT", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		var held *fsdev.IO
		b.FS.Mount = func(io *fsdev.IO) { held = io }
		r := b.StartInit(1)
		b.ExpectNone(r)
		deleted := b.StartDelete(b.Threads[1])
		b.ExpectNone(r)
		b.FS.Mounted(held)
		b.Expect(r, 0)
		b.PutChannels()
		b.PollThreads()
		if *deleted == nil || **deleted != 0 {
			t.Errorf("Delete: %v", *deleted)
		}
		b.FS.Mount = nil
		b.Recreate()
	})
	t.Run("REMOVE", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		b.Init(45)
		var held *fsdev.IO
		b.FS.Umount = func(io *fsdev.IO) { held = io }
		gone := b.StartRemoveFS()
		b.PollThreads()
		deleted := b.StartDelete(b.Threads[1])
		b.PutChannels()
		b.PollThreads()
		if *deleted != nil || *gone {
			t.Error("Delete did not wait for the REMOVE")
		}
		b.FS.Umounted(held)
		b.PollThreads()
		if *deleted == nil || **deleted != 0 || !*gone {
			t.Errorf("Delete: %v, gone %v", *deleted, *gone)
		}
		b.FS = newFakeFS(t, b.T, fsName)
		b.Recreate()
	})
	t.Run("from the event", func(t *testing.T) {
		b := newBed(t, 2, fusedispatcher.Opts{})
		var deleted bool
		d, err := fusedispatcher.Create(b.T, fusedispatcher.Opts{FsdevName: fsName, MaxRequests: 16,
			Event: func(on *reactor.Thread, d *fusedispatcher.Dispatcher, _ any) {
				d.Delete(on, func(*reactor.Thread, any, syscall.Errno) { deleted = true }, nil)
			}})
		if err != nil {
			t.Fatal(err)
		}
		old, oldChans := b.D, b.Chans
		b.D, b.Chans = d, nil
		for _, on := range b.Threads {
			b.Chans = append(b.Chans, d.IOChannel(on))
		}
		b.Init(45)
		b.PutChannels()
		b.RemoveFS()
		if !deleted {
			t.Error("not deleted")
		}
		b.D, b.Chans = old, oldChans
		b.FS = newFakeFS(t, b.T, fsName)
	})
}

// The control thread needs no channel of the dispatcher.
func TestControlThreadWithoutAChannel(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.Chans[0].Put()
	b.Chans[0] = nil
	b.PollThreads()
	b.Expect(b.StartInit(1), 0)
	if got := b.Probe(); got != 0 {
		t.Errorf("requests get %v", got)
	}
	b.Expect(b.StartDestroy(2), 0)
	b.Expect(b.StartInit(2), 0)
}

// Without its control thread a dispatcher serves nobody, but says so.
func TestControlThreadHasExited(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	d, err := fusedispatcher.Create(b.Threads[1], fusedispatcher.Opts{FsdevName: fsName, MaxRequests: 16})
	if err != nil {
		t.Fatal(err)
	}
	old, oldChans := b.D, b.Chans
	oldChans[1].Put()
	oldChans[1] = nil
	b.D, b.Chans = d, []*iochannel.Channel{d.IOChannel(b.T)}
	b.PollThreads()
	b.Threads[1].Exit()
	if b.PollThreads(); !b.Threads[1].IsExited() {
		t.Fatalf("held by %s", b.Threads[1].Holding())
	}
	b.Expect(b.StartInit(0), syscall.ENODEV)
	b.Expect(b.StartDestroy(0), syscall.ENODEV)
	if errno := b.Delete(b.T); errno == nil || *errno != syscall.ENODEV {
		t.Errorf("Delete: %v", errno)
	}
	b.PutChannels()
	b.D, b.Chans = old, oldChans
}

// Whenever a channel is created during INIT or DESTROY, it works, or does not, like the others.
func TestChannelIsCreatedAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(b *bed, k int) {
		b.Chans[k].Put()
		b.Chans[k] = nil
		b.PollThreads()
	}, func(b *bed, k int) {
		if b.Chans[k] = b.D.IOChannel(b.Threads[k]); b.Chans[k] == nil {
			b.TB.Error("got no channel")
		}
	})
}

func TestChannelIsPutAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(*bed, int) {}, func(b *bed, k int) {
		b.Chans[k].Put()
		b.Chans[k] = nil
	})
}

func TestChannelIsPutAndRevivedAtAnyTime(t *testing.T) {
	testChannelAtAnyTime(t, func(*bed, int) {}, func(b *bed, k int) {
		b.Chans[k].Put()
		if b.Chans[k] = b.D.IOChannel(b.Threads[k]); b.Chans[k] == nil {
			b.TB.Error("got no channel")
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
			for _, request := range []func(int) *reply{b.StartInit, b.StartInit, b.StartDestroy, b.StartInit} {
				r := request(requester)
				for r.Done == 0 {
					for _, on := range b.Threads {
						if step == at {
							change(b, k)
						}
						step++
						b.Poll(on)
					}
				}
				b.Expect(r, 0)
			}
			if got := b.Probe(); got != 0 {
				t.Errorf("thread %d, step %d: requests get %v", k, at, got)
			}
			if t.Failed() {
				t.Fatalf("thread %d, step %d", k, at)
			}
			if step <= at {
				if b.Chans[k] == nil {
					b.Chans[k] = b.D.IOChannel(b.Threads[k])
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
		r := b.StartInit(1)
		step := 0
		var sent []*reply
		for r.Done == 0 {
			for _, on := range b.Threads {
				if step == at {
					for i := range threads {
						sent = append(sent, b.Start(i, FUSE_STATFS, node, 96))
					}
				}
				step++
				b.Poll(on)
			}
		}
		b.PollThreads()
		for _, s := range sent {
			if s.Done != 1 || s.Errno != 0 && s.Errno != syscall.ENOTCONN {
				t.Errorf("step %d: completed %d times with %v", at, s.Done, s.Errno)
			}
		}
		if step <= at {
			return
		}
	}
}

func TestTooManyRequestsAreENOBUFS(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{MaxRequests: 8})
	b.FS.Do = b.FS.Hold
	for range 8 {
		b.Start(0, FUSE_STATFS, node, 96)
	}
	m := b.Message(FUSE_STATFS, node)
	errno := b.D.SubmitRequest(b.Chans[0], [][]byte{m}, nil, func(any, syscall.Errno, uint32) {
		t.Error("a refused request completed")
	}, nil)
	if !errors.Is(errno, syscall.ENOBUFS) {
		t.Errorf("got %v", errno)
	}
	b.FS.Release(0)
	b.PollThreads()
	b.FS.Do = nil
	b.Do(0, FUSE_STATFS, node, 96)
}

// A completion may submit the next request, also while its channel is being drained.
func TestCompletionSubmitsTheNextRequest(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = b.FS.Hold
	m := b.Message(FUSE_STATFS, node)
	out := [][]byte{make([]byte, 96)}
	var got []syscall.Errno
	var again fusedispatcher.SubmitCplFunc
	again = func(_ any, errno syscall.Errno, _ uint32) {
		if got = append(got, errno); len(got) < 5 {
			if errno := b.D.SubmitRequest(b.Chans[0], [][]byte{m}, out, again, nil); errno != 0 {
				t.Error(errno)
			}
		}
	}
	b.D.SubmitRequest(b.Chans[0], [][]byte{m}, out, again, nil)
	b.FS.Release(0)
	r := b.StartDestroy(0)
	b.Expect(r, 0)
	want := []syscall.Errno{0, syscall.EINTR, syscall.ENOTCONN, syscall.ENOTCONN, syscall.ENOTCONN}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
