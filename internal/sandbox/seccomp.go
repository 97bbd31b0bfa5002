package sandbox

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Filter is what happens at a system call that the process has no business to make.
type Filter int

// The filters.
const (
	Kill     Filter = iota // the process ends by SIGSYS: what it does is not in the program any more
	Log                    // it is done, and the kernel's log (audit) says so
	NoFilter               // there is no filter
)

var filterNames = []string{"kill", "log", "none"}

func (f Filter) String() string { return filterNames[f] }

// ParseFilter returns the filter that is called name.
func ParseFilter(name string) (Filter, error) {
	i := slices.Index(filterNames, name)
	if i < 0 {
		return 0, fmt.Errorf("%q is not a seccomp filter (want kill, log or none)", name)
	}
	return Filter(i), nil
}

// Install filters the system calls of all threads of the process, those to come included. It cannot be undone, and
// takes from the process the way to other programs: no_new_privs, and execve(2) is not allowed. If one of the listeners
// is no Unix socket, which it refuses with EAFNOSUPPORT or ENOTSOCK, nothing has changed.
func Install(f Filter, o *Options) error {
	if f == NoFilter {
		return nil
	}
	for _, fd := range o.Listeners {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err == nil && domain != unix.AF_UNIX {
			err = unix.EAFNOSUPPORT
		}
		if err != nil {
			return fmt.Errorf("sandbox: descriptor %d is no Unix socket: %w", fd, err)
		}
	}
	deny := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	if f == Log {
		deny = unix.SECCOMP_RET_LOG
	}
	if err := noNewPrivs(); err != nil { // the kernel hands it on to the other threads
		return err
	}
	rules := policy(uint32(os.Getpid()), o)
	// The C library falls back from clone3, whose flags a filter cannot see, to clone.
	refusals := []refusal{{unix.SYS_CLONE3, uint32(unix.ENOSYS)}}
	if err := setFilter(assemble(auditArch, rules, refusals, deny)); err != nil {
		return fmt.Errorf("sandbox: seccomp: %w", err)
	}
	return nil
}

// policy lists what a process may do that serves files: the Go run-time, reactors, /dev/fuse, io_uring and modules/aio.
func policy(pid uint32, o *Options) []rule {
	list := []rule{
		// Threads, and nothing else that is new: with other flags it would be a process.
		{unix.SYS_CLONE, []condition{{0, unix.CLONE_THREAD, unix.CLONE_THREAD}}},
		// A worker has a umask and a working directory of its own.
		{unix.SYS_UNSHARE, []condition{{0, ^uint32(0), unix.CLONE_FS}}},
		// The run-time preempts its threads, and the program ends itself, by signals.
		{unix.SYS_TGKILL, []condition{{0, ^uint32(0), pid}}},
		{unix.SYS_KILL, []condition{{0, ^uint32(0), pid}}},
		{unix.SYS_PRLIMIT64, []condition{{0, ^uint32(0), 0}}},
		{unix.SYS_PRCTL, []condition{{0, ^uint32(0), unix.PR_SET_NAME}}},
		{unix.SYS_PRCTL, []condition{{0, ^uint32(0), unix.PR_SET_VMA}}},
		// No new code.
		{unix.SYS_MMAP, []condition{{2, unix.PROT_EXEC, 0}}},
		{unix.SYS_MPROTECT, []condition{{2, unix.PROT_EXEC, 0}}},
		// The flags of files, for lsattr(1) and chattr(1): FS_IOC_GETFLAGS, _SETFLAGS, _GETVERSION and _FSGETXATTR of
		// linux/fs.h.
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), unix.FS_IOC_GETFLAGS}}},
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), unix.FS_IOC_SETFLAGS}}},
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), 0x80087601}}},
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), 0x801c581f}}},
		// The only device that it talks to. linux/fuse.h: FUSE_DEV_IOC_CLONE, _BACKING_OPEN and _BACKING_CLOSE.
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), 0x8004e500}}},
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), 0x4010e501}}},
		{unix.SYS_IOCTL, []condition{{1, ^uint32(0), 0x4004e502}}},
		// No socket but one whose other end it holds, to hand to whom it has a socket to already.
		{unix.SYS_SOCKETPAIR, []condition{{0, ^uint32(0), unix.AF_UNIX}}},
	}
	for _, group := range [][]uint32{dataCalls, nameCalls, attrCalls, userCalls, memoryCalls, threadCalls, signalCalls,
		timeCalls, eventCalls, archCalls} {
		for _, nr := range group {
			list = append(list, rule{nr: nr})
		}
	}
	if o.FileHandles {
		list = append(list, rule{nr: unix.SYS_OPEN_BY_HANDLE_AT})
	}
	for _, fd := range o.Listeners {
		// Who connects is the host's business: the socket's permission bits say who may.
		list = append(list, rule{unix.SYS_ACCEPT4, []condition{{0, ^uint32(0), uint32(fd)}}})
	}
	if len(o.Listeners) > 0 {
		list = append(list, rule{nr: unix.SYS_GETSOCKNAME}) // Go asks each client's socket
	}
	return list
}
