package reactor

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Mode says what a reactor does when it has nothing to do. Not in SPDK, where it is the
// in_interrupt flag of a reactor.
type Mode int32

// The modes of a reactor. SPDK: the in_interrupt flag of struct spdk_reactor
const (
	ModeHybrid    Mode = iota // spin for a while, then sleep until something happens
	ModePoll                  // spin
	ModeInterrupt             // sleep at once
)

// Modes are the modes there are, the default first. Not in SPDK.
var Modes = []Mode{ModeHybrid, ModePoll, ModeInterrupt}

// String returns the mode's name on a command line.
func (m Mode) String() string {
	if !m.valid() {
		return fmt.Sprintf("Mode(%d)", int32(m))
	}
	return [...]string{"hybrid", "poll", "interrupt"}[m]
}

func (m Mode) valid() bool { return slices.Contains(Modes, m) }

// Mode returns the reactor's mode. Any goroutine.
//
// SPDK: in_interrupt of struct spdk_reactor
func (r *Reactor) Mode() Mode { return Mode(r.modeNow.Load()) }

// SetMode switches the reactor to mode m while it runs; done (which may be nil) is then called
// on r with ctx as its first argument. Nothing is lost by a switch: messages, timed pollers and
// interrupts go on. Any goroutine may call it. It returns 0, EBUSY while another switch of r is
// under way, ESRCH when r has ended, or EINVAL when there is no such mode; done is called if and only if it returned 0.
//
// SPDK: spdk_reactor_set_interrupt_mode, which wants to be called on the scheduling reactor and
// calls back there.
func (r *Reactor) SetMode(m Mode, done EventFunc, ctx any) syscall.Errno {
	if !m.valid() {
		return syscall.EINVAL
	}
	r.control.Lock()
	ended, busy := r.ended, r.switching
	r.switching = true
	r.control.Unlock()
	switch {
	case ended:
		return syscall.ESRCH
	case busy:
		return syscall.EBUSY
	case !r.post(switchMode, &modeSwitch{m, done, ctx}, nil):
		return syscall.ESRCH
	}
	return 0
}

type modeSwitch struct {
	mode Mode
	done EventFunc
	ctx  any
}

func switchMode(r *Reactor, arg1, _ any) {
	s := arg1.(*modeSwitch)
	r.applyMode(s.mode)
	if s.mode == ModeInterrupt {
		r.arm()
	} else {
		r.disarm()
	}
	r.control.Lock()
	r.switching = false
	r.control.Unlock()
	if s.done != nil {
		s.done(r, s.ctx, nil)
	}
}

func (r *Reactor) applyMode(m Mode) {
	r.mode = m
	r.modeNow.Store(int32(m))
	if m != ModeInterrupt {
		r.polls.Store(int32(m))
	}
	r.idleEvery, r.spinTicks = clockRounds, r.fw.toTicks(r.fw.opts.HybridSpin)
	if m == ModeInterrupt {
		r.idleEvery, r.spinTicks = 1, 0
	}
}

const (
	// crowded is how long others may have the CPU, when it is left to them, before it counts as crowded.
	crowded = 100 * time.Microsecond
	// crowdedFor is how long that is believed.
	crowdedFor = 10 * time.Millisecond
)

// spin is what an idle reactor of ModeHybrid does before it sleeps: it lets others have the CPU, since who waits for an
// answer may be waiting for this very CPU, too. If they keep it, the kernel lets the reactor wait for its turn; so it
// sleeps at once for a while, because who is woken takes the CPU from those who have had it for long.
func (r *Reactor) spin() {
	before := r.now
	sys.Yield()
	if r.tick(); r.now-before > r.fw.toTicks(crowded) {
		r.crowdedUntil = r.now + r.fw.toTicks(crowdedFor)
	}
}

// pollMode returns the mode of a reactor that is taken out of interrupt mode.
func (r *Reactor) pollMode() Mode { return Mode(r.polls.Load()) }
