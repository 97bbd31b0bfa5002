package aio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestOwnChangesAreNotTold has a client do all that a host can do.
func TestOwnChangesAreNotTold(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			w := newWatchRig(t, aio.Opts{Root: tempDir(t, p.dir)})
			e := w.ok(w.create(root, "file", syscall.O_RDWR)).r
			for i := range 100 {
				w.ok(w.write(e.Entry.Node, e.Handle, uint64(i)*4096, make([]byte, 4096)))
			}
			d := w.ok(w.mkdir(root, "dir")).r.Entry.Node
			for _, op := range []opFunc{
				func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
					return w.c.Setattr(e.Entry.Node, 0, &fsdev.Attr{Mode: 0o600}, fsdev.SetAttrMode, fn, ctx)
				},
				func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
					return w.c.Rename(root, "file", d, "moved", 0, fn, ctx)
				},
				func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
					return w.c.Link(e.Entry.Node, root, "second", fn, ctx)
				},
				w.unlink(root, "second"),
				w.release(e.Entry.Node, e.Handle),
				w.unlink(d, "moved"),
				func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return w.c.Rmdir(root, "dir", fn, ctx) },
			} {
				w.ok(op)
			}
			before := aio.Watched(w.a).Sent
			if diff := cmp.Diff([]loopback.Notification(nil), w.flush()); diff != "" {
				t.Errorf("told of its own changes:\n%s", diff)
			}
			if n := aio.Watched(w.a).Sent - before; n > 10 { // flush has a name, its directory and nothing else
				t.Errorf("%d notifications about one change of the host", n)
			}
		})
	}
}

// TestWhoIsToldOfHostChanges has two clients, which know different files.
func TestWhoIsToldOfHostChanges(t *testing.T) {
	dir := tempDir(t, "")
	for _, name := range []string{"both", "one", "other", "nobody"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	w := newWatchRig(t, aio.Opts{Root: dir})
	c := direct(t, w.rig)
	var heard []fsdev.Notification
	c.desc.SetNotify(func(_ *reactor.Thread, _ *fsdev.Fsdev, n *fsdev.Notification, _ any) {
		heard = append(heard, *n)
	}, nil)
	both, one := w.ok(w.lookup(root, "both")).r.Entry.Node, w.ok(w.lookup(root, "one")).r.Entry.Node
	hisBoth, his, last := c.lookup("both"), c.lookup("other"), c.lookup("flush")
	w.flush()
	w.until(func() bool { return len(heard) > 0 && heard[len(heard)-1].Object == last })
	heard = nil
	w.host.run("chmod 600 both; chmod 600 one; chmod 600 other; chmod 600 nobody")
	if diff := cmp.Diff([]loopback.Notification{invalAttr(both), invalAttr(one)}, w.flush()); diff != "" {
		t.Errorf("one is told (-want +got):\n%s", diff)
	}
	attr := func(obj fsdev.FileObject) fsdev.Notification {
		return fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: obj, Offset: fsdev.NoData}
	}
	w.until(func() bool { return len(heard) > 2 })
	if diff := cmp.Diff([]fsdev.Notification{attr(hisBoth), attr(his)}, heard[:2]); diff != "" {
		t.Errorf("the other is told (-want +got):\n%s", diff)
	}
	// He forgets.
	done := false
	c.desc.Forget(c.ch, 0, his, 1, func(any, *iochannel.Channel, syscall.Errno) { done = true }, nil)
	w.until(func() bool { return done })
	w.until(func() bool { // the watcher may still have it in its hands
		n, _ := aio.Counts(w.a)
		return n == 4 && aio.WatchedNodes(w.a) == n // all but "nobody" and his "other"
	})
}

// TestChangesOfNewFilesAreToldAgain has a file change that a client has just looked up: its kernel may not know it yet.
func TestChangesOfNewFilesAreToldAgain(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	w := newWatchRig(t, aio.Opts{Root: dir})
	aio.SetFresh(w.a, sys.TicksHz()/20)
	n := w.ok(w.lookup(root, "file")).r.Entry.Node
	w.host.run("chmod 600 file")
	w.until(func() bool { return len(w.told) == 2 })
	if diff := cmp.Diff([]loopback.Notification{invalAttr(n), invalData(n)}, w.told); diff != "" {
		t.Errorf("told in the end (-want +got):\n%s", diff)
	}
}

// TestHostStorm has the host make more changes than anybody has room for.
func TestHostStorm(t *testing.T) {
	names := 100_000
	if testing.Short() {
		names = 20_000
	}
	w := newWatchRig(t, aio.Opts{Root: tempDir(t, "/dev/shm")})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	told, looked := 0, 10_000
	w.c.OnNotify(func(_ any, n *loopback.Notification) {
		told++
		if n.Node == w.flushes {
			w.told = append(w.told, *n)
		}
	}, nil)
	before := heap()
	storm := newHost(t, w.dir)
	_, err := fmt.Fprintf(storm.in, "i=0; while [ $i -lt %d ]; do : > f$i; i=$((i+1)); done; echo done\n", names)
	must(t, err)
	ended := make(chan string, 1)
	go func() {
		line, _ := storm.out.ReadString('\n')
		ended <- line
	}()
	peak := before
	w.until(func() bool {
		if told >= looked {
			peak = max(peak, heap())
			looked += 10_000
		}
		select {
		case line := <-ended:
			return line == "done\n"
		default:
			return false
		}
	})
	w.flush()
	c := aio.Watched(w.a)
	t.Logf("%d changes, %d notifications, %+v, %d KiB more at most", names, told, c, (peak-before)>>10)
	if c.Overflows == 0 && told < names {
		t.Errorf("%d notifications of %d new names", told, names)
	}
	if peak > before+8<<20 {
		t.Errorf("%d bytes at first, %d at most", before, peak)
	}
}

// TestLostEvents has the host change so much while nobody looks that the kernel loses some. A client is told that
// everything has changed then.
func TestLostEvents(t *testing.T) {
	dir := tempDir(t, "/dev/shm")
	const files = 600 // more than are told at a time
	for i := range files {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), nil, 0o644))
	}
	w := newWatchRig(t, aio.Opts{Root: dir})
	want := map[uint64]bool{root: true, w.flushes: true}
	for i := range files {
		want[w.ok(w.lookup(root, fmt.Sprint("file", i))).r.Entry.Node] = true
	}
	w.host.run("chmod 600 file0") // the watcher waits for the thread from here on
	w.host.run("i=0; while [ $i -lt 40000 ]; do : > flush/f$i; i=$((i+1)); done")
	epoch := false
	got := make(map[uint64]bool)
	w.until(func() bool {
		for _, n := range w.told {
			switch {
			case n.Code == loopback.NotifyIncEpoch:
				epoch = true
			case epoch && cmp.Equal(n, invalData(n.Node)):
				got[n.Node] = true
			}
		}
		w.told = w.told[:0]
		return len(got) == len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
	c := aio.Watched(w.a)
	if c.Overflows == 0 || c.Resyncs == 0 {
		t.Errorf("%+v", c)
	}
	w.flush() // and it goes on
}

// TestSlowClient has a client that takes nothing for a while: others do not wait for it for long, and it is told that
// everything has changed when it does again.
func TestSlowClient(t *testing.T) {
	w := newWatchRig(t, aio.Opts{Root: tempDir(t, "/dev/shm")})
	c := direct(t, w.rig)
	var codes []fsdev.NotifyType
	c.desc.SetNotify(func(_ *reactor.Thread, _ *fsdev.Fsdev, n *fsdev.Notification, _ any) {
		codes = append(codes, n.Type)
	}, nil)
	stuck := make(chan int, 1)
	stuck <- 1 << 20
	c.desc.SetNotifyBacklog(func(any) int { n := <-stuck; stuck <- n; return n }, nil)
	w.host.run(": > file")
	w.flush()
	w.flush() // of this one nobody is told before the watcher has lost its patience
	for _, typ := range codes {
		t.Errorf("told %d though it takes nothing", typ)
	}
	<-stuck
	stuck <- 0
	w.until(func() bool { return len(codes) == 2 })
	if diff := cmp.Diff([]fsdev.NotifyType{fsdev.NotifyInvalNames, fsdev.NotifyInvalInode}, codes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := aio.Watched(w.a).Resyncs; n != 1 {
		t.Errorf("%d resyncs", n)
	}
}

// TestDeleteWhileTheHostChanges ends an export that has more to tell.
func TestDeleteWhileTheHostChanges(t *testing.T) {
	dir := tempDir(t, "/dev/shm")
	storm := newHost(t, dir) // ends after the export
	w := newWatchRig(t, aio.Opts{Root: dir})
	_, err := fmt.Fprintln(storm.in, "i=0; while [ $i -lt 20000 ]; do : > f$i; i=$((i+1)); done")
	must(t, err)
	w.until(func() bool { return len(w.told) > 500 })
}

// TestNotifyNeeds wants errors to say what is missing.
func TestNotifyNeeds(t *testing.T) {
	needWatch(t)
	create := func(o aio.Opts) error {
		h := reactortest.New(t, 1)
		must(t, fsdev.Initialize(h.Threads[0], fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}))
		_, err := aio.Create(h.Threads[0], "aio0", o)
		return err
	}
	dir := tempDir(t, "")
	err := create(aio.Opts{Root: dir, Notify: true, Writeback: true})
	if err == nil || !strings.Contains(err.Error(), "notify and writeback") {
		t.Errorf("with writeback: %v", err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and it ends with the goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		must(t, unix.Capget(&hdr, &caps[0]))
		caps[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		must(t, unix.Capset(&hdr, &caps[0]))
		done <- create(aio.Opts{Root: dir, Notify: true})
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Errorf("without CAP_SYS_ADMIN: %v", err)
	}
	err = create(aio.Opts{Root: "/proc", Notify: true})
	if err == nil || !strings.Contains(err.Error(), "cannot be watched") {
		t.Errorf("of /proc: %v", err)
	}
}
