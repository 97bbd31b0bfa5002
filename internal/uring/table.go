package uring

import (
	"fmt"
	"iter"
)

// Handle is what travels as user data with an operation: the slot of a [Table] that holds it, the generation of the
// slot, and the kind of the table, so that several can share a ring. It is a number that the kernel, and whoever may
// write to the ring (IORING_OP_MSG_RING), can hand back at any time: nothing is reached through it unchecked.
type Handle uint64

// A handle is kind:8 generation:32 slot:24. The highest bits of the slot say that what completes is not the operation
// in it, but something about that.
const (
	slotBits  = 24
	kindShift = 56
	noSlot    = 1<<slotBits - 1

	cancelOf = 1 << (slotBits - 1) // its cancellation
	pauseOf  = 1 << (slotBits - 2) // the time until its cancellation is tried again
	aboutOf  = cancelOf | pauseOf

	// MaxSlots is the most that a [Table] can hold.
	MaxSlots = pauseOf
)

func makeHandle(kind uint8, gen uint32, slot uint32) Handle {
	return Handle(kind)<<kindShift | Handle(gen)<<slotBits | Handle(slot)
}

// Discard returns a handle of a kind that no slot has, for operations whose completion does not matter.
func Discard(kind uint8) Handle { return makeHandle(kind, 0, noSlot) }

// Kind returns which table the handle is of.
func (h Handle) Kind() uint8 { return uint8(h >> kindShift) }

// Slot returns the place in the table.
func (h Handle) Slot() uint32 { return uint32(h) & noSlot }

// Generation returns how often the slot was taken and given back, both counted. It is odd while it is taken.
func (h Handle) Generation() uint32 { return uint32(h >> slotBits) }

// String returns kind, slot and generation, for logs.
func (h Handle) String() string { return fmt.Sprintf("%d:%d.%d", h.Kind(), h.Slot(), h.Generation()) }

// Table holds what is in flight, in a fixed number of slots that never move. Taking a slot, finding and giving back are
// O(1) and allocate nothing. A slot that was given back keeps its T as it is: clear what must not be retained. One
// thread uses it.
type Table[T any] struct {
	slots []slot[T]
	free  uint32 // first free slot, or noSlot
	used  int
	stale uint64
	kind  uint8
}

type slot[T any] struct {
	val  T
	gen  uint32
	next uint32 // free slot
}

// NewTable makes a table of n slots, at most MaxSlots, whose handles have the given kind.
func NewTable[T any](n int, kind uint8) *Table[T] {
	if n <= 0 || n > MaxSlots {
		panic(fmt.Sprintf("uring: a table of %d slots", n))
	}
	t := &Table[T]{slots: make([]slot[T], n), kind: kind}
	for i := range t.slots {
		t.slots[i].next = uint32(i) + 1
	}
	t.slots[n-1].next = noSlot
	return t
}

// Get takes a slot, the one that was given back last, or returns nil if all are taken.
func (t *Table[T]) Get() (*T, Handle) {
	if t.free == noSlot {
		return nil, 0
	}
	i := t.free
	s := &t.slots[i]
	t.free = s.next
	s.gen++
	t.used++
	return &s.val, makeHandle(t.kind, s.gen, i)
}

// Find returns what the handle stands for, or nil if it was given back, is of another kind, or was never there.
func (t *Table[T]) Find(h Handle) *T {
	i := h.Slot()
	if h.Kind() != t.kind || i >= uint32(len(t.slots)) {
		return nil
	}
	s := &t.slots[i]
	if s.gen != h.Generation() || s.gen&1 == 0 {
		return nil
	}
	return &s.val
}

// Lookup is [Table.Find] for a completion: one whose handle stands for nothing is counted.
func (t *Table[T]) Lookup(h Handle) *T {
	v := t.Find(h)
	if v == nil {
		t.stale++
	}
	return v
}

// Put gives a slot back. It panics if the handle stands for nothing.
func (t *Table[T]) Put(h Handle) {
	if t.Find(h) == nil {
		panic(fmt.Sprintf("uring: slot %v is given back twice", h))
	}
	i := h.Slot()
	s := &t.slots[i]
	s.gen++
	s.next = t.free
	t.free = i
	t.used--
}

// Used returns how many slots are taken.
func (t *Table[T]) Used() int { return t.used }

// Cap returns how many slots there are.
func (t *Table[T]) Cap() int { return len(t.slots) }

// Stale returns how many handles [Table.Lookup] was given that stood for nothing.
func (t *Table[T]) Stale() uint64 { return t.stale }

// All visits the slots that are taken. They may be given back meanwhile.
func (t *Table[T]) All() iter.Seq2[Handle, *T] {
	return func(yield func(Handle, *T) bool) {
		for i := range t.slots {
			s := &t.slots[i]
			if s.gen&1 == 1 && !yield(makeHandle(t.kind, s.gen, uint32(i)), &s.val) {
				return
			}
		}
	}
}
