package dispatchertest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Handles of an [FS]. To the client the root is FUSE_ROOT_ID, and File is [Node].
const (
	Root   fsdev.FileObject = 5 << 32
	File   fsdev.FileObject = 7<<32 | 3
	Handle fsdev.FileHandle = 9<<32 | 4
)

// Node is what a client calls [File].
const Node = uint64(File)

// FillTarget is what [Fill] answers a READLINK.
const FillTarget = "where/to"

// What [Fill] answers other requests.
var (
	FillAttr = fsdev.Attr{
		Ino: 201, Size: 202, Blocks: 203, Atime: 204, Mtime: 205, Ctime: 206, AtimeNsec: 207, MtimeNsec: 208,
		CtimeNsec: 209, Mode: syscall.S_IFREG | 0o644, Nlink: 211, UID: 212, GID: 213, Rdev: 214, Blksize: 215,
	}
	FillStatx = fsdev.Statx{
		Mask: 301, Attributes: 302, AttributesMask: 303, Btime: 304, BtimeNsec: 305, Attr: FillAttr,
	}
	FillLock   = fsdev.Lock{Type: syscall.F_WRLCK, PID: 401, Start: 402, End: 403}
	FillStatfs = fsdev.Statfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}
)

// Pattern is what [Fill] reads.
func Pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + 1)
	}
	return p
}

// Fill sets the results of a success.
func Fill(io *fsdev.IO) {
	io.OutObject, io.OutHandle, io.OutTarget = File, Handle, []byte(FillTarget)
	io.OutAttr, io.OutStatfs, io.OutStatx = FillAttr, FillStatfs, FillStatx
	switch io.Type {
	case fsdev.IOLseek:
		io.OutSize = 501
	case fsdev.IOPoll:
		io.OutResult = 502
	case fsdev.IOGetlk:
		io.Lock = FillLock
	case fsdev.IOWrite:
		io.OutSize = uint64(io.Size)
	case fsdev.IOCopyFileRange:
		io.OutSize = io.Length
	case fsdev.IORead, fsdev.IOGetxattr, fsdev.IOListxattr, fsdev.IOIoctl:
		io.OutSize, io.OutResult = uint64(io.Size), 503
		if io.Size == 0 && (io.Type == fsdev.IOGetxattr || io.Type == fsdev.IOListxattr) {
			io.OutSize = 33
		}
		rest := Pattern(int(io.Size))
		for _, v := range io.Iovs {
			rest = rest[copy(v, rest):]
		}
	case fsdev.IOReaddir:
		for i, name := range []string{".", "a", "longer name"} {
			obj := fsdev.FileObject(0)
			if io.Plus && i > 0 {
				obj = File + fsdev.FileObject(i)
			}
			if !io.Emit([]byte(name), obj, &FillAttr, uint64(i+1)) {
				return
			}
		}
	}
}
