package fusedev

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/log"
)

// backingUser is the part of a dispatcher that has files to register.
type backingUser interface {
	SetBacking(b fusedispatcher.Backing)
}

// BackingStats says which files the kernel reads and writes by itself.
type BackingStats struct {
	Open    uint64 // files that are registered now; one that is open several times is one
	Opened  uint64 // that have been, since the mount
	Refused uint64 // that the kernel did not want: their data are requests
}

// backing registers files with the kernel, for the dispatcher. Its descriptor serves every queue: what is registered
// belongs to the connection.
type backing struct {
	user backingUser
	fd   int
	log  *log.Limiter
	init func() error // says why files cannot be registered at all

	denied  atomic.Bool
	closers sync.WaitGroup
	opened  atomic.Uint64
	closed  atomic.Uint64
	refused atomic.Uint64
}

// newBacking offers registration to user. fd must stay open until end returns.
func newBacking(user backingUser, fd int, l *log.Limiter) *backing {
	b := &backing{user: user, fd: fd, log: l, init: mayPassThrough}
	user.SetBacking(b)
	return b
}

// end waits for what uses the descriptor. The dispatcher has given everything back.
func (b *backing) end() {
	b.user.SetBacking(nil)
	b.closers.Wait()
}

// CheckBacking implements [fusedispatcher.Backing].
//
// Not in SPDK.
func (b *backing) CheckBacking() syscall.Errno {
	if err := b.init(); err != nil {
		if line, ok := b.log.Allow(); ok {
			line.Warn("fusedev: files are not passed through, their data are requests", "error", err)
		}
		return unix.EPERM
	}
	return 0
}

// firstUserNS is the inode of the first user namespace, whose capabilities count. linux/nsfs.h, USER_NS_INIT_INO
const firstUserNS = 0xeffffffd

// mayPassThrough says why the calling thread may not register files.
func mayPassThrough() error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &st); err == nil && st.Ino != firstUserNS {
		return fmt.Errorf("passthrough needs CAP_SYS_ADMIN in the first user namespace, not in a container's: %w", unix.EPERM)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return fmt.Errorf("passthrough needs CAP_SYS_ADMIN: %w", unix.EPERM)
	}
	return nil
}

// OpenBacking implements [fusedispatcher.Backing].
//
// Not in SPDK.
func (b *backing) OpenBacking(fd int) (id int32, errno syscall.Errno) {
	if b.denied.Load() {
		b.refused.Add(1)
		return 0, unix.EPERM
	}
	if id, errno = backingOpen(b.fd, fd); errno == 0 {
		b.opened.Add(1)
		return id, 0
	}
	b.refused.Add(1)
	if errno == unix.EPERM { // it will not change
		b.denied.Store(true)
	}
	hint := ""
	switch errno {
	case unix.EPERM:
		hint = " (it needs CAP_SYS_ADMIN)"
	case unix.ELOOP:
		hint = " (it is on a file system that lies on others, such as overlayfs)"
	}
	report(b.log, fmt.Errorf("a file is not passed through, its data are requests: %w%s", errno, hint))
	return 0, errno
}

// CloseBacking implements [fusedispatcher.Backing].
//
// Not in SPDK.
func (b *backing) CloseBacking(id int32, waits bool) {
	b.closed.Add(1)
	if waits {
		b.closers.Go(func() { _ = backingClose(b.fd, id) })
		return
	}
	// ENODEV: the connection is over, and with it all that was registered.
	if errno := backingClose(b.fd, id); errno != 0 && errno != unix.ENODEV && errno != unix.EPERM {
		report(b.log, fmt.Errorf("%s: giving file %d back: %w", devFuse, id, errno))
	}
}

// BackingStats returns which files the kernel reads and writes by itself.
func (s *Session) BackingStats() BackingStats {
	b := s.backing
	if b == nil {
		return BackingStats{}
	}
	closed := b.closed.Load() // before what it is subtracted from
	opened := b.opened.Load()
	return BackingStats{Open: opened - closed, Opened: opened, Refused: b.refused.Load()}
}

// backingOpen registers a file without CAP_FSETID. The kernel writes as the thread that has registered the file,
// whoever the client is, and would leave a program its set-ID bits otherwise.
func backingOpen(dev, fd int) (id int32, errno syscall.Errno) {
	const fsetid = 1 << unix.CAP_FSETID
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&hdr, &caps[0]); err != nil {
		return 0, unix.EPERM
	}
	if caps[0].Effective&fsetid != 0 {
		without := caps
		without[0].Effective &^= fsetid
		if err := unix.Capset(&hdr, &without[0]); err != nil {
			return 0, unix.EPERM
		}
		defer func() { _ = unix.Capset(&hdr, &caps[0]) }() // what is permitted can be had again
	}
	n, errno := sys.Ioctl(dev, fuseabi.FUSE_DEV_IOC_BACKING_OPEN, fuseabi.Bytes(&fuseabi.BackingMap{Fd: int32(fd)}))
	if errno != 0 {
		return 0, errno
	}
	return int32(n), 0
}

func backingClose(dev int, id int32) syscall.Errno {
	_, errno := sys.Ioctl(dev, fuseabi.FUSE_DEV_IOC_BACKING_CLOSE, binary.NativeEndian.AppendUint32(nil, uint32(id)))
	return errno
}
