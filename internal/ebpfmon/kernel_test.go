package ebpfmon

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

// fakeTypes is a kernel's description of itself.
type fakeTypes map[string]btf.Type

func (f fakeTypes) AnyTypesByName(name string) ([]btf.Type, error) {
	if t, ok := f[name]; ok {
		return []btf.Type{t}, nil
	}
	return nil, btf.ErrNotFound
}

var word = &btf.Int{Name: "word", Size: 4}

// member is a member of a structure at a number of bytes.
func member(name string, at uint32, typ btf.Type) btf.Member {
	return btf.Member{Name: name, Offset: btf.Bits(8 * at), Type: typ}
}

func strukt(name string, members ...btf.Member) *btf.Struct {
	return &btf.Struct{Name: name, Members: members}
}

func tracepointType(name string) *btf.Typedef {
	return &btf.Typedef{Name: "btf_trace_" + name, Type: &btf.Pointer{Target: &btf.FuncProto{}}}
}

// newKernel is one that has everything.
func newKernel() fakeTypes {
	header := strukt("fuse_in_header", member("opcode", 4, word), member("unique", 8, word))
	return fakeTypes{
		"task_struct": strukt("task_struct",
			member("thread_info", 0, strukt("thread_info", member("flags", 0, word), member("cpu", 20, word))),
			member("__state", 24, word),
			// With CONFIG_RANDSTRUCT the rest is in a structure without a name.
			member("", 100, strukt("", member("pid", 8, word), member("tgid", 12, word), member("group_leader", 16, word))),
			member("comm", 200, word)),
		"btf_trace_sched_switch":      tracepointType("sched_switch"),
		"btf_trace_sched_wakeup":      tracepointType("sched_wakeup"),
		"btf_trace_fuse_request_send": tracepointType("fuse_request_send"),
		"btf_trace_fuse_request_end":  tracepointType("fuse_request_end"),
		"fuse_req": strukt("fuse_req",
			member("in", 48, strukt("", member("h", 0, &btf.Typedef{Name: "header", Type: header}))),
			btf.Member{Name: "waiting", Offset: 1, BitfieldSize: 1, Type: word},
			member("fm", 136, word)),
		"fuse_mount": strukt("fuse_mount", member("fc", 0, word)),
		"fuse_conn":  strukt("fuse_conn", member("dev", 344, word)),
	}
}

// TestDescribe pins what is taken from kernels of different shape, and what is said of those that lack something.
func TestDescribe(t *testing.T) {
	wantFuse := &fuseKernel{mount: 136, opcode: 52, unique: 56, conn: 0, dev: 344}
	want := kernel{
		pid: 108, tgid: 112, groupLeader: 116, comm: 200, state: 24, cpu: 20, fuse: wantFuse,
	}
	for _, test := range []struct {
		name   string
		change func(k fakeTypes, want *kernel)
		err    string
		fuse   string // what is missing of FUSE
	}{
		{name: "new", change: func(fakeTypes, *kernel) {}},
		{name: "before 5.14, when the state was called so", change: func(k fakeTypes, want *kernel) {
			task := k["task_struct"].(*btf.Struct)
			task.Members[1] = member("state", 16, word)
			want.state = 16
		}},
		{name: "before 5.16, when the CPU was elsewhere", change: func(k fakeTypes, want *kernel) {
			task := k["task_struct"].(*btf.Struct)
			task.Members[0] = member("cpu", 28, word)
			want.cpu = 28
		}},
		{name: "the CPU is nowhere", change: func(k fakeTypes, want *kernel) {
			task := k["task_struct"].(*btf.Struct)
			task.Members[0] = member("thread_info", 0, strukt("thread_info"))
			want.cpu = -1
		}},
		{name: "no FUSE tracepoints", fuse: "no tracepoint fuse_request_send (it is there from Linux 6.10 on)",
			change: func(k fakeTypes, _ *kernel) { delete(k, "btf_trace_fuse_request_send") }},
		{name: "another fuse_req", fuse: "no in.h.unique in struct fuse_req",
			change: func(k fakeTypes, _ *kernel) {
				k["fuse_req"] = strukt("fuse_req", member("fm", 136, word), member("in", 48, strukt("", member("h", 0,
					strukt("fuse_in_header", member("opcode", 4, word))))))
			}},
		{name: "no fuse_conn", fuse: "no struct fuse_conn",
			change: func(k fakeTypes, _ *kernel) { delete(k, "fuse_conn") }},
		{name: "no task_struct", err: "no struct task_struct",
			change: func(k fakeTypes, _ *kernel) { delete(k, "task_struct") }},
		{name: "no comm", err: "no comm in struct task_struct", change: func(k fakeTypes, _ *kernel) {
			task := k["task_struct"].(*btf.Struct)
			task.Members = task.Members[:3]
		}},
		{name: "too far for an offset", err: "no comm in struct task_struct", change: func(k fakeTypes, _ *kernel) {
			task := k["task_struct"].(*btf.Struct)
			task.Members[3] = member("comm", 1<<15, word)
		}},
		{name: "no sched_switch", err: "no tracepoint sched_switch",
			change: func(k fakeTypes, _ *kernel) { delete(k, "btf_trace_sched_switch") }},
		{name: "no sched_wakeup", err: "no tracepoint sched_wakeup",
			change: func(k fakeTypes, _ *kernel) { k["btf_trace_sched_wakeup"] = word }},
	} {
		t.Run(test.name, func(t *testing.T) {
			types, want := newKernel(), want
			test.change(types, &want)
			got, err := describe(types, types, nil)
			if test.err != "" {
				if !errors.Is(err, errShape) || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("%v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.fuse != "" {
				want.fuse = nil
				if got.fuseErr == nil || !strings.Contains(got.fuseErr.Error(), test.fuse) {
					t.Errorf("of FUSE is missing: %v, want %q", got.fuseErr, test.fuse)
				}
			}
			got.fuseErr = nil
			if diff := cmp.Diff(want, *got, cmp.AllowUnexported(kernel{}, fuseKernel{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDescribeModule has FUSE in a module, which describes itself, or in one that is not there.
func TestDescribeModule(t *testing.T) {
	base, module := newKernel(), fakeTypes{}
	for name := range maps.Clone(base) {
		if strings.Contains(name, "fuse") {
			module[name] = base[name]
			delete(base, name)
		}
	}
	if k, err := describe(base, module, nil); err != nil || k.fuse == nil {
		t.Errorf("with the module: %+v, %v", k, err)
	}
	missing := errors.New("no module")
	if k, err := describe(base, nil, missing); err != nil || k.fuse != nil || k.fuseErr != missing {
		t.Errorf("without the module: %+v, %v", k, err)
	}
}
