package reactor

import "github.com/spdk-go/spdk-go/mempool"

// batchSize is how many messages of a thread, and events of a reactor, a round runs.
// SPDK: SPDK_MSG_BATCH_SIZE, SPDK_EVENT_BATCH_SIZE
const batchSize = 8

// mailbox is a bounded queue: a ring that any goroutine pushes to, and a queue without atomics
// for those who run on the owner's reactor.
//
// The local queue is pushed to only while the ring is empty, and always taken first: so what
// one sender sends stays in order, and the ring cannot starve.
type mailbox[M any] struct {
	ring  mempool.MPSC[M]
	local mempool.FIFO[M]
	size  int
	moved uint64       // from the ring to the local queue
	batch [batchSize]M // being run
}

func (b *mailbox[M]) init(size int) {
	b.size = size
	b.ring.Init(size)
}

// hasLocalRoom reports whether one who runs on the owner's reactor may push to the local queue.
func (b *mailbox[M]) hasLocalRoom() bool { return b.ring.Empty() && b.local.Len() < b.size }

// makeLocalRoom empties the ring into the local queue, as far as there is room, and reports
// whether it may be pushed to then. Otherwise owners that keep a few messages going round would
// never get off the ring again.
//
//go:noinline
func (b *mailbox[M]) makeLocalRoom() bool {
	var m M
	for b.local.Len() < b.size && b.ring.Pop(&m) {
		b.local.Push(m)
		b.moved++
	}
	b.ring.Release()
	return b.hasLocalRoom()
}

// ready reports whether there is something to take. Owner only.
func (b *mailbox[M]) ready() bool { return b.local.Len() > 0 || b.ring.Ready() }

// empty reports whether nothing is in it or about to be. Owner only.
func (b *mailbox[M]) empty() bool { return b.local.Len() == 0 && b.ring.Empty() }

func (b *mailbox[M]) count() int { return b.local.Len() + b.ring.Count() }

// taken returns how many values the owner has taken out to run them. Owner only.
func (b *mailbox[M]) taken() uint64 { return b.local.Taken() + b.ring.Popped() - b.moved }

// take moves at most limit values from the ring to the batch and returns it, nothing while the
// local queue has any; the owner runs it and calls done. All are taken before the first runs,
// which may push more: counting them instead would touch the cache line that senders fight for.
func (b *mailbox[M]) take(limit int) []M {
	if b.local.Len() > 0 {
		return nil
	}
	n := 0
	for n < limit && b.ring.Pop(&b.batch[n]) {
		n++
	}
	return b.batch[:n]
}

// done gives the room of a batch back.
func (b *mailbox[M]) done(batch []M) {
	clear(batch)
	b.ring.Release()
}
