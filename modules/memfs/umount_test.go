package memfs

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
)

// fill gives a client n of everything that an UMOUNT ends: handles, files that only they or lookups keep, locks.
func (r *rig) fill(n int) {
	r.Helper()
	f := r.node(r.mkfile(r.root, "f"))
	c := creation{typ: syscall.S_IFREG, perm: 0o600}
	for i := range n {
		_, errno := r.fopen(r.desc, f, syscall.O_RDWR)
		r.must(errno)
		obj, _, errno := r.tmpfile(r.desc, r.root, &c, syscall.O_RDWR, &r.attr)
		r.must(errno)
		r.put1(obj, 0, []byte("data"))
		r.mkfile(r.root, "g")
		r.must(r.remove(r.root, []byte("g"), false))
		_, errno = r.setlk(r.desc, r.node(obj), nil, 1, &fsdev.Lock{Type: wr}, false, nil)
		r.must(errno)
		if i < locks.MaxRanges/4 {
			_, errno = r.setlk(r.desc, f, nil, uint64(i), &fsdev.Lock{Type: rd}, false, nil)
			r.must(errno)
		}
	}
}

// TestUmountInParts pins that what a client leaves behind is ended bit by bit, and all of it.
func TestUmountInParts(t *testing.T) {
	r := newRig(t, Opts{})
	r.fill(3000)
	parts := 1
	handles := r.fs.handles.Len()
	for ; !r.umountPart(r.desc); parts++ {
		now := r.fs.handles.Len()
		if handles-now > umountBudget/closeCost+1 {
			t.Fatalf("part %d closed %d handles", parts, handles-now)
		}
		handles = now
	}
	if parts < 10 {
		t.Errorf("all was done in %d parts", parts)
	}
	if !r.umountPart(r.desc) {
		t.Error("there is something left to do")
	}
	r.mount(r.desc, false)
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestUmountAmongOthersOrphans pins that the files without a name that others keep do not make an UMOUNT long: each is
// looked at once, whatever else happens in the list.
func TestUmountAmongOthersOrphans(t *testing.T) {
	const files = 20000
	r := newRig(t, Opts{Inodes: 2 * files})
	other, third := new(fsdev.Desc), new(fsdev.Desc)
	orphan := func(desc *fsdev.Desc) {
		r.as(desc)
		r.mkfile(r.root, "f")
		r.must(r.remove(r.root, []byte("f"), false))
	}
	for i := range files {
		orphan(other)
		if i%10 == 0 {
			orphan(r.desc)
		}
		if i%1000 == 0 {
			orphan(third)
		}
	}
	before := r.fs.objects.Len()
	spent, parts := 0, 0
	for done := false; !done; parts++ {
		done = r.umountPart(r.desc)
		spent += r.spent
		if r.spent > umountBudget+orphanSteps+closeCost+reapCost {
			t.Fatalf("part %d has cost %d", parts, r.spent)
		}
		if parts == 3 {
			r.umount(third) // in the midst
		}
		orphan(other)
	}
	if most := files/10*(closeCost+reapCost) + 3*files; spent > most {
		t.Errorf("the UMOUNT has cost %d in %d parts, want %d at most", spent, parts, most)
	}
	if n, want := r.fs.objects.Len(), before-files/10-files/1000+parts; n != want {
		t.Errorf("%d objects, want %d", n, want)
	}
	r.umount(other)
	r.checkEmpty()
}

// TestUmountLetsOthersWork pins that requests are served while an UMOUNT takes its time.
func TestUmountLetsOthersWork(t *testing.T) {
	s := newStack(t, 1, Opts{})
	var f, get, umount, abort result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	l := new(lane)
	s.m.fs.initLane(l)
	for range 5000 {
		if _, errno := l.fopen(s.desc, s.m.fs.objects.Get(uint64(f.obj)), syscall.O_RDWR); errno != 0 {
			t.Fatal(errno)
		}
	}
	l.close()
	if errno := s.desc.Umount(s.ch[0], 7, onStatus, &umount); errno != 0 {
		t.Fatal(errno)
	}
	if errno := s.desc.Getattr(s.ch[0], 0, s.root, 0, onAttr, &get); errno != 0 {
		t.Fatal(errno)
	}
	if errno := s.desc.Abort(s.ch[0], 7, onStatus, &abort); errno != 0 {
		t.Fatal(errno)
	}
	for get.calls+abort.calls < 2 {
		s.t.Poll(0, 0)
	}
	if umount.calls != 0 || abort.errno != syscall.EALREADY {
		t.Errorf("umount %+v, abort %+v", umount, abort)
	}
	s.PollThreads()
	if umount.calls != 1 || umount.errno != 0 || s.m.fs.handles.Len() != 0 {
		t.Errorf("umount %+v, %d handles", umount, s.m.fs.handles.Len())
	}
}

// BenchmarkUmount closes handles: of one file, of files of a byte, and of files of 16 MiB that nothing else keeps.
func BenchmarkUmount(b *testing.B) {
	for _, bm := range []struct {
		what       string
		n, perFile int
		size       int
	}{{"handles", 1 << 20, 1 << 20, 0}, {"files", 100000, 1, 1}, {"large", 50, 1, 16 << 20}} {
		b.Run(fmt.Sprintf("%s=%d", bm.what, bm.n), func(b *testing.B) {
			r := newRig(b, Opts{Size: 2 << 30})
			r.fs.now = time.Now
			data := make([]byte, bm.size)
			var parts int
			var total time.Duration
			for b.Loop() {
				b.StopTimer()
				c := creation{typ: syscall.S_IFREG, perm: 0o600}
				var obj fsdev.FileObject
				for i := range bm.n {
					if i%bm.perFile > 0 {
						_, errno := r.fopen(r.desc, r.node(obj), syscall.O_RDWR)
						r.must(errno)
						continue
					}
					o, _, errno := r.tmpfile(r.desc, r.root, &c, syscall.O_RDWR, &r.attr)
					r.must(errno)
					obj = o
					r.put1(obj, 0, data)
				}
				b.StartTimer()
				start := time.Now()
				for parts++; !r.umountPart(r.desc); parts++ {
				}
				total += time.Since(start)
				b.StopTimer()
				r.mount(r.desc, false)
				b.StartTimer()
			}
			b.ReportMetric(float64(total.Microseconds())/float64(parts), "µs/part")
			b.ReportMetric(float64(parts)/float64(b.N), "parts/op")
		})
	}
}
