package fuseabi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

func TestOverlaySharesMemory(t *testing.T) {
	b := fuseabi.Bytes(&[2]fuseabi.OutHeader{})
	h := fuseabi.Overlay[fuseabi.OutHeader](b[16:])
	h.Len, h.Error, h.Unique = 16, -5, 7
	want := append(make([]byte, 16), 16, 0, 0, 0, 0xfb, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0)
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("bytes differ (-want, +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[16:], fuseabi.Bytes(h)); diff != "" {
		t.Errorf("Bytes differ (-want, +got):\n%s", diff)
	}
}

func TestOverlayPanics(t *testing.T) {
	b := fuseabi.Bytes(&[2]fuseabi.OutHeader{})
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nil", nil, "0 bytes cannot hold a structure of 16"},
		{"short", b[:15], "15 bytes cannot hold a structure of 16"},
		{"misaligned", b[1:], "is not a multiple of 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if s, _ := recover().(string); !strings.Contains(s, c.want) {
					t.Errorf("panic %q does not contain %q", s, c.want)
				}
			}()
			fuseabi.Overlay[fuseabi.OutHeader](c.b)
		})
	}
}

func TestOverlayWords(t *testing.T) {
	w := []uint64{1, 2, 3}
	if h := fuseabi.OverlayWords[fuseabi.OutHeader](w[1:]); h.Unique != 3 {
		t.Errorf("unique %d, want 3", h.Unique)
	}
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "1 words cannot hold a structure of 16") {
			t.Errorf("panic %q", s)
		}
	}()
	fuseabi.OverlayWords[fuseabi.OutHeader](w[:1])
}

func TestAligned(t *testing.T) {
	b := fuseabi.Bytes(&[2]fuseabi.OutHeader{})
	for i := range 16 {
		if got := fuseabi.Aligned(b[i:]); got != (i%8 == 0) {
			t.Errorf("offset %d: %v", i, got)
		}
	}
}

func TestOverlayDoesNotAllocate(t *testing.T) {
	b := fuseabi.Bytes(&[4]fuseabi.InitIn{})
	var sum uint32
	n := testing.AllocsPerRun(100, func() {
		h := fuseabi.Overlay[fuseabi.InHeader](b)
		in := fuseabi.Overlay[fuseabi.WriteIn](b[fuseabi.SizeofInHeader:])
		var out fuseabi.OutHeader
		out.Len = h.Len
		sum += in.Size + uint32(copy(b, fuseabi.Bytes(&out)))
	})
	if n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func TestDirentSizes(t *testing.T) {
	for _, c := range []struct{ namelen, dirent, plus int }{
		{0, 24, 152}, {1, 32, 160}, {8, 32, 160}, {9, 40, 168}, {255, 280, 408},
	} {
		if got := fuseabi.DirentSize(c.namelen); got != c.dirent {
			t.Errorf("DirentSize(%d) = %d, want %d", c.namelen, got, c.dirent)
		}
		if got := fuseabi.DirentplusSize(c.namelen); got != c.plus {
			t.Errorf("DirentplusSize(%d) = %d, want %d", c.namelen, got, c.plus)
		}
	}
	if got := fuseabi.Size[fuseabi.Direntplus](); got != fuseabi.FUSE_NAME_OFFSET_DIRENTPLUS {
		t.Errorf("Size of Direntplus = %d, want %d", got, fuseabi.FUSE_NAME_OFFSET_DIRENTPLUS)
	}
}

func BenchmarkOverlay(b *testing.B) {
	buf := fuseabi.Bytes(&[4]fuseabi.InitIn{})
	var sum uint32
	b.ReportAllocs()
	for b.Loop() {
		sum += fuseabi.Overlay[fuseabi.InHeader](buf).Len
	}
}
