package aio

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// TestAllowed compares what is said of a change with what the system says of it.
func TestAllowed(t *testing.T) {
	const chown, fowner = 1 << unix.CAP_CHOWN, 1 << unix.CAP_FOWNER
	mine, others := unix.Statx_t{Uid: 7, Gid: 8}, unix.Statx_t{Uid: 9, Gid: 8}
	for _, tc := range []struct {
		name  string
		st    unix.Statx_t
		attrs uint64
		mask  uint32
		set   fsdev.Attr
		caps  uint32
		want  syscall.Errno
	}{
		{"mode of one's own", mine, 0, fsdev.SetAttrMode, fsdev.Attr{}, 0, 0},
		{"mode of another's", others, 0, fsdev.SetAttrMode, fsdev.Attr{}, chown, syscall.EPERM},
		{"mode of another's, by a privilege", others, 0, fsdev.SetAttrMode, fsdev.Attr{}, fowner, 0},
		{"times of another's", others, 0, fsdev.SetAttrMtime, fsdev.Attr{}, 0, syscall.EPERM},
		{"now, of another's", others, 0, fsdev.SetAttrMtimeNow, fsdev.Attr{}, 0, 0}, // who may write may
		{"size of another's", others, 0, fsdev.SetAttrSize, fsdev.Attr{}, 0, 0},
		{"give away", mine, 0, fsdev.SetAttrUID, fsdev.Attr{UID: 9}, fowner, syscall.EPERM},
		{"give away, by a privilege", mine, 0, fsdev.SetAttrUID, fsdev.Attr{UID: 9}, chown, 0},
		{"keep", mine, 0, fsdev.SetAttrUID, fsdev.Attr{UID: 7}, 0, 0},
		{"group of one's own", mine, 0, fsdev.SetAttrGID, fsdev.Attr{GID: 99}, 0, 0}, // it may be one of the process's
		{"group of another's", others, 0, fsdev.SetAttrGID, fsdev.Attr{GID: 8}, 0, syscall.EPERM},
		{"mode of an immutable file", mine, unix.STATX_ATTR_IMMUTABLE, fsdev.SetAttrMode, fsdev.Attr{}, 0, syscall.EPERM},
		{"size of an immutable file", mine, unix.STATX_ATTR_IMMUTABLE, fsdev.SetAttrSize, fsdev.Attr{}, 0, syscall.EPERM},
		{"mode of an append-only file", mine, unix.STATX_ATTR_APPEND, fsdev.SetAttrMode, fsdev.Attr{}, 0, syscall.EPERM},
		{"now, of an append-only file", mine, unix.STATX_ATTR_APPEND, fsdev.SetAttrAtimeNow, fsdev.Attr{}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.st.Attributes = tc.attrs
			if got := allowed(&tc.st, &tc.set, tc.mask, &rights{7, 8, tc.caps}); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
