package fusedispatcher

import (
	"runtime"
	"syscall"
	"testing"
)

// Every combination of the flags that differ is translated, and nothing else is touched.
func TestOpenFlagsOfOtherArchitectures(t *testing.T) {
	const others = syscall.O_RDWR | syscall.O_CREAT | syscall.O_APPEND | syscall.O_TRUNC | syscall.O_NONBLOCK
	own, foreign := &x86Flags, &armFlags
	foreignArchs, ownArchs := []Arch{ArchARM, ArchARM64}, []Arch{ArchNative, ArchX86, ArchX8664}
	if runtime.GOARCH == "arm64" {
		own, foreign = foreign, own
		foreignArchs, ownArchs = []Arch{ArchX86, ArchX8664}, []Arch{ArchNative, ArchARM, ArchARM64}
	}
	of := func(f *family, which int) (flags uint32) {
		for i, bit := range []uint32{f.directory, f.nofollow, f.direct, f.largefile} {
			if which>>i&1 == 1 {
				flags |= bit
			}
		}
		return flags
	}
	for which := range 16 {
		for _, rest := range []uint32{0, others} {
			want := of(own, which) | rest
			for _, a := range foreignArchs {
				if got := a.hostOpenFlags(of(foreign, which) | rest); got != want {
					t.Errorf("architecture %d, combination %04b: %#o, want %#o", a, which, got, want)
				}
			}
			for _, a := range ownArchs {
				if got := a.hostOpenFlags(want); got != want {
					t.Errorf("architecture %d: %#o became %#o", a, want, got)
				}
			}
		}
	}
	if runtime.GOARCH == "amd64" {
		if got := x86Flags; got != (family{syscall.O_DIRECTORY, syscall.O_NOFOLLOW, syscall.O_DIRECT, 0o100000}) {
			t.Errorf("the host's flags are %#o", got)
		}
	}
}

// A translation there and back loses nothing.
func TestOpenFlagsTranslateBothWays(t *testing.T) {
	for bits := range uint32(16) {
		flags := bits << 14 // the four bits that both families share out among themselves
		a := ArchARM64
		if runtime.GOARCH == "arm64" {
			a = ArchX8664
		}
		there := a.hostOpenFlags(flags)
		back := uint32(0)
		for _, bit := range []struct{ from, to uint32 }{
			{hostFamily().directory, a.family().directory},
			{hostFamily().nofollow, a.family().nofollow},
			{hostFamily().direct, a.family().direct},
			{hostFamily().largefile, a.family().largefile},
		} {
			if there&bit.from != 0 {
				back |= bit.to
			}
		}
		if back != flags {
			t.Errorf("%#o became %#o and then %#o", flags, there, back)
		}
	}
}
