package iobuf

import (
	"fmt"
	"syscall"
)

// GetFunc is called with an [Entry] that waited and its buffer, on the entry's thread. The
// buffer has the length that was asked for and the capacity of its size. The entry may be
// used again, also to ask for a buffer from inside.
//
// SPDK: spdk_iobuf_get_cb
type GetFunc func(e *Entry, buf []byte)

// Entry is a place in the queue for a buffer; the caller of [Channel.Get] provides it. The zero
// value is ready for use. While it waits it must not be used for another Get.
//
// SPDK: struct spdk_iobuf_entry
type Entry struct {
	// Ctx is the caller's. Not in SPDK, where an entry is part of what it is for.
	Ctx any

	ch         *Channel
	cb         GetFunc
	n          int
	q          *queue // nil unless it waits
	prev, next *Entry
	walk       uint64 // number of the last ForEachEntry that has been here
}

// Channel returns the channel that the entry was last used with.
//
// Not in SPDK: its callbacks find the thread elsewhere.
func (e *Entry) Channel() *Channel { return e.ch }

// Waiting says whether the entry waits. Not in SPDK.
func (e *Entry) Waiting() bool { return e.q != nil }

// ForEachEntryFunc is called with an entry that waits. Anything but 0 ends the iteration.
//
// SPDK: spdk_iobuf_for_each_entry_fn
type ForEachEntryFunc func(ch *Channel, e *Entry, ctx any) syscall.Errno

// ForEachEntry calls fn for the entries of the channel's module that wait on its thread, first
// those for small buffers, each in their order. It returns what fn last returned. fn may abort
// any entry, and put and get buffers.
//
// SPDK: spdk_iobuf_for_each_entry
func (ch *Channel) ForEachEntry(fn ForEachEntryFunc, ctx any) syscall.Errno {
	ch.t.AssertCurrent()
	for c := range ch.th.queues {
		if errno := ch.forEachEntry(&ch.th.queues[c], fn, ctx); errno != 0 {
			return errno
		}
	}
	return 0
}

func (ch *Channel) forEachEntry(q *queue, fn ForEachEntryFunc, ctx any) syscall.Errno {
	ch.th.walks++
	walk, module := ch.th.walks, ch.module
	for e := q.head; e != nil; {
		if e.ch.module != module || e.walk == walk {
			e = e.next
			continue
		}
		e.walk = walk
		version, next := q.version, e.next
		if errno := fn(ch, e, ctx); errno != 0 {
			return errno
		}
		if e = next; q.version != version { // next may be anywhere now: find those that are left
			e = q.head
		}
	}
	return 0
}

// EntryAbort takes an entry that waits on the channel's thread out of its queue: its callback is
// not called. It reports whether the entry waited.
//
// SPDK: spdk_iobuf_entry_abort, which has to be told the length
func (ch *Channel) EntryAbort(e *Entry) bool {
	ch.t.AssertCurrent()
	if e.q == nil {
		return false
	}
	if e.q.th != ch.th {
		panic(fmt.Sprintf("iobuf: abort on thread %q of an entry that waits on thread %q", ch.t.Name(), e.ch.t.Name()))
	}
	e.q.leave(e)
	return true
}
