package fsdev

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/mempool"
	"github.com/spdk-go/spdk-go/reactor"
)

// Opts are the options of the layer.
//
// SPDK: struct spdk_fsdev_opts
type Opts struct {
	// IOPoolSize is how many [IO] can be in flight in the framework; 0 means 16384.
	// SPDK's default is 65535.
	IOPoolSize int
	// IOCacheSize is how many free IO a thread keeps for itself; 0 means 256. A thread whose
	// cache the pool cannot fill beside the others' gets no channel.
	IOCacheSize int
}

func (o *Opts) setDefaults() {
	if o.IOPoolSize == 0 {
		o.IOPoolSize = 16384
	}
	if o.IOCacheSize == 0 {
		o.IOCacheSize = 256
	}
}

var extKey = reactor.NewExtKey()

// manager is the layer's state of one framework.
type manager struct {
	mu     sync.Mutex
	caches atomic.Int32      // threads that have one
	pool   *mempool.Pool[IO] // nil before Initialize and after Finish
	dev    *iochannel.Device // its channels hold each thread's cache of IO
	fsdevs []*Fsdev
	inited []Module // in the order of their Init; the app thread's
}

// cacheChannel is a thread's cache of free IO, shared by all its fsdev channels.
type cacheChannel struct{ ios *mempool.Cache[IO] }

func managerOf(f *reactor.Framework) *manager {
	return f.Ext(extKey, func() any { return &manager{} }).(*manager)
}

// Module is a kind of file system, for instance memfs.
//
// SPDK: struct spdk_fsdev_module
type Module interface {
	// Name is unique among modules. SPDK: spdk_fsdev_module.name
	Name() string
	// Init prepares the module for t's framework; t is the app thread.
	// SPDK: spdk_fsdev_module.module_init
	Init(t *reactor.Thread) error
	// Fini undoes Init once no device of the module is left. SPDK: module_fini
	Fini(t *reactor.Thread)
}

// modules is filled by init functions and read-only afterwards.
var modules []Module

// RegisterModule makes a module known. Call it from an init function; a second module of
// the same name panics.
//
// SPDK: SPDK_FSDEV_MODULE_REGISTER, spdk_fsdev_module_list_add
func RegisterModule(m Module) {
	if FindModule(m.Name()) != nil {
		panic(fmt.Sprintf("fsdev: module %q is registered twice", m.Name()))
	}
	modules = append(modules, m)
}

// FindModule returns the module of that name, nil if there is none.
//
// SPDK: spdk_fsdev_module_list_find
func FindModule(name string) Module {
	for _, m := range modules {
		if m.Name() == name {
			return m
		}
	}
	return nil
}

// Initialize prepares the layer and all modules for t's framework. When a module fails,
// those before it are finished again and its error is returned. On the app thread.
//
// SPDK: spdk_fsdev_initialize, spdk_fsdev_set_opts
func Initialize(t *reactor.Thread, o Opts) error {
	o.setDefaults()
	if o.IOPoolSize < 2*o.IOCacheSize {
		return fmt.Errorf("fsdev: IOPoolSize %d must be at least twice IOCacheSize %d: %w",
			o.IOPoolSize, o.IOCacheSize, syscall.EINVAL)
	}
	m := managerOf(t.Framework())
	if err := m.begin(t, o); err != nil {
		return err
	}
	// Modules are called without the lock, for they may register devices.
	for _, mod := range modules {
		if err := mod.Init(t); err != nil {
			m.finiModules(t)
			m.mu.Lock()
			m.pool = nil
			m.mu.Unlock()
			m.dev.Unregister(t, nil, nil)
			return fmt.Errorf("fsdev: module %s: %w", mod.Name(), err)
		}
		m.inited = append(m.inited, mod)
	}
	return nil
}

// begin makes the pool of IO.
func (m *manager) begin(t *reactor.Thread, o Opts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pool != nil {
		return fmt.Errorf("fsdev: initialised already: %w", syscall.EALREADY)
	}
	pool, err := mempool.New[IO]("fsdev_io", o.IOPoolSize, nil)
	if err != nil {
		return err
	}
	dev, err := iochannel.RegisterDevice(t, m, "fsdev_mgr",
		func(_ *iochannel.Channel, c *cacheChannel) syscall.Errno {
			// Free IO in the caches of other threads must leave some for this one.
			if int(m.caches.Add(1)+1)*o.IOCacheSize > o.IOPoolSize {
				m.caches.Add(-1)
				return syscall.ENOMEM
			}
			c.ios = pool.NewCache(o.IOCacheSize)
			return 0
		},
		func(_ *iochannel.Channel, c *cacheChannel) {
			c.ios.Close()
			m.caches.Add(-1)
		})
	if err != nil {
		return err
	}
	m.pool, m.dev = pool, dev
	return nil
}

func (m *manager) finiModules(t *reactor.Thread) {
	for _, mod := range slices.Backward(m.inited) {
		mod.Fini(t)
	}
	m.inited = nil
}

// Finish unregisters every device, waits until their descriptors are closed, finishes the
// modules in reverse order and calls cb with ctx on t. err says what leaked, nil if nothing
// did. On the app thread.
//
// SPDK: spdk_fsdev_finish
func Finish(t *reactor.Thread, cb func(t *reactor.Thread, ctx any, err error), ctx any) {
	f := &finish{m: managerOf(t.Framework()), cb: cb, ctx: ctx}
	t.Defer(finishNext, f)
}

type finish struct {
	m   *manager
	cb  func(t *reactor.Thread, ctx any, err error)
	ctx any
}

// finishNext unregisters the devices one after the other.
func finishNext(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	m := f.m
	m.mu.Lock()
	if m.pool == nil {
		m.mu.Unlock()
		f.cb(t, f.ctx, nil)
		return
	}
	var fs *Fsdev
	if len(m.fsdevs) > 0 {
		fs = m.fsdevs[len(m.fsdevs)-1]
	}
	m.mu.Unlock()
	if fs != nil {
		if !fs.Unregister(t, func(t *reactor.Thread, ctx any, _ error) { finishNext(t, ctx) }, f) {
			t.Defer(finishNext, f) // somebody else unregisters it; look again until it is gone
		}
		return
	}
	m.finiModules(t)
	if m.dev.Unregister(t, finishDone, f) != 0 {
		t.Defer(finishNext, f) // another Finish is about to end
	}
}

func finishDone(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	f.m.mu.Lock()
	pool := f.m.pool
	f.m.pool, f.m.dev = nil, nil
	f.m.mu.Unlock()
	var err error
	if n := pool.Size() - pool.Count(); n > 0 {
		err = fmt.Errorf("fsdev: %d of %d IO have leaked", n, pool.Size())
	}
	f.cb(t, f.ctx, err)
}

func (m *manager) find(name string) *Fsdev {
	for _, f := range m.fsdevs {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Fsdevs returns the registered devices of t's framework, oldest first. Any goroutine.
//
// Not in SPDK, which has no iterator over fsdevs.
func Fsdevs(f *reactor.Framework) []*Fsdev {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.fsdevs)
}
