package iobuf

import (
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// kick sends a message to a thread where entries wait, if there is one that has no message on
// its way, so that it takes what is in the pool. Such a message is on its way as long as there
// are both: free buffers in the pool, and threads that wait. Hence kick is called after a
// buffer has been added, and after a thread has begun to wait or has taken its share.
//
// from is the caller's thread; except, if not nil, is the queue to choose last.
func (p *pool) kick(from *reactor.Thread, except *queue) {
	if p.waiting.Load() == 0 {
		return
	}
	if q := p.nextWaiting(except); q != nil {
		q.notify(from)
	} else if except != nil && except.claim() {
		except.notify(from)
	}
}

func (p *pool) nextWaiting(except *queue) *queue {
	threads := *p.io.threads.Load()
	start := int(p.turn.Add(1))
	for i := range threads {
		q := &threads[(start+i)%len(threads)].queues[p.class]
		if q != except && q.claim() {
			return q
		}
	}
	return nil
}

// reclaim has all threads give back what their channels can spare. It is called when a thread
// begins to wait while no other does: from then on caches do not grow.
func (p *pool) reclaim(from *thread) {
	for _, th := range *p.io.threads.Load() {
		q := &th.queues[p.class]
		if th == from {
			q.giveBack()
		} else if q.asked.CompareAndSwap(false, true) {
			q.ask(from.t)
		}
	}
}

// claim reports whether the caller is to call notify.
func (q *queue) claim() bool {
	return q.waits.Load() && !q.claimed.Load() && q.claimed.CompareAndSwap(false, true)
}

// notify sends the message that claim was for; from is the caller's thread.
func (q *queue) notify(from *reactor.Thread) {
	switch q.th.t.SendMsgFrom(from, serve, q) {
	case syscall.ENOMEM:
		from.Defer(notifyLater, q)
	case syscall.ESRCH: // it was forced to exit
		q.endWait()
		q.pool.kick(from, nil)
	}
}

func notifyLater(t *reactor.Thread, ctx any) { ctx.(*queue).notify(t) }

// serve gives this thread's share of the buffers in the pool to its entries.
func serve(t *reactor.Thread, ctx any) {
	q := ctx.(*queue)
	q.claimed.Store(false) // before the pool is looked at: what is added later has to send another
	for n := max(1, q.pool.ring.Count()/int(max(1, q.pool.waiting.Load()))); n > 0 && q.head != nil; n-- {
		b := q.pool.take()
		if b == nil {
			break
		}
		q.give(b)
	}
	if q.pool.ring.Count() > 0 {
		q.pool.kick(t, nil)
	}
}

// ask has the queue's thread give back what it can spare; from is the caller's thread.
func (q *queue) ask(from *reactor.Thread) {
	if q.th.t.SendMsgFrom(from, giveBack, q) == syscall.ENOMEM {
		from.Defer(askLater, q)
	}
}

func askLater(t *reactor.Thread, ctx any) { ctx.(*queue).ask(t) }

func giveBack(_ *reactor.Thread, ctx any) { ctx.(*queue).giveBack() }

// giveBack adds to the pool what this thread's channels hold beyond the sizes of their caches. If
// these sizes add up to all there is, the channels keep nothing: all that is free may be theirs.
func (q *queue) giveBack() {
	q.asked.Store(false)
	p := q.pool
	if p.waiting.Load() == 0 {
		return
	}
	all := p.reserved.Load() >= int64(len(p.bufs))
	gave := false
	for _, ch := range q.th.channels {
		if ch == nil {
			continue
		}
		c := &ch.caches[p.class]
		keep := c.size
		if all {
			keep = 0
		}
		if len(c.free) > keep {
			p.addAll(c.free[keep:])
			c.free = c.free[:keep]
			gave = true
		}
	}
	if gave {
		p.kick(q.th.t, nil)
	}
}
