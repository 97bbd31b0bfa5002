package fsdev_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
)

// TestXxx is ut_fsdev_test_xxx. Where SPDK has one status, both are tried.

func doMount(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
	return d.Mount(ch, unique, &mount, mountDone, c)
}

var mounted = fsdev.MountOpts{MaxWrite: mount.MaxWrite / 2}

func fillMount(io *fsdev.IO) { io.Mount, io.OutObject = mounted, object }

func TestMountOk(t *testing.T) {
	check(t, 0, fsdev.IO{Type: fsdev.IOMount, Mount: mount}, fillMount, outcome{Mount: mounted, Object: object}, doMount)
}

func TestMountErr(t *testing.T) {
	check(t, syscall.EINVAL, fsdev.IO{Type: fsdev.IOMount, Mount: mount}, fillMount, outcome{}, doMount)
}

// TestUmount: here the completion has a status, as all others have.
func TestUmount(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOUmount}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Umount(ch, unique, statusDone, c)
		})
}

func doLookup(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
	return d.Lookup(ch, unique, object, fname, entryDone, c)
}

func fillEntry(io *fsdev.IO) { io.OutObject, io.OutAttr = object+1, attr }

var lookup = fsdev.IO{Type: fsdev.IOLookup, Object: object, Name: fname}

func TestLookupOk(t *testing.T) {
	check(t, 0, lookup, fillEntry, outcome{Object: object + 1, Attr: attr}, doLookup)
}

func TestLookupErr(t *testing.T) { check(t, syscall.EBUSY, lookup, fillEntry, outcome{}, doLookup) }

func TestForget(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOForget, Object: object, Nlookup: numLookups}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Forget(ch, unique, object, numLookups, statusDone, c)
		})
}

func fillAttr(io *fsdev.IO) { io.OutAttr = attr }

func TestGetattr(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOGetattr, Object: object, Handle: handle}, fillAttr, outcome{Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Getattr(ch, unique, object, handle, attrDone, c)
		})
}

func TestSetattr(t *testing.T) {
	set := fsdev.Attr{Mode: 0o644, Size: 77, Mtime: 88}
	both(t, fsdev.IO{Type: fsdev.IOSetattr, Object: object, Handle: handle, Attr: set, Flags: 0x11111111}, fillAttr,
		outcome{Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Setattr(ch, unique, object, handle, &set, 0x11111111, attrDone, c)
		})
}

func TestReadlink(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOReadlink, Object: object}, func(io *fsdev.IO) { io.OutTarget = fname },
		outcome{Target: string(fname)},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Readlink(ch, unique, object, readlinkDone, c)
		})
}

func TestSymlink(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOSymlink, Object: object, Name: lname, Name2: fname, UID: by.UID, GID: by.GID},
		fillEntry, outcome{Object: object + 1, Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Symlink(ch, unique, object, lname, fname, &by, entryDone, c)
		})
}

func TestMknod(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IOMknod, Object: object, Name: fname, Mode: 0x1111, Rdev: 0x2222, UID: by.UID, GID: by.GID,
	}, fillEntry, outcome{Object: object + 1, Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Mknod(ch, unique, object, fname, 0x1111, 0x2222, &by, entryDone, c)
		})
}

func TestMkdir(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOMkdir, Object: object, Name: fname, Mode: 0x1111, UID: by.UID, GID: by.GID}, fillEntry,
		outcome{Object: object + 1, Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Mkdir(ch, unique, object, fname, 0x1111, &by, entryDone, c)
		})
}

func TestUnlink(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOUnlink, Object: object, Name: fname}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Unlink(ch, unique, object, fname, statusDone, c)
		})
}

func TestRmdir(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IORmdir, Object: object, Name: fname}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Rmdir(ch, unique, object, fname, statusDone, c)
		})
}

func TestRename(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IORename, Object: object, Name: fname, Object2: object + 1, Name2: lname, Flags: 0xFFFF,
	}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Rename(ch, unique, object, fname, object+1, lname, 0xFFFF, statusDone, c)
		})
}

func TestLink(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOLink, Object: object, Object2: object + 1, Name: lname}, fillEntry,
		outcome{Object: object + 1, Attr: attr},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Link(ch, unique, object, object+1, lname, entryDone, c)
		})
}

func fillHandle(io *fsdev.IO) { io.OutHandle = handle }

func TestFopen(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOFopen, Object: object, Flags: 0x33333333}, fillHandle, outcome{Handle: handle},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Fopen(ch, unique, object, 0x33333333, openDone, c)
		})
}

func fillSize(io *fsdev.IO) { io.OutSize = dataSize }

func TestRead(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IORead, Object: object, Handle: handle, Size: 30, Offset: 0x5555555555, Flags: 0x777, Iovs: iovs,
	}, fillSize, outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Read(ch, unique, object, handle, 30, 0x5555555555, 0x777, iovs, sizeDone, c)
		})
}

func TestWrite(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IOWrite, Object: object, Handle: handle, Size: 30, Offset: 0x5555555555, Flags: 0x777, Iovs: iovs,
	}, fillSize, outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Write(ch, unique, object, handle, 30, 0x5555555555, 0x777, iovs, sizeDone, c)
		})
}

func TestStatfs(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOStatfs, Object: object}, func(io *fsdev.IO) { io.OutStatfs = statfs },
		outcome{Statfs: statfs},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Statfs(ch, unique, object, statfsDone, c)
		})
}

func TestRelease(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IORelease, Object: object, Handle: handle}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Release(ch, unique, object, handle, statusDone, c)
		})
}

func TestFsync(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOFsync, Object: object, Handle: handle, Datasync: true}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Fsync(ch, unique, object, handle, true, statusDone, c)
		})
}

func TestGetxattr(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOGetxattr, Object: object, Name: aname, Iovs: iovs, Size: 30}, fillSize,
		outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Getxattr(ch, unique, object, aname, iovs, 30, sizeDone, c)
		})
}

func TestSetxattr(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOSetxattr, Object: object, Name: aname, Value: avalue, Flags: 0x7777}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Setxattr(ch, unique, object, aname, avalue, 0x7777, statusDone, c)
		})
}

func TestListxattr(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOListxattr, Object: object, Iovs: iovs, Size: 30}, fillSize, outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Listxattr(ch, unique, object, iovs, 30, sizeDone, c)
		})
}

// TestListxattrGetSize: who passes no room knows by that what the number means, and is not told
// by a flag.
func TestListxattrGetSize(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOListxattr, Object: object}, fillSize, outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Listxattr(ch, unique, object, nil, 0, sizeDone, c)
		})
}

func TestRemovexattr(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IORemovexattr, Object: object, Name: aname}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Removexattr(ch, unique, object, aname, statusDone, c)
		})
}

func TestFlush(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOFlush, Object: object, Handle: handle, Owner: 5}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Flush(ch, unique, object, handle, 5, statusDone, c)
		})
}

func TestOpendir(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOOpendir, Object: object, Flags: 0x33333333}, fillHandle, outcome{Handle: handle},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Opendir(ch, unique, object, 0x33333333, openDone, c)
		})
}

// TestReaddir also has the module emit entries, until one is refused.
func TestReaddir(t *testing.T) {
	type entry struct {
		Name string
		Obj  fsdev.FileObject
		Attr fsdev.Attr
		Next uint64
	}
	var got []entry
	var answers []bool
	take := func(_ any, _ *iochannel.Channel, name []byte, obj fsdev.FileObject, a *fsdev.Attr, next uint64) bool {
		got = append(got, entry{string(name), obj, *a, next})
		return len(got) < 3
	}
	emit := func(io *fsdev.IO) {
		got, answers = nil, nil
		for next := uint64(1); next < 10; next++ {
			ok := io.Emit(fname, object+fsdev.FileObject(next), &attr, next)
			if answers = append(answers, ok); !ok {
				break
			}
		}
	}
	want := fsdev.IO{Type: fsdev.IOReaddir, Object: object, Handle: handle, Offset: 0x123412341, Plus: true}
	both(t, want, emit, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Readdir(ch, unique, object, handle, 0x123412341, true, take, statusDone, c)
		})
	if diff := cmp.Diff([]bool{true, true, false}, answers); diff != "" {
		t.Errorf("answers to the module (-want +got):\n%s", diff)
	}
	entries := []entry{
		{string(fname), object + 1, attr, 1}, {string(fname), object + 2, attr, 2}, {string(fname), object + 3, attr, 3},
	}
	if diff := cmp.Diff(entries, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestReleasedir(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOReleasedir, Object: object, Handle: handle}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Releasedir(ch, unique, object, handle, statusDone, c)
		})
}

func TestFsyncdir(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOFsyncdir, Object: object, Handle: handle, Datasync: true}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Fsyncdir(ch, unique, object, handle, true, statusDone, c)
		})
}

func TestFlock(t *testing.T) {
	both(t, fsdev.IO{Type: fsdev.IOFlock, Object: object, Handle: handle, Flags: 0x33333333, Owner: 5}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Flock(ch, unique, object, handle, 0x33333333, 5, statusDone, c)
		})
}

func TestCreate(t *testing.T) {
	who := fsdev.Creator{UID: 0x1111, GID: 0x2222, Umask: 0x66}
	both(t, fsdev.IO{
		Type: fsdev.IOCreate, Object: object, Name: fname, Mode: 0x5555, Flags: 0x3333, UID: 0x1111, GID: 0x2222, Umask: 0x66,
	}, func(io *fsdev.IO) {
		fillEntry(io)
		fillHandle(io)
	}, outcome{Object: object + 1, Attr: attr, Handle: handle},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Create(ch, unique, object, fname, 0x5555, 0x3333, &who, createDone, c)
		})
}

// TestAbort: the module is given the operation to abort, not its number, which is the layer's
// to look up. So there must be one, or the call is ENOENT.
func TestAbort(t *testing.T) {
	for _, status := range []syscall.Errno{0, syscall.EBUSY} {
		s := newSuite(t)
		desc := s.open()
		ch := desc.IOChannel(s.t)
		op, abort := &completions{tb: t, ch: ch}, &completions{tb: t, ch: ch}
		if errno := desc.Abort(ch, unique, statusDone, abort); errno != syscall.ENOENT {
			t.Errorf("abort of nothing: %v", errno)
		}
		s.dev.keeps = fsdev.IOFlock
		if errno := desc.Flock(ch, unique, object, handle, 1, 2, statusDone, op); errno != 0 {
			t.Fatal(errno)
		}
		s.dev.status = status
		if errno := desc.Abort(ch, unique, statusDone, abort); errno != 0 {
			t.Fatal(errno)
		}
		s.t.Poll(0, 0)
		if len(s.dev.calls) != 1 || s.dev.calls[0].Type != fsdev.IOAbort || s.dev.calls[0].Target != s.dev.kept {
			t.Fatalf("the module was asked for %+v", s.dev.calls)
		}
		if s.dev.kept.Unique != unique || len(op.got) != 0 || len(abort.got) != 1 || abort.got[0].Errno != status {
			t.Errorf("aborted %#x with %+v, the operation has %+v", s.dev.kept.Unique, abort.got, op.got)
		}
		s.dev.kept.Complete(syscall.EINTR)
		if len(op.got) != 1 || op.got[0].Errno != syscall.EINTR {
			t.Errorf("the operation ended with %+v", op.got)
		}
		ch.Put()
		s.PollThread(0)
		desc.Close()
		s.PollThread(0)
	}
}

func TestFallocate(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IOFallocate, Object: object, Handle: handle, Mode: 0x11111111, Offset: 0x1111111122222222,
		Length: 0x3333333344444444,
	}, nil, outcome{},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.Fallocate(ch, unique, object, handle, 0x11111111, 0x1111111122222222, 0x3333333344444444, statusDone, c)
		})
}

func TestCopyFileRange(t *testing.T) {
	both(t, fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: object, Handle: handle, Offset: 0x1111111122222222, Object2: object + 1,
		Handle2: handle + 1, Offset2: 0x3333333344444444, Length: 0x123, Flags: 0x77777777,
	}, fillSize, outcome{N: dataSize},
		func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno {
			return d.CopyFileRange(ch, unique, object, handle, 0x1111111122222222, object+1, handle+1, 0x3333333344444444, 0x123,
				0x77777777, sizeDone, c)
		})
}
