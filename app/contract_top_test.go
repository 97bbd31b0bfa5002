package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// topContract has the objects that spdk_top takes apart, with all fields that it knows and the C types that it reads
// them into; those with a question mark may be missing. In a strict object it stops at a field that it does not know,
// and shows nothing at all then.
//
// SPDK: the decoders of app/spdk_top/spdk_top.c
var topContract = []struct {
	method string
	path   string // of the object
	strict bool
	fields string
}{
	{"framework_wait_init", "", false, ""}, // it only waits for it
	{"thread_get_stats", "", false, "threads:array"},
	{"thread_get_stats", "threads[]", true, "name:string id:uint64 cpumask:string busy:uint64 idle:uint64 " +
		"active_pollers_count:uint64 timed_pollers_count:uint64 paused_pollers_count:uint64"},
	{"thread_get_pollers", "", false, "threads:array"},
	{"thread_get_pollers", "threads[]", false, "name:string id:uint64 active_pollers:array timed_pollers:array " +
		"paused_pollers:array"},
	{"thread_get_pollers", "threads[].active_pollers[]", true, topPoller},
	{"thread_get_pollers", "threads[].timed_pollers[]", true, topPoller},
	{"thread_get_pollers", "threads[].paused_pollers[]", true, topPoller},
	{"framework_get_reactors", "", false, "tick_rate:uint64 reactors:array"},
	{"framework_get_reactors", "reactors[]", true, "lcore:uint32 busy:uint64 idle:uint64 irq:uint64 sys:uint64 " +
		"usr:uint64 core_freq?:uint32 in_interrupt:bool lw_threads:array tid:uint64 numa_id:int32"},
	{"framework_get_reactors", "reactors[].lw_threads[]", true, "name:string id:uint64 cpumask:string elapsed:uint64"},
	{"framework_get_scheduler", "", false, "scheduler_name?:string governor_name?:string scheduler_period:uint64"},
}

const topPoller = "name:string state:string id:uint64 run_count:uint64 busy_count:uint64 period_ticks?:uint64"

// TestTopContract compares the results of methods with what spdk_top reads.
func TestTopContract(t *testing.T) {
	methods := methodsByName()
	for _, c := range topContract {
		m, ok := methods[c.method]
		if !ok {
			t.Errorf("there is no %s", c.method)
			continue
		}
		typ := typeAt(m.Result, c.path)
		if typ == nil {
			t.Errorf("the result of %s has no %s", c.method, c.path)
			continue
		}
		var got []string
		known := strings.Fields(c.fields)
		for _, f := range typ.Properties {
			field := f.Name + ":" + cType(f.Type)
			if f.Optional {
				field = f.Name + "?:" + cType(f.Type)
			}
			// What need not be there may be.
			if must := strings.Replace(field, ":", "?:", 1); !f.Optional && slices.Contains(known, must) {
				field = must
			}
			if c.strict || slices.Contains(known, field) {
				got = append(got, field)
			}
		}
		slices.Sort(got)
		slices.Sort(known)
		if diff := cmp.Diff(known, got); diff != "" && (len(known) > 0 || len(got) > 0) {
			t.Errorf("%s, %q: spdk_top reads (-), there is (+)\n%s", c.method, c.path, diff)
		}
	}
}

// typeAt returns the type of a path such as "threads[].pollers[]" in a type, or nil.
func typeAt(typ *rpc.Type, path string) *rpc.Type {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			continue
		}
		name, isArray := strings.CutSuffix(name, "[]")
		i := slices.IndexFunc(typ.Properties, func(f rpc.Field) bool { return f.Name == name })
		if i < 0 {
			return nil
		}
		if typ = typ.Properties[i].Type; isArray {
			typ = typ.Items
		}
	}
	return typ
}

// cType names the C type that spdk_json_decode_... of that name reads all values of a type into.
func cType(typ *rpc.Type) string {
	switch typ.Kind {
	case "boolean":
		return "bool"
	case "integer":
		switch {
		case *typ.Minimum == 0 && *typ.Maximum == 1<<32-1:
			return "uint32"
		case *typ.Minimum == 0:
			return "uint64"
		case *typ.Maximum == 1<<31-1:
			return "int32"
		}
		return "int64"
	}
	return typ.Kind
}
