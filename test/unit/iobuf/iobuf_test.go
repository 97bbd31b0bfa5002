package iobuf_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

const (
	smallSize = 4096
	largeSize = 8192
)

// request is what asks for a buffer.
type request struct {
	tb   testing.TB
	ch   *iobuf.Channel
	size int
	iobuf.Entry
	buf, buf2 []byte
	mark      string // by ForEachEntry
}

// newRequests returns n requests of ch for no size yet.
func newRequests(tb testing.TB, ch *iobuf.Channel, n int) []*request {
	rs := make([]*request, n)
	for i := range rs {
		rs[i] = &request{tb: tb, ch: ch}
		rs[i].Ctx = rs[i]
	}
	return rs
}

func gotBuffer(e *iobuf.Entry, buf []byte) {
	r := e.Ctx.(*request)
	if len(buf) != r.size {
		r.tb.Errorf("got %d bytes, asked for %d", len(buf), r.size)
	}
	r.buf = buf
}

// get asks for a buffer; at once says whether it must come so.
func (r *request) get(size int, atOnce bool) {
	r.tb.Helper()
	r.size = size
	r.buf = r.ch.Get(size, &r.Entry, gotBuffer)
	if got := r.buf != nil; got != atOnce {
		r.tb.Fatalf("got a buffer of %d bytes at once: %v, want %v", size, got, atOnce)
	}
	if r.buf != nil && (len(r.buf) != size || cap(r.buf) != size) {
		r.tb.Errorf("got %d bytes of %d, asked for %d", len(r.buf), cap(r.buf), size)
	}
}

func (r *request) put() {
	r.ch.Put(r.buf)
	r.buf = nil
}

func (r *request) abort() {
	r.tb.Helper()
	if !r.ch.EntryAbort(&r.Entry) {
		r.tb.Error("aborted an entry that did not wait")
	}
}

func expect(tb testing.TB, got bool, rs ...*request) {
	tb.Helper()
	for i, r := range rs {
		if (r.buf != nil) != got {
			tb.Fatalf("request %d has a buffer: %v, want %v", i, r.buf != nil, got)
		}
	}
}

// bench is a framework with iobuf.
type bench struct {
	*reactortest.Harness
	tb testing.TB
}

func newBench(tb testing.TB, threads, count int, modules ...string) *bench {
	tb.Helper()
	b := &bench{reactortest.New(tb, threads), tb}
	// as in SPDK, so small pools take a detour
	o := iobuf.Opts{SmallPoolCount: count, LargePoolCount: count, SmallBufsize: smallSize, LargeBufsize: largeSize}
	if err := iobuf.SetOpts(b.Framework, o); !errors.Is(err, syscall.EINVAL) {
		tb.Fatalf("pools of %d buffers: %v", count, err)
	}
	o.NoMinimum = true
	if err := iobuf.Initialize(b.Threads[0], o); err != nil {
		tb.Fatal(err)
	}
	for _, m := range modules {
		if err := iobuf.RegisterModule(b.Framework, m); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func (b *bench) open(thread int, module string, smallCache, largeCache int) *iobuf.Channel {
	b.tb.Helper()
	ch := &iobuf.Channel{}
	if err := ch.Init(b.Threads[thread], module, smallCache, largeCache); err != nil {
		b.tb.Fatal(err)
	}
	return ch
}

// mustNotOpen wants that a channel cannot be opened for want of buffers.
func (b *bench) mustNotOpen(module string, smallCache, largeCache int) {
	b.tb.Helper()
	ch := &iobuf.Channel{}
	if err := ch.Init(b.Threads[0], module, smallCache, largeCache); !errors.Is(err, syscall.ENOMEM) {
		b.tb.Fatalf("channel with %d and %d buffers: %v, want ENOMEM", smallCache, largeCache, err)
	}
}

// finish closes the channels and ends with all buffers in their place.
func (b *bench) finish(chs ...*iobuf.Channel) {
	b.tb.Helper()
	for _, ch := range chs {
		ch.Fini()
		b.PollThreads()
	}
	finished := 0
	iobuf.Finish(b.Threads[0], func(_ *reactor.Thread, ctx any, err error) {
		*ctx.(*int)++
		if err != nil {
			b.tb.Error(err)
		}
	}, &finished)
	b.PollThreads()
	if finished != 1 {
		b.tb.Errorf("finished %d times", finished)
	}
}

// TestIobuf is iobuf: who waits is served in turn, whichever module it is of; large and small
// do not mix; an aborted entry is passed over; ForEachEntry finds a module's own entries.
func TestIobuf(t *testing.T) {
	b := newBench(t, 2, 2, "ut_module0", "ut_module1")
	mod0 := []*iobuf.Channel{b.open(0, "ut_module0", 0, 0), b.open(1, "ut_module0", 0, 0)}
	mod1 := []*iobuf.Channel{b.open(0, "ut_module1", 0, 0), b.open(1, "ut_module1", 0, 0)}
	// requests 0 to 3 are of the first thread, 4 to 7 of the second
	m0 := append(newRequests(t, mod0[0], 4), newRequests(t, mod0[1], 4)...)
	m1 := append(newRequests(t, mod1[0], 4), newRequests(t, mod1[1], 4)...)

	// One module can have a whole pool; then it waits.
	m0[0].get(largeSize, true)
	m0[1].get(largeSize, true)
	m0[2].get(largeSize, false)
	m0[3].get(largeSize, false)
	m0[4].get(smallSize, true)
	m0[5].get(smallSize, true)
	m0[6].get(smallSize, false)
	m0[7].get(smallSize, false)
	// A put serves the first that waits for that size.
	for _, first := range []int{0, 4} {
		m0[first].put()
		expect(t, true, m0[first+2])
		expect(t, false, m0[first+3])
		m0[first+1].put()
		expect(t, true, m0[first+3])
		m0[first+2].put()
		m0[first+3].put()
		if first == 0 {
			expect(t, false, m0[6], m0[7])
		}
	}

	// Two modules are served in the order in which they came.
	m0[0].get(largeSize, true)
	m0[1].get(largeSize, true)
	m0[4].get(smallSize, true)
	m0[5].get(smallSize, true)
	m1[0].get(largeSize, false)
	m0[3].get(largeSize, false)
	m0[6].get(smallSize, false)
	m1[4].get(smallSize, false)
	m0[0].put()
	expect(t, true, m1[0])
	expect(t, false, m0[3])
	m0[1].put()
	expect(t, true, m0[3])
	m1[0].put()
	m0[3].put()
	m0[4].put()
	expect(t, true, m0[6])
	expect(t, false, m1[4])
	m0[5].put()
	expect(t, true, m1[4])
	m0[6].put()
	m1[4].put()

	// Who is aborted does not get a buffer.
	m0[0].get(largeSize, true)
	m1[0].get(largeSize, true)
	m0[1].get(smallSize, true)
	m1[1].get(smallSize, true)
	m0[2].get(largeSize, false)
	m1[2].get(largeSize, false)
	m1[3].get(smallSize, false)
	m0[3].get(smallSize, false)
	m0[2].abort()
	m1[3].abort()
	m0[0].put()
	expect(t, true, m1[2])
	m0[1].put()
	expect(t, true, m0[3])
	expect(t, false, m0[2], m1[3])
	for _, r := range []*request{m1[0], m1[2], m1[1], m0[3]} {
		r.put()
	}

	// ForEachEntry finds the entries of the channel's module and thread.
	m0[0].get(largeSize, true)
	m1[0].get(largeSize, true)
	m0[1].get(smallSize, true)
	m1[1].get(smallSize, true)
	var waiting []*request
	for _, i := range []int{2, 6} { // of either thread
		m0[i].get(largeSize, false)
		m1[i].get(largeSize, false)
		m0[i+1].get(smallSize, false)
		m1[i+1].get(smallSize, false)
		waiting = append(waiting, m0[i], m0[i+1], m1[i], m1[i+1])
	}
	mark := func(ch *iobuf.Channel, e *iobuf.Entry, ctx any) syscall.Errno {
		r := e.Ctx.(*request)
		if r.ch != ch || e.Channel() != ch || r.mark != "" {
			t.Errorf("found an entry of another channel, or one with mark %q", r.mark)
		}
		r.mark = ctx.(string)
		return 0
	}
	for i, ch := range []*iobuf.Channel{mod0[0], mod1[0], mod0[1], mod1[1]} {
		if errno := ch.ForEachEntry(mark, []string{"dead", "feed", "cafe", "beef"}[i]); errno != 0 {
			t.Error(errno)
		}
	}
	for i, want := range []string{"dead", "dead", "feed", "feed", "cafe", "cafe", "beef", "beef"} {
		if waiting[i].mark != want {
			t.Errorf("entry %d has mark %q, want %q", i, waiting[i].mark, want)
		}
	}

	// The second thread still waits when the first puts its buffers, and gives up before it hears
	// of them.
	for _, r := range waiting[:4] {
		r.abort()
	}
	for _, r := range []*request{m0[0], m1[0], m0[1], m1[1]} {
		r.put()
	}
	for _, r := range waiting[4:] {
		r.abort()
	}
	b.finish(mod0[0], mod1[0], mod0[1], mod1[1])
}

// TestIobufCache is iobuf_cache: a channel whose cache cannot be filled is not opened and
// keeps nothing; what waits comes before the cache; a cache keeps what it was promised and
// gives the rest back.
func TestIobufCache(t *testing.T) {
	b := newBench(t, 1, 4, "ut_module0", "ut_module1")
	b.mustNotOpen("ut_module0", 5, 1)
	b.mustNotOpen("ut_module0", 1, 5)
	ch := b.open(0, "ut_module0", 4, 4)
	b.mustNotOpen("ut_module1", 4, 4)
	ch.Fini()
	b.PollThreads()

	// A cache holds more than its size for a while only.
	ch0 := b.open(0, "ut_module0", 2, 2)
	m0 := newRequests(t, ch0, 4)
	for _, r := range m0[:3] {
		r.get(largeSize, true)
	}
	for _, r := range m0[:3] {
		r.put()
	}
	ch1 := b.open(0, "ut_module1", 2, 2)
	ch0.Fini()
	ch1.Fini()
	b.PollThreads()

	// The pool is used when the cache is empty only, and a cache is its channel's own.
	*ch0, *ch1 = iobuf.Channel{}, iobuf.Channel{}
	if err := ch0.Init(b.Threads[0], "ut_module0", 2, 2); err != nil {
		t.Fatal(err)
	}
	if err := ch1.Init(b.Threads[0], "ut_module1", 1, 1); err != nil {
		t.Fatal(err)
	}
	m1 := newRequests(t, ch1, 2)
	for _, size := range []int{smallSize, largeSize} {
		for _, r := range m0[:3] {
			r.get(size, true)
		}
		m1[0].get(size, true)
		m1[1].get(size, false)
		m0[3].get(size, false)
		// Who waits comes before the cache, the first before the second, and it does not matter
		// which module puts.
		m0[2].put()
		expect(t, true, m1[1])
		expect(t, false, m0[3])
		m0[3].abort()
		for i := range 2 {
			m0[i].put()
			m1[i].put()
		}
	}
	b.finish(ch0, ch1)
}

// TestIobufPriority is iobuf_priority: an entry that is used again from inside its own callback
// comes before the others that wait.
func TestIobufPriority(t *testing.T) {
	b := newBench(t, 1, 2, "ut_module")
	ch := b.open(0, "ut_module", 0, 0)
	rs := newRequests(t, ch, 4)
	for _, r := range rs[:2] {
		if r.buf = ch.Get(smallSize, nil, nil); r.buf == nil {
			t.Fatal("no buffer")
		}
	}
	// Two that need two buffers each.
	second := func(e *iobuf.Entry, buf []byte) {
		r := e.Ctx.(*request)
		if r.buf == nil || r.buf2 != nil {
			t.Error("the second buffer came without a first, or again")
		}
		r.buf2 = buf
	}
	first := func(e *iobuf.Entry, buf []byte) {
		r := e.Ctx.(*request)
		if r.buf != nil || r.buf2 != nil {
			t.Error("the first buffer came again")
		}
		r.buf = buf
		if e.Channel().Get(smallSize, e, second) != nil {
			t.Error("the second buffer came at once")
		}
	}
	for _, r := range rs[2:] {
		if ch.Get(smallSize, &r.Entry, first) != nil {
			t.Error("a third buffer")
		}
	}
	ch.Put(rs[0].buf)
	expect(t, true, rs[2])
	expect(t, false, rs[3])
	ch.Put(rs[1].buf)
	if rs[2].buf2 == nil {
		t.Error("what was asked for from inside the callback did not come first")
	}
	expect(t, false, rs[3])
	ch.Put(rs[2].buf)
	ch.Put(rs[2].buf2)
	if rs[3].buf == nil || rs[3].buf2 == nil {
		t.Error("the last one waits for ever")
	}
	ch.Put(rs[3].buf)
	ch.Put(rs[3].buf2)
	b.finish(ch)
}
