package aio_test

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// client is one that has no dispatcher before it.
type client struct {
	*rig
	desc *fsdev.Desc
	ch   *iochannel.Channel
	root fsdev.FileObject
	opts fsdev.MountOpts // agreed on
}

func direct(tb testing.TB, r *rig) *client {
	tb.Helper()
	c := &client{rig: r}
	var err error
	c.desc, err = fsdev.Open(r.t, "aio0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	must(tb, err)
	c.ch = c.desc.IOChannel(r.t)
	mounted := false
	if errno := c.desc.Mount(c.ch, 0, &fsdev.MountOpts{MaxWrite: 1 << 20}, func(_ any, _ *iochannel.Channel,
		errno syscall.Errno, opts *fsdev.MountOpts, root fsdev.FileObject) {
		mounted, c.root, c.opts = errno == 0, root, *opts
	}, nil); errno != 0 {
		tb.Fatal(errno)
	}
	r.until(func() bool { return mounted })
	tb.Cleanup(func() {
		done := false
		c.desc.Umount(c.ch, 0, func(any, *iochannel.Channel, syscall.Errno) { done = true }, nil)
		r.until(func() bool { return done })
		c.ch.Put()
		c.desc.Close()
	})
	return c
}

// create makes a file and gives everything that it gets back.
func (c *client) create(name string, mode uint32, by *fsdev.Creator) (errno syscall.Errno) {
	c.Helper()
	done := false
	var obj fsdev.FileObject
	var h fsdev.FileHandle
	e := c.desc.Create(c.ch, 0, c.root, []byte(name), mode, syscall.O_RDWR|syscall.O_EXCL, by, func(_ any,
		_ *iochannel.Channel, err syscall.Errno, o fsdev.FileObject, _ *fsdev.Attr, fh fsdev.FileHandle) {
		done, errno, obj, h = true, err, o, fh
	}, nil)
	if e != 0 {
		c.Fatal(e)
	}
	c.until(func() bool { return done })
	if errno == 0 {
		left := 2
		count := func(any, *iochannel.Channel, syscall.Errno) { left-- }
		c.desc.Release(c.ch, 0, obj, h, count, nil)
		c.desc.Forget(c.ch, 0, obj, 1, count, nil)
		c.until(func() bool { return left == 0 })
	}
	return errno
}

// outcome is how a request has ended.
type outcome struct {
	done  bool
	errno syscall.Errno
}

// end implements [fsdev.StatusCplFunc].
func (o *outcome) end(_ any, _ *iochannel.Channel, errno syscall.Errno) { *o = outcome{true, errno} }

// sized implements [fsdev.SizeCplFunc] and keeps the size in n.
func (o *outcome) sized(n *uint64) fsdev.SizeCplFunc {
	return func(_ any, _ *iochannel.Channel, errno syscall.Errno, size uint64) {
		*o, *n = outcome{true, errno}, size
	}
}

// abort asks for the early end of a request, which may have ended.
func (c *client) abort(unique uint64) {
	c.Helper()
	var o outcome
	if errno := c.desc.Abort(c.ch, unique, o.end, nil); errno == 0 {
		c.until(func() bool { return o.done })
	} else if errno != syscall.ENOENT {
		c.Fatal(errno)
	}
}
