package fsdevtest

import (
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

const (
	numThreads = 3
	devName    = "fsdevtest0"

	// idleRounds is how many rounds without work end a settling, and idleStep how much time
	// passes in each: enough for timers of some milliseconds.
	idleRounds = 50
	idleStep   = time.Millisecond
)

// world is a device on threads that are polled by hand.
type world struct {
	testing.TB
	o       *Options
	h       *reactortest.Harness
	dev     *fsdev.Fsdev
	at      int // the thread that is being polled, -1 if none is
	unique  uint64
	clients []*client
}

func newWorld(tb testing.TB, o *Options) *world {
	tb.Helper()
	w := &world{TB: tb, o: o, h: reactortest.New(tb, numThreads), at: -1}
	t := w.h.Threads[0]
	if err := fsdev.Initialize(t, fsdev.Opts{IOPoolSize: 1024, IOCacheSize: 64}); err != nil {
		tb.Fatal(err)
	}
	w.dev = o.New(tb, t, devName)
	tb.Cleanup(w.close)
	return w
}

// close ends everything and wants nothing to be left. A test that has failed may have left
// something on purpose.
func (w *world) close() {
	if w.Failed() {
		return
	}
	for _, c := range w.clients {
		c.close()
	}
	finished := false
	fsdev.Finish(w.h.Threads[0], func(_ *reactor.Thread, _ any, err error) {
		finished = true
		if err != nil {
			w.Error(err)
		}
	}, nil)
	w.until("the layer is finished", &finished)
}

// round polls every thread once and reports whether there was anything to do.
func (w *world) round() (busy bool) {
	for i, t := range w.h.Threads {
		w.at = i
		if !t.IsExited() && t.Poll(0, 0) {
			busy = true
		}
	}
	w.at = -1
	return busy
}

// settle polls until nothing happens any more. It is for what must not happen: what must is
// waited for by until.
func (w *world) settle() {
	w.Helper()
	end := time.Now().Add(w.o.patience)
	for idle := 0; idle < idleRounds; idle++ {
		if w.round() {
			idle = 0
		}
		w.h.Advance(idleStep)
		if time.Now().After(end) {
			w.Fatalf("the threads have not come to rest after %v", w.o.patience)
		}
	}
}

// until polls until done.
func (w *world) until(what string, done *bool) {
	w.Helper()
	w.untilTrue(what, func() bool { return *done })
}

func (w *world) untilTrue(what string, isTrue func() bool) {
	w.Helper()
	end := time.Now().Add(w.o.patience)
	for n := 0; !isTrue(); n++ {
		busy := w.round()
		if !busy {
			w.h.Advance(idleStep)
		}
		if (!busy || n%1024 == 0) && time.Now().After(end) {
			w.Fatalf("%v have passed and this is not true: %s", w.o.patience, what)
		}
	}
}

// client is a descriptor, seen from one thread.
type client struct {
	*world
	*session
	i  int // of the thread
	ch *iochannel.Channel
}

// session is what the clients of one descriptor share.
type session struct {
	desc    *fsdev.Desc
	opener  int // the index of its thread
	opts    fsdev.MountOpts
	root    fsdev.FileObject
	mounted bool
	closed  bool
	clients [numThreads]*client
	event   func() // of the removal
}

// open opens the device on thread i, and mounts it.
func (w *world) open(i int) *client {
	w.Helper()
	s := &session{opener: i}
	var err error
	s.desc, err = fsdev.Open(w.h.Threads[i], devName,
		func(t *reactor.Thread, typ fsdev.EventType, f *fsdev.Fsdev, _ any) {
			if typ != fsdev.EventRemove || f != w.dev || w.at != i || t != w.h.Threads[i] {
				w.Errorf("event %d of %s on thread %d, opened on %d", typ, f.Name(), w.at, i)
			}
			if s.event == nil {
				w.Error("the device is removed")
				return
			}
			s.event()
		}, nil)
	if err != nil {
		w.Fatal(err)
	}
	c := w.client(s, i)
	w.clients = append(w.clients, c)
	c.mount(&fsdev.MountOpts{MaxWrite: 1 << 20})
	return c
}

// on returns the same descriptor as seen from thread i.
func (c *client) on(i int) *client {
	c.Helper()
	return c.client(c.session, i)
}

func (w *world) client(s *session, i int) *client {
	w.Helper()
	if s.clients[i] == nil {
		ch := s.desc.IOChannel(w.h.Threads[i])
		if ch == nil {
			w.Fatalf("there is no channel for thread %d", i)
		}
		s.clients[i] = &client{world: w, session: s, i: i, ch: ch}
	}
	return s.clients[i]
}

// mount begins the session.
func (c *client) mount(opts *fsdev.MountOpts) *result {
	c.Helper()
	r := c.do(fsdev.IOMount, func(x *call) syscall.Errno {
		return c.desc.Mount(c.ch, x.unique, opts, mountDone, x)
	}).ok()
	c.mounted, c.opts, c.root = true, r.mount, r.obj
	return r
}

// umount ends the session.
func (c *client) umount() {
	c.Helper()
	c.mounted = false
	c.do(fsdev.IOUmount, func(x *call) syscall.Errno { return c.desc.Umount(c.ch, x.unique, statusDone, x) }).ok()
}

// close closes the descriptor, which is the same one for all threads.
func (c *client) close() {
	c.Helper()
	s := c.session
	if s.closed {
		return
	}
	if s.mounted {
		c.umount()
	}
	for _, o := range s.clients {
		if o != nil {
			o.ch.Put()
		}
	}
	c.settle()
	s.closed = true
	s.desc.Close()
}
