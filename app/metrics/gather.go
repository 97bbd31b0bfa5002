package metrics

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/reactor"
)

// snapshot is what the threads of an application have told.
type snapshot struct {
	threads []threadState
	fsdevs  []fsdevState
	ioPool  struct{ size, free int }
	iobuf   []iobuf.ModuleStats
	mounts  []mountState
}

type threadState struct {
	name     string
	id       uint64
	core     int
	stats    reactor.ThreadStats
	messages uint64
	waiting  int
	pollers  []pollerState
}

type pollerState struct {
	name       string
	id         uint64
	runs, busy uint64
}

type fsdevState struct {
	name, module string
	stats        *fsdev.DeviceStats
}

type mountState struct {
	dir, fsdev, cache string
	stats             fusemount.Stats
}

// gather asks everybody, one after the other, and waits. It runs in a goroutine of the application.
func gather(a *app.App) (*snapshot, error) {
	s := &snapshot{}
	gone := app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
		a.Framework().ForEachThread(t, visitThread, s, func(t *reactor.Thread, _ any) {
			s.ioPool.size, s.ioPool.free = fsdev.IOPoolLevel(t)
			done()
		})
	})
	for _, f := range fsdev.Fsdevs(a.Framework()) {
		gone = max(gone, app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
			f.Stats(t, func(_ *reactor.Thread, _ any, st *fsdev.DeviceStats, errno syscall.Errno) {
				if errno == 0 { // else it has gone meanwhile
					s.fsdevs = append(s.fsdevs, fsdevState{f.Name(), f.ModuleName(), st})
				}
				done()
			}, nil)
		}))
	}
	gone = max(gone, app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
		errno := iobuf.GetStats(t, func(_ *reactor.Thread, _ any, st []iobuf.ModuleStats, _ syscall.Errno) {
			s.iobuf = st
			done()
		}, nil)
		if errno != 0 { // there is none
			done()
		}
	}))
	if gone != 0 {
		return nil, fmt.Errorf("metrics: the app thread: %w", gone)
	}
	for _, mt := range fusemount.Of(a).Mounts() {
		s.mounts = append(s.mounts, mountState{mt.Dir, mt.Fsdev, mt.Cache.String(), mt.Stats()})
	}
	return s, nil
}

func visitThread(t *reactor.Thread, ctx any) {
	s := ctx.(*snapshot)
	st := threadState{name: t.Name(), id: t.ID(), core: t.Reactor().Core(), stats: t.Stats()}
	st.messages, st.waiting = t.Messages()
	add := func(p *reactor.Poller) {
		runs, busy := p.Stats()
		st.pollers = append(st.pollers, pollerState{p.Name(), p.ID(), runs, busy})
	}
	for p := range t.ActivePollers() {
		add(p)
	}
	for p := range t.TimedPollers() {
		add(p)
	}
	for p := range t.PausedPollers() {
		add(p)
	}
	s.threads = append(s.threads, st)
}
