package memfs

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// TestPrivilegesEndWithTheContent pins what a program loses when its content changes: its
// capabilities always, its set-id bits if the client says so.
func TestPrivilegesEndWithTheContent(t *testing.T) {
	change := map[string]func(r *rig, obj fsdev.FileObject, n *inode, kill bool) syscall.Errno{
		"write": func(r *rig, _ fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			_, errno := r.write(n, 0, 1, [][]byte{{1}}, writeMode{kill: kill})
			return errno
		},
		"truncate": func(r *rig, _ fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			mask := fsdev.SetAttrSize
			if kill {
				mask |= fsdev.SetAttrKillSuidgid
			}
			return r.setattr(n, &fsdev.Attr{Size: 5}, mask, &r.attr)
		},
		"fallocate": func(r *rig, _ fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			return r.fallocate(n, killFlag(kill), 0, 5)
		},
		"punch": func(r *rig, _ fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			return r.fallocate(n, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE|killFlag(kill), 0, 5)
		},
		"copy_file_range": func(r *rig, _ fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			src := r.node(r.mkfile(r.root, "src"))
			_, errno := r.write(src, 0, 1, [][]byte{{1}}, writeMode{})
			r.must(errno)
			_, errno = r.copyFileRange(src, 0, n, 0, 1, killFlag(kill))
			return errno
		},
		"open with O_TRUNC": func(r *rig, obj fsdev.FileObject, n *inode, kill bool) syscall.Errno {
			_, errno := r.fopen(r.desc, n, syscall.O_WRONLY|syscall.O_TRUNC|killFlag(kill))
			return errno
		},
	}
	for name, fn := range change {
		for _, tc := range []struct {
			kill       bool
			mode, want uint32
		}{
			{false, 0o6755, 0o6755},
			{true, 0o6755, 0o755},
			{true, 0o6745, 0o2745}, // S_ISGID without group execution is something else
		} {
			r := newRig(t, Opts{})
			obj := r.mkfile(r.root, "prog")
			n, errno := r.get(obj)
			r.must(errno)
			r.must(r.setattr(n, &fsdev.Attr{Mode: tc.mode}, fsdev.SetAttrMode, &r.attr))
			r.must(r.setxattr(n, []byte(capabilityXattr), []byte("caps"), 0))
			r.must(fn(r, obj, n, tc.kill))
			r.must(r.getattr(n, &r.attr))
			if got := r.attr.Mode & 0o7777; got != tc.want {
				t.Errorf("%s, kill %v: mode %o became %o, want %o", name, tc.kill, tc.mode, got, tc.want)
			}
			_, errno = r.getxattr(n, []byte(capabilityXattr), nil, 0)
			r.want(name+": capabilities", errno, syscall.ENODATA)
		}
	}
}

func killFlag(kill bool) uint32 {
	if kill {
		return fsdev.FlagKillSuidgid
	}
	return 0
}
