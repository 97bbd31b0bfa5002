package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/internal/apptest"
	"github.com/spdk-go/spdk-go/rpc"
)

// outcome is what a run of the program leaves.
type outcome struct {
	code           int
	stdout, stderr string
}

func execute(stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// launch starts an application that waits for RPCs and returns its socket.
func launch(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "rpc.sock")
	apptest.Start(t, app.Options{RPCSocket: socket, WaitForRPC: true})
	if got := execute("", "-s", socket, "-r", "100", "rpc_get_methods"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	return socket
}

// TestEveryMethodHasACommand wants help for each, and no parameter that looks like a flag of the program.
func TestEveryMethodHasACommand(t *testing.T) {
	common := (&program{}).command().PersistentFlags()
	for _, m := range rpc.Methods() {
		if m.AliasOf != "" {
			continue
		}
		got := execute("", m.Name, "--help")
		if got.code != exitOK || !strings.Contains(got.stdout, firstSentence(m.Doc)) {
			t.Errorf("%s --help: %+v", m.Name, got)
		}
		if m.Params == nil {
			continue
		}
		for _, f := range m.Params.Properties {
			if !strings.Contains(got.stdout, "--"+flagName(f.Name)) {
				t.Errorf("%s --help says nothing of %s", m.Name, f.Name)
			}
			if common.Lookup(f.Name) != nil || f.Name == "help" {
				t.Errorf("parameter %s of %s is hidden by a flag of the program", f.Name, m.Name)
			}
		}
	}
}

// TestEveryMethodOfTheTarget wants what docs/rpc.md describes.
func TestEveryMethodOfTheTarget(t *testing.T) {
	text, err := os.ReadFile("../../docs/rpc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var methods map[string]json.RawMessage
	if err := json.Unmarshal(text, &methods); err != nil {
		t.Fatal(err)
	}
	for name := range methods {
		if _, ok := rpc.MethodStates(name); !ok {
			t.Errorf("there is no command %s: import its package in main.go", name)
		}
	}
}

// TestUsageErrors wants 2 for what no application has to be asked for.
func TestUsageErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing":              {nil, "which method"},
		"no such method":       {[]string{"fsdev_reste", "x"}, "fsdev_reset?"},
		"nothing like it":      {[]string{"zzzzzzzzzzzz"}, `with "call"`},
		"no such flag":         {[]string{"fsdev_reset", "--x"}, "unknown flag"},
		"missing parameter":    {[]string{"fuse_mount", "mem0"}, "mountpoint is missing"},
		"too much":             {[]string{"fsdev_reset", "a", "b"}, `what is "b"`},
		"no boolean":           {[]string{"fsdev_enable_histogram", "a", "perhaps"}, "true or false"},
		"no integer":           {[]string{"fsdev_memfs_create", "a", "--size", "-1"}, "want an integer"},
		"no such value":        {[]string{"log_set_level", "LOUD"}, "want one of ERROR"},
		"no JSON":              {[]string{"call", "x", "{"}, "not JSON"},
		"no timeout":           {[]string{"-t", "0", "spdk_get_version"}, "-t 0"},
		"no timeout at all":    {[]string{"-t", "NaN", "spdk_get_version"}, "-t NaN"},
		"less than no retry":   {[]string{"-r", "-1", "spdk_get_version"}, "-r -1"},
		"a config of nothing":  {[]string{"load_config", "-j", os.DevNull}, "nothing in it"},
		"a config unknown":     {[]string{"--dry-run", "save_config"}, "--dry-run"},
		"a subsystem unnamed":  {[]string{"save_subsystem_config"}, "see -n"},
		"parameters of none":   {[]string{"thread_get_stats", "x"}, `what is "x"`},
		"a flag without value": {[]string{"fsdev_reset", "--name"}, "needs an argument"},
	} {
		got := execute("", tc.args...)
		if got.code != exitUsage || !strings.Contains(got.stderr, tc.want) || got.stdout != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDryRun prints what would be sent.
func TestDryRun(t *testing.T) {
	const config = `{"subsystems":[{"subsystem":"x","config":[{"method":"a","params":{"b":1}},[{"method":"c"}]]}]}`
	for _, tc := range []struct {
		name  string
		stdin string
		args  []string
		want  string // without white space
	}{
		{"no parameters", "", []string{"spdk_get_version"}, `{"jsonrpc":"2.0","id":1,"method":"spdk_get_version"}`},
		{"by place and by name, in the order of the method", "", []string{"fuse_mount", "mem0", "/mnt", "--max_write",
			"64K", "--read-only", "--entry-timeout", "0.5", "--cache=none", "--allow-other=false"},
			`{"jsonrpc":"2.0","id":1,"method":"fuse_mount","params":{"name":"mem0","mountpoint":"/mnt","cache":"none",` +
				`"max_write":65536,"allow_other":false,"read_only":true,"entry_timeout":0.5}}`},
		{"those wanted by name", "", []string{"fuse_mount", "--mountpoint", "<a&b>", "mem0"},
			`{"jsonrpc":"2.0","id":1,"method":"fuse_mount","params":{"name":"mem0","mountpoint":"<a&b>"}}`},
		{"an array", "", []string{"fsdev_aio_create", "a", "/srv", "--translate-uid", "1:2", "--translate-uid", "3,4"},
			`{"jsonrpc":"2.0","id":1,"method":"fsdev_aio_create","params":{"name":"a","root_path":"/srv",` +
				`"translate_uid":["1:2","3,4"]}}`},
		{"any", `{"x": [1]}`, []string{"call", "other_method", "-"},
			`{"jsonrpc":"2.0","id":1,"method":"other_method","params":{"x":[1]}}`},
		{"a configuration", config, []string{"load_config"},
			`{"jsonrpc":"2.0","id":1,"method":"a","params":{"b":1}}{"jsonrpc":"2.0","id":2,"method":"c"}`},
	} {
		got := execute(tc.stdin, append([]string{"--dry-run"}, tc.args...)...)
		text := strings.NewReplacer(" ", "", "\n", "").Replace(got.stdout)
		if diff := cmp.Diff(tc.want, text); diff != "" || got.code != exitOK || got.stderr != "" {
			t.Errorf("%s: %+v\n%s", tc.name, got, diff)
		}
	}
}

// serve answers every request at a socket with what answer returns, until the test ends.
func serve(t *testing.T, answer func(line string) string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "fake.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				for lines := bufio.NewScanner(nc); lines.Scan(); {
					text := answer(lines.Text())
					if text == "" {
						return
					}
					if _, err := nc.Write([]byte(text)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return socket
}

// TestExitCodes has an application refuse, be silent, talk nonsense and go away.
func TestExitCodes(t *testing.T) {
	const refusal = `{"jsonrpc":"2.0","id":1,"error":{"code":-19,"message":"no\u001b[2Jsuch"}}`
	for _, tc := range []struct {
		name   string
		answer string
		args   []string
		want   outcome
	}{
		{"refused", refusal, []string{"fsdev_reset", "x"},
			outcome{exitRefused, "", "spdk_rpc: fsdev_reset: no\\x1b[2Jsuch (-19)\n"}},
		{"refused as JSON", refusal, []string{"--json", "fsdev_reset", "x"}, outcome{exitRefused, "",
			"{\n  \"error\": {\n    \"code\": -19,\n    \"message\": \"no\\u001b[2Jsuch\"\n  }\n}\n"}},
		{"silent", " ", []string{"-t", "0.05", "fsdev_reset", "x"},
			outcome{exitLost, "", "spdk_rpc: fsdev_reset: no answer in time, see -t; it may still come to pass\n"}},
		{"gone", "", []string{"fsdev_reset", "x"},
			outcome{exitLost, "", "spdk_rpc: fsdev_reset: rpc: connection lost: EOF\n"}},
		{"killed, as it was told", "", []string{"spdk_kill_instance", "SIGKILL"}, outcome{exitOK, "", ""}},
		{"deaf to that", " ", []string{"-t", "0.05", "spdk_kill_instance", "SIGTERM"},
			outcome{exitLost, "", "spdk_rpc: spdk_kill_instance: no answer in time, see -t; it may still come to pass\n"}},
		{"done", `{"jsonrpc":"2.0","id":1,"result":true}`, []string{"fsdev_reset", "x"}, outcome{}},
		{"not done", `{"jsonrpc":"2.0","id":1,"result":false}`, []string{"fsdev_reset", "x"}, outcome{0, "false\n", ""}},
		{"done, as JSON", `{"jsonrpc":"2.0","id":1,"result":true}`, []string{"--json", "fsdev_reset", "x"},
			outcome{0, "true\n", ""}},
	} {
		socket := serve(t, func(string) string { return tc.answer })
		if diff := cmp.Diff(tc.want, execute("", append([]string{"-s", socket}, tc.args...)...),
			cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	socket := serve(t, func(string) string { return "nonsense" })
	if got := execute("", "-s", socket, "fsdev_reset", "x"); got.code != exitLost {
		t.Errorf("nonsense: %+v", got)
	}
	got := execute("", "-s", filepath.Join(t.TempDir(), "none"), "-r", "1", "spdk_get_version")
	if got.code != exitLost || !strings.Contains(got.stderr, "no connection, see -s") {
		t.Errorf("no socket: %+v", got)
	}
	if got := execute("", "load_config", "-j", "/nonexistent"); got.code != exitRefused {
		t.Errorf("no file: %+v", got)
	}
}

// TestConfigs loads a configuration into an application that waits, saves it, and finds the same.
func TestConfigs(t *testing.T) {
	socket := launch(t)
	const config = `{ // remarks are fine
		"subsystems": [
			{"subsystem": "fsdev", "config": [
				{"method": "fsdev_set_opts", "params": {"fsdev_io_pool_size": 512, "fsdev_io_cache_size": 8}},
				{"method": "fsdev_memfs_create", "params": {"name": "m0", "size": 1048576, "inodes": 64}}
			]}
		]}`
	must := func(stdin string, args ...string) string {
		t.Helper()
		got := execute(stdin, append([]string{"-s", socket}, args...)...)
		if got.code != exitOK || got.stderr != "" {
			t.Fatalf("%q: %+v", args, got)
		}
		return got.stdout
	}
	must(config, "load_config")
	if got := must("", "--json", "fsdev_get_opts"); !strings.Contains(got, "512") {
		t.Errorf("fsdev_get_opts: %s", got)
	}
	saved := must("", "save_config")
	file := filepath.Join(t.TempDir(), "tgt.json")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	must("", "save_config", "-o", file)
	text, err := os.ReadFile(file)
	st, err2 := os.Stat(file)
	if err != nil || err2 != nil || string(text) != saved || st.Mode().Perm() != 0o640 {
		t.Errorf("the file has %q, %v, want %q", text, st.Mode(), saved)
	}
	if names, err := os.ReadDir(filepath.Dir(file)); err != nil || len(names) != 1 {
		t.Errorf("files left behind: %v, %v", names, err)
	}
	var whole struct{ Subsystems []json.RawMessage }
	sub := must("", "save_subsystem_config", "-n", "fsdev")
	if err := json.Unmarshal([]byte(saved), &whole); err != nil || len(whole.Subsystems) < 3 {
		t.Fatalf("%v: %s", err, saved)
	}
	must("", "fsdev_memfs_delete", "m0")
	must(sub, "load_subsystem_config")
	if got := must("", "save_subsystem_config", "-n", "fsdev"); got != sub {
		t.Errorf("loaded and saved again:\n%s", cmp.Diff(sub, got))
	}
	got := execute("", "-s", socket, "load_config", "-j", file)
	if got.code != exitRefused || !strings.Contains(got.stderr, "fsdev_memfs_create") {
		t.Errorf("the same again: %+v", got)
	}
	for _, args := range [][]string{
		{"save_config", "--subsystems", "nix"},
		{"save_config", "-o", filepath.Join(t.TempDir(), "no", "dir")},
		{"save_subsystem_config", "-n", "nix"},
	} {
		if got := execute("", append([]string{"-s", socket}, args...)...); got.code != exitRefused {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if one := must("", "save_config", "--subsystems", "iobuf"); strings.Contains(one, "fsdev") {
		t.Errorf("iobuf alone: %s", one)
	}
}

// TestCompletion wants scripts for three shells, and values from a running application.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := execute("", "completion", shell); got.code != exitOK || !strings.Contains(got.stdout, progName) {
			t.Errorf("%s: code %d, %s", shell, got.code, got.stderr)
		}
	}
	socket := launch(t)
	for _, args := range [][]string{{"framework_start_init"}, {"fsdev_null_create", "n0"}} {
		if got := execute("", append([]string{"-s", socket}, args...)...); got.code != exitOK {
			t.Fatalf("%+v", got)
		}
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"fsdev_res"}, "fsdev_reset\tReset a device"},
		{[]string{"fsdev_reset", ""}, "n0\n"},
		{[]string{"fsdev_null_create", ""}, ":4"},
		{[]string{"fsdev_enable_histogram", "n0", ""}, "true\nfalse\n"},
		{[]string{"fuse_mount", "n0", "/mnt", "--cache", ""}, "auto\nnone\nalways\n"},
		{[]string{"framework_get_config", ""}, "iobuf\n"},
		{[]string{"log_set_flag", ""}, "rpc\n"},
		{[]string{"call", "spdk_"}, "spdk_get_version\n"},
		{[]string{"save_subsystem_config", "-n", ""}, "fsdev\n"},
	} {
		got := execute("", append([]string{"__complete", "-s", socket}, tc.args...)...)
		if !strings.Contains(got.stdout, tc.want) {
			t.Errorf("%q: %s, want %q", tc.args, got.stdout, tc.want)
		}
	}
	if got := execute("", "__complete", "-s", "/nonexistent", "fsdev_reset", ""); got.stdout != ":4\n" {
		t.Errorf("without an application: %q", got.stdout)
	}
}

// TestRetries connects to an application that comes later.
func TestRetries(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "late.sock")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	result := make(chan outcome, 1)
	go func() { result <- execute("", "-s", socket, "-r", "90", "fsdev_reset", "x") }()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, `{"jsonrpc":"2.0","id":1,"result":"late"}`)
	select {
	case got := <-result:
		if got.code != exitOK || got.stdout != "late\n" {
			t.Errorf("%+v", got)
		}
	case <-ctx.Done():
		t.Fatal("no end")
	}
}
