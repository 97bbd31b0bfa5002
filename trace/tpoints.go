package trace

import "github.com/spdk-go/spdk-go/reactor"

// The tracepoints of package reactor, described for those who read them.

func init() {
	RegisterGroup(Group{Name: "thread", ID: reactor.TraceGroupThread, Register: describeThread})
	RegisterGroup(Group{Name: "scheduler", ID: reactor.TraceGroupScheduler, Register: describeScheduler})
	RegisterGroup(Group{Name: "fsdev", ID: reactor.TraceGroupFsdev, Register: describeFsdev})
}

func describeThread(tr *Trace) {
	refs := []Argument{{"refcnt", ArgInt, 4}}
	tr.RegisterOwnerType(reactor.OwnerTypeThread, 't')
	tr.RegisterDescription(
		TpointOpts{Name: "THREAD_IOCH_GET", Tpoint: reactor.TpointThreadIOChannelGet, Args: refs},
		TpointOpts{Name: "THREAD_IOCH_PUT", Tpoint: reactor.TpointThreadIOChannelPut, Args: refs},
	)
}

func describeScheduler(tr *Trace) {
	ticks := []Argument{{"busy", ArgInt, 8}, {"idle", ArgInt, 8}}
	tr.RegisterOwnerType(reactor.OwnerTypeReactor, 'r')
	tr.RegisterDescription(
		TpointOpts{Name: "SCHEDULER_PERIOD_START", Tpoint: reactor.TpointSchedulerPeriodStart},
		TpointOpts{
			Name: "SCHEDULER_CORE_STATS", Tpoint: reactor.TpointSchedulerCoreStats, OwnerType: reactor.OwnerTypeReactor,
			Args: ticks,
		},
		TpointOpts{
			Name: "SCHEDULER_THREAD_STATS", Tpoint: reactor.TpointSchedulerThreadStats, OwnerType: reactor.OwnerTypeThread,
			Args: ticks,
		},
		TpointOpts{
			Name: "SCHEDULER_MOVE_THREAD", Tpoint: reactor.TpointSchedulerMoveThread, OwnerType: reactor.OwnerTypeThread,
			Args: []Argument{{"src", ArgInt, 8}, {"dst", ArgInt, 8}},
		},
	)
}

func describeFsdev(tr *Trace) {
	tr.RegisterOwnerType(reactor.OwnerTypeFsdev, 'f')
	tr.RegisterObject(reactor.ObjectFsdevIO, 'i')
	tr.RegisterDescription(
		TpointOpts{
			Name: "FSDEV_IO_START", Tpoint: reactor.TpointFsdevIOStart, OwnerType: reactor.OwnerTypeFsdev,
			ObjectType: reactor.ObjectFsdevIO, NewObject: true,
			Args: []Argument{{"op", ArgInt, 4}, {"unique", ArgInt, 8}, {"file", ArgPtr, 8}, {"offset", ArgInt, 8}},
		},
		TpointOpts{
			Name: "FSDEV_IO_DONE", Tpoint: reactor.TpointFsdevIODone, OwnerType: reactor.OwnerTypeFsdev,
			ObjectType: reactor.ObjectFsdevIO,
			Args:       []Argument{{"op", ArgInt, 4}, {"errno", ArgInt, 4}},
		},
	)
}
