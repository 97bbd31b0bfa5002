package reactor_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
)

// tree writes files below a new directory and returns it.
func tree(tb testing.TB, files map[string]string) string {
	tb.Helper()
	root := tb.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return root
}

// fakeMachine has two sockets of two cores of two threads, numbered as firmware likes to,
// CPU 7 offline, a node of memory alone, and CPU 6 without topology.
var fakeMachine = map[string]string{
	"devices/system/cpu/online":                             "0-6\n",
	"devices/system/cpu/cpu0/topology/thread_siblings_list": "0,4\n",
	"devices/system/cpu/cpu1/topology/thread_siblings_list": "1,5\n",
	"devices/system/cpu/cpu2/topology/thread_siblings_list": "2,6\n",
	"devices/system/cpu/cpu3/topology/thread_siblings_list": "3\n",
	"devices/system/cpu/cpu4/topology/thread_siblings_list": "0,4\n",
	"devices/system/cpu/cpu5/topology/thread_siblings_list": "1,5\n",
	"devices/system/cpu/cpu7/online":                        "0\n",
	"devices/system/node/online":                            "0,2,10\n",
	"devices/system/node/node0/cpulist":                     "0-1,4-5\n",
	"devices/system/node/node2/cpulist":                     "\n",
	"devices/system/node/node10/cpulist":                    "2-3,6\n",
}

func TestTopology(t *testing.T) {
	topo, err := reactor.ReadTopology(tree(t, fakeMachine))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 10}, topo.NUMANodes()); diff != "" {
		t.Error(diff)
	}
	for cpu, want := range map[int]int{
		0: 0, 1: 0, 2: 10, 3: 10, 4: 0, 5: 0, 6: 10,
		-1: reactor.NUMANodeAny, 7: reactor.NUMANodeAny, 5000: reactor.NUMANodeAny,
	} {
		if got := topo.NUMANode(cpu); got != want {
			t.Errorf("CPU %d is on node %d, want %d", cpu, got, want)
		}
	}
	list := func(s *reactor.Cpuset) string {
		if s == nil {
			return "unknown"
		}
		return s.List()
	}
	for cpu, want := range map[int]string{-1: "unknown", 0: "0,4", 4: "0,4", 3: "3", 6: "unknown", 7: "unknown"} {
		if got := list(topo.SMTSiblings(cpu)); got != want {
			t.Errorf("siblings of CPU %d are %s, want %s", cpu, got, want)
		}
	}
	for _, tc := range []struct {
		cpus *reactor.Cpuset
		want string
	}{
		{reactor.NewCpuset(), ""},
		{reactor.NewCpuset(0, 3), "0,3-4"},
		{reactor.NewCpuset(0, 1, 2), "0-2,4-6"},
		{reactor.NewCpuset(0, 6), "unknown"},
	} {
		if got := list(topo.AllSMTSiblings(tc.cpus)); got != tc.want {
			t.Errorf("siblings of CPUs %s are %s, want %s", tc.cpus.List(), got, tc.want)
		}
	}
	topo.SMTSiblings(0).Set(4, false)
	if got := list(topo.SMTSiblings(0)); got != "0,4" {
		t.Errorf("the caller changed the topology: %s", got)
	}
}

func TestTopologyWithoutNUMA(t *testing.T) {
	topo, err := reactor.ReadTopology(tree(t, map[string]string{"devices/system/cpu/online": "0-1\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0}, topo.NUMANodes()); diff != "" || topo.NUMANode(1) != 0 || topo.NUMANode(2) != -1 {
		t.Errorf("nodes %v, CPU 1 on %d, CPU 2 on %d", topo.NUMANodes(), topo.NUMANode(1), topo.NUMANode(2))
	}
}

func TestTopologyErrors(t *testing.T) {
	if _, err := reactor.ReadTopology(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without sysfs: %v", err)
	}
	for _, name := range []string{
		"devices/system/cpu/online",
		"devices/system/cpu/cpu1/topology/thread_siblings_list",
		"devices/system/node/node10/cpulist",
	} {
		root := tree(t, fakeMachine)
		if err := os.WriteFile(filepath.Join(root, name), []byte("nonsense\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := reactor.ReadTopology(root); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is malformed: %v", name, err)
		}
	}
}

// TestTopologyOfThisMachine holds for any machine.
func TestTopologyOfThisMachine(t *testing.T) {
	topo, err := reactor.ReadTopology(reactor.SysfsRoot)
	if err != nil {
		t.Fatal(err)
	}
	for cpu := range reactor.MaxCPU {
		s := topo.SMTSiblings(cpu)
		if s == nil {
			continue
		}
		if !s.Get(cpu) {
			t.Errorf("CPU %d is not its own sibling: %s", cpu, s.List())
		}
		for other := range s.All() {
			if topo.NUMANode(other) != topo.NUMANode(cpu) {
				t.Errorf("siblings %s are on different nodes", s.List())
			}
		}
	}
}
