package iobuf

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

var extKey = reactor.NewExtKey()

// manager is what a framework has of iobuf all the time.
type manager struct {
	mu        sync.Mutex
	opts      Opts
	modules   []*module // in the order of their registration
	io        *iobuf    // between Initialize and Finish
	finishing bool      // Finish is under way
}

func managerOf(f *reactor.Framework) *manager {
	return f.Ext(extKey, func() any { return &manager{opts: defaultOpts} }).(*manager)
}

func (m *manager) busy() bool { return m.io != nil || m.finishing }

// class is a size of buffers.
type class int

const (
	small class = iota
	large
	classes
)

func (c class) String() string { return [classes]string{"small", "large"}[c] }

// iobuf is what is there between Initialize and Finish.
type iobuf struct {
	manager *manager
	opts    Opts
	dev     *iochannel.Device
	pools   [classes]*pool

	// threads are those with a channel. The slice is replaced under mu, never changed.
	threads atomic.Pointer[[]*thread]
	mu      sync.Mutex
}

// Initialize sets up the pools of t's framework. Any thread. EINVAL: a value of o is below its
// limit; EALREADY: iobuf is initialized, or a Finish is under way; ENOMEM: the system grants no
// more memory. The memory is taken up only as the buffers are used.
//
// SPDK: spdk_iobuf_initialize
func Initialize(t *reactor.Thread, o Opts) error {
	m := managerOf(t.Framework())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy() {
		return fmt.Errorf("iobuf: it is initialized, or Finish has not called back yet: %w", syscall.EALREADY)
	}
	o = o.or(m.opts)
	if err := o.check(); err != nil {
		return err
	}
	o.SmallBufsize, o.LargeBufsize = roundUp(o.SmallBufsize), roundUp(o.LargeBufsize)
	io := &iobuf{manager: m, opts: o}
	io.threads.Store(&[]*thread{})
	for _, p := range []struct {
		class       class
		count, size int
	}{{small, o.SmallPoolCount, o.SmallBufsize}, {large, o.LargePoolCount, o.LargeBufsize}} {
		var err error
		if io.pools[p.class], err = newPool(io, p.class, p.count, p.size); err != nil {
			return errors.Join(err, io.close())
		}
	}
	var err error
	io.dev, err = iochannel.RegisterDevice(t, io, "iobuf", io.createThread, io.destroyThread)
	if err != nil {
		return errors.Join(fmt.Errorf("iobuf: %w", err), io.close())
	}
	m.io = io
	return nil
}

// close gives the memory of the pools back.
func (io *iobuf) close() error {
	var errs []error
	for _, p := range io.pools {
		if p != nil {
			errs = append(errs, p.arena.Close())
		}
	}
	return errors.Join(errs...)
}

// createThread is called when a thread has its first channel, destroyThread after the last.
func (io *iobuf) createThread(ch *iochannel.Channel, th *thread) syscall.Errno {
	th.init(io, ch.Thread())
	io.mu.Lock()
	defer io.mu.Unlock()
	list := append(slices.Clone(*io.threads.Load()), th)
	io.threads.Store(&list)
	return 0
}

func (io *iobuf) destroyThread(_ *iochannel.Channel, th *thread) {
	io.mu.Lock()
	defer io.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(*io.threads.Load()), func(o *thread) bool { return o == th })
	io.threads.Store(&list)
}

// FinishFunc is the callback of [Finish]. SPDK: spdk_iobuf_finish_cb, which is told of no error
type FinishFunc func(t *reactor.Thread, ctx any, err error)

type finish struct {
	io  *iobuf
	cb  FinishFunc
	ctx any
	err error
}

// Finish takes the pools of t's framework down, once the last channel is gone. It forgets all
// modules, gives the memory back and calls cb with ctx on t, never from inside. The error is a
// [*LeakError] when buffers have not been put; their pool's memory stays mapped then, since
// they may be in use. Without Initialize before, cb is called with no error, or with EALREADY
// while another Finish is under way. On t only.
//
// SPDK: spdk_iobuf_finish
func Finish(t *reactor.Thread, cb FinishFunc, ctx any) {
	t.AssertCurrent()
	m := managerOf(t.Framework())
	f := &finish{cb: cb, ctx: ctx}
	m.mu.Lock()
	f.io, m.io = m.io, nil
	if f.io == nil && m.finishing {
		f.err = fmt.Errorf("iobuf: another Finish has not called back yet: %w", syscall.EALREADY)
	}
	m.finishing = m.finishing || f.io != nil
	m.mu.Unlock()
	if f.io == nil {
		t.Defer(finishDone, f)
	} else if errno := f.io.dev.Unregister(t, finishDone, f); errno != 0 {
		panic(fmt.Sprintf("iobuf: its device cannot be unregistered: %v", errno))
	}
}

func finishDone(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	if io := f.io; io != nil {
		f.err = io.takeDown()
		m := io.manager
		m.mu.Lock()
		m.modules, m.finishing = nil, false
		m.mu.Unlock()
	}
	if f.cb != nil {
		f.cb(t, f.ctx, f.err)
	}
}

// takeDown looks for leaks and gives back the memory that nobody can be using.
func (io *iobuf) takeDown() error {
	leaks := &LeakError{}
	var errs []error
	for _, p := range io.pools {
		if !p.findLeaks(leaks) {
			errs = append(errs, p.arena.Close())
		}
	}
	if leaks.Leaks != nil {
		errs = append(errs, leaks)
	}
	return errors.Join(errs...)
}
