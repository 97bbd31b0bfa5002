package main

import (
	"fmt"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/internal/report"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// mountStats is what was done for one mount.
type mountStats struct {
	requests fusedispatcher.Stats
	queues   []fusedev.QueueStats // one per reactor
}

// collectStats reads what was done for a mount whose session has ended.
func (tg *target) collectStats(m *mount) {
	if !tg.cfg.stats {
		return
	}
	m.stats.queues, _ = m.session.Stats()
	app.CallAsync(tg.a.Thread(), func(t *reactor.Thread, done func()) {
		m.disp.Stats(t, func(_ *reactor.Thread, _ any, s *fusedispatcher.Stats) {
			m.stats.requests = *s
			done()
		}, nil)
	})
}

func (tg *target) printStats() {
	if !tg.cfg.stats || !tg.ready {
		return
	}
	perReactor := make([]uint64, len(tg.threads))
	for _, m := range tg.mounts {
		var in, out uint64
		for i, q := range m.stats.queues {
			in += q.BytesIn
			out += q.BytesOut
			perReactor[i] += q.Requests
		}
		report.Requests(tg.stdout, m.name+" on "+m.dir, &m.stats.requests,
			fmt.Sprintf(", %.1f MiB in, %.1f MiB out", float64(in)/(1<<20), float64(out)/(1<<20)))
	}
	report.Reactors(tg.stdout, tg.a.Framework(), time.Since(tg.started), perReactor)
}
