package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

// clock stands still until it is told to move on.
type clock struct{ now uint64 }

func (c *clock) Ticks() uint64   { return c.now }
func (c *clock) TicksHz() uint64 { return 1e9 }

// sample is a trace of two cores, in a directory that stands for /dev/shm.
type sample struct {
	*trace.Trace
	clock *clock
	dir   string
}

func newSample(tb testing.TB) *sample {
	tb.Helper()
	s := &sample{clock: &clock{now: 1000}, dir: tb.TempDir()}
	old := shmDir
	shmDir = s.dir
	tb.Cleanup(func() { shmDir = old })
	var err error
	s.Trace, err = trace.New(trace.Options{Name: "app", Dir: s.dir, Cores: []int{0, 3}, Clock: s.clock, NumEntries: 64})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	if err := s.EnableTpointGroup("all"); err != nil {
		tb.Fatal(err)
	}
	return s
}

// step records an entry and lets 2.5 microseconds pass.
func (s *sample) step(core int, e reactor.TraceEntry) {
	s.clock.now += 2500
	s.TraceRecord(core, e)
}

// fill records one of each kind.
func (s *sample) fill() {
	mem0 := s.RegisterOwner(reactor.OwnerTypeFsdev, "mem0")
	r0 := s.RegisterOwner(reactor.OwnerTypeReactor, "reactor_0")
	read, lookup := uint64(fsdev.IORead), uint64(fsdev.IOLookup)
	start, done := reactor.TpointFsdevIOStart, reactor.TpointFsdevIODone
	s.step(0, reactor.TraceEntry{Tpoint: reactor.TpointThreadIOChannelGet, Object: 0xabc, Args: [4]uint64{1}})
	s.step(0, reactor.TraceEntry{Tpoint: start, Owner: mem0, Size: 4096, Object: 77, Args: [4]uint64{read, 10, 5, 8192}})
	s.step(3, reactor.TraceEntry{Tpoint: start, Owner: mem0, Object: 88, Args: [4]uint64{lookup, 12, 1, 0}})
	s.step(3, reactor.TraceEntry{Tpoint: done, Owner: mem0, Object: 88, Args: [4]uint64{lookup, uint64(syscall.ENOENT)}})
	s.step(0, reactor.TraceEntry{Tpoint: done, Owner: mem0, Object: 77, Args: [4]uint64{read, 0}})
	s.step(3, reactor.TraceEntry{Tpoint: done, Owner: mem0, Object: 99, Args: [4]uint64{read, 0}})
	s.step(0, reactor.TraceEntry{Tpoint: reactor.TpointSchedulerCoreStats, Owner: r0, Args: [4]uint64{300, 100}})
}

// call runs the program.
func call(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}

// mustCall runs the program and returns its output.
func mustCall(tb testing.TB, args ...string) string {
	tb.Helper()
	code, stdout, stderr := call(args...)
	if code != exitOK {
		tb.Fatalf("%q: exit code %d, %s", args, code, stderr)
	}
	return stdout
}

func TestText(t *testing.T) {
	s := newSample(t)
	s.fill()
	got := mustCall(t, "-s", "app")
	pad := func(n int) string { return strings.Repeat(" ", n) }
	mem0, nobody := "mem0"+pad(61), pad(65)
	want := "TSC Rate: 1000000000\n" +
		"Trace Size of lcore (0): 64\n" +
		"Trace Size of lcore (3): 64\n" +
		"reactor_0         0:      0.000 " + nobody + "THREAD_IOCH_GET          " + pad(13) +
		"object:0xabc            refcnt:1                \n" +
		"reactor_0         0:      2.500 " + mem0 + "FSDEV_IO_START           size:   4096 " +
		"id:    i0               op:    READ             unique:10               file:  0x5              " +
		"offset:8192             \n" +
		"reactor_3         3:      5.000 " + mem0 + "FSDEV_IO_START           " + pad(13) +
		"id:    i1               op:    LOOKUP           unique:12               file:  0x1              " +
		"offset:0                \n" +
		"reactor_3         3:      7.500 " + mem0 + "FSDEV_IO_DONE            " + pad(13) +
		"id:    i1               time:  2.500            op:    LOOKUP           errno: ENOENT           \n" +
		"reactor_0         0:     10.000 " + mem0 + "FSDEV_IO_DONE            " + pad(13) +
		"id:    i0               time:  7.500            op:    READ             errno: 0                \n" +
		"reactor_3         3:     12.500 " + mem0 + "FSDEV_IO_DONE            " + pad(13) +
		"id:    N/A              op:    READ             errno: 0                \n" +
		"reactor_0         0:     15.000 reactor_0" + pad(56) + "SCHEDULER_CORE_STATS     " + pad(13) +
		"busy:  300              idle:  100              \n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := mustCall(t, "-s", "app", "-t", "-T", "--tpoint", "FSDEV_IO_DONE"); !strings.Contains(got,
		" 3:      2.500 (     2500) mem0") {
		t.Errorf("with ticks and differences: %s", got)
	}
}

func TestFilters(t *testing.T) {
	s := newSample(t)
	s.fill()
	for _, test := range []struct {
		args []string
		want string // cores and tracepoints
	}{
		{nil, "0GET 0START 3START 3DONE 0DONE 3DONE 0STATS"},
		{[]string{"-c", "3"}, "3START 3DONE 3DONE"},
		{[]string{"-c", "0,3"}, "0GET 0START 3START 3DONE 0DONE 3DONE 0STATS"},
		{[]string{"-c", "1"}, ""},
		{[]string{"-g", "fsdev"}, "0START 3START 3DONE 0DONE 3DONE"},
		{[]string{"-g", "thread,scheduler"}, "0GET 0STATS"},
		{[]string{"-g", "SCHEDULER_CORE"}, "0STATS"},
		{[]string{"-g", "bdev"}, ""},
		{[]string{"--tpoint", "fsdev_io_start"}, "0START 3START"},
		{[]string{"--owner", "reactor"}, "0STATS"},
		{[]string{"--owner", "mem0", "-c", "3", "--tpoint", "FSDEV_IO_DONE"}, "3DONE 3DONE"},
	} {
		var got []string
		for line := range strings.Lines(mustCall(t, append([]string{"-s", "app"}, test.args...)...)) {
			if !strings.HasPrefix(line, "reactor_") {
				continue
			}
			fields := strings.Fields(line)
			core := strings.TrimSuffix(fields[1], ":")
			i := slices.IndexFunc(fields, func(f string) bool { return strings.Contains(f, "_") && strings.ToUpper(f) == f })
			name := fields[i]
			got = append(got, core+name[strings.LastIndex(name, "_")+1:])
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q: %s", test.args, diff)
		}
	}
}

func TestJSON(t *testing.T) {
	s := newSample(t)
	s.fill()
	var got struct {
		Rate    uint64 `json:"tsc_rate"`
		Tpoints []struct {
			Name string
			ID   uint16
			Args []map[string]any
		}
		Owners  map[string]string
		Entries []json.RawMessage
	}
	if err := json.Unmarshal([]byte(mustCall(t, "-j", "-f", s.Path())), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rate != 1e9 || got.Owners["1"] != "mem0" || len(got.Tpoints) != 8 {
		t.Errorf("rate %d, owners %v, tracepoints %+v", got.Rate, got.Owners, got.Tpoints)
	}
	want := []string{
		`{"lcore":0,"tpoint":640,"tsc":3500,"object":{"value":2748},"args":[1]}`,
		`{"lcore":0,"tpoint":448,"tsc":6000,"poller":"f01","owner":"mem0","size":4096,` +
			`"object":{"id":"i0","value":77},"args":[19,10,5,8192]}`,
	}
	want[1] = strings.Replace(want[1], "[19,", fmt.Sprintf("[%d,", fsdev.IORead), 1)
	for i, w := range want {
		if diff := cmp.Diff(w, string(got.Entries[i])); diff != "" {
			t.Errorf("entry %d: %s", i, diff)
		}
	}
	if text := string(got.Entries[3]); !strings.Contains(text, `"object":{"id":"i1","time":2500,"value":88}`) {
		t.Errorf("entry 3: %s", text)
	}
}

// TestChrome holds the file to the Trace Event Format: what each phase must have, spans that begin and end once, on one
// track, and times in order.
func TestChrome(t *testing.T) {
	s := newSample(t)
	s.fill()
	out := filepath.Join(s.dir, "chrome.json")
	if text := mustCall(t, "-s", "app", "--chrome", out); text != "" {
		t.Errorf("printed %q", text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Unit   string  `json:"displayTimeUnit"`
		Events []event `json:"traceEvents"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || d.Decode(new(any)) != io.EOF {
		t.Fatalf("%v in %s", err, b)
	}
	var rows []string
	open := map[string]string{}
	last := 0.0
	for _, e := range got.Events {
		if e.PID != chromePID || e.TS < last {
			t.Errorf("event %+v", e)
		}
		last = max(last, e.TS)
		key := e.Cat + e.ID
		switch e.Phase {
		case phaseBegin:
			open[key] = e.Name
		case phaseEnd:
			if open[key] != e.Name || e.Cat == "" {
				t.Errorf("%+v ends what began as %q", e, open[key])
			}
			delete(open, key)
		case phaseInstant:
			if e.Scope != "t" {
				t.Errorf("event %+v", e)
			}
		case phaseCounter, phaseMetadata:
		default:
			t.Errorf("phase %q", e.Phase)
		}
		rows = append(rows, fmt.Sprintf("%s %s %v %d %s", e.Phase, e.Name, e.TS, e.TID, e.ID))
	}
	if len(open) > 0 {
		t.Errorf("%v do not end", open)
	}
	want := []string{
		"M process_name 0 0 ", "M thread_name 0 0 ", "M thread_sort_index 0 0 ", "M thread_name 0 3 ",
		"M thread_sort_index 0 3 ",
		"i THREAD_IOCH_GET 0 0 ", "b READ 2.5 0 i0", "b LOOKUP 5 3 i1", "e LOOKUP 7.5 3 i1", "e READ 10 0 i0",
		"i FSDEV_IO_DONE 12.5 3 ", "C load of reactor_0 15 0 ",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if load := got.Events[len(got.Events)-1].Args["busy %"]; load != 75.0 {
		t.Errorf("load %v", load)
	}
}

func TestRecord(t *testing.T) {
	s := newSample(t)
	s.fill()
	out := filepath.Join(s.dir, "recorded")
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr bytes.Buffer
	done := make(chan int)
	go func() { done <- run(ctx, []string{"record", "-s", "app", "-f", out}, &stdout, &stderr) }()
	for range 20 { // more than a ring holds
		time.Sleep(5 * time.Millisecond)
		for range 10 {
			s.step(0, reactor.TraceEntry{Tpoint: reactor.TpointThreadIOChannelPut, Object: 1})
		}
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	text := mustCall(t, "-f", out)
	n := strings.Count(text, "\nreactor_")
	if n != 7+200 && !strings.Contains(stderr.String(), "were overwritten") {
		t.Errorf("%d entries of %d were recorded, and nobody says so: %s", n, 7+200, &stderr)
	}
	if !strings.Contains(stdout.String(), "written to "+out) {
		t.Errorf("said %q", &stdout)
	}
	code, _, over := call("record", "-s", "app", "-f", out)
	if code != exitFailed || !strings.Contains(over, "file exists") {
		t.Errorf("over a file: exit code %d, %q", code, over)
	}
	quiet := filepath.Join(s.dir, "quiet")
	if text := mustCall(t, "record", "-q", "-s", "app", "-t", "0.01", "-f", quiet); text != "" {
		t.Errorf("with -q it said %q", text)
	}
}

// TestRecordEndsWithTheProcess follows a process that does not exist any more.
func TestRecordEndsWithTheProcess(t *testing.T) {
	s := newSample(t)
	s.fill()
	dead := filepath.Join(s.dir, "dead_trace.pid4194399") // above the largest number of a process
	b, err := os.ReadFile(s.Path())
	if err == nil {
		err = os.WriteFile(dead, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(s.dir, "recorded")
	mustCall(t, "record", "-s", "dead", "-p", "4194399", "-f", out)
	if n := strings.Count(mustCall(t, "-f", out), "\nreactor_"); n != 7 {
		t.Errorf("%d entries, want 7", n)
	}
}

func TestSources(t *testing.T) {
	s := newSample(t)
	s.fill()
	pid := fmt.Sprint(os.Getpid())
	whole := mustCall(t, "-f", s.Path())
	for _, args := range [][]string{nil, {"-s", "app"}, {"-p", pid}, {"-s", "app", "-p", pid}} {
		if text := mustCall(t, args...); text != whole {
			t.Errorf("%q: %s", args, text)
		}
	}
	for _, args := range [][]string{
		{"-s", "other"}, {"-p", "1"}, {"-i", "0"}, {"-s", "app", "-i", "0"}, {"-f", filepath.Join(s.dir, "none")},
		{"-s", "["},
	} {
		code, stdout, stderr := call(args...)
		isLine := strings.HasPrefix(stderr, progName+": ") && strings.Count(stderr, "\n") == 1
		if code != exitFailed || stdout != "" || !isLine {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestBadFiles(t *testing.T) {
	s := newSample(t)
	s.fill()
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": {}, "text": []byte(strings.Repeat("text\n", 10000)), "half": whole[:len(whole)/2],
		"short": whole[:len(whole)-1],
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-f", file}, {"-j", "-f", file}, {"--chrome", file + ".json", "-f", file}} {
			code, stdout, stderr := call(args...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, "no trace file, or a damaged one") {
				t.Errorf("%s: exit code %d, %q, %q", name, code, stdout, stderr)
			}
		}
	}
}

// TestDamageDoesNoHarm changes bytes of a trace, in its descriptions, owners and rings: it is shown in every form, or
// is an error.
func TestDamageDoesNoHarm(t *testing.T) {
	s := newSample(t)
	for range 20 {
		s.fill()
	}
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	var used []int // bytes that say something
	for i, b := range whole {
		if b != 0 {
			used = append(used, i)
		}
	}
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		b := slices.Clone(whole)
		for range 1 + rnd.IntN(30) {
			at := used[rnd.IntN(len(used))] + rnd.IntN(8)
			b[min(at, len(b)-1)] = byte(rnd.UintN(256))
		}
		f, err := trace.NewFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		list, err := f.Entries(-1, false)
		if err != nil {
			continue
		}
		v := &view{f: f, name: "damaged", entries: list, printTSC: true}
		forms := map[string]func(w *bufio.Writer){"text": v.text, "json": v.json, "chrome": v.chrome}
		for name, write := range forms {
			var out bytes.Buffer
			if err := buffered(&out, write); err != nil {
				t.Errorf("seed %d: %s: %v", seed, name, err)
			}
			if name != "text" && !json.Valid(out.Bytes()) {
				t.Errorf("seed %d: %s is no JSON", seed, name)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--fly"}, "unknown flag: --fly"},
		{[]string{"file"}, `unexpected argument "file"`},
		{[]string{"-p", "x"}, `"x" is not a number`},
		{[]string{"-p", "-1"}, `"-1" is not a number`},
		{[]string{"-p", "1", "-i", "1"}, "--pid and --shm-id do not go together"},
		{[]string{"-s", "app", "-f", "x"}, "--file does not go together"},
		{[]string{"-j", "--chrome", "x"}, "--json and --chrome do not go together"},
		{[]string{"-c", "x"}, "invalid argument"},
		{[]string{"record"}, "record wants a file to write to"},
		{[]string{"record", "-f", "x", "-t", "0"}, `"0" is not a number of seconds`},
		{[]string{"record", "-f", "x", "--chrome", "y"}, "unknown flag: --chrome"},
	} {
		code, stdout, stderr := call(test.args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", test.args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"--help"}, {"record", "-h"}} {
		text := mustCall(t, args...)
		for line := range strings.Lines(text) {
			if len(line) > helpColumns+1 {
				t.Errorf("a long line: %q", line)
			}
		}
	}
	if text := mustCall(t, "-v"); !strings.HasPrefix(text, progName+": ") {
		t.Errorf("version %q", text)
	}
}
