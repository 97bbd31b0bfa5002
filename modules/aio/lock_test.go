package aio_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// pending is the answer of an operation that has no other than its errno.
type pending struct {
	done  bool
	errno syscall.Errno
}

func ended(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	p := ctx.(*pending)
	p.done, p.errno = true, errno
}

// setlk starts a SETLK of an owner.
func (c *client) setlk(obj fsdev.FileObject, h fsdev.FileHandle, owner uint64, typ uint32, start, end uint64, wait bool,
	unique uint64) *pending {
	c.Helper()
	p := new(pending)
	k := fsdev.Lock{Type: typ, PID: uint32(owner), Start: start, End: end}
	if errno := c.desc.Setlk(c.ch, unique, obj, h, owner, &k, wait, ended, p); errno != 0 {
		c.Fatal(errno)
	}
	return p
}

// wantEnd waits for the end of an operation.
func (c *client) wantEnd(what string, p *pending, errno syscall.Errno) {
	c.Helper()
	c.until(func() bool { return p.done })
	if p.errno != errno {
		c.Errorf("%s: %v, want %v", what, p.errno, errno)
	}
}

// fopen returns a handle of a file.
func (c *client) fopen(obj fsdev.FileObject, flags uint32) (h fsdev.FileHandle) {
	c.Helper()
	done := false
	if errno := c.desc.Fopen(c.ch, 0, obj, flags, func(_ any, _ *iochannel.Channel, errno syscall.Errno,
		got fsdev.FileHandle) {
		if errno != 0 {
			c.Error(errno)
		}
		done, h = true, got
	}, nil); errno != 0 {
		c.Fatal(errno)
	}
	c.until(func() bool { return done })
	return h
}

// TestByteRangeLocks has two clients lock a file, by names of its own each: it is one file, and what one has the other
// waits for, until whatever ends it.
func TestByteRangeLocks(t *testing.T) {
	const rd, wr, un = syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(t, os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "link")))
	r := newRig(t, aio.Opts{Root: dir})
	a, b := direct(t, r), direct(t, r)
	fa, fb := a.lookup("file"), b.lookup("link")
	ha, hb := a.fopen(fa, syscall.O_RDWR), b.fopen(fb, syscall.O_RDWR)

	a.wantEnd("lock", a.setlk(fa, ha, 1, wr, 0, 9, false, 0), 0)
	b.wantEnd("the same bytes", b.setlk(fb, hb, 1, rd, 5, 20, false, 0), syscall.EAGAIN)
	k := fsdev.Lock{Type: wr, Start: 3, End: math.MaxInt64}
	asked := false
	b.desc.Getlk(b.ch, 0, fb, hb, 1, &k, func(_ any, _ *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
		asked = true
		if want := (fsdev.Lock{Type: wr, PID: 1, End: 9}); errno != 0 || *l != want {
			t.Errorf("GETLK: %v, %+v, want %+v", errno, *l, want)
		}
	}, nil)
	r.until(func() bool { return asked })

	waits := func(unique uint64) *pending {
		t.Helper()
		p := b.setlk(fb, hb, 1, wr, 5, 20, true, unique)
		for range 100 {
			r.t.Poll(0, 0)
		}
		if p.done {
			t.Fatalf("did not wait: %v", p.errno)
		}
		return p
	}
	p := waits(1)
	a.wantEnd("unlock", a.setlk(fa, ha, 1, un, 5, 5, false, 0), 0)
	a.wantEnd("unlock the rest", a.setlk(fa, ha, 1, un, 0, 100, false, 0), 0)
	b.wantEnd("waiting for an unlock", p, 0)

	// A circle.
	a.wantEnd("lock", a.setlk(fa, ha, 1, wr, 50, 50, false, 0), 0)
	p = b.setlk(fb, hb, 1, wr, 50, 50, true, 2)
	a.wantEnd("who would wait for himself", a.setlk(fa, ha, 1, wr, 20, 20, true, 0), syscall.EDEADLK)
	b.desc.Abort(b.ch, 2, ended, new(pending))
	b.wantEnd("aborted", p, syscall.EINTR)

	// FLUSH, RELEASE and UMOUNT.
	b.wantEnd("unlock", b.setlk(fb, hb, 1, un, 0, math.MaxInt64, false, 0), 0)
	a.wantEnd("lock", a.setlk(fa, ha, 1, wr, 0, 9, false, 0), 0)
	p = waits(3)
	q := new(pending)
	a.desc.Flush(a.ch, 0, fa, ha, 1, ended, q)
	a.wantEnd("FLUSH", q, 0)
	b.wantEnd("waiting for a FLUSH", p, 0)

	b.wantEnd("unlock", b.setlk(fb, hb, 1, un, 0, math.MaxInt64, false, 0), 0)
	a.wantEnd("lock", a.setlk(fa, ha, 1, wr, 0, 9, false, 0), 0)
	p, q = waits(4), new(pending)
	a.desc.Release(a.ch, 0, fa, ha, ended, q)
	a.wantEnd("RELEASE", q, 0)
	b.wantEnd("waiting for a RELEASE", p, 0)

	b.wantEnd("unlock", b.setlk(fb, hb, 1, un, 0, math.MaxInt64, false, 0), 0)
	a.wantEnd("lock without a handle", a.setlk(fa, 0, 1, wr, 0, 9, false, 0), 0)
	p, q = waits(5), new(pending)
	a.desc.Umount(a.ch, 0, ended, q)
	a.wantEnd("UMOUNT", q, 0)
	b.wantEnd("waiting for an UMOUNT", p, 0)

	ro := b.fopen(fb, syscall.O_RDONLY)
	b.wantEnd("not opened to write", b.setlk(fb, ro, 1, wr, 0, 0, false, 0), syscall.EBADF)
	b.wantEnd("opened to read", b.setlk(fb, ro, 1, rd, 30, 30, false, 0), 0)
	b.wantEnd("nonsense", b.setlk(fb, ro, 1, rd, 2, 1, false, 0), syscall.EINVAL)

	// The host is another matter.
	host, err := os.OpenFile(filepath.Join(dir, "file"), os.O_RDWR, 0)
	must(t, err)
	must(t, syscall.FcntlFlock(host.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: wr}))
	must(t, host.Close())
}

// TestLocksOfAnExportAreBounded pins that all files together have a limit, and that forgetting a file that is locked
// without a handle gives its locks back.
func TestLocksOfAnExportAreBounded(t *testing.T) {
	const most = 10
	dir := tempDir(t, "")
	for i := range 2 * most {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
	}
	r := newRig(t, aio.Opts{Root: dir, Locks: most})
	c := direct(t, r)
	for round := range 3 {
		var objs []fsdev.FileObject
		for i := range most {
			obj := c.lookup(fmt.Sprint(i))
			objs = append(objs, obj)
			c.wantEnd(fmt.Sprint("round ", round, ", file ", i), c.setlk(obj, 0, 1, syscall.F_WRLCK, 0, 9, false, 0), 0)
		}
		more := c.lookup(fmt.Sprint(most))
		c.wantEnd("one more", c.setlk(more, 0, 1, syscall.F_WRLCK, 0, 9, false, 0), syscall.ENOLCK)
		p := new(pending)
		c.desc.Flock(c.ch, 0, more, 0, syscall.LOCK_SH|syscall.LOCK_NB, 1, ended, p)
		c.wantEnd("one flock more", p, syscall.ENOLCK)
		for _, obj := range append(objs, more) {
			p := new(pending)
			c.desc.Forget(c.ch, 0, obj, 1, ended, p)
			c.wantEnd("FORGET", p, 0)
		}
	}
}
