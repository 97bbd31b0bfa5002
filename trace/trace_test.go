package trace_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

func TestNewRefusesBadOptions(t *testing.T) {
	for name, o := range map[string]trace.Options{
		"no name":           {},
		"a path for a name": {Name: "a/b"},
		"no power of two":   {Name: "x", NumEntries: 100},
		"too few":           {Name: "x", NumEntries: 8},
		"too many":          {Name: "x", NumEntries: 1 << 40},
		"negative core":     {Name: "x", Cores: []int{-1}},
		"core too high":     {Name: "x", Cores: []int{1024}},
		"too many threads":  {Name: "x", Cores: []int{1023}, NumThreads: 1},
	} {
		o.Dir = t.TempDir()
		if tr, err := trace.New(o); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, %v, want EINVAL", name, tr, err)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	if _, err := trace.New(trace.Options{Name: "x", Dir: none}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that does not exist: %v", err)
	}
}

func TestFileNames(t *testing.T) {
	id := 0
	dir := t.TempDir()
	pid := fmt.Sprintf("app_trace.pid%d", os.Getpid())
	var got []string
	create := func(o trace.Options) *trace.Trace {
		o.Name, o.Dir = "app", dir
		tr, err := trace.New(o)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.Base(tr.Path()))
		return tr
	}
	a, b := create(trace.Options{}), create(trace.Options{})
	byID := create(trace.Options{ShmID: &id})
	if diff := cmp.Diff([]string{pid, pid + ".1", "app_trace.0"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := trace.New(trace.Options{Name: "app", Dir: dir, ShmID: &id}); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("the same ID again: %v, want EBUSY", err)
	}
	for _, tr := range []*trace.Trace{a, b, byID, a} {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("nothing was recorded, but %v is left", left)
	}
}

func TestFileOfADeadProcessIsReplaced(t *testing.T) {
	id, dir := 7, t.TempDir()
	path := filepath.Join(dir, "app_trace.7")
	if err := os.WriteFile(path, []byte("what a process left that died"), 0o666); err != nil {
		t.Fatal(err)
	}
	tr := newTrace(t, trace.Options{Name: "app", Dir: dir, ShmID: &id})
	if tr.Path() != path {
		t.Errorf("path %s", tr.Path())
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v, want mode 600", st.Mode(), err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(dir, "app_trace.8")); err != nil {
		t.Fatal(err)
	}
	id = 8
	if tr, err := trace.New(trace.Options{Name: "app", Dir: dir, ShmID: &id}); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a symbolic link: %v, %v, want ELOOP", tr, err)
	}
}

// TestFilesOfKilledProcessesAreRemoved unless there is something in them.
func TestFilesOfKilledProcessesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	dead := func(pid string, recorded bool) {
		tr := newTrace(t, trace.Options{Name: "other", NumThreads: 1})
		if recorded {
			user(t, tr).Record(testPlain, 0, 0, 0)
		}
		b, err := os.ReadFile(tr.Path())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "app_trace.pid"+pid), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dead("1", false)
	dead("2", true)
	if err := os.WriteFile(filepath.Join(dir, "app_trace.pid3"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lives := newTrace(t, trace.Options{Name: "app", Dir: dir})
	next := newTrace(t, trace.Options{Name: "app", Dir: dir})
	var got []string
	left, _ := os.ReadDir(dir)
	for _, e := range left {
		got = append(got, e.Name())
	}
	want := []string{"app_trace.pid2", "app_trace.pid3", filepath.Base(lives.Path()), filepath.Base(next.Path())}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFileStaysOnlyIfSomethingWasRecorded(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		tr := newTrace(t, trace.Options{NumThreads: 1})
		if recorded {
			user(t, tr).Record(testPlain, 0, 0, 0)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(tr.Path()); (err == nil) != recorded {
			t.Errorf("recorded %v: %v", recorded, err)
		}
		if !recorded {
			continue
		}
		if n := len(entries(t, tr.Path())); n != 1 {
			t.Errorf("%d entries are left, want 1", n)
		}
	}
}

func TestClosedTraceDoesNothing(t *testing.T) {
	tr := newTrace(t, trace.Options{NumThreads: 1, Cores: []int{0}})
	h := user(t, tr)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	tr.Clear()
	h.Record(testPlain, 0, 0, 0)
	tr.TraceRecord(0, reactor.TraceEntry{Tpoint: testPlain})
	tr.UnregisterOwner(1)
	tr.SetOwnerDescription(1, "x")
	tr.AppendOwnerDescription(1, "x")
	if id := tr.RegisterOwner(testOwnerType, "x"); id != 0 {
		t.Errorf("owner %d", id)
	}
	if err := tr.SetTpoints(1, 1); !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("SetTpoints: %v", err)
	}
	if _, err := tr.RegisterUserThread("x"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("RegisterUserThread: %v", err)
	}
	if list := tr.Tpoints(testGroup); list != nil {
		t.Errorf("Tpoints: %v", list)
	}
}

func TestMasks(t *testing.T) {
	tr := newTrace(t, trace.Options{})
	if mask := tr.TpointGroupMask(); mask != 1<<testGroup|1<<0x12|1<<0x0a|1<<0x07 {
		t.Errorf("all groups: %#x", mask)
	}
	for _, err := range []error{
		tr.DisableTpointGroup("all"), tr.SetTpoints(testGroup, 0x7), tr.SetTpoints(testGroup, 0x10),
		tr.ClearTpoints(testGroup, 0x2), tr.EnableTpointGroup("thread"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for group, want := range map[int]uint64{testGroup: 0x15, 0x0a: 1<<64 - 1, 0x12: 0, -1: 0, 20: 0} {
		if mask := tr.TpointMask(group); mask != want {
			t.Errorf("group %#x: %#x, want %#x", group, mask, want)
		}
	}
	for what, err := range map[string]error{
		"group 20": tr.SetTpoints(20, 1), "group -1": tr.ClearTpoints(-1, 1),
		"unknown": tr.EnableTpointGroup("unknown"), "upper case": tr.DisableTpointGroup("Thread"),
	} {
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", what, err)
		}
	}
}

func TestEnable(t *testing.T) {
	all := uint64(1<<64 - 1)
	for spec, want := range map[string]map[int]uint64{
		"thread":                        {0x0a: all},
		"test:0x3":                      {testGroup: 3},
		"test:5,thread":                 {testGroup: 5, 0x0a: all},
		"test:TEST_PLAIN+test_text":     {testGroup: 5},
		"80000:TEST_BEGIN":              {testGroup: 8},
		"0x80400":                       {testGroup: all, 0x0a: all},
		"test:TEST_PLAIN,test:TEST_END": {testGroup: 0x11},
	} {
		tr := newTrace(t, trace.Options{})
		if err := errors.Join(tr.DisableTpointGroup("all"), tr.Enable(spec)); err != nil {
			t.Errorf("%q: %v", spec, err)
			continue
		}
		got := map[int]uint64{}
		for g := range reactor.TraceGroups {
			if mask := tr.TpointMask(g); mask != 0 {
				got[g] = mask
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", spec, diff)
		}
	}
	tr := newTrace(t, trace.Options{})
	if err := tr.DisableTpointGroup("all"); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{
		"", "unknown", "thread,unknown", "test:", "test:UNKNOWN", "all:1", "c0000:1", "0", "100000", "test:TEST_PLAIN+",
	} {
		if err := tr.Enable(spec); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v, want EINVAL", spec, err)
		}
		if mask := tr.TpointGroupMask(); mask != 0 {
			t.Fatalf("%q has turned on %#x", spec, mask)
		}
	}
}

func TestOwners(t *testing.T) {
	c := &clock{now: 100}
	tr := newTrace(t, trace.Options{Clock: c, NumThreads: 1})
	h := user(t, tr)
	id := tr.RegisterOwner(testOwnerType, "first")
	c.now = 200
	h.Record(testNumbers, id, 0, 0)
	tr.AppendOwnerDescription(id, "and more")
	f := open(t, tr.Path())
	want := trace.Owner{ID: id, Type: testOwnerType, Since: 100, Description: "first and more"}
	if o, ok := f.Owner(id); !ok || o != want {
		t.Errorf("owner %+v, %v", o, ok)
	}
	tr.SetOwnerDescription(id, strings.Repeat("x", 200))
	tr.UnregisterOwner(id)
	tr.UnregisterOwner(0)
	list := entries(t, tr.Path())
	if got := list[0].Owner; got.ID != id || got.Description != strings.Repeat("x", 118) {
		t.Errorf("after its end the owner is %+v", got)
	}
	c.now = 300
	for {
		other := tr.RegisterOwner(testOwnerType, "another")
		if other == 0 {
			t.Fatal("the number that was given back is not used again")
		}
		if other == id {
			break
		}
	}
	c.now = 400
	h.Record(testNumbers, id, 0, 0)
	list = entries(t, tr.Path())
	if a, b := list[0].Owner, list[1].Owner; a.ID != id || a.Description != "" || b.Description != "another" {
		t.Errorf("owners of the entries: %+v and %+v", a, b)
	}
	if id := tr.RegisterOwner(testOwnerType, "too many"); id != 0 {
		t.Errorf("got owner %d, of which there are none left", id)
	}
}

func TestUserThreads(t *testing.T) {
	tr := newTrace(t, trace.Options{Cores: []int{0, 2}, NumThreads: 1})
	h := user(t, tr)
	if _, err := tr.RegisterUserThread("another"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a second thread: %v, want ENOENT", err)
	}
	h.Record(testPlain, 0, 0, 0)
	tr.UnregisterUserThread(h)
	h, err := tr.RegisterUserThread("a name of more than fifteen")
	if err != nil {
		t.Fatal(err)
	}
	h.Record(testPlain, 0, 0, 0)
	list := entries(t, tr.Path())
	if len(list) != 2 || list[0].Core != 3 || list[0].Thread != "a name of more " {
		t.Errorf("entries %+v", list)
	}
	if diff := cmp.Diff([]int{0, 2, 3}, open(t, tr.Path()).Cores()); diff != "" {
		t.Error(diff)
	}
}

func TestRegistrationRefusesWhatCannotBe(t *testing.T) {
	tr := newTrace(t, trace.Options{})
	tp := func(change func(o *trace.TpointOpts)) func() {
		return func() {
			o := trace.TpointOpts{Name: "X", Tpoint: testUnknown}
			change(&o)
			tr.RegisterDescription(o)
		}
	}
	args := func(args ...trace.Argument) func() { return tp(func(o *trace.TpointOpts) { o.Args = args }) }
	number := trace.Argument{Name: "n", Type: trace.ArgInt, Size: 8}
	for name, fn := range map[string]func(){
		"tracepoint 0":         tp(func(o *trace.TpointOpts) { o.Tpoint = 0 }),
		"tracepoint 1280":      tp(func(o *trace.TpointOpts) { o.Tpoint = 1280 }),
		"twice":                tp(func(o *trace.TpointOpts) { o.Tpoint = testPlain }),
		"no name":              tp(func(o *trace.TpointOpts) { o.Name = "" }),
		"long name":            tp(func(o *trace.TpointOpts) { o.Name = strings.Repeat("x", 24) }),
		"nine arguments":       args(number, number, number, number, number, number, number, number, number),
		"number of two bytes":  args(trace.Argument{Name: "n", Type: trace.ArgInt, Size: 2}),
		"empty string":         args(trace.Argument{Name: "s", Type: trace.ArgStr}),
		"unknown type":         args(trace.Argument{Name: "s", Type: 9, Size: 8}),
		"argument without":     args(trace.Argument{Type: trace.ArgInt, Size: 8}),
		"long argument name":   args(trace.Argument{Name: strings.Repeat("x", 14), Type: trace.ArgInt, Size: 8}),
		"too much":             args(trace.Argument{Name: "s", Type: trace.ArgStr, Size: trace.MaxArgsSize}, number),
		"owner type 0":         func() { tr.RegisterOwnerType(0, 'x') },
		"owner type twice":     func() { tr.RegisterOwnerType(testOwnerType, 'x') },
		"object twice":         func() { tr.RegisterObject(testObject, 'x') },
		"group all":            func() { trace.RegisterGroup(trace.Group{Name: "all", ID: 1}) },
		"group that is there":  func() { trace.RegisterGroup(trace.Group{Name: "test", ID: 1}) },
		"ID that is there":     func() { trace.RegisterGroup(trace.Group{Name: "other", ID: testGroup}) },
		"ID that is too large": func() { trace.RegisterGroup(trace.Group{Name: "other", ID: 20}) },
		"too many relations": func() {
			for range 17 {
				tr.RegisterRelation(testPlain, trace.Relation{ObjectType: 1})
			}
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fn()
		}()
	}
}
