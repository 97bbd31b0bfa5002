package reactor_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// fdModel holds groups to what their documentation says while anything is done to them, in
// callbacks too.
type fdModel struct {
	t       *testing.T
	rng     *rand.Rand
	groups  []*reactor.FDGroup
	parent  map[int]int // of groups, -1 for none
	sources []*modelSource
	depth   int
}

// modelSource is an eventfd, the group it is in (-1 for none), and how often it was triggered
// since its callback last ran.
type modelSource struct {
	*source
	m     *fdModel
	in    int
	ready int
	epoch int // of its registration: callbacks of an earlier one must not run
}

type registration struct {
	s     *modelSource
	epoch int
}

func (m *fdModel) root(g int) int {
	for m.parent[g] >= 0 {
		g = m.parent[g]
	}
	return g
}

func modelCallback(ctx any) int {
	r := ctx.(*registration)
	s, m := r.s, r.s.m
	switch {
	case r.epoch != s.epoch:
		m.t.Fatalf("fd %d: the callback of registration %d runs in %d", s.fd, r.epoch, s.epoch)
	case s.in < 0:
		m.t.Fatalf("fd %d: a callback after it was removed", s.fd)
	case s.ready == 0:
		m.t.Fatalf("fd %d: a callback without an event", s.fd)
	}
	s.ready = 0
	m.depth++
	for range m.rng.IntN(3) {
		m.step()
	}
	m.depth--
	return 1
}

// step does one thing at random.
func (m *fdModel) step() {
	s := m.sources[m.rng.IntN(len(m.sources))]
	g := m.rng.IntN(len(m.groups))
	switch m.rng.IntN(7) {
	case 0, 1:
		s.trigger()
		s.ready++
	case 2:
		s.epoch++
		err := m.groups[g].AddExt(s.fd, "model", modelCallback, &registration{s, s.epoch},
			reactor.FDOpts{Type: reactor.FDTypeEventfd})
		switch {
		case s.in >= 0 && m.root(s.in) == m.root(g):
			s.epoch--
			if !errors.Is(err, unix.EEXIST) {
				m.t.Fatalf("fd %d is added twice: %v", s.fd, err)
			}
		case err != nil:
			m.t.Fatal(err)
		case s.in >= 0: // two trees can have it, which the model leaves out
			s.epoch--
			m.groups[g].Remove(s.fd)
		default:
			s.in = g
		}
	case 3:
		if s.in >= 0 {
			m.groups[s.in].Remove(s.fd)
			s.in = -1
		}
	case 4:
		child := m.rng.IntN(len(m.groups))
		err := m.groups[g].Nest(m.groups[child])
		if (err == nil) != (m.parent[child] < 0 && m.root(g) != child) {
			m.t.Fatalf("nest %d in %d with parents %v: %v", child, g, m.parent, err)
		}
		if err == nil {
			m.parent[child] = g
		}
	case 5:
		child := m.rng.IntN(len(m.groups))
		err := m.groups[g].Unnest(m.groups[child])
		if (err == nil) != (m.parent[child] == g) {
			m.t.Fatalf("unnest %d from %d with parents %v: %v", child, g, m.parent, err)
		}
		if err == nil {
			m.parent[child] = -1
		}
	case 6:
		if m.depth == 0 {
			m.wait(g)
		}
	}
}

func (m *fdModel) wait(g int) {
	if _, errno := m.groups[g].Wait(0); errno != 0 {
		m.t.Fatal(errno)
	}
}

// settle waits until nothing is left to serve and checks that nothing was lost, and that
// each group has as many descriptors as it should.
func (m *fdModel) settle() {
	m.depth++ // callbacks may still do things, so that it takes several rounds
	for round := 0; ; round++ {
		left := 0
		want := make([]int, len(m.groups))
		for _, s := range m.sources {
			if s.in >= 0 {
				want[m.root(s.in)]++
				left += s.ready
			}
		}
		for g := range m.groups {
			if n := m.groups[g].NumFDs(); n != want[g] {
				m.t.Fatalf("group %d has %d descriptors, want %d", g, n, want[g])
			}
		}
		if left == 0 {
			break
		}
		if round == 1000 {
			m.t.Fatalf("%d events are never served", left)
		}
		for g := range m.groups {
			m.wait(g)
		}
	}
	m.depth--
}

func TestFDGroupModel(t *testing.T) {
	noLeaks(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := &fdModel{t: t, rng: rand.New(rand.NewPCG(seed, 0)), parent: map[int]int{}}
	for g := range 5 {
		m.groups = append(m.groups, newFDGroup(t))
		m.parent[g] = -1
	}
	for range 12 {
		m.sources = append(m.sources, &modelSource{source: newSource(t), m: m, in: -1})
	}
	for range 2000 {
		for range 20 {
			m.step()
		}
		m.settle()
	}
	for _, s := range m.sources {
		if s.in >= 0 {
			m.groups[s.in].Remove(s.fd)
		}
	}
	for again := true; again; {
		again = false
		for child, parent := range m.parent {
			if parent >= 0 {
				mustErr(t, "unnest", m.groups[parent].Unnest(m.groups[child]), 0)
				m.parent[child], again = -1, true
			}
		}
	}
	for _, g := range m.groups {
		g.Close()
	}
}
