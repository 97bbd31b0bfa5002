package ebpfmon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Error says why there can be no monitor, and what to do about it. It wraps what has failed.
type Error struct {
	why     string
	machine bool
	err     error
}

func (e *Error) Error() string { return "ebpf: " + e.why + " (" + firstLine(e.err) + ")" }

// Unwrap returns what has failed.
func (e *Error) Unwrap() error { return e.err }

// Machine says whether the machine, or who has set it up, is the reason, rather than a mistake of the programs.
func (e *Error) Machine() bool { return e.machine }

// firstLine returns an error's text without what the kernel's verifier has said after it.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(text, ":")
}

// lockdownFile says whether the kernel protects itself from root (kernel_lockdown(7)).
const lockdownFile = "/sys/kernel/security/lockdown"

// refuse explains err.
func refuse(err error) *Error {
	lockdown, _ := os.ReadFile(lockdownFile)
	return explain(err, string(lockdown))
}

// explain is refuse with what the kernel says of its lockdown, "" if that is not known.
func explain(err error, lockdown string) *Error {
	why, machine := "", true
	var verifier *ebpf.VerifierError
	switch {
	case errors.Is(err, errPIDNamespace):
		why = "a process in a PID namespace of its own does not know the kernel's numbers of its threads: run the " +
			"container with the host's (docker run --pid=host)"
	case errors.As(err, &verifier) && !errors.Is(err, syscall.EPERM): // it says EACCES for what is unsafe
		why, machine = "the kernel refuses the programs, a mistake of theirs: please report it, and which kernel it is", false
	case errors.Is(err, syscall.ENOSYS):
		why = "the kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"
	case errors.Is(err, fs.ErrPermission) && strings.Contains(lockdown, "[confidentiality]"):
		why = "the kernel is locked down, in mode confidentiality, and lets nobody look into it: boot it with " +
			"lockdown=integrity"
	case errors.Is(err, fs.ErrPermission):
		why = "not permitted: it takes root, or CAP_BPF and CAP_PERFMON, and bpf(2), which a container or a sandbox may " +
			"forbid: give them, or do without"
	case errors.Is(err, errShape):
		why = "the kernel is too old, or built without what it takes (Linux 5.8)"
	case errors.Is(err, btf.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, ebpf.ErrNotSupported):
		why = "the kernel lacks what it takes: Linux 5.8 with CONFIG_DEBUG_INFO_BTF, so that there is " +
			"/sys/kernel/btf/vmlinux, and CONFIG_BPF_JIT"
	default:
		machine = false
		why = "the programs could not be loaded"
	}
	return &Error{why, machine, err}
}

var errPIDNamespace = errors.New("this is not the first PID namespace")

// initPIDNamespace is PROC_PID_INIT_INO of the kernel's linux/proc_ns.h.
const initPIDNamespace = 0xEFFFFFFC

// checkPIDNamespace makes sure that thread numbers here are those of the kernel. path is that of the namespace; if
// there is no proc file system to ask, it hopes for the best.
func checkPIDNamespace(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil
	}
	if st.Ino != initPIDNamespace {
		return fmt.Errorf("%w: inode %#x", errPIDNamespace, st.Ino)
	}
	return nil
}
