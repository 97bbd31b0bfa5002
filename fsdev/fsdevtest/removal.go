package fsdevtest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// The end of a device, and its reset, in the middle of traffic.
var removalCases = []testCase{
	{"HotRemove", everyKind, nil, testHotRemove},
	{"HotRemoveWithWaiters", onlyFull, []fsdev.IOType{fsdev.IOFlock}, testHotRemoveWithWaiters},
	{"Reset", everyKind, nil, testReset},
	{"CloseWithoutUmount", everyKind, nil, testCloseWithoutUmount},
}

// traffic submits operations on a channel, the next one from the completion of the last.
type traffic struct {
	c        *client
	stop     bool // and, at the end, give back the channel unless keep
	keep     bool
	inFlight int
	done     uint64
	failed   syscall.Errno
}

func (c *client) traffic(depth int) *traffic {
	c.Helper()
	tr := &traffic{c: c}
	for range depth {
		tr.submit()
	}
	return tr
}

func (tr *traffic) submit() {
	c := tr.c
	if errno := c.desc.Getattr(c.ch, 0, c.root, 0, trafficDone, tr); errno != 0 {
		c.Fatalf("GETATTR: the call returns %s", errnoName(errno))
	}
	tr.inFlight++
}

func trafficDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, _ *fsdev.Attr) {
	tr := ctx.(*traffic)
	tr.inFlight--
	tr.done++
	if errno != 0 && errno != syscall.EINTR {
		tr.failed = errno
	}
	switch {
	case !tr.stop:
		tr.submit()
	case tr.inFlight == 0 && !tr.keep:
		ch.Put()
	}
}

// testHotRemove removes a device that two clients use on all threads. They stop when they are
// told, and give back their channels when the last operation has been completed.
func testHotRemove(w *world) {
	var all []*traffic
	for k := range 2 {
		c := w.open(k)
		var mine []*traffic
		for i := range numThreads {
			mine = append(mine, c.on(i).traffic(4))
		}
		c.event = func() {
			for _, tr := range mine {
				tr.stop = true
			}
			c.closed = true
			c.desc.Close()
		}
		all = append(all, mine...)
	}
	for range 5 {
		w.round()
	}
	gone := false
	w.dev.Unregister(w.h.Threads[2], func(_ *reactor.Thread, _ any, err error) {
		gone = true
		if err != nil {
			w.Errorf("Destruct: %v", err)
		}
	}, nil)
	w.until("the device is gone", &gone)
	for i, tr := range all {
		if tr.inFlight != 0 || tr.done == 0 || tr.failed != 0 {
			w.Errorf("channel %d: %d in flight, %d completed, %s", i, tr.inFlight, tr.done, errnoName(tr.failed))
		}
	}
}

// testHotRemoveWithWaiters wants those to come back who wait for a lock that nobody gives back.
func testHotRemoveWithWaiters(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.flock(f.obj, f.h, syscall.LOCK_EX, 1).ok()
	var waiting []*call
	for i := range numThreads {
		o := c.on(i)
		h := o.fopen(f.obj, syscall.O_RDWR).ok().h
		waiting = append(waiting, o.startFlock(f.obj, h, syscall.LOCK_EX, uint64(10+i)))
	}
	for _, x := range waiting {
		x.waits()
	}
	told, gone := false, false
	c.event = func() { told = true }
	w.dev.Unregister(w.h.Threads[1], func(*reactor.Thread, any, error) { gone = true }, nil)
	w.until("the client is told", &told)
	for _, x := range waiting {
		x.wait().want(syscall.EINTR)
	}
	c.close()
	w.until("the device is gone", &gone)
}

func testReset(w *world) {
	c := w.open(0)
	var all []*traffic
	for i := range numThreads {
		all = append(all, c.on(i).traffic(4))
	}
	for n := range 3 {
		for range 5 {
			w.round()
		}
		done := false
		if err := w.dev.Reset(w.h.Threads[n%numThreads], func(_ *reactor.Thread, _ any, err error) {
			done = true
			if err != nil {
				w.Errorf("Reset: %v", err)
			}
		}, nil); err != nil {
			w.Fatal(err)
		}
		w.until("the device has been reset", &done)
		for _, tr := range all {
			before := tr.done
			w.untilTrue("the traffic goes on", func() bool { return tr.done > before+4 })
		}
	}
	for _, tr := range all {
		tr.stop, tr.keep = true, true
	}
	w.settle()
	for i, tr := range all {
		if tr.inFlight != 0 || tr.failed != 0 {
			w.Errorf("channel %d: %d in flight, %s", i, tr.inFlight, errnoName(tr.failed))
		}
	}
}

// testCloseWithoutUmount wants a device not to miss the UMOUNT of a client.
func testCloseWithoutUmount(w *world) {
	c := w.open(0)
	c.opendir(c.root).noResult()
	if w.o.Kind == Full {
		f := c.create(c.root, "file").ok()
		c.put(f.obj, f.h, 0, []byte("contents"))
	}
	c.mounted = false
	c.close()
	c = w.open(1)
	c.getattr(c.root, 0).ok()
	if w.o.Kind == Full {
		f := c.lookup(c.root, "file").ok()
		h := c.fopen(f.obj, syscall.O_RDONLY).ok().h
		if got := string(c.get(f.obj, h, 0, 100)); got != "contents" {
			w.Errorf("the file has %q", got)
		}
	}
}
