package memfs

import (
	"fmt"
	"math/rand"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const shadowBytes = 16

// shadow is who has which byte of a file: the number of readers, or -1 for a writer.
type shadow [shadowBytes]atomic.Int32

// process is an owner of byte-range locks on a running reactor. It locks and unlocks at random, one request at a
// time, and enters what it has in the shadow of the file: what it gains after it has been told, what it loses
// before it asks.
type process struct {
	desc    *fsdev.Desc
	ch      *iochannel.Channel
	owner   uint64
	rnd     *rand.Rand
	files   [2]fsdev.FileObject
	shadows *[2]shadow
	left    int
	done    chan struct{}
	errs    []string
	ended   map[syscall.Errno]int

	cells [2][shadowBytes]int // what it has: 0, 1 for reading, 2 for writing

	// The request in flight.
	file   int
	lock   fsdev.Lock
	unique uint64
	flush  bool
}

// to brings a byte to what the process has of it, and the shadow with it.
func (p *process) to(file, i, want int) {
	b := &p.shadows[file][i]
	have := p.cells[file][i]
	p.cells[file][i] = want
	ok := true
	switch {
	case have == want:
	case have == 0 && want == 1:
		ok = b.Add(1) > 0
	case have == 1 && want == 0:
		ok = b.Add(-1) >= 0
	default: // from or to a writer: the one reader, nobody
		word := [...]int32{0, 1, -1}
		ok = b.CompareAndSwap(word[have], word[want])
	}
	if !ok {
		p.errs = append(p.errs, fmt.Sprintf("byte %d of file %d was not %d, but %d", i, file, have, b.Load()))
	}
}

func (p *process) next() {
	p.left--
	if len(p.errs) > 0 {
		p.left = min(p.left, -1) // nobody shall wait for it
	}
	if p.left < -2 {
		p.ch.Put()
		close(p.done)
		return
	}
	p.unique++
	p.file = p.rnd.Intn(2)
	p.flush = p.left < 0 || p.rnd.Intn(8) == 0
	if p.left < 0 {
		p.file = -p.left - 1
	}
	if p.flush {
		for i := range shadowBytes {
			p.to(p.file, i, 0)
		}
		p.check(p.desc.Flush(p.ch, p.unique, p.files[p.file], 0, p.owner, p.flushed, nil))
		return
	}
	start := p.rnd.Intn(shadowBytes)
	p.lock = fsdev.Lock{
		Type:  []uint32{syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK}[p.rnd.Intn(3)],
		Start: uint64(start),
		End:   uint64(start + p.rnd.Intn(shadowBytes-start)),
	}
	before := p.cells[p.file]
	for i := start; i <= int(p.lock.End); i++ {
		p.to(p.file, i, min(before[i], p.wanted()))
	}
	wait := p.rnd.Intn(4) > 0
	p.check(p.desc.Setlk(p.ch, p.unique, p.files[p.file], 0, p.owner, &p.lock, wait, p.locked, &before))
	if p.rnd.Intn(16) == 0 {
		if errno := p.desc.Abort(p.ch, p.unique, p.aborted, nil); errno != 0 {
			p.ended[errno]++
		}
	}
}

// wanted is what the process has of the bytes of its request when it gets it.
func (p *process) wanted() int {
	switch p.lock.Type {
	case syscall.F_RDLCK:
		return 1
	case syscall.F_WRLCK:
		return 2
	}
	return 0
}

func (p *process) check(errno syscall.Errno) {
	if errno != 0 {
		panic(fmt.Sprintf("process %d cannot submit: %v", p.owner, errno))
	}
}

func (p *process) locked(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	before := ctx.(*[shadowBytes]int)
	p.ended[errno]++
	switch errno {
	case 0, syscall.EAGAIN, syscall.EDEADLK, syscall.EINTR:
	default:
		p.errs = append(p.errs, fmt.Sprintf("lock: %v", errno))
	}
	for i := int(p.lock.Start); i <= int(p.lock.End); i++ {
		if errno == 0 {
			p.to(p.file, i, p.wanted())
		} else {
			p.to(p.file, i, before[i])
		}
	}
	if errno == syscall.EDEADLK { // somebody has to give in
		for file := range p.files {
			for i := range shadowBytes {
				p.to(file, i, 0)
			}
			p.check(p.desc.Setlk(p.ch, 0, p.files[file], 0, p.owner, &fsdev.Lock{Type: syscall.F_UNLCK, End: 1 << 40}, false,
				func(any, *iochannel.Channel, syscall.Errno) {}, nil))
		}
	}
	p.next()
}

func (p *process) flushed(_ any, _ *iochannel.Channel, errno syscall.Errno) {
	if errno != 0 {
		p.errs = append(p.errs, fmt.Sprintf("flush: %v", errno))
	}
	p.next()
}

func (p *process) aborted(any, *iochannel.Channel, syscall.Errno) {}

// TestReactorsLockRanges has processes of two clients on running reactors lock the bytes of two files: no two have a
// byte that excludes the other, and nobody waits for ever.
func TestReactorsLockRanges(t *testing.T) {
	p := newPlant(t, 4)
	other := p.open()
	rnd := newRand(t)
	files := [2]fsdev.FileObject{p.mkfile("a"), p.mkfile("b")}
	var shadows [2]shadow
	ended := map[syscall.Errno]int{}
	everything := func() bool { return ended[syscall.EDEADLK] > 0 && ended[syscall.EAGAIN] > 0 && ended[0] > 0 }
	for range 20 { // on a busy machine the reactors may run one after the other, and nobody meets anybody
		var all []*process
		for i, th := range p.ths {
			q := &process{desc: p.desc, owner: uint64(i / 2), rnd: rand.New(rand.NewSource(rnd.Int63())), files: files,
				shadows: &shadows, left: rounds(20000), done: make(chan struct{}), ended: map[syscall.Errno]int{}}
			if i%2 == 1 {
				q.desc = other
			}
			all = append(all, q)
			th.SendMsg(func(th *reactor.Thread, _ any) {
				q.ch = q.desc.IOChannel(th)
				q.next()
			}, nil)
		}
		for i, q := range all {
			<-q.done
			for _, e := range q.errs {
				t.Errorf("process %d: %s", i, e)
			}
			for errno, n := range q.ended {
				ended[errno] += n
			}
		}
		if everything() || t.Failed() {
			break
		}
	}
	t.Logf("requests ended with %v", ended)
	if !everything() {
		t.Error("some of what was to be tested did not happen")
	}
	for f := range shadows {
		for i := range shadows[f] {
			if n := shadows[f][i].Load(); n != 0 {
				t.Errorf("byte %d of file %d is %d in the end", i, f, n)
			}
		}
		l, k := &lane{fs: p.m.fs}, fsdev.Lock{Type: syscall.F_WRLCK, End: toEnd}
		if errno := l.getlk(p.desc, p.m.fs.objects.Get(uint64(files[f])), 1<<40, &k); errno != 0 || k.Type != un {
			t.Errorf("file %d: %v, %+v is left", f, errno, k)
		}
	}
	if n := p.m.fs.locks.Waits(); n != 0 {
		t.Errorf("%d requests wait", n)
	}
	p.close(other)
}
