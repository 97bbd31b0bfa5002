package mempool

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

var ringTypes = map[string]RingType{"SPSC": RingSPSC, "MPSC": RingMPSC, "MPMC": RingMPMC}

func newRing[T any](tb testing.TB, typ RingType, count int) *Ring[T] {
	tb.Helper()
	r, err := NewRing[T](typ, count)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestNewRingRefuses(t *testing.T) {
	for _, tc := range []struct {
		typ   RingType
		count int
	}{{0, 4}, {RingMPMC + 1, 4}, {RingSPSC, 0}, {RingMPMC, -1}} {
		if r, err := NewRing[int](tc.typ, tc.count); r != nil || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("type %d, count %d: %v, %v", tc.typ, tc.count, r, err)
		}
	}
}

// TestRingAgainstModel enqueues and dequeues bursts of any size, at every fill level and
// every place of the wrap, and compares with a slice.
func TestRingAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	steps := 50_000
	if testing.Short() {
		steps = 5000
	}
	for name, typ := range ringTypes {
		for _, size := range []int{1, 2, 3, 7, 64, 100} {
			r := newRing[*int](t, typ, size)
			var model []*int
			for step := range steps {
				burst := make([]*int, rng.IntN(size+2))
				if rng.IntN(2) == 0 {
					for i := range burst {
						burst[i] = new(int)
					}
					ok := r.Enqueue(burst)
					if ok != (len(model)+len(burst) <= size) {
						t.Fatalf("seed %d %s/%d step %d: enqueue of %d onto %d says %v",
							seed, name, size, step, len(burst), len(model), ok)
					}
					if ok {
						model = append(model, burst...)
					}
				} else {
					n := r.Dequeue(burst)
					if n != min(len(burst), len(model)) {
						t.Fatalf("seed %d %s/%d step %d: dequeue of %d from %d gives %d",
							seed, name, size, step, len(burst), len(model), n)
					}
					for i, v := range burst[:n] {
						if v != model[i] {
							t.Fatalf("seed %d %s/%d step %d: wrong value", seed, name, size, step)
						}
					}
					model = model[n:]
				}
				if r.Count() != len(model) || r.Size() != size {
					t.Fatalf("seed %d %s/%d step %d: count %d, want %d", seed, name, size, step, r.Count(), len(model))
				}
			}
			r.Dequeue(make([]*int, size))
			for _, v := range r.slots {
				if v != nil {
					t.Fatalf("%s/%d: the ring holds on to what was dequeued", name, size)
				}
			}
		}
	}
}

// TestRingSharedByGoroutines: nothing is lost, nothing comes twice, the values of one
// producer stay in order (as far as one consumer can see), a burst stays together.
func TestRingSharedByGoroutines(t *testing.T) {
	bursts := 20_000
	if testing.Short() {
		bursts = 2000
	}
	type value struct{ from, n int }
	for name, typ := range ringTypes {
		producers, consumers := 4, 3
		switch typ {
		case RingSPSC:
			producers, consumers = 1, 1
		case RingMPSC:
			consumers = 1
		}
		t.Run(name, func(t *testing.T) {
			const burst = 3
			r := newRing[value](t, typ, 10)
			var wg sync.WaitGroup
			for p := range producers {
				wg.Go(func() {
					var b [burst]value
					for n := 0; n < bursts*burst; n += burst {
						for i := range b {
							b[i] = value{p, n + i}
						}
						for !r.Enqueue(b[:]) {
							runtime.Gosched()
						}
					}
				})
			}
			seen := make([][]bool, producers)
			for p := range seen {
				seen[p] = make([]bool, bursts*burst)
			}
			var mu sync.Mutex // guards left and seen
			left := producers * bursts * burst
			for range consumers {
				wg.Go(func() {
					last := make([]int, producers)
					var b [5]value
					for {
						n := r.Dequeue(b[:])
						mu.Lock()
						for i, v := range b[:n] {
							if seen[v.from][v.n] {
								t.Errorf("producer %d: value %d came twice", v.from, v.n)
							}
							if v.n < last[v.from] {
								t.Errorf("producer %d: %d after %d", v.from, v.n, last[v.from])
							}
							if i > 0 && v.n%burst != 0 && b[i-1] != (value{v.from, v.n - 1}) {
								t.Errorf("producer %d: %d came apart from its burst", v.from, v.n)
							}
							last[v.from] = v.n
							seen[v.from][v.n] = true
						}
						left -= n
						done := left == 0
						mu.Unlock()
						if done {
							return
						}
						if n == 0 {
							runtime.Gosched()
						}
					}
				})
			}
			wg.Wait()
			if r.Count() != 0 {
				t.Errorf("%d values are left", r.Count())
			}
		})
	}
}

func TestRingAllocatesNothing(t *testing.T) {
	b := make([]*int, 32)
	for name, typ := range ringTypes {
		r := newRing[*int](t, typ, 50)
		if n := testing.AllocsPerRun(100, func() { r.Enqueue(b); r.Dequeue(b) }); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	for _, burst := range []int{1, 32} {
		for _, name := range []string{"SPSC", "MPSC", "MPMC"} {
			b.Run(map[int]string{1: "1", 32: "32"}[burst]+"/"+name, func(b *testing.B) {
				r := newRing[*int](b, ringTypes[name], 1000)
				vals := make([]*int, burst)
				b.ReportAllocs()
				for b.Loop() {
					r.Enqueue(vals)
					r.Dequeue(vals)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(burst), "ns/elem")
			})
		}
	}
}
