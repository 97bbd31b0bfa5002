package mempool

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/internal/sys"
)

func newArena(tb testing.TB, count, size int) *Arena {
	tb.Helper()
	a, err := NewArena(count, size)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	})
	return a
}

func TestNewArenaRefuses(t *testing.T) {
	for _, tc := range []struct {
		count, size int
		want        error
	}{
		{0, 4096, syscall.EINVAL},
		{-1, 4096, syscall.EINVAL},
		{1, 0, syscall.EINVAL},
		{1, -4096, syscall.EINVAL},
		{1, 63, syscall.EINVAL},
		{1, 100, syscall.EINVAL},
		{math.MaxInt, 128, syscall.ENOMEM},
		{1 << 40, 1 << 22, syscall.ENOMEM}, // more than there are addresses
	} {
		if a, err := NewArena(tc.count, tc.size); a != nil || !errors.Is(err, tc.want) {
			t.Errorf("%d buffers of %d bytes: %v, want %v", tc.count, tc.size, err, tc.want)
		}
	}
}

// TestArenaBuffers: the buffers are zero, aligned, apart from each other and not longer than
// they say, and known by their start alone.
func TestArenaBuffers(t *testing.T) {
	for _, size := range []int{64, 192, 4096, 12288, 132 << 10} {
		const count = 50
		a := newArena(t, count, size)
		if a.Count() != count || a.BufSize() != size || len(a.Bytes()) != count*size {
			t.Errorf("%d buffers of %d bytes, %d in all", a.Count(), a.BufSize(), len(a.Bytes()))
		}
		if addr := sys.Addr(a.Buf(0)); addr%uintptr(os.Getpagesize()) != 0 {
			t.Errorf("the first buffer is at %#x, not at the start of a page", addr)
		}
		for i := range count {
			b := a.Buf(i)
			if len(b) != size || cap(b) != size {
				t.Fatalf("buffer %d: length %d, capacity %d", i, len(b), cap(b))
			}
			if b[0] != 0 || b[size-1] != 0 {
				t.Errorf("buffer %d is not zero", i)
			}
			b[0], b[size-1] = byte(i+1), byte(i+1)
			for _, same := range [][]byte{b, b[:0], b[:1], b[:0:0]} {
				if got := a.Index(same); got != i {
					t.Errorf("size %d: buffer %d is known as %d", size, i, got)
				}
			}
			for _, off := range []int{1, 8, size / 2, size - 1} {
				if got := a.Index(b[off:]); got != -1 {
					t.Errorf("size %d: byte %d of buffer %d is known as %d", size, off, i, got)
				}
			}
		}
		for i := range count {
			if b := a.Buf(i); b[0] != byte(i+1) || b[size-1] != byte(i+1) {
				t.Errorf("buffer %d was written to", i)
			}
		}
	}
}

func TestArenaKnowsForeignBuffers(t *testing.T) {
	a, other := newArena(t, 4, 4096), newArena(t, 4, 4096)
	for name, b := range map[string][]byte{
		"nil": nil, "heap": make([]byte, 4096), "other arena": other.Buf(1),
	} {
		if got := a.Index(b); got != -1 {
			t.Errorf("%s is known as %d", name, got)
		}
	}
	for _, i := range []int{-1, 4} {
		mustPanic(t, "of an arena of 4", func() { a.Buf(i) })
	}
}

// TestArenaIndexIsExact tries offsets in regions that are too large to be mapped.
func TestArenaIndexIsExact(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		size := 64 * (1 + rng.IntN(1<<20))
		i := rng.IntN(math.MaxInt / size)
		if got := indexOf(uint64(i)*uint64(size), size, inverseOf(size)); got != i {
			t.Fatalf("seed %d: offset of buffer %d of size %d is known as %d", seed, i, size, got)
		}
		off := uint64(i)*uint64(size) + 1 + uint64(rng.IntN(size-1))
		if got := indexOf(off, size, inverseOf(size)); got != -1 {
			t.Fatalf("seed %d: offset %d is known as buffer %d of size %d", seed, off, got, size)
		}
	}
}

func TestClosedArenaKnowsNoBuffer(t *testing.T) {
	a := newArena(t, 4, 4096)
	b := a.Buf(0)
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	if a.Count() != 0 || a.Bytes() != nil || a.Index(b) != -1 || a.Index(nil) != -1 {
		t.Errorf("a closed arena has %d buffers", a.Count())
	}
}

func TestArenaAllocatesNothing(t *testing.T) {
	a := newArena(t, 4, 4096)
	i := 0
	if n := testing.AllocsPerRun(100, func() { i = a.Index(a.Buf(i)) }); n != 0 {
		t.Errorf("buffer and index allocate %v objects", n)
	}
}

func BenchmarkArenaIndex(b *testing.B) {
	a := newArena(b, 1024, 132<<10)
	buf := a.Buf(1000)
	b.ReportAllocs()
	for b.Loop() {
		a.Index(buf)
	}
}
