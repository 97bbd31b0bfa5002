package loopback

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Entry is a node as LOOKUP and its like return it. Times are in nanoseconds.
type Entry struct {
	Node       uint64 // 0 in a positive reply: no such name, and the client may remember that
	Generation uint64
	EntryValid uint64 // how long the name may be cached
	AttrValid  uint64 // how long Attr may be cached
	Attr       fsdev.Attr
}

// InitReply is the server's half of the negotiation.
type InitReply struct {
	Major, Minor        uint32
	MaxReadahead        uint32
	Flags, Flags2       uint32
	MaxBackground       uint16
	CongestionThreshold uint16
	MaxWrite            uint32
	TimeGran            uint32
	MaxPages            uint16
}

// Reply is the decoded reply of one request. Only the fields that the operation has are
// set.
type Reply struct {
	Opcode uint32
	Unique uint64
	// Errno is the file system's answer, positive; EPROTO if the reply is malformed.
	Errno syscall.Errno
	// Len is the length of the reply in bytes, header included; 0 if there was none.
	Len       uint32
	Entry     Entry  // LOOKUP, GETATTR (Attr only), CREATE, ...
	Handle    uint64 // OPEN, OPENDIR, CREATE
	OpenFlags uint32 // OPEN, OPENDIR, CREATE: FOPEN_*
	Size      uint32 // WRITE, COPY_FILE_RANGE; GETXATTR and LISTXATTR that ask for the size
	Offset    uint64 // LSEEK
	Data      []byte // READ, READDIR, READLINK, GETXATTR, LISTXATTR, IOCTL
	Statfs    fsdev.Statfs
	Init      InitReply
	Lock      fsdev.Lock  // GETLK
	Statx     fsdev.Statx // STATX
	Result    int32       // IOCTL
	Events    uint32      // POLL
	Copied    uint64      // COPY_FILE_RANGE_64

	raw bool // of Conn.Raw
}

// reset clears what a decoder does not always overwrite.
func (r *Reply) reset() {
	r.Errno, r.Len = 0, 0
	r.Handle, r.OpenFlags, r.Size, r.Offset, r.Data = 0, 0, 0, 0, nil
	r.Result, r.Events, r.Copied = 0, 0, 0
}

// ParseReply takes a reply's header apart. ok is false if it is malformed: shorter than a
// header, of another length than it says, with an error that is not an errno, or with both
// an error and a body.
func ParseReply(b []byte) (unique uint64, errno syscall.Errno, body []byte, ok bool) {
	if len(b) < outHeaderSize {
		return 0, 0, nil, false
	}
	n, e := le.Uint32(b), int32(le.Uint32(b[4:]))
	unique = le.Uint64(b[8:])
	if int(n) != len(b) || e > 0 || e <= -512 || (e != 0 && n != outHeaderSize) {
		return unique, 0, nil, false
	}
	return unique, syscall.Errno(-e), b[outHeaderSize:], true
}

const (
	attrSize   = 88
	entrySize  = 40 + attrSize
	openSize   = 16
	statfsSize = 80
)

// decode checks and decodes the reply of replyLen bytes. errno is what the dispatcher said
// beside it, which has to agree.
func (r *request) decode(errno syscall.Errno, replyLen uint32) {
	rep := &r.reply
	rep.Len = replyLen
	if replyLen == 0 && (noReply(r.op) || r.op == opInterrupt) {
		rep.Errno = errno
		return
	}
	if int64(replyLen) > int64(len(r.rbuf)) && r.data == nil ||
		r.data != nil && int64(replyLen) > int64(outHeaderSize+len(r.data)) ||
		replyLen < outHeaderSize || noReply(r.op) {
		rep.Errno = syscall.EPROTO
		return
	}
	h := r.rbuf[:outHeaderSize]
	e := int32(le.Uint32(h[4:]))
	if le.Uint32(h) != replyLen || le.Uint64(h[8:]) != r.unique || e > 0 || e <= -512 ||
		(e != 0 && replyLen != outHeaderSize) || syscall.Errno(-e) != errno {
		rep.Errno = syscall.EPROTO
		return
	}
	if e != 0 {
		rep.Errno = syscall.Errno(-e)
		return
	}
	body := r.rbuf[outHeaderSize:max(outHeaderSize, min(int(replyLen), len(r.rbuf)))]
	if r.data != nil {
		body = r.data[:replyLen-outHeaderSize]
	}
	if !r.decodeBody(rep, body) {
		rep.Errno = syscall.EPROTO
	}
}

// decodeBody decodes the body of a successful reply and reports whether it has the form
// that its operation prescribes.
func (r *request) decodeBody(rep *Reply, b []byte) bool {
	switch r.op {
	case opLookup, opSymlink, opMknod, opMkdir, opLink:
		if len(b) != entrySize {
			return false
		}
		decodeEntry(&rep.Entry, b)
	case opGetattr, opSetattr:
		if len(b) != 16+attrSize {
			return false
		}
		rep.Entry = Entry{AttrValid: le.Uint64(b)*1e9 + uint64(le.Uint32(b[8:]))}
		decodeAttr(&rep.Entry.Attr, b[16:])
	case opCreate, opTmpfile:
		if len(b) != entrySize+openSize {
			return false
		}
		decodeEntry(&rep.Entry, b)
		b = b[entrySize:]
		rep.Handle, rep.OpenFlags = le.Uint64(b), le.Uint32(b[8:])
	case opOpen, opOpendir:
		if len(b) != openSize {
			return false
		}
		rep.Handle, rep.OpenFlags = le.Uint64(b), le.Uint32(b[8:])
	case opWrite, opCopyFileRange:
		if len(b) != 8 {
			return false
		}
		rep.Size = le.Uint32(b)
	case opGetxattr, opListxattr:
		if r.data != nil {
			rep.Data = b
			break
		}
		if len(b) != 8 {
			return false
		}
		rep.Size = le.Uint32(b)
	case opRead, opReaddir, opReaddirplus, opReadlink:
		rep.Data = b
	case opStatfs:
		if len(b) != statfsSize {
			return false
		}
		rep.Statfs = fsdev.Statfs{
			Blocks:  le.Uint64(b),
			Bfree:   le.Uint64(b[8:]),
			Bavail:  le.Uint64(b[16:]),
			Files:   le.Uint64(b[24:]),
			Ffree:   le.Uint64(b[32:]),
			Bsize:   le.Uint32(b[40:]),
			Namelen: le.Uint32(b[44:]),
			Frsize:  le.Uint32(b[48:]),
		}
	case opLseek:
		if len(b) != 8 {
			return false
		}
		rep.Offset = le.Uint64(b)
	case opInit:
		return decodeInit(&rep.Init, b)
	default:
		return r.decodeMore(rep, b)
	}
	return true
}

// decodeInit accepts the three lengths that the protocol has had: up to 7.4, up to 7.22,
// and since.
func decodeInit(in *InitReply, b []byte) bool {
	if len(b) != 8 && len(b) != 24 && len(b) != 64 {
		return false
	}
	*in = InitReply{Major: le.Uint32(b), Minor: le.Uint32(b[4:])}
	if len(b) >= 24 {
		in.MaxReadahead = le.Uint32(b[8:])
		in.Flags = le.Uint32(b[12:])
		in.MaxBackground = le.Uint16(b[16:])
		in.CongestionThreshold = le.Uint16(b[18:])
		in.MaxWrite = le.Uint32(b[20:])
	}
	if len(b) >= 64 {
		in.TimeGran = le.Uint32(b[24:])
		in.MaxPages = le.Uint16(b[28:])
		in.Flags2 = le.Uint32(b[32:])
	}
	return true
}

func decodeEntry(e *Entry, b []byte) {
	e.Node = le.Uint64(b)
	e.Generation = le.Uint64(b[8:])
	e.EntryValid = le.Uint64(b[16:])*1e9 + uint64(le.Uint32(b[32:]))
	e.AttrValid = le.Uint64(b[24:])*1e9 + uint64(le.Uint32(b[36:]))
	decodeAttr(&e.Attr, b[40:])
}

func decodeAttr(a *fsdev.Attr, b []byte) {
	*a = fsdev.Attr{
		Ino:       le.Uint64(b),
		Size:      le.Uint64(b[8:]),
		Blocks:    le.Uint64(b[16:]),
		Atime:     le.Uint64(b[24:]),
		Mtime:     le.Uint64(b[32:]),
		Ctime:     le.Uint64(b[40:]),
		AtimeNsec: le.Uint32(b[48:]),
		MtimeNsec: le.Uint32(b[52:]),
		CtimeNsec: le.Uint32(b[56:]),
		Mode:      le.Uint32(b[60:]),
		Nlink:     le.Uint32(b[64:]),
		UID:       le.Uint32(b[68:]),
		GID:       le.Uint32(b[72:]),
		Rdev:      le.Uint32(b[76:]),
		Blksize:   le.Uint32(b[80:]),
		Submount:  le.Uint32(b[84:])&1 != 0, // FUSE_ATTR_SUBMOUNT
	}
}

// Dirent is one entry of a directory.
type Dirent struct {
	Ino  uint64
	Next uint64 // the cookie from which READDIR continues
	Type uint32 // DT_*
	Name []byte // aliases the buffer
	// Entry is set by READDIRPLUS. Entry.Node is 0 if no reference was given along,
	// which is so for "." and "..".
	Entry Entry
}

const direntSize = 24

// ParseDirents calls fn for every entry in the answer of READDIR (or READDIRPLUS, if plus)
// until it returns false. It returns false if the bytes are malformed. The *Dirent is valid
// until fn returns.
func ParseDirents(b []byte, plus bool, fn func(e *Dirent) bool) bool {
	var d Dirent
	for len(b) > 0 {
		head := 0
		if plus {
			head = entrySize
		}
		if len(b) < head+direntSize {
			return false
		}
		if plus {
			decodeEntry(&d.Entry, b)
		}
		h := b[head:]
		d.Ino, d.Next = le.Uint64(h), le.Uint64(h[8:])
		n := uint64(le.Uint32(h[16:]))
		d.Type = le.Uint32(h[20:])
		size := (uint64(head+direntSize) + n + 7) &^ 7
		if n == 0 || size > uint64(len(b)) {
			return false
		}
		d.Name = h[direntSize : direntSize+n]
		if !fn(&d) {
			return true
		}
		b = b[size:]
	}
	return true
}
