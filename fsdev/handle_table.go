package fsdev

import "sync/atomic"

const (
	handleChunkBits = 10
	handleChunkSize = 1 << handleChunkBits
)

// HandleTable gives out 64-bit handles for *T and turns them back, in O(1) and without a
// lock, refusing what it did not give out: the low half of a handle is a slot, the high
// half the slot's generation, which is odd while the slot is in use and goes up by one at
// its Alloc and its Free. Handles are never 0 and never small numbers. All methods may be
// called from any goroutine.
//
// Not in SPDK, where handles are addresses that the client sends back.
type HandleTable[T any] struct {
	max    uint32
	chunks []atomic.Pointer[[handleChunkSize]handleSlot[T]]
	fresh  atomic.Uint32 // slots used at least once
	used   atomic.Int64
	// free is a stack of slots: the low half is the top one plus 1, the high half counts
	// changes, so that a compare-and-swap cannot be fooled by a slot that came back.
	free atomic.Uint64
}

type handleSlot[T any] struct {
	val      atomic.Pointer[T]
	gen      atomic.Uint32
	nextFree atomic.Uint32 // slot plus 1
}

// NewHandleTable returns a table for at most limit handles at a time. Memory is taken as
// it fills.
//
// Not in SPDK.
func NewHandleTable[T any](limit int) *HandleTable[T] {
	chunks := (limit + handleChunkSize - 1) / handleChunkSize
	return &HandleTable[T]{
		max:    uint32(limit),
		chunks: make([]atomic.Pointer[[handleChunkSize]handleSlot[T]], chunks),
	}
}

// Alloc returns a handle for v; false when the table is full. Not in SPDK.
func (ht *HandleTable[T]) Alloc(v *T) (handle uint64, ok bool) {
	i, ok := ht.popFree()
	if !ok {
		if i, ok = ht.takeFresh(); !ok {
			return 0, false
		}
	}
	s := ht.slot(i)
	// A handle that a client guesses works from here on, so the value comes first.
	s.val.Store(v)
	ht.used.Add(1)
	return uint64(s.gen.Add(1))<<32 | uint64(i), true
}

// Get returns the value of a handle, nil for one that is stale or was never given out.
//
// Not in SPDK.
func (ht *HandleTable[T]) Get(handle uint64) *T {
	s := ht.slotOf(handle)
	if s == nil {
		return nil
	}
	gen := uint32(handle >> 32)
	if s.gen.Load() != gen {
		return nil
	}
	v := s.val.Load()
	// A Free since the first look changes the generation; one that comes later is the
	// caller's to exclude.
	if s.gen.Load() != gen {
		return nil
	}
	return v
}

// Free makes a handle stale and returns its value; nil if it is stale already, so that of
// two concurrent calls one gets the value. Not in SPDK.
func (ht *HandleTable[T]) Free(handle uint64) *T {
	s := ht.slotOf(handle)
	if s == nil {
		return nil
	}
	gen := uint32(handle >> 32)
	if !s.gen.CompareAndSwap(gen, gen+1) {
		return nil
	}
	v := s.val.Load() // until the push, the slot is this call's alone
	s.val.Store(nil)
	ht.used.Add(-1)
	ht.pushFree(uint32(handle))
	return v
}

// Len returns the number of handles given out and not freed. Not in SPDK.
func (ht *HandleTable[T]) Len() int { return int(ht.used.Load()) }

// Range calls fn for every handle that is given out; handles that come or go meanwhile may
// be missed. Not in SPDK.
func (ht *HandleTable[T]) Range(fn func(handle uint64, v *T)) {
	for i := range ht.fresh.Load() {
		s := ht.slot(i)
		if s == nil {
			continue
		}
		handle := uint64(s.gen.Load())<<32 | uint64(i)
		if v := ht.Get(handle); v != nil {
			fn(handle, v)
		}
	}
}

func (ht *HandleTable[T]) slot(i uint32) *handleSlot[T] {
	c := ht.chunks[i>>handleChunkBits].Load()
	if c == nil {
		return nil
	}
	return &c[i%handleChunkSize]
}

// slotOf returns the slot that a handle speaks of, nil if there is no such slot or its
// generation is none of a slot in use.
func (ht *HandleTable[T]) slotOf(handle uint64) *handleSlot[T] {
	i := uint32(handle)
	if i >= ht.max || handle>>32&1 == 0 {
		return nil
	}
	return ht.slot(i)
}

func (ht *HandleTable[T]) takeFresh() (uint32, bool) {
	for {
		i := ht.fresh.Load()
		if i >= ht.max {
			return 0, false
		}
		c := &ht.chunks[i>>handleChunkBits]
		if c.Load() == nil {
			c.CompareAndSwap(nil, new([handleChunkSize]handleSlot[T]))
		}
		if ht.fresh.CompareAndSwap(i, i+1) {
			return i, true
		}
	}
}

func (ht *HandleTable[T]) popFree() (uint32, bool) {
	for {
		top := ht.free.Load()
		if uint32(top) == 0 {
			return 0, false
		}
		i := uint32(top) - 1
		next := uint64(ht.slot(i).nextFree.Load())
		if ht.free.CompareAndSwap(top, (top>>32+1)<<32|next) {
			return i, true
		}
	}
}

func (ht *HandleTable[T]) pushFree(i uint32) {
	s := ht.slot(i)
	for {
		top := ht.free.Load()
		s.nextFree.Store(uint32(top))
		if ht.free.CompareAndSwap(top, (top>>32+1)<<32|uint64(i+1)) {
			return
		}
	}
}
