package iobuf

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// simulation does everything that can be done with channels in random order on several
// threads, one step at a time, and keeps a book of its own of who has what and who waits in
// which order.
type simulation struct {
	*bench
	rng   *rand.Rand
	seed  uint64
	step  int
	count int // buffers of a size
	chans []*Channel
	held  [classes][][]byte
	queue map[*queue][]*simEntry // in the order in which they must be served

	draining bool

	atOnce, waited, aborted, again, nested, refused, rests, pressed int
}

type simEntry struct {
	Entry
	s      *simulation
	inside [classes]int // callbacks with a buffer of that size that have not returned
}

func (s *simulation) fail(format string, args ...any) {
	s.tb.Helper()
	s.tb.Fatalf("seed %d step %d: %s", s.seed, s.step, fmt.Sprintf(format, args...))
}

func pick[T any](s *simulation, from []T) T { return from[s.rng.IntN(len(from))] }

func (s *simulation) randomLen(c class) int {
	if c == small {
		return s.rng.IntN(4097)
	}
	return 4097 + s.rng.IntN(4096)
}

// take writes down that a buffer has been got.
func (s *simulation) take(c class, buf []byte, n int) {
	if len(buf) != n || cap(buf) != []int{4096, 8192}[c] {
		s.fail("%d bytes of %d, asked for %d", len(buf), cap(buf), n)
	}
	for _, h := range s.held[c] {
		if &h[:1][0] == &buf[:1][0] {
			s.fail("a %s buffer was given twice", c)
		}
	}
	s.held[c] = append(s.held[c], buf)
}

func (s *simulation) get(ch *Channel) {
	c := class(s.rng.IntN(int(classes)))
	n := s.randomLen(c)
	q := ch.caches[c].queue
	cached := len(ch.caches[c].free)
	mustWait := len(s.queue[q]) > 0 && cached == 0
	var e *simEntry
	var entry *Entry
	if s.rng.IntN(4) > 0 {
		e = &simEntry{s: s}
		e.Ctx = e
		entry = &e.Entry
	}
	buf := ch.Get(n, entry, served)
	switch {
	case buf != nil:
		if mustWait {
			s.fail("a buffer for who came last")
		}
		s.atOnce++
		s.take(c, buf, n)
	case cached > 0:
		s.fail("no buffer out of a cache of %d", cached)
	case e != nil:
		s.waited++
		s.queue[q] = append(s.queue[q], e)
	default:
		s.refused++
	}
}

func served(entry *Entry, buf []byte) {
	e := entry.Ctx.(*simEntry)
	s, ch := e.s, entry.Channel()
	c := class(0)
	if cap(buf) == 8192 {
		c = large
	}
	q := ch.caches[c].queue
	if entry.Waiting() || len(s.queue[q]) == 0 || s.queue[q][0] != e {
		s.fail("not the turn of who got a %s buffer", c)
	}
	s.queue[q] = s.queue[q][1:]
	s.take(c, buf, entry.n)
	e.inside[c]++
	defer func() { e.inside[c]-- }()
	if s.draining {
		return
	}
	for range s.rng.IntN(3) { // what it does with it
		switch s.rng.IntN(4) {
		case 0:
			s.nested++
			s.put(c, ch)
		case 1:
			s.nested++
			s.put(class(s.rng.IntN(int(classes))), ch)
		case 2:
			s.get(ch)
		case 3:
			if entry.Waiting() {
				break
			}
			c2 := class(s.rng.IntN(int(classes)))
			n := s.randomLen(c2)
			if buf := ch.Get(n, entry, served); buf != nil {
				s.take(c2, buf, n)
				break
			}
			s.again++
			if q2 := ch.caches[c2].queue; e.inside[c2] > 0 {
				s.queue[q2] = slices.Insert(s.queue[q2], 0, e)
			} else {
				s.queue[q2] = append(s.queue[q2], e)
			}
		}
	}
}

func (s *simulation) put(c class, ch *Channel) {
	if len(s.held[c]) == 0 {
		return
	}
	i := s.rng.IntN(len(s.held[c]))
	buf := s.held[c][i]
	s.held[c] = slices.Delete(s.held[c], i, i+1)
	ch.Put(buf[:s.rng.IntN(cap(buf)+1)])
}

func (s *simulation) abort(ch *Channel, e *simEntry) {
	q := e.q
	if !ch.EntryAbort(&e.Entry) || e.Waiting() || ch.EntryAbort(&e.Entry) {
		s.fail("abort of an entry that waits")
	}
	s.aborted++
	s.queue[q] = slices.DeleteFunc(s.queue[q], func(o *simEntry) bool { return o == e })
}

// walk lets ForEachEntry go over a channel's entries and aborts some of them.
func (s *simulation) walk(ch *Channel) {
	var want, got []*simEntry
	for c := range ch.caches {
		want = append(want, s.queue[ch.caches[c].queue]...)
	}
	ch.ForEachEntry(func(ch *Channel, entry *Entry, _ any) syscall.Errno {
		e := entry.Ctx.(*simEntry)
		got = append(got, e)
		if s.rng.IntN(8) == 0 {
			other := pick(s, want)
			if other.Waiting() {
				s.abort(ch, other)
				if !slices.Contains(got, other) {
					want = slices.DeleteFunc(want, func(o *simEntry) bool { return o == other })
				}
			}
		}
		return 0
	}, nil)
	if !slices.Equal(got, want) {
		s.fail("ForEachEntry found %d entries, want %d", len(got), len(want))
	}
}

func (s *simulation) openChannel() {
	if len(s.chans) >= 8 {
		return
	}
	sizes := []int{0, 0, 1, 2, 3}
	ch := &Channel{}
	if err := ch.Init(pick(s, s.Threads), "mod", pick(s, sizes), pick(s, sizes)); err == nil {
		s.chans = append(s.chans, ch)
	}
}

func (s *simulation) closeChannel(i int) {
	ch := s.chans[i]
	for c := range ch.caches {
		for _, e := range slices.Clone(s.queue[ch.caches[c].queue]) {
			if e.Channel() == ch {
				s.abort(ch, e)
			}
		}
	}
	ch.Fini()
	s.chans = slices.Delete(s.chans, i, i+1)
}

func (s *simulation) random() {
	if len(s.chans) == 0 || s.rng.IntN(100) == 0 {
		s.openChannel()
		return
	}
	ch := pick(s, s.chans)
	switch op := s.rng.IntN(100); {
	case op < 35:
		s.get(ch)
	case op < 65:
		s.put(class(s.rng.IntN(int(classes))), ch)
	case op < 70:
		if q := s.queue[ch.caches[s.rng.IntN(int(classes))].queue]; len(q) > 0 {
			s.abort(ch, pick(s, q))
		}
	case op < 72:
		s.walk(ch)
	case op < 73:
		s.closeChannel(s.rng.IntN(len(s.chans)))
	case op < 75: // fill a thread's ring, so that what is sent next has to wait
		for t := pick(s, s.Threads); t.SendMsgFrom(t, func(*reactor.Thread, any) {}, nil) == 0; {
		}
	case op < 95:
		pick(s, s.Threads).Poll(0, 0)
	default:
		s.PollThreads()
		s.checkRest()
	}
}

// check compares with the book.
func (s *simulation) check() {
	for c, p := range s.io().pools {
		free := p.ring.Count()
		for _, ch := range s.chans {
			free += len(ch.caches[c].free)
		}
		if free+len(s.held[c]) != s.count {
			s.fail("%d of %d %s buffers are free and %d held", free, s.count, p.class, len(s.held[c]))
		}
		waiting := 0
		for _, th := range *s.io().threads.Load() {
			q := &th.queues[c]
			var got []*simEntry
			for e := q.head; e != nil; e = e.next {
				got = append(got, e.Ctx.(*simEntry))
			}
			if !slices.Equal(got, s.queue[q]) {
				s.fail("%d %s entries wait on thread %d, want %d; or in another order",
					len(got), p.class, th.t.ID(), len(s.queue[q]))
			}
			if len(got) > 0 {
				waiting++
			}
			if q.waits.Load() != (len(got) > 0) {
				s.fail("thread %d waits: %v, with %d entries", th.t.ID(), q.waits.Load(), len(got))
			}
		}
		if int(p.waiting.Load()) != waiting {
			s.fail("%d threads wait, the pool says %d", waiting, p.waiting.Load())
		}
	}
}

// checkRest wants that all messages have been received, and that nobody waits while buffers
// are free.
func (s *simulation) checkRest() {
	s.rests++
	for c, p := range s.io().pools {
		if p.waiting.Load() == 0 {
			continue
		}
		s.pressed++
		if n := p.ring.Count(); n != 0 {
			s.fail("threads wait, and there are %d %s buffers in the pool", n, p.class)
		}
		if len(s.held[c]) == 0 {
			s.fail("threads wait for %s buffers, and nobody has one", p.class)
		}
		sum := 0
		for _, ch := range s.chans {
			sum += ch.caches[c].size
		}
		for _, ch := range s.chans {
			keep := ch.caches[c].size
			if sum >= s.count {
				keep = 0
			}
			if n := len(ch.caches[c].free); n > keep {
				s.fail("threads wait, and there are %d %s buffers in a cache of %d", n, p.class, ch.caches[c].size)
			}
		}
	}
}

var seedFlag = flag.Uint64("seed", 0, "seed of TestModel, to repeat a failure")

// TestModel: no buffer is lost or given twice, entries of one thread and size are served in
// order, and at rest nobody waits while a buffer is free.
func TestModel(t *testing.T) {
	steps := 100_000
	if testing.Short() {
		steps = 10_000
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	for _, count := range []int{1, 4, 9} {
		s := &simulation{
			bench: newBenchWith(t, 3, count, reactor.Options{MsgRingSize: 2}),
			rng:   rand.New(rand.NewPCG(seed, 0)), seed: seed, count: count, queue: map[*queue][]*simEntry{},
		}
		for s.step = range steps {
			s.random()
			s.check()
		}
		s.draining = true // whoever still waits gets a buffer
		ch := s.open(0, 0)
		s.PollThreads()
		for c := range classes {
			for len(s.held[c]) > 0 {
				s.put(c, ch)
				s.PollThreads()
			}
		}
		s.check()
		s.checkRest()
		for _, q := range s.queue {
			if len(q) > 0 {
				s.fail("%d entries wait at the end", len(q))
			}
		}
		s.mustFinish(append(s.chans, ch)...)
		t.Logf("%d buffers: %d got at once, %d waited, %d refused, %d aborted, %d asked again, %d put from inside, "+
			"%d rests, in %d of them there were entries that waited",
			count, s.atOnce, s.waited, s.refused, s.aborted, s.again, s.nested, s.rests, s.pressed)
	}
}
