package sim

import "fmt"

// stats counts what the worlds did.
type stats struct {
	histories, steps                           int
	threads, exits, forced, moves              int
	messages, full, waits                      int
	pollers, calls, interrupts                 int
	devices, unregisters, unregisteredInCreate int
	creates, failedCreates, destroys           int
	iterations, visits, walks, ios, removals   int
	events, coreVisits, switches, sleeps       int
}

func (s *stats) String() string {
	return fmt.Sprintf("%d histories, %d steps: %d threads (%d asked to exit, %d forced, %d moves), "+
		"%d messages (%d refused, %d waits for room), %d pollers (%d calls), %d interrupts, "+
		"%d devices (%d unregistered, %d while a channel was created, %d hot-removed), "+
		"%d channels (%d failed, %d destroyed), %d iterations (%d visits), %d walks, %d operations, "+
		"%d events, %d visits of all reactors, %d mode switches, %d sleeps",
		s.histories, s.steps, s.threads, s.exits, s.forced, s.moves, s.messages, s.full, s.waits, s.pollers, s.calls,
		s.interrupts, s.devices, s.unregisters, s.unregisteredInCreate, s.removals, s.creates, s.failedCreates,
		s.destroys, s.iterations, s.visits, s.walks, s.ios, s.events, s.coreVisits, s.switches, s.sleeps)
}
