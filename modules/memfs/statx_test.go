package memfs

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestStatx(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	born := uint64(r.now)
	r.put1(f.obj, 0, make([]byte, 5000))
	r.must(r.setattr(f, &fsdev.Attr{Mtime: 5, Ctime: 6}, fsdev.SetAttrMtime|fsdev.SetAttrCtime, &r.attr))
	var got fsdev.Statx
	for _, mask := range []uint32{0, unix.STATX_SIZE, unix.STATX_ALL} {
		r.must(r.statx(f, unix.AT_STATX_DONT_SYNC, mask, &got))
		want := fsdev.Statx{
			Mask:      unix.STATX_BASIC_STATS | unix.STATX_BTIME,
			Btime:     born,
			BtimeNsec: uint32(born),
			Attr:      r.stat(f.obj),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mask %#x (-want +got):\n%s", mask, diff)
		}
	}
	r.want("both kinds of sync", r.statx(f, unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC, 0, &got), syscall.EINVAL)
	r.want("reserved mask", r.statx(f, 0, unix.STATX__RESERVED, &got), syscall.EINVAL)
}

// TestBirth pins that a file is born once, whatever becomes of its name and content.
func TestBirth(t *testing.T) {
	r := newRig(t, Opts{})
	birth := func(obj fsdev.FileObject) uint64 {
		var st fsdev.Statx
		r.must(r.statx(r.node(obj), 0, 0, &st))
		return st.Btime
	}
	f := r.mkfile(r.root, "f")
	born := birth(f)
	r.put1(f, 0, []byte("data"))
	r.must(r.rename(r.root, []byte("f"), r.root, []byte("g"), 0))
	_, errno := r.link(f, r.root, []byte("h"), &r.attr)
	r.must(errno)
	if got := birth(f); got != born {
		t.Errorf("born at %d, then at %d", born, got)
	}
	if got := birth(r.mkdir(r.root, "d")); got <= born {
		t.Errorf("a later directory was born at %d, an earlier file at %d", got, born)
	}
}
