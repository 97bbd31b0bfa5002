package sandbox

import "golang.org/x/sys/unix"

// Where the filter finds what it looks at: struct seccomp_data of linux/seccomp.h, on machines that store the low half
// of an argument first.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// rule allows a system call, if all conditions hold. There may be several rules for one.
type rule struct {
	nr   uint32
	cond []condition
}

// condition looks at the low 32 bits of an argument, which is all of those that we look at.
type condition struct {
	arg         int
	mask, value uint32 // argument & mask == value
}

// refusal answers one system call with an errno, which its callers know how to take.
type refusal struct {
	nr    uint32
	errno uint32
}

func load(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}

func and(mask uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask}
}

// unless skips what follows, n instructions, if the accumulator is not k.
func unless(k uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: uint8(n)}
}

func ret(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
}

// assemble makes a filter: what no rule allows is answered with deny. Rules without conditions look at nothing but the
// number, so that the kernel remembers their result and does not run the filter (Linux 5.11).
func assemble(arch uint32, rules []rule, refusals []refusal, deny uint32) []unix.SockFilter {
	prog := []unix.SockFilter{
		load(offArch), unless(arch, 1), unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 1}, ret(deny),
		load(offNr),
	}
	for _, r := range refusals {
		prog = append(prog, unless(r.nr, 1), ret(unix.SECCOMP_RET_ERRNO|r.errno))
	}
	for _, r := range rules {
		if len(r.cond) == 0 {
			prog = append(prog, unless(r.nr, 1), ret(unix.SECCOMP_RET_ALLOW))
			continue
		}
		body := r.assemble()
		prog = append(append(prog, unless(r.nr, len(body))), body...)
	}
	return append(prog, ret(deny))
}

// assemble makes the instructions behind the check of the number. They leave the number in the accumulator.
func (r *rule) assemble() []unix.SockFilter {
	var body []unix.SockFilter
	for i, c := range r.cond {
		rest := 3*(len(r.cond)-1-i) + 1 // to the load at the end
		body = append(body, load(offArgs+8*uint32(c.arg)), and(c.mask), unless(c.value, rest))
	}
	return append(body, ret(unix.SECCOMP_RET_ALLOW), load(offNr))
}
