package ebpfmon

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// license is what the programs declare: the kernel lets only those trace it that may be used under the GPL. They come
// with this package's licence as well.
const license = "Dual BSD/GPL"

// readKernel describes the running kernel.
func readKernel() (*kernel, error) {
	base, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	fuse := base
	if _, err = structOf(base, "fuse_req"); err != nil { // FUSE may be a module, which has types of its own
		if fuse, err = btf.LoadKernelModuleSpec("fuse"); err != nil {
			err = fmt.Errorf("the kernel does not describe FUSE, as a part of itself or as a loaded module: %w", err)
		}
	}
	return describe(base, fuse, err)
}

// sizes are what depends on the machine.
type sizes struct {
	CPUs   int // entries, a power of two
	Shards int // of the tables of FUSE, a power of two
}

func machineSizes() (sizes, error) {
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return sizes{}, err
	}
	cpus := 1 << bits.Len(uint(n-1))
	return sizes{CPUs: cpus, Shards: min(cpus, maxShards)}, nil
}

func (s sizes) shared() int { return sizeShared + s.CPUs*sizeCPU }
func (s sizes) fuse() int   { return sizeFuse + s.Shards*maxMounts*sizeTable }

// program is one of those that are loaded.
type program struct {
	name string
	at   string // a tracepoint
	ins  asm.Instructions
}

func schedPrograms(k *kernel, tgid int32, s sizes) []program {
	return []program{
		{"spdk_switch", "sched_switch", schedSwitch(k, tgid, s.CPUs)},
		{"spdk_wakeup", "sched_wakeup", schedWakeup(k, tgid, s.CPUs)},
	}
}

func fusePrograms(k *fuseKernel, s sizes) []program {
	return []program{
		{"spdk_fuse_send", "fuse_request_send", fuseSend(k)},
		{"spdk_fuse_end", "fuse_request_end", fuseEnd(k, s.Shards)},
	}
}

// load has the kernel check the programs and returns them running. Without fuse there are only those of the scheduler.
func load(k *kernel, fuse bool, tgid int32, s sizes) (m *Monitor, err error) {
	array := func(name string, size int) *ebpf.MapSpec {
		return &ebpf.MapSpec{
			Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: 1, Flags: bpfMmapable,
		}
	}
	spec := &ebpf.CollectionSpec{
		Maps:     map[string]*ebpf.MapSpec{mapShared: array(mapShared, s.shared())},
		Programs: map[string]*ebpf.ProgramSpec{},
	}
	list := schedPrograms(k, tgid, s)
	if fuse {
		spec.Maps[mapFuse] = array(mapFuse, s.fuse())
		spec.Maps[mapSent] = &ebpf.MapSpec{
			Name: mapSent, Type: ebpf.Hash, KeySize: 8, ValueSize: uint32(sizeSent), MaxEntries: maxSent,
		}
		list = append(list, fusePrograms(k.fuse, s)...)
	}
	for _, p := range list {
		spec.Programs[p.name] = &ebpf.ProgramSpec{
			Name: p.name, Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: p.at, License: license,
			Instructions: p.ins,
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	defer coll.Close() // links hold programs, programs hold maps, and what is mapped holds what it maps

	kept := Kept{Sizes: s, Shared: -1, Fuse: -1}
	defer func() {
		if err != nil {
			kept.close()
		}
	}()
	if kept.Shared, err = dup(coll.Maps[mapShared].FD()); err != nil {
		return nil, err
	}
	if fuse {
		if kept.Fuse, err = dup(coll.Maps[mapFuse].FD()); err != nil {
			return nil, err
		}
	}
	for _, p := range list {
		fd, err := attach(coll.Programs[p.name], p)
		if err != nil {
			return nil, err
		}
		kept.Links = append(kept.Links, fd)
	}
	return kept.open()
}

// attach starts a program, and returns a descriptor: as long as there is one, the program runs.
func attach(prog *ebpf.Program, p program) (int, error) {
	l, err := link.AttachTracing(link.TracingOptions{Program: prog, AttachType: ebpf.AttachTraceRawTp})
	if err != nil {
		return -1, fmt.Errorf("attach to %s: %w", p.at, err)
	}
	defer l.Close()
	raw, ok := l.(interface{ FD() int })
	if !ok {
		return -1, fmt.Errorf("attach to %s: a link of type %T has no descriptor", p.at, l)
	}
	return dup(raw.FD())
}

// Open loads the programs and starts them, for this process's threads. If only those of FUSE cannot be had,
// [Monitor.Missing] says why. It takes about a tenth of a second, and some megabytes meanwhile. Call it from a plain
// goroutine, before the process locks itself up.
//
// Errors are of type *[Error].
func Open() (*Monitor, error) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return nil, refuse(fmt.Errorf("there are no programs for %s: %w", runtime.GOARCH, errors.ErrUnsupported))
	}
	if err := checkPIDNamespace("/proc/self/ns/pid"); err != nil {
		return nil, refuse(err)
	}
	k, err := readKernel()
	if err != nil {
		return nil, refuse(err)
	}
	// Before Linux 5.11 maps count as locked memory. A failure is found out when one is made.
	_ = rlimit.RemoveMemlock()
	s, err := machineSizes()
	if err != nil {
		return nil, refuse(err)
	}
	tgid := int32(os.Getpid())
	missing := k.fuseErr
	if k.fuse != nil {
		m, err := load(k, true, tgid, s)
		if err == nil {
			return m, nil
		}
		missing = err
	}
	m, err := load(k, false, tgid, s)
	if err != nil {
		return nil, refuse(err)
	}
	m.kept.Missing = firstLine(fmt.Errorf("FUSE requests are not watched: %w", missing))
	return m, nil
}
