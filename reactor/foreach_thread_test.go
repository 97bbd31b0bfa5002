package reactor_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// tour is a walk over the threads.
type tour struct {
	visited []uint64
	ends    []uint64 // the threads that its end was told on
	visit   func(t *reactor.Thread)
}

func tourVisit(t *reactor.Thread, ctx any) {
	w := ctx.(*tour)
	w.visited = append(w.visited, t.ID())
	if w.visit != nil {
		w.visit(t)
	}
}

func tourEnd(t *reactor.Thread, ctx any) {
	w := ctx.(*tour)
	w.ends = append(w.ends, t.ID())
}

// begin starts a walk and checks that it does nothing from inside.
func (w *tour) begin(t *testing.T, from *reactor.Thread) *tour {
	t.Helper()
	from.Framework().ForEachThread(from, tourVisit, w, tourEnd)
	w.expect(t, "from inside", nil)
	return w
}

func (w *tour) expect(t *testing.T, what string, ends []uint64, visited ...uint64) {
	t.Helper()
	if diff := cmp.Diff(visited, w.visited); diff != "" {
		t.Errorf("%s: visited: %s", what, diff)
	}
	if diff := cmp.Diff(ends, w.ends); diff != "" {
		t.Errorf("%s: ended on: %s", what, diff)
	}
}

func TestForEachThreadVisitsInOrderAndEndsAtHome(t *testing.T) {
	for from := range 4 {
		h := reactortest.New(t, 4)
		w := (&tour{}).begin(t, h.Threads[from])
		var nobody tour
		h.Framework.ForEachThread(h.Threads[from], tourVisit, &nobody, nil)
		h.PollThreads()
		w.expect(t, "alone", []uint64{uint64(from + 1)}, 1, 2, 3, 4)
		nobody.expect(t, "without an end", nil, 1, 2, 3, 4)
		if held := h.Threads[from].Holding(); held != "" {
			t.Errorf("held by %s", held)
		}
	}
}

// TestForEachThreadVisitsOneAtATime: no thread is told before the one before it is through.
func TestForEachThreadVisitsOneAtATime(t *testing.T) {
	h := reactortest.New(t, 3)
	w := (&tour{}).begin(t, h.Threads[1])
	for _, want := range [][]uint64{{1}, {1, 2}, {1, 2, 3}, {1, 2, 3}} {
		for i := len(h.Threads) - 1; i >= 0; i-- { // against its direction
			h.PollThread(i)
		}
		if diff := cmp.Diff(want, w.visited); diff != "" {
			t.Error(diff)
		}
	}
	w.expect(t, "at the end", []uint64{2}, 1, 2, 3)
}

// TestForEachThreadWhileThreadsComeAndGo: what is created in time is visited, what has begun to exit
// when its turn comes is not.
func TestForEachThreadWhileThreadsComeAndGo(t *testing.T) {
	h := reactortest.New(t, 4)
	w := &tour{visit: func(th *reactor.Thread) {
		switch th.ID() {
		case 1: // has been visited, and goes
			th.Exit()
		case 2:
			h.Threads[2].Exit() // exits before its turn
			h.AddThread("")
		case 4:
			h.AddThread("")
			h.Threads[4].Exit() // comes and goes
			h.AddThread("")
			th.Exit()
		}
	}}
	w.begin(t, h.Threads[0])
	h.PollThreads()
	w.expect(t, "at the end", []uint64{1}, 1, 2, 4, 6, 7)
	for _, id := range []uint64{1, 3, 4, 5} {
		if th := h.Threads[id-1]; !th.IsExited() {
			t.Errorf("thread %d is held by %s", id, th.Holding())
		}
	}
}

// stuff fills th for all, also for those who run on its reactor.
func stuff(th *reactor.Thread) {
	for th.SendMsgFrom(th, nothing, nil) == 0 {
	}
}

// TestForEachThreadFindsThreadsFull: the walk waits for room, in its turn, at the visited threads and
// at home; a thread that exits meanwhile is passed over.
func TestForEachThreadFindsThreadsFull(t *testing.T) {
	for name, tc := range map[string]struct {
		exits int // index of the thread that exits while the walk waits for it
		want  []uint64
	}{
		"all stay":         {0, []uint64{1, 2, 3, 4}},
		"one exits":        {2, []uint64{1, 2, 4}},
		"the last exits":   {3, []uint64{1, 2, 3}},
		"the second exits": {1, []uint64{1, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			h := reactortest.NewWith(t, 4, reactor.Options{MsgRingSize: 2})
			for _, th := range h.Threads {
				stuff(th)
			}
			w := &tour{visit: func(*reactor.Thread) { stuff(h.Threads[0]) }} // full when the walk comes home
			w.begin(t, h.Threads[0])
			for len(w.visited) < tc.exits { // then it waits for the one that exits
				for i := range tc.exits {
					h.Threads[i].Poll(0, 0)
				}
			}
			if tc.exits > 0 {
				h.Threads[tc.exits].Exit()
			}
			h.PollThreads()
			w.expect(t, "at the end", []uint64{1}, tc.want...)
			h.CheckExit()
		})
	}
}

// TestForEachThreadFromAThreadThatExits: it lives to hear of the end, unless it is forced out, and
// then the walk goes on without it.
func TestForEachThreadFromAThreadThatExits(t *testing.T) {
	t.Run("waits", func(t *testing.T) {
		h := reactortest.New(t, 3)
		w := (&tour{}).begin(t, h.Threads[1])
		h.Threads[1].Exit()
		h.PollThread(1)
		if held := h.Threads[1].Holding(); held != "1 iterations over threads" || h.Threads[1].IsExited() {
			t.Errorf("exited %v, held by %q", h.Threads[1].IsExited(), held)
		}
		h.PollThreads()
		w.expect(t, "at the end", []uint64{2}, 1, 3) // it had begun to exit when its turn came
		if !h.Threads[1].IsExited() {
			t.Errorf("held by %s", h.Threads[1].Holding())
		}
	})
	t.Run("forced", func(t *testing.T) {
		h := reactortest.NewWith(t, 3, reactor.Options{Log: discard})
		w := (&tour{}).begin(t, h.Threads[1])
		h.Threads[1].Exit()
		h.Advance(5 * time.Second)
		h.PollThread(1)
		if !h.Threads[1].IsExited() {
			t.Fatal("not forced out")
		}
		h.PollThreads()
		w.expect(t, "at the end", nil, 1, 3)
		h.CheckExit()
	})
}

// TestForEachThreadAgainstModel walks, creates and exits at random. A walk goes up, ends once, at
// home, and misses no thread that ran from its beginning to its end.
func TestForEachThreadAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	h := reactortest.NewWith(t, 3, reactor.Options{MsgRingSize: 2})
	type walk struct {
		tour
		home  uint64
		there []uint64 // threads that have been running all the time
	}
	var walks []*walk
	running := func() (ths []*reactor.Thread) {
		for _, th := range h.Framework.Threads() {
			if th.IsRunning() {
				ths = append(ths, th)
			}
		}
		return ths
	}
	check := func(step int) {
		walks = slices.DeleteFunc(walks, func(w *walk) bool {
			if len(w.ends) == 0 {
				return false
			}
			ok := slices.IsSorted(w.visited) && slices.Equal(w.ends, []uint64{w.home}) &&
				!slices.ContainsFunc(w.there, func(id uint64) bool { return !slices.Contains(w.visited, id) })
			if !ok {
				t.Fatalf("seed %d step %d: walk from %d visited %v of %v and ended on %v",
					seed, step, w.home, w.visited, w.there, w.ends)
			}
			return true
		})
	}
	steps := 30_000
	if testing.Short() {
		steps = 3_000
	}
	for step := range steps {
		ths := running()
		th := ths[rng.IntN(len(ths))]
		switch op := rng.IntN(20); {
		case op == 0 && len(walks) < 20:
			w := &walk{home: th.ID()}
			for _, th := range ths {
				w.there = append(w.there, th.ID())
			}
			walks = append(walks, w)
			h.Framework.ForEachThread(th, tourVisit, &w.tour, tourEnd)
		case op == 1 && len(ths) < 10:
			h.AddThread("")
		case op == 2 && len(ths) > 2:
			th.Exit()
			for _, w := range walks {
				w.there = slices.DeleteFunc(w.there, func(id uint64) bool { return id == th.ID() })
			}
		case op == 3:
			stuff(th)
		case op == 4 && rng.IntN(20) == 0:
			h.PollThreads()
			check(step)
			if len(walks) > 0 {
				t.Fatalf("seed %d step %d: %d walks never end", seed, step, len(walks))
			}
			h.Threads = h.Framework.Threads() // forget those that have exited
		default:
			h.Threads[rng.IntN(len(h.Threads))].Poll(rng.IntN(3), 0)
		}
		check(step)
	}
	h.PollThreads()
	check(steps)
	h.CheckExit()
}

// TestForEachThreadOnRealReactors walks from several threads while others come and go.
func TestForEachThreadOnRealReactors(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.MsgRingSize, o.HybridSpin = 2, 1
		fw := run(t, o, 2)
		stays := []*reactor.Thread{thread(t, fw, 0), thread(t, fw, 1)}
		rounds := 200
		if testing.Short() {
			rounds = 30
		}
		var stop atomic.Bool
		var churn sync.WaitGroup
		churn.Go(func() {
			for !stop.Load() {
				th, err := fw.CreateThread("", nil)
				if err != nil {
					t.Error(err)
					return
				}
				for th.SendMsg(func(th *reactor.Thread, _ any) { th.Exit() }, nil) == syscall.ENOMEM {
				}
				eventually(t, "a thread exits", th.IsExited)
			}
		})
		var walks sync.WaitGroup
		for _, home := range stays {
			walks.Go(func() {
				for range rounds {
					w := &tour{}
					end := make(chan struct{})
					err := home.SendMsgWait(t.Context(), func(home *reactor.Thread, _ any) {
						fw.ForEachThread(home, tourVisit, w, func(th *reactor.Thread, ctx any) {
							tourEnd(th, ctx)
							close(end)
						})
					}, nil)
					if err != nil {
						t.Error(err)
						return
					}
					wait(t, "the end of a walk", end)
					if !slices.IsSorted(w.visited) || !slices.Contains(w.visited, stays[0].ID()) ||
						!slices.Contains(w.visited, stays[1].ID()) || !slices.Equal(w.ends, []uint64{home.ID()}) {
						t.Errorf("visited %v, ended on %v, home is %d", w.visited, w.ends, home.ID())
					}
				}
			})
		}
		walks.Wait()
		stop.Store(true)
		churn.Wait()
	})
}
