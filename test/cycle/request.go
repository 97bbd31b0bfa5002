package cycle

import (
	"slices"
	"syscall"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// request is a request under way. The bed checks its reply, the book when it came and what it says.
type request struct {
	*dispatchertest.Reply
	thread  int
	state   state   // when it was submitted
	change  *change // INIT, DESTROY
	refused bool    // its errno does not depend on the state
}

// submit sends a request on thread i, cut in pieces. It returns nil if there is no channel or no room.
func (w *world) submit(i int, op uint32, cut int32, room int, parts ...[]byte) *request {
	if w.bed.D == nil || w.bed.Chans[i] == nil {
		return nil
	}
	m := w.bed.Message(op, dispatchertest.Node, parts...)
	in := dispatchertest.Cut(m, int(cut)%(len(m)+1))
	out := dispatchertest.Cut(make([]byte, room), int(cut)%(room+1))
	r := &request{thread: i, state: w.book.now()}
	var errno syscall.Errno
	w.bed.On(w.bed.Threads[i], func() { r.Reply, errno = w.bed.TrySend(i, in, out) })
	inUse, most := w.underWay(i), w.cfg.requests
	switch op {
	case FUSE_INTERRUPT, FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INIT, FUSE_DESTROY:
		most += fusedispatcher.ControlReserve
	}
	switch {
	case errno == syscall.ENOBUFS && inUse >= most:
		return nil
	case errno != 0 || inUse >= most:
		w.fail("%d is taken, or not, with %v when %d of %d are under way", op, errno, inUse, most)
	}
	w.live = append(w.live, r)
	w.stats.requests++
	return r
}

// underWay counts a thread's requests.
func (w *world) underWay(i int) (n int) {
	for _, r := range w.live {
		if r.thread == i {
			n++
		}
	}
	return n
}

// change sends an INIT or DESTROY.
func (w *world) change(i int, k kind) {
	if w.bed.D == nil || w.bed.Chans[i] == nil || w.underWay(i) == w.cfg.requests+fusedispatcher.ControlReserve {
		return
	}
	c := w.start(k)
	c.on = i
	if k == initKind {
		in := InitIn{Major: 7, Minor: dispatchertest.MaxMinor, Flags: 1<<32 - 1, Flags2: 1<<31 - 1}
		w.submit(i, FUSE_INIT, 0, 80, Bytes(&in)).change = c
		return
	}
	w.submit(i, FUSE_DESTROY, 0, 16).change = c
}

// collect checks what has completed.
func (w *world) collect() {
	if w.cfg.lie == lieOrder {
		slices.Reverse(w.live)
		defer func() { slices.Reverse(w.live) }()
	}
	for n := 0; n < len(w.live); {
		r := w.live[n]
		if r.Done == 0 || w.cfg.lie.loses(w, r) {
			n++
			continue
		}
		errno := w.cfg.lie.errno(w, r)
		w.live = slices.Delete(w.live, n, n+1)
		w.completed(r, errno)
	}
}

// completed checks a completion against the book.
func (w *world) completed(r *request, errno syscall.Errno) {
	w.stats.inState[r.state]++
	switch {
	case r.change != nil:
		w.end(r.change, errno)
	case r.refused:
	case r.state == session && errno == syscall.ENOTCONN:
		w.fail("%s: refused although there is a session", opName(r))
	case (r.state == noSession || r.state == deleted) && errno != syscall.ENOTCONN:
		w.fail("%s: ends with %v although there is %v", opName(r), errno, r.state)
	}
}

func opName(r *request) string {
	for i := range cases {
		if cases[i].Op == r.Hdr.Opcode {
			return cases[i].Name()
		}
	}
	return "a request"
}

// errnos of what the module completes; the first is none.
var errnos = [...]syscall.Errno{0, syscall.ENOENT, syscall.EIO, syscall.ESTALE, syscall.EACCES}

func errnoOf(i int32) syscall.Errno { return errnos[int(i)%len(errnos)] }

func badErrno(i int32) syscall.Errno { return errnos[1+int(i)%(len(errnos)-1)] }
