package memfs

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

const (
	rd, wr, un = syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK
	toEnd      = maxFileSize
)

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

// BenchmarkSetlk locks and unlocks a byte of a file, from all CPUs: of one file, and of one each.
func BenchmarkSetlk(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprint("shared=", shared), func(b *testing.B) {
			r := newRig(b, Opts{})
			var files [64]*inode
			for i := range files {
				files[i] = r.node(r.mkfile(r.root, fmt.Sprint(i)))
			}
			var next atomic.Int32
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				l := new(lane)
				r.fs.initLane(l)
				defer l.close()
				id := uint64(next.Add(1))
				f := files[0]
				if !shared {
					f = files[id]
				}
				lock := fsdev.Lock{Type: wr, Start: 2 * id, End: 2 * id}
				unlock := fsdev.Lock{Type: un, Start: 2 * id, End: 2 * id}
				for pb.Next() {
					if _, errno := l.setlk(r.desc, f, nil, id, &lock, false, nil); errno != 0 {
						b.Fatal(errno)
					}
					if _, errno := l.setlk(r.desc, f, nil, id, &unlock, false, nil); errno != 0 {
						b.Fatal(errno)
					}
				}
			})
		})
	}
}
