package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

// sample is what one round of questions has brought.
type sample struct {
	at        time.Time
	tickRate  uint64
	pid       uint64
	methods   map[string]bool
	cores     []coreStat
	threads   []threadStat
	pollers   []threadPollers
	scheduler scheduler
	fsdevs    []fsdevStat
	infos     map[string]fsdevInfo
	latencies map[string][]opHistogram // of fsdevs whose histograms are on
	kernel    kernelStats
	odd       string // what of it makes no sense, "" if all does
}

// caller is a client, or something like it.
type caller interface {
	Call(ctx context.Context, method string, params, result any) error
}

// round asks everything once.
type round struct {
	ctx context.Context
	c   caller
	s   *sample
}

// take asks an application everything. methods are those that it has.
func take(ctx context.Context, c caller, methods map[string]bool) (*sample, error) {
	s := &sample{methods: methods, infos: map[string]fsdevInfo{}, latencies: map[string][]opHistogram{}}
	r := &round{ctx, c, s}
	var reactors reactorsAnswer
	var stats struct{ Threads []threadStat }
	var pollers struct{ Threads []threadPollers }
	for _, q := range []struct {
		method string
		into   any
	}{
		// The threads come first, as for SPDK's spdk_top: the time of a thread is then within that of its core.
		{"thread_get_stats", &stats},
		{"framework_get_reactors", &reactors},
		{"thread_get_pollers", &pollers},
		{"framework_get_scheduler", &s.scheduler},
	} {
		if err := r.ask(q.method, nil, q.into); err != nil {
			return nil, err
		}
	}
	s.at = time.Now()
	s.tickRate, s.pid, s.cores = reactors.TickRate, reactors.PID, atMost(r, reactors.Reactors)
	s.threads, s.pollers = atMost(r, stats.Threads), atMost(r, pollers.Threads)
	if err := r.fsdevs(); err != nil {
		return nil, err
	}
	if !methods[kernelMethod] {
		return s, nil
	}
	err := r.ask(kernelMethod, map[string]bool{"per_opcode": true}, &s.kernel)
	s.kernel.Reactors, s.kernel.Mounts = atMost(r, s.kernel.Reactors), atMost(r, s.kernel.Mounts)
	return s, err
}

// maxRows is how much of a list is shown. No application has as many threads, so that the rest makes no sense.
const maxRows = 4096

func atMost[T any](r *round, list []T) []T {
	if len(list) <= maxRows {
		return list
	}
	r.s.odd = fmt.Sprintf("a list of %d elements", len(list))
	return list[:maxRows]
}

func (r *round) ask(method string, params, into any) error {
	var raw json.RawMessage
	if err := r.c.Call(r.ctx, method, params, &raw); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	odd, err := decode(method, raw, into)
	if odd != "" {
		r.s.odd = odd
	}
	return err
}

// fsdevs asks for the devices. One may go while the others are asked for.
func (r *round) fsdevs() error {
	if !r.s.methods["fsdev_get_iostat"] {
		return nil
	}
	var stat struct {
		Fsdevs []fsdevStat
	}
	if err := r.ask("fsdev_get_iostat", map[string]bool{"per_channel": true}, &stat); err != nil {
		return err
	}
	r.s.fsdevs = atMost(r, stat.Fsdevs)
	if !r.s.methods["fsdev_get_fsdevs"] {
		return nil
	}
	var infos []fsdevInfo
	if err := r.ask("fsdev_get_fsdevs", nil, &infos); err != nil {
		return err
	}
	for _, f := range atMost(r, infos) {
		r.s.infos[f.Name] = f
		if !f.Histograms || !r.s.methods["fsdev_get_histogram"] {
			continue
		}
		var h struct{ Ops []opHistogram }
		err := r.ask("fsdev_get_histogram", map[string]string{"name": f.Name}, &h)
		var gone *rpc.Error
		if err != nil && !errors.As(err, &gone) {
			return err
		}
		if err == nil {
			r.s.latencies[f.Name] = h.Ops
		}
	}
	return nil
}

// askMethods returns the methods that can be called.
func askMethods(ctx context.Context, c caller) (map[string]bool, error) {
	var names []string
	if err := c.Call(ctx, "rpc_get_methods", map[string]bool{"current": true}, &names); err != nil {
		return nil, fmt.Errorf("rpc_get_methods: %w", err)
	}
	methods := map[string]bool{}
	for _, name := range names {
		methods[name] = true
	}
	return methods, nil
}

// span is the time that a view is about: between two samples, or from the start to one.
type span struct {
	prev, cur *sample
	total     bool
}

// newSpan returns the time between two samples, or all of it. Counters of another process are no beginning.
func newSpan(prev, cur *sample, total bool) *span {
	if total || prev == nil || prev.pid != cur.pid {
		prev = &sample{}
	}
	return &span{prev, cur, total}
}

// fresh says whether there is no earlier sample to compare with.
func (s *span) fresh() bool { return s.prev.at.IsZero() && !s.total }

// since returns how much a counter has grown; one that has shrunk was set to zero between.
func since(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// micros turns ticks into microseconds.
func (s *span) micros(ticks uint64) float64 {
	if s.cur.tickRate == 0 {
		return 0
	}
	return float64(ticks) / float64(s.cur.tickRate) * 1e6
}

// seconds is how long the span is, 0 if that is not known.
func (s *span) seconds() float64 {
	if s.total || s.prev.at.IsZero() {
		return 0
	}
	return s.cur.at.Sub(s.prev.at).Seconds()
}

// percent returns part of whole, from 0 to 100.
func percent(part, whole float64) float64 {
	if !(whole > 0) || !(part > 0) {
		return 0
	}
	return min(100*part/whole, 100)
}

// first returns the first element that is wanted, or nil.
func first[T any](list []T, is func(*T) bool) *T {
	for i := range list {
		if is(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

// find returns the first element that is wanted, or zero.
func find[T any](list []T, is func(*T) bool) T {
	if e := first(list, is); e != nil {
		return *e
	}
	var none T
	return none
}
