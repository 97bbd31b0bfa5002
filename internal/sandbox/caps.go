package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Keep returns the capabilities that stay, as bits: those that acting on files as any user takes, which is what
// virtiofsd keeps, and what the options say about that.
func (o *Options) Keep() uint64 {
	const files = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
		1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_MKNOD | 1<<unix.CAP_SETFCAP
	keep := uint64(files)
	if o.FileHandles {
		keep |= 1 << unix.CAP_DAC_READ_SEARCH
	}
	return (keep | o.MoreCaps) &^ o.LessCaps
}

// passes says whether files are given to the kernel, which opens, maps and executes them for clients with the rights of
// the process.
func (o *Options) passes() bool { return o.Keep()&(1<<unix.CAP_SYS_ADMIN) != 0 }

type capSets [2]unix.CapUserData

func getCaps() (sets capSets, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err = unix.Capget(&hdr, &sets[0]); err != nil {
		return sets, fmt.Errorf("sandbox: capget: %w", err)
	}
	return sets, nil
}

func hasCap(c int) bool {
	sets, err := getCaps()
	return err == nil && sets[c/32].Effective&(1<<(c%32)) != 0
}

// dropCaps takes all capabilities but keep from the calling thread, and from what it executes once it has
// no_new_privs: root would else have them back. The bounding set would do that too, but changing it takes CAP_SETPCAP,
// which containers may lack, so that it is only changed if it can be.
func dropCaps(keep uint64) error {
	if hasCap(unix.CAP_SETPCAP) {
		for c := uintptr(0); c < 64; c++ {
			if keep&(1<<c) == 0 && unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) == unix.EINVAL {
				break // there are no more
			}
		}
	}
	sets, err := getCaps()
	if err != nil {
		return err
	}
	for i := range sets {
		mask := uint32(keep >> (32 * i))
		sets[i].Permitted &= mask
		sets[i].Effective &= mask
		sets[i].Inheritable &= mask // the ambient ones follow
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&hdr, &sets[0]); err != nil {
		return fmt.Errorf("sandbox: capset: %w", err)
	}
	return nil
}

// noNewPrivs cannot be undone.
func noNewPrivs() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: no_new_privs: %w", err)
	}
	return nil
}
