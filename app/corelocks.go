package app

import (
	"sync"

	"github.com/spdk-go/spdk-go/reactor"
)

// coreLocks are the locks of the application's CPUs, or none.
type coreLocks struct {
	mu    sync.Mutex
	locks *reactor.CoreLocks
}

// lock takes the locks, unless it has them.
func (c *coreLocks) lock(cores []int) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locks == nil {
		c.locks, err = reactor.LockCores(reactor.CoreLockDir, cores)
	}
	return err
}

// unlock gives them back, if it has them.
func (c *coreLocks) unlock() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locks == nil {
		return nil
	}
	err := c.locks.Unlock()
	c.locks = nil
	return err
}
