package scheduler

import "github.com/spdk-go/spdk-go/reactor"

// FakeSysfs is where "gscheduler on a fake machine" looks for SMT siblings.
var FakeSysfs string

func init() {
	reactor.RegisterScheduler("gscheduler on a fake machine", func() reactor.Scheduler {
		return &gscheduler{sysfs: FakeSysfs}
	})
}
