package aio

import (
	"sync/atomic"

	"github.com/spdk-go/spdk-go/reactor"
)

var confineKey = reactor.NewExtKey()

// confinement is what may be created by RPC in a framework; nil: everything.
type confinement struct {
	allow atomic.Pointer[func(o *Opts) error]
}

func confinementOf(f *reactor.Framework) *confinement {
	return f.Ext(confineKey, func() any { return &confinement{} }).(*confinement)
}

// Confine has allow look at the options of each device that fsdev_aio_create is to create in f: it refuses them with an
// error, or completes them, [Opts].At and Proc above all. It is for a process that has locked itself up since it was
// started, where paths are not what operators take them for. allow is called on the app thread. Any goroutine.
//
// Not in SPDK.
func Confine(f *reactor.Framework, allow func(o *Opts) error) { confinementOf(f).allow.Store(&allow) }

// confine applies what Confine has set.
func (o *Opts) confine(f *reactor.Framework) error {
	allow := confinementOf(f).allow.Load()
	if allow == nil {
		return nil
	}
	return (*allow)(o)
}
