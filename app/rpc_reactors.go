package app

import (
	"os"
	"sync"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type lwThread struct {
	Name    string `json:"name"`
	ID      uint64 `json:"id"`
	Cpumask string `json:"cpumask"`
	Elapsed uint64 `json:"elapsed" doc:"ticks since it was created"`
}

type reactorInfo struct {
	Core        uint32     `json:"lcore"`
	NUMANode    int32      `json:"numa_id" doc:"-1 if the machine does not say"`
	TID         uint64     `json:"tid" doc:"the kernel's number of its thread"`
	Busy        uint64     `json:"busy" doc:"ticks"`
	Idle        uint64     `json:"idle" doc:"ticks"`
	InInterrupt bool       `json:"in_interrupt" doc:"it sleeps when it is idle"`
	IRQ         uint64     `json:"irq" doc:"what the CPU did since the start, in the kernel's ticks of 10 ms"`
	Sys         uint64     `json:"sys" doc:"the same, in the kernel"`
	Usr         uint64     `json:"usr" doc:"the same, in programs"`
	Freq        *uint32    `json:"core_freq,omitempty" doc:"MHz, if there is a governor"`
	Threads     []lwThread `json:"lw_threads"`
}

type reactorsInfo struct {
	TickRate uint64        `json:"tick_rate" doc:"ticks per second"`
	PID      uint64        `json:"pid"`
	Reactors []reactorInfo `json:"reactors"`
}

// topology is the machine's, and that of its start.
var topology = sync.OnceValue(func() *reactor.Topology {
	topo, err := reactor.ReadTopology(reactor.SysfsRoot)
	if err != nil {
		return nil
	}
	return topo
})

// reactors describes the reactors. It waits for them.
func (a *App) reactors() (reactorsInfo, error) {
	info := reactorsInfo{TickRate: a.fw.TicksHz(), PID: uint64(os.Getpid())}
	var errno syscall.Errno
	gone := CallAsync(a.thread, func(t *reactor.Thread, done func()) {
		errno = a.fw.ForEachReactor(t.Reactor(), describeReactor, &info, done, reactorsDescribed)
		if errno != 0 {
			done()
		}
	})
	if errno = max(errno, gone); errno != 0 {
		return info, errno
	}
	stat, topo := readProcStat(), topology()
	governor := a.fw.Governor()
	for i := range info.Reactors {
		r := &info.Reactors[i]
		core := int(r.Core)
		times := stat.since(a.stat, core)
		r.IRQ, r.Sys, r.Usr = times.irq, times.sys, times.usr
		r.NUMANode = reactor.NUMANodeAny
		if topo != nil {
			r.NUMANode = int32(topo.NUMANode(core))
		}
		if governor != nil {
			r.Freq = new(governor.CoreFreq(core) / 1000)
		}
	}
	return info, nil
}

func describeReactor(r *reactor.Reactor, arg1, _ any) {
	info := arg1.(*reactorsInfo)
	stats := r.Stats()
	ri := reactorInfo{
		Core:        uint32(r.Core()),
		TID:         uint64(syscall.Gettid()),
		Busy:        stats.BusyTicks,
		Idle:        stats.IdleTicks,
		InInterrupt: r.Mode() == reactor.ModeInterrupt,
		Threads:     []lwThread{},
	}
	for _, t := range r.Threads() {
		s := t.Stats()
		ri.Threads = append(ri.Threads, lwThread{t.Name(), t.ID(), appMask(t), s.BusyTicks + s.IdleTicks})
	}
	info.Reactors = append(info.Reactors, ri)
}

func reactorsDescribed(_ *reactor.Reactor, _, done any) { done.(func())() }

func init() {
	rpc.Register(rpc.Method{
		Name:   "framework_get_reactors",
		States: rpc.Runtime,
		Doc:    "Tell what each reactor does, and which threads it has.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, reactorsInfo]) {
		Answer(t, req, (*App).reactors)
	})
}
