package iobuf

import (
	"strings"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// bench is a framework with iobuf and a module "mod", driven by hand.
type bench struct {
	*reactortest.Harness
	tb testing.TB
}

func newBench(tb testing.TB, threads, count int) *bench {
	tb.Helper()
	return newBenchWith(tb, threads, count, reactor.Options{})
}

func newBenchWith(tb testing.TB, threads, count int, o reactor.Options) *bench {
	tb.Helper()
	b := &bench{reactortest.NewWith(tb, threads, o), tb}
	err := Initialize(b.Threads[0], Opts{
		SmallPoolCount: count, LargePoolCount: count, SmallBufsize: 4096, LargeBufsize: 8192, NoMinimum: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := RegisterModule(b.Framework, "mod"); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (b *bench) io() *iobuf { return managerOf(b.Framework).io }

// open opens a channel with the same cache size for both sizes.
func (b *bench) open(thread, cache int) *Channel {
	b.tb.Helper()
	ch := &Channel{}
	if err := ch.Init(b.Threads[thread], "mod", cache, cache); err != nil {
		b.tb.Fatal(err)
	}
	return ch
}

// finish closes the channels, ends iobuf and the threads, and returns what Finish says.
func (b *bench) finish(chs ...*Channel) error {
	b.tb.Helper()
	for _, ch := range chs {
		ch.Fini()
	}
	var finished []error
	Finish(b.Threads[0], func(_ *reactor.Thread, ctx any, err error) {
		*ctx.(*[]error) = append(finished, err)
	}, &finished)
	if finished != nil {
		b.tb.Error("called back from inside")
	}
	b.PollThreads()
	if len(finished) != 1 {
		b.tb.Fatalf("finished %d times", len(finished))
	}
	b.CheckExit()
	return finished[0]
}

// mustFinish is finish that wants all buffers back.
func (b *bench) mustFinish(chs ...*Channel) {
	b.tb.Helper()
	if err := b.finish(chs...); err != nil {
		b.tb.Error(err)
	}
}

// taker is an entry and what it got.
type taker struct {
	Entry
	bufs [][]byte
}

func took(e *Entry, buf []byte) {
	t := e.Ctx.(*taker)
	t.bufs = append(t.bufs, buf)
}

// take asks for n bytes.
func take(ch *Channel, n int) *taker {
	t := &taker{}
	t.Ctx = t
	if buf := ch.Get(n, &t.Entry, took); buf != nil {
		t.bufs = append(t.bufs, buf)
	}
	return t
}

// hold takes count buffers of n bytes and wants them at once.
func hold(tb testing.TB, ch *Channel, n, count int) [][]byte {
	tb.Helper()
	var bufs [][]byte
	for range count {
		buf := ch.Get(n, nil, nil)
		if buf == nil {
			tb.Fatalf("no buffer after %d", len(bufs))
		}
		bufs = append(bufs, buf)
	}
	return bufs
}

func put(ch *Channel, bufs ...[]byte) {
	for _, b := range bufs {
		ch.Put(b)
	}
}

// mustPanic calls fn and wants a panic with a message that has want in it.
func mustPanic(t *testing.T, want string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r, _ := recover().(string); !strings.Contains(r, want) {
			t.Errorf("panic %q, want %q", r, want)
		}
	}()
	fn()
}
