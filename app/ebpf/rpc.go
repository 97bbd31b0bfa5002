package ebpf

import (
	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type histogramInfo struct {
	Count   uint64       `json:"count"`
	Sum     uint64       `json:"sum_ns"`
	Max     uint64       `json:"max_ns"`
	P50     uint64       `json:"p50_ns" doc:"half took no longer, as far as the buckets say"`
	P99     uint64       `json:"p99_ns"`
	Buckets []bucketInfo `json:"buckets" doc:"those that are not empty, shortest first"`
}

type bucketInfo struct {
	Below uint64 `json:"below_ns" doc:"shorter than this, not shorter than half of it; 512: any shorter; 0: any longer"`
	Count uint64 `json:"count"`
}

func infoOf(h *Histogram) histogramInfo {
	info := histogramInfo{
		Count: h.Count(), Sum: h.Sum, Max: h.Max, P50: h.Quantile(0.5), P99: h.Quantile(0.99), Buckets: []bucketInfo{},
	}
	for i, n := range h.Buckets {
		if n > 0 {
			info.Buckets = append(info.Buckets, bucketInfo{Bound(i), n})
		}
	}
	return info
}

type takerInfo struct {
	Comm  string `json:"comm" doc:"the process's name"`
	PID   uint32 `json:"pid" doc:"0: the kernel's idle task, that is the CPU took so long to wake up"`
	NS    uint64 `json:"ns" doc:"how long it ran while the reactor would have run"`
	Count uint64 `json:"count" doc:"how often"`
}

type reactorInfo struct {
	Core        int           `json:"lcore"`
	TID         uint32        `json:"tid" doc:"the kernel's number of its thread"`
	State       string        `json:"state" doc:"running, preempted, asleep, or woken, that is waiting for its CPU"`
	StateNS     uint64        `json:"state_ns" doc:"for how long; it is in the sums once it is over"`
	PreemptedNS uint64        `json:"preempted_ns" doc:"off its CPU though it would have gone on"`
	VoluntaryNS uint64        `json:"voluntary_ns" doc:"asleep, until somebody woke it"`
	RunqueueNS  uint64        `json:"runqueue_ns" doc:"woken, until it had its CPU"`
	Preempted   histogramInfo `json:"preempted"`
	Voluntary   histogramInfo `json:"voluntary"`
	Runqueue    histogramInfo `json:"runqueue"`
	Takers      []takerInfo   `json:"takers" doc:"who ran in preempted_ns and runqueue_ns, longest first"`
	OtherNS     uint64        `json:"other_ns" doc:"what more processes took than can be told apart"`
}

func reactorOf(r *Reactor) reactorInfo {
	info := reactorInfo{
		Core: r.Core, TID: r.TID, State: r.State.String(), StateNS: uint64(r.For),
		PreemptedNS: r.Preempted.Sum, VoluntaryNS: r.Voluntary.Sum, RunqueueNS: r.Runqueue.Sum,
		Preempted: infoOf(&r.Preempted), Voluntary: infoOf(&r.Voluntary), Runqueue: infoOf(&r.Runqueue),
		Takers: []takerInfo{}, OtherNS: r.Other,
	}
	for _, t := range r.Takers {
		info.Takers = append(info.Takers, takerInfo{t.Comm, t.PID, t.NS, t.Count})
	}
	return info
}

type opcodeInfo struct {
	Opcode   uint32        `json:"opcode" doc:"FUSE's number of it; 0: one of 64 or more"`
	Name     string        `json:"name"`
	Queue    histogramInfo `json:"queue"`
	Service  histogramInfo `json:"service"`
	Reply    histogramInfo `json:"reply"`
	Unserved uint64        `json:"unserved"`
}

type mountInfo struct {
	Name       string        `json:"name" doc:"the device"`
	Mountpoint string        `json:"mountpoint"`
	Connection uint32        `json:"connection" doc:"the kernel's number of it, as in /sys/fs/fuse/connections"`
	Queue      histogramInfo `json:"queue" doc:"from when the kernel has made a request until a reactor has read it"`
	Service    histogramInfo `json:"service" doc:"from there until the reactor writes the answer"`
	Reply      histogramInfo `json:"reply" doc:"from there until the kernel has taken it"`
	Unserved   uint64        `json:"unserved" doc:"requests that ended otherwise, as by an interrupt"`
	Opcodes    []opcodeInfo  `json:"opcodes,omitempty" doc:"the same by operation, if that was asked for"`
}

func mountOf(mt *Mount, perOpcode bool) mountInfo {
	total := mt.Total()
	info := mountInfo{
		Name: mt.Fsdev, Mountpoint: mt.Dir, Connection: mt.Number,
		Queue: infoOf(&total.Queue), Service: infoOf(&total.Service), Reply: infoOf(&total.Reply),
		Unserved: total.Unserved,
	}
	if !perOpcode {
		return info
	}
	for i := range mt.Opcodes {
		o := &mt.Opcodes[i]
		info.Opcodes = append(info.Opcodes, opcodeInfo{
			Opcode: o.Opcode, Name: fusedispatcher.OpcodeName(o.Opcode),
			Queue: infoOf(&o.Queue), Service: infoOf(&o.Service), Reply: infoOf(&o.Reply), Unserved: o.Unserved,
		})
	}
	return info
}

type statsParams struct {
	PerOpcode bool `json:"per_opcode,omitempty" doc:"also tell how long each operation took"`
}

type statsInfo struct {
	Enabled   bool          `json:"enabled" doc:"it runs; else the lists are empty"`
	Missing   string        `json:"missing" doc:"what is not found out, and why; empty if everything is"`
	ElapsedNS uint64        `json:"elapsed_ns" doc:"since the start"`
	Reactors  []reactorInfo `json:"reactors"`
	Mounts    []mountInfo   `json:"mounts"`
}

func (p *statsParams) stats(a *app.App) (statsInfo, error) {
	s := Of(a).Stats()
	info := statsInfo{
		Enabled: s.Enabled, Missing: s.Missing, ElapsedNS: uint64(s.Elapsed),
		Reactors: []reactorInfo{}, Mounts: []mountInfo{},
	}
	for i := range s.Reactors {
		info.Reactors = append(info.Reactors, reactorOf(&s.Reactors[i]))
	}
	for i := range s.Mounts {
		info.Mounts = append(info.Mounts, mountOf(&s.Mounts[i], p.PerOpcode))
	}
	return info, nil
}

func init() {
	app.RegisterSubsystem(app.Subsystem{
		Name:      "ebpf",
		DependsOn: []string{"fuse"}, // whose queues write to what is released here
		Init:      func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Fini:      func(_ *reactor.Thread, a *app.App, done func(error)) { go func() { done(Of(a).Stop()) }() },
	})
	rpc.Register(rpc.Method{
		Name: "ebpf_start", States: rpc.Runtime,
		Doc: "Have the kernel find out who takes the CPU from reactors, and how long FUSE requests wait, from zero. If it " +
			"does already, nothing changes. It takes root, or CAP_BPF and CAP_PERFMON.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
		app.Answer(t, req, func(a *app.App) (bool, error) { return true, Of(a).Start(nil) })
	})
	rpc.Register(rpc.Method{
		Name: "ebpf_stop", States: rpc.Runtime,
		Doc: "End what ebpf_start has begun, and forget what was found out.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
		app.Answer(t, req, func(a *app.App) (bool, error) { return true, Of(a).Stop() })
	})
	rpc.Register(rpc.Method{
		Name: "ebpf_get_stats", States: rpc.Runtime,
		Doc: "Tell what was found out since ebpf_start. All sums only grow, so that two answers can be compared.",
	}, func(t *reactor.Thread, req *rpc.Request[statsParams, statsInfo]) {
		app.Answer(t, req, req.Params.stats)
	})
}
