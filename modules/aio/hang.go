package aio

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

// Hang is a call that has not come back: what a worker waits for.
//
// Not in SPDK.
type Hang struct {
	Op     string        // what it is for: an operation, or "close"
	For    time.Duration // how long it has lasted
	Thread int           // that it keeps, as in /proc/self/task
	Where  string        // in the kernel, "" if that does not say
}

// String says all of it in one line. Not in SPDK.
func (h Hang) String() string {
	where := ""
	if h.Where != "" {
		where = ", in " + h.Where
	}
	return fmt.Sprintf("%s for %v by thread %d%s", h.Op, h.For.Round(time.Millisecond), h.Thread, where)
}

// Hanging returns the calls of workers that have lasted for atLeast. Any goroutine.
//
// Not in SPDK.
func (a *Aio) Hanging(atLeast time.Duration) (hangs []Hang) {
	for _, w := range slices.Concat(a.pool.all, a.writer.all) {
		doing := w.doing.Load()
		if doing == 0 {
			continue
		}
		since := time.Duration(float64(sys.Ticks()-doing&^doingWhat) / float64(sys.TicksHz()) * 1e9)
		if since < atLeast {
			continue
		}
		h := Hang{Op: "close", For: since, Thread: int(w.tid.Load())}
		if what := doing & doingWhat; what != doingClose {
			h.Op = fsdev.IOType(what - 1).String()
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/wchan", h.Thread)); err == nil && string(b) != "0" {
			h.Where = string(b)
		}
		hangs = append(hangs, h)
	}
	return hangs
}

// What a worker is doing: when it began, in ticks, but for the low bits, which say what: 1 more than the operation.
const (
	doingWhat  = 1<<8 - 1
	doingClose = doingWhat
)

func (w *worker) begin(what uint64) { w.doing.Store(sys.Ticks()&^doingWhat | what) }

// errHangs wraps ETIMEDOUT and says what is waited for, nil if for nothing.
func (a *Aio) errHangs() error {
	hangs := a.Hanging(a.o.Patience)
	if len(hangs) == 0 {
		return nil
	}
	var all []string
	for _, h := range hangs {
		all = append(all, h.String())
	}
	return fmt.Errorf("aio: the file system below %q does not answer: %s: %w", a.o.Root, strings.Join(all, "; "),
		syscall.ETIMEDOUT)
}

// deletion is a Delete under way.
type deletion struct {
	a      *Aio
	cb     func(t *reactor.Thread, ctx any, err error)
	ctx    any
	watch  *reactor.Poller
	begun  time.Time
	gaveUp bool // it has been said that it does not end
}

// Delete unregisters an export made by [Create]: its users are told to close it, and when the last one has, it is
// freed and cb (which may be nil) is called with ctx on t. On the app thread. It returns false, and cb is never called,
// when a is being deleted already.
//
// If after [Opts].Patience a worker has not come back from a call for as long, cb is called then, with an error that
// wraps ETIMEDOUT and says who hangs where. The export goes when the call does come back, without another word.
//
// Not in SPDK's libraries: spdk_fsdev_aio_delete of its module.
func Delete(t *reactor.Thread, a *Aio, cb func(t *reactor.Thread, ctx any, err error), ctx any) bool {
	d := &deletion{a: a, cb: cb, ctx: ctx, begun: time.Now()}
	if !a.fsdev.Unregister(t, deleted, d) {
		return false
	}
	d.watch = t.RegisterPoller("aio_delete", watchDeletion, d, a.o.Patience/4)
	return true
}

func deleted(t *reactor.Thread, ctx any, err error) {
	d := ctx.(*deletion)
	if d.watch != nil {
		d.watch.Unregister()
	}
	d.end(t, err)
}

func watchDeletion(t *reactor.Thread, ctx any) reactor.PollerResult {
	d := ctx.(*deletion)
	if time.Since(d.begun) < d.a.o.Patience {
		return reactor.Idle
	}
	err := d.a.errHangs()
	if err == nil {
		return reactor.Idle
	}
	d.watch.Unregister()
	d.watch = nil
	d.end(t, err)
	return reactor.Busy
}

func (d *deletion) end(t *reactor.Thread, err error) {
	if !d.gaveUp && d.cb != nil {
		d.cb(t, d.ctx, err)
	}
	d.gaveUp = true
}

// Destruct implements [fsdev.Device]: it ends the workers and closes what clients have left. A worker that hangs in
// close(2) is given up after [Opts].Patience: the error, which wraps ETIMEDOUT, says so, and what it holds is closed
// should it come back.
//
// Not in SPDK.
func (a *Aio) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	a.iodev.Unregister(t, func(t *reactor.Thread, _ any) {
		go func() { // waits for the workers, which close what there is to close
			ended := make(chan struct{})
			go func() {
				a.watch.stop()
				a.pool.stop()
				a.writer.stop()
				a.close()
				close(ended)
			}()
			// Without a thread there is nobody who would be told.
			_ = t.SendMsgWait(a.pool.ctx, destructed, &destruct{done, a.wait(ended)})
		}()
	}, nil)
}

// wait waits for something that ends once all workers have, or until one of them hangs.
func (a *Aio) wait(ended <-chan struct{}) error {
	for {
		select {
		case <-ended:
			return nil
		case <-time.After(a.o.Patience):
			if err := a.errHangs(); err != nil {
				return err
			}
		}
	}
}

type destruct struct {
	done func(t *reactor.Thread, err error)
	err  error
}

func destructed(t *reactor.Thread, ctx any) {
	d := ctx.(*destruct)
	d.done(t, d.err)
}
