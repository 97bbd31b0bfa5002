package locks

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// storm has a thousand requests wait for one lock, among as many others as there can be.
func (k *locker) storm(waiters int) {
	k.Helper()
	for i := range uint64(3 * MaxRanges / 4) {
		_, errno := k.setlk(k.f, nil, 10+i, rd, 2*i, 2*i+1000, false)
		k.must(errno)
	}
	_, errno := k.setlk(k.f, nil, 1, wr, 1<<20, 1<<20, false)
	k.must(errno)
	for i := range waiters {
		_, errno := k.setlk(k.f, nil, 1<<32+uint64(i), rd, 50, 1<<20, true)
		k.want("a waiter", errno, Waits)
	}
}

// TestManyAreServedBitByBit pins that a lock for which very many wait does not keep a reactor from its other work
// when it ends.
func TestManyAreServedBitByBit(t *testing.T) {
	const waiters = 500
	k := newLocker(t, defaultLocks, 1024)
	k.storm(waiters)
	_, errno := k.setlk(k.f, nil, 1, un, 0, toEnd, false)
	k.must(errno)
	next, rounds := uint64(1<<32), 1
	served := func() {
		k.take(func(unique uint64, errno syscall.Errno) {
			if errno != 0 || unique != next {
				t.Fatalf("woke %d with %v, want %d", unique, errno, next)
			}
			next++
		})
	}
	served()
	if !k.IsUnfinished() {
		t.Fatal("all were served at once")
	}
	// Others do what they like meanwhile.
	_, errno = k.setlk(k.f, nil, 2, wr, 1<<20, 1<<20, true)
	k.want("a writer", errno, Waits)
	for ; k.IsUnfinished(); rounds++ {
		k.GrantMore()
		served()
	}
	if most := next - 1<<32; most != waiters || rounds < 20 {
		t.Errorf("%d of %d served in %d rounds", most, waiters, rounds)
	}
	k.endClient(k.client)
	k.woke()

	// flock(2), too
	_, errno = k.flock(nil, 1, syscall.LOCK_EX)
	k.must(errno)
	for i := range uint64(1000) {
		_, errno = k.flock(nil, 2+i, syscall.LOCK_SH)
		k.want("flock", errno, Waits)
	}
	_, errno = k.flock(nil, 1, syscall.LOCK_UN)
	k.must(errno)
	if !k.IsUnfinished() {
		t.Error("all flocks were granted at once")
	}
	for k.IsUnfinished() {
		k.GrantMore()
	}
	if tab := k.f.table.Load(); tab.held != 1000 {
		t.Errorf("%d flocks are held", tab.held)
	}
	k.checkEmpty()
}

// BenchmarkStorm is how long the end of a lock takes for which a thousand wait, and a piece of that.
func BenchmarkStorm(b *testing.B) {
	k := newLocker(b, defaultLocks, 1024)
	pieces, total := 0, time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		k.storm(1000)
		b.StartTimer()
		start := time.Now()
		_, errno := k.setlk(k.f, nil, 1, un, 0, toEnd, false)
		k.must(errno)
		for pieces++; k.IsUnfinished(); pieces++ {
			k.GrantMore()
		}
		total += time.Since(start)
		b.StopTimer()
		k.endClient(k.client)
		k.woke()
		b.StartTimer()
	}
	b.ReportMetric(float64(total.Microseconds())/float64(pieces), "µs/piece")
}

// BenchmarkRangeLock locks and unlocks a byte among others.
func BenchmarkRangeLock(b *testing.B) {
	for _, others := range []int{0, 10, 1000} {
		b.Run(fmt.Sprint("others=", others), func(b *testing.B) {
			k := newLocker(b, defaultLocks, 1024)
			for i := range others {
				_, errno := k.setlk(k.f, nil, uint64(2+i%10), wr, uint64(2*i), uint64(2*i), false)
				k.must(errno)
			}
			lock := Range{Type: wr, Start: uint64(others), End: uint64(others)}
			if others%2 == 0 {
				lock.Start++
				lock.End++
			}
			unlock := lock
			unlock.Type = un
			b.ReportAllocs()
			for b.Loop() {
				_, errno := k.Setlk(&k.f.File, k.f, k.client, nil, 1, &lock, false, nil)
				k.must(errno)
				_, errno = k.Setlk(&k.f.File, k.f, k.client, nil, 1, &unlock, false, nil)
				k.must(errno)
			}
		})
	}
}
