package memfs

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

// storm has a thousand requests wait for one lock, among as many others as there can be.
func (k *locker) storm(waiters int) {
	k.Helper()
	for i := range uint64(3 * maxRanges / 4) {
		_, errno := k.setlk1(k.n, 10+i, rd, 2*i, 2*i+1000, false)
		k.must(errno)
	}
	_, errno := k.setlk1(k.n, 1, wr, 1<<20, 1<<20, false)
	k.must(errno)
	for i := range waiters {
		_, errno := k.setlk1(k.n, 1<<32+uint64(i), rd, 50, 1<<20, true)
		k.want("a waiter", errno, errWait)
	}
}

// TestManyAreServedBitByBit pins that a lock for which very many wait does not keep a reactor from its other work
// when it ends.
func TestManyAreServedBitByBit(t *testing.T) {
	const waiters = 500
	k := newLocker(t, Opts{})
	k.storm(waiters)
	_, errno := k.setlk1(k.n, 1, un, 0, toEnd, false)
	k.must(errno)
	next, rounds := uint64(1<<32), 1
	served := func() {
		for r := k.takeWoken(); r != nil; r = r.nextWoken {
			if r.errno != 0 || r.io.Unique != next {
				t.Fatalf("woke %d with %v, want %d", r.io.Unique, r.errno, next)
			}
			next++
		}
	}
	served()
	if k.unfinished == nil {
		t.Fatal("all were served at once")
	}
	// Others do what they like meanwhile.
	_, errno = k.setlk1(k.n, 2, wr, 1<<20, 1<<20, true)
	k.want("a writer", errno, errWait)
	for ; k.unfinished != nil; rounds++ {
		k.grantMore()
		served()
	}
	if most := next - 1<<32; most != waiters || rounds < 20 {
		t.Errorf("%d of %d served in %d rounds", most, waiters, rounds)
	}
	k.umount(k.desc)
	k.woke()
	k.mount(k.desc, false)

	// flock(2), too
	_, errno = k.flock(k.desc, k.n, 0, 1, syscall.LOCK_EX, nil)
	k.must(errno)
	for i := range uint64(1000) {
		_, errno = k.flock(k.desc, k.n, 0, 2+i, syscall.LOCK_SH, &fsdev.IO{})
		k.want("flock", errno, errWait)
	}
	_, errno = k.flock(k.desc, k.n, 0, 1, syscall.LOCK_UN, nil)
	k.must(errno)
	if k.unfinished == nil {
		t.Error("all flocks were granted at once")
	}
	for k.unfinished != nil {
		k.grantMore()
	}
	if tab := k.n.locks.Load(); tab.held != 1000 {
		t.Errorf("%d flocks are held", tab.held)
	}
	k.removeAll(k.root)
	k.umount(k.desc)
	k.woke()
	k.checkEmpty()
}

// TestUnfinishedServiceGoesOn pins that a channel comes back to it, and does not go before.
func TestUnfinishedServiceGoesOn(t *testing.T) {
	s := newStack(t, 2, Opts{})
	var f result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	lock := func(th int, owner uint64, l *fsdev.Lock, r *result) {
		if errno := s.desc.Setlk(s.ch[th], 0, f.obj, 0, owner, l, true, onStatus, r); errno != 0 {
			t.Fatal(errno)
		}
	}
	var r result
	for i := range uint64(3000) {
		r = result{}
		lock(0, 10+i, &fsdev.Lock{Type: rd, Start: 2 * i, End: 2*i + 1000}, &r)
		s.PollThreads()
	}
	lock(0, 1, &fsdev.Lock{Type: wr, Start: 1 << 20, End: 1 << 20}, &r)
	s.PollThreads()
	var waiters [200]result
	for i := range waiters {
		lock(1, 1<<32+uint64(i), &fsdev.Lock{Type: rd, End: 1 << 20}, &waiters[i])
	}
	s.PollThreads()
	r = result{}
	lock(0, 1, &fsdev.Lock{Type: un, End: toEnd}, &r)
	s.ch[0].Put()
	s.ch = s.ch[1:]
	s.PollThreads()
	for i := range waiters {
		if waiters[i].calls != 1 || waiters[i].errno != 0 {
			t.Fatalf("waiter %d: %+v", i, waiters[i])
		}
	}
}

// BenchmarkStorm is how long the end of a lock takes for which a thousand wait, and a piece of that.
func BenchmarkStorm(b *testing.B) {
	k := newLocker(b, Opts{})
	pieces, total := 0, time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		k.storm(1000)
		b.StartTimer()
		start := time.Now()
		_, errno := k.setlk1(k.n, 1, un, 0, toEnd, false)
		k.must(errno)
		for pieces++; k.unfinished != nil; pieces++ {
			k.grantMore()
		}
		total += time.Since(start)
		b.StopTimer()
		k.umount(k.desc)
		k.woke()
		k.mount(k.desc, false)
		b.StartTimer()
	}
	b.ReportMetric(float64(total.Microseconds())/float64(pieces), "µs/piece")
}

// BenchmarkRangeLock locks and unlocks a byte among others.
func BenchmarkRangeLock(b *testing.B) {
	for _, others := range []int{0, 10, 1000} {
		b.Run(fmt.Sprint("others=", others), func(b *testing.B) {
			k := newLocker(b, Opts{})
			for i := range others {
				_, errno := k.setlk1(k.n, uint64(2+i%10), wr, uint64(2*i), uint64(2*i), false)
				k.must(errno)
			}
			lock := fsdev.Lock{Type: wr, Start: uint64(others), End: uint64(others)}
			if others%2 == 0 {
				lock.Start++
				lock.End++
			}
			unlock := lock
			unlock.Type = un
			b.ReportAllocs()
			for b.Loop() {
				_, errno := k.setlk(k.desc, k.n, nil, 0, 1, &lock, false, nil)
				k.must(errno)
				_, errno = k.setlk(k.desc, k.n, nil, 0, 1, &unlock, false, nil)
				k.must(errno)
			}
		})
	}
}
