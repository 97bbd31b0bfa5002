package fusedispatcher

import (
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// openFlagTable is every flag that open(2) has, as the kernel's headers of the two families
// number it. asm-generic/fcntl.h, arch/{arm,arm64}/include/uapi/asm/fcntl.h, and linux/fs.h for
// the last, which the kernel sends along
var openFlagTable = []struct {
	name     string
	x86, arm uint32
}{
	{"O_WRONLY", 0o1, 0o1},
	{"O_RDWR", 0o2, 0o2},
	{"O_CREAT", 0o100, 0o100},
	{"O_EXCL", 0o200, 0o200},
	{"O_NOCTTY", 0o400, 0o400},
	{"O_TRUNC", 0o1000, 0o1000},
	{"O_APPEND", 0o2000, 0o2000},
	{"O_NONBLOCK", 0o4000, 0o4000},
	{"O_DSYNC", 0o10000, 0o10000},
	{"FASYNC", 0o20000, 0o20000},
	{"O_DIRECT", 0o40000, 0o200000},
	{"O_LARGEFILE", 0o100000, 0o400000},
	{"O_DIRECTORY", 0o200000, 0o40000},
	{"O_NOFOLLOW", 0o400000, 0o100000},
	{"O_NOATIME", 0o1000000, 0o1000000},
	{"O_CLOEXEC", 0o2000000, 0o2000000},
	{"__O_SYNC", 0o4000000, 0o4000000},
	{"O_PATH", 0o10000000, 0o10000000},
	{"__O_TMPFILE", 0o20000000, 0o20000000},
	{"__FMODE_EXEC", 0x20, 0x20},
}

// Each flag by itself, each pair of flags, and all at once are translated, either way.
func TestOpenFlagsOfOtherArchitectures(t *testing.T) {
	check := func(name string, x86, arm uint32) {
		if got := translate(x86, &x86Flags, &armFlags); got != arm {
			t.Errorf("%s from x86 to ARM: %#o became %#o, want %#o", name, x86, got, arm)
		}
		if got := translate(arm, &armFlags, &x86Flags); got != x86 {
			t.Errorf("%s from ARM to x86: %#o became %#o, want %#o", name, arm, got, x86)
		}
		for _, a := range []Arch{ArchNative, ArchX86, ArchX8664, ArchARM, ArchARM64} {
			client, host := x86, x86
			if a == ArchARM || a == ArchARM64 {
				client = arm
			}
			if runtime.GOARCH == "arm64" {
				host = arm
			}
			if a == ArchNative {
				client = host
			}
			if got := a.hostOpenFlags(client); got != host {
				t.Errorf("%s of architecture %d: %#o became %#o, want %#o", name, a, client, got, host)
			}
		}
	}
	var allX86, allARM uint32
	for _, f := range openFlagTable {
		allX86 |= f.x86
		allARM |= f.arm
		for _, g := range openFlagTable {
			check(f.name+" "+g.name, f.x86|g.x86, f.arm|g.arm)
		}
	}
	check("everything", allX86, allARM)
	check("nothing", 0, 0)
}

// The host's own numbers are those that the table says.
func TestOpenFlagsOfTheHost(t *testing.T) {
	own := map[string]uint32{
		"O_DIRECT": syscall.O_DIRECT, "O_DIRECTORY": syscall.O_DIRECTORY, "O_NOFOLLOW": syscall.O_NOFOLLOW,
		"O_CREAT": syscall.O_CREAT, "O_EXCL": syscall.O_EXCL, "O_APPEND": syscall.O_APPEND, "O_TRUNC": syscall.O_TRUNC,
		"O_NONBLOCK": syscall.O_NONBLOCK, "O_DSYNC": syscall.O_DSYNC, "O_CLOEXEC": syscall.O_CLOEXEC,
		"O_NOATIME": syscall.O_NOATIME, "O_NOCTTY": syscall.O_NOCTTY, "FASYNC": syscall.O_ASYNC,
	}
	for _, f := range openFlagTable {
		want, ok := own[f.name]
		if !ok {
			continue
		}
		got := f.x86
		if runtime.GOARCH == "arm64" {
			got = f.arm
		}
		if got != want {
			t.Errorf("%s is %#o in the table, %#o on the host", f.name, got, want)
		}
	}
}

// A translation there and back loses nothing, not even of bits that mean nothing; only the bit
// that modules give a meaning of their own does not come in this way.
func TestOpenFlagsTranslateBothWays(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		flags := rng.Uint32()
		if got := translate(translate(flags, &x86Flags, &armFlags), &armFlags, &x86Flags); got != flags {
			t.Fatalf("seed %d: %#o became %#o on its way to ARM and back", seed, flags, got)
		}
		if got := translate(translate(flags, &armFlags, &x86Flags), &x86Flags, &armFlags); got != flags {
			t.Fatalf("seed %d: %#o became %#o on its way to x86 and back", seed, flags, got)
		}
		for a := ArchNative; a <= ArchARM64; a++ {
			if a.hostOpenFlags(flags)&fsdev.FlagKillSuidgid != 0 {
				t.Fatalf("seed %d: architecture %d, %#o: the module's own bit came through", seed, a, flags)
			}
		}
	}
}
