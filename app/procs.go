package app

import (
	"runtime"
	"sync"
)

// helperProcs is what the Go runtime gets on top of the reactors: a reactor never gives its
// processor away, and garbage collection, timers and control-plane goroutines need one.
const helperProcs = 2

// procs is the account of reactors in the process. GOMAXPROCS belongs to the process, and so
// does this.
var procs struct {
	sync.Mutex
	reactors int
	before   int // GOMAXPROCS without us
}

// acquireProcs raises GOMAXPROCS for n more reactors.
func acquireProcs(n int) {
	procs.Lock()
	defer procs.Unlock()
	if procs.reactors == 0 {
		procs.before = runtime.GOMAXPROCS(0)
	}
	procs.reactors += n
	runtime.GOMAXPROCS(procs.reactors + helperProcs)
}

func releaseProcs(n int) {
	procs.Lock()
	defer procs.Unlock()
	procs.reactors -= n
	if procs.reactors == 0 {
		runtime.GOMAXPROCS(procs.before)
		return
	}
	runtime.GOMAXPROCS(procs.reactors + helperProcs)
}
