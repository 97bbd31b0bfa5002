package fsdev_test

import (
	"bytes"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
)

// result is what a completion was called with.
type result struct {
	Errno  syscall.Errno
	Object fsdev.FileObject
	Handle fsdev.FileHandle
	Attr   fsdev.Attr
	Size   uint64
	Target []byte
	Statfs fsdev.Statfs
	Mount  fsdev.MountOpts
	Statx  fsdev.Statx
	Lock   fsdev.Lock
	Result int32
}

// record is a completion's context.
type completions struct {
	ch  *iochannel.Channel
	tb  testing.TB
	got []result
}

func (c *completions) add(ch *iochannel.Channel, r result) {
	if ch != c.ch {
		c.tb.Errorf("completed with channel %p, want %p", ch, c.ch)
	}
	r.Target = bytes.Clone(r.Target)
	c.got = append(c.got, r)
}

func statusDone(ctx any, ch *iochannel.Channel, errno syscall.Errno) {
	ctx.(*completions).add(ch, result{Errno: errno})
}

func entryDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr) {
	ctx.(*completions).add(ch, result{Errno: errno, Object: obj, Attr: *attr})
}

func attrDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, attr *fsdev.Attr) {
	ctx.(*completions).add(ch, result{Errno: errno, Attr: *attr})
}

func readlinkDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, target []byte) {
	ctx.(*completions).add(ch, result{Errno: errno, Target: target})
}

func statfsDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	ctx.(*completions).add(ch, result{Errno: errno, Statfs: *st})
}

func sizeDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, n uint64) {
	ctx.(*completions).add(ch, result{Errno: errno, Size: n})
}

func openDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	ctx.(*completions).add(ch, result{Errno: errno, Handle: h})
}

func createDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr,
	h fsdev.FileHandle) {
	ctx.(*completions).add(ch, result{Errno: errno, Object: obj, Attr: *attr, Handle: h})
}

func mountDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, o *fsdev.MountOpts, root fsdev.FileObject) {
	ctx.(*completions).add(ch, result{Errno: errno, Mount: *o, Object: root})
}

func statxDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *fsdev.Statx) {
	ctx.(*completions).add(ch, result{Errno: errno, Statx: *st})
}

func lockDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
	ctx.(*completions).add(ch, result{Errno: errno, Lock: *l})
}

func ioctlDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, rc int32, n uint64) {
	ctx.(*completions).add(ch, result{Errno: errno, Result: rc, Size: n})
}

func pollDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, events uint32) {
	ctx.(*completions).add(ch, result{Errno: errno, Result: int32(events)})
}

// Arguments and results that differ in every field.
var (
	name    = []byte("name")
	newName = []byte("new name")
	target  = []byte("the target")
	value   = []byte("value")
	iovs    = [][]byte{make([]byte, 8), make([]byte, 9)}
	inAttr  = fsdev.Attr{Size: 101, Mode: 102, UID: 103, GID: 104, Atime: 105, Mtime: 106, AtimeNsec: 107}
	outAttr = fsdev.Attr{
		Ino: 201, Size: 202, Blocks: 203, Atime: 204, Mtime: 205, Ctime: 206, AtimeNsec: 207, MtimeNsec: 208,
		CtimeNsec: 209, Mode: 210, Nlink: 211, UID: 212, GID: 213, Rdev: 214, Blksize: 215, ValidMS: 216,
	}
	outStatfs = fsdev.Statfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}
	inMount   = fsdev.MountOpts{MaxWrite: 1 << 20, WritebackCache: true}
	outStatx  = fsdev.Statx{Mask: 1, Attributes: 2, AttributesMask: 3, Btime: 4, BtimeNsec: 5, Attr: outAttr}
	inLock    = fsdev.Lock{Type: 1, PID: 2, Start: 3, End: 4}
	outLock   = fsdev.Lock{Type: 5, PID: 6, Start: 7, End: 8}
	creator   = fsdev.Creator{
		UID: 4, GID: 5, Umask: 6, Group: 7, HasGroup: true,
		Security: []fsdev.Xattr{{Name: []byte("selinux"), Value: value}},
	}
	outMount = fsdev.MountOpts{MaxWrite: 1 << 16, NoOpen: true, KillPriv: true}
)

const unique = 77

// operation is one of the operations of a Desc: how it is called, what the module must see,
// and which results get to the completion.
type operation struct {
	call func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno
	io   fsdev.IO
	want result
}

var operations = []operation{
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Mount(ch, unique, &inMount, mountDone, c)
	}, fsdev.IO{Type: fsdev.IOMount, Mount: inMount}, result{Mount: outMount, Object: 301}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Umount(ch, unique, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOUmount}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Lookup(ch, unique, 1, name, entryDone, c)
	}, fsdev.IO{Type: fsdev.IOLookup, Object: 1, Name: name}, result{Object: 301, Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Forget(ch, unique, 1, 1<<40, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOForget, Object: 1, Nlookup: 1 << 40}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Getattr(ch, unique, 1, 2, attrDone, c)
	}, fsdev.IO{Type: fsdev.IOGetattr, Object: 1, Handle: 2}, result{Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Setattr(ch, unique, 1, 2, &inAttr, fsdev.SetAttrMode|fsdev.SetAttrSize, attrDone, c)
	}, fsdev.IO{Type: fsdev.IOSetattr, Object: 1, Handle: 2, Attr: inAttr, Flags: 1 | 1<<3}, result{Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Readlink(ch, unique, 1, readlinkDone, c)
	}, fsdev.IO{Type: fsdev.IOReadlink, Object: 1}, result{Target: target}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Symlink(ch, unique, 1, name, target, &fsdev.Creator{UID: 2, GID: 3}, entryDone, c)
	}, fsdev.IO{Type: fsdev.IOSymlink, Object: 1, Name: name, Name2: target, UID: 2, GID: 3},
		result{Object: 301, Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Mknod(ch, unique, 1, name, 2, 3, &fsdev.Creator{UID: 4, GID: 5}, entryDone, c)
	}, fsdev.IO{Type: fsdev.IOMknod, Object: 1, Name: name, Mode: 2, Rdev: 3, UID: 4, GID: 5},
		result{Object: 301, Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Mkdir(ch, unique, 1, name, 2, &fsdev.Creator{UID: 3, GID: 4}, entryDone, c)
	}, fsdev.IO{Type: fsdev.IOMkdir, Object: 1, Name: name, Mode: 2, UID: 3, GID: 4},
		result{Object: 301, Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Unlink(ch, unique, 1, name, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOUnlink, Object: 1, Name: name}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Rmdir(ch, unique, 1, name, statusDone, c)
	}, fsdev.IO{Type: fsdev.IORmdir, Object: 1, Name: name}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Rename(ch, unique, 1, name, 2, newName, 3, statusDone, c)
	}, fsdev.IO{Type: fsdev.IORename, Object: 1, Name: name, Object2: 2, Name2: newName, Flags: 3}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Link(ch, unique, 1, 2, name, entryDone, c)
	}, fsdev.IO{Type: fsdev.IOLink, Object: 1, Object2: 2, Name: name}, result{Object: 301, Attr: outAttr}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Fopen(ch, unique, 1, 2, openDone, c)
	}, fsdev.IO{Type: fsdev.IOFopen, Object: 1, Flags: 2}, result{Handle: 302}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Read(ch, unique, 1, 2, 16, 1<<40, 3, iovs, sizeDone, c)
	}, fsdev.IO{Type: fsdev.IORead, Object: 1, Handle: 2, Size: 16, Offset: 1 << 40, Flags: 3, Iovs: iovs},
		result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Write(ch, unique, 1, 2, 16, 1<<40, 3, iovs, sizeDone, c)
	}, fsdev.IO{Type: fsdev.IOWrite, Object: 1, Handle: 2, Size: 16, Offset: 1 << 40, Flags: 3, Iovs: iovs},
		result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Statfs(ch, unique, 1, statfsDone, c)
	}, fsdev.IO{Type: fsdev.IOStatfs, Object: 1}, result{Statfs: outStatfs}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Release(ch, unique, 1, 2, statusDone, c)
	}, fsdev.IO{Type: fsdev.IORelease, Object: 1, Handle: 2}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Fsync(ch, unique, 1, 2, true, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOFsync, Object: 1, Handle: 2, Datasync: true}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Setxattr(ch, unique, 1, name, value, 2, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOSetxattr, Object: 1, Name: name, Value: value, Flags: 2}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Getxattr(ch, unique, 1, name, iovs, 16, sizeDone, c)
	}, fsdev.IO{Type: fsdev.IOGetxattr, Object: 1, Name: name, Iovs: iovs, Size: 16}, result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Listxattr(ch, unique, 1, iovs, 16, sizeDone, c)
	}, fsdev.IO{Type: fsdev.IOListxattr, Object: 1, Iovs: iovs, Size: 16}, result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Removexattr(ch, unique, 1, name, statusDone, c)
	}, fsdev.IO{Type: fsdev.IORemovexattr, Object: 1, Name: name}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Flush(ch, unique, 1, 2, 3, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOFlush, Object: 1, Handle: 2, Owner: 3}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Opendir(ch, unique, 1, 2, openDone, c)
	}, fsdev.IO{Type: fsdev.IOOpendir, Object: 1, Flags: 2}, result{Handle: 302}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Readdir(ch, unique, 1, 2, 1<<40, true, noEntry, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOReaddir, Object: 1, Handle: 2, Offset: 1 << 40, Plus: true}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Releasedir(ch, unique, 1, 2, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOReleasedir, Object: 1, Handle: 2}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Fsyncdir(ch, unique, 1, 2, true, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOFsyncdir, Object: 1, Handle: 2, Datasync: true}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Flock(ch, unique, 1, 2, 3, 4, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOFlock, Object: 1, Handle: 2, Flags: 3, Owner: 4}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Create(ch, unique, 1, name, 2, 3, &fsdev.Creator{Umask: 4, UID: 5, GID: 6}, createDone, c)
	}, fsdev.IO{Type: fsdev.IOCreate, Object: 1, Name: name, Mode: 2, Flags: 3, Umask: 4, UID: 5, GID: 6},
		result{Object: 301, Attr: outAttr, Handle: 302}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Fallocate(ch, unique, 1, 2, 3, 1<<40, 1<<41, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOFallocate, Object: 1, Handle: 2, Mode: 3, Offset: 1 << 40, Length: 1 << 41}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.CopyFileRange(ch, unique, 1, 2, 1<<40, 3, 4, 1<<41, 1<<42, 5, sizeDone, c)
	}, fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: 1, Handle: 2, Offset: 1 << 40, Object2: 3, Handle2: 4, Offset2: 1 << 41,
		Length: 1 << 42, Flags: 5,
	}, result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Lseek(ch, unique, 1, 2, 1<<40, 3, sizeDone, c)
	}, fsdev.IO{Type: fsdev.IOLseek, Object: 1, Handle: 2, Offset: 1 << 40, Flags: 3}, result{Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Statx(ch, unique, 1, 2, 3, 4, statxDone, c)
	}, fsdev.IO{Type: fsdev.IOStatx, Object: 1, Handle: 2, Flags: 3, Mode: 4}, result{Statx: outStatx}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Tmpfile(ch, unique, 1, 2, 3, &creator, createDone, c)
	}, fsdev.IO{
		Type: fsdev.IOTmpfile, Object: 1, Mode: 2, Flags: 3, UID: 4, GID: 5, Umask: 6, Group: 7, HasGroup: true,
		Security: creator.Security,
	}, result{Object: 301, Attr: outAttr, Handle: 302}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Syncfs(ch, unique, 1, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOSyncfs, Object: 1}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Getlk(ch, unique, 1, 2, 3, &inLock, lockDone, c)
	}, fsdev.IO{Type: fsdev.IOGetlk, Object: 1, Handle: 2, Owner: 3, Lock: inLock}, result{Lock: outLock}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Setlk(ch, unique, 1, 2, 3, &inLock, true, statusDone, c)
	}, fsdev.IO{Type: fsdev.IOSetlk, Object: 1, Handle: 2, Owner: 3, Lock: inLock, Wait: true}, result{}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Ioctl(ch, unique, 1, 2, 3, 1<<40, value, iovs, 17, ioctlDone, c)
	}, fsdev.IO{
		Type: fsdev.IOIoctl, Object: 1, Handle: 2, Flags: 3, Length: 1 << 40, Value: value, Iovs: iovs, Size: 17,
	}, result{Result: 304, Size: 303}},
	{func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
		return d.Poll(ch, unique, 1, 2, 3, 4, true, pollDone, c)
	}, fsdev.IO{Type: fsdev.IOPoll, Object: 1, Handle: 2, Flags: 3, Owner: 4, Wait: true}, result{Result: 304}},
}

func noEntry(any, *iochannel.Channel, []byte, fsdev.FileObject, *fsdev.Attr, uint64) bool {
	return false
}

// fill sets every result, whether the operation has it or not.
func fill(io *fsdev.IO) {
	io.OutObject, io.OutHandle, io.OutSize, io.OutTarget = 301, 302, 303, target
	io.OutAttr, io.OutStatfs, io.Mount = outAttr, outStatfs, outMount
	io.OutStatx, io.OutResult, io.Lock = outStatx, 304, outLock
}

// request returns the fields of io that a module may read, without results.
func request(io *fsdev.IO) fsdev.IO {
	r := fsdev.IO{
		Type: io.Type, Plus: io.Plus, Datasync: io.Datasync, Unique: io.Unique, Object: io.Object, Handle: io.Handle,
		Offset: io.Offset, Size: io.Size, Flags: io.Flags, Mode: io.Mode, Rdev: io.Rdev, Umask: io.Umask, UID: io.UID,
		GID: io.GID, Object2: io.Object2, Handle2: io.Handle2, Offset2: io.Offset2, Length: io.Length,
		Nlookup: io.Nlookup, Owner: io.Owner, Name: io.Name, Name2: io.Name2, Value: io.Value, Iovs: io.Iovs,
		Target: io.Target, Attr: io.Attr, Mount: io.Mount, Ctx: io.Ctx, Wait: io.Wait, Group: io.Group,
		HasGroup: io.HasGroup, Security: io.Security, Lock: io.Lock,
	}
	return r
}

var ignoreInternals = cmpopts.IgnoreUnexported(fsdev.IO{})

// ways are the ways in which a module completes an IO.
var ways = []struct {
	name   string
	inline bool
	errno  syscall.Errno
}{
	{"inline", true, 0},
	{"later", false, 0},
	{"inline with an error", true, syscall.ENOSPC},
	{"later with an error", false, syscall.ENOSPC},
}

func TestOperationsForwardArgumentsAndResults(t *testing.T) {
	seen := map[fsdev.IOType]bool{}
	for _, op := range operations {
		seen[op.io.Type] = true
		for _, way := range ways {
			t.Run(op.io.Type.String()+"/"+way.name, func(t *testing.T) { testOperation(t, &op, way.inline, way.errno) })
		}
	}
	for typ := range fsdev.IOType(fsdev.NumIOTypes) {
		if !seen[typ] && typ != fsdev.IOAbort {
			t.Errorf("%v is not tested", typ)
		}
	}
}

func testOperation(t *testing.T, op *operation, inline bool, errno syscall.Errno) {
	o := newOpened(t)
	want := op.io
	want.Unique = unique
	var got []fsdev.IO
	var held *fsdev.IO
	o.dev.submit = func(io *fsdev.IO) {
		got = append(got, request(io))
		if io.Desc() != o.desc || io.Thread() != o.t || io.Channel().Device() != o.dev.ioDev {
			t.Error("the IO has another descriptor, thread or channel")
		}
		fill(io)
		if held = io; inline {
			io.Complete(errno)
		}
	}
	c := &completions{ch: o.ch, tb: t}
	if errno := op.call(o.desc, o.ch, c); errno != 0 {
		t.Fatal(errno)
	}
	if len(got) != 1 {
		t.Fatalf("the module saw %d IO", len(got))
	}
	if diff := cmp.Diff(want, got[0], ignoreInternals); diff != "" {
		t.Errorf("the module saw (-want +got):\n%s", diff)
	}
	if len(c.got) != 0 {
		t.Fatal("completed from inside the call")
	}
	o.PollThreads()
	if !inline {
		if len(c.got) != 0 {
			t.Fatal("completed before the module did")
		}
		held.Complete(errno)
	}
	o.PollThreads()
	wantResult := op.want
	if errno != 0 {
		wantResult = result{Errno: errno}
	}
	if diff := cmp.Diff([]result{wantResult}, c.got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("completions (-want +got):\n%s", diff)
	}
	if len(got) != 1 {
		t.Errorf("the module saw %d IO", len(got))
	}
}

// Results of an earlier use of an IO must not show up in a later one.
func TestErrorsHaveEmptyResultsAfterASuccess(t *testing.T) {
	o := newOpened(t)
	for _, op := range operations {
		for _, errno := range []syscall.Errno{0, syscall.EIO} {
			o.dev.submit = func(io *fsdev.IO) {
				if errno == 0 {
					fill(io)
				}
				io.Complete(errno)
			}
			c := &completions{ch: o.ch, tb: t}
			op.call(o.desc, o.ch, c)
			o.PollThreads()
			want := op.want
			if errno != 0 {
				want = result{Errno: errno}
			}
			if diff := cmp.Diff([]result{want}, c.got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%v with %v (-want +got):\n%s", op.io.Type, errno, diff)
			}
		}
	}
}

type emitted struct {
	Name string
	Obj  fsdev.FileObject
	Ino  uint64
	Next uint64
}

func TestReaddirPassesEntriesBeforeTheCompletion(t *testing.T) {
	o := newOpened(t)
	type listing struct {
		entries []emitted
		room    int
		done    []syscall.Errno
	}
	l := &listing{room: 2}
	entry := func(ctx any, ch *iochannel.Channel, name []byte, obj fsdev.FileObject, attr *fsdev.Attr, next uint64) bool {
		l := ctx.(*listing)
		if ch != o.ch || len(l.done) > 0 {
			t.Errorf("entry %s with channel %p, after %d completions", name, ch, len(l.done))
		}
		if len(l.entries) == l.room {
			return false
		}
		l.entries = append(l.entries, emitted{string(name), obj, attr.Ino, next})
		return true
	}
	done := func(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
		l := ctx.(*listing)
		l.done = append(l.done, errno)
	}
	var took []bool
	o.dev.submit = func(io *fsdev.IO) {
		for i, n := range []string{"a", "b", "c"} {
			took = append(took, io.Emit([]byte(n), fsdev.FileObject(i+1), &fsdev.Attr{Ino: uint64(i + 10)}, uint64(i+20)))
		}
		io.Complete(0)
	}
	if errno := o.desc.Readdir(o.ch, 0, 1, 2, 0, true, entry, done, l); errno != 0 {
		t.Fatal(errno)
	}
	o.PollThreads()
	want := []emitted{{"a", 1, 10, 20}, {"b", 2, 11, 21}}
	if diff := cmp.Diff(want, l.entries); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(took, []bool{true, true, false}) || !slices.Equal(l.done, []syscall.Errno{0}) {
		t.Errorf("Emit said %v, completions %v", took, l.done)
	}
}

func TestIOTypesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for typ := range fsdev.IOType(fsdev.NumIOTypes) {
		if n := typ.String(); n == "" || n == "UNKNOWN" || seen[n] {
			t.Errorf("IO type %d is called %q", typ, n)
		} else {
			seen[n] = true
		}
	}
	if n := fsdev.IOType(fsdev.NumIOTypes).String(); n != "UNKNOWN" {
		t.Errorf("got %q", n)
	}
}
