package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

// answers is an application that always answers the same.
type answers map[string]string

func (a answers) Call(_ context.Context, method string, _, result any) error {
	text, ok := a[method]
	if !ok {
		return &rpc.Error{Code: rpc.MethodNotFound, Message: "Method not found"}
	}
	return json.Unmarshal([]byte(text), result)
}

func (a answers) methods() map[string]bool {
	m := map[string]bool{}
	for name := range a {
		m[name] = true
	}
	return m
}

// at is an application with two cores, three threads and two devices, n seconds after its start. It was busy for 2
// of the first 10 seconds, and then for share tenths of each.
func at(n, share int) answers {
	const hz = 1000000 // a tick is a microsecond
	busy := 2*hz + (n-10)*share*hz/10
	idle := n*hz - busy
	histogram := fmt.Sprintf(`{"tick_rate":%d,"ops":[
		{"op":"READ","count":%d,"sum":1,"max":2000,"p50":1,"p99":1,"p999":1,"buckets":[
			{"low":8,"high":16,"count":%d},{"low":512,"high":1024,"count":%d}]},
		{"op":"WRITE","count":%d,"sum":1,"max":90,"p50":1,"p99":1,"p999":1,"buckets":[{"low":32,"high":64,"count":%d}]}
		]}`, hz, 1000*n, 980*n, 20*n, 500*n, 500*n)
	return answers{
		"thread_get_stats": fmt.Sprintf(`{"tick_rate":%d,"threads":[
			{"name":"app_thread","id":1,"cpumask":"3","busy":%d,"idle":%d,"active_pollers_count":0,
				"timed_pollers_count":1,"paused_pollers_count":0},
			{"name":"fuse_0","id":2,"cpumask":"1","busy":%d,"idle":%d,"active_pollers_count":1,"timed_pollers_count":0,
				"paused_pollers_count":1},
			{"name":"fuse_1","id":3,"cpumask":"2","busy":%d,"idle":%d,"active_pollers_count":1,"timed_pollers_count":0,
				"paused_pollers_count":0}]}`, hz, 1000*n, idle, busy-1000*n, 0, n*hz/100, n*hz-n*hz/100),
		"framework_get_reactors": fmt.Sprintf(`{"tick_rate":%d,"pid":4711,"reactors":[
			{"lcore":0,"numa_id":0,"tid":4712,"busy":%d,"idle":%d,"in_interrupt":false,"irq":%d,"sys":%d,"usr":%d,
				"core_freq":2400,"lw_threads":[{"name":"app_thread","id":1,"cpumask":"3","elapsed":1},
				{"name":"fuse_0","id":2,"cpumask":"1","elapsed":1}]},
			{"lcore":11,"numa_id":-1,"tid":4713,"busy":%d,"idle":%d,"in_interrupt":true,"irq":0,"sys":0,"usr":0,
				"lw_threads":[{"name":"fuse_1","id":3,"cpumask":"800","elapsed":1}]}]}`,
			hz, busy, idle, n, 20*n, 70*n, n*hz/100, n*hz-n*hz/100),
		"thread_get_pollers": fmt.Sprintf(`{"tick_rate":%d,"threads":[
			{"name":"app_thread","id":1,"active_pollers":[],"timed_pollers":[
				{"name":"gscheduler","id":1,"state":"waiting","run_count":%d,"busy_count":%d,"period_ticks":1000000}],
				"paused_pollers":[]},
			{"name":"fuse_0","id":2,"active_pollers":[
				{"name":"fusedev","id":1,"state":"running","run_count":%d,"busy_count":%d}],"timed_pollers":[],
				"paused_pollers":[{"name":"fusedev_retry","id":2,"state":"paused","run_count":0,"busy_count":0,
				"period_ticks":100}]},
			{"name":"fuse_1","id":3,"active_pollers":[
				{"name":"fusedev","id":1,"state":"waiting","run_count":%d,"busy_count":0}],"timed_pollers":[],
				"paused_pollers":[]}]}`, hz, n, n, 4000*n, 1000*n, 900000*n),
		"framework_get_scheduler": `{"scheduler_name":"dynamic","scheduler_period":1000000,"isolated_core_mask":"0",
			"scheduling_core":0,"governor_name":"dpdk_governor"}`,
		"fsdev_get_iostat": fmt.Sprintf(`{"tick_rate":%d,"ticks":1,"fsdevs":[
			{"name":"data0","stat":{"bytes_read":%d,"bytes_written":%d,"num_ops":%d,"num_errors":%d,"no_io":0,"in_flight":7,
				"ops":[{"op":"READ","count":%d,"errors":0,"bytes":%d},{"op":"WRITE","count":%d,"errors":0,"bytes":%d},
				{"op":"LOOKUP","count":%d,"errors":%d,"bytes":0},{"op":"MOUNT","count":1,"errors":0,"bytes":0}]},
				"channels":[{"thread":"fuse_0","thread_id":2,"stat":{"bytes_read":%d,"bytes_written":0,"num_ops":%d,
				"num_errors":0,"no_io":0,"in_flight":7,"ops":[]}}]},
			{"name":"scratch","stat":{"bytes_read":0,"bytes_written":0,"num_ops":0,"num_errors":0,"no_io":%d,"in_flight":0,
				"ops":[]},"channels":[]}]}`, hz, 4096000*n, 2048000*n, 1700*n, 200*n, 1000*n, 4096000*n, 500*n, 2048000*n,
			200*n, 200*n, 4096000*n, 1700*n, 3*n),
		"fsdev_get_fsdevs": `[{"name":"data0","module_name":"aio","histograms":true},
			{"name":"scratch","module_name":"memfs","histograms":false}]`,
		"fsdev_get_histogram":    histogram,
		"fsdev_enable_histogram": `true`,
	}
}

// takeAt takes a sample of an application n seconds after its start.
func takeAt(t *testing.T, n, share int) *sample {
	t.Helper()
	a := at(n, share)
	s, err := take(context.Background(), a, a.methods())
	if err != nil {
		t.Fatal(err)
	}
	if s.odd != "" {
		t.Fatal(s.odd)
	}
	s.at = time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
	return s
}

// kernelAt is what the kernel has found out of that application, having watched from the beginning: core 0 loses 50 ms
// of each second from the 10th on.
func kernelAt(n int) string {
	const ms = 1000000
	histogram := func(count, ns int) string {
		return fmt.Sprintf(`{"count":%d,"sum_ns":%d,"max_ns":%d,"p50_ns":1,"p99_ns":1,"buckets":[
			{"below_ns":%d,"count":%d}]}`, count, count*ns, ns, 2*ns, count)
	}
	reactor := func(core, preempted, voluntary int, state, takers string) string {
		return fmt.Sprintf(`{"lcore":%d,"tid":%d,"state":%q,"state_ns":%d,"preempted_ns":1,"voluntary_ns":1,"runqueue_ns":1,
			"preempted":%s,"voluntary":%s,"runqueue":%s,"takers":[%s],"other_ns":0}`, core, 4712+core, state, 3*ms,
			histogram(preempted, 8*ms), histogram(voluntary, 4*ms), histogram(preempted, 2*ms), takers)
	}
	takers := fmt.Sprintf(`{"comm":"fio","pid":99,"ns":%d,"count":%d},{"comm":"kworker/0:1","pid":12,"ns":%d,"count":%d},
		{"comm":"old","pid":13,"ns":7,"count":1},{"comm":"swapper","pid":0,"ns":%d,"count":%d}`,
		40*(n-10)*ms, 4*(n-10), 8*(n-10)*ms, n-10, 2*(n-10)*ms, n-10)
	waits := fmt.Sprintf(`"queue":%s,"service":%s,"reply":%s,"unserved":1`, histogram(1700*n, 16384),
		histogram(1700*n, 4096), histogram(1700*n, 512))
	return fmt.Sprintf(`{"enabled":true,"missing":"","elapsed_ns":%d,"reactors":[%s,%s],"mounts":[
		{"name":"data0","mountpoint":"/srv/a/rather/long/way/to/the/data","connection":40,%s,"opcodes":[
		{"opcode":15,"name":"READ",%s},{"opcode":1,"name":"LOOKUP",%s}]}]}`, n*1000*ms,
		reactor(0, 5*(n-10), 0, "running", takers), reactor(11, 0, 200*n, "asleep", ""), waits, waits,
		`"queue":{},"service":{},"reply":{},"unserved":0`)
}

// takeKernelAt is takeAt with what the kernel has found out.
func takeKernelAt(t *testing.T, n, share int) *sample {
	t.Helper()
	a := at(n, share)
	a[kernelMethod], a["ebpf_start"], a["ebpf_stop"] = kernelAt(n), "true", "true"
	s, err := take(context.Background(), a, a.methods())
	if err != nil {
		t.Fatal(err)
	}
	if s.odd != "" {
		t.Fatal(s.odd)
	}
	s.at = time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
	return s
}
