package fsdev_test

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// backerDevice is a device that lends descriptor 7 for handle 1.
type backerDevice struct {
	*fakeDevice
	desc *fsdev.Desc
}

func (d *backerDevice) Backing(desc *fsdev.Desc, obj fsdev.FileObject, h fsdev.FileHandle, use fsdev.BackingFunc,
	ctx any) syscall.Errno {
	if d.desc = desc; obj != 5 || h != 1 {
		return syscall.EBADF
	}
	return use(ctx, 7)
}

// A device lends descriptors of its files if it can, and is asked through the descriptor that has opened them.
func TestBacking(t *testing.T) {
	e := newEnv(t, 1)
	e.register("plain")
	b := &backerDevice{fakeDevice: newFakeDevice(t, e.t)}
	f, err := fsdev.Register(e.t, "backer", nil, b)
	if err != nil {
		t.Fatal(err)
	}
	use := func(ctx any, fd int) syscall.Errno {
		*ctx.(*int) = fd
		return syscall.EXDEV
	}
	for _, tt := range []struct {
		name string
		can  bool
		h    fsdev.FileHandle
		want syscall.Errno
		fd   int
	}{
		{"plain", false, 1, syscall.EOPNOTSUPP, 0},
		{"backer", true, 1, syscall.EXDEV, 7},
		{"backer", true, 2, syscall.EBADF, 0},
	} {
		d, fd := e.open(e.t, tt.name, nil), 0
		if got := d.CanBack(); got != tt.can {
			t.Errorf("%s: CanBack says %t", tt.name, got)
		}
		if errno := d.Backing(5, tt.h, use, &fd); errno != tt.want || fd != tt.fd {
			t.Errorf("%s: descriptor %d, %v; want %d, %v", tt.name, fd, errno, tt.fd, tt.want)
		}
		if tt.can && b.desc != d {
			t.Errorf("%s: asked through another descriptor", tt.name)
		}
		d.Close()
	}
	f.Unregister(e.t, nil, nil)
	e.PollThreads()
}
