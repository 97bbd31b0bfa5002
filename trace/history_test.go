package trace_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/trace"
)

// args returns the values of an entry's arguments.
func args(e trace.Entry) (list []any) {
	for _, v := range e.Args {
		if v.Type == trace.ArgStr {
			list = append(list, v.Str)
		} else {
			list = append(list, v.Int)
		}
	}
	return list
}

func TestRecordedIsRead(t *testing.T) {
	c := &clock{now: 1000}
	tr := newTrace(t, trace.Options{Clock: c, NumThreads: 1})
	h := user(t, tr)
	owner := tr.RegisterOwner(testOwnerType, "somebody")
	c.now++
	h.Record(testNumbers, owner, 4096, 0xabcdef,
		trace.Int(-1), trace.Int(int64(-2)), trace.Ptr(math.MaxUint64), trace.Int(7))
	c.now++
	h.Record(testText, 0, 0, 0, trace.Str("a text that is too long"), trace.Int(uint8(3)))
	h.Record(testText, 0, 0, 0, trace.Str("short"), trace.Int(4))
	h.Record(testText, 0, 0, 0, trace.Str(""), trace.Int(5))
	h.Record(testPlain, 0, 0, 0, trace.Int(6)) // one argument too many
	h.Record(testNumbers, 0, 0, 0, trace.Int(8))
	h.Record(testUnknown, 0, 0, 0)
	h.Record(math.MaxUint16, 0, 0, 0)
	h.RecordTSC(999, testLong, 0, 0, 0, trace.Str(strings.Repeat("long ", 100)))
	list := entries(t, tr.Path())
	type entry struct {
		TSC    uint64
		Name   string
		Owner  string
		Size   uint32
		Object uint64
		Args   []any
	}
	var got []entry
	for _, e := range list {
		got = append(got, entry{e.TSC, e.Tpoint.Name, e.Owner.Description, e.Size, e.Object, args(e)})
		if e.Core != 0 || e.Thread != "user" || e.Cut {
			t.Errorf("entry %+v", e)
		}
	}
	all := uint64(math.MaxUint64)
	want := []entry{
		{999, "TEST_LONG", "", 0, 0, []any{strings.Repeat("long ", 100)[:trace.MaxArgsSize-1]}},
		{1001, "TEST_NUMBERS", "somebody", 4096, 0xabcdef, []any{uint64(math.MaxUint32), all - 1, all, uint64(7)}},
		{1002, "TEST_TEXT", "", 0, 0, []any{"a text that", uint64(3)}},
		{1002, "TEST_TEXT", "", 0, 0, []any{"short", uint64(4)}},
		{1002, "TEST_TEXT", "", 0, 0, []any{"", uint64(5)}},
		{1002, "TEST_PLAIN", "", 0, 0, nil},
		{1002, "TEST_NUMBERS", "", 0, 0, []any{uint64(8), uint64(0), uint64(0), uint64(0)}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// reactors returns a framework of two reactors that are polled by hand, and its Trace.
func reactors(t *testing.T) (*reactortest.Reactors, *trace.Trace) {
	tr := newTrace(t, trace.Options{Cores: []int{0, 1}, NumEntries: 1024})
	return reactortest.NewReactors(t, []int{0, 1}, reactor.Options{StallThreshold: -1, Tracer: tr}), tr
}

func TestRecordOnReactors(t *testing.T) {
	h, tr := reactors(t)
	for core := range 2 {
		th := h.Thread(reactor.NewCpuset(core))
		th.SendMsg(func(th *reactor.Thread, _ any) {
			trace.Record(th, testText, th.TraceID(), 0, 0, trace.Str(th.Name()), trace.Int(core))
			th.TraceRecord(reactor.TraceEntry{Tpoint: testNumbers, Args: [4]uint64{1, 2, 3, 1<<32 + 4}})
			th.TraceRecord(reactor.TraceEntry{Tpoint: testText})    // has a string
			th.TraceRecord(reactor.TraceEntry{Tpoint: testUnknown}) // is not described
		}, nil)
	}
	h.PollReactors()
	got := map[int][]any{}
	owners := map[string]bool{}
	for _, e := range entries(t, tr.Path()) {
		got[e.Core] = append(got[e.Core], e.Thread)
		got[e.Core] = append(got[e.Core], args(e)...)
		owners[e.Owner.Description] = true
	}
	numbers := []any{uint64(1), uint64(2), uint64(3), uint64(4)}
	for core, list := range got {
		name := fmt.Sprintf("reactor_%d", core)
		want := append([]any{name, fmt.Sprintf("thread%d", core+1), uint64(core), name}, numbers...)
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("core %d: %s", core, diff)
		}
	}
	if diff := cmp.Diff(map[string]bool{"thread1": true, "thread2": true, "": true}, owners); diff != "" {
		t.Error(diff)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	h, tr := reactors(t)
	ring := user(t, newTrace(t, trace.Options{NumThreads: 1}))
	var allocs float64
	th := h.Thread(nil)
	th.SendMsg(func(th *reactor.Thread, _ any) {
		n := uint64(0)
		allocs = testing.AllocsPerRun(100, func() {
			n++
			trace.Record(th, testText, 1, 2, n, trace.Str("text"), trace.Int(n))
			th.TraceRecord(reactor.TraceEntry{Tpoint: testNumbers, Args: [4]uint64{n}})
			ring.Record(testNumbers, 1, 2, 3, trace.Int(1), trace.Int(2), trace.Int(3), trace.Int(4))
		})
	}, nil)
	h.PollReactors()
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if len(entries(t, tr.Path())) == 0 {
		t.Error("nothing was recorded")
	}
}

func TestFullRingKeepsTheLatest(t *testing.T) {
	c := &clock{}
	tr := newTrace(t, trace.Options{Clock: c, NumThreads: 2, NumEntries: 64})
	full, other := user(t, tr), user(t, tr)
	c.now = 1
	other.Record(testPlain, 0, 0, 0)
	for n := range 1000 {
		c.now = uint64(n + 10)
		full.Record(testPlain, 0, 0, uint64(n))
	}
	other.Record(testPlain, 0, 0, 0)
	complete := entries(t, tr.Path())
	all, err := open(t, tr.Path()).Entries(-1, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(complete)+1 || all[0].TSC != 1 {
		t.Errorf("%d entries, of which %d complete; the first at %d", len(all), len(complete), all[0].TSC)
	}
	// What the longest record could be overwriting now does not count.
	if n := len(complete) - 1; n < 64-9 || n > 64 {
		t.Errorf("%d entries are left in a ring of 64", n)
	}
	for i, e := range complete[:len(complete)-1] {
		if want := uint64(1000 - len(complete) + 1 + i); e.Object != want {
			t.Fatalf("entry %d is number %d, want %d", i, e.Object, want)
		}
	}
}

func TestClear(t *testing.T) {
	c := &clock{now: 5}
	tr := newTrace(t, trace.Options{Clock: c, NumThreads: 1})
	h := user(t, tr)
	h.Record(testPlain, 0, 0, 1)
	c.now = 6
	tr.Clear()
	h.Record(testPlain, 0, 0, 2)
	if list := entries(t, tr.Path()); len(list) != 1 || list[0].Object != 2 {
		t.Errorf("entries %+v", list)
	}
}

func TestObjectsAndRelations(t *testing.T) {
	c := &clock{now: 10}
	tr := newTrace(t, trace.Options{Clock: c, NumThreads: 2})
	a, b := user(t, tr), user(t, tr)
	step := func(h *trace.History, tp reactor.Tpoint, object uint64, args ...trace.Arg) {
		h.Record(tp, 0, 0, object, args...)
		c.now += 10
	}
	step(a, testEnd, 77)                                                // began before the trace
	step(a, testBegin, 77)                                              // o0, at 20
	step(b, testBegin, 88)                                              // o1, at 30
	step(b, testChildBegin, 5, trace.Int(0), trace.Ptr(77))             // c0 of o0
	step(b, testEnd, 77)                                                // o0
	step(a, testBegin, 77)                                              // o2, at 60
	step(a, testEnd, 77)                                                // o2
	step(a, testChildBegin, 5, trace.Int(0), trace.Ptr(uint64(123456))) // c1 of what nobody knows
	type row struct {
		Name    string
		Known   bool
		Index   uint64
		Since   uint64
		Related string
	}
	var got []row
	f := open(t, tr.Path())
	for _, e := range entries(t, tr.Path()) {
		r := row{Name: e.Tpoint.Name, Known: e.Known, Index: e.Index}
		if e.Known {
			r.Since = e.TSC - e.Start
		}
		if e.RelatedType != 0 {
			r.Related = fmt.Sprintf("%c%d %v", f.ObjectPrefix(e.RelatedType), e.Related, e.Args[1].IsRelated)
		}
		got = append(got, r)
	}
	want := []row{
		{"TEST_END", false, 0, 0, ""},
		{"TEST_BEGIN", true, 0, 0, ""},
		{"TEST_BEGIN", true, 1, 0, ""},
		{"TEST_CHILD", true, 0, 0, "o0 true"},
		{"TEST_END", true, 0, 30, ""},
		{"TEST_BEGIN", true, 2, 0, ""},
		{"TEST_END", true, 2, 10, ""},
		{"TEST_CHILD", true, 1, 0, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestReadWhileItIsWritten has a reader that takes no notice of the writer, and finds nothing that was never written:
// the arguments of an entry are functions of its number.
func TestReadWhileItIsWritten(t *testing.T) {
	tr := newTrace(t, trace.Options{NumThreads: 1, NumEntries: 256})
	h := user(t, tr)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(1); !stop.Load(); n++ {
			h.Record(testNumbers, 0, uint32(n), n,
				trace.Int(uint32(n)*3), trace.Int(n*5), trace.Ptr(n*7), trace.Int(uint32(n)*11))
		}
	}()
	f := open(t, tr.Path())
	seen, last := 0, uint64(0)
	for round := 0; round < 30 || seen < 1000; round++ {
		list, err := f.Entries(-1, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range list {
			n := e.Object
			want := []any{uint64(uint32(n) * 3), n * 5, n * 7, uint64(uint32(n) * 11)}
			if !slices.Equal(want, args(e)) || e.Size != uint32(n) || e.Cut {
				t.Fatalf("round %d: entry %d is torn: %+v", round, n, e)
			}
			if i > 0 && n != list[i-1].Object+1 {
				t.Fatalf("round %d: entry %d comes after %d", round, n, list[i-1].Object)
			}
		}
		if len(list) > 0 {
			seen += len(list)
			if list[len(list)-1].Object < last {
				t.Fatalf("round %d goes back from %d to %d", round, last, list[len(list)-1].Object)
			}
			last = list[len(list)-1].Object
		}
	}
	stop.Store(true)
	<-done
}
