package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// binary builds spdk_tgt once.
var binary = sync.OnceValues(func() (string, error) { return Build(scratch) })

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "contract-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// readSessions reads a recording.
func readSessions(t *testing.T, name string) []Session {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

func startTarget(t *testing.T) (*Target, string) {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	target, err := StartTarget(bin, dir, TargetArgs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Kill(); err != nil {
			t.Error(err)
		}
	})
	return target, dir
}

// TestRPCPy sends what rpc.py sent, in the same order, to another spdk_tgt, and compares the answers.
func TestRPCPy(t *testing.T) {
	sessions := readSessions(t, "rpcpy.txt")
	commands := Commands()
	if len(sessions) != len(commands) {
		t.Fatalf("%d sessions are recorded, of %d commands: see package contract", len(sessions), len(commands))
	}
	target, _ := startTarget(t)
	for i, s := range sessions {
		if want := "rpc.py " + strings.Join(commands[i].Args, " "); s.Name != want {
			t.Fatalf("the recording has %q where there is %q: see package contract", s.Name, want)
		}
		t.Run(strings.ReplaceAll(s.Name, "/", "_"), func(t *testing.T) { replay(t, target, s) })
	}
	if err := target.Wait(); err != nil {
		t.Error(err)
	}
}

// TestOtherTools sends what spdkcli.py and spdk_top sent.
func TestOtherTools(t *testing.T) {
	sessions := slices.Concat(readSessions(t, "spdkcli.txt"), readSessions(t, "spdk_top.txt"))
	target, dir := startTarget(t)
	end, err := target.Populate(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for _, s := range sessions {
		t.Run(s.Name, func(t *testing.T) { replay(t, target, s) })
	}
}

// optional are fields of which it depends on the build, or on the machine, whether they are there; new methods are no
// fields.
var optional = []string{"commit", "core_freq"}

type response struct {
	ID     json.RawMessage
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

// replay sends the requests of a session over a connection of their own.
func replay(t *testing.T, target *Target, s Session) {
	nc, err := net.Dial("unix", target.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(nc)
	for _, e := range s.Exchanges {
		if _, err := io.WriteString(nc, strings.TrimSuffix(e.Request, "\n")); err != nil {
			t.Fatal(err)
		}
		for recorded := json.NewDecoder(strings.NewReader(e.Response)); recorded.More(); {
			var want, got json.RawMessage
			if err := recorded.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if err := answers.Decode(&got); err != nil {
				t.Fatalf("%s\n%v", e.Request, err)
			}
			compare(t, e.Request, want, got)
		}
	}
}

// compare compares an answer, or those of a batch.
func compare(t *testing.T, request string, want, got json.RawMessage) {
	t.Helper()
	var wants, gots []json.RawMessage
	if json.Unmarshal(want, &wants) != nil {
		wants = []json.RawMessage{want}
	}
	if json.Unmarshal(got, &gots) != nil {
		gots = []json.RawMessage{got}
	}
	if len(wants) != len(gots) {
		t.Fatalf("%s\nis answered by %s, was by %s", request, got, want)
	}
	for i := range wants {
		compareOne(t, request, wants[i], gots[i])
	}
}

func compareOne(t *testing.T, request string, wantText, gotText json.RawMessage) {
	t.Helper()
	var want, got response
	if err := json.Unmarshal(wantText, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(gotText, &got); err != nil {
		t.Fatal(err)
	}
	if got.Error != nil && strings.Contains(request, `"framework_enable_cpumask_locks"`) {
		return // another application has the CPU
	}
	if string(want.ID) != string(got.ID) || (want.Error == nil) != (got.Error == nil) {
		t.Errorf("%s\nis answered by %s\nwas by %s", request, gotText, wantText)
		return
	}
	if want.Error != nil {
		if want.Error.Code != got.Error.Code || got.Error.Message == "" {
			t.Errorf("%s\nis refused with %+v, was with %+v", request, got.Error, want.Error)
		}
		return
	}
	// What a tool prints as it is is the same; of the rest the values depend on the machine and the time.
	if text := string(want.Result); text[0] != '{' && text[0] != '[' && text != string(got.Result) {
		t.Errorf("%s\nhas the result %s, had %s", request, got.Result, want.Result)
	}
	wantShape, err := Shape(string(wantText))
	if err != nil {
		t.Fatal(err)
	}
	gotShape, err := Shape(string(gotText))
	if err != nil {
		t.Fatal(err)
	}
	if list := Differences(wantShape, gotShape, optional...); len(list) > 0 {
		t.Errorf("%s\n%s\nin %s", request, strings.Join(list, "\n"), gotText)
	}
}

// TestShape pins what counts as a difference.
func TestShape(t *testing.T) {
	for _, tc := range []struct {
		want, got string
		diff      []string
	}{
		{`{"a":1,"b":[{"c":"x"}]}`, `{"b":[{"c":"y"},{"c":"z"}],"a":2.5}`, nil},
		{`{"a":1}`, `{"a":"1"}`, []string{"there is no .a:number", "there was no .a:string"}},
		{`{"a":1}`, `{}`, []string{"there is no .a:number"}},
		{`{}`, `{"a":1}`, []string{"there was no .a:number"}},
		{`{"commit":1}`, `{}`, nil},
		{`{"a":[{"b":[1]}]}`, `{"a":[]}`, nil},
		{`{"a":[]}`, `{"a":[{"b":1}]}`, nil},
		{`{"a":[{"b":[1]}]}`, `{"a":[{"b":[]}]}`, nil},
		{`{"a":[{"b":1,"c":1}]}`, `{"a":[{"b":1}]}`, []string{"there is no .a[].c:number"}},
		{`[[1]]`, `[["1"]]`, []string{"there is no [][]:number", "there was no [][]:string"}},
	} {
		want, err := Shape(tc.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Shape(tc.got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.diff, Differences(want, got, optional...)); diff != "" {
			t.Errorf("%s and %s: %s", tc.want, tc.got, diff)
		}
	}
}

// TestTranscript writes what it has read.
func TestTranscript(t *testing.T) {
	for _, name := range []string{"rpcpy.txt", "spdkcli.txt", "spdk_top.txt"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sessions, err := Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), string(Format(sessions))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, bad := range []string{"x\n", ">>>\n", "=== a\n<<<\n", "=== a\nx\n"} {
		if s, err := Parse(bad); err == nil {
			t.Errorf("%q: %v", bad, s)
		}
	}
}
