package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/trace"
)

// touchDevice gets a channel of a device, and puts it.
func touchDevice(r *running) {
	r.t.Helper()
	r.call("fsdev_null_create", map[string]any{"name": "a"})
	app.Call(r.a.Thread(), func(t *reactor.Thread) {
		d, err := fsdev.Open(t, "a", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
		if err != nil {
			r.t.Error(err)
			return
		}
		d.IOChannel(t).Put()
		d.Close()
	})
	r.call("fsdev_null_delete", map[string]any{"name": "a"})
}

func TestTraceMethods(t *testing.T) {
	r := launch(t, options())
	var info map[string]json.RawMessage
	if err := json.Unmarshal(r.call("trace_get_info", nil), &info); err != nil {
		t.Fatal(err)
	}
	path := r.a.Trace().Path()
	defer os.Remove(path)
	want := map[string]string{
		"tpoint_shm_path": `"` + path + `"`, "tpoint_group_mask": `"0x0"`,
		"fsdev": `{"mask":"0x80","tpoint_mask":"0x0"}`, "thread": `{"mask":"0x400","tpoint_mask":"0x0"}`,
		"scheduler": `{"mask":"0x40000","tpoint_mask":"0x0"}`,
	}
	got := map[string]string{}
	for name, text := range info {
		got[name] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.call("trace_enable_tpoint_group", map[string]any{"name": "thread"})
	r.call("trace_set_tpoint_mask", map[string]any{"name": "fsdev", "tpoint_mask": 3})
	r.call("trace_clear_tpoint_mask", map[string]any{"name": "fsdev", "tpoint_mask": 1})
	var masks map[string]json.RawMessage
	if err := json.Unmarshal(r.call("trace_get_tpoint_group_mask", nil), &masks); err != nil {
		t.Fatal(err)
	}
	if text := string(masks["tpoint_group_mask"]); text != `"0x480"` {
		t.Errorf("groups that are on: %s", text)
	}
	wantFsdev := `{"enabled":true,"mask":"0x80","tpoint_mask":"0x2","tpoints":[` +
		`{"name":"FSDEV_IO_START","tpoint_id":0,"enabled":false},{"name":"FSDEV_IO_DONE","tpoint_id":1,"enabled":true}]}`
	if diff := cmp.Diff(wantFsdev, string(masks["fsdev"])); diff != "" {
		t.Error(diff)
	}
	touchDevice(r)
	recorded := func() map[string]bool {
		f, err := trace.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		list, err := f.Entries(-1, true)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, e := range list {
			names[e.Tpoint.Name] = true
		}
		return names
	}
	if names := recorded(); !names["THREAD_IOCH_GET"] {
		t.Errorf("recorded are %v", names)
	}
	r.call("trace_disable_tpoint_group", map[string]any{"name": "all"})
	r.call("trace_clear", nil)
	touchDevice(r)
	if names := recorded(); len(names) > 0 {
		t.Errorf("with everything off there are %v", names)
	}
	for _, c := range []struct{ method, params string }{
		{"trace_enable_tpoint_group", `{"name":"none"}`},
		{"trace_disable_tpoint_group", `{"name":""}`},
		{"trace_set_tpoint_mask", `{"name":"none","tpoint_mask":1}`},
		{"trace_clear_tpoint_mask", `{"name":"thread","tpoint_mask":-1}`},
		{"trace_set_tpoint_mask", `{"name":"thread"}`},
		{"trace_clear", `{"name":"thread"}`},
	} {
		var e *rpc.Error
		err := r.try(c.method, json.RawMessage(c.params), nil)
		if !errors.As(err, &e) || e.Code != rpc.InvalidParams {
			t.Errorf("%s %s: %v", c.method, c.params, err)
		}
	}
}

func TestTraceOptions(t *testing.T) {
	id := os.Getpid() // nobody else has it
	o := options()
	o.Name, o.TpointGroupMask, o.NumTraceEntries, o.ShmID = "apptest", "thread,scheduler:0x3", 64, &id
	r := launch(t, o)
	path := r.a.Trace().Path()
	if want := filepath.Join(trace.ShmDir, fmt.Sprintf("apptest_trace.%d", id)); path != want {
		t.Errorf("path %s, want %s", path, want)
	}
	touchDevice(r)
	if mask := r.a.Trace().TpointGroupMask(); mask != 1<<reactor.TraceGroupThread|1<<reactor.TraceGroupScheduler {
		t.Errorf("groups that are on: %#x", mask)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	f, err := trace.Open(path)
	if err != nil {
		t.Fatalf("the trace of an application that has ended: %v", err)
	}
	defer f.Close()
	if n := f.EntryCount(0); n != 64 {
		t.Errorf("a ring of %d entries", n)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}

func TestNoTrace(t *testing.T) {
	o := options()
	o.NoTrace = true
	r := launch(t, o)
	if tr := r.a.Trace(); tr != nil {
		t.Errorf("there is a trace at %s", tr.Path())
	}
	for _, c := range []struct{ method, params string }{
		{"trace_get_info", ``}, {"trace_get_tpoint_group_mask", ``}, {"trace_clear", ``},
		{"trace_enable_tpoint_group", `{"name":"thread"}`},
	} {
		var params any
		if c.params != "" {
			params = json.RawMessage(c.params)
		}
		if err := r.try(c.method, params, nil); !errors.Is(err, syscall.ENOTSUP) {
			t.Errorf("%s: %v, want ENOTSUP", c.method, err)
		}
	}
}

func TestBadTraceOptions(t *testing.T) {
	for name, change := range map[string]func(o *app.Options){
		"unknown group": func(o *app.Options) { o.TpointGroupMask = "none" },
		"entries":       func(o *app.Options) { o.NumTraceEntries = 100 },
		"name":          func(o *app.Options) { o.Name, o.TpointGroupMask = "a/b", "thread" },
	} {
		o := options()
		change(&o)
		err := run(t, o, func(*reactor.Thread, *app.App) error { return nil })
		if !errors.Is(err, syscall.EINVAL) || !strings.HasPrefix(err.Error(), "app: trace: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
