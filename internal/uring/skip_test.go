package uring_test

import (
	"os"
	"testing"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// skipReason is what a machine lacks.
type skipReason string

const (
	noHeader   skipReason = "no kernel header to compare with: install linux-libc-dev"
	noCompiler skipReason = "no C compiler to evaluate the kernel header with: install gcc"
	noXattr    skipReason = "no file system with user.* attributes: set TMPDIR to one"
	notRoot    skipReason = "only root can become someone else"
	noBigNop   skipReason = "IORING_OP_NOP cannot post large completions before Linux 6.18"
	noDriver   skipReason = "/dev/null takes no commands here"
)

// skip ends a test that cannot run here. Where CI runs, all of that is there.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(string(reason))
}

// opcodeReason is an opcode that a kernel must have.
type opcodeReason uint8

// skipUnless gives up on a test that needs an opcode which the kernel does not have.
func skipUnless(t testing.TB, r *uring.Ring, reason opcodeReason) {
	t.Helper()
	if !r.Has(uint8(reason)) {
		t.Skipf("the kernel has no %s, its last is %s", uring.OpName(uint8(reason)), uring.OpName(r.Probe().Last()))
	}
}

// flagReason is a flag of setup that a kernel must have.
type flagReason uint32

// skipWithout gives up on a flavour of rings that the kernel does not have.
func skipWithout(t testing.TB, r *uring.Ring, reason flagReason) {
	t.Helper()
	if missing := uint32(reason) &^ r.Flags(); missing != 0 {
		t.Skipf("the kernel has no %s", uring.FlagNames(missing))
	}
}
