package scheduler

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// frequencies is a scheduler's hold on the governor.
type frequencies struct {
	ours   bool           // the scheduler has set the governor
	failed reactor.Cpuset // the cores whose frequency could not be changed the last time
}

// begin sees to it that there is a governor.
func (q *frequencies) begin(f *reactor.Framework) error {
	if f.Governor() != nil {
		return nil
	}
	err := fmt.Errorf("there is no governor, whose package would have to be imported: %w", syscall.ENODEV)
	for i, name := range reactor.GovernorNames() {
		e := f.SetGovernor(name)
		if e == nil {
			q.ours = true
			return nil
		}
		if i == 0 {
			err = e
		} else {
			err = errors.Join(err, e)
		}
	}
	return err
}

// end ends the governor unless it was there before.
func (q *frequencies) end(f *reactor.Framework) {
	if q.ours {
		q.ours = false
		_ = f.SetGovernor("") // nothing begins, so that nothing can fail
	}
	q.failed.Zero()
}

// set changes the frequency of a core. That it fails is reported once, until it succeeds again.
func (q *frequencies) set(f *reactor.Framework, core int, change func(core int) (bool, error)) {
	_, err := change(core)
	if err != nil && !q.failed.Get(core) {
		f.Warn("the frequency of a core cannot be changed", "core", core, "error", err)
	}
	q.failed.Set(core, err != nil)
}

// beginPeriod sets how often a scheduler runs if nobody has.
func beginPeriod(f *reactor.Framework) {
	if f.SchedulerPeriod() == 0 {
		f.SetSchedulerPeriod(defaultPeriod)
	}
}

// percent returns the share of busy in both, 0 if there was no time at all.
func percent(busy, idle uint64) int {
	if busy+idle == 0 {
		return 0
	}
	return int(busy * 100 / (busy + idle))
}
