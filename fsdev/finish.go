package fsdev

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spdk-go/spdk-go/reactor"
)

// Finish unregisters every device, waits until their descriptors are closed, finishes the
// modules in reverse order and calls cb with ctx on t. err says what leaked and which Destruct
// failed, nil if all went well. A second Finish waits for the first. On the app thread.
//
// SPDK: spdk_fsdev_finish
func Finish(t *reactor.Thread, cb func(t *reactor.Thread, ctx any, err error), ctx any) {
	t.Defer(finishBegin, &finish{m: managerOf(t.Framework()), t: t, cb: cb, ctx: ctx})
}

type finish struct {
	m   *manager
	t   *reactor.Thread
	cb  func(t *reactor.Thread, ctx any, err error) // nil: an Initialize that failed
	ctx any
	err error
}

func finishBegin(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	m := f.m
	m.mu.Lock()
	switch {
	case m.pool == nil:
		m.mu.Unlock()
		f.cb(t, f.ctx, nil)
		return
	case m.finishing:
		m.finishes = append(m.finishes, f)
		m.mu.Unlock()
		return
	}
	m.finishing = true
	m.mu.Unlock()
	finishDevices(t, f)
}

// finishDevices unregisters the devices one after the other, the newest first.
func finishDevices(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	m := f.m
	m.mu.Lock()
	n := len(m.fsdevs)
	if n == 0 {
		m.mu.Unlock()
		m.finiModules(t)
		m.dev.Unregister(t, finishDone, f)
		return
	}
	defer m.mu.Unlock()
	dev := m.fsdevs[n-1]
	if dev.status == fsdevReady {
		dev.unregister(t, deviceFinished, f)
		return
	}
	dev.finish = f // somebody else unregisters it; f goes on when it is gone
}

func deviceFinished(t *reactor.Thread, ctx any, err error) {
	f := ctx.(*finish)
	f.err = errors.Join(f.err, err)
	finishDevices(t, f)
}

func finishDone(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	m := f.m
	m.mu.Lock()
	pool, others := m.pool, m.finishes
	m.pool, m.dev, m.finishing, m.finishes, m.inUse = nil, nil, false, nil, Opts{}
	m.mu.Unlock()
	if n := pool.Size() - pool.Count(); n > 0 {
		f.err = errors.Join(f.err, fmt.Errorf("fsdev: %d of %d IO have leaked", n, pool.Size()))
	}
	if f.cb != nil {
		f.cb(t, f.ctx, f.err)
	}
	for _, o := range others {
		o.err = f.err
		o.t.SendMsgRetry(t, finishedToo, o)
	}
}

func finishedToo(t *reactor.Thread, ctx any) {
	f := ctx.(*finish)
	f.cb(t, f.ctx, f.err)
}

func (m *manager) finiModules(t *reactor.Thread) {
	m.mu.Lock()
	inited := m.inited
	m.inited = nil
	m.mu.Unlock()
	for _, mod := range slices.Backward(inited) {
		mod.Fini(t)
	}
}
