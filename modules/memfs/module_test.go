package memfs

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// stack is a file system behind fsdev, opened on the first of some threads that are polled by hand.
type stack struct {
	*reactortest.Harness
	tb   testing.TB
	t    *reactor.Thread
	m    *Memfs
	desc *fsdev.Desc
	ch   []*iochannel.Channel // one per thread
	root fsdev.FileObject
}

// result is what a completion was given, and how often.
type result struct {
	calls  int
	errno  syscall.Errno
	obj    fsdev.FileObject
	h      fsdev.FileHandle
	n      uint64
	attr   fsdev.Attr
	target string
	st     fsdev.Statfs
	mount  fsdev.MountOpts
	lock   fsdev.Lock
	names  []string
}

func newStack(tb testing.TB, threads int, o Opts) *stack {
	tb.Helper()
	s := &stack{Harness: reactortest.New(tb, threads), tb: tb}
	s.t = s.Threads[0]
	if o.Size == 0 {
		o.Size = 64 << 20
	}
	if err := fsdev.Initialize(s.t, fsdev.Opts{IOPoolSize: 256, IOCacheSize: 32}); err != nil {
		tb.Fatal(err)
	}
	var err error
	if s.m, err = Create(s.t, "mem0", o); err != nil {
		tb.Fatal(err)
	}
	s.desc, err = fsdev.Open(s.t, "mem0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, t := range s.Threads {
		s.ch = append(s.ch, s.desc.IOChannel(t))
	}
	var r result
	s.must(&r, s.desc.Mount(s.ch[0], 0, &fsdev.MountOpts{MaxWrite: 12345, WritebackCache: false}, onMount, &r))
	want := fsdev.MountOpts{MaxWrite: 12345, NoOpen: true, KillPriv: true, NoSync: true, PosixLocks: true,
		SecurityCtx: true, SuppGroup: true}
	if diff := cmp.Diff(want, r.mount); diff != "" {
		tb.Errorf("mount options (-want +got):\n%s", diff)
	}
	s.root = r.obj
	tb.Cleanup(func() {
		if s.m != nil && !tb.Failed() {
			s.close()
		}
	})
	return s
}

// close takes everything down and checks that the memory is gone.
func (s *stack) close() {
	s.tb.Helper()
	m := s.m
	s.m = nil
	a := m.fs.arena
	for _, ch := range s.ch {
		ch.Put()
	}
	s.PollThreads()
	s.desc.Close()
	var errs []error
	deleted := 0
	if !Delete(s.t, m, func(_ *reactor.Thread, _ any, err error) {
		deleted++
		errs = append(errs, err)
	}, nil) {
		s.tb.Error("Delete refused")
	}
	s.PollThreads()
	fsdev.Finish(s.t, func(_ *reactor.Thread, _ any, err error) { errs = append(errs, err) }, nil)
	s.PollThreads()
	if err := errors.Join(errs...); err != nil || len(errs) != 2 || deleted != 1 {
		s.tb.Errorf("closed with %v, deleted %d times", errs, deleted)
	}
	if a.mapping != nil || m.fs != nil {
		s.tb.Error("the memory of the file data is still mapped")
	}
}

// must polls until r is completed and fails the test unless all went well.
func (s *stack) must(r *result, submit syscall.Errno) {
	s.tb.Helper()
	if s.end(r, submit); r.errno != 0 {
		s.tb.Fatalf("unexpected errno %d: %v", int(r.errno), r.errno)
	}
}

func (s *stack) want(what string, r *result, submit, want syscall.Errno) {
	s.tb.Helper()
	if s.end(r, submit); r.errno != want {
		s.tb.Errorf("%s: got errno %d (%v), want %d (%v)", what, int(r.errno), r.errno, int(want), want)
	}
}

func (s *stack) end(r *result, submit syscall.Errno) {
	s.tb.Helper()
	if submit != 0 || r.calls != 0 {
		s.tb.Fatalf("submit gave %v, and %d completions before it returned", submit, r.calls)
	}
	s.PollThreads()
	if r.calls != 1 {
		s.tb.Fatalf("%d completions, want 1", r.calls)
	}
}

func (r *result) done(errno syscall.Errno) {
	r.calls++
	r.errno = errno
}

func onStatus(ctx any, _ *iochannel.Channel, errno syscall.Errno) { ctx.(*result).done(errno) }

func onMount(ctx any, _ *iochannel.Channel, errno syscall.Errno, o *fsdev.MountOpts, root fsdev.FileObject) {
	r := ctx.(*result)
	r.mount, r.obj = *o, root
	r.done(errno)
}

func onEntry(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr) {
	r := ctx.(*result)
	r.obj, r.attr = obj, *a
	r.done(errno)
}

func onAttr(ctx any, _ *iochannel.Channel, errno syscall.Errno, a *fsdev.Attr) {
	r := ctx.(*result)
	r.attr = *a
	r.done(errno)
}

func onSize(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	r := ctx.(*result)
	r.n = n
	r.done(errno)
}

func onOpen(ctx any, _ *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	r := ctx.(*result)
	r.h = h
	r.done(errno)
}

func onCreate(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr,
	h fsdev.FileHandle) {
	r := ctx.(*result)
	r.obj, r.attr, r.h = obj, *a, h
	r.done(errno)
}

func onReadlink(ctx any, _ *iochannel.Channel, errno syscall.Errno, target []byte) {
	r := ctx.(*result)
	r.target = string(target)
	r.done(errno)
}

func onStatfs(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	r := ctx.(*result)
	r.st = *st
	r.done(errno)
}

func onStatx(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statx) {
	r := ctx.(*result)
	r.n, r.attr = st.Btime, st.Attr
	r.done(errno)
}

func onPoll(ctx any, _ *iochannel.Channel, errno syscall.Errno, events uint32) {
	r := ctx.(*result)
	r.n = uint64(events)
	r.done(errno)
}

func onLock(ctx any, _ *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
	r := ctx.(*result)
	r.lock = *l
	r.done(errno)
}

func onIoctl(ctx any, _ *iochannel.Channel, errno syscall.Errno, _ int32, n uint64) {
	r := ctx.(*result)
	r.n = n
	r.done(errno)
}

func onDirent(ctx any, _ *iochannel.Channel, name []byte, _ fsdev.FileObject, _ *fsdev.Attr, _ uint64) bool {
	r := ctx.(*result)
	r.names = append(r.names, string(name))
	return true
}

func TestEveryOperation(t *testing.T) {
	s := newStack(t, 1, Opts{})
	d, ch := s.desc, s.ch[0]
	before := s.m.Statfs()
	b := func(x string) []byte { return []byte(x) }
	data := [][]byte{b("hello, "), b("world")}

	var dir, f, r result
	s.must(&dir, d.Mkdir(ch, 1, s.root, b("d"), 0o755, &fsdev.Creator{UID: 1, GID: 2}, onEntry, &dir))
	s.must(&f, d.Create(ch, 1, dir.obj, b("f"), 0o666, syscall.O_RDWR|syscall.O_EXCL,
		&fsdev.Creator{Umask: 0o22, UID: 1, GID: 2}, onCreate, &f))
	if f.attr.Mode != syscall.S_IFREG|0o644 {
		t.Errorf("mode %o", f.attr.Mode)
	}
	r = result{}
	s.must(&r, d.Write(ch, 1, f.obj, f.h, 12, 0, 0, data, onSize, &r))
	if r.n != 12 {
		t.Errorf("wrote %d", r.n)
	}
	in := [][]byte{make([]byte, 3), make([]byte, 20)}
	r = result{}
	s.must(&r, d.Read(ch, 1, f.obj, f.h, 23, 0, 0, in, onSize, &r))
	if got := string(bytes.Join(in, nil)[:r.n]); got != "hello, world" {
		t.Errorf("read %q", got)
	}
	r = result{}
	s.must(&r, d.Lookup(ch, 1, dir.obj, b("f"), onEntry, &r))
	if r.obj != f.obj || r.attr.Size != 12 {
		t.Errorf("lookup: %#x, %+v", r.obj, r.attr)
	}
	r = result{}
	s.must(&r, d.Setattr(ch, 1, f.obj, f.h, &fsdev.Attr{Size: 5}, fsdev.SetAttrSize, onAttr, &r))
	r = result{}
	s.must(&r, d.Getattr(ch, 1, f.obj, 0, onAttr, &r))
	if r.attr.Size != 5 {
		t.Errorf("size %d", r.attr.Size)
	}
	r = result{}
	s.must(&r, d.Symlink(ch, 1, dir.obj, b("l"), b("target"), &fsdev.Creator{UID: 1, GID: 2}, onEntry, &r))
	link := r.obj
	r = result{}
	s.must(&r, d.Readlink(ch, 1, link, onReadlink, &r))
	if r.target != "target" {
		t.Errorf("target %q", r.target)
	}
	var tmp result
	s.must(&tmp, d.Tmpfile(ch, 1, dir.obj, 0o600, syscall.O_RDWR, &fsdev.Creator{UID: 1, GID: 2}, onCreate, &tmp))
	r = result{}
	s.must(&r, d.Mknod(ch, 1, dir.obj, b("p"), syscall.S_IFIFO|0o600, 0, &fsdev.Creator{UID: 1, GID: 2}, onEntry, &r))
	r = result{}
	s.must(&r, d.Link(ch, 1, f.obj, s.root, b("g"), onEntry, &r))
	if r.obj != f.obj || r.attr.Nlink != 2 {
		t.Errorf("link: %#x, %+v", r.obj, r.attr)
	}
	r = result{}
	s.must(&r, d.Rename(ch, 1, s.root, b("g"), dir.obj, b("h"), unix.RENAME_NOREPLACE, onStatus, &r))
	r = result{}
	s.must(&r, d.Opendir(ch, 1, dir.obj, 0, onOpen, &r))
	dh := r.h
	for _, plus := range []bool{false, true} {
		r = result{}
		s.must(&r, d.Readdir(ch, 1, dir.obj, dh, 0, plus, onDirent, onStatus, &r))
		if got := strings.Join(r.names, " "); got != ". .. f l p h" {
			t.Errorf("directory: %q", got)
		}
	}
	r = result{}
	s.want("read through a directory's handle", &r, d.Read(ch, 1, dir.obj, dh, 4, 0, 0, in, onSize, &r), syscall.EBADF)
	r = result{}
	s.want("readdir through a file's handle", &r, d.Readdir(ch, 1, f.obj, f.h, 0, false, onDirent, onStatus, &r),
		syscall.EBADF)
	r = result{}
	s.want("release of a directory", &r, d.Release(ch, 1, dir.obj, dh, onStatus, &r), syscall.EBADF)
	r = result{}
	s.must(&r, d.Fsyncdir(ch, 1, dir.obj, dh, false, onStatus, &r))
	r = result{}
	s.must(&r, d.Releasedir(ch, 1, dir.obj, dh, onStatus, &r))
	r = result{}
	s.must(&r, d.Setxattr(ch, 1, f.obj, b("user.x"), b("value"), 0, onStatus, &r))
	r = result{}
	s.must(&r, d.Getxattr(ch, 1, f.obj, b("user.x"), in, 10, onSize, &r))
	if r.n != 5 || string(in[0])+string(in[1][:2]) != "value" {
		t.Errorf("attribute %q", in)
	}
	r = result{}
	s.must(&r, d.Listxattr(ch, 1, f.obj, in, 0, onSize, &r))
	if r.n != 7 {
		t.Errorf("list of %d bytes", r.n)
	}
	r = result{}
	s.must(&r, d.Removexattr(ch, 1, f.obj, b("user.x"), onStatus, &r))
	r = result{}
	s.must(&r, d.Fallocate(ch, 1, f.obj, f.h, 0, 0, 10000, onStatus, &r))
	r = result{}
	s.must(&r, d.CopyFileRange(ch, 1, f.obj, f.h, 0, f.obj, f.h, 5000, 5, 0, onSize, &r))
	if r.n != 5 {
		t.Errorf("copied %d", r.n)
	}
	r = result{}
	s.must(&r, d.Lseek(ch, 1, f.obj, f.h, 1, unix.SEEK_HOLE, onSize, &r))
	if r.n != 8192 { // the third page has not been written
		t.Errorf("a hole at %d", r.n)
	}
	r = result{}
	s.must(&r, d.Statx(ch, 1, f.obj, 0, 0, unix.STATX_BTIME, onStatx, &r))
	if r.n == 0 || r.attr.Size != 10000 {
		t.Errorf("born at %d, %+v", r.n, r.attr)
	}
	r = result{}
	s.must(&r, d.Poll(ch, 1, f.obj, f.h, unix.POLLIN|unix.POLLOUT|unix.POLLPRI, 0, true, onPoll, &r))
	if r.n != unix.POLLIN|unix.POLLOUT {
		t.Errorf("ready for %#x", r.n)
	}
	r = result{}
	s.want("ioctl", &r, d.Ioctl(ch, 1, f.obj, f.h, unix.FS_IOC_GETFLAGS, 0, nil, in, 8, onIoctl, &r), syscall.ENOTTY)
	r = result{}
	s.must(&r, d.Syncfs(ch, 1, s.root, onStatus, &r))
	r = result{}
	s.must(&r, d.Fsync(ch, 1, f.obj, 0, true, onStatus, &r))
	r = result{}
	write := &fsdev.Lock{Type: syscall.F_WRLCK, PID: 70, Start: 5, End: 9}
	s.must(&r, d.Setlk(ch, 1, f.obj, f.h, 7, write, false, onStatus, &r))
	r = result{}
	s.must(&r, d.Getlk(ch, 1, f.obj, f.h, 8, &fsdev.Lock{Type: syscall.F_RDLCK, PID: 80, End: 99}, onLock, &r))
	if r.lock != *write {
		t.Errorf("locked is %+v", r.lock)
	}
	r = result{}
	s.want("second lock", &r, d.Setlk(ch, 1, f.obj, 0, 8, write, false, onStatus, &r), syscall.EAGAIN)
	r = result{}
	s.must(&r, d.Flush(ch, 1, f.obj, f.h, 7, onStatus, &r))
	r = result{}
	s.must(&r, d.Setlk(ch, 1, f.obj, f.h, 8, write, false, onStatus, &r))
	r = result{}
	r = result{}
	s.must(&r, d.Flock(ch, 1, f.obj, f.h, syscall.LOCK_EX, 7, onStatus, &r))
	r = result{}
	s.must(&r, d.Statfs(ch, 1, s.root, onStatfs, &r))
	if used := before.Bfree - r.st.Bfree; used != 3 || r.st.Files-r.st.Ffree != 7 {
		t.Errorf("statfs %+v, %d pages used", r.st, used)
	}
	r = result{}
	s.must(&r, d.Release(ch, 1, f.obj, f.h, onStatus, &r))
	r = result{}
	s.want("read after release", &r, d.Read(ch, 1, f.obj, f.h, 4, 0, 0, in, onSize, &r), syscall.EBADF)
	r = result{}
	s.must(&r, d.Read(ch, 1, f.obj, 0, 4, 0, 0, in, onSize, &r))
	for _, name := range []string{"f", "l", "p", "h"} {
		r = result{}
		s.must(&r, d.Unlink(ch, 1, dir.obj, b(name), onStatus, &r))
	}
	r = result{}
	s.must(&r, d.Rmdir(ch, 1, s.root, b("d"), onStatus, &r))
	r = result{}
	s.must(&r, d.Forget(ch, 1, f.obj, 99, onStatus, &r))
	r = result{}
	s.want("getattr after forget", &r, d.Getattr(ch, 1, f.obj, 0, onAttr, &r), syscall.ESTALE)
	r = result{}
	s.must(&r, d.Umount(ch, 1, onStatus, &r))
	if diff := cmp.Diff(before, s.m.Statfs()); diff != "" {
		t.Errorf("space after all was removed (-before +after):\n%s", diff)
	}
}

func TestAppend(t *testing.T) {
	const appending = syscall.O_WRONLY | syscall.O_APPEND
	tests := []struct {
		what      string
		writeback bool
		open      uint32
		write     uint32
		want      string
	}{
		{"neither", false, syscall.O_WRONLY, syscall.O_WRONLY, "NEW"},
		{"open and write", false, appending, appending, "oldNEW"},
		{"switched on later", false, syscall.O_WRONLY, appending, "oldNEW"},
		{"switched off later", false, appending, syscall.O_WRONLY, "NEW"},
		{"open, and a write that does not say", false, appending, 0, "oldNEW"},
		{"client caches writes", true, appending, appending, "NEW"},
	}
	for _, tt := range tests {
		s := newStack(t, 1, Opts{})
		var r, f result
		opts := fsdev.MountOpts{WritebackCache: tt.writeback}
		s.must(&r, s.desc.Mount(s.ch[0], 0, &opts, onMount, &r))
		s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, tt.open, &fsdev.Creator{}, onCreate, &f))
		for _, w := range []struct {
			text  string
			flags uint32
		}{{"old", syscall.O_WRONLY}, {"NEW", tt.write}} {
			r = result{}
			s.must(&r, s.desc.Write(s.ch[0], 0, f.obj, f.h, 3, 0, w.flags, [][]byte{[]byte(w.text)}, onSize, &r))
		}
		b := make([]byte, 10)
		r = result{}
		s.must(&r, s.desc.Read(s.ch[0], 0, f.obj, f.h, 10, 0, 0, [][]byte{b}, onSize, &r))
		if got := string(b[:r.n]); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

// TestLockedFile checks that an operation that finds a file locked neither gets lost nor happens early, and
// can be aborted.
func TestLockedFile(t *testing.T) {
	s := newStack(t, 1, Opts{})
	n := s.m.fs.root
	if errno := n.lk.lock(); errno != 0 {
		t.Fatal(errno)
	}
	var get, aborted, abort result
	if errno := s.desc.Getattr(s.ch[0], 1, s.root, 0, onAttr, &get); errno != 0 {
		t.Fatal(errno)
	}
	if errno := s.desc.Getattr(s.ch[0], 2, s.root, 0, onAttr, &aborted); errno != 0 {
		t.Fatal(errno)
	}
	for range 10 {
		s.Threads[0].Poll(0, 0)
	}
	if get.calls+aborted.calls != 0 {
		t.Fatal("completed while the file was locked")
	}
	if errno := s.desc.Abort(s.ch[0], 2, onStatus, &abort); errno != 0 {
		t.Fatal(errno)
	}
	for range 10 {
		s.Threads[0].Poll(0, 0)
	}
	if abort.calls != 1 || abort.errno != 0 || aborted.calls != 1 || aborted.errno != syscall.EINTR || get.calls != 0 {
		t.Errorf("abort %+v, aborted %+v, other %+v", abort, aborted, get)
	}
	n.lk.unlock()
	s.PollThreads()
	if get.calls != 1 || get.errno != 0 {
		t.Errorf("after the unlock: %+v", get)
	}
}

func TestFlockAcrossThreads(t *testing.T) {
	s := newStack(t, 2, Opts{})
	var f, a, b, c, abort result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	s.must(&a, s.desc.Flock(s.ch[0], 1, f.obj, f.h, syscall.LOCK_EX, 1, onStatus, &a))
	for i, r := range []*result{&b, &c} {
		if errno := s.desc.Flock(s.ch[1], uint64(2+i), f.obj, 0, syscall.LOCK_EX, uint64(2+i), onStatus, r); errno != 0 {
			t.Fatal(errno)
		}
	}
	s.PollThreads()
	if b.calls != 0 || c.calls != 0 {
		t.Fatal("two exclusive locks")
	}
	s.must(&abort, s.desc.Abort(s.ch[1], 2, onStatus, &abort))
	if b.calls != 1 || b.errno != syscall.EINTR || c.calls != 0 {
		t.Errorf("aborted %+v, other %+v", b, c)
	}
	a = result{}
	s.must(&a, s.desc.Release(s.ch[0], 4, f.obj, f.h, onStatus, &a))
	if c.calls != 1 || c.errno != 0 {
		t.Errorf("after the holder's release: %+v", c)
	}
	// A client that unmounts leaves nobody waiting.
	b = result{}
	if errno := s.desc.Flock(s.ch[0], 5, f.obj, 0, syscall.LOCK_SH, 9, onStatus, &b); errno != 0 {
		t.Fatal(errno)
	}
	s.PollThreads()
	if b.calls != 0 {
		t.Fatal("a shared lock beside an exclusive one")
	}
	a = result{}
	s.must(&a, s.desc.Umount(s.ch[0], 6, onStatus, &a))
	if b.calls != 1 {
		t.Errorf("after umount: %+v", b)
	}
}

func TestRangeLocksAcrossThreads(t *testing.T) {
	s := newStack(t, 2, Opts{})
	var f, a, b, c, abort result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	lock := &fsdev.Lock{Type: syscall.F_WRLCK, Start: 1, End: 4}
	s.must(&a, s.desc.Setlk(s.ch[0], 1, f.obj, f.h, 1, lock, true, onStatus, &a))
	for i, r := range []*result{&b, &c} {
		if errno := s.desc.Setlk(s.ch[1], uint64(2+i), f.obj, 0, uint64(2+i), lock, true, onStatus, r); errno != 0 {
			t.Fatal(errno)
		}
	}
	s.PollThreads()
	if b.calls != 0 || c.calls != 0 {
		t.Fatal("two exclusive locks")
	}
	s.must(&abort, s.desc.Abort(s.ch[1], 2, onStatus, &abort))
	if b.calls != 1 || b.errno != syscall.EINTR || c.calls != 0 {
		t.Errorf("aborted %+v, other %+v", b, c)
	}
	a = result{}
	s.must(&a, s.desc.Flush(s.ch[0], 4, f.obj, f.h, 1, onStatus, &a))
	if c.calls != 1 || c.errno != 0 {
		t.Errorf("after the holder's FLUSH: %+v", c)
	}
	b = result{}
	if errno := s.desc.Setlk(s.ch[0], 5, f.obj, f.h, 1, lock, true, onStatus, &b); errno != 0 {
		t.Fatal(errno)
	}
	s.PollThreads()
	if b.calls != 0 {
		t.Fatal("two exclusive locks")
	}
	a = result{}
	s.must(&a, s.desc.Umount(s.ch[1], 6, onStatus, &a))
	if b.calls != 1 {
		t.Errorf("after umount: %+v", b)
	}
}

func TestTrimmer(t *testing.T) {
	s := newStack(t, 1, Opts{Size: 256 << 20})
	var f, r result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	b := make([]byte, 1<<20)
	for i := range uint64(100) {
		r = result{}
		s.must(&r, s.desc.Write(s.ch[0], 0, f.obj, f.h, 1<<20, i<<20, 0, [][]byte{b}, onSize, &r))
	}
	r = result{}
	s.must(&r, s.desc.Setattr(s.ch[0], 0, f.obj, 0, &fsdev.Attr{}, fsdev.SetAttrSize, onAttr, &r))
	for range 100 {
		s.Advance(trimPeriod)
		s.PollThreads()
	}
	if got := s.m.fs.arena.touched.Load(); got > trimKeep {
		t.Errorf("%d pages are kept, want %d at most", got, trimKeep)
	}
	ch := s.m.iodev.Get(s.t)
	if iochannel.Ctx[channel](ch).trimming {
		t.Error("the trimmer runs on")
	}
	ch.Put()
}

func TestCreateErrors(t *testing.T) {
	s := newStack(t, 1, Opts{})
	for _, tt := range []struct {
		what string
		name string
		o    Opts
		want syscall.Errno
	}{
		{"name taken", "mem0", Opts{Size: 1 << 20}, syscall.EEXIST},
		{"no name", "", Opts{Size: 1 << 20}, syscall.EINVAL},
		{"huge", "mem1", Opts{Size: 1 << 62}, syscall.ENOMEM},
		{"more than huge", "mem1", Opts{Size: 1<<64 - 1}, syscall.EINVAL},
		{"inodes", "mem1", Opts{Size: 1 << 20, Inodes: 1 << 40}, syscall.EINVAL},
		{"handles", "mem1", Opts{Size: 1 << 20, Handles: -1}, syscall.EINVAL},
	} {
		if _, err := Create(s.t, tt.name, tt.o); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
}

// TestDestructFreesAll makes and deletes file systems with contents: nothing may stay.
func TestDestructFreesAll(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	for range 3 {
		s := newStack(t, 2, Opts{})
		var f, r result
		s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
		s.must(&r, s.desc.Write(s.ch[1], 0, f.obj, f.h, 4, 1<<30, 0, [][]byte{[]byte("data")}, onSize, &r))
		s.close()
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
}
