package reactor_test

import (
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// roomModel is threads that send to each other.
type roomModel struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	h       *reactortest.Harness
	size    int
	senders []*roomSender
	retries map[*reactor.Thread]int // SendMsgRetry that is under way, by target
	queued  map[*reactor.Thread]int // messages that have been taken and have not run
}

// roomSender sends numbered messages from one thread to another.
type roomSender struct {
	m              *roomModel
	from, to       *reactor.Thread
	wanted         int // messages to send
	sent, received int
	waits          bool
	wait           reactor.RoomWait
}

// numbered is a message.
type numbered struct {
	s *roomSender
	n int
}

func newRoomModel(t *testing.T, seed uint64) *roomModel {
	m := &roomModel{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)),
		retries: map[*reactor.Thread]int{}, queued: map[*reactor.Thread]int{},
	}
	m.size = 2 << m.rng.IntN(4)
	m.h = reactortest.NewWith(t, 4, reactor.Options{MsgRingSize: m.size})
	for _, from := range m.h.Threads {
		for _, to := range m.h.Threads {
			for range 2 {
				m.senders = append(m.senders, &roomSender{m: m, from: from, to: to})
			}
		}
	}
	return m
}

func (m *roomModel) step(i int) {
	s := m.senders[m.rng.IntN(len(m.senders))]
	switch op := m.rng.IntN(10); {
	case op < 5:
		s.wanted += m.rng.IntN(2 * m.size)
		if !s.waits {
			s.send()
		}
	case op == 5: // may be overtaken, but must arrive
		m.retries[s.to]++
		if !s.to.SendMsgRetry(s.from, retried, m) {
			m.t.Fatalf("seed %d step %d: a retry was refused", m.seed, i)
		}
	case op < 9:
		th := m.h.Threads[m.rng.IntN(len(m.h.Threads))]
		th.Poll(m.rng.IntN(9), 0)
	case m.rng.IntN(10) == 0:
		m.rest(i)
	}
	for th, n := range m.queued {
		if bound := 2*m.size + 8; n > bound { // the ring, as many beside it, and a batch
			m.t.Fatalf("seed %d step %d: thread %s has taken %d messages, more than %d", m.seed, i, th.Name(), n, bound)
		}
	}
}

// rest polls until there is nothing to do. Then nobody may be waiting.
func (m *roomModel) rest(i int) {
	m.h.PollThreads()
	for _, s := range m.senders {
		if s.waits || s.sent != s.wanted || s.received != s.wanted {
			m.t.Fatalf("seed %d step %d: from %s to %s: waits %v, %d of %d messages sent, %d received; held by %q",
				m.seed, i, s.from.Name(), s.to.Name(), s.waits, s.sent, s.wanted, s.received, s.from.Holding())
		}
	}
	for th, n := range m.retries {
		if n != 0 {
			m.t.Fatalf("seed %d step %d: %d retries to %s never arrived", m.seed, i, n, th.Name())
		}
	}
}

// send sends what is wanted, and waits for room if there is too little.
func (s *roomSender) send() {
	for s.sent < s.wanted {
		var errno syscall.Errno
		if n := (&numbered{s, s.sent}); s.m.rng.IntN(2) == 0 {
			errno = s.to.SendMsg(arrived, n)
		} else {
			errno = s.to.SendMsgFrom(s.from, arrived, n)
		}
		switch errno {
		case 0:
			s.sent++
			s.m.queued[s.to]++
		case syscall.ENOMEM:
			s.waits = true
			s.to.WaitForRoom(s.from, &s.wait, roomGiven, s)
			return
		default:
			s.m.t.Fatalf("seed %d: %v", s.m.seed, errno)
		}
	}
}

func roomGiven(from *reactor.Thread, ctx any) {
	s := ctx.(*roomSender)
	if from != s.from || !s.waits {
		s.m.t.Fatalf("seed %d: called on %s, waits %v", s.m.seed, from.Name(), s.waits)
	}
	s.waits = false
	s.send()
}

func arrived(to *reactor.Thread, ctx any) {
	n := ctx.(*numbered)
	if to != n.s.to || n.n != n.s.received {
		n.s.m.t.Fatalf("seed %d: message %d from %s arrives on %s after %d others",
			n.s.m.seed, n.n, n.s.from.Name(), to.Name(), n.s.received)
	}
	n.s.received++
	n.s.m.queued[to]--
}

func retried(to *reactor.Thread, ctx any) { ctx.(*roomModel).retries[to]-- }
