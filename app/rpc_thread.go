package app

import (
	"fmt"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// perThread is a result with something of each thread.
type perThread[T any] struct {
	TickRate uint64 `json:"tick_rate" doc:"ticks per second, the unit of times"`
	Threads  []T    `json:"threads"`
}

// perThreadVisit is a walk over the threads that gathers a T of each.
type perThreadVisit[T any] struct {
	req    *rpc.Request[rpc.None, perThread[T]]
	of     func(t *reactor.Thread) T
	result perThread[T]
}

// forEachThread answers with what of returns on each thread.
func forEachThread[T any](of func(t *reactor.Thread) T) func(*reactor.Thread, *rpc.Request[rpc.None, perThread[T]]) {
	return func(t *reactor.Thread, req *rpc.Request[rpc.None, perThread[T]]) {
		v := &perThreadVisit[T]{req: req, of: of}
		v.result = perThread[T]{t.Framework().TicksHz(), []T{}}
		t.Framework().ForEachThread(t, visitThread[T], v, threadsVisited[T])
	}
}

func visitThread[T any](t *reactor.Thread, ctx any) {
	v := ctx.(*perThreadVisit[T])
	v.result.Threads = append(v.result.Threads, v.of(t))
}

func threadsVisited[T any](_ *reactor.Thread, ctx any) {
	v := ctx.(*perThreadVisit[T])
	v.req.Reply(v.result)
}

type threadStats struct {
	Name    string `json:"name"`
	ID      uint64 `json:"id"`
	Cpumask string `json:"cpumask" doc:"the CPUs of the application that it may run on"`
	Busy    uint64 `json:"busy" doc:"ticks"`
	Idle    uint64 `json:"idle" doc:"ticks"`
	Active  uint64 `json:"active_pollers_count" doc:"pollers that run every round"`
	Timed   uint64 `json:"timed_pollers_count" doc:"pollers that run every period"`
	Paused  uint64 `json:"paused_pollers_count" doc:"pollers that do not run now"`
}

// appMask returns the CPUs of the application that t may run on, as SPDK shows them.
func appMask(t *reactor.Thread) string {
	mask := *t.Framework().Cpuset()
	if of := t.Cpumask(); of != nil {
		mask.And(of)
	}
	return mask.String()
}

func threadStatsOf(t *reactor.Thread) threadStats {
	stats := t.Stats()
	s := threadStats{Name: t.Name(), ID: t.ID(), Cpumask: appMask(t), Busy: stats.BusyTicks, Idle: stats.IdleTicks}
	for range t.ActivePollers() {
		s.Active++
	}
	for range t.TimedPollers() {
		s.Timed++
	}
	for range t.PausedPollers() {
		s.Paused++
	}
	return s
}

type pollerInfo struct {
	Name      string `json:"name"`
	ID        uint64 `json:"id"`
	State     string `json:"state" doc:"waiting, running, unregistered, pausing or paused"`
	RunCount  uint64 `json:"run_count"`
	BusyCount uint64 `json:"busy_count" doc:"runs that found something to do"`
	Period    uint64 `json:"period_ticks,omitempty" doc:"of a timed poller"`
}

type threadPollers struct {
	Name   string       `json:"name"`
	ID     uint64       `json:"id"`
	Active []pollerInfo `json:"active_pollers"`
	Timed  []pollerInfo `json:"timed_pollers"`
	Paused []pollerInfo `json:"paused_pollers"`
}

func pollersOf(t *reactor.Thread) threadPollers {
	of := func(p *reactor.Poller) pollerInfo {
		runs, busy := p.Stats()
		return pollerInfo{p.Name(), p.ID(), p.State().String(), runs, busy, p.PeriodTicks()}
	}
	tp := threadPollers{Name: t.Name(), ID: t.ID(), Active: []pollerInfo{}, Timed: []pollerInfo{}, Paused: []pollerInfo{}}
	for p := range t.ActivePollers() {
		tp.Active = append(tp.Active, of(p))
	}
	for p := range t.TimedPollers() {
		tp.Timed = append(tp.Timed, of(p))
	}
	for p := range t.PausedPollers() {
		tp.Paused = append(tp.Paused, of(p))
	}
	return tp
}

type channelInfo struct {
	Name string `json:"name" doc:"of the device"`
	Ref  uint32 `json:"ref" doc:"references"`
}

type threadChannels struct {
	Name     string        `json:"name"`
	Channels []channelInfo `json:"io_channels"`
}

func channelsOf(t *reactor.Thread) threadChannels {
	tc := threadChannels{Name: t.Name(), Channels: []channelInfo{}}
	for ch := range iochannel.Channels(t) {
		tc.Channels = append(tc.Channels, channelInfo{ch.Device().Name(), uint32(ch.Refs())})
	}
	return tc
}

type setCpumaskParams struct {
	ID      uint64 `json:"id" doc:"number of the thread"`
	Cpumask string `json:"cpumask" doc:"CPUs that it may run on, as a mask or a list"`
}

// setCpumask is a thread_set_cpumask on its way to the thread and back.
type setCpumask struct {
	req  *rpc.Request[setCpumaskParams, bool]
	from *reactor.Thread
	mask *reactor.Cpuset
	err  error
}

func setThreadCpumask(t *reactor.Thread, req *rpc.Request[setCpumaskParams, bool]) {
	th := t.Framework().ThreadByID(req.Params.ID)
	if th == nil {
		req.Fail(rpc.InvalidParams, "Thread %d does not exist", req.Params.ID)
		return
	}
	mask, err := reactor.ParseCpuset(req.Params.Cpumask)
	if err != nil {
		req.Fail(rpc.InternalError, "Invalid cpumask %s: %v", req.Params.Cpumask, err)
		return
	}
	mask.And(t.Framework().Cpuset())
	if mask.Count() == 0 {
		req.Fail(rpc.InternalError, "No CPU is selected from reactor mask %s", t.Framework().Cpuset())
		return
	}
	if !th.SendMsgRetry(t, setMaskOnThread, &setCpumask{req: req, from: t, mask: mask}) {
		req.Fail(rpc.InvalidParams, "Thread %d does not exist", req.Params.ID)
	}
}

func setMaskOnThread(t *reactor.Thread, ctx any) {
	c := ctx.(*setCpumask)
	c.err = t.SetCpumask(c.mask)
	if !c.from.SendMsgRetry(t, maskIsSet, c) {
		c.req.FailErr(fmt.Errorf("app: %w", ErrStopped))
	}
}

func maskIsSet(_ *reactor.Thread, ctx any) {
	c := ctx.(*setCpumask)
	if c.err != nil {
		c.req.Fail(rpc.InternalError, "%v", c.err)
		return
	}
	c.req.Reply(true)
}

func init() {
	rpc.Register(rpc.Method{
		Name:   "thread_get_stats",
		States: rpc.Runtime,
		Doc:    "Tell what each thread does with its time.",
	}, forEachThread(threadStatsOf))
	rpc.Register(rpc.Method{
		Name:   "thread_get_pollers",
		States: rpc.Runtime,
		Doc:    "List the pollers of each thread.",
	}, forEachThread(pollersOf))
	rpc.Register(rpc.Method{
		Name:   "thread_get_io_channels",
		States: rpc.Runtime,
		Doc:    "List the channels of each thread.",
	}, forEachThread(channelsOf))
	rpc.Register(rpc.Method{
		Name:   "thread_set_cpumask",
		States: rpc.Runtime,
		Doc:    "Say on which CPUs a thread may run; it moves if it has to.",
	}, setThreadCpumask)
}
