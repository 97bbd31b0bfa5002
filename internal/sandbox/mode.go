package sandbox

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Mode is what keeps the process to the exported directories.
type Mode int

// The modes. Each but None also drops capabilities, and uses Landlock if the kernel has it.
const (
	Auto      Mode = iota // Namespace if that is permitted, else Landlock if there is one, else None
	Namespace             // a root directory with the exported ones and little else: needs CAP_SYS_ADMIN
	Chroot                // the exported directory is the root directory: needs CAP_SYS_CHROOT
	Landlock              // the kernel's check of each access: needs no privilege
	None                  // nothing
)

var modeNames = []string{"auto", "namespace", "chroot", "landlock", "none"}

func (m Mode) String() string { return modeNames[m] }

// ParseMode returns the mode that is called name.
func ParseMode(name string) (Mode, error) {
	i := slices.Index(modeNames, name)
	if i < 0 {
		return 0, fmt.Errorf("%q is not a sandbox (want auto, namespace, chroot, landlock or none)", name)
	}
	return Mode(i), nil
}

// Choose returns what Auto stands for in this process, and any other mode as it is. Errors wrap EPERM (a privilege is
// missing) or ENOSYS (the kernel lacks something), and say what can be done.
func (m Mode) Choose() (Mode, error) {
	switch m {
	case Auto:
		switch {
		case hasCap(unix.CAP_SYS_ADMIN):
			return Namespace, nil
		case landlockABI() >= minLandlock:
			return Landlock, nil
		}
		return None, nil
	case Namespace:
		if !hasCap(unix.CAP_SYS_ADMIN) {
			return m, fmt.Errorf("a mount namespace needs CAP_SYS_ADMIN: run as root, use the sandbox landlock, or become "+
				"root in a user namespace first (unshare -Ur): %w", unix.EPERM)
		}
	case Chroot:
		if !hasCap(unix.CAP_SYS_CHROOT) {
			return m, fmt.Errorf("chroot(2) needs CAP_SYS_CHROOT: run as root, or use the sandbox landlock: %w", unix.EPERM)
		}
	case Landlock:
		if abi := landlockABI(); abi < minLandlock {
			return m, fmt.Errorf("the kernel has no Landlock of version %d or later (CONFIG_SECURITY_LANDLOCK, and "+
				"landlock in lsm= of its command line): %w", minLandlock, unix.ENOSYS)
		}
	case None:
	}
	return m, nil
}

// Export is a directory that the process exports.
type Export struct {
	Path     string // absolute, without symbolic links
	ReadOnly bool
}

// Options say what a sandbox is to leave.
type Options struct {
	Mode    Mode // not Auto
	Exports []Export

	// FileHandles says that files are opened by handle (open_by_handle_at(2)): that needs CAP_DAC_READ_SEARCH, and
	// cannot have Landlock, which does not know where such a file is. Whoever takes the process over can then open any
	// file of the file systems that the exported directories lie on, by a handle that he makes up.
	FileHandles bool

	// Listeners are descriptors of Unix sockets that are listened at, whose clients the process may accept.
	Listeners []int

	// MoreCaps are capabilities that stay beside the usual ones, and LessCaps are some that do not, as bits.
	MoreCaps, LessCaps uint64
}

func (o *Options) check() error {
	switch {
	case o.Mode <= Auto || o.Mode > None:
		return fmt.Errorf("sandbox: mode %d: %w", o.Mode, unix.EINVAL)
	case o.Mode == Chroot && len(o.Exports) != 1:
		return fmt.Errorf("sandbox: the sandbox chroot can have one exported directory, not %d: use namespace: %w",
			len(o.Exports), unix.EINVAL)
	case o.Mode == Landlock && o.FileHandles:
		return fmt.Errorf("sandbox: Landlock does not go with file handles: use namespace: %w", unix.EINVAL)
	}
	return nil
}

// Root returns what an exported directory is called once the sandbox is entered.
func (o *Options) Root(path string) string {
	if o.Mode == Chroot {
		return "/"
	}
	return path
}

// readable lists what may be read of the host beside the exported directories: what the run-time, and operators, ask
// about the machine, before the root changes and, where a namespace has room for it, after.
var readable = []string{"/proc/cpuinfo", "/proc/stat", "/sys/devices/system/cpu", "/sys/devices/system/node",
	"/sys/kernel/mm/transparent_hugepage", "/etc/localtime", "/usr/share/zoneinfo"}
