package fsdev

import (
	"fmt"
	"syscall"

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

// or fills in the fields that are 0.
func (o Opts) or(d Opts) Opts {
	if o.IOPoolSize == 0 {
		o.IOPoolSize = d.IOPoolSize
	}
	if o.IOCacheSize == 0 {
		o.IOCacheSize = d.IOCacheSize
	}
	return o
}

var defaultOpts = Opts{IOPoolSize: 16384, IOCacheSize: 256}

// check wants a pool that holds the caches of so many threads, and one more.
func (o Opts) check(threads int) error {
	if o.IOCacheSize < 1 || o.IOPoolSize/o.IOCacheSize < threads+1 {
		return fmt.Errorf("fsdev: IOPoolSize %d must be at least IOCacheSize %d, at least 1, times one more than the "+
			"%d threads there are: %w", o.IOPoolSize, o.IOCacheSize, threads, syscall.EINVAL)
	}
	return nil
}

// SetOpts sets the options that [Initialize] uses where its own are 0. The pool must be at
// least as large as the caches of all threads that there are, and one more (EINVAL). EBUSY:
// the layer is initialised, which is when options take effect. Any goroutine.
//
// SPDK: spdk_fsdev_set_opts, which also accepts what comes too late
func SetOpts(f *reactor.Framework, o Opts) error {
	o = o.or(defaultOpts)
	if err := o.check(len(f.Threads())); err != nil {
		return err
	}
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pool != nil {
		return fmt.Errorf("fsdev: the layer is initialised; set options before that: %w", syscall.EBUSY)
	}
	m.opts = o
	return nil
}

// GetOpts returns the options in use, or, before [Initialize], those that will be. Any
// goroutine.
//
// SPDK: spdk_fsdev_get_opts
func GetOpts(f *reactor.Framework) Opts {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inUse.or(m.opts).or(defaultOpts)
}
