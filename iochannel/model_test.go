package iochannel_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// simulation does everything that can be done with devices and channels in random order,
// one step at a time, and keeps a book of its own.
type simulation struct {
	tb    testing.TB
	rng   *rand.Rand
	h     *reactortest.Harness
	seed  uint64
	step  int
	devs  []*simDevice
	iters []*simIter

	registered, visited, iterated, failed, exited int
}

type simDevice struct {
	*iochannel.Device
	key   int
	chans map[*reactor.Thread]*simChan // alive: from create to destroy

	unregistering bool // asked for
	gone          bool // the callback was called
	on            *reactor.Thread
	iterations    int // not ended yet
}

type simChan struct {
	ch   *iochannel.Channel
	refs int
}

type simIter struct {
	it    *iochannel.Iter
	d     *simDevice
	last  uint64          // thread id of the last visit
	on    *reactor.Thread // a Continue is due there
	from  *reactor.Thread
	must  map[uint64]bool // threads whose channel has been there all the time
	enodv bool
	ended bool
}

func (s *simulation) fail(format string, args ...any) {
	s.tb.Helper()
	s.tb.Fatalf("seed %d step %d: %s", s.seed, s.step, fmt.Sprintf(format, args...))
}

func pick[T any](s *simulation, from []T, ok func(T) bool) (T, bool) {
	for range 4 {
		if len(from) == 0 {
			break
		}
		if v := from[s.rng.IntN(len(from))]; ok(v) {
			return v, true
		}
	}
	var zero T
	return zero, false
}

func (s *simulation) thread() *reactor.Thread {
	t, ok := pick(s, s.h.Threads, func(t *reactor.Thread) bool { return !t.IsExited() })
	if !ok {
		t = s.h.AddThread("")
	}
	return t
}

func (s *simulation) register() {
	if len(s.devs) >= 6 {
		return
	}
	key := s.rng.IntN(8)
	taken := iochannel.Lookup(s.h.Framework, key) != nil
	d := &simDevice{key: key, chans: map[*reactor.Thread]*simChan{}}
	dev, err := iochannel.RegisterDevice(s.thread(), key, fmt.Sprint(key),
		func(ch *iochannel.Channel, c *chanCtx) syscall.Errno {
			if d.chans[ch.Thread()] != nil {
				s.fail("thread %d has two channels of device %d", ch.Thread().ID(), key)
			}
			if d.gone {
				s.fail("channel of a device that is gone")
			}
			if s.rng.IntN(8) == 0 {
				s.failed++
				if s.rng.IntN(4) == 0 {
					s.unregister(d, ch.Thread())
				}
				return syscall.EIO
			}
			c.thread = ch.Thread().ID()
			d.chans[ch.Thread()] = &simChan{ch: ch, refs: 1}
			return 0
		},
		func(ch *iochannel.Channel, c *chanCtx) {
			sc := d.chans[ch.Thread()]
			if sc == nil || sc.ch != ch || sc.refs != 0 || c.thread != ch.Thread().ID() {
				s.fail("destroy of %+v", sc)
			}
			delete(d.chans, ch.Thread())
			for _, i := range s.iters {
				if i.d == d {
					delete(i.must, ch.Thread().ID())
				}
			}
		})
	if taken != (err != nil) {
		s.fail("register of key %d, taken %v: %v", key, taken, err)
	}
	if err == nil {
		s.registered++
		d.Device = dev
		s.devs = append(s.devs, d)
	}
}

func (s *simulation) unregister(d *simDevice, t *reactor.Thread) {
	var want syscall.Errno
	if d.unregistering {
		want = syscall.EALREADY
	}
	errno := d.Unregister(t, func(t *reactor.Thread, ctx any) {
		if d.gone || t != d.on || len(d.chans) != 0 || d.iterations != 0 {
			s.fail("device %d is gone on thread %d, for the first time %v, with %d channels, %d iterations",
				d.key, t.ID(), !d.gone, len(d.chans), d.iterations)
		}
		d.gone = true
		s.devs = slices.DeleteFunc(s.devs, func(o *simDevice) bool { return o == d })
	}, nil)
	if errno != want {
		s.fail("unregister: %v, want %v", errno, want)
	}
	if errno == 0 {
		d.unregistering, d.on = true, t
	}
}

func (s *simulation) get(d *simDevice, t *reactor.Thread) {
	before := d.chans[t]
	var want *iochannel.Channel
	if before != nil {
		want = before.ch
	}
	ch := d.Device.Get(t)
	switch {
	case ch == nil:
		if before != nil && !d.unregistering {
			s.fail("no reference to an existing channel")
		}
	case d.unregistering && d.iterations == 0:
		s.fail("channel of an unregistered device")
	case before != nil:
		if ch != want {
			s.fail("another channel")
		}
		before.refs++
	}
}

func (s *simulation) put(d *simDevice, t *reactor.Thread) {
	sc := d.chans[t]
	if sc == nil || sc.refs == 0 {
		return
	}
	if s.rng.IntN(8) == 0 {
		sc.ch.Ref()
		sc.refs++
		return
	}
	sc.ch.Put()
	sc.refs--
}

func (s *simulation) iterate(d *simDevice, t *reactor.Thread) {
	if len(s.iters) >= 8 {
		return
	}
	i := &simIter{d: d, from: t, must: map[uint64]bool{}, enodv: d.unregistering}
	for th := range d.chans {
		i.must[th.ID()] = true
	}
	s.iters = append(s.iters, i)
	if !i.enodv {
		d.iterations++
	}
	iochannel.ForEachChannel(t, d.Device, func(it *iochannel.Iter) {
		t := it.Channel().Thread()
		sc := d.chans[t]
		if i.enodv || i.ended || i.on != nil || t.ID() <= i.last || d.gone || sc == nil || sc.ch != it.Channel() {
			s.fail("visit of thread %d after %d, %+v", t.ID(), i.last, i)
		}
		s.visited++
		for id := range i.must {
			if id > i.last && id < t.ID() {
				s.fail("thread %d was left out", id)
			}
		}
		i.last = t.ID()
		i.it = it
		if s.rng.IntN(2) == 0 {
			i.on = t // later
			return
		}
		s.goOn(i)
	}, i, func(t *reactor.Thread, ctx any, status syscall.Errno) {
		switch {
		case ctx != i || t != i.from || i.ended || i.on != nil || d.gone && !i.enodv:
			s.fail("end on thread %d of %+v", t.ID(), i)
		case i.enodv != (status == syscall.ENODEV):
			s.fail("ended with %v, unregistered %v", status, i.enodv)
		case status == 0:
			for id := range i.must {
				if id > i.last {
					s.fail("thread %d was left out", id)
				}
			}
		}
		s.iterated++
		i.ended = true
		if !i.enodv {
			d.iterations--
		}
		s.iters = slices.DeleteFunc(s.iters, func(o *simIter) bool { return o == i })
	})
}

// goOn continues an iteration.
func (s *simulation) goOn(i *simIter) {
	var status syscall.Errno
	if s.rng.IntN(10) == 0 {
		status = syscall.EIO
	}
	i.on = nil
	i.it.Continue(status)
}

func (s *simulation) random() {
	t := s.thread()
	d, ok := pick(s, s.devs, func(*simDevice) bool { return true })
	switch op := s.rng.IntN(100); {
	case op < 40:
		t.Poll(0, 0)
	case op < 43 || !ok:
		s.register()
	case op < 60:
		s.get(d, t)
	case op < 80:
		s.put(d, t)
	case op < 88:
		s.iterate(d, t)
	case op < 95:
		if i, ok := pick(s, s.iters, func(i *simIter) bool { return i.on != nil }); ok {
			s.goOn(i)
		}
	case op < 96:
		s.unregister(d, t)
	case op < 97:
		s.exit(t)
	case op < 98 && len(s.h.Threads) < 6:
		s.h.AddThread("")
	case op < 99: // fill the thread's ring, so that what is sent next has to wait
		for t.SendMsg(func(*reactor.Thread, any) {}, nil) == 0 {
		}
	}
}

// exit lets go of what the book says that a thread holds and asks it to end.
func (s *simulation) exit(t *reactor.Thread) {
	for _, i := range s.iters {
		if i.on == t {
			return // the Continue has to come from there
		}
	}
	for _, d := range s.devs {
		if sc := d.chans[t]; sc != nil {
			for ; sc.refs > 0; sc.refs-- {
				sc.ch.Put()
			}
		}
	}
	t.Exit()
	s.exited++
}

func (s *simulation) check() {
	for _, d := range s.devs {
		for t, sc := range d.chans {
			if t.IsExited() {
				s.fail("thread %d exited with a channel", t.ID())
			}
			if sc.ch.Refs() != sc.refs || sc.ch.Thread() != t || sc.ch.Device() != d.Device {
				s.fail("channel has %d references, the book says %d", sc.ch.Refs(), sc.refs)
			}
		}
	}
	for _, i := range s.iters {
		if i.from.IsExited() {
			s.fail("thread %d exited with an iteration", i.from.ID())
		}
	}
	s.h.Threads = slices.DeleteFunc(s.h.Threads, (*reactor.Thread).IsExited)
}

// drain ends everything: it must come to an end.
func (s *simulation) drain() {
	for range 1000 {
		for _, i := range slices.Clone(s.iters) {
			if i.on != nil {
				s.goOn(i)
			}
		}
		for _, d := range slices.Clone(s.devs) {
			for t, sc := range d.chans {
				for ; sc.refs > 0; sc.refs-- {
					sc.ch.Put()
				}
				_ = t
			}
			if !d.unregistering {
				s.unregister(d, s.thread())
			}
		}
		s.h.PollThreads()
		if len(s.devs) == 0 && len(s.iters) == 0 {
			return
		}
	}
	for _, i := range s.iters {
		s.tb.Logf("iteration of device %d from thread %d, last visit on %d, exited %v, continue due %v",
			i.d.key, i.from.ID(), i.last, i.on != nil && i.on.IsExited(), i.on != nil)
	}
	s.fail("%d devices and %d iterations never end", len(s.devs), len(s.iters))
}

var seedFlag = flag.Uint64("seed", 0, "seed of TestModel, to repeat a failure")

// TestModel does 200,000 random steps.
func TestModel(t *testing.T) {
	steps := 200_000
	if testing.Short() {
		steps = 20_000
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	s := &simulation{
		tb: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)),
		h: reactortest.NewWith(t, 3, reactor.Options{MsgRingSize: 4}),
	}
	for s.step = range steps {
		s.random()
		s.check()
		if s.step%5000 == 4999 {
			s.drain()
		}
	}
	s.drain()
	s.h.CheckExit()
	t.Logf("%d devices, %d iterations, %d visits, %d failed creations, %d exits",
		s.registered, s.iterated, s.visited, s.failed, s.exited)
}
