package loopback

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Operation codes of what SPDK's dispatcher refuses.
const (
	opGetlk           = 31
	opIoctl           = 39
	opPoll            = 40
	opNotifyReply     = 41
	opSyncfs          = 50
	opTmpfile         = 51
	opStatx           = 52
	opCopyFileRange64 = 53
)

// lk sends a request about byte-range locks.
func (c *Conn) lk(op uint32, node, fh, owner uint64, l *fsdev.Lock, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(owner)
	r.u64(l.Start)
	r.u64(l.End)
	r.u32(l.Type)
	r.u32(l.PID)
	r.u32(0) // lk_flags
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Getlk asks for a byte-range lock that is in l's way; it is in [Reply.Lock].
func (c *Conn) Getlk(node, fh, owner uint64, l *fsdev.Lock, fn ReplyFunc, ctx any) syscall.Errno {
	return c.lk(opGetlk, node, fh, owner, l, fn, ctx)
}

// Setlk takes or drops a byte-range lock for owner; with wait the request waits (SETLKW).
func (c *Conn) Setlk(node, fh, owner uint64, l *fsdev.Lock, wait bool, fn ReplyFunc, ctx any) syscall.Errno {
	op := uint32(opSetlk)
	if wait {
		op = opSetlkw
	}
	return c.lk(op, node, fh, owner, l, fn, ctx)
}

// Ioctl performs a device control on fh: in is what the command reads, outSize, at most 4080,
// what it may write. What it returned is in [Reply.Result], what it wrote in [Reply.Data].
func (c *Conn) Ioctl(node, fh uint64, cmd uint32, arg uint64, in []byte, outSize uint32,
	fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opIoctl, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u32(0) // flags
	r.u32(cmd)
	r.u64(arg)
	r.u32(uint32(len(in)))
	r.u32(outSize)
	return c.send(r, in, nil, fn, ctx)
}

// Poll asks which of events (POLLIN and so on) fh is ready for; they are in [Reply.Events]. With
// notify there will be a notification with key when it is ready for one.
func (c *Conn) Poll(node, fh, key uint64, events uint32, notify bool, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opPoll, node)
	if errno != 0 {
		return errno
	}
	var flags uint32
	if notify {
		flags = 1 // FUSE_POLL_SCHEDULE_NOTIFY
	}
	r.u64(fh)
	r.u64(key)
	r.u32(flags)
	r.u32(events)
	return c.send(r, nil, nil, fn, ctx)
}

// NotifyReply answers a [NotifyRetrieve] called unique with data that are cached from offset on,
// which are borrowed until fn is called. It has no reply: fn is called when the dispatcher is
// through with it.
func (c *Conn) NotifyReply(unique, node, offset uint64, data []byte, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opNotifyReply, node)
	if errno != 0 {
		return errno
	}
	r.unique = unique
	le.PutUint64(r.buf[8:], unique)
	r.u64(0)
	r.u64(offset)
	r.u32(uint32(len(data)))
	r.u32(0)
	r.u64(0)
	r.u64(0)
	return c.send(r, data, nil, fn, ctx)
}

// Syncfs writes a file system out.
func (c *Conn) Syncfs(node uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opSyncfs, node)
	if errno != 0 {
		return errno
	}
	r.u64(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Tmpfile makes a regular file without a name and opens it; the answer is in [Reply.Entry] and
// [Reply.Handle].
func (c *Conn) Tmpfile(parent uint64, mode, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opTmpfile, parent)
	if errno != 0 {
		return errno
	}
	r.u32(flags)
	r.u32(mode)
	r.u32(0) // umask
	r.u32(0)
	r.str("/") // as the kernel calls it
	return c.send(r, nil, nil, fn, ctx)
}

// Statx asks for the attributes in mask (STATX_*), through the handle fh if that is not 0; they
// are in [Reply.Statx].
func (c *Conn) Statx(node, fh uint64, flags, mask uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opStatx, node)
	if errno != 0 {
		return errno
	}
	var which uint32
	if fh != 0 {
		which = getattrFH
	}
	r.u32(which)
	r.u32(0)
	r.u64(fh)
	r.u32(flags)
	r.u32(mask)
	return c.send(r, nil, nil, fn, ctx)
}

// CopyFileRange64 is [Conn.CopyFileRange] for any length; how much is in [Reply.Copied].
func (c *Conn) CopyFileRange64(node, fh, off, nodeOut, fhOut, offOut, length, flags uint64,
	fn ReplyFunc, ctx any) syscall.Errno {
	return c.copyFileRange(opCopyFileRange64, node, fh, off, nodeOut, fhOut, offOut, length, flags, fn, ctx)
}

// decodeMore is decodeBody for the operations of this file.
func (r *request) decodeMore(rep *Reply, b []byte) bool {
	switch r.op {
	case opGetlk:
		if len(b) != 24 {
			return false
		}
		rep.Lock = fsdev.Lock{Start: le.Uint64(b), End: le.Uint64(b[8:]), Type: le.Uint32(b[16:]), PID: le.Uint32(b[20:])}
	case opIoctl:
		if len(b) < 16 || le.Uint32(b[4:]) != 0 || le.Uint64(b[8:]) != 0 {
			return false
		}
		rep.Result = int32(le.Uint32(b))
		rep.Data = b[16:]
	case opPoll:
		if len(b) != 8 {
			return false
		}
		rep.Events = le.Uint32(b)
	case opStatx:
		if len(b) != 288 {
			return false
		}
		decodeStatx(&rep.Statx, b)
	case opCopyFileRange64:
		if len(b) != 8 {
			return false
		}
		rep.Copied = le.Uint64(b)
	default:
		return len(b) == 0
	}
	return true
}

// decodeStatx decodes fuse_statx_out. ValidMS is how long the attributes may be cached.
func decodeStatx(st *fsdev.Statx, b []byte) {
	valid := le.Uint64(b)*1000 + uint64(le.Uint32(b[8:]))/1e6
	b = b[32:] // attr_valid, attr_valid_nsec, flags, spare
	*st = fsdev.Statx{
		Mask:           le.Uint32(b),
		Attributes:     le.Uint64(b[8:]),
		AttributesMask: le.Uint64(b[56:]),
		Btime:          le.Uint64(b[80:]),
		BtimeNsec:      le.Uint32(b[88:]),
	}
	major, minor := le.Uint32(b[128:]), le.Uint32(b[132:])
	st.Attr = fsdev.Attr{
		Blksize:   le.Uint32(b[4:]),
		Nlink:     le.Uint32(b[16:]),
		UID:       le.Uint32(b[20:]),
		GID:       le.Uint32(b[24:]),
		Mode:      uint32(le.Uint16(b[28:])),
		Ino:       le.Uint64(b[32:]),
		Size:      le.Uint64(b[40:]),
		Blocks:    le.Uint64(b[48:]),
		Atime:     le.Uint64(b[64:]),
		AtimeNsec: le.Uint32(b[72:]),
		Ctime:     le.Uint64(b[96:]),
		CtimeNsec: le.Uint32(b[104:]),
		Mtime:     le.Uint64(b[112:]),
		MtimeNsec: le.Uint32(b[120:]),
		Rdev:      minor&0xff | major<<8 | minor&^0xff<<12,
		ValidMS:   uint32(min(valid, 1<<32-1)),
	}
}
