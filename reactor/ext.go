package reactor

import (
	"fmt"
	"sync/atomic"
)

// maxExt is how many packages can hang state on threads and frameworks.
const maxExt = 16

var extCount atomic.Int32

// ExtKey names the slot that a package owns on every [Thread] and [Framework] for state of
// its own. Not in SPDK, whose libraries use globals and fields of struct spdk_thread.
type ExtKey int

// NewExtKey returns a new key. Call it from a package-level variable. Not in SPDK.
func NewExtKey() ExtKey {
	n := extCount.Add(1) - 1
	if n >= maxExt {
		panic(fmt.Sprintf("reactor: more than %d extension keys", maxExt))
	}
	return ExtKey(n)
}

// ThreadExt is the state of another package on a thread. Not in SPDK.
type ThreadExt interface {
	// IsHolding reports whether something keeps the thread from exiting. It is asked every
	// round of an exiting thread.
	IsHolding() bool
	// Holding says in words what that is.
	Holding() string
}

// Ext returns what [Thread.SetExt] stored, or nil. On t only. Not in SPDK.
func (t *Thread) Ext(k ExtKey) ThreadExt { return t.exts[k] }

// SetExt stores a package's state on t. On t only. Not in SPDK.
func (t *Thread) SetExt(k ExtKey, e ThreadExt) { t.exts[k] = e }

// Ext returns the state of a package on the framework, made by create at the first call,
// which must not use the framework. Any goroutine. Not in SPDK.
func (f *Framework) Ext(k ExtKey, create func() any) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.exts[k] == nil {
		f.exts[k] = create()
	}
	return f.exts[k]
}
