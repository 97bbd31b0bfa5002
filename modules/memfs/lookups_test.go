package memfs

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// sum returns how many lookups a client has of an inode.
func (n *inode) sum(num uint64) (sum uint64) {
	n.holds.each(func(w *atomic.Uint64) bool {
		if v := w.Load(); v>>lookupBits == num {
			sum += v & lookupMask
		}
		return false
	})
	return sum
}

// TestLookupsAreTheClients has clients on lanes of their own look up, forget and leave at random, all the same files:
// what each has is what it has looked up less what it has forgotten, and a file without a name goes with the last of
// them.
func TestLookupsAreTheClients(t *testing.T) {
	const files = 20
	r := newRig(t, Opts{})
	var nodes [files]*inode
	for i := range nodes {
		obj := r.mkfile(r.root, fmt.Sprint(i))
		nodes[i] = r.node(obj)
	}
	var removed atomic.Bool
	r.together(func(k int, w *worker) {
		l, desc := w.lane, new(fsdev.Desc)
		l.mount(desc, false)
		var have [files]uint64
		check := func(i int) {
			if got := nodes[i].sum(l.client.num); got != have[i] {
				t.Errorf("client %d has %d lookups of file %d, want %d", k, got, i, have[i])
			}
		}
		for n := range rounds(20000) {
			i := w.rnd.Intn(files)
			switch d := w.rnd.Intn(100); {
			case d < 60:
				errno := insistently(l, func() syscall.Errno {
					_, errno := l.lookup(r.root, fmt.Append(nil, i), &w.attr)
					return errno
				})
				if errno == 0 {
					have[i]++
				} else if errno != syscall.ENOENT || !removed.Load() {
					t.Errorf("lookup: %v", errno)
				}
			case d < 98:
				some := uint64(w.rnd.Intn(4))
				l.forget(nodes[i].obj, some)
				have[i] -= min(some, have[i])
			case d == 98:
				l.umount(desc)
				l.mount(desc, false)
				have = [files]uint64{}
			case k == 0 && n > rounds(20000)/2:
				removed.Store(true)
				errno := insistently(l, func() syscall.Errno { return l.remove(r.root, fmt.Append(nil, i), false) })
				if errno != 0 && errno != syscall.ENOENT {
					t.Errorf("unlink: %v", errno)
				}
			}
			check(i)
			if have[i] > 0 && r.fs.objects.Get(uint64(nodes[i].obj)) == nil {
				t.Errorf("file %d has gone, of which client %d has %d lookups", i, k, have[i])
			}
		}
		for i := range have {
			check(i)
		}
		l.umount(desc)
	})
	for i, n := range nodes {
		if got := n.sum(r.client.num); got != 1 {
			t.Errorf("there are %d lookups of file %d by who did nothing, want 1", got, i)
		}
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestHoldsAreUsedAgain pins that clients that come and go do not make the list of a file's lookups longer.
func TestHoldsAreUsedAgain(t *testing.T) {
	r := newRig(t, Opts{})
	n := r.node(r.mkfile(r.root, "f"))
	for range 1000 {
		a, b := new(fsdev.Desc), new(fsdev.Desc)
		for _, desc := range []*fsdev.Desc{a, b} {
			r.mount(desc, false)
			_, errno := r.lookup1(r.root, "f")
			r.must(errno)
		}
		r.umount(a)
		r.umount(b)
	}
	words := 0
	n.holds.each(func(*atomic.Uint64) bool { words++; return false })
	if words != 3 {
		t.Errorf("there are %d words for 3 clients at a time", words)
	}
	if refs := n.refs.Load(); refs > 4 {
		t.Errorf("%d references, want those of the name and of 3 clients", refs)
	}
	r.umount(r.desc)
	r.removeAll(r.root)
	r.checkEmpty()
}

// TestLookupsHaveANumber pins that a count that is full stays so, and that numbers of clients come back without two
// clients having one.
func TestLookupsHaveANumber(t *testing.T) {
	r := newRig(t, Opts{})
	n := r.node(r.mkfile(r.root, "f"))
	n.holds.first.Store(r.client.num<<lookupBits | lookupMask)
	r.addLookup(n)
	if got := n.sum(r.client.num); got != lookupMask {
		t.Errorf("%#x lookups", got)
	}
	r.fs.numbers.Store(numberMask - 1)
	seen := map[uint64]bool{r.client.num: true}
	for range 3 {
		c := r.fs.ensureClient(new(fsdev.Desc))
		if c.num == 0 || c.num > numberMask || seen[c.num] {
			t.Errorf("client number %#x, of %v", c.num, seen)
		}
		seen[c.num] = true
	}
}

// TestMillionForgets has one client forget what it has not: a million objects and numbers, some of them the other's
// and most invented. The other, which has files without names and handles, notices nothing.
func TestMillionForgets(t *testing.T) {
	const files = 50
	total := 1_000_000
	if testing.Short() || raceEnabled {
		total = 100_000
	}
	rng := newPCG(t)
	w := newWired(t, Opts{Size: 4 << 20, Inodes: 1000})
	hostile, c := w.clients[0], w.clients[1]
	var nodes []uint64
	for i := range files {
		node, fh := c.create(FUSE_ROOT_ID, fmt.Sprint(i))
		c.write(node, fh, 0, fmt.Append(nil, "file", i))
		c.release(node, fh)
		if i%2 == 0 {
			c.must(FUSE_UNLINK, FUSE_ROOT_ID, wireName(fmt.Sprint(i)))
		}
		nodes = append(nodes, node)
	}
	objects := w.fs.objects.Len()
	check := func() {
		t.Helper()
		for i, node := range nodes {
			if got, want := string(c.read(node, 0, 100)), fmt.Sprint("file", i); got != want {
				t.Fatalf("file %d is %q, want %q", i, got, want)
			}
		}
	}
	for i := range total {
		node := nodes[rng.IntN(files)]
		switch rng.IntN(4) {
		case 0:
			node ^= 1 << rng.IntN(64)
		case 1:
			node = rng.Uint64N(2000)
		}
		r := hostile.get()
		r.check = attacked
		r.add(Bytes(&ForgetIn{Nlookup: 1 << rng.IntN(64)}))
		r.send(FUSE_FORGET, node)
		if i%wireQueue == 0 {
			hostile.settle()
		}
		if i%(total/20) == 0 {
			check()
		}
	}
	hostile.settle()
	check()
	if n := w.fs.objects.Len(); n != objects {
		t.Errorf("%d objects, %d before", n, objects)
	}
	for _, node := range nodes {
		c.must(FUSE_FORGET, node, Bytes(&ForgetIn{Nlookup: 1}))
	}
	if n := w.fs.objects.Len(); n != objects-files/2 {
		t.Errorf("%d objects when the files without names are forgotten, want %d", n, objects-files/2)
	}
}

// BenchmarkLookupForget looks a file up and forgets it, from all CPUs: each its own file or all the same one, and as
// one client or one each.
func BenchmarkLookupForget(b *testing.B) {
	for _, sharedFile := range []bool{false, true} {
		for _, sharedClient := range []bool{true, false} {
			b.Run(fmt.Sprintf("file=%v/client=%v", sharedFile, sharedClient), func(b *testing.B) {
				r := newRig(b, Opts{})
				r.fs.now = time.Now
				var dirs, files [64]fsdev.FileObject
				for i := range dirs {
					dirs[i] = r.mkdir(r.root, fmt.Sprint(i))
					files[i] = r.mkfile(dirs[i], "f")
				}
				var next atomic.Int32
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					l := new(lane)
					r.fs.initLane(l)
					defer l.close()
					i := next.Add(1)
					desc := r.desc
					if !sharedClient {
						desc = new(fsdev.Desc)
					}
					l.mount(desc, false)
					if sharedFile {
						i = 0
					}
					name := []byte("f")
					var attr fsdev.Attr
					for pb.Next() {
						insistently(l, func() syscall.Errno {
							_, errno := l.lookup(dirs[i], name, &attr)
							return errno
						})
						l.forget(files[i], 1)
					}
				})
			})
		}
	}
}

// TestClientsOfOneFileRace has clients take the first words of files at the same time, as others leave.
func TestClientsOfOneFileRace(t *testing.T) {
	r := newRig(t, Opts{})
	n := r.node(r.mkfile(r.root, "f"))
	seed := newRand(t).Int63()
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewSource(seed + int64(k)))
			l, desc := new(lane), new(fsdev.Desc)
			r.fs.initLane(l)
			for range rounds(20000) {
				l.mount(desc, false)
				some := 1 + rnd.Intn(3)
				for range some {
					l.addLookup(n)
				}
				if got := n.sum(l.client.num); got != uint64(some) {
					t.Errorf("client %d has %d lookups, want %d", k, got, some)
				}
				if rnd.Intn(2) == 0 {
					l.forget(n.obj, uint64(rnd.Intn(5)))
				}
				l.umount(desc)
			}
			l.close()
		})
	}
	wg.Wait()
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}
