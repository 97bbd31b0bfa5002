package reactor_test

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// switching is a reactor that sleeps and is woken, each time with more of the clock gone.
type switching struct {
	t     *testing.T
	fw    *reactor.Framework
	th    *reactor.Thread
	clock *fastClock
	log   *records
}

func newSwitching(t *testing.T, o reactor.Options) *switching {
	s := &switching{t: t, clock: &fastClock{}, log: newRecords()}
	o.Clock, o.Log, o.HybridSpin, o.StallThreshold = s.clock, slog.New(s.log), 1, -1
	s.fw = run(t, o, 1)
	s.th = thread(t, s.fw, 0)
	return s
}

func (s *switching) reactor() *reactor.Reactor { return s.fw.Reactors()[0] }

// sleep has the reactor sleep n times.
func (s *switching) sleep(n int) {
	s.t.Helper()
	for want := s.reactor().Stats().Sleeps + uint64(n); s.reactor().Stats().Sleeps < want; {
		on(s.t, s.th, func(*reactor.Thread) {})
	}
}

// second lets a second pass.
func (s *switching) second() {
	s.t.Helper()
	s.clock.skip.Add(int64(time.Second))
	on(s.t, s.th, func(*reactor.Thread) {})
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestContextSwitchesAreReported once a second, from when the monitor was switched on.
func TestContextSwitchesAreReported(t *testing.T) {
	noLeaks(t)
	s := newSwitching(t, reactor.Options{})
	if s.fw.ContextSwitchMonitorEnabled() {
		t.Error("the monitor is on by default")
	}
	const before = 500
	s.sleep(before)
	s.second()
	if v, i := s.reactor().ContextSwitches(); v+i != 0 {
		t.Errorf("%d and %d switches counted while the monitor is off", v, i)
	}

	s.fw.EnableContextSwitchMonitor(true)
	if !s.fw.ContextSwitchMonitorEnabled() {
		t.Error("the monitor is not on")
	}
	eventually(t, "the first look", func() bool {
		v, _ := s.reactor().ContextSwitches()
		return v >= before/2 // not every sleep is long enough to be one
	})
	for range 3 {
		v0, i0 := s.reactor().ContextSwitches()
		s.sleep(10)
		eventually(t, "switches are counted", func() bool {
			s.second()
			v, i := s.reactor().ContextSwitches()
			return v > v0 && i >= i0
		})
	}
	r := s.log.await(t, "the report", func(r map[string]string) bool { return r[""] == "context switches of a reactor" })
	in, err := time.ParseDuration(r["in"])
	if v := number(t, r["voluntary"]); r["level"] != "INFO" || r["core"] != "0" || v >= before/2 ||
		v+number(t, r["involuntary"]) == 0 || err != nil || in < time.Second {
		t.Errorf("the first report is %v", r)
	}

	s.fw.EnableContextSwitchMonitor(false)
	if s.fw.ContextSwitchMonitorEnabled() {
		t.Error("the monitor is not off")
	}
	s.second()
	v0, i0 := s.reactor().ContextSwitches()
	s.sleep(20)
	s.second()
	s.second()
	if v, i := s.reactor().ContextSwitches(); v != v0 || i != i0 {
		t.Errorf("%d and %d switches counted, %d and %d when the monitor was switched off", v, i, v0, i0)
	}
}

// TestUnpinnedReactorCountsNoSwitches: what it runs on is another OS thread every now and then.
func TestUnpinnedReactorCountsNoSwitches(t *testing.T) {
	noLeaks(t)
	s := newSwitching(t, reactor.Options{NoPin: true})
	s.fw.EnableContextSwitchMonitor(true)
	for range 3 {
		s.sleep(10)
		s.second()
	}
	if v, i := s.reactor().ContextSwitches(); v+i != 0 {
		t.Errorf("%d and %d switches counted", v, i)
	}
}
