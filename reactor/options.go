package reactor

import (
	"log/slog"
	"time"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Clock is where a Framework takes its time from. Not in SPDK: its tests mock
// spdk_get_ticks.
type Clock interface {
	Ticks() uint64   // monotonic
	TicksHz() uint64 // ticks per second
}

// KernelClock is the kernel's monotonic clock, in nanoseconds: for machines whose cycle counter
// cannot be trusted although it says so, as after the migration of a virtual machine between
// unlike hosts. Reading it costs 20 to 40 ns more.
//
// Not in SPDK, which always takes the counter.
type KernelClock struct{}

// Ticks returns nanoseconds. Not in SPDK.
func (KernelClock) Ticks() uint64 { return sys.Nanoticks() }

// TicksHz returns 1e9. Not in SPDK.
func (KernelClock) TicksHz() uint64 { return 1e9 }

// Options configure a [Framework]. The zero value is a framework without reactors, polled
// by hand.
//
// SPDK: struct spdk_app_opts, the part that concerns reactors
type Options struct {
	// Cores are the CPUs to run a reactor on, one each. The first is the main core.
	Cores []int
	// Mode is what reactors do when idle, to begin with: [Reactor.SetMode] changes it.
	Mode Mode
	// Manual makes reactors that do not run by themselves but are polled by hand, with
	// [Reactor.Poll]: for tests that go step by step.
	Manual bool
	// HybridSpin is how long an idle reactor spins before it sleeps; 0 means 50 µs,
	// about what it takes to sleep and be woken across CPUs.
	HybridSpin time.Duration
	// NoPin leaves reactors as plain goroutines: neither locked to an OS thread nor
	// pinned. For tests, and for machines with fewer CPUs than reactors.
	NoPin bool
	// MsgRingSize is how many messages can wait for a Thread, a power of two; 0 means
	// 4096 (128 KiB for each Thread).
	MsgRingSize int
	// EventRingSize is how many events can wait for a Reactor, a power of two; 0 means 4096.
	EventRingSize int
	// StallThreshold is how long a callback may keep its reactor before it is reported, by
	// name, in the log; 0 means 100 ms, negative never.
	StallThreshold time.Duration
	// Clock is nil for the CPU's cycle counter, as in SPDK, or the kernel's clock if the CPU
	// has no counter that keeps one rate.
	Clock Clock
	// Tracer takes what is recorded at tracepoints; nil for none. It must outlast the framework.
	Tracer Tracer
	// Log takes the reports of the framework, nil means slog.Default. It is called from
	// a goroutine of its own, never from a reactor.
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	if o.HybridSpin == 0 {
		o.HybridSpin = 50 * time.Microsecond
	}
	if o.MsgRingSize == 0 {
		o.MsgRingSize = 4096
	}
	if o.EventRingSize == 0 {
		o.EventRingSize = 4096
	}
	if o.StallThreshold == 0 {
		o.StallThreshold = 100 * time.Millisecond
	}
	if o.Tracer == nil {
		o.Tracer = &noTracer{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

func (o *Options) ticksHz() uint64 {
	if o.Clock == nil {
		return sys.TicksHz()
	}
	return o.Clock.TicksHz()
}
