package trace_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

// The tracepoints of the tests.
const (
	testGroup      = 0x13
	testOwnerType  = 0x7e
	testObject     = 0x7e
	testChild      = 0x7f
	testPlain      = reactor.Tpoint(testGroup << 6)
	testNumbers    = testPlain + 1
	testText       = testPlain + 2
	testBegin      = testPlain + 3
	testEnd        = testPlain + 4
	testChildBegin = testPlain + 5
	testLong       = testPlain + 6
	testUnknown    = testPlain + 63
)

func init() {
	trace.RegisterGroup(trace.Group{Name: "test", ID: testGroup, Register: func(tr *trace.Trace) {
		tr.RegisterOwnerType(testOwnerType, 'T')
		tr.RegisterObject(testObject, 'o')
		tr.RegisterObject(testChild, 'c')
		tr.RegisterRelation(testChildBegin, trace.Relation{ObjectType: testObject, Arg: 1})
		tr.RegisterDescription(
			trace.TpointOpts{Name: "TEST_PLAIN", Tpoint: testPlain},
			trace.TpointOpts{Name: "TEST_NUMBERS", Tpoint: testNumbers, OwnerType: testOwnerType, Args: []trace.Argument{
				{Name: "small", Type: trace.ArgInt, Size: 4}, {Name: "large", Type: trace.ArgInt, Size: 8},
				{Name: "ptr", Type: trace.ArgPtr, Size: 8}, {Name: "last", Type: trace.ArgInt, Size: 4},
			}},
			trace.TpointOpts{Name: "TEST_TEXT", Tpoint: testText, Args: []trace.Argument{
				{Name: "text", Type: trace.ArgStr, Size: 12}, {Name: "n", Type: trace.ArgInt, Size: 8},
			}},
			trace.TpointOpts{Name: "TEST_BEGIN", Tpoint: testBegin, ObjectType: testObject, NewObject: true},
			trace.TpointOpts{Name: "TEST_END", Tpoint: testEnd, ObjectType: testObject},
			trace.TpointOpts{Name: "TEST_CHILD", Tpoint: testChildBegin, ObjectType: testChild, NewObject: true,
				Args: []trace.Argument{{Name: "n", Type: trace.ArgInt, Size: 4}, {Name: "parent", Type: trace.ArgPtr, Size: 8}}},
			trace.TpointOpts{Name: "TEST_LONG", Tpoint: testLong, Args: []trace.Argument{
				{Name: "text", Type: trace.ArgStr, Size: trace.MaxArgsSize},
			}},
		)
	}})
}

// clock stands still until it is told to move on.
type clock struct{ now uint64 }

func (c *clock) Ticks() uint64   { return c.now }
func (c *clock) TicksHz() uint64 { return 1e9 }

// newTrace makes a Trace in a directory of its own, with every tracepoint on.
func newTrace(tb testing.TB, o trace.Options) *trace.Trace {
	tb.Helper()
	if o.Name == "" {
		o.Name = "test"
	}
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	tr, err := trace.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { tr.Close() })
	if err := tr.EnableTpointGroup("all"); err != nil {
		tb.Fatal(err)
	}
	return tr
}

// open opens the file of a Trace.
func open(tb testing.TB, path string) *trace.File {
	tb.Helper()
	f, err := trace.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

// entries reads all there is.
func entries(tb testing.TB, path string) []trace.Entry {
	tb.Helper()
	list, err := open(tb, path).Entries(-1, true)
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// user returns the ring of a thread.
func user(tb testing.TB, tr *trace.Trace) *trace.History {
	tb.Helper()
	h, err := tr.RegisterUserThread("user")
	if err != nil {
		tb.Fatal(err)
	}
	return h
}
