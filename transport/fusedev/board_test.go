package fusedev

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const boardRoot = fsdev.FileObject(1) << 32

// boardFile is a file of a board.
type boardFile struct {
	obj     fsdev.FileObject
	content []byte
	flags   [4]byte // of FS_IOC_GETFLAGS
	reads   int     // that have reached the module
	ready   bool    // for POLLIN
	key     uint64  // of the POLL that waits
	lock    fsdev.Lock
	owner   uint64
}

// board is a module for tests with a real kernel: one directory, and files that the test changes behind the kernel's
// back. It does what a test needs and nothing right beyond.
type board struct {
	t   *testing.T
	dev *iochannel.Device
	f   *fsdev.Fsdev

	mu    sync.Mutex // it is only a test
	names map[string]*boardFile
	files map[fsdev.FileObject]*boardFile
	hold  bool        // READ does not end
	held  []*fsdev.IO // because of hold
}

func (b *board) IOChannel(t *reactor.Thread) *iochannel.Channel { return b.dev.Get(t) }

func (b *board) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	b.dev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

// set gives a file its content without telling anybody.
func (b *board) set(name, content string) *boardFile {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.names[name]
	if f == nil {
		f = b.newFile()
		b.names[name] = f
	}
	f.content = []byte(content)
	return f
}

func (b *board) newFile() *boardFile {
	f := &boardFile{obj: boardRoot + fsdev.FileObject(len(b.files))<<32 + 1, lock: fsdev.Lock{Type: unix.F_UNLCK}}
	b.files[f.obj] = f
	return f
}

// with runs fn while nothing is served.
func (b *board) with(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn()
}

func (f *boardFile) attr() fsdev.Attr {
	if f == nil {
		return fsdev.Attr{Ino: 1, Mode: unix.S_IFDIR | 0o755, Nlink: 2, Blksize: 4096}
	}
	return fsdev.Attr{
		Ino: uint64(f.obj), Mode: unix.S_IFREG | 0o644, Nlink: 1, Size: uint64(len(f.content)), Blksize: 4096,
	}
}

func (b *board) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold && io.Type == fsdev.IORead {
		b.held = append(b.held, io)
		return
	}
	io.Complete(b.serve(io))
}

// release ends the READ that are held, each on its thread.
func (b *board) release() {
	b.with(func() {
		b.hold = false
		for _, io := range b.held {
			io.Ctx = b
			io.Thread().SendMsg(submitAgain, io)
		}
		b.held = nil
	})
}

func submitAgain(_ *reactor.Thread, ctx any) {
	io := ctx.(*fsdev.IO)
	io.Ctx.(*board).SubmitRequest(nil, io)
}

func (b *board) serve(io *fsdev.IO) syscall.Errno {
	f := b.files[io.Object]
	if f == nil && io.Object != boardRoot && io.Type != fsdev.IOMount && io.Type != fsdev.IOUmount {
		return unix.ESTALE
	}
	io.OutAttr, io.OutHandle = f.attr(), 1
	switch io.Type {
	case fsdev.IOMount:
		io.OutObject, io.Mount.PosixLocks, io.Mount.WritebackCache = boardRoot, true, false
	case fsdev.IOUmount, fsdev.IOForget, fsdev.IOGetattr, fsdev.IOFopen, fsdev.IORelease, fsdev.IOFlush, fsdev.IOOpendir,
		fsdev.IOReleasedir, fsdev.IOReaddir, fsdev.IOFsync:
	case fsdev.IOStatfs:
		io.OutStatfs = fsdev.Statfs{Bsize: 4096, Frsize: 4096, Namelen: 255}
	case fsdev.IOLookup:
		f = b.names[string(io.Name)]
		if f == nil {
			return unix.ENOENT
		}
		io.OutObject, io.OutAttr = f.obj, f.attr()
	case fsdev.IOTmpfile:
		f = b.newFile()
		io.OutObject, io.OutAttr = f.obj, f.attr()
	case fsdev.IORead:
		f.reads++
		rest := f.content[min(io.Offset, uint64(len(f.content))):]
		io.OutSize = 0
		for _, seg := range io.Iovs {
			n := copy(seg, rest)
			io.OutSize += uint64(n)
			rest = rest[n:]
		}
	case fsdev.IOWrite:
		f.content = f.content[:min(io.Offset, uint64(len(f.content)))]
		for _, seg := range io.Iovs {
			f.content = append(f.content, seg...)
		}
		io.OutSize = uint64(io.Size)
	default:
		return b.serveMore(io, f)
	}
	return 0
}

func (b *board) serveMore(io *fsdev.IO, f *boardFile) syscall.Errno {
	switch io.Type {
	case fsdev.IOLseek: // data, then a hole of the second half
		half := uint64(len(f.content) / 2)
		switch {
		case io.Flags == unix.SEEK_DATA && io.Offset < half:
			io.OutSize = io.Offset
		case io.Flags == unix.SEEK_HOLE:
			io.OutSize = max(half, io.Offset)
		default:
			return unix.ENXIO
		}
	case fsdev.IOStatx:
		io.OutStatx = fsdev.Statx{
			Mask: unix.STATX_BASIC_STATS | unix.STATX_BTIME, Btime: 1234, BtimeNsec: 5678, Attr: f.attr(),
		}
	case fsdev.IOIoctl:
		switch io.Flags {
		case unix.FS_IOC_GETFLAGS:
			io.OutSize, io.OutResult = uint64(copy(io.Iovs[0], f.flags[:])), 0
		case unix.FS_IOC_SETFLAGS:
			io.OutSize, io.OutResult = 0, 0
			copy(f.flags[:], io.Value)
		case 0x801c581f: // FS_IOC_FSGETXATTR, which the kernel asks for before it sets anything
			io.OutSize, io.OutResult = 0, 0
		default:
			return unix.ENOTTY
		}
	case fsdev.IOPoll:
		io.OutResult = 0
		if f.ready {
			io.OutResult = unix.POLLIN
		} else if io.Wait {
			f.key = io.Owner
		}
	case fsdev.IOGetlk:
		if f.owner != io.Owner {
			io.Lock = f.lock
		} else {
			io.Lock.Type = unix.F_UNLCK
		}
	case fsdev.IOSetlk:
		if f.owner != io.Owner && f.lock.Type != unix.F_UNLCK {
			return unix.EAGAIN
		}
		f.lock, f.owner = io.Lock, io.Owner
	case fsdev.IOCopyFileRange:
		to := b.files[io.Object2]
		to.content = append(to.content[:io.Offset2], f.content[io.Offset:io.Offset+io.Length]...)
		io.OutSize = io.Length
	case fsdev.IOAbort:
		return unix.EALREADY
	default:
		return unix.ENOSYS
	}
	return 0
}

// mounted is a board that the kernel has mounted.
type mounted struct {
	*board
	s   *Session
	d   *fusedispatcher.Dispatcher
	dir string
	ctl *reactor.Thread
	fw  *reactor.Framework
}

// threadCall is a function on its way to a thread. A closure as message would do, but not under the race detector: what
// watches out for callbacks that take long reads it.
type threadCall struct {
	fn   func(t *reactor.Thread, done func())
	done chan struct{}
}

func runThreadCall(t *reactor.Thread, ctx any) {
	c := ctx.(*threadCall)
	c.fn(t, func() { close(c.done) })
}

// onThread runs fn on a thread and waits until it calls done.
func onThread(t *reactor.Thread, fn func(t *reactor.Thread, done func())) {
	c := &threadCall{fn, make(chan struct{})}
	t.SendMsg(runThreadCall, c)
	<-c.done
}

// mountBoard mounts a board with the policy that caches for ever.
func mountBoard(t *testing.T, o Options) *mounted {
	t.Helper()
	skipIf(t, noFuseDevice)
	skipIf(t, notRoot)
	m := &mounted{
		board: &board{t: t, names: map[string]*boardFile{}, files: map[fsdev.FileObject]*boardFile{boardRoot: nil}},
		dir:   t.TempDir(),
	}
	var err error
	if m.fw, err = reactor.NewFramework(reactor.Options{Cores: []int{0, 1}, NoPin: !byRing}); err != nil {
		t.Fatal(err)
	}
	if err := m.fw.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		th, err := m.fw.CreateThread("", nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Threads = append(o.Threads, th)
	}
	m.ctl = o.Threads[0]
	onThread(m.ctl, func(th *reactor.Thread, done func()) {
		defer done()
		if err := fsdev.Initialize(th, fsdev.Opts{}); err != nil {
			t.Error(err)
		}
		if m.dev, err = iochannel.RegisterDevice[struct{}](th, m.board, "board", nil, nil); err != nil {
			t.Error(err)
		}
		if m.f, err = fsdev.Register(th, "board0", nil, m.board); err != nil {
			t.Error(err)
		}
		if m.d, err = fusedispatcher.Create(th, fusedispatcher.Opts{
			FsdevName: "board0", Cache: fusedispatcher.CacheAlways,
		}); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	o.Dispatcher, o.Mountpoint, o.Ring = m.d, m.dir, ringMode()
	if m.s, err = Mount(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.end)
	return m
}

func (m *mounted) end() {
	_ = m.s.Abort()
	select {
	case <-m.s.Done():
	case <-time.After(10 * time.Second):
		m.t.Fatal("the session does not end")
	}
	onThread(m.ctl, func(th *reactor.Thread, done func()) {
		m.d.Delete(th, func(*reactor.Thread, any, syscall.Errno) { done() }, nil)
	})
	onThread(m.ctl, func(th *reactor.Thread, done func()) {
		m.f.Unregister(th, func(*reactor.Thread, any, error) { done() }, nil)
	})
	onThread(m.ctl, func(th *reactor.Thread, done func()) {
		fsdev.Finish(th, func(*reactor.Thread, any, error) { done() }, nil)
	})
	m.fw.Stop()
}

// tell notifies the kernel and waits until it has been told.
func (m *mounted) tell(n fsdev.Notification) {
	m.t.Helper()
	before := m.s.NotifyStats()
	m.start(n)
	m.waitFor("a notification is not written", func() bool { return m.s.NotifyStats() != before })
}

func (m *mounted) start(n fsdev.Notification) {
	onThread(m.ctl, func(t *reactor.Thread, done func()) {
		m.f.Notify(t, nil, &n)
		done()
	})
}

func (m *mounted) waitFor(what string, is func() bool) {
	m.t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	m.t.Fatal(what)
}
