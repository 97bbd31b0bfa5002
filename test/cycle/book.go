package cycle

import (
	"syscall"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// state is a state of the diagram in the comment of package fusedispatcher.
type state int

const (
	noSession state = iota
	session
	deleted
	between // something is under way: it may be one or the other
)

var stateNames = [...]string{"no session", "a session", "deleted", "between two states"}

func (s state) String() string { return stateNames[s] }

// kind is what moves a dispatcher from one state to another.
type kind int

const (
	initKind kind = iota
	destroyKind
	removeKind
	deleteKind
)

// change is such a thing under way.
type change struct {
	kind    kind
	from    state
	overlap bool // with others

	// What there had been when it began.
	mounts, mountFailures, refusals, removals, events int
	absent                                            bool // there was no device

	w  *world
	on int // initKind, destroyKind: the thread

	// deleteKind
	t     *reactor.Thread // that asked
	d     *fusedispatcher.Dispatcher
	again bool           // it was not the first
	got   *syscall.Errno // what was called back
}

// book keeps the state of a dispatcher.
type book struct {
	state   state
	under   []*change // way
	deletes int       // asked for
}

// begin opens the book of a new dispatcher. What is under way is a removal of the device, or a Delete of the old
// dispatcher that came too late.
func (b *book) begin() {
	*b = book{under: b.under}
	for _, c := range b.under {
		c.from, c.overlap = between, true
	}
}

// usable says whether channels can be got for sure.
func (b *book) usable() bool { return b.deletes == 0 }

// now returns the state if it is certain.
func (b *book) now() state {
	if len(b.under) > 0 && !(b.state == deleted && len(b.under) == 1 && b.under[0].kind == deleteKind) {
		return between
	}
	return b.state
}

// start notes that something begins.
func (w *world) start(k kind) *change {
	b := &w.book
	c := &change{
		kind: k, from: b.now(), w: w, overlap: len(b.under) > 0,
		mounts: w.mounts, mountFailures: w.mountFailures, refusals: w.refusals, removals: w.removals, events: w.events,
		absent: w.dev == nil || w.dev.removing,
	}
	if k == deleteKind {
		c.again = b.deletes > 0
		b.deletes++
	}
	// A Delete that only waits for the channels is in nobody's way.
	if c.from == deleted {
		c.overlap = false
	} else {
		for _, o := range b.under {
			o.overlap = true
		}
	}
	b.under = append(b.under, c)
	return c
}

// end notes that it is over, and checks that it was one of the transitions there are.
func (w *world) end(c *change, errno syscall.Errno) {
	b := &w.book
	failed := 0
	if errno != 0 {
		failed = 1
	}
	w.stats.changes[c.kind][failed]++
	for i, o := range b.under {
		if o != c && o.on == c.on && o.kind <= destroyKind && c.kind <= destroyKind && !w.crowded {
			w.fail("of two changes that one thread asked for, the second ends first")
		}
		if o == c {
			b.under = append(b.under[:i], b.under[i+1:]...)
			break
		}
	}
	mounted := w.dev != nil && w.dev.mounted
	events, mounts := w.events-c.events, w.mounts-c.mounts
	switch c.kind {
	case initKind:
		w.checkInit(c, errno)
	case destroyKind:
		if errno != 0 {
			w.fail("DESTROY fails with %v", errno)
		}
	case deleteKind:
		switch {
		case errno == syscall.EALREADY && (c.again || c.overlap):
		case errno != 0:
			w.fail("Delete fails with %v", errno)
		}
	}
	if c.from == deleted || b.state == deleted {
		return // nothing leads out of it
	}
	if c.overlap {
		if len(b.under) == 0 {
			b.state = noSession
			if b.deletes > 0 {
				b.state = deleted
			} else if mounted {
				b.state = session
			}
		}
		return
	}
	to := noSession
	switch {
	case c.kind == deleteKind:
		to = deleted
	case mounted:
		to = session
	}
	want := noSession
	switch {
	case c.kind == deleteKind:
		want = deleted
	case c.kind == initKind && errno == 0:
		want = session
	}
	if to != want {
		w.fail("from %v to %v by change %d that ends with %v", c.from, to, c.kind, errno)
	}
	if c.kind == initKind && errno == 0 && mounts != 1 {
		w.fail("INIT succeeds with %d mounts", mounts)
	}
	wantEvents := 0
	if c.kind == removeKind && c.from == session {
		wantEvents = 1
	}
	if events != wantEvents {
		w.fail("%d events of removal when %v, want %d", events, c.from, wantEvents)
	}
	b.state = to
}

// checkInit wants a reason for an INIT's failure, and none for its success.
func (w *world) checkInit(c *change, errno syscall.Errno) {
	ok := false
	failures := w.mountFailures - c.mountFailures
	switch errno {
	case 0:
		ok = w.mounts > c.mounts && (c.overlap || failures == 0)
	case syscall.ENODEV:
		ok = c.absent || w.removals > c.removals || w.book.deletes > 0
	case syscall.ENOMEM:
		ok = w.refusals > c.refusals
	}
	if !ok && failures > 0 {
		ok = errno == w.mountErrno || c.overlap && failures > 1
	}
	if c.from == deleted {
		ok = errno == syscall.ENODEV
	}
	if !ok {
		w.fail("INIT, begun with %v, ends with %v for no reason", c.from, errno)
	}
}

// atRest notes that nobody has anything to do, nor the module, so that a Delete that is under way only waits for
// channels.
func (b *book) atRest() {
	if b.deletes > 0 && len(b.under) == 1 && b.under[0].kind == deleteKind {
		b.state = deleted
	}
}

func onEvent(t *reactor.Thread, d *fusedispatcher.Dispatcher, ctx any) {
	w := ctx.(*world)
	switch {
	case t != w.bed.T || d != w.bed.D:
		w.fail("the removal is told on thread %d", w.index(t))
	case w.dev == nil || !w.dev.removing:
		w.fail("a removal is told that nobody asked for")
	case w.dev.mounted || w.dev.mounting || w.dev.inFlight > 0:
		w.fail("the removal is told before the session has ended")
	case w.events >= w.removals:
		w.fail("a removal is told twice")
	}
	if w.cfg.lie == lieEvent && w.cfg.threads >= 3 {
		return
	}
	w.events++
	w.stats.events++
}

// startDelete asks for a Delete by thread i.
func (w *world) startDelete(i int) {
	if w.bed.D == nil {
		return
	}
	c := w.start(deleteKind)
	c.t, c.d = w.bed.Threads[i], w.bed.D
	w.bed.On(c.t, func() { c.d.Delete(c.t, onDeleted, c) })
}

func onDeleted(t *reactor.Thread, ctx any, errno syscall.Errno) {
	c := ctx.(*change)
	w := c.w
	switch {
	case c.got != nil:
		w.fail("Delete calls back twice")
	case t != c.t:
		w.fail("Delete of thread %d calls back on %d", w.index(c.t), w.index(t))
	}
	c.got = &errno
	if errno == 0 {
		if w.bed.D != c.d {
			w.fail("a dispatcher is deleted twice")
		}
		for i, n := range w.refs {
			if n > 0 {
				w.fail("Delete calls back while thread %d has a channel", i)
			}
		}
		w.bed.D, w.bed.Chans = nil, make([]*iochannel.Channel, w.cfg.threads)
	}
	w.end(c, errno)
}

// startRemove unregisters the device.
func (w *world) startRemove(i int) {
	if w.dev == nil || w.dev.removing {
		return
	}
	c := w.start(removeKind)
	w.removals++
	w.dev.removing = true
	w.dev.f.Unregister(w.bed.Threads[i], onRemoved, c)
}

func onRemoved(_ *reactor.Thread, ctx any, err error) {
	c := ctx.(*change)
	w := c.w
	if err != nil {
		w.fail("unregister the device: %v", err)
	}
	w.dev = nil
	w.end(c, 0)
}
