package reactor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SysfsRoot is where Linux mounts sysfs. Not in SPDK, which spells it out in places.
const SysfsRoot = "/sys"

// NUMANodeAny is the node of a CPU of which it is not known. SPDK: SPDK_ENV_NUMA_ID_ANY
const NUMANodeAny = -1

// Topology is which NUMA node and which physical core the online CPUs of a machine belong
// to. It does not change; any goroutine may use it.
//
// SPDK: lib/env_dpdk/threads.c
type Topology struct {
	nodes    []int       // that have CPUs, in increasing order
	node     map[int]int // of a CPU
	siblings map[int]*Cpuset
}

// ReadTopology reads the topology from sysfs, mounted at root, which is [SysfsRoot] outside
// of tests. A kernel without NUMA has one node, 0. It reads many files: call it while
// starting, not from a reactor.
//
// Not in SPDK, which reads when it is asked.
func ReadTopology(root string) (*Topology, error) {
	t := &Topology{node: map[int]int{}, siblings: map[int]*Cpuset{}}
	cpuDir := filepath.Join(root, "devices/system/cpu")
	online, err := readCPUList(filepath.Join(cpuDir, "online"))
	if err != nil {
		return nil, fmt.Errorf("reactor: which CPUs there are: %w", err)
	}
	for cpu := range online.All() {
		dir := filepath.Join(cpuDir, fmt.Sprintf("cpu%d", cpu), "topology")
		siblings, err := readCPUList(filepath.Join(dir, "thread_siblings_list"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reactor: SMT siblings of CPU %d: %w", cpu, err)
		}
		t.siblings[cpu] = siblings
	}
	if err := t.readNodes(filepath.Join(root, "devices/system/node")); err != nil {
		return nil, fmt.Errorf("reactor: NUMA nodes: %w", err)
	}
	if len(t.nodes) == 0 {
		t.nodes = []int{0}
		for cpu := range online.All() {
			t.node[cpu] = 0
		}
	}
	return t, nil
}

// readNodes reads which CPUs the nodes have. Nodes of memory alone have none.
func (t *Topology) readNodes(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		number, isNode := strings.CutPrefix(e.Name(), "node")
		id, err := strconv.Atoi(number)
		if !isNode || err != nil {
			continue
		}
		cpus, err := readCPUList(filepath.Join(dir, e.Name(), "cpulist"))
		if err != nil {
			return err
		}
		for cpu := range cpus.All() {
			t.node[cpu] = id
		}
		if cpus.Count() > 0 {
			t.nodes = append(t.nodes, id)
		}
	}
	slices.Sort(t.nodes)
	return nil
}

// readCPUList reads a file like "0-3,8", which may be empty.
func readCPUList(name string) (*Cpuset, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	list := strings.TrimSpace(string(text))
	if list == "" {
		return &Cpuset{}, nil
	}
	s, err := ParseCpuset("[" + list + "]")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// NUMANode returns the node of a CPU, [NUMANodeAny] if the machine does not say.
//
// SPDK: spdk_env_get_numa_id
func (t *Topology) NUMANode(cpu int) int {
	if id, ok := t.node[cpu]; ok {
		return id
	}
	return NUMANodeAny
}

// NUMANodes returns the nodes that have CPUs, at least one, in increasing order; their
// numbers may have gaps.
//
// SPDK: spdk_env_get_first_numa_id, spdk_env_get_last_numa_id, spdk_env_get_next_numa_id
func (t *Topology) NUMANodes() []int { return slices.Clone(t.nodes) }

// SMTSiblings returns the CPUs that share a physical core with cpu, itself included,
// whether or not a reactor runs there; nil if the machine does not say.
//
// SPDK: spdk_env_core_get_smt_cpuset
func (t *Topology) SMTSiblings(cpu int) *Cpuset {
	s := t.siblings[cpu]
	if s == nil {
		return nil
	}
	siblings := *s
	return &siblings
}

// AllSMTSiblings returns the siblings of all CPUs of a set, these included; nil if the
// machine does not say for one of them.
//
// SPDK: spdk_env_core_get_smt_cpuset with UINT32_MAX
func (t *Topology) AllSMTSiblings(cpus *Cpuset) *Cpuset {
	all := &Cpuset{}
	for cpu := range cpus.All() {
		s := t.siblings[cpu]
		if s == nil {
			return nil
		}
		all.Or(s)
	}
	return all
}
