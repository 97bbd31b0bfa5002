package main

import (
	"fmt"
	"time"

	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/app/internal/report"
)

func (tg *target) printStats(mounts []*fusemount.Mount) {
	if !tg.cfg.stats || !tg.ready {
		return
	}
	perReactor := make([]uint64, len(tg.a.Cores()))
	for _, mt := range mounts {
		stats := mt.Stats()
		var in, out uint64
		for i, q := range stats.Queues {
			in += q.BytesIn
			out += q.BytesOut
			perReactor[i] += q.Requests
		}
		report.Requests(tg.stdout, mt.Fsdev+" on "+mt.Dir, &stats.Requests,
			fmt.Sprintf(", %.1f MiB in, %.1f MiB out", float64(in)/(1<<20), float64(out)/(1<<20)))
	}
	report.Reactors(tg.stdout, tg.a.Framework(), time.Since(tg.started), perReactor)
	printEBPF(tg.stdout, &tg.found)
}
