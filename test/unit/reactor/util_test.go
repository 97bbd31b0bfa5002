// Package reactor_test is SPDK's test/unit/lib/event/reactor.c/reactor_ut.c.
package reactor_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	_ "github.com/spdk-go/spdk-go/reactor/scheduler"
)

// reactors returns reactors on the first n cores. Where the C test mocks the current core, a
// test polls that core's reactor.
func reactors(t *testing.T, n int) *reactortest.Reactors {
	t.Helper()
	cores := make([]int, n)
	for i := range cores {
		cores[i] = i
	}
	return reactortest.NewReactors(t, cores, reactor.Options{StallThreshold: -1})
}

// create returns a thread that no reactor has taken yet.
func create(t *testing.T, fw *reactor.Framework, mask *reactor.Cpuset) *reactor.Thread {
	t.Helper()
	th, err := fw.CreateThread("", mask)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// runs reports the threads of a reactor by their ids.
func runs(r *reactor.Reactor) []uint64 {
	var ids []uint64
	for _, t := range r.Threads() {
		ids = append(ids, t.ID())
	}
	return ids
}

// want checks a value.
func want[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// pollerRun returns a poller that takes d and says rc.
func pollerRun(h *reactortest.Reactors, rc reactor.PollerResult, d time.Duration) reactor.PollerFunc {
	return func(*reactor.Thread, any) reactor.PollerResult { h.Advance(d); return rc }
}

// runOnce has r run one round in which th has a poller that takes d and says rc.
func runOnce(h *reactortest.Reactors, th *reactor.Thread, rc reactor.PollerResult, d time.Duration) {
	p := th.RegisterPoller("", pollerRun(h, rc, d), nil, 0)
	th.Reactor().Poll()
	p.Unregister()
}

// use has the framework use a scheduler.
func use(t *testing.T, h *reactortest.Reactors, scheduler string) {
	t.Helper()
	if err := h.Framework.SetScheduler(scheduler); err != nil {
		t.Fatal(err)
	}
}
