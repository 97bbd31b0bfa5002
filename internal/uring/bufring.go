package uring

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// BufRing is a group of buffers that the kernel takes from when an operation with IOSQE_BUFFER_SELECT has data, and not
// before: many reads can wait with few buffers. It belongs to the thread of its ring.
type BufRing struct {
	r     *Ring
	group uint16
	mem   []byte
	bufs  []Buf
	word  *uint32 // the id of entry 0 and, in its upper half, the tail
	tail  uint16
	given [][]byte // by id: keeps them reachable, and finds them again
}

// RegisterBufRing makes a group of up to entries buffers, a power of two up to 32768. SQE.BufIndex is the group.
func (r *Ring) RegisterBufRing(group uint16, entries uint32) (*BufRing, error) {
	if entries == 0 || entries > 1<<15 || bits.OnesCount32(entries) != 1 {
		return nil, fmt.Errorf("uring: a ring of %d buffers is no power of two up to 32768: %w", entries, unix.EINVAL)
	}
	page := unix.Getpagesize()
	mem, err := sys.MapAnon((int(entries)*SizeofBuf + page - 1) &^ (page - 1))
	if err != nil {
		return nil, fmt.Errorf("uring: memory for a ring of %d buffers: %w", entries, err)
	}
	b := &BufRing{r: r, group: group, mem: mem, given: make([][]byte, entries)}
	b.bufs, b.word = bufRing(mem, entries)
	arg := BufReg{RingAddr: memAddr(mem), RingEntries: entries, Bgid: group}
	if errno := r.registerBufRing(IORING_REGISTER_PBUF_RING, &arg); errno != 0 {
		_ = sys.Unmap(mem)
		return nil, r.explain(fmt.Sprintf("registering %d provided buffers as group %d", entries, group), errno)
	}
	r.groups = append(r.groups, b)
	return b, nil
}

// Group returns what to put into [SQE.BufIndex].
func (b *BufRing) Group() uint16 { return b.group }

// Add gives the kernel a buffer, whose id comes back in [CQE.Buffer]. Ids are less than the number of entries, and
// each is out once: it can be added again when it came back. The kernel sees it after [BufRing.Publish].
func (b *BufRing) Add(id uint16, buf []byte) {
	b.given[id] = buf
	e := &b.bufs[int(b.tail)&(len(b.bufs)-1)]
	e.Addr, e.Len, e.Bid = sliceAddr(buf), uint32(len(buf)), id
	b.tail++
}

// Publish shows the kernel the buffers that were added.
func (b *BufRing) Publish() {
	// The tail shares a word with the id of entry 0, which nobody changes meanwhile.
	atomic.StoreUint32(b.word, uint32(b.bufs[0].Bid)|uint32(b.tail)<<16)
}

// Buf returns the buffer of an id.
func (b *BufRing) Buf(id uint16) []byte { return b.given[id] }

// Close gives the group up. Nothing that selects from it may be in flight.
func (b *BufRing) Close() error {
	if b.mem == nil {
		return nil
	}
	arg := BufReg{Bgid: b.group}
	if errno := b.r.registerBufRing(IORING_UNREGISTER_PBUF_RING, &arg); errno != 0 {
		return b.r.explain(fmt.Sprintf("giving up buffer group %d", b.group), errno)
	}
	b.unmap()
	return nil
}

// unmap gives back the memory; the kernel pinned it, so that a ring that still exits does not miss it.
func (b *BufRing) unmap() {
	if b.mem != nil {
		_ = sys.Unmap(b.mem)
		b.mem, b.bufs, b.word = nil, nil, nil
	}
}
