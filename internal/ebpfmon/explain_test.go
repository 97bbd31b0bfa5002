package ebpfmon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// TestExplain pins that each reason leads to one line that says what to do, keeps the reason, and says whether it is
// the machine's.
func TestExplain(t *testing.T) {
	const confidential = "none integrity [confidentiality]\n"
	verifier := &ebpf.VerifierError{Cause: syscall.EACCES, Log: []string{"0: (b7) r0 = 0", "R1 invalid mem access"}}
	for _, test := range []struct {
		name     string
		err      error
		lockdown string
		want     string
		machine  bool
	}{
		{"no rights", fmt.Errorf("load program: %w", syscall.EPERM), "[none] integrity confidentiality",
			"not permitted: it takes root, or CAP_BPF and CAP_PERFMON", true},
		{"locked down", fmt.Errorf("load program: %w", syscall.EPERM), confidential,
			"boot it with lockdown=integrity", true},
		{"no access to files", &fs.PathError{Op: "open", Path: "/sys/kernel/btf/vmlinux", Err: syscall.EACCES}, "",
			"not permitted", true},
		{"no BTF", &fs.PathError{Op: "open", Path: "/sys/kernel/btf/vmlinux", Err: syscall.ENOENT}, "",
			"CONFIG_DEBUG_INFO_BTF", true},
		{"no such type", fmt.Errorf("task_struct: %w", btf.ErrNotFound), "", "CONFIG_DEBUG_INFO_BTF", true},
		{"not supported", ebpf.ErrNotSupported, "", "CONFIG_BPF_JIT", true},
		{"no bpf(2)", syscall.ENOSYS, "", "CONFIG_BPF_SYSCALL", true},
		{"PID namespace", fmt.Errorf("%w: inode 0x1", errPIDNamespace), "", "--pid=host", true},
		{"another kernel", fmt.Errorf("%w: no tracepoint sched_switch", errShape), "", "too old", true},
		{"verifier", verifier, "", "please report it", false},
		{"something else", errors.New("something else"), "", "could not be loaded (something else)", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := explain(test.err, test.lockdown)
			if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "\n") ||
				!strings.HasPrefix(text, "ebpf: ") {
				t.Errorf("%q does not say %q in one line", text, test.want)
			}
			if !errors.Is(err, test.err) || err.Machine() != test.machine {
				t.Errorf("is the machine's: %v; wraps its reason: %v", err.Machine(), errors.Is(err, test.err))
			}
		})
	}
}

func TestCheckPIDNamespace(t *testing.T) {
	if err := checkPIDNamespace("/nowhere"); err != nil {
		t.Errorf("without proc: %v", err)
	}
	file := t.TempDir() + "/ns"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkPIDNamespace(file); !errors.Is(err, errPIDNamespace) {
		t.Errorf("in another: %v", err)
	}
}
