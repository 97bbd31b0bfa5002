// Package scheduler has SPDK's three schedulers, which decide on which core a thread runs.
// Importing it makes them known to [reactor.Framework.SetScheduler] by these names:
//
//   - static: every thread stays on the core that it ran on first. When it follows another
//     scheduler it moves the threads back there, once. Option "mappings", "id:core,id:core",
//     names another core for some threads.
//   - dynamic: threads that are idle share the main core, which is the scheduling one; those
//     that work are spread over as few cores as can do it. Cores that are left without threads go
//     to interrupt mode and, if there is a governor, to their lowest frequency. Options, in
//     percent: "load_limit" (20), the load from which on a thread is not idle; "core_limit" (80),
//     up to which a core is loaded; "core_busy" (95), from which on a core is so busy that what a
//     thread leaves behind there is assumed to be taken by the others.
//   - gscheduler: threads stay where they are, and the frequency of each core follows its load
//     and that of its SMT siblings. It needs a governor.
//
// None of them moves a thread that is bound, to a core that its cpumask forbids, or from or to
// an isolated core. dynamic and gscheduler run once a second unless the framework has a period.
// They take the governor that the framework has, or else the first registered one that can begin.
//
// What schedulers remember belongs to the framework that they work for.
package scheduler

import "github.com/spdk-go/spdk-go/reactor"

func init() {
	reactor.RegisterScheduler("static", func() reactor.Scheduler { return &static{} })
	reactor.RegisterScheduler("dynamic", func() reactor.Scheduler { return newDynamic() })
	reactor.RegisterScheduler("gscheduler", func() reactor.Scheduler { return &gscheduler{sysfs: reactor.SysfsRoot} })
}
