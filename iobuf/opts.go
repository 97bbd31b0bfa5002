package iobuf

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// Limits and defaults of [Opts]. SPDK: the IOBUF_ constants of lib/thread/iobuf.c
const (
	MinSmallPoolCount = 64
	MinLargePoolCount = 8
	MinSmallBufsize   = 4096
	MinLargeBufsize   = 8192

	DefaultSmallPoolCount = 8192
	DefaultLargePoolCount = 1024
	DefaultSmallBufsize   = 8 << 10
	DefaultLargeBufsize   = 132 << 10 // 128 KiB and what may have to go with them

	// Alignment is what the sizes of buffers are rounded up to, and their addresses are multiples of.
	Alignment = 4096
)

// Opts says how many buffers there are, and how large. A field that is 0 means what [SetOpts]
// said, or else the default.
//
// SPDK: struct spdk_iobuf_opts, without opts_size and enable_numa
type Opts struct {
	SmallPoolCount int // number of small buffers
	LargePoolCount int // number of large buffers
	SmallBufsize   int // bytes, rounded up to a multiple of Alignment
	LargeBufsize   int // bytes, rounded up to a multiple of Alignment; not less than SmallBufsize

	// NoMinimum has pools and buffers accepted that are smaller than the limits, as tests want
	// them. Not in SPDK, whose tests write to the global.
	NoMinimum bool
}

// SetOpts says what [GetOpts] returns from now on and hence what a following [Initialize]
// uses. Any goroutine. EINVAL: a value is below its limit; EBUSY: iobuf is initialized.
//
// SPDK: spdk_iobuf_set_opts, which has no effect after the initialization
func SetOpts(f *reactor.Framework, o Opts) error {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy() {
		return fmt.Errorf("iobuf: options cannot be changed any more: set them before Initialize: %w", syscall.EBUSY)
	}
	o = o.or(defaultOpts)
	if err := o.check(); err != nil {
		return err
	}
	m.opts = o
	return nil
}

// GetOpts returns the options in use, or what they would be. Any goroutine.
//
// SPDK: spdk_iobuf_get_opts
func GetOpts(f *reactor.Framework) Opts {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.io != nil {
		return m.io.opts
	}
	return m.opts
}

var defaultOpts = Opts{
	SmallPoolCount: DefaultSmallPoolCount,
	LargePoolCount: DefaultLargePoolCount,
	SmallBufsize:   DefaultSmallBufsize,
	LargeBufsize:   DefaultLargeBufsize,
}

// or returns o with the values of d where it has none.
func (o Opts) or(d Opts) Opts {
	for _, v := range []struct{ have, def *int }{
		{&o.SmallPoolCount, &d.SmallPoolCount},
		{&o.LargePoolCount, &d.LargePoolCount},
		{&o.SmallBufsize, &d.SmallBufsize},
		{&o.LargeBufsize, &d.LargeBufsize},
	} {
		if *v.have == 0 {
			*v.have = *v.def
		}
	}
	o.NoMinimum = o.NoMinimum || d.NoMinimum
	return o
}

func (o Opts) check() error {
	for _, v := range []struct {
		name      string
		have, min int
	}{
		{"SmallPoolCount", o.SmallPoolCount, MinSmallPoolCount},
		{"LargePoolCount", o.LargePoolCount, MinLargePoolCount},
		{"SmallBufsize", o.SmallBufsize, MinSmallBufsize},
		{"LargeBufsize", o.LargeBufsize, MinLargeBufsize},
	} {
		if o.NoMinimum {
			v.min = 1
		}
		if v.have < v.min {
			return fmt.Errorf("iobuf: %s is %d, it must be at least %d: %w", v.name, v.have, v.min, syscall.EINVAL)
		}
	}
	if o.SmallBufsize > o.LargeBufsize {
		return fmt.Errorf("iobuf: SmallBufsize %d is larger than LargeBufsize %d: %w",
			o.SmallBufsize, o.LargeBufsize, syscall.EINVAL)
	}
	return nil
}

func roundUp(n int) int { return (n + Alignment - 1) &^ (Alignment - 1) }
