package fusedispatcher

import (
	"runtime"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Arch is the architecture of the client, whose open flags differ between x86 and ARM.
//
// SPDK: enum spdk_fuse_arch
type Arch int

// Architectures of a client. SPDK: SPDK_FUSE_ARCH_NATIVE and its siblings
const (
	ArchNative Arch = iota
	ArchX86
	ArchX8664
	ArchARM
	ArchARM64
)

// oTmpfile is __O_TMPFILE, the same everywhere; O_TMPFILE has O_DIRECTORY beside it.
// asm-generic/fcntl.h
const oTmpfile = 0o20000000

// family is the numbering of the flags that differ: O_DIRECTORY, O_NOFOLLOW, O_DIRECT and
// O_LARGEFILE. asm-generic/fcntl.h; arch/arm/include/uapi/asm/fcntl.h, and that of arm64
type family [4]uint32

var (
	x86Flags = family{0o200000, 0o400000, 0o40000, 0o100000}
	armFlags = family{0o40000, 0o100000, 0o200000, 0o400000}
)

// differing are the bits that mean one thing here and another there.
const differing = 0o740000

// translate renumbers flags. What differs is built from zero, so that no bit of the one family
// is taken for one of the other.
func translate(flags uint32, from, to *family) uint32 {
	out := flags &^ differing
	for i := range from {
		if flags&from[i] != 0 {
			out |= to[i]
		}
	}
	return out
}

func hostFamily() *family {
	if runtime.GOARCH == "arm64" {
		return &armFlags
	}
	return &x86Flags
}

func (a Arch) family() *family {
	switch a {
	case ArchX86, ArchX8664:
		return &x86Flags
	case ArchARM, ArchARM64:
		return &armFlags
	}
	return hostFamily()
}

// hostOpenFlags translates a client's open flags to the host's.
func (a Arch) hostOpenFlags(flags uint32) uint32 {
	flags &^= fsdev.FlagKillSuidgid // has its own place in the protocol
	if a == ArchNative {
		return flags
	}
	return translate(flags, a.family(), hostFamily())
}

// openFlags returns what a module is to open a file with: the file exists, so nothing
// about creating it; and when the client's kernel holds writes back, it does the appending
// and has to read what it has not cached.
func (s *session) openFlags(flags uint32) uint32 {
	flags = s.arch.hostOpenFlags(flags) &^ (syscall.O_CREAT | syscall.O_EXCL | syscall.O_NOCTTY)
	return s.writebackFlags(flags)
}

func (s *session) writebackFlags(flags uint32) uint32 {
	if !s.writeback {
		return flags
	}
	flags &^= syscall.O_APPEND
	if flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		flags = flags&^syscall.O_ACCMODE | syscall.O_RDWR
	}
	return flags
}
