package scheduler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// spread returns a thread on each reactor.
func spread(h *reactortest.Reactors) (threads []*reactor.Thread) {
	for range h.Reactors {
		threads = append(threads, h.Thread(nil))
	}
	return threads
}

// settle gives a scheduler that has something to do once the time to do it.
func settle(h *reactortest.Reactors) {
	for range 10 {
		h.Advance(5 * time.Millisecond)
		h.PollReactors()
	}
}

func opts(tb testing.TB, h *reactortest.Reactors, text string) {
	tb.Helper()
	if err := h.Framework.SetSchedulerOpts(json.RawMessage(text)); err != nil {
		tb.Fatal(err)
	}
}

func TestStaticLeavesThreadsWhereTheyAre(t *testing.T) {
	h := manual(t, "static", 0, 1, 2)
	if d := h.Framework.SchedulerPeriod(); d != 0 {
		t.Errorf("period %v", d)
	}
	threads := spread(h)
	once(threads[0], busy(h, 100))
	h.Schedule()
	settle(h)
	if diff := cmp.Diff([]int{0, 1, 2}, where(threads)); diff != "" {
		t.Error(diff)
	}
}

// TestStaticMovesThreadsBackOnce is SPDK's issue 2492, in every way there is to come from another
// scheduler to this one.
func TestStaticMovesThreadsBackOnce(t *testing.T) {
	for _, way := range [][]string{
		{"dynamic", "static"},
		{"static", "dynamic", "static"},
		{"dynamic", "", "static"},
		{"static", "dynamic", "", "static"},
		{"dynamic", "gscheduler", "static"},
	} {
		t.Run(strings.Join(way, "_"), func(t *testing.T) {
			h := manual(t, "", 0, 1, 2)
			threads := spread(h)
			for _, name := range way[:len(way)-1] {
				use(t, h.Framework, name)
				for range 3 {
					h.Schedule()
				}
			}
			if diff := cmp.Diff([]int{0, 0, 0}, where(threads)); diff != "" {
				t.Fatalf("before: %s", diff)
			}
			sleeps := []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt, reactor.ModeInterrupt}
			if diff := cmp.Diff(sleeps, modes(h)); diff != "" {
				t.Fatalf("before: %s", diff)
			}
			use(t, h.Framework, "static")
			settle(h)
			if diff := cmp.Diff([]int{0, 1, 2}, where(threads)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]reactor.Mode{0, 0, 0}, modes(h)); diff != "" {
				t.Error(diff)
			}
			if d := h.Framework.SchedulerPeriod(); d != 0 {
				t.Errorf("period %v", d)
			}
			if err := threads[0].SetCpumask(reactor.NewCpuset(2)); err != nil {
				t.Fatal(err)
			}
			settle(h)
			h.Schedule()
			if core := threads[0].Reactor().Core(); core != 2 {
				t.Errorf("a thread that has moved itself is on core %d", core)
			}
		})
	}
}

// TestStaticMovesEverythingBackWhateverIsUnderWay changes the scheduler at any moment of what the
// one before it does.
func TestStaticMovesEverythingBackWhateverIsUnderWay(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		h := manual(t, "dynamic", 0, 1, 2)
		threads := append(spread(h), spread(h)...)
		h.Framework.SetSchedulerPeriod(time.Microsecond)
		step := func() {
			h.Advance(time.Duration(rng.IntN(1_000_000)))
			h.Reactors[rng.IntN(3)].Poll()
			for _, th := range threads {
				if rng.IntN(20) == 0 { // a working thread now and then, so that not all is quiet on core 0
					once(th, busy(h, time.Duration(rng.IntN(1_000_000))))
				}
			}
		}
		for range rng.IntN(60) {
			step()
		}
		use(t, h.Framework, "static")
		for range rng.IntN(20) {
			step()
		}
		settle(h)
		if diff := cmp.Diff([]int{0, 1, 2, 0, 1, 2}, where(threads)); diff != "" {
			t.Fatalf("seed %d, round %d: %s", seed, i, diff)
		}
		if d := h.Framework.SchedulerPeriod(); d != 0 {
			t.Fatalf("seed %d, round %d: the period is still %v", seed, i, d)
		}
		h.Framework.Stop()
	}
}

func TestStaticHandsNoPeriodOn(t *testing.T) {
	h := manual(t, "dynamic", 0, 1)
	use(t, h.Framework, "static")
	use(t, h.Framework, "dynamic") // before static could do anything
	if d := h.Framework.SchedulerPeriod(); d != time.Second {
		t.Errorf("period %v", d)
	}
}

func TestStaticKeepsTheModesThatReactorsWereGiven(t *testing.T) {
	h := reactortest.NewReactors(t, []int{0, 1}, reactor.Options{Mode: reactor.ModeInterrupt, StallThreshold: -1})
	threads := spread(h)
	interrupt := []reactor.Mode{reactor.ModeInterrupt, reactor.ModeInterrupt}
	use(t, h.Framework, "static")
	opts(t, h, `{"mappings":"1:1,2:0"}`)
	settle(h)
	if diff := cmp.Diff(interrupt, modes(h)); diff != "" {
		t.Errorf("static alone: %s", diff)
	}
	if diff := cmp.Diff([]int{1, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
	use(t, h.Framework, "dynamic")
	h.Schedule()
	if diff := cmp.Diff([]reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt}, modes(h)); diff != "" {
		t.Errorf("dynamic: %s", diff)
	}
	use(t, h.Framework, "static")
	settle(h)
	if diff := cmp.Diff(interrupt, modes(h)); diff != "" {
		t.Errorf("static after dynamic: %s", diff)
	}
}

func TestStaticMappings(t *testing.T) {
	h := manual(t, "static", 0, 1, 2)
	threads := spread(h)
	opts(t, h, `{"mappings":"1:2, 3:0"}`)
	settle(h)
	if diff := cmp.Diff([]int{2, 1, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
	opts(t, h, `{"mappings":"2:0"}`)
	settle(h)
	if diff := cmp.Diff([]int{2, 0, 0}, where(threads)); diff != "" {
		t.Errorf("more mappings: %s", diff)
	}
	for _, none := range []string{``, `{}`, `{"mappings":""}`} {
		opts(t, h, none)
		if d := h.Framework.SchedulerPeriod(); d != 0 {
			t.Errorf("options %q: period %v", none, d)
		}
	}
	// They outlive the scheduler, as in SPDK.
	use(t, h.Framework, "dynamic")
	h.Schedule()
	use(t, h.Framework, "static")
	settle(h)
	if diff := cmp.Diff([]int{2, 0, 0}, where(threads)); diff != "" {
		t.Errorf("after another scheduler: %s", diff)
	}
	threads[2].SendMsg(func(th *reactor.Thread, _ any) { th.Exit() }, nil)
	h.PollReactors()
	opts(t, h, `{"mappings":"1:1"}`)
	if got, err := json.Marshal(h.Framework.Scheduler().Opts()); string(got) != `{"mappings":"1:1,2:0"}` {
		t.Errorf("options are %s, %v", got, err)
	}
}

func TestStaticMappingsAreChecked(t *testing.T) {
	h := manual(t, "static", 0, 1, 2)
	threads := append(spread(h), h.Thread(reactor.NewCpuset(0, 1)))
	threads[1].Bind(true)
	if err := h.Framework.SetIsolatedCores(reactor.NewCpuset(2)); err != nil {
		t.Fatal(err)
	}
	for item, why := range map[string]string{
		"1":                        "want the number of a thread",
		"":                         "want the number of a thread",
		"x:1":                      `no thread "x"`,
		"-1:1":                     `no thread "-1"`,
		"0:1":                      `no thread "0"`,
		"9:1":                      `no thread "9"`,
		"1:":                       `no reactor runs on core "", only on 0-2`,
		"1:x":                      `no reactor runs on core "x"`,
		"1:-1":                     `no reactor runs on core "-1"`,
		"1:3":                      `no reactor runs on core "3"`,
		"1:1:1":                    `no reactor runs on core "1:1"`,
		"4:2":                      "cpumask of thread thread4 is 3",
		"2:0":                      "thread thread2 is bound to core 1",
		"1:2":                      "cores 2 are isolated",
		"3:0":                      "cores 2 are isolated",
		"9999999999999999999999:1": "no thread",
	} {
		text := fmt.Sprintf(`{"mappings":"1:1,%s"}`, item)
		err := h.Framework.SetSchedulerOpts(json.RawMessage(text))
		if err == nil || !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: error is %v, want EINVAL and %q", text, err, why)
		}
	}
	for _, text := range []string{`{"mappings":1}`, `{"mapping":"1:1"}`} {
		if err := h.Framework.SetSchedulerOpts(json.RawMessage(text)); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: error is %v", text, err)
		}
	}
	settle(h)
	if diff := cmp.Diff([]int{0, 1, 2, 0}, where(threads)); diff != "" {
		t.Errorf("some of what was refused was done: %s", diff)
	}
	opts(t, h, `{"mappings":"2:1,3:2,4:1"}`) // where they are
}

func TestStaticLeavesAloneWhatMustNotMove(t *testing.T) {
	h := manual(t, "dynamic", 0, 1, 2)
	threads := append(spread(h), spread(h)...)
	h.Schedule()
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0, 0}, where(threads)); diff != "" {
		t.Fatal(diff)
	}
	threads[1].Bind(true)
	if err := threads[4].SetCpumask(reactor.NewCpuset(0, 2)); err != nil { // it moves itself to one of them
		t.Fatal(err)
	}
	h.PollReactors()
	moved := threads[4].Reactor().Core()
	if err := h.Framework.SetIsolatedCores(reactor.NewCpuset(2)); err != nil {
		t.Fatal(err)
	}
	use(t, h.Framework, "static")
	settle(h)
	if diff := cmp.Diff([]int{0, 0, 0, 0, moved, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
	if d := h.Framework.SchedulerPeriod(); d != 0 {
		t.Errorf("it goes on trying: period %v", d)
	}
}
