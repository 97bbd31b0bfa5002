package sim

// fault is something wrong that a world does on purpose, to see that it is found.
type fault int

const (
	faultNone        fault = iota
	faultLostMessage       // a message that finds two others waiting is lost
	faultLostWakeUp        // a message to a thread of a sleeping reactor is lost
	faultTwoDestroys       // the book is told twice of a destroy, if the device has another channel
	faultGoneEarly         // the unregister callback is wrong, if there are three threads
	faultEarlyPoller       // a timed poller runs early, if an active one is registered too
	faultCount
)

// drops says whether a message to a thread is lost.
func (f fault) drops(to *thread) bool {
	switch f {
	case faultLostMessage:
		return to.inbox >= 2
	case faultLostWakeUp:
		return len(to.w.cores) > 0 && to.adopted && to.core().r.Asleep()
	}
	return false
}

// early returns by how much a round of a thread is said to come too early.
func (f fault) early(t *thread) uint64 {
	if f == faultEarlyPoller && len(t.pollers) > 1 {
		return 1
	}
	return 0
}

// extraDestroys says how often more than once a destroy is reported.
func (f fault) extraDestroys(d *device) int {
	if f == faultTwoDestroys && d.chans > 1 {
		return 1
	}
	return 0
}
