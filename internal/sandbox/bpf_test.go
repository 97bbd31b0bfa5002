package sandbox

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// call is struct seccomp_data.
type call struct {
	nr, arch uint32
	args     [6]uint64
}

func (c *call) bytes() []byte {
	b := binary.NativeEndian.AppendUint32(nil, c.nr)
	b = binary.NativeEndian.AppendUint32(b, c.arch)
	b = binary.NativeEndian.AppendUint64(b, 0) // the instruction pointer
	for _, a := range c.args {
		b = binary.NativeEndian.AppendUint64(b, a)
	}
	return b
}

// interpret runs a filter as the kernel does, and says whether it has looked at an argument.
func interpret(t *testing.T, prog []unix.SockFilter, c call) (verdict uint32, looked bool) {
	t.Helper()
	data, acc := c.bytes(), uint32(0)
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = binary.NativeEndian.Uint32(data[in.K:])
			looked = looked || in.K >= offArgs
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if acc == in.K {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return in.K, looked
		default:
			t.Fatalf("instruction %d is %+v", pc, in)
		}
	}
	t.Fatal("the filter has no end")
	return 0, false
}

const (
	allow  = unix.SECCOMP_RET_ALLOW
	kill   = unix.SECCOMP_RET_KILL_PROCESS
	nosys  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	testID = 1234
)

// TestPolicy pins what the filter makes of calls whose arguments matter, and of some that are never made.
func TestPolicy(t *testing.T) {
	prog := assemble(auditArch, policy(testID, &Options{}), []refusal{{unix.SYS_CLONE3, uint32(unix.ENOSYS)}}, kill)
	if len(prog) > unix.BPF_MAXINSNS {
		t.Fatalf("%d instructions", len(prog))
	}
	const goThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM |
		unix.CLONE_THREAD
	for _, test := range []struct {
		name string
		nr   uint32
		args [6]uint64
		want uint32
	}{
		{"read", unix.SYS_READ, [6]uint64{1, 2, 3}, allow},
		{"a thread", unix.SYS_CLONE, [6]uint64{goThread}, allow},
		{"a process", unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}, kill},
		{"vfork", unix.SYS_CLONE, [6]uint64{unix.CLONE_VFORK | unix.CLONE_VM | uint64(unix.SIGCHLD)}, kill},
		{"clone3", unix.SYS_CLONE3, [6]uint64{}, nosys},
		{"unshare of the umask", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_FS}, allow},
		{"unshare of the mounts", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWNS}, kill},
		{"unshare of both", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWNS | unix.CLONE_FS}, kill},
		{"a signal to itself", unix.SYS_TGKILL, [6]uint64{testID, 1, 23}, allow},
		{"a signal to another", unix.SYS_TGKILL, [6]uint64{1, 1, 9}, kill},
		{"kill of itself", unix.SYS_KILL, [6]uint64{testID, 15}, allow},
		{"kill of another", unix.SYS_KILL, [6]uint64{1, 15}, kill},
		{"kill of all", unix.SYS_KILL, [6]uint64{1<<64 - 1, 9}, kill},
		{"data", unix.SYS_MMAP, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE}, allow},
		{"code", unix.SYS_MMAP, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, kill},
		{"data that becomes code", unix.SYS_MPROTECT, [6]uint64{0, 4096, unix.PROT_EXEC}, kill},
		{"a name", unix.SYS_PRCTL, [6]uint64{unix.PR_SET_NAME}, allow},
		{"the name of memory", unix.SYS_PRCTL, [6]uint64{unix.PR_SET_VMA}, allow},
		{"another prctl", unix.SYS_PRCTL, [6]uint64{unix.PR_SET_DUMPABLE}, kill},
		{"its limits", unix.SYS_PRLIMIT64, [6]uint64{0, 7}, allow},
		{"another's limits", unix.SYS_PRLIMIT64, [6]uint64{1, 7}, kill},
		{"clone of a device", unix.SYS_IOCTL, [6]uint64{3, 0x8004e500}, allow},
		{"flags of a file", unix.SYS_IOCTL, [6]uint64{3, unix.FS_IOC_GETFLAGS}, allow},
		{"keys for a terminal", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCSTI}, kill},
		{"keys, in disguise", unix.SYS_IOCTL, [6]uint64{0, 1<<32 | unix.TIOCSTI}, kill},
		{"a socket", unix.SYS_SOCKET, [6]uint64{unix.AF_INET}, kill},
		{"a pair of sockets", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_UNIX}, allow},
		{"other pairs", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_TIPC}, kill},
		{"execve", unix.SYS_EXECVE, [6]uint64{}, kill},
		{"execveat", unix.SYS_EXECVEAT, [6]uint64{}, kill},
		{"ptrace", unix.SYS_PTRACE, [6]uint64{}, kill},
		{"memory of others", unix.SYS_PROCESS_VM_WRITEV, [6]uint64{}, kill},
		{"open by handle", unix.SYS_OPEN_BY_HANDLE_AT, [6]uint64{}, kill},
		{"seccomp", unix.SYS_SECCOMP, [6]uint64{}, kill},
		{"bpf", unix.SYS_BPF, [6]uint64{}, kill},
		{"the x32 ABI", 1<<30 | unix.SYS_READ, [6]uint64{}, kill},
	} {
		if got, _ := interpret(t, prog, call{test.nr, auditArch, test.args}); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
		}
		const otherArch = unix.AUDIT_ARCH_I386
		if got, _ := interpret(t, prog, call{test.nr, otherArch, test.args}); got != kill {
			t.Errorf("%s, of another architecture: %#x", test.name, got)
		}
	}
	// What the kernel can remember costs nothing.
	for _, nr := range []uint32{unix.SYS_READ, unix.SYS_WRITEV, unix.SYS_FUTEX, unix.SYS_OPENAT2, unix.SYS_STATX,
		unix.SYS_PREADV2, unix.SYS_IO_URING_ENTER, unix.SYS_EPOLL_PWAIT} {
		if verdict, looked := interpret(t, prog, call{nr: nr, arch: auditArch}); verdict != allow || looked {
			t.Errorf("call %d: %#x, arguments looked at: %v", nr, verdict, looked)
		}
	}
	withHandles := assemble(auditArch, policy(testID, &Options{FileHandles: true}), nil, kill)
	if got, _ := interpret(t, withHandles, call{nr: unix.SYS_OPEN_BY_HANDLE_AT, arch: auditArch}); got != allow {
		t.Errorf("open by handle where that is wanted: %#x", got)
	}
}

// TestPolicyNamesEachCallOnce finds calls that are in two lists.
func TestPolicyNamesEachCallOnce(t *testing.T) {
	seen := map[uint32]bool{}
	for _, r := range policy(testID, &Options{FileHandles: true}) {
		if seen[r.nr] && len(r.cond) == 0 {
			t.Errorf("call %d is allowed twice", r.nr)
		}
		seen[r.nr] = true
	}
}
