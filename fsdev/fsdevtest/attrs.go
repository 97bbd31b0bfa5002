package fsdevtest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

var attrCases = []testCase{
	{"Setattr", onlyFull, nil, testSetattr},
	{"SetattrTimes", onlyFull, nil, testSetattrTimes},
	{"SetattrSize", onlyFull, nil, testSetattrSize},
	{"ChangesShowInTimes", onlyFull, nil, testChangeTimes},
	{"KillPriv", onlyFull, nil, testKillPriv},
	{"Statfs", everyKind, []fsdev.IOType{fsdev.IOStatfs}, testStatfs},
}

// without returns attributes without what changes by itself.
func without(a fsdev.Attr) fsdev.Attr {
	a.Ctime, a.CtimeNsec, a.Blocks, a.ValidMS = 0, 0, 0, 0
	return a
}

// testSetattr sets every field alone, by the object and by a handle, and wants no other to change.
func testSetattr(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	set := fsdev.Attr{
		Mode: 0o4751, UID: 1001, GID: 1002, Size: 5, Atime: 1e9, AtimeNsec: 1, Mtime: 1e9 + 1, MtimeNsec: 999999999,
		Ino: 1 << 40, Nlink: 77, Rdev: 78, Blksize: 79,
	}
	base := fsdev.Attr{Mode: 0o644, UID: 1, GID: 2, Size: 8, Atime: 3, Mtime: 4}
	const all = fsdev.SetAttrUID | fsdev.SetAttrGID | fsdev.SetAttrMode | fsdev.SetAttrSize | fsdev.SetAttrAtime |
		fsdev.SetAttrMtime
	for _, tt := range []struct {
		mask uint32
		set  func(a *fsdev.Attr)
	}{
		{fsdev.SetAttrUID, func(a *fsdev.Attr) { a.UID = set.UID }},
		{fsdev.SetAttrGID, func(a *fsdev.Attr) { a.GID = set.GID }},
		{fsdev.SetAttrMode, func(a *fsdev.Attr) { a.Mode = syscall.S_IFREG | set.Mode }},
		{fsdev.SetAttrSize, func(a *fsdev.Attr) { a.Size = set.Size }},
		{fsdev.SetAttrAtime, func(a *fsdev.Attr) { a.Atime, a.AtimeNsec = set.Atime, set.AtimeNsec }},
		{fsdev.SetAttrMtime, func(a *fsdev.Attr) { a.Mtime, a.MtimeNsec = set.Mtime, set.MtimeNsec }},
		{0, func(*fsdev.Attr) {}},
	} {
		for _, h := range []fsdev.FileHandle{0, f.h} {
			want := without(c.setattr(f.obj, f.h, base, all).ok().attr)
			if want.UID != 1 || want.GID != 2 || want.Size != 8 || want.Atime != 3 || want.Mtime != 4 {
				w.Errorf("SETATTR of everything gives %+v", want)
			}
			r := c.setattr(f.obj, h, set, tt.mask).ok()
			tt.set(&want)
			if tt.mask == fsdev.SetAttrSize {
				want.Mtime, want.MtimeNsec = r.attr.Mtime, r.attr.MtimeNsec
			}
			if got := without(r.attr); got != want {
				w.Errorf("SETATTR of %#x gives %+v, want %+v", tt.mask, got, want)
			}
			if got := c.getattr(f.obj, f.h).ok().attr; without(got).Size != want.Size || got.UID != want.UID {
				w.Errorf("after SETATTR of %#x GETATTR gives %+v", tt.mask, got)
			}
		}
	}
	// The type is not part of the mode that is set.
	if mode := c.setattr(f.obj, 0, fsdev.Attr{Mode: syscall.S_IFDIR | 0o600}, fsdev.SetAttrMode).ok().attr.Mode; mode !=
		syscall.S_IFREG|0o600 {
		w.Errorf("SETATTR of a mode with another type gives %#o", mode)
	}
	d := c.mkdir(c.root, "dir").ok()
	if mode := c.setattr(d.obj, 0, fsdev.Attr{Mode: 0o1700}, fsdev.SetAttrMode).ok().attr.Mode; mode !=
		syscall.S_IFDIR|0o1700 {
		w.Errorf("SETATTR of a directory's mode gives %#o", mode)
	}
	c.setattr(d.obj, 0, fsdev.Attr{}, fsdev.SetAttrSize).fails()
}

func testSetattrTimes(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	both := fsdev.SetAttrAtime | fsdev.SetAttrMtime
	for _, sec := range []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		set := fsdev.Attr{Atime: sec, AtimeNsec: 123456789, Mtime: sec, MtimeNsec: 987654321}
		a := c.setattr(f.obj, f.h, set, both).ok().attr
		if a.Atime != sec || a.AtimeNsec != 123456789 || a.Mtime != sec || a.MtimeNsec != 987654321 {
			w.Errorf("times of %d s become %+v", sec, a)
		}
	}
	old := fsdev.Attr{Atime: 1, Mtime: 2}
	c.setattr(f.obj, f.h, old, both).ok()
	a := c.setattr(f.obj, f.h, fsdev.Attr{Atime: 5, Mtime: 5}, fsdev.SetAttrAtime|fsdev.SetAttrAtimeNow).ok().attr
	if a.Atime < 1e9 || a.Mtime != 2 {
		w.Errorf("the access time set to now: %+v", a)
	}
	a = c.setattr(f.obj, f.h, fsdev.Attr{Atime: 5, Mtime: 5}, fsdev.SetAttrMtime|fsdev.SetAttrMtimeNow).ok().attr
	if a.Mtime < 1e9 {
		w.Errorf("the time of modification set to now: %+v", a)
	}
}

func testSetattrSize(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	data := pattern(10000, 1)
	c.put(f.obj, f.h, 0, data)
	for _, size := range []int{9999, 4097, 4096, 4095, 1, 0} {
		if got := c.setattr(f.obj, f.h, fsdev.Attr{Size: uint64(size)}, fsdev.SetAttrSize).ok().attr.Size; got !=
			uint64(size) {
			w.Errorf("set to %d bytes, a file has %d", size, got)
		}
		c.hasData(f.obj, f.h, data[:size])
		// What comes back when it grows is zeros.
		c.setattr(f.obj, 0, fsdev.Attr{Size: 10000}, fsdev.SetAttrSize).ok()
		c.hasData(f.obj, f.h, append(data[:size:size], make([]byte, 10000-size)...))
		c.setattr(f.obj, f.h, fsdev.Attr{Size: uint64(size)}, fsdev.SetAttrSize).ok()
	}
	c.setattr(f.obj, f.h, fsdev.Attr{Size: 1 << 63}, fsdev.SetAttrSize).want(syscall.EFBIG, syscall.EINVAL)
	h := c.fopen(f.obj, syscall.O_RDWR|syscall.O_TRUNC).ok().h
	c.put(f.obj, h, 0, data)
	c.fopen(f.obj, syscall.O_RDWR|syscall.O_TRUNC).ok()
	c.hasData(f.obj, h, nil)
}

// testChangeTimes wants a change of contents and of a directory to show in the times.
func testChangeTimes(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	old := fsdev.Attr{Atime: 1, Mtime: 1}
	const both = fsdev.SetAttrAtime | fsdev.SetAttrMtime
	c.setattr(f.obj, f.h, old, both).ok()
	c.put(f.obj, f.h, 0, []byte("x"))
	if a := c.getattr(f.obj, 0).ok().attr; a.Mtime == 1 {
		w.Error("WRITE does not change the time of modification")
	}
	d := c.mkdir(c.root, "dir").ok()
	for _, tt := range []struct {
		what   string
		change func() *result
	}{
		{"CREATE", func() *result { return c.create(d.obj, "f") }},
		{"MKDIR", func() *result { return c.mkdir(d.obj, "d") }},
		{"RENAME", func() *result { return c.rename(d.obj, "f", d.obj, "g", 0) }},
		{"RMDIR", func() *result { return c.rmdir(d.obj, "d") }},
		{"UNLINK", func() *result { return c.unlink(d.obj, "g") }},
	} {
		c.setattr(d.obj, 0, old, both).ok()
		tt.change().ok()
		if a := c.getattr(d.obj, 0).ok().attr; a.Mtime == 1 {
			w.Errorf("%s does not change the directory's time of modification", tt.what)
		}
	}
}

// testKillPriv has the module drop what makes a program run as somebody else, if it says it does.
func testKillPriv(w *world) {
	c := w.open(0)
	if !c.opts.KillPriv {
		return
	}
	const suid = 0o6775
	arm := func(obj fsdev.FileObject) {
		c.setattr(obj, 0, fsdev.Attr{Mode: suid}, fsdev.SetAttrMode).ok()
	}
	want := func(what string, obj fsdev.FileObject, perm uint32) {
		c.Helper()
		if got := c.getattr(obj, 0).ok().attr.Mode & 0o7777; got != perm {
			w.Errorf("%s: mode %#o, want %#o", what, got, perm)
		}
	}
	f := c.create(c.root, "file").ok()
	one := [][]byte{{1}}
	arm(f.obj)
	c.writeFlags(f.obj, f.h, 0, 1, one, syscall.O_RDWR).ok()
	want("WRITE", f.obj, suid)
	c.writeFlags(f.obj, f.h, 0, 1, one, syscall.O_RDWR|fsdev.FlagKillSuidgid).ok()
	want("WRITE that kills", f.obj, 0o775)
	arm(f.obj)
	c.setattr(f.obj, 0, fsdev.Attr{Size: 0}, fsdev.SetAttrSize|fsdev.SetAttrKillSuidgid).ok()
	want("SETATTR of the size that kills", f.obj, 0o775)
	arm(f.obj)
	c.setattr(f.obj, 0, fsdev.Attr{UID: 5}, fsdev.SetAttrUID|fsdev.SetAttrKillSuidgid).ok()
	want("SETATTR of the owner that kills", f.obj, 0o775)
	arm(f.obj)
	c.fopen(f.obj, syscall.O_RDWR|syscall.O_TRUNC|fsdev.FlagKillSuidgid).ok()
	want("FOPEN with O_TRUNC that kills", f.obj, 0o775)
	// Without S_IXGRP, S_ISGID is a mark of mandatory locks.
	c.setattr(f.obj, 0, fsdev.Attr{Mode: 0o6764}, fsdev.SetAttrMode).ok()
	c.writeFlags(f.obj, f.h, 0, 1, one, syscall.O_RDWR|fsdev.FlagKillSuidgid).ok()
	want("WRITE that kills, without S_IXGRP", f.obj, 0o2764)
}

func testStatfs(w *world) {
	c := w.open(0)
	st := c.statfs(c.root).ok().statfs
	if st.Frsize == 0 || st.Bsize == 0 || st.Bfree > st.Blocks || st.Bavail > st.Bfree || st.Ffree > st.Files ||
		st.Namelen == 0 {
		w.Errorf("STATFS: %+v", st)
	}
	if w.o.Kind != Full {
		return
	}
	f := c.create(c.root, "file").ok()
	if got := c.statfs(f.obj).ok().statfs; got.Blocks != st.Blocks || got.Namelen != st.Namelen {
		w.Errorf("STATFS of a file gives %+v, of the root %+v", got, st)
	}
}
