package memfs

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	pageShift = 12
	pageSize  = 1 << pageShift
	pageMask  = pageSize - 1

	groupPages = 512
	groupBytes = groupPages * pageSize // the size of a huge page
	groupWords = groupPages / 64

	// listAt is how many free pages a group needs before it is offered to whoever looks
	// for pages: adopting a group for the sake of three pages costs more than it gives.
	// The price is that 1/16 of the pages may be free and yet not to be had, which
	// newArena makes up for in address space.
	listAt = groupPages / 16

	// maxLanes bounds how many threads can use one file system, since each keeps one
	// group of pages to itself. newArena reserves address space for that, too.
	maxLanes = 256

	// trimKeep is how many freed pages are kept for reuse before memory goes back to
	// the system: reuse is quick and a fault is not.
	trimKeep = 64 << 20 >> pageShift
)

// The states of a group.
const (
	groupFull   uint32 = iota // fewer than listAt pages are free and nobody owns it
	groupListed               // in the list of groups with free pages
	groupOwned                // one lane allocates from it
)

// group is 2 MiB of the arena, huge-page aligned. Its pages are allocated only by the lane
// that owns it, and freed by anyone.
type group struct {
	free  [groupWords]atomic.Uint64 // a bit per page: it can be allocated
	clean [groupWords]uint64        // the owner's. A bit per page: never written since the kernel gave it
	count atomic.Int32              // of free pages; raised after, lowered before the bits
	state atomic.Uint32
	_     [56]byte // to a multiple of a cache line
}

// arena is the memory of file data: pages with a number, outside the Go heap. It hands out
// runs of adjacent pages and never blocks.
//
// An arena does not limit how many pages are in use; the file system counts them (see
// fileSystem.reserve) and never asks for more than the arena was made for. The arena is larger
// than that by what its lanes and its groups' granularity can withhold, so that a reservation
// is a promise: allocRun cannot fail.
type arena struct {
	mapping []byte // as mapped
	mem     []byte // the groups: mapping from its first huge-page boundary on
	groups  []group
	listed  []atomic.Uint64 // a bit per group in state groupListed

	_       [64]byte
	nListed atomic.Int64  // how many bits of listed are set, roughly
	next    atomic.Uint32 // groups from here on were never used
	touched atomic.Int64  // pages that have been allocated since the kernel gave them
	_       [64]byte
}

// newArena makes an arena of which pages pages can be in use. Errors wrap ENOMEM and what
// mmap returns.
func newArena(pages int64, hugePages bool) (*arena, error) {
	n := (pages+groupPages-listAt-1)/(groupPages-listAt) + 2*maxLanes + 1
	if n > 1<<32/groupPages-1 {
		return nil, fmt.Errorf("memfs: %d pages are more than an arena holds: %w", pages, unix.ENOMEM)
	}
	// NORESERVE: most of it will never be touched
	m, err := unix.Mmap(-1, 0, int(n+1)*groupBytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("memfs: map %d MiB for file data: %w", (n+1)*groupBytes>>20, err)
	}
	// Advice: a kernel that cannot follow it serves us as well, only slower.
	if hugePages {
		_ = unix.Madvise(m, unix.MADV_HUGEPAGE)
	}
	_ = unix.Madvise(m, unix.MADV_DONTDUMP)
	skip := -int64(sys.Addr(m)) & (groupBytes - 1)
	return &arena{
		mapping: m,
		mem:     m[skip : skip+n*groupBytes],
		groups:  make([]group, n),
		listed:  make([]atomic.Uint64, (n+63)/64),
	}, nil
}

// close gives the memory back. Nothing may use the arena any more.
func (a *arena) close() error {
	if a.mapping == nil {
		return nil
	}
	m := a.mapping
	a.mapping, a.mem = nil, nil
	return unix.Munmap(m)
}

// page returns the n pages from number p on.
func (a *arena) pages(p uint32, n int) []byte {
	start := int(p) << pageShift
	return a.mem[start : start+n<<pageShift : start+n<<pageShift]
}

// pageCache is a lane's share of an arena: the group that it owns. Its zero value owns none.
type pageCache struct {
	group uint32 // number + 1
	word  int    // no page is known to be free in the words before
	hint  int    // where in arena.listed to look first
}

// allocRun allocates up to want adjacent pages and returns the first, their number (at least
// one) and whether they are all zero; if not, they hold what was last written to them. The
// caller has reserved the pages (fileSystem.reserve).
func (a *arena) allocRun(c *pageCache, want int) (page uint32, n int, zero bool) {
	for {
		if c.group == 0 {
			a.adopt(c)
		}
		gi := c.group - 1
		g := &a.groups[gi]
		for ; c.word < groupWords; c.word++ {
			free := g.free[c.word].Load()
			if free == 0 {
				continue
			}
			first := bits.TrailingZeros64(free)
			zero = g.clean[c.word]>>first&1 != 0
			run := free &^ g.clean[c.word]
			if zero {
				run = free & g.clean[c.word]
			}
			n = min(bits.TrailingZeros64(^(run >> first)), want)
			mask := (^uint64(0) >> (64 - n)) << first
			g.count.Add(int32(-n))
			g.free[c.word].And(^mask)
			if zero {
				g.clean[c.word] &^= mask
				a.touched.Add(int64(n))
			}
			return gi*groupPages + uint32(c.word)<<6 + uint32(first), n, zero
		}
		if g.count.Load() >= listAt {
			c.word = 0 // pages were freed behind our back
			continue
		}
		a.disown(c)
	}
}

// adopt finds a group with free pages for c to own. Used memory comes before new memory.
func (a *arena) adopt(c *pageCache) {
	for {
		if a.nListed.Load() > 0 {
			for range a.listed {
				if c.hint >= len(a.listed) {
					c.hint = 0
				}
				if w := a.listed[c.hint].Load(); w != 0 {
					i := uint32(c.hint)<<6 + uint32(bits.TrailingZeros64(w))
					if a.claim(i) {
						c.group, c.word = i+1, 0
						return
					}
				}
				c.hint++
			}
		}
		for {
			i := a.next.Load()
			if int(i) >= len(a.groups) {
				break
			}
			if a.next.CompareAndSwap(i, i+1) {
				g := &a.groups[i]
				g.state.Store(groupOwned)
				for w := range g.free {
					g.clean[w] = ^uint64(0)
					g.free[w].Store(^uint64(0))
				}
				g.count.Store(groupPages)
				c.group, c.word = i+1, 0
				return
			}
		}
		// There is a listed group, by the size that newArena chose. Others are moving it.
	}
}

// claim takes a listed group out of the list and makes the caller its owner. It fails when
// another lane was faster.
func (a *arena) claim(i uint32) bool {
	bit := uint64(1) << (i & 63)
	if a.listed[i>>6].And(^bit)&bit == 0 {
		return false
	}
	a.nListed.Add(-1)
	a.groups[i].state.Store(groupOwned)
	return true
}

// disown gives up the group that c owns.
func (a *arena) disown(c *pageCache) {
	if c.group == 0 {
		return
	}
	i := c.group - 1
	c.group = 0
	a.groups[i].state.Store(groupFull)
	a.offer(i)
}

// offer lists a group that has enough free pages and no owner.
func (a *arena) offer(i uint32) {
	g := &a.groups[i]
	if g.count.Load() >= listAt && g.state.CompareAndSwap(groupFull, groupListed) {
		a.listed[i>>6].Or(1 << (i & 63))
		a.nListed.Add(1)
	}
}

// freeRun frees n adjacent pages. They may have been allocated by any lane.
func (a *arena) freeRun(page uint32, n int) {
	for n > 0 {
		i := page / groupPages
		g := &a.groups[i]
		total := int32(0)
		for n > 0 && page/groupPages == i {
			bit := page & 63
			k := min(n, 64-int(bit))
			g.free[page%groupPages>>6].Or((^uint64(0) >> (64 - k)) << bit)
			page += uint32(k)
			n -= k
			total += int32(k)
		}
		g.count.Add(total)
		a.offer(i)
	}
}

// trim gives the memory of up to max entirely free groups back to the system and returns how
// many it found. Each costs the caller a madvise(2) of 2 MiB.
func (a *arena) trim(max int) int {
	found := 0
	for w := range a.listed {
		for set := a.listed[w].Load(); set != 0; set &= set - 1 {
			i := uint32(w)<<6 + uint32(bits.TrailingZeros64(set))
			g := &a.groups[i]
			if g.count.Load() != groupPages || !a.claim(i) {
				continue
			}
			if a.clean(i) {
				found++
			}
			a.groups[i].state.Store(groupFull)
			a.offer(i)
			if found == max {
				return found
			}
		}
	}
	return found
}

// clean gives the memory of a group that the caller owns back, if all of it is free and any
// of it was ever used.
func (a *arena) clean(i uint32) bool {
	g := &a.groups[i]
	dirty := int64(0)
	for w := range g.clean {
		dirty += int64(bits.OnesCount64(^g.clean[w]))
	}
	if dirty == 0 || g.count.Load() != groupPages {
		return false
	}
	start := int(i) * groupBytes
	if unix.Madvise(a.mem[start:start+groupBytes], unix.MADV_DONTNEED) != nil {
		return false
	}
	for w := range g.clean {
		g.clean[w] = ^uint64(0)
	}
	a.touched.Add(-dirty)
	return true
}
