package app_test

import (
	"slices"
	"strings"
	"testing"

	_ "github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/rpc"
)

// contract has SPDK's methods as its tools use them: the states, then the parameters, then what the result has. Names
// are followed by the type of JSON; a parameter or field with a question mark may be left out. [] stands for the
// elements of an array. spdk_top reads all of thread_get_stats, thread_get_pollers, framework_get_reactors and
// framework_get_scheduler.
var contract = []struct {
	method string
	states rpc.State
	params string
	result string
}{
	{"rpc_get_methods", both, "current?:boolean include_aliases?:boolean", ":array []:string"},
	{"spdk_get_version", both, "", ":object version:string fields:object fields.major:integer fields.minor:integer " +
		"fields.patch:integer fields.suffix:string fields.commit?:string"},
	{"spdk_kill_instance", rpc.Runtime, "sig_name:string", ":boolean"},
	{"framework_start_init", rpc.Startup, "", ":boolean"},
	{"framework_wait_init", both, "", ":boolean"},
	{"framework_disable_cpumask_locks", both, "", ":boolean"},
	{"framework_enable_cpumask_locks", both, "", ":boolean"},
	{"framework_monitor_context_switch", rpc.Runtime, "enabled?:boolean", ":object enabled:boolean"},
	{"framework_get_subsystems", rpc.Runtime, "", ":array [].subsystem:string [].depends_on:array [].depends_on[]:string"},
	{"framework_get_config", rpc.Runtime, "name:string with_batches?:boolean", ":array [].method:string [].params?:"},
	{"framework_get_reactors", rpc.Runtime, "", ":object tick_rate:integer pid:integer reactors:array " +
		"reactors[].lcore:integer reactors[].numa_id:integer reactors[].tid:integer reactors[].busy:integer " +
		"reactors[].idle:integer reactors[].in_interrupt:boolean reactors[].irq:integer reactors[].sys:integer " +
		"reactors[].usr:integer reactors[].core_freq?:integer reactors[].lw_threads:array " +
		"reactors[].lw_threads[].name:string reactors[].lw_threads[].id:integer " +
		"reactors[].lw_threads[].cpumask:string reactors[].lw_threads[].elapsed:integer"},
	{"framework_set_scheduler", both, "name:string period?:integer load_limit?:integer core_limit?:integer " +
		"core_busy?:integer mappings?:string", ":boolean"},
	{"framework_get_scheduler", both, "", ":object scheduler_name?:string scheduler_period:integer " +
		"isolated_core_mask:string scheduling_core:integer governor_name?:string"},
	{"framework_get_governor", rpc.Runtime, "", ":object governor_name?:string module_specific?: cores?:array " +
		"cores[].lcore_id:integer cores[].available_frequencies:array cores[].available_frequencies[]:integer " +
		"cores[].current_frequency:integer"},
	{"scheduler_set_options", rpc.Startup, "scheduling_core?:integer isolated_core_mask?:string", ":boolean"},
	{"thread_get_stats", rpc.Runtime, "", ":object tick_rate:integer threads:array threads[].name:string " +
		"threads[].id:integer threads[].cpumask:string threads[].busy:integer threads[].idle:integer " +
		"threads[].active_pollers_count:integer threads[].timed_pollers_count:integer " +
		"threads[].paused_pollers_count:integer"},
	{"thread_get_pollers", rpc.Runtime, "", ":object tick_rate:integer threads:array threads[].name:string " +
		"threads[].id:integer threads[].active_pollers:array threads[].active_pollers[].name:string " +
		"threads[].active_pollers[].id:integer threads[].active_pollers[].state:string " +
		"threads[].active_pollers[].run_count:integer threads[].active_pollers[].busy_count:integer " +
		"threads[].timed_pollers:array threads[].timed_pollers[].name:string " +
		"threads[].timed_pollers[].period_ticks?:integer threads[].paused_pollers:array"},
	{"thread_get_io_channels", rpc.Runtime, "", ":object tick_rate:integer threads:array threads[].name:string " +
		"threads[].io_channels:array threads[].io_channels[].name:string threads[].io_channels[].ref:integer"},
	{"thread_set_cpumask", rpc.Runtime, "id:integer cpumask:string", ":boolean"},
	{"iobuf_set_options", rpc.Startup, "small_pool_count?:integer large_pool_count?:integer small_bufsize?:integer " +
		"large_bufsize?:integer enable_numa?:boolean", ":boolean"},
	{"iobuf_get_stats", rpc.Runtime, "", ":array [].module:string [].small_pool:object [].small_pool.cache:integer " +
		"[].small_pool.main:integer [].small_pool.retry:integer [].small_pool.cache_size:integer " +
		"[].large_pool:object [].large_pool.cache:integer [].large_pool.main:integer [].large_pool.retry:integer " +
		"[].large_pool.cache_size:integer"},
	{"fsdev_get_opts", rpc.Runtime, "", ":object fsdev_io_pool_size:integer fsdev_io_cache_size:integer"},
	{"fsdev_set_opts", rpc.Runtime, "fsdev_io_pool_size:integer fsdev_io_cache_size:integer", ":boolean"},
	{"fsdev_aio_create", rpc.Runtime, "name:string root_path:string enable_xattr?:boolean " +
		"enable_writeback_cache?:boolean max_write?:integer skip_rw?:boolean", ":string"},
	{"log_set_print_level", both, "level:string", ":boolean"},
	{"log_get_print_level", both, "", ":string"},
	{"log_set_level", both, "level:string", ":boolean"},
	{"log_get_level", both, "", ":string"},
	{"log_set_flag", both, "flag:string", ":boolean"},
	{"log_clear_flag", both, "flag:string", ":boolean"},
	{"log_get_flags", both, "", ":object"},
	{"log_enable_timestamps", rpc.Runtime, "enabled:boolean", ":boolean"},
	{"trace_set_tpoint_mask", both, "name:string tpoint_mask:integer", ":boolean"},
	{"trace_clear_tpoint_mask", both, "name:string tpoint_mask:integer", ":boolean"},
	{"trace_enable_tpoint_group", both, "name:string", ":boolean"},
	{"trace_disable_tpoint_group", both, "name:string", ":boolean"},
	{"trace_get_tpoint_group_mask", both, "", ":object"},
	{"trace_clear", rpc.Runtime, "", ":boolean"},
	{"trace_get_info", both, "", ":object"},
	{"notify_get_types", rpc.Runtime, "", ":array []:string"},
	{"notify_get_notifications", rpc.Runtime, "id?:integer max?:integer", ":array [].type:string [].ctx:string " +
		"[].id:integer"},
	{"fsdev_aio_delete", rpc.Runtime, "name:string", ":boolean"},
}

const both = rpc.Startup | rpc.Runtime

// methodsByName are all methods that there are.
func methodsByName() map[string]rpc.MethodInfo {
	methods := map[string]rpc.MethodInfo{}
	for _, m := range rpc.Methods() {
		methods[m.Name] = m
	}
	return methods
}

// TestContract compares the methods with SPDK's.
func TestContract(t *testing.T) {
	methods := methodsByName()
	for _, c := range contract {
		m, ok := methods[c.method]
		if !ok {
			t.Errorf("there is no %s", c.method)
			continue
		}
		if m.States&c.states != c.states {
			t.Errorf("%s can be called in %v, want %v", c.method, m.States, c.states)
		}
		var params []string
		if m.Params != nil {
			describe(m.Params, "", "", &params)
			params = params[1:] // that it is an object goes without saying
		}
		for _, want := range strings.Fields(c.params) {
			if !slices.Contains(params, want) {
				t.Errorf("%s has no parameter %s, only %q", c.method, want, params)
			}
		}
		for _, p := range params {
			if !slices.Contains(strings.Fields(c.params), p) && !strings.Contains(p, "?:") && !strings.Contains(p, "[]") {
				t.Errorf("%s wants a parameter %s, which SPDK does not know", c.method, p)
			}
		}
		var result []string
		describe(m.Result, "", "", &result)
		for _, want := range strings.Fields(c.result) {
			if !slices.Contains(result, want) {
				t.Errorf("the result of %s has no %s, only %q", c.method, want, result)
			}
		}
	}
}

// describe lists a type and what is in it in the form of contract.
func describe(typ *rpc.Type, path, optional string, list *[]string) {
	*list = append(*list, path+optional+":"+typ.Kind)
	if typ.Items != nil {
		describe(typ.Items, path+"[]", "", list)
	}
	for _, f := range typ.Properties {
		name := f.Name
		if path != "" {
			name = path + "." + name
		}
		optional := ""
		if f.Optional {
			optional = "?"
		}
		describe(f.Type, name, optional, list)
	}
}
