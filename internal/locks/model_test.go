package locks

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	modelCells = 40 // the bytes of a file. The last one stands for all that follow, too.
	modelFiles = 2
)

// modelOwner is one of the owners of the model: of a client, by number.
type modelOwner struct {
	client *Client
	id     uint64
}

// modelWait is a request that waits.
type modelWait struct {
	unique     uint64
	file       int
	owner      int
	typ        uint32
	start, end int // cells
	h          *Handle
	req        *Request
}

// rangeModel is byte-range locks as fcntl(2) describes them: who has which byte.
type rangeModel struct {
	*locker
	rnd     *rand.Rand
	nodes   [modelFiles]*file
	owners  []modelOwner
	cells   [modelFiles][4][modelCells]uint32 // F_RDLCK, F_WRLCK or F_UNLCK of each owner
	ties    [modelFiles][4]*Handle            // through which an owner locked last
	handles [modelFiles]map[*Client][]*Handle // that are open, 0 among them
	waits   []*modelWait
	threads bool    // an owner may wait several times
	leaving *Client // that has just unmounted: step by step, which may show in between
	unique  uint64
	log     []string
}

func newRangeModel(t *testing.T) *rangeModel {
	m := &rangeModel{locker: newLocker(t, defaultLocks, 1024), rnd: newRand(t)}
	other := m.d.NewClient()
	m.owners = []modelOwner{{m.client, 1}, {m.client, 2}, {other, 1}, {other, 2}}
	for f := range m.nodes {
		m.nodes[f] = m.file()
		m.handles[f] = map[*Client][]*Handle{m.client: {nil, nil, nil}, other: {nil, nil, nil}}
		for o := range m.owners {
			m.clear(f, o)
		}
		m.open(f, m.client)
		m.open(f, other)
	}
	return m
}

// open opens what is not open.
func (m *rangeModel) open(f int, desc *Client) {
	for i, h := range m.handles[f][desc][1:] {
		if h == nil {
			m.handles[f][desc][1+i] = new(Handle)
		}
	}
}

func (m *rangeModel) clear(f, o int) {
	for i := range m.cells[f][o] {
		m.cells[f][o][i] = un
	}
}

// blockers returns the owners that keep o from getting a lock.
func (m *rangeModel) blockers(f, o int, typ uint32, start, end int) (who []int) {
	for p := range m.owners {
		if p == o {
			continue
		}
		for _, c := range m.cells[f][p][start : end+1] {
			if c == wr || c == rd && typ == wr {
				who = append(who, p)
				break
			}
		}
	}
	return who
}

func (m *rangeModel) blockersOf(w *modelWait) []int {
	return m.blockers(w.file, w.owner, w.typ, w.start, w.end)
}

// leadsTo says whether the owner from waits for to, by itself or through others.
func (m *rangeModel) leadsTo(from, to int, seen map[int]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, w := range m.waits {
		if w.owner == from {
			for _, b := range m.blockersOf(w) {
				if m.leadsTo(b, to, seen) {
					return true
				}
			}
		}
	}
	return false
}

// inCircle says whether a request of o that is kept by who would have o wait for itself.
func (m *rangeModel) inCircle(o int, who []int) bool {
	for _, b := range who {
		if m.leadsTo(b, o, map[int]bool{}) {
			return true
		}
	}
	return false
}

func (m *rangeModel) isWaiting(o int) bool {
	return slices.ContainsFunc(m.waits, func(w *modelWait) bool { return w.owner == o })
}

// mustMove fails the test if there is a circle that must have been found: of owners that wait for one other each.
// (Where an owner waits several times, the last counts, so that a circle may be left when that has ended.)
func (m *rangeModel) mustMove() {
	next := map[int]int{}
	for _, w := range m.waits {
		if who := m.blockersOf(w); len(who) == 1 && !m.threads {
			next[w.owner] = who[0]
		}
	}
	for o := range next {
		at, ok := o, true
		for range m.owners {
			if at, ok = next[at]; !ok {
				break
			}
			if at == o {
				m.fail("owners %v wait in a circle", next)
			}
		}
	}
}

func (m *rangeModel) fail(format string, args ...any) {
	m.Helper()
	m.Fatalf(format+"\n%s", append(args, strings.Join(m.log[max(0, len(m.log)-40):], "\n"))...)
}

func (m *rangeModel) set(f, o int, typ uint32, start, end int) {
	for i := start; i <= end; i++ {
		m.cells[f][o][i] = typ
	}
}

// offsets turns cells into bytes.
func offsets(start, end int) (uint64, uint64) {
	if end == modelCells-1 {
		return uint64(start), toEnd
	}
	return uint64(start), uint64(end)
}

// setlk does a SETLK and compares what comes of it.
func (m *rangeModel) setlkRandomly() {
	f, o := m.rnd.Intn(modelFiles), m.rnd.Intn(len(m.owners))
	typ := []uint32{rd, rd, wr, wr, un, un}[m.rnd.Intn(6)]
	start := m.rnd.Intn(modelCells)
	end := min(start+m.rnd.Intn(8), modelCells-1)
	if m.rnd.Intn(10) == 0 {
		start, end = 0, modelCells-1
	}
	wait := m.rnd.Intn(2) == 0 && (m.threads || !m.isWaiting(o))
	desc := m.owners[o].client
	h := m.handles[f][desc][m.rnd.Intn(3)]
	l := Range{Type: typ, PID: uint32(100 + o)}
	l.Start, l.End = offsets(start, end)
	m.unique++
	m.log = append(m.log, fmt.Sprintf("%d: file %d owner %d type %d [%d, %d] wait %v handle %p", m.unique, f, o, typ,
		start, end, wait, h))
	req, errno := m.setlkOf(desc, m.nodes[f], h, m.owners[o].id, &l, wait, m.unique)

	who := m.blockers(f, o, typ, start, end)
	switch {
	case typ == un:
		who = nil
		fallthrough
	case len(who) == 0:
		m.want(m.log[len(m.log)-1], errno, 0)
		m.set(f, o, typ, start, end)
		if typ != un {
			m.ties[f][o] = h
		}
	case !wait:
		m.want(m.log[len(m.log)-1], errno, syscall.EAGAIN)
	case errno == syscall.EDEADLK:
		if !m.inCircle(o, who) {
			m.fail("%d is refused without reason", m.unique)
		}
	case errno == Waits:
		m.waits = append(m.waits, &modelWait{m.unique, f, o, typ, start, end, h, req})
	default:
		m.fail("%d gives %v", m.unique, errno)
	}
}

// getlkRandomly does a GETLK. The answer must be a lock in the way whose first byte is the first of such.
func (m *rangeModel) getlkRandomly() {
	f, o := m.rnd.Intn(modelFiles), m.rnd.Intn(len(m.owners))
	start := m.rnd.Intn(modelCells)
	end := min(start+m.rnd.Intn(8), modelCells-1)
	asked := Range{Type: []uint32{rd, wr}[m.rnd.Intn(2)]}
	asked.Start, asked.End = offsets(start, end)
	got := asked
	m.must(m.Getlk(&m.nodes[f].File, m.owners[o].client, m.owners[o].id, &got))
	want := map[Range]bool{}
	first := uint64(toEnd)
	for _, p := range m.blockers(f, o, asked.Type, start, end) {
		c := m.cells[f][p]
		for i := start; i <= end; i++ {
			if c[i] == wr || c[i] == rd && asked.Type == wr {
				lo, hi := i, i
				for lo > 0 && c[lo-1] == c[i] {
					lo--
				}
				for hi < modelCells-1 && c[hi+1] == c[i] {
					hi++
				}
				l := Range{Type: c[i], PID: uint32(100 + p)}
				l.Start, l.End = offsets(lo, hi)
				want[l] = true
				first = min(first, l.Start)
				break
			}
		}
	}
	if len(want) == 0 {
		asked.Type = un
		if got != asked {
			m.fail("GETLK of owner %d on file %d [%d, %d]: %+v, want nothing", o, f, start, end, got)
		}
	} else if !want[got] || got.Start != first {
		m.fail("GETLK of owner %d on file %d [%d, %d]: %+v, want one of %+v", o, f, start, end, got, want)
	}
}

// endAll ends what is tied to a handle of a client, or for handle -1 to the client.
func (m *rangeModel) endAll(f int, desc *Client, all bool, id *Handle) {
	for o := range m.owners {
		if m.owners[o].client == desc && (all || m.ties[f][o] == id) {
			m.clear(f, o)
		}
	}
}

// endRandomly ends locks and waits in one of the other ways.
func (m *rangeModel) endRandomly() {
	f, o := m.rnd.Intn(modelFiles), m.rnd.Intn(len(m.owners))
	desc := m.owners[o].client
	switch n := m.rnd.Intn(20); {
	case n < 8:
		m.log = append(m.log, fmt.Sprintf("flush: file %d owner %d", f, o))
		m.Flush(&m.nodes[f].File, desc, m.owners[o].id)
		m.clear(f, o)
	case n < 13 && len(m.waits) > 0:
		i := m.rnd.Intn(len(m.waits))
		m.log = append(m.log, fmt.Sprintf("abort: %d", m.waits[i].unique))
		if !m.abort(m.waits[i].req) {
			m.fail("%d cannot be aborted", m.waits[i].unique)
		}
		m.waits = append(m.waits[:i], m.waits[i+1:]...)
	case n < 19:
		i := 1 + m.rnd.Intn(2)
		id := m.handles[f][desc][i]
		m.log = append(m.log, fmt.Sprintf("release: file %d handle %p", f, id))
		m.EndHandle(&m.nodes[f].File, id)
		m.handles[f][desc][i] = nil
		m.endAll(f, desc, false, id)
		m.open(f, desc)
	default:
		m.log = append(m.log, fmt.Sprintf("umount: client of owner %d", o))
		m.leaving = desc
		for f, n := range m.nodes {
			for _, h := range m.handles[f][desc][1:] {
				m.EndHandle(&n.File, h)
			}
		}
		m.endClient(desc)
		for f := range m.nodes {
			m.endAll(f, desc, true, nil)
			m.handles[f][desc] = []*Handle{nil, nil, nil}
			m.open(f, desc)
		}
	}
}

// settle compares whose wait is over with whose must be.
func (m *rangeModel) settle() {
	// What a client has goes file by file and owner by owner: who came later may find nobody in the way any more
	// while somebody earlier still waits for another lock of the client. And who is woken may loosen something.
	loosened := m.leaving != nil
	m.take(func(unique uint64, errno syscall.Errno) {
		m.log = append(m.log, fmt.Sprintf("   woken: %d with %d", unique, int(errno)))
		i := 0
		for m.waits[i].unique != unique {
			i++
		}
		w := m.waits[i]
		earlier := m.waits[:i]
		m.waits = append(append([]*modelWait(nil), earlier...), m.waits[i+1:]...)
		who := m.blockersOf(w)
		if m.owners[w.owner].client == m.leaving {
			return
		}
		switch errno {
		case 0:
			if len(who) > 0 {
				m.fail("%d got what %v has", w.unique, who)
			}
			for _, e := range earlier {
				if !loosened && e.file == w.file && len(m.blockersOf(e)) == 0 && !m.isEnded(e) {
					m.fail("%d was served before %d", w.unique, e.unique)
				}
			}
			for _, c := range m.cells[w.file][w.owner][w.start : w.end+1] {
				loosened = loosened || c == wr && w.typ == rd
			}
			m.set(w.file, w.owner, w.typ, w.start, w.end)
			m.ties[w.file][w.owner] = w.h
		case syscall.EDEADLK:
			if m.leaving == nil && !m.inCircle(w.owner, who) {
				m.fail("%d is refused later, without reason", w.unique)
			}
		case syscall.EINTR:
			if !m.isEnded(w) {
				m.fail("%d is interrupted", w.unique)
			}
		default:
			m.fail("%d ends with %v", w.unique, errno)
		}
	})
	m.leaving = nil
	for _, w := range m.waits {
		if len(m.blockersOf(w)) == 0 {
			m.fail("%d waits for nothing", w.unique)
		}
		if m.isEnded(w) {
			m.fail("%d waits through a handle that is closed", w.unique)
		}
	}
	m.mustMove()
	if n := int(m.d.Waits()); n != len(m.waits) || m.d.graph.n != n {
		m.fail("%d wait, %d are counted, %d known", len(m.waits), n, m.d.graph.n)
	}
}

// isEnded says whether a request waits through a handle that is closed.
func (m *rangeModel) isEnded(w *modelWait) bool {
	return w.h != nil && w.h.closed.Load()
}

// TestRangeLockModel does what four owners of two clients may do to two files, and compares all that shows with a
// model that knows bytes only.
func TestRangeLockModel(t *testing.T) {
	for round := range rounds(10) {
		m := newRangeModel(t)
		m.threads = round%2 == 0
		for range 2000 {
			switch n := m.rnd.Intn(20); {
			case n < 14:
				m.setlkRandomly()
			case n < 18:
				m.getlkRandomly()
			default:
				m.endRandomly()
			}
			m.settle()
			for f, n := range m.nodes {
				m.checkRanges(n)
				m.compare(f)
			}
		}
		for f, n := range m.nodes {
			for _, list := range m.handles[f] {
				for _, h := range list[1:] {
					m.EndHandle(&n.File, h)
				}
			}
		}
		m.checkEmpty(m.owners[3].client)
		for _, b := range m.d.graph.buckets {
			if b != nil {
				t.Fatal("somebody waits still")
			}
		}
	}
}

// compare compares all locks of a file with the model.
func (m *rangeModel) compare(f int) {
	var got [4][modelCells]uint32
	for o := range got {
		for i := range got[o] {
			got[o][i] = un
		}
	}
	if t := m.nodes[f].table.Load(); t != nil {
		for _, b := range t.ranges.all {
			o := int(b.pid) - 100
			if m.owners[o] != (modelOwner{b.owner.key.client, b.owner.key.id}) {
				m.fail("a lock of %d is one of %+v", o, b.owner.key)
			}
			for i := b.start; i <= min(b.end, modelCells-1); i++ {
				got[o][i] = rd
				if b.exclusive {
					got[o][i] = wr
				}
			}
		}
	}
	if got != m.cells[f] {
		m.fail("file %d is\n%v, want\n%v", f, got, m.cells[f])
	}
}
