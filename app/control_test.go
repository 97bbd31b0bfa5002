package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/log"
	_ "github.com/spdk-go/spdk-go/modules/memfs"
	_ "github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// running is an application with a client.
type running struct {
	t   *testing.T
	a   *app.App
	c   *rpc.Client
	end chan error
}

// launch starts an application and connects to it. Start may wait for the client.
func launch(t *testing.T, o app.Options) *running {
	t.Helper()
	if o.RPCSocket == "" {
		o.RPCSocket = filepath.Join(t.TempDir(), "rpc.sock")
	}
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, a: a, end: make(chan error, 1)}
	go func() {
		if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
			r.end <- err
			return
		}
		r.end <- a.Wait()
	}()
	eventually(t, "no RPC socket", func() bool {
		r.c, err = rpc.Dial(context.Background(), o.RPCSocket)
		return err == nil
	})
	t.Cleanup(func() {
		r.c.Close()
		r.stop()
	})
	r.call("rpc_get_methods", nil) // it answers when everything is up, unless the start is waited for
	return r
}

// stop ends the application and returns its error.
func (r *running) stop() error {
	r.t.Helper()
	r.a.Stop(nil)
	return within(r.t, "the end", func() error {
		err := <-r.end
		r.end <- err
		return err
	})
}

func (r *running) try(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return r.c.Call(ctx, method, params, result)
}

// call calls a method that has to succeed.
func (r *running) call(method string, params any) json.RawMessage {
	r.t.Helper()
	var result json.RawMessage
	if err := r.try(method, params, &result); err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// object is what a test passes as parameters.
type object map[string]any

func TestWaitForRPC(t *testing.T) {
	o := options()
	o.WaitForRPC = true
	r := launch(t, o)
	waiter := make(chan error, 1)
	go func() { waiter <- r.try("framework_wait_init", nil, nil) }()
	var bad *rpc.Error
	if err := r.try("thread_get_stats", nil, nil); !errors.As(err, &bad) || bad.Code != rpc.InvalidState {
		t.Errorf("thread_get_stats before the start: %v", err)
	}
	r.call("iobuf_set_options", object{"small_pool_count": 256, "large_pool_count": 16})
	r.call("fsdev_set_opts", object{"fsdev_io_pool_size": 2048, "fsdev_io_cache_size": 64})
	r.call("framework_set_scheduler", object{"name": "dynamic", "period": 500000, "load_limit": 30})
	for _, mask := range []string{"0x1", "0x0", "0", "0x1"} { // none is a mask too
		r.call("scheduler_set_options", object{"scheduling_core": 1, "isolated_core_mask": mask})
	}
	if err := r.try("scheduler_set_options", object{"isolated_core_mask": "0x"}, nil); err == nil {
		t.Error("0x is a mask")
	}
	if err := r.try("scheduler_set_options", object{"isolated_core_mask": "0x2"}, nil); err == nil {
		t.Error("the scheduling core is isolated")
	}
	current := string(r.call("rpc_get_methods", object{"current": true}))
	if !strings.Contains(current, `"framework_start_init"`) || strings.Contains(current, `"thread_get_stats"`) {
		t.Errorf("current methods: %s", current)
	}
	if got := string(r.call("framework_start_init", nil)); got != "true" {
		t.Errorf("framework_start_init: %s", got)
	}
	if err := <-waiter; err != nil {
		t.Errorf("framework_wait_init: %v", err)
	}
	r.call("framework_wait_init", nil)
	if err := r.try("framework_start_init", nil, nil); !errors.As(err, &bad) || bad.Code != rpc.InvalidState {
		t.Errorf("a second framework_start_init: %v", err)
	}
	for method, want := range map[string]string{
		"fsdev_get_opts": `{"fsdev_io_pool_size":2048,"fsdev_io_cache_size":64}`,
		"framework_get_scheduler": `{"scheduler_name":"dynamic","scheduler_period":500000,"isolated_core_mask":"1",` +
			`"scheduling_core":1,"load_limit":30,"core_limit":80,"core_busy":95}`,
		"framework_get_subsystems": `[{"subsystem":"log","depends_on":[]},` +
			`{"subsystem":"scheduler","depends_on":[]},{"subsystem":"iobuf","depends_on":[]},` +
			`{"subsystem":"fsdev","depends_on":[]}]`,
	} {
		if got := string(r.call(method, nil)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", method, got, want)
		}
	}
	got := string(r.call("framework_get_config", object{"name": "iobuf"}))
	want := `[{"method":"iobuf_set_options","params":{"small_pool_count":256,"large_pool_count":16,` +
		`"small_bufsize":8192,"large_bufsize":135168}}]`
	if got != want {
		t.Errorf("configuration of iobuf\ngot  %s\nwant %s", got, want)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// TestStopWhileWaiting ends an application that nobody has told to start.
func TestStopWhileWaiting(t *testing.T) {
	o := options()
	o.WaitForRPC = true
	r := launch(t, o)
	waiter := make(chan error, 1)
	go func() { waiter <- r.try("framework_wait_init", nil, nil) }()
	r.call("spdk_get_version", nil)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if err := <-waiter; err == nil {
		t.Error("framework_wait_init succeeds")
	}
}

// TestFailedInitIsAnswered has the caller of framework_start_init hear of it.
func TestFailedInitIsAnswered(t *testing.T) {
	o := options()
	o.WaitForRPC = true
	broken := errors.New("broken")
	o.Subsystems = []app.Subsystem{{
		Name: "sick",
		Init: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(broken) },
	}}
	r := launch(t, o)
	var bad *rpc.Error
	err := r.try("framework_start_init", nil, nil)
	if !errors.As(err, &bad) || bad.Code != rpc.InternalError || !strings.Contains(bad.Message, "sick: broken") {
		t.Errorf("framework_start_init: %v", err)
	}
	if err := r.stop(); !errors.Is(err, broken) {
		t.Errorf("the application ends with %v", err)
	}
}

func TestControlOptions(t *testing.T) {
	for name, change := range map[string]func(o *app.Options){
		"nobody to wait for":  func(o *app.Options) { o.WaitForRPC = true },
		"two configurations":  func(o *app.Options) { o.ConfigFile, o.Config = "x", []byte("{}") },
		"no such method":      func(o *app.Options) { o.RPCAllowlist = []string{"fly"} },
		"no such file":        func(o *app.Options) { o.ConfigFile = "/nonexistent" },
		"empty configuration": func(o *app.Options) { o.Config = []byte{} },
	} {
		o := options()
		change(&o)
		if _, err := app.New(o); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSocketInUse(t *testing.T) {
	r := launch(t, options())
	for _, optional := range []bool{false, true} {
		o := options()
		o.RPCSocket, o.RPCSocketOptional = r.a.RPCSocket(), optional
		err := run(t, o, func(_ *reactor.Thread, a *app.App) error {
			a.Stop(nil)
			return nil
		})
		if got := errors.Is(err, syscall.EADDRINUSE); got == optional {
			t.Errorf("optional %v: %v", optional, err)
		}
	}
	r.call("spdk_get_version", nil)
}

func TestAllowlist(t *testing.T) {
	o := options()
	o.RPCAllowlist = []string{"spdk_get_version", "rpc_get_methods"}
	r := launch(t, o)
	if got := string(r.call("rpc_get_methods", nil)); got != `["rpc_get_methods","spdk_get_version"]` {
		t.Error(got)
	}
	var bad *rpc.Error
	if err := r.try("thread_get_stats", nil, nil); !errors.As(err, &bad) || bad.Code != rpc.MethodNotFound {
		t.Error(err)
	}
}

const goodConfig = `{ // as SPDK writes it, with remarks
  "subsystems": [
    {"subsystem": "scheduler", "config": [{"method": "framework_set_scheduler", "params": {"name": "static"}}]},
    {"subsystem": "nvmf", "config": [{"method": "nvmf_set_config", "params": {"a": 1}}]}, /* not here */
    {"subsystem": "keyring", "config": null},
    {"subsystem": "fsdev", "config": [
      {"method": "fsdev_set_opts", "params": {"fsdev_io_pool_size": 4096, "fsdev_io_cache_size": 128}},
      {"method": "fsdev_null_create", "params": {"name": "n0"}},
      [{"method": "fsdev_null_create", "params": {"name": "n1"}},
       {"method": "fsdev_memfs_create", "params": {"name": "m0", "size": 1048576, "inodes": 64}}]
    ]}
  ],
  "other": "ignored"
}`

// TestConfigRoundTrip saves what a configuration has made, starts with that, and saves the same.
func TestConfigRoundTrip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(goodConfig), 0o640); err != nil {
		t.Fatal(err)
	}
	var saved []string
	for range 3 {
		o := options()
		o.ConfigFile = file
		r := launch(t, o)
		cfg, err := rpc.SaveConfig(context.Background(), r.c)
		if err != nil {
			t.Fatal(err)
		}
		if err := cfg.WriteFile(file); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, string(text))
	}
	for _, want := range []string{`"n0"`, `"n1"`, `"m0"`, "4096", "1048576", "iobuf_set_options"} {
		if !strings.Contains(saved[0], want) {
			t.Errorf("%s is not in what was saved: %s", want, saved[0])
		}
	}
	if diff := cmp.Diff(saved[0], saved[1]) + cmp.Diff(saved[1], saved[2]); diff != "" {
		t.Error(diff)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestLoadConfig loads a configuration into an application that waits, as rpc.py does.
func TestLoadConfig(t *testing.T) {
	o := options()
	o.WaitForRPC = true
	r := launch(t, o)
	text := strings.Replace(goodConfig, `{"subsystem": "nvmf", "config": [{"method": "nvmf_set_config", `+
		`"params": {"a": 1}}]},`, "", 1)
	cfg, err := rpc.ParseConfig("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if left, err := rpc.LoadConfig(context.Background(), r.c, cfg); err != nil || left != 0 {
		t.Fatalf("%d are left, %v", left, err)
	}
	var list []struct{ Name string }
	if err := r.try("fsdev_get_fsdevs", nil, &list); err != nil || len(list) != 3 {
		t.Errorf("%v, %v", list, err)
	}
	if left, err := rpc.LoadConfig(context.Background(), r.c, cfg); err == nil {
		t.Errorf("the same again: %d are left", left)
	} else if !strings.Contains(err.Error(), "line 8: fsdev_null_create") {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	call := func(method, params string) string {
		return `{"subsystems":[` + "\n" + `{"subsystem":"fsdev","config":[` + "\n\n" +
			`{"method":"` + method + `","params":` + params + `}]}]}`
	}
	for _, tc := range []struct{ name, text, want string }{
		{"syntax", "{\n\"a\":\n}", ":3: invalid character '}' looking for beginning of value"},
		{"comment", "{\n/* }", ":2: a comment without an end"},
		{"array", "[]", ":1: the configuration should be an object"},
		{"subsystems", "{\n\"subsystems\":{}}", `:2: "subsystems" should be an array`},
		{"subsystem", `{"subsystems":[1]}`, `:1: a subsystem's configuration should be an object`},
		{"no name", `{"subsystems":[{"config":[]}]}`, `:1: a subsystem's configuration has no "subsystem"`},
		{"more", `{"subsystems":[{"subsystem":"x","config":[],"x":1}]}`, `:1: a subsystem's configuration: what is "x"?`},
		{"no method", "{\"subsystems\":[{\"subsystem\":\"x\",\"config\":[\n{\"params\":{}}]}]}", `:2: a call has no method`},
		{"twice", `{"subsystems":[],"subsystems":[]}`, `:1: the configuration: "subsystems" is given twice`},
		{"unknown method", call("fsdev_fly", "{}"), ":4: fsdev_fly: there is no such method"},
		{"bad parameter", call("fsdev_null_create", `{"nome":"n"}`),
			":4: fsdev_null_create: Invalid parameters: nome: no such parameter (-32602)"},
		{"failing call", call("fsdev_null_create", `{"name":""}`), ":4: fsdev_null_create: "},
		{"startup call that fails", call("iobuf_set_options", `{"small_pool_count":1}`), ":4: iobuf_set_options: "},
		{"batch without a state", `{"subsystems":[{"subsystem":"fsdev","config":[[` +
			`{"method":"iobuf_set_options"},{"method":"thread_get_stats"}]]}]}`,
			":1: iobuf_set_options: the methods of this batch cannot be called in one state"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			o := options()
			o.ConfigFile = file
			started := false
			err := run(t, o, func(_ *reactor.Thread, a *app.App) error {
				started = true
				a.Stop(nil)
				return nil
			})
			if err == nil || !strings.HasPrefix(err.Error(), "app: "+file+tc.want) {
				t.Errorf("got  %v\nwant %s%s", err, file, tc.want)
			}
			if started {
				t.Error("it was started all the same")
			}
		})
	}
}

// TestConfigErrorsIgnored goes on, and says what it has left out.
func TestConfigErrorsIgnored(t *testing.T) {
	var buf lockedBuffer
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&buf, nil))
	o.IgnoreConfigErrors = true
	o.Config = []byte(`{"subsystems":[{"subsystem":"fsdev","config":[
		{"method":"fsdev_fly"},
		{"method":"fsdev_null_create","params":{"nome":"n"}},
		{"method":"fsdev_null_create","params":{"name":"n"}}]}]}`)
	r := launch(t, o)
	if got := string(r.call("fsdev_get_fsdevs", nil)); got != `[{"name":"n","module_name":"null","histograms":false}]` {
		t.Error(got)
	}
	said := buf.String()
	for _, want := range []string{"method=fsdev_fly", "configuration:3: fsdev_null_create"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
}

// TestStopDuringConfig is no error.
func TestStopDuringConfig(t *testing.T) {
	o := options()
	o.Config = []byte(`{"subsystems":[{"subsystem":"x","config":[
		{"method":"app_test_stop"},{"method":"app_test_stop"}]}]}`)
	stops.Store(0)
	err := run(t, o, func(*reactor.Thread, *app.App) error {
		t.Error("it was started")
		return nil
	})
	if err != nil || stops.Load() != 1 {
		t.Errorf("%d calls, %v", stops.Load(), err)
	}
}

var stops atomic.Int32

func init() {
	rpc.Register(rpc.Method{Name: "app_test_stop", States: rpc.Runtime, Doc: "Stop."},
		func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
			stops.Add(1)
			app.Of(t).Stop(nil)
			req.Reply(true)
		})
}

// lockedBuffer is where an application's log goes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestThreadMethods(t *testing.T) {
	r := launch(t, options())
	th, err := r.a.Framework().CreateThread("worker", nil)
	if err != nil {
		t.Fatal(err)
	}
	var poller *reactor.Poller
	app.Call(th, func(t *reactor.Thread) {
		poller = t.RegisterPoller("tick", func(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }, nil,
			time.Second)
	})
	defer app.Call(th, func(t *reactor.Thread) {
		poller.Unregister()
		t.Exit()
	})
	type threadStats struct {
		Name    string
		ID      uint64
		Cpumask string
		Timed   int `json:"timed_pollers_count"`
	}
	var stats struct {
		TickRate uint64 `json:"tick_rate"`
		Threads  []threadStats
	}
	if err := r.try("thread_get_stats", nil, &stats); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(stats.Threads, func(s threadStats) bool { return s.Name == "worker" })
	if i < 0 || stats.TickRate != r.a.Framework().TicksHz() {
		t.Fatalf("%+v", stats)
	}
	if s := stats.Threads[i]; s.Timed != 1 || s.Cpumask != "3" {
		t.Errorf("%+v", s)
	}
	got := string(r.call("thread_get_pollers", nil))
	if !strings.Contains(got, `{"name":"tick","id":1,"state":"waiting",`) {
		t.Error(got)
	}
	r.call("fsdev_null_create", object{"name": "n"})
	r.call("thread_get_io_channels", nil)
	id := th.ID()
	r.call("thread_set_cpumask", object{"id": id, "cpumask": "0x2"})
	eventually(t, "the thread does not move", func() bool { return th.Reactor().Core() == 1 })
	for _, bad := range []object{
		{"id": 1000, "cpumask": "1"}, {"id": id, "cpumask": "0xf0"}, {"id": id, "cpumask": "x"}, {"id": -1, "cpumask": "1"},
	} {
		if err := r.try("thread_set_cpumask", bad, nil); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

func TestFrameworkMethods(t *testing.T) {
	r := launch(t, options())
	var info struct {
		PID      int
		Reactors []struct {
			Lcore   int
			TID     int
			Threads []struct{ Name string } `json:"lw_threads"`
		}
	}
	if err := r.try("framework_get_reactors", nil, &info); err != nil {
		t.Fatal(err)
	}
	if info.PID != os.Getpid() || len(info.Reactors) != 2 || info.Reactors[1].Lcore != 1 || info.Reactors[1].TID == 0 ||
		info.Reactors[0].Threads[0].Name != "app_thread" {
		t.Errorf("%+v", info)
	}
	for _, tc := range []struct {
		method string
		params any
		want   string
	}{
		{"framework_monitor_context_switch", nil, `{"enabled":false}`},
		{"framework_monitor_context_switch", object{"enabled": true}, `{"enabled":true}`},
		{"framework_monitor_context_switch", nil, `{"enabled":true}`},
		{"framework_get_governor", nil, `{}`},
		{"framework_disable_cpumask_locks", nil, `true`},
		{"framework_set_scheduler", object{"name": "dynamic", "core_limit": 70}, `true`},
		{"framework_get_scheduler", nil, `{"scheduler_name":"dynamic","scheduler_period":1000000,` +
			`"isolated_core_mask":"0","scheduling_core":0,"load_limit":20,"core_limit":70,"core_busy":95}`},
		{"iobuf_get_stats", nil, `[]`},
		{"fsdev_null_create", object{"name": "n"}, `"n"`},
		{"fsdev_get_iostat", object{"name": "n"}, ""},
		{"fsdev_get_iostat", object{"per_channel": true, "reset": true}, ""},
		{"fsdev_enable_histogram", object{"name": "n", "enable": true}, `true`},
		{"fsdev_get_histogram", object{"name": "n"}, ""},
		{"fsdev_reset", object{"name": "n"}, `true`},
		{"fsdev_null_delete", object{"name": "n"}, `true`},
	} {
		if got := string(r.call(tc.method, tc.params)); got != tc.want && tc.want != "" {
			t.Errorf("%s %v\ngot  %s\nwant %s", tc.method, tc.params, got, tc.want)
		}
	}
	for _, tc := range []struct {
		method string
		params any
		code   int
	}{
		{"framework_set_scheduler", object{"name": "none such"}, rpc.InternalError},
		{"framework_get_config", object{"name": "none"}, rpc.InvalidParams},
		{"fsdev_reset", object{"name": "n"}, -int(syscall.ENODEV)},
		{"fsdev_get_iostat", object{"name": "n"}, -int(syscall.ENODEV)},
		{"fsdev_null_delete", object{"name": "n"}, -int(syscall.ENODEV)},
		{"fsdev_set_opts", object{"fsdev_io_pool_size": 1, "fsdev_io_cache_size": 1}, rpc.InvalidParams},
		{"spdk_kill_instance", object{"sig_name": "SIGFLY"}, rpc.InvalidParams},
		{"iobuf_set_options", object{}, rpc.InvalidState},
	} {
		var bad *rpc.Error
		if err := r.try(tc.method, tc.params, nil); !errors.As(err, &bad) || bad.Code != tc.code {
			t.Errorf("%s %v: %v, want code %d", tc.method, tc.params, err, tc.code)
		}
	}
}

// TestLogMethods has the log say what is said at the RPC socket.
func TestLogMethods(t *testing.T) {
	var buf lockedBuffer
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.PrintLevel = log.Warn
	r := launch(t, o)
	for _, tc := range []struct {
		method string
		params any
		want   string
	}{
		{"log_get_print_level", nil, `"WARNING"`},
		{"log_get_level", nil, `"NOTICE"`},
		{"log_set_level", object{"level": "ERROR"}, `true`},
		{"log_get_level", nil, `"ERROR"`},
		{"log_get_flags", nil, `{"rpc":false}`},
		{"log_set_print_level", object{"level": "DEBUG"}, `true`},
		{"log_set_flag", object{"flag": "rpc"}, `true`},
		{"log_get_flags", nil, `{"rpc":true}`},
		{"log_clear_flag", object{"flag": "all"}, `true`},
		{"log_enable_timestamps", object{"enabled": false}, `true`},
		{"spdk_get_version", nil, ""},
	} {
		if got := string(r.call(tc.method, tc.params)); got != tc.want && tc.want != "" {
			t.Errorf("%s %v: %s, want %s", tc.method, tc.params, got, tc.want)
		}
	}
	for method, params := range map[string]object{
		"log_set_flag": {"flag": "none"}, "log_set_level": {"level": "error"}, "log_set_print_level": {"level": 3},
	} {
		var bad *rpc.Error
		if err := r.try(method, params, nil); !errors.As(err, &bad) || bad.Code != rpc.InvalidParams {
			t.Errorf("%s %v: %v", method, params, err)
		}
	}
	said := buf.String()
	if !strings.Contains(said, "log_get_flags") || strings.Contains(said, "spdk_get_version") {
		t.Errorf("the log says %s", said)
	}
}

// TestCoreLocksByRPC gives the claims of pinned reactors up, and takes them back.
func TestCoreLocksByRPC(t *testing.T) {
	o := options()
	o.NoPin, o.CPUMask = false, nil
	r := launch(t, o)
	lock := fmt.Sprintf("%s/spdk_cpu_lock_%03d", reactor.CoreLockDir, r.a.Cores()[0])
	isThere := func() bool {
		_, err := os.Stat(lock)
		return err == nil
	}
	if !isThere() {
		t.Fatalf("there is no %s", lock)
	}
	r.call("framework_disable_cpumask_locks", nil)
	r.call("framework_disable_cpumask_locks", nil)
	if isThere() {
		t.Error("the lock is still there")
	}
	r.call("framework_enable_cpumask_locks", nil)
	if !isThere() {
		t.Error("the lock is not there again")
	}
}
