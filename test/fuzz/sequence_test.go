package fuzz

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

// maxSteps is how many operations a sequence has at most.
const maxSteps = 400

// operations are what a byte of a sequence stands for, with how often.
var operations = func() (list []func(w *world)) {
	for _, o := range []struct {
		weight int
		op     func(w *world)
	}{
		{7, opLookup}, {7, opMake}, {3, opReadlink}, {5, opLink}, {8, opRemove}, {10, opRename}, {6, opForget},
		{7, opReaddir}, {6, opGetattr}, {9, opSetattr}, {2, opStatfs}, {4, opSetxattr}, {3, opGetxattr},
		{2, opListxattr}, {2, opRemovexattr}, {6, opOpen}, {12, opCreate}, {6, opRelease}, {3, opFlush}, {10, opRead},
		{14, opWrite}, {9, opFallocate}, {6, opLseek}, {10, opCopy}, {14, opLock}, {3, opInterrupt}, {1, opSession},
		{1, opCrowd},
	} {
		for range o.weight {
			list = append(list, o.op)
		}
	}
	return list
}()

// FuzzSequence does what the bytes say, and compares.
func FuzzSequence(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 16 {
		f.Add(randomBytes(rng, 600))
	}
	f.Fuzz(runSequence)
}

func runSequence(t *testing.T, data []byte) {
	if len(data) > 1<<13 {
		return
	}
	w := newWorld(t, data)
	for range maxSteps {
		if len(w.src.data) == 0 {
			break
		}
		n := len(w.log)
		operations[w.src.n(len(operations))](w)
		if len(w.log) > n {
			w.settle()
			w.checkSpace()
		}
	}
	w.finish(len(data)%2 == 0)
}

// finish has everything let go of and removed, and wants nothing to be left.
func (w *world) finish(orderly bool) {
	w.logf("the end, orderly %v", orderly)
	if orderly {
		w.letGo()
	}
	for _, c := range w.clients {
		w.destroy(c)
		w.checkSpace()
	}
	c := w.clients[0]
	c.init(0)
	w.removeAll(c, w.m.root)
	for _, name := range slices.Sorted(maps.Keys(w.m.root.xattrs)) {
		w.logf("REMOVEXATTR %q", name)
		if r := c.do(FUSE_REMOVEXATTR, rootID, 0, cstr(name)); r.errno != 0 {
			w.fail("%v", r.errno)
		}
	}
	w.m.root.setXattrs(nil)
	w.checkSpace()
	if st := w.mem.Statfs(); st.Bfree != st.Blocks || st.Ffree != st.Files-1 {
		w.fail("there is something left: %+v", st)
	}
	w.destroy(c)
	w.close()
}

// letGo closes and forgets what clients have.
func (w *world) letGo() {
	for _, x := range slices.Clone(w.m.waits) {
		x.interrupted = true
		x.r.c.do(FUSE_INTERRUPT, 0, 0, Bytes(&InterruptIn{Unique: x.r.unique}))
		w.settle()
	}
	for _, fh := range slices.Sorted(maps.Keys(w.m.handles)) {
		h := w.m.handles[fh]
		w.release(w.clients[h.client], h.n.id, fh, false)
		w.settle()
	}
	for _, id := range slices.Sorted(maps.Keys(w.m.byID)) {
		for _, c := range w.clients {
			if n := w.m.byID[id]; n != nil && n.lookups[c.i] > 0 {
				w.forget(c, id, n.lookups[c.i])
			}
		}
	}
	w.checkSpace()
	if left := w.m.nodes; left != w.m.named(w.m.root, map[*node]bool{}) {
		w.fail("%d files live, more than have names", left)
	}
}

// named counts the files at and below d.
func (m *model) named(d *node, seen map[*node]bool) int {
	seen[d] = true
	for _, e := range d.kids {
		seen[e.n] = true
		if e.n.isDir() {
			m.named(e.n, seen)
		}
	}
	return len(seen)
}

// removeAll reads a directory to its end, which must be all there is, and removes it.
func (w *world) removeAll(c *client, d *node) {
	count, size := 0, one(&w.src, 4096, 600)
	for offset, more := uint64(0), true; more; more = offset != 0 {
		w.logf("READDIRPLUS %v from %d", d, offset)
		offset = w.readdir(c, &verdict{}, d, d.id, 0, offset, size, true)
		count++
	}
	for _, name := range d.listing(0) {
		n := d.kids[name].n
		switch n.typ {
		case syscall.S_IFDIR:
			w.removeAll(c, n)
		case syscall.S_IFREG:
			w.readAll(c, n)
		}
		w.remove(c, d.id, name, n.isDir())
		w.forget(c, n.id, n.lookups[c.i])
		w.settle()
	}
}

// close takes everything down, the devices given beside the file system first.
func (w *world) close(others ...*fsdev.Fsdev) {
	for _, c := range w.clients {
		for _, ch := range c.chans {
			ch.Put()
		}
		c.d.Delete(w.Threads[0], nil, nil)
	}
	finished := 0
	t := w.Threads[0]
	done := func(_ *reactor.Thread, _ any, err error) {
		finished++
		if err != nil {
			w.fail("%v", err)
		}
	}
	w.PollThreads()
	for _, f := range others {
		f.Unregister(t, done, nil)
		w.PollThreads()
	}
	memfs.Delete(t, w.mem, done, nil)
	w.PollThreads()
	fsdev.Finish(t, done, nil)
	w.PollThreads()
	if finished != 2+len(others) {
		w.fail("does not come to an end")
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func randomBytes(rng *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

var seqSeed = flag.Uint64("sequence.seed", 0, "seed of TestSequences; 0 draws one")

// TestSequences does what random bytes say for a while. A failure shows what has happened, and the seed, with which
// -sequence.seed does it again.
func TestSequences(t *testing.T) {
	seed := *seqSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	end := time.Now().Add(2 * time.Second)
	n := 0
	for ; time.Now().Before(end); n++ {
		ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			})
			runSequence(t, randomBytes(rng, 200+rng.IntN(3000)))
		})
		if !ok {
			return
		}
	}
	t.Logf("%d sequences", n)
}
