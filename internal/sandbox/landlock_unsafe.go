package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockABI returns the version of the kernel's Landlock, 0 if there is none.
func landlockABI() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// createRuleset passes the three fields that older kernels know: what they do not know is zero, which they accept.
func createRuleset(attr *unix.LandlockRulesetAttr) (fd int, err error) {
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)),
		unsafe.Offsetof(attr.Scoped)+unsafe.Sizeof(attr.Scoped), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func addRule(set int, attr *unix.LandlockPathBeneathAttr) error {
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func restrictSelf(set int) error {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
