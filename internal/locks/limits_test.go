package locks

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestLocksOfADeviceAreBounded pins that what all files together have is bounded, that each kind of lock counts, and
// that whatever ends one makes room for another.
func TestLocksOfADeviceAreBounded(t *testing.T) {
	const most = 10
	k := newLocker(t, most, 100)
	full := func(what string) {
		t.Helper()
		_, errno := k.setlk(k.file(), nil, 1, rd, 0, 0, false)
		k.want(what+": one byte more", errno, syscall.ENOLCK)
		_, errno = k.flock(nil, 1<<40, syscall.LOCK_SH|syscall.LOCK_NB)
		k.want(what+": one flock more", errno, syscall.ENOLCK)
	}
	fill := func() {
		t.Helper()
		for i := range uint64(most) {
			_, errno := k.setlk(k.file(), nil, i, wr, 5, 9, false)
			if errno == syscall.ENOLCK {
				break
			}
			k.must(errno)
		}
	}
	var h Handle
	for i := range uint64(4) {
		_, errno := k.flock(&h, i, syscall.LOCK_SH)
		k.must(errno)
	}
	fill()
	full("at first")
	g := k.files[len(k.files)-4]
	if got := k.rangesOf(g); got == "" {
		t.Fatal("this file has nothing")
	}
	owner := g.table.Load().owners.key.id
	_, errno := k.setlk(g, nil, owner, un, 6, 7, false)
	k.want("unlocking a part that would be two", errno, syscall.ENOLCK)
	_, errno = k.setlk(g, nil, owner, rd, 5, 9, false)
	k.must(errno) // instead of what is there
	_, errno = k.flock(&h, 0, syscall.LOCK_SH)
	k.must(errno) // had already
	_, errno = k.setlk(g, nil, owner, un, 9, 20, false)
	k.must(errno)
	full("after some that need none")

	k.endHandle(&h)
	fill()
	full("after a handle")
	k.Flush(&g.File, k.client, owner)
	fill()
	full("after FLUSH")
	k.EndFile(&k.files[2].File)
	fill()
	full("after a file")
	k.endClient(k.client)
	if n := k.d.Used(); n != 0 {
		t.Errorf("%d locks are used when nobody has one", n)
	}
	k.checkEmpty()
}

// TestWhoWaitsMeetsTheLimitOfADevice pins that a wait ends with ENOLCK if its turn comes when there are no locks left,
// for nobody would come back to it.
func TestWhoWaitsMeetsTheLimitOfADevice(t *testing.T) {
	k := newLocker(t, 2, 100)
	g := k.file()
	_, errno := k.flock(nil, 1, syscall.LOCK_EX)
	k.must(errno)
	_, errno = k.setlk(g, nil, 1, wr, 0, 9, false)
	k.must(errno)
	for i := range uint64(2) {
		_, errno = k.flock(nil, 2+i, syscall.LOCK_SH)
		k.want("flock", errno, Waits)
		_, errno = k.setlk(g, nil, 2+i, rd, 0, 9, true)
		k.want("bytes", errno, Waits)
	}
	_, errno = k.flock(nil, 1, syscall.LOCK_UN)
	k.must(errno)
	if got, want := k.woke(), fmt.Sprintf("2 3!%d", int(syscall.ENOLCK)); got != want {
		t.Errorf("woke %q, want %q", got, want)
	}
	_, errno = k.setlk(g, nil, 1, un, 0, 9, false)
	k.must(errno)
	if got, want := k.woke(), fmt.Sprintf("2 3!%d", int(syscall.ENOLCK)); got != want {
		t.Errorf("woke %q, want %q", got, want)
	}
	k.checkEmpty()
}

// TestLanesShareTheLimit has lanes lock and unlock at random, each its own file and all one: no more than the limit is
// ever used, at least half of it can be, and nothing is lost.
func TestLanesShareTheLimit(t *testing.T) {
	const lanes, most = 4, 1 << 16
	d := NewDevice(most, 1000)
	if d.share != laneShare {
		t.Fatalf("lanes take %d at a time", d.share)
	}
	shared := new(file)
	rnd := newRand(t)
	var wg sync.WaitGroup
	var over atomic.Bool
	for i := range lanes {
		seed := rnd.Int63()
		wg.Go(func() {
			rnd := rand.New(rand.NewSource(seed))
			var l Lane
			l.Open(d)
			c, own := d.NewClient(), new(file)
			for range rounds(40000) {
				f := own
				if rnd.Intn(4) == 0 {
					f = shared
				}
				start := uint64(rnd.Intn(200))
				k := Range{Type: []uint32{rd, un}[rnd.Intn(2)], Start: start, End: start + uint64(rnd.Intn(30))}
				if _, errno := l.Setlk(&f.File, f, c, nil, uint64(i*10+rnd.Intn(3)), &k, false, nil); errno != 0 {
					t.Errorf("lane %d: %v", i, errno)
				}
				if d.Used() > most {
					over.Store(true)
				}
			}
			if used := d.Used(); used > lanes*(MaxRanges+3*laneShare) {
				t.Errorf("%d locks are used by so few", used)
			}
			for done := false; !done; {
				_, done = l.EndClient(c, 100)
			}
			if l.credit > 3*laneShare {
				t.Errorf("lane %d keeps %d", i, l.credit)
			}
			l.Close()
		})
	}
	wg.Wait()
	if over.Load() || d.Used() != 0 {
		t.Errorf("%d locks are used in the end; more than there may be: %v", d.Used(), over.Load())
	}
}
