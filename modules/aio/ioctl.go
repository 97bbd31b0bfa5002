package aio

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// The device controls that the host's file system gets: those of lsattr(1) and chattr(1). FS_IOC_FSSETXATTR is not
// among them, since with it a client could leave the project whose quota holds what is exported. linux/fs.h
const (
	iocGetFlags   = unix.FS_IOC_GETFLAGS // an int, whatever the command says of itself
	iocSetFlags   = unix.FS_IOC_SETFLAGS
	iocGetVersion = 0x80087601 // FS_IOC_GETVERSION, an int
	iocGetXattr   = 0x801c581f // FS_IOC_FSGETXATTR, struct fsxattr
)

// ioctlSize is how many bytes a command returns, or, for iocSetFlags, takes; 0 if it is not one of those.
func ioctlSize(cmd uint32) int {
	switch cmd {
	case iocGetFlags, iocSetFlags, iocGetVersion:
		return 4
	case iocGetXattr:
		return 28
	}
	return 0
}

// mayChange are the flags of a file that a client may set and clear: neither those that say how the host has stored it
// nor that of project quotas. FS_*_FL
const mayChange = flagCompress | flagSync | flagImmutable | flagAppend | flagNodump | flagNoatime | flagNocompress |
	flagNotail | flagDirsync | flagTopdir | flagNocow

const (
	flagCompress   = 0x4
	flagSync       = 0x8
	flagImmutable  = 0x10
	flagAppend     = 0x20
	flagNodump     = 0x40
	flagNoatime    = 0x80
	flagNocompress = 0x400
	flagNotail     = 0x8000
	flagDirsync    = 0x10000
	flagTopdir     = 0x20000
	flagNocow      = 0x800000
)

// checkIoctl says what is wrong with an IOCTL. Errors: ENOTTY (the command is not known), EROFS, EINVAL (its memory).
func (a *Aio) checkIoctl(n *node, io *fsdev.IO) syscall.Errno {
	size := ioctlSize(io.Flags)
	switch {
	case size == 0, n.typ != unix.S_IFREG && !n.isDir():
		return syscall.ENOTTY
	case io.Flags == iocSetFlags:
		if a.o.ReadOnly {
			return syscall.EROFS
		}
		if len(io.Value) < size {
			return syscall.EINVAL
		}
	case int(io.Size) < size:
		return syscall.EINVAL
	}
	return 0
}

func runIoctl(w *worker, j *job) syscall.Errno {
	fd, errno := w.fdOf(j)
	if errno != 0 {
		return errno
	}
	defer w.doneWith(j, fd)
	buf := w.buffer()
	clear(buf[:maxIoctl])
	if j.io.Flags == iocSetFlags {
		return setFlags(fd, binary.NativeEndian.Uint32(j.io.Value), buf)
	}
	if _, errno := sys.Ioctl(fd, j.io.Flags, buf[:maxIoctl]); errno != 0 {
		return errno
	}
	out := buf[:ioctlSize(j.io.Flags)]
	j.io.OutSize, j.io.OutResult = uint64(len(out)), 0
	for _, b := range j.io.Iovs {
		out = out[copy(b, out):]
	}
	return 0
}

// maxIoctl is more than any command moves, and than any claims to.
const maxIoctl = 64

// setFlags sets a file's flags. Errors: EOPNOTSUPP (some of them are not a client's to change).
func setFlags(fd int, flags uint32, buf []byte) syscall.Errno {
	if _, errno := sys.Ioctl(fd, iocGetFlags, buf[:maxIoctl]); errno != 0 {
		return errno
	}
	if (flags^binary.NativeEndian.Uint32(buf))&^mayChange != 0 {
		return syscall.EOPNOTSUPP
	}
	binary.NativeEndian.PutUint32(buf, flags)
	_, errno := sys.Ioctl(fd, iocSetFlags, buf[:maxIoctl])
	return errno
}
