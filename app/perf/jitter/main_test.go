package main

import (
	"bytes"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestOutput(t *testing.T) {
	for _, args := range []string{"-t 0.1 --top 2", "-t 0.3 --top 100 --slow 300 --busy --gap 100"} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), &out, &errs); code != 0 {
			t.Fatalf("%s: exit code %d, errors %q", args, code, errs.String())
		}
		for _, mode := range []string{"poll", "hybrid"} {
			for _, load := range []string{"idle", "GC"} {
				line := regexp.MustCompile(`(?m)^` + mode + ` +` + load + ` +\d+ \|( +\d+\.\d+){4} \|( +\d+){5}$`)
				if !line.Match(out.Bytes()) {
					t.Errorf("%s: no line for %s mode and load %s in\n%s", args, mode, load, out.String())
				}
			}
		}
		if strings.Contains(args, "slow") && !strings.Contains(out.String(), "callback slow took") {
			t.Errorf("%s: the slow callback is not found out in\n%s", args, out.String())
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"", "-t 1 --top 101", "-t 1 --top -1", "-t 1 --gap 0", "-t 1 --slow -1", "-t 1 -m 0x3"} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), &out, &errs); code != 2 || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%s: exit code %d, output %q, errors %q", args, code, out.String(), errs.String())
		}
	}
}

// testProbe returns a probe on the clock of a harness, of which 1 tick is 1 ns.
func testProbe(t *testing.T, top int) (*probe, *reactortest.Harness) {
	t.Helper()
	h := reactortest.New(t, 1)
	p := newProbe(&config{gap: 10 * time.Microsecond, top: top}, reactor.ModePoll)
	p.begin(h.Threads[0])
	t.Cleanup(p.end)
	return p, h
}

func TestProbeMeasuresGapsAfterTheWarmUp(t *testing.T) {
	gaps := []time.Duration{
		100, 30 * time.Microsecond, 200, 9999, 10 * time.Microsecond, time.Second, 20 * time.Microsecond,
	}
	p, h := testProbe(t, 3)
	th := h.Threads[0]
	h.Advance(warmUp - 1)
	th.Poll(0, 0) // a gap of the beginning
	h.Advance(1)
	th.Poll(0, 0) // here the measurement begins
	for _, d := range gaps {
		h.Advance(d)
		th.Poll(0, 0)
	}
	if n := p.hist.TotalCount(); n != 7 {
		t.Errorf("%d gaps were counted, want 7", n)
	}
	if low := p.hist.Min(); low != 100 {
		t.Errorf("the shortest gap is %d ns, want 100", low)
	}
	var got []uint64
	for _, g := range p.top[:p.topCount] {
		got = append(got, g.ticks)
	}
	if diff := cmp.Diff([]uint64{1e9, 30e3, 20e3}, got); diff != "" {
		t.Errorf("the largest gaps (-want +got):\n%s", diff)
	}
}

func TestProbeAllocatesNothing(t *testing.T) {
	p, h := testProbe(t, maxTop)
	th := h.Threads[0]
	h.Advance(warmUp)
	th.Poll(0, 0)
	if n := testing.AllocsPerRun(500, func() {
		h.Advance(20 * time.Microsecond) // to be looked into
		th.Poll(0, 0)
		h.Advance(100)
		th.Poll(0, 0)
	}); n != 0 {
		t.Errorf("two gaps allocate %v objects", n)
	}
	if p.topCount != maxTop {
		t.Errorf("%d gaps were kept", p.topCount)
	}
}

func TestOSThreadCountsItsTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var th osThread
	th.open()
	defer th.close()
	before := th.read()
	if !before.known {
		t.Log("the kernel has no schedstat")
		return
	}
	c := before
	for c.ran == before.ran { // the kernel counts at every tick
		c = th.read()
	}
	if d := c.minus(&before); d.ran < 0 || d.queued < 0 || d.parked < 0 || d.preempted < 0 {
		t.Errorf("something is counted backwards: %+v", d)
	}
}

func TestCause(t *testing.T) {
	p, _ := testProbe(t, 3)
	const us = time.Microsecond
	poll := scenario{mode: reactor.ModePoll}
	hybrid := scenario{mode: reactor.ModeHybrid}
	for _, test := range []struct {
		name   string
		s      scenario
		g      gap           // of 1 ms, 1 s after the start
		pause  time.Duration // took, if there was one
		later  time.Duration // that it ended, after the gap
		stolen int64
		want   string
	}{
		{name: "callback", s: poll, g: gap{slow: 900000}, want: "callback slow took 900.0 µs"},
		{name: "other process", s: poll, g: gap{counters: counters{queued: 800 * us, preempted: 2}},
			want: "its CPU went to another OS thread for 800.0 µs (2 times)"},
		{name: "pause", s: poll, g: gap{counters: counters{queued: 20 * us, parked: 1}},
			pause: 400 * us, want: "the garbage collector stopped the world for 400.0 µs; it waited 20.0 µs for its CPU"},
		{name: "cycle", s: poll, g: gap{counters: counters{parked: 1}}, pause: 10 * us, later: 5000 * us,
			want: "the Go scheduler parked it, in a garbage collection (1 times)"},
		{name: "scheduler", s: poll, g: gap{counters: counters{parked: 3}}, want: "the Go scheduler parked it (3 times)"},
		{name: "its own sleep", s: hybrid, g: gap{counters: counters{parked: 1}},
			want: "it slept: the timer came late, or the CPU took long to wake up"},
		{name: "scheduler after its sleep", s: hybrid, g: gap{counters: counters{parked: 2}},
			want: "the Go scheduler parked it (1 times)"},
		{name: "hypervisor", s: poll, g: gap{}, stolen: 3,
			want: "the kernel saw it run: the hypervisor (it took 30 ms in all), or an interrupt"},
		{name: "interrupt", s: poll, g: gap{counters: counters{known: true}},
			want: "the kernel saw it run: an interrupt, or the hypervisor, which does not say"},
		{name: "nothing known", s: poll, g: gap{}, want: "unknown, the kernel has no schedstat"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &report{scenario: test.s, probe: p, gcs: &gcLog{stolen: test.stolen}}
			p.timed = test.s.mode == reactor.ModeHybrid
			g := test.g
			g.ticks, g.end = uint64(time.Millisecond), p.start+uint64(time.Second)
			if test.pause > 0 {
				r.gcs.pauses = []pause{{p.startWall.Add(time.Second + test.later), test.pause}}
			}
			if got := r.cause(&g); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	p.timed = false
}

func TestParseSteal(t *testing.T) {
	const stat = "cpu  1 2 3 4 5 6 7 80 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3 4 5 6 7 72 9 10\ncpu10 1 2\nintr 5\n"
	for cpu, want := range map[int]int64{0: 8, 1: 72, 10: 0, 2: 0} {
		if got := parseSteal(stat, cpu); got != want {
			t.Errorf("CPU %d: %d, want %d", cpu, got, want)
		}
	}
}
