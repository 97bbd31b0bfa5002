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

var extKey = reactor.NewExtKey()

// manager is the layer's state of one framework.
type manager struct {
	fw *reactor.Framework

	mu     sync.Mutex
	caches atomic.Int32      // threads that have one
	pool   *mempool.Pool[IO] // nil before Initialize and after Finish
	dev    *iochannel.Device // its channels hold each thread's cache of IO
	opts   Opts              // of SetOpts
	inUse  Opts              // 0 before Initialize and after Finish
	fsdevs []*Fsdev
	inited []Module // in the order of their Init

	observer  ObserverFunc // nil if nobody wants to know
	finishing bool
	finishes  []*finish // that wait for the one under way
}

// cacheChannel is a thread's cache of free IO, shared by all its fsdev channels.
type cacheChannel struct{ ios *mempool.Cache[IO] }

func managerOf(f *reactor.Framework) *manager {
	return f.Ext(extKey, func() any { return &manager{fw: f} }).(*manager)
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
// SPDK: spdk_fsdev_module_list_add
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

// Initialize prepares the layer and all modules for t's framework, with the options of
// [SetOpts] where those of o are 0. The pool must be at least twice as large as a cache (EINVAL).
// EALREADY: the layer is initialised. On the app thread.
//
// When a module fails, those before it are finished again and its error is returned. Devices
// that they have registered are unregistered first, which is done later if there are any: until
// then another Initialize is EALREADY.
//
// SPDK: spdk_fsdev_initialize, which leaves modules initialised when a later one fails
func Initialize(t *reactor.Thread, o Opts) error {
	m := managerOf(t.Framework())
	if err := m.begin(t, o); err != nil {
		return err
	}
	// Modules are called without the lock, for they may register devices.
	for _, mod := range modules {
		if err := mod.Init(t); err != nil {
			m.undo(t)
			return fmt.Errorf("fsdev: module %s: %w", mod.Name(), err)
		}
		m.mu.Lock()
		m.inited = append(m.inited, mod)
		m.mu.Unlock()
	}
	return nil
}

// undo takes back an Initialize that has failed.
func (m *manager) undo(t *reactor.Thread) {
	m.mu.Lock()
	m.finishing = len(m.fsdevs) > 0
	later := m.finishing
	m.mu.Unlock()
	if later {
		finishDevices(t, &finish{m: m, t: t})
		return
	}
	m.finiModules(t)
	m.mu.Lock()
	dev := m.dev
	m.pool, m.dev, m.inUse = nil, nil, Opts{}
	m.mu.Unlock()
	dev.Unregister(t, nil, nil)
}

// begin makes the pool of IO.
func (m *manager) begin(t *reactor.Thread, o Opts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pool != nil {
		return fmt.Errorf("fsdev: initialised already: %w", syscall.EALREADY)
	}
	o = o.or(m.opts).or(defaultOpts)
	if err := o.check(1); err != nil {
		return err
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
	m.pool, m.dev, m.inUse = pool, dev, o
	return nil
}

func (m *manager) find(name string) *Fsdev {
	for _, f := range m.fsdevs {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Lookup returns the device registered under name, nil if there is none. It stays usable, if
// only to be told ENODEV, when it is removed. Any goroutine.
//
// SPDK: fsdev_get_by_name
func Lookup(f *reactor.Framework, name string) *Fsdev {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(name)
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

// ObserverFunc is told that a device has been registered, or that it is gone. It is called on the thread where that
// happened, and must not block. f is not to be kept.
//
// Not in SPDK, whose bdev layer sends such events to lib/notify.
type ObserverFunc func(t *reactor.Thread, f *Fsdev, registered bool)

// Observe has fn called from now on for the devices of a framework, instead of the one before; nil for none. Any
// goroutine.
//
// Not in SPDK.
func Observe(f *reactor.Framework, fn ObserverFunc) {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observer = fn
}

// tell calls the observer, without the lock.
func (m *manager) tell(t *reactor.Thread, f *Fsdev, registered bool) {
	m.mu.Lock()
	fn := m.observer
	m.mu.Unlock()
	if fn != nil {
		fn(t, f, registered)
	}
}
