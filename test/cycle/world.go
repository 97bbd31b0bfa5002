package cycle

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

const maxThreads = 4

// config is what a world is made with.
type config struct {
	threads  int
	requests int // MaxRequests
	ring     int // MsgRingSize
	lie      lie
}

func (c config) String() string {
	return fmt.Sprintf("%d threads, %d requests each, room for %d messages, lie %d", c.threads, c.requests, c.ring, c.lie)
}

// ioPool is how many IO there are: enough for all requests, their aborts and what threads keep for themselves.
func (c config) ioPool() int {
	return 2*c.threads*(c.requests+fusedispatcher.ControlReserve) + (c.threads+2)*ioCache + 4
}

const (
	ioCache = 2
	// wideRing is room for all messages that changes need.
	wideRing = 128
)

// failure is what a check found. kind is the same for all failures of one sort.
type failure struct {
	kind, msg string
	step      int
	stack     []byte // of a panic that is not ours
}

func (f *failure) String() string { return fmt.Sprintf("step %d: %s", f.step, f.msg) }

// world is a dispatcher with its surroundings, and the book that is kept of them.
type world struct {
	cfg   config
	bed   *dispatchertest.Bed // of which D and the channels are nil between Delete and Create
	dev   *device             // nil while there is none
	hog   *device
	step  int
	stats *stats

	live []*request
	refs [maxThreads]int // of each thread's channel

	// What the module does.
	hold          int32
	failNext      [classes]syscall.Errno
	refuse        [maxThreads]bool
	refusals      int // channels that it has refused
	mounts        int // that succeeded
	mountFailures int
	mountErrno    syscall.Errno // of the last
	removals      int
	events        int // that the dispatcher told of removals

	hogDesc    *fsdev.Desc
	hogChans   [maxThreads]*iochannel.Channel
	exhausting bool

	book    book
	asked   int        // questions to the client that wait for an answer
	counted int        // Stats that have not called back
	sent    [][][]byte // notifications of the dispatcher
	noise   int        // messages of opFlood that have not come
	crowded bool       // there may not have been room for messages: they may have overtaken each other
}

// recorder turns what a bed finds into a failure of the world.
type recorder struct {
	testing.TB
	w *world
}

func (r *recorder) Helper()                           {}
func (r *recorder) Cleanup(func())                    {}
func (r *recorder) Failed() bool                      { return false }
func (r *recorder) Errorf(format string, args ...any) { r.w.fail(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) { r.w.fail(format, args...) }
func (r *recorder) Error(args ...any)                 { r.w.fail("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any)                 { r.w.fail("%s", fmt.Sprint(args...)) }

// open begins with a device and a dispatcher that has a channel on every thread.
func (w *world) open() {
	cfg := w.cfg
	w.crowded = cfg.ring < wideRing
	tb := &recorder{w: w}
	h := reactortest.NewWith(tb, cfg.threads, reactor.Options{
		MsgRingSize: cfg.ring, StallThreshold: -1, Log: slog.New(slog.DiscardHandler),
	})
	w.bed = &dispatchertest.Bed{Harness: h, TB: tb, T: h.Threads[0]}
	if err := fsdev.Initialize(w.bed.T, fsdev.Opts{IOPoolSize: cfg.ioPool(), IOCacheSize: ioCache}); err != nil {
		w.fail("initialize fsdev: %v", err)
	}
	w.dev = newDevice(w, dispatchertest.FSName)
	w.hog = newDevice(w, "hog")
	w.hog.hog = true
	var err error
	if w.hogDesc, err = fsdev.Open(w.bed.T, "hog", noEvent, nil); err != nil {
		w.fail("open the hog: %v", err)
	}
	w.create()
}

func noEvent(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}

// create makes a dispatcher.
func (w *world) create() {
	d, err := fusedispatcher.Create(w.bed.T, fusedispatcher.Opts{
		FsdevName: dispatchertest.FSName, MaxRequests: w.cfg.requests, Event: onEvent, EventCtx: w,
		Notify: onNotify, NotifyCtx: w, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.fail("create a dispatcher: %v", err)
	}
	w.bed.D = d
	w.bed.Chans = make([]*iochannel.Channel, w.cfg.threads)
	w.book.begin()
	for i := range w.bed.Chans {
		w.get(i)
	}
}

func onNotify(t *reactor.Thread, msg [][]byte, ctx any) {
	w := ctx.(*world)
	if t != w.bed.T {
		w.fail("a notification on thread %d", w.index(t))
	}
	if len(w.sent) == 16 {
		w.sent = w.sent[:0]
	}
	w.sent = append(w.sent, msg)
}

func (w *world) index(t *reactor.Thread) int { return slices.Index(w.bed.Threads, t) }

func (w *world) thread(i int32) int { return int(i) % w.cfg.threads }

// fail ends the history. The format says which sort of failure it is.
func (w *world) fail(format string, args ...any) {
	panic(&failure{kind: format, msg: fmt.Sprintf(format, args...), step: w.step})
}

// guard runs fn and returns what it failed with.
func (w *world) guard(fn func()) (f *failure) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *failure:
			f = v
		default:
			text := fmt.Sprint(v)
			kind := strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return -1
				}
				return r
			}, text)
			f = &failure{kind: "panic: " + kind, msg: "panic: " + text, step: w.step, stack: debug.Stack()}
		}
	}()
	fn()
	return nil
}

// get gets one more reference to a thread's channel.
func (w *world) get(i int) {
	if w.bed.D == nil {
		return
	}
	refusals := w.refusals
	var ch *iochannel.Channel
	w.bed.On(w.bed.Threads[i], func() { ch = w.bed.D.IOChannel(w.bed.Threads[i]) })
	switch {
	case ch != nil:
		if w.book.state == deleted {
			w.fail("a channel of a deleted dispatcher")
		}
		w.bed.Chans[i] = ch
		w.refs[i]++
	case w.refs[i] > 0 && w.book.usable():
		w.fail("no reference to a channel that there is")
	case w.refusals == refusals && w.book.usable():
		w.fail("no channel for no reason")
	}
}

// put puts one.
func (w *world) put(i int) {
	if w.refs[i] == 0 {
		return
	}
	ch := w.bed.Chans[i]
	if w.refs[i]--; w.refs[i] == 0 {
		w.bed.Chans[i] = nil
	}
	w.bed.On(w.bed.Threads[i], ch.Put)
}

func (w *world) putAll() {
	for i := range w.refs {
		for w.refs[i] > 0 {
			w.put(i)
		}
	}
}

// exhaust takes all IO that thread i can get.
func (w *world) exhaust(i int) {
	t := w.bed.Threads[i]
	w.exhausting = true
	w.bed.On(t, func() {
		if w.hogChans[i] == nil {
			w.hogChans[i] = w.hogDesc.IOChannel(t)
		}
		for ch := w.hogChans[i]; ch != nil && w.hogDesc.Statfs(ch, 0, 1, hogged, nil) == 0; {
		}
	})
}

func hogged(any, *iochannel.Channel, syscall.Errno, *fsdev.Statfs) {}

// refill gives back what was taken.
func (w *world) refill() {
	w.exhausting = false
	w.hog.completeAll()
	for i, ch := range w.hogChans {
		if ch != nil {
			w.hogChans[i] = nil
			w.bed.On(w.bed.Threads[i], ch.Put)
		}
	}
}

// flood fills the room that thread i has for messages.
func (w *world) flood(i int) {
	w.crowded = true
	for w.bed.Threads[i].SendMsg(noise, w) == 0 {
		w.noise++
	}
}

func noise(_ *reactor.Thread, ctx any) { ctx.(*world).noise-- }
