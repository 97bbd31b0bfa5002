package aio

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// The states of a job. It enters and leaves a list, and the state that says so, under the lock of that list; who wants
// to take it out of one looks at the state under that lock, not knowing which list it is in.
const (
	jobIdle    = iota
	jobQueued  // in pool.jobs
	jobWaiting // in dirState.waiting
	jobRunning // a worker or the ring has it
)

// jobList is a list of jobs.
type jobList struct{ head, tail *job }

func (q *jobList) push(j *job) {
	j.prev, j.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = j
	} else {
		q.head = j
	}
	q.tail = j
}

func (q *jobList) remove(j *job) {
	if j.prev != nil {
		j.prev.next = j.next
	} else {
		q.head = j.next
	}
	if j.next != nil {
		j.next.prev = j.prev
	} else {
		q.tail = j.prev
	}
	j.prev, j.next = nil, nil
}

// closing is a descriptor that is to be closed, a part of what it belonged to.
type closing struct {
	fd     int
	memory bool // the file is in memory
	next   *closing
}

// maxClosings is how many descriptors may wait to be closed before jobs have to wait for that.
const maxClosings = 256

// pool is the workers of an export and what they have to do.
type pool struct {
	ctx     context.Context //nolint:containedctx // never done
	workers sync.WaitGroup
	all     []*worker

	mu       sys.Spin
	jobs     jobList
	closings *closing // the last one first
	toClose  int
	idle     []*worker // asleep, or about to be
	quit     bool

	queued   atomic.Int64 // jobs, for the one who looks out for them
	lookouts atomic.Int32 // workers that look out for jobs: one at most

	// For tests: called by workers before each job, and before a descriptor is closed.
	hook      func(j *job)
	closeHook func()
}

// worker runs jobs on a thread of its own.
type worker struct {
	p    *pool
	a    *Aio
	how  *unix.OpenHow // to find names
	wake sys.Sleeper

	name  [maxName + 1]byte // the job's, each with a NUL
	name2 [maxTarget + 1]byte
	num   [24]byte // a descriptor's name in /proc/self/fd
	stx   unix.Statx_t
	iovs  [maxIovs]unix.Iovec
	buf   []byte // for values of extended attributes

	bounce []byte // see direct.go

	doing atomic.Uint64 // see begin; 0: nothing
	slow  atomic.Bool   // the last job has taken its time, see isQuick
	tid   atomic.Int64

	spares   []int // descriptors that room closes
	reserved bool  // they are for the job
	thread   threadCreds
	locks    locks.Lane
	inProc   bool // the thread's working directory is /proc/self/fd
}

func (p *pool) start(a *Aio, n int) {
	p.ctx = context.Background()
	p.idle = make([]*worker, 0, n)
	p.workers.Add(n)
	for range n {
		w := &worker{p: p, a: a, how: &pathHow, spares: make([]int, 0, maxSpares)}
		p.all = append(p.all, w)
	}
	for _, w := range p.all {
		go w.run()
	}
}

// stop ends the workers when they have nothing to do any more, and waits for that.
func (p *pool) stop() {
	p.mu.Lock()
	p.quit = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, w := range idle {
		w.wake.Wake()
	}
	p.workers.Wait()
}

// push queues a job. Any thread.
func (p *pool) push(j *job) {
	p.mu.Lock()
	j.state.Store(jobQueued)
	p.jobs.push(j)
	p.queued.Add(1)
	w := p.toWake()
	p.mu.Unlock()
	w.rouse()
}

// close queues a descriptor to be closed, unless that takes no time. Any thread.
func (p *pool) close(c *closing) {
	if c.closeNow() {
		return
	}
	p.mu.Lock()
	c.next = p.closings
	p.closings = c
	p.toClose++
	w := p.toWake()
	p.mu.Unlock()
	w.rouse()
}

// toWake returns a worker to rouse, nil if one is awake and looking. It needs the lock.
func (p *pool) toWake() *worker {
	if len(p.idle) == 0 || p.lookouts.Load() > 0 {
		return nil
	}
	w := p.idle[len(p.idle)-1] // its caches are the warmest
	p.idle = p.idle[:len(p.idle)-1]
	return w
}

func (w *worker) rouse() {
	if w != nil {
		w.wake.Wake()
	}
}

// abort takes a job out of the queue and says whether it was there.
func (p *pool) abort(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.state.Load() != jobQueued {
		return false
	}
	p.jobs.remove(j)
	p.queued.Add(-1)
	j.state.Store(jobIdle)
	return true
}

// take returns a job or a descriptor to close.
func (p *pool) take() (j *job, c *closing) {
	p.mu.Lock()
	if j = p.jobs.head; j != nil && p.toClose <= maxClosings {
		p.jobs.remove(j)
		j.state.Store(jobRunning)
		p.queued.Add(-1)
	} else if j, c = nil, p.closings; c != nil {
		p.closings = c.next
		p.toClose--
	}
	var w *worker
	if p.jobs.head != nil {
		w = p.toWake() // the one who took this had been looking out, perhaps
	}
	p.mu.Unlock()
	w.rouse()
	return j, c
}

func (w *worker) run() {
	defer w.p.workers.Done()
	runtime.LockOSThread() // and never unlocked: the thread, which is not like the others, ends with the goroutine
	w.tid.Store(int64(unix.Gettid()))
	w.thread.init(&w.a.creds)
	defer w.freeBounce()
	w.locks.Open(w.a.locks)
	defer w.locks.Close()
	// Its umask is its own, and so is its working directory.
	w.inProc = w.thread.umask >= 0 && unix.Fchdir(w.a.proc) == nil
	for {
		j, c := w.p.take()
		switch {
		case j != nil:
			w.begin(uint64(j.io.Type) + 1)
			if w.p.hook != nil {
				w.p.hook(j)
			}
			j.errno = w.do(j)
			j.woken = w.takeWoken()
			w.slow.Store(w.isPatient())
			w.doing.Store(0)
			j.c.finished(j)
		case c != nil:
			w.begin(doingClose)
			if w.p.closeHook != nil {
				w.p.closeHook()
			}
			_ = sys.Close(c.fd)
			w.doing.Store(0)
		case w.lookOut():
		case !w.sleep():
			w.unreserve()
			return
		}
	}
}

// do runs a job, with the descriptors of what it is about.
func (w *worker) do(j *job) syscall.Errno {
	for _, n := range [...]*node{j.n, j.n2} {
		if n != nil && !j.byHandle() {
			if errno := w.a.hold(n); errno != 0 {
				return errno
			}
			defer w.a.unpin(n)
		}
	}
	w.reserved = false
	return j.run(w, j)
}

// lookFor is how long a worker looks out for jobs before it sleeps, in nanoseconds: about what waking it takes.
const lookFor = 20_000

// lookOut waits for a job without sleeping, for a short while, and says whether there is one. One worker does so at a
// time, and none if it would need the CPU of who could bring one.
func (w *worker) lookOut() bool {
	p := w.p
	if runtime.GOMAXPROCS(0) == 1 || !p.lookouts.CompareAndSwap(0, 1) {
		return false
	}
	end := sys.Ticks() + lookTicks
	for sys.Ticks() < end && p.queued.Load() == 0 {
		for range 8 {
			sys.Pause()
		}
	}
	p.lookouts.Store(0)
	return p.queued.Load() != 0
}

var lookTicks = uint64(lookFor * float64(sys.TicksHz()) / 1e9)

// sleep waits until there may be something to do, and says whether there ever will be.
func (w *worker) sleep() bool {
	p := w.p
	p.mu.Lock()
	if p.jobs.head != nil || p.closings != nil {
		p.mu.Unlock()
		return true
	}
	if p.quit {
		p.mu.Unlock()
		return false
	}
	p.idle = append(p.idle, w) // has room
	p.mu.Unlock()
	w.wake.Sleep()
	return true
}
