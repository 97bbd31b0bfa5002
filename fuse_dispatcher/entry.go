package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

// Sizes of reply structures. linux/fuse.h
const (
	entryOutSize  = 128
	attrOutSize   = 104
	openOutSize   = 16
	createOutSize = entryOutSize + openOutSize
	statfsOutSize = 80
)

// validity is how long the client may keep attr: as the module says, or else the session.
func (s *session) validity(attr *fsdev.Attr) timeout {
	if ms := attr.ValidMS; ms != 0 {
		return timeout{uint64(ms / 1000), ms % 1000 * 1_000_000}
	}
	return s.attrValid
}

// nameValidity is how long the client may keep the name that has led to attr.
func (s *session) nameValidity(attr *fsdev.Attr) timeout {
	if attr.ValidMS != 0 {
		return s.validity(attr)
	}
	return s.entryValid
}

// fillAttr sets field by field: a structure as a whole would be built on the stack and copied
// while its parts are still on their way to memory.
func fillAttr(to *Attr, from *fsdev.Attr) {
	to.Ino, to.Size, to.Blocks = from.Ino, from.Size, from.Blocks
	to.Atime, to.Mtime, to.Ctime = from.Atime, from.Mtime, from.Ctime
	to.AtimeNsec, to.MtimeNsec, to.CtimeNsec = from.AtimeNsec, from.MtimeNsec, from.CtimeNsec
	to.Mode, to.Nlink, to.UID, to.GID = from.Mode, from.Nlink, from.UID, from.GID
	to.Rdev, to.Blksize, to.Flags = from.Rdev, from.Blksize, 0
}

// fillEntry sets every field.
func (s *session) fillEntry(e *EntryOut, obj fsdev.FileObject, attr *fsdev.Attr) {
	name, valid := s.nameValidity(attr), s.validity(attr)
	e.NodeID = s.nodeID(obj)
	e.Generation = uint64(obj) >> 32
	e.EntryValid, e.EntryValidNsec = name.sec, name.nsec
	e.AttrValid, e.AttrValidNsec = valid.sec, valid.nsec
	fillAttr(&e.Attr, attr)
	if attr.Submount && s.submounts {
		e.Attr.Flags = FUSE_ATTR_SUBMOUNT
	}
}

// entrySize is the size of EntryOut that the client knows.
func (s *session) entrySize() int {
	if s.minor < 9 {
		return FUSE_COMPAT_ENTRY_OUT_SIZE
	}
	return entryOutSize
}

// entryDone replies the entry that LOOKUP, MKNOD, MKDIR, SYMLINK and LINK yield.
func entryDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.sess.fillEntry(unclearedPayload[EntryOut](r, 0), obj, attr)
	r.succeed(r.sess.entrySize())
}

func lookupDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr) {
	r := ctx.(*request)
	if errno == syscall.ENOENT && r.sess.rules.negative {
		e := payload[EntryOut](r, 0)
		e.EntryValid, e.EntryValidNsec = r.sess.entryValid.sec, r.sess.entryValid.nsec
		r.succeed(r.sess.entrySize())
		return
	}
	entryDone(ctx, ch, errno, obj, attr)
}

func attrDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, attr *fsdev.Attr) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	valid := r.sess.validity(attr)
	out := unclearedPayload[AttrOut](r, 0)
	out.AttrValid, out.AttrValidNsec, out.Dummy = valid.sec, valid.nsec, 0
	fillAttr(&out.Attr, attr)
	if r.sess.minor < 9 {
		r.succeed(FUSE_COMPAT_ATTR_OUT_SIZE)
		return
	}
	r.succeed(attrOutSize)
}

// statusDone replies to what yields nothing.
func statusDone(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.succeed(0)
}

func notSupported(r *request) { r.fail(syscall.ENOSYS) }

func doLookup(r *request) {
	r.started(r.sess.desc.Lookup(r.c.fsdevCh, r.seq, r.object(), r.name, lookupDone, r))
}

func doGetattr(r *request) {
	in := args[GetattrIn](r)
	var fh fsdev.FileHandle
	if in.GetattrFlags&FUSE_GETATTR_FH != 0 {
		fh = fsdev.FileHandle(in.Fh)
	}
	r.started(r.sess.desc.Getattr(r.c.fsdevCh, r.seq, r.object(), fh, attrDone, r))
}

// setattrBits pairs the bits of FUSE with those of fsdev, whose numbers differ.
var setattrBits = [...]struct{ fuse, fsdev uint32 }{
	{FATTR_MODE, fsdev.SetAttrMode},
	{FATTR_UID, fsdev.SetAttrUID},
	{FATTR_GID, fsdev.SetAttrGID},
	{FATTR_SIZE, fsdev.SetAttrSize},
	{FATTR_ATIME, fsdev.SetAttrAtime},
	{FATTR_MTIME, fsdev.SetAttrMtime},
	{FATTR_ATIME_NOW, fsdev.SetAttrAtimeNow},
	{FATTR_MTIME_NOW, fsdev.SetAttrMtimeNow},
	{FATTR_CTIME, fsdev.SetAttrCtime},
	{FATTR_KILL_SUIDGID, fsdev.SetAttrKillSuidgid},
}

func doSetattr(r *request) {
	in := args[SetattrIn](r)
	var fh fsdev.FileHandle
	if in.Valid&FATTR_FH != 0 {
		fh = fsdev.FileHandle(in.Fh)
	}
	var mask uint32
	for _, b := range setattrBits {
		if in.Valid&b.fuse != 0 {
			mask |= b.fsdev
		}
	}
	if !r.sess.killPriv {
		mask &^= fsdev.SetAttrKillSuidgid
	}
	attr := fsdev.Attr{
		Size: in.Size, Mode: in.Mode, UID: in.UID, GID: in.GID,
		Atime: in.Atime, Mtime: in.Mtime, Ctime: in.Ctime,
		AtimeNsec: in.AtimeNsec, MtimeNsec: in.MtimeNsec, CtimeNsec: in.CtimeNsec,
	}
	r.started(r.sess.desc.Setattr(r.c.fsdevCh, r.seq, r.object(), fh, &attr, mask, attrDone, r))
}

func doMknod(r *request) {
	in := args[MknodIn](r)
	by, errno := r.creator(in.Umask)
	if errno != 0 {
		r.refuse(errno, badExtension)
		return
	}
	r.started(r.sess.desc.Mknod(r.c.fsdevCh, r.seq, r.object(), r.name, in.Mode, in.Rdev, &by, entryDone, r))
}

func doMkdir(r *request) {
	in := args[MkdirIn](r)
	by, errno := r.creator(in.Umask)
	if errno != 0 {
		r.refuse(errno, badExtension)
		return
	}
	r.started(r.sess.desc.Mkdir(r.c.fsdevCh, r.seq, r.object(), r.name, in.Mode, &by, entryDone, r))
}

func doUnlink(r *request) {
	r.started(r.sess.desc.Unlink(r.c.fsdevCh, r.seq, r.object(), r.name, statusDone, r))
}

func doRmdir(r *request) {
	r.started(r.sess.desc.Rmdir(r.c.fsdevCh, r.seq, r.object(), r.name, statusDone, r))
}

func doRename(r *request) { r.rename(args[RenameIn](r).Newdir, 0) }

func doRename2(r *request) {
	in := args[Rename2In](r)
	r.rename(in.Newdir, in.Flags)
}

// renameFlags are all that renameat2(2) knows: NOREPLACE, EXCHANGE, WHITEOUT.
const renameFlags = 1<<0 | 1<<1 | 1<<2

func (r *request) rename(newParent uint64, flags uint32) {
	if flags&^renameFlags != 0 {
		r.fail(syscall.EINVAL)
		return
	}
	r.started(r.sess.desc.Rename(r.c.fsdevCh, r.seq, r.object(), r.name,
		r.sess.object(newParent), r.name2, flags, statusDone, r))
}

func doLink(r *request) {
	obj := r.sess.object(args[LinkIn](r).OldNodeID)
	r.started(r.sess.desc.Link(r.c.fsdevCh, r.seq, obj, r.object(), r.name, entryDone, r))
}

func doSymlink(r *request) {
	if r.path == nil {
		r.path = make([]byte, maxPath+1)
	}
	n, errno := r.readString(r.path)
	if errno == 0 && n == 0 {
		errno = syscall.ENOENT // as symlink(2) says
	}
	var by fsdev.Creator
	if errno == 0 {
		by, errno = r.creator(0)
	}
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.started(r.sess.desc.Symlink(r.c.fsdevCh, r.seq, r.object(), r.name, r.path[:n], &by, entryDone, r))
}

func doReadlink(r *request) {
	r.started(r.sess.desc.Readlink(r.c.fsdevCh, r.seq, r.object(), readlinkDone, r))
}

func readlinkDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, target []byte) {
	r := ctx.(*request)
	if errno == 0 && len(target) > r.out.left-outHeaderSize {
		errno = syscall.ENAMETOOLONG
	}
	if errno != 0 {
		r.fail(errno)
		return
	}
	data := r.out
	data.skip(outHeaderSize)
	data.write(target)
	r.succeedData(len(target))
}

func doStatfs(r *request) {
	r.started(r.sess.desc.Statfs(r.c.fsdevCh, r.seq, r.object(), statfsDone, r))
}

func statfsDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[StatfsOut](r, 0).St = Kstatfs{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: st.Bsize, Frsize: st.Frsize, Namelen: st.Namelen,
	}
	if r.sess.minor < 4 {
		r.succeed(FUSE_COMPAT_STATFS_SIZE)
		return
	}
	r.succeed(statfsOutSize)
}
