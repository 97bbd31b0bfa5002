package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

// ioctlCmd is a device control that clients may use.
type ioctlCmd struct {
	cmd uint32
	// size is what it really moves, in bytes. Those of a long move an int: everybody has always
	// implemented them so, and recent kernels ask for as much, older ones for as much as the
	// command says of itself.
	size uint16
}

// ioctlCmds are all there are. A module may hand a command on to the host, so it must be one
// that can do no harm there and whose argument holds no addresses. linux/fs.h
var ioctlCmds = [...]ioctlCmd{
	{0x80086601, 4},   // FS_IOC_GETFLAGS
	{0x40086602, 4},   // FS_IOC_SETFLAGS
	{0x80087601, 4},   // FS_IOC_GETVERSION
	{0x801c581f, 28},  // FS_IOC_FSGETXATTR, struct fsxattr
	{0x401c5820, 28},  // FS_IOC_FSSETXATTR
	{0x81009431, 256}, // FS_IOC_GETFSLABEL
}

func findIoctl(cmd uint32) *ioctlCmd {
	for i := range ioctlCmds {
		if ioctlCmds[i].cmd == cmd {
			return &ioctlCmds[i]
		}
	}
	return nil
}

// Bits of a command, which say what memory it reads and writes. asm-generic/ioctl.h
const (
	iocWrite     = 1 << 30 // the command reads what its caller has written
	iocRead      = 1 << 31
	iocSizeShift = 16
	iocSizeMask  = 1<<14 - 1
)

// moves returns how many bytes the command moves one way, if the client says that it is size.
func (c *ioctlCmd) moves(way, size uint32) (n int, ok bool) {
	if c.cmd&way == 0 {
		return 0, size == 0
	}
	return int(c.size), size == uint32(c.size) || size == c.cmd>>iocSizeShift&iocSizeMask
}

// doIoctl hands on a restricted ioctl, one whose argument is as the command's bits say.
// Unrestricted ones (of CUSE), those of 32-bit processes and commands that are not in the table
// get ENOTTY, which is what ioctl(2) says of a command that a file does not know.
func doIoctl(r *request) {
	in := args[IoctlIn](r)
	cmd := findIoctl(in.Cmd)
	if cmd == nil || in.Flags&^FUSE_IOCTL_DIR != 0 {
		r.fail(syscall.ENOTTY)
		return
	}
	nIn, okIn := cmd.moves(iocWrite, in.InSize)
	nOut, okOut := cmd.moves(iocRead, in.OutSize)
	if !okIn || !okOut || int(in.InSize) > r.in.left || nOut > r.out.left-outHeaderSize-ioctlOutSize {
		r.fail(syscall.EINVAL)
		return
	}
	value := r.names[:nIn] // an argument like others: read once
	r.in.read(value)
	r.iovs = r.out.slices(r.segs[:0], outHeaderSize+ioctlOutSize, nOut)
	r.started(r.sess.desc.Ioctl(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh), in.Cmd, in.Arg,
		value, r.iovs, uint32(nOut), ioctlDone, r))
}

const ioctlOutSize = 16

func ioctlDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, result int32, n uint64) {
	r := ctx.(*request)
	if errno != 0 {
		if errno == syscall.ENOSYS {
			errno = syscall.ENOTTY
		}
		r.fail(errno)
		return
	}
	// The client's kernel may want all of it, and must not get what was there before.
	size := 0
	for _, seg := range r.iovs {
		if size += len(seg); uint64(size) > n {
			clear(seg[max(0, len(seg)-size+int(n)):])
		}
	}
	payload[IoctlOut](r, 0).Result = result
	r.succeedWith(ioctlOutSize, size)
}
