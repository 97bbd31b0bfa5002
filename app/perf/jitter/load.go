package main

import (
	"context"
	"runtime"

	"github.com/spdk-go/spdk-go/app"
)

const (
	liveObjects = 1 << 18
	loadBatch   = 1 << 10
)

// node is an object for the garbage collector to follow.
type node struct {
	next *node
	_    [6]uint64
}

// startLoads starts what is to disturb the reactor, and what watches the garbage collector.
func startLoads(a *app.App, cfg *config, s scenario, gcs *gcLog) {
	start := func(fn func(ctx context.Context)) {
		// The only error says that the application is ending already.
		_ = a.Go(func(ctx context.Context) error { fn(ctx); return nil })
	}
	start(gcs.watch)
	if s.gc {
		start(allocate)
	}
	if cfg.busy {
		for range runtime.NumCPU() {
			start(spin)
		}
	}
}

// allocate replaces objects of a live heap of 16 MiB.
func allocate(ctx context.Context) {
	live := make([]*node, liveObjects)
	for i := uint32(0); ctx.Err() == nil; {
		for range loadBatch {
			i = i*1664525 + 1013904223
			p := &live[i%liveObjects]
			*p = &node{next: live[(i>>8)%liveObjects]}
			(*p).next.cut()
		}
	}
}

// cut keeps chains from growing without end.
func (n *node) cut() {
	if n != nil {
		n.next = nil
	}
}

func spin(ctx context.Context) {
	for n := uint64(0); ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return
		}
	}
}
