package uring

import "sync/atomic"

// sq is the submission queue. tail is ours alone; the kernel sees it when it is published, and moves head.
type sq struct {
	sqes      []SQE
	khead     *uint32
	ktail     *uint32
	kflags    *uint32
	kdropped  *uint32
	head      uint32 // of khead, as last seen
	tail      uint32
	published uint32 // what ktail was set to
	mask      uint32
	entries   uint32
	shift     uint32
}

// Room returns how many entries [Ring.GetSQE] can give before the next submission. Entries that are linked must be
// submitted together: see that there is room for all before the first.
func (r *Ring) Room() int {
	q := &r.sq
	q.head = atomic.LoadUint32(q.khead)
	return int(q.entries - (q.tail - q.head))
}

// Pending returns how many entries the kernel has not taken yet.
func (r *Ring) Pending() int { return int(r.sq.tail - atomic.LoadUint32(r.sq.khead)) }

// GetSQE returns the next entry of the submission queue, cleared, or nil if the queue is full: then submit, or let
// the caller wait its turn as [Queue] does. The entry goes with the next [Ring.Submit], whatever is in it then: fill
// it at once, and do not touch it afterwards.
func (r *Ring) GetSQE() *SQE {
	s := r.nextSQE()
	if s != nil {
		*s = SQE{}
	}
	return s
}

// nextSQE is GetSQE for those who overwrite all of it.
func (r *Ring) nextSQE() *SQE {
	q := &r.sq
	if q.tail-q.head >= q.entries {
		if q.head = atomic.LoadUint32(q.khead); q.tail-q.head >= q.entries {
			return nil
		}
	}
	i := (q.tail & q.mask) << q.shift
	q.tail++
	if q.shift != 0 {
		q.sqes[i+1] = SQE{}
	}
	return &q.sqes[i]
}

// publish shows the kernel what is new, and returns how much it has to take.
func (q *sq) publish() uint32 {
	if q.published != q.tail {
		atomic.StoreUint32(q.ktail, q.tail)
		q.published = q.tail
	}
	return q.tail - atomic.LoadUint32(q.khead)
}
