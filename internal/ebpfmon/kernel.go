package ebpfmon

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// kernel is where the running kernel has what the programs read, by its own account (BTF), and what it has at all.
type kernel struct {
	pid, tgid, comm, groupLeader int16 // in struct task_struct

	state int16 // the same
	// cpu is where a thread has the CPU that it waits for; -1: nowhere, and nobody is charged for waits after wake-ups.
	cpu int16

	fuse    *fuseKernel // nil: FUSE requests cannot be watched
	fuseErr error       // why not
}

// fuseKernel is the same for FUSE.
type fuseKernel struct {
	mount, opcode, unique int16 // in struct fuse_req
	conn                  int16 // in struct fuse_mount
	dev                   int16 // in struct fuse_conn
}

// errShape says that the kernel is not built as the programs know it.
var errShape = errors.New("the kernel is not one that the programs know")

// types are kernel types by name.
type types interface {
	AnyTypesByName(name string) ([]btf.Type, error)
}

// describe reads what the programs need. base is the kernel proper, fuse what has the types of FUSE, which may be the
// same; fuseErr is why there is none.
func describe(base, fuse types, fuseErr error) (*kernel, error) {
	k := &kernel{cpu: -1}
	task, err := structOf(base, "task_struct")
	if err == nil {
		err = offsets(task, map[string]*int16{
			"pid": &k.pid, "tgid": &k.tgid, "comm": &k.comm, "group_leader": &k.groupLeader,
		})
	}
	if err != nil {
		return nil, err
	}
	if k.state, err = firstOffset(task, "__state", "state"); err != nil {
		return nil, err
	}
	for _, name := range []string{"sched_switch", "sched_wakeup"} {
		if err := tracepoint(base, name); err != nil {
			return nil, err
		}
	}
	if cpu, err := firstOffset(task, "thread_info.cpu", "cpu"); err == nil {
		k.cpu = cpu
	}
	if fuseErr == nil {
		k.fuse, fuseErr = describeFuse(fuse)
	}
	k.fuseErr = fuseErr
	return k, nil
}

func describeFuse(t types) (*fuseKernel, error) {
	for _, name := range []string{"fuse_request_send", "fuse_request_end"} {
		if err := tracepoint(t, name); err != nil {
			return nil, fmt.Errorf("%w (it is there from Linux 6.10 on)", err)
		}
	}
	k := &fuseKernel{}
	for _, f := range []struct {
		typ, path string
		to        *int16
	}{
		{"fuse_req", "fm", &k.mount},
		{"fuse_req", "in.h.opcode", &k.opcode},
		{"fuse_req", "in.h.unique", &k.unique},
		{"fuse_mount", "fc", &k.conn},
		{"fuse_conn", "dev", &k.dev},
	} {
		st, err := structOf(t, f.typ)
		if err == nil {
			err = offsets(st, map[string]*int16{f.path: f.to})
		}
		if err != nil {
			return nil, err
		}
	}
	return k, nil
}

func structOf(t types, name string) (*btf.Struct, error) {
	list, err := t.AnyTypesByName(name)
	if err == nil {
		for _, typ := range list {
			if st, ok := typ.(*btf.Struct); ok {
				return st, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: no struct %s", errShape, name)
}

// tracepoint makes sure that there is one.
func tracepoint(t types, name string) error {
	list, err := t.AnyTypesByName("btf_trace_" + name)
	if err == nil {
		for _, typ := range list {
			if _, ok := typ.(*btf.Typedef); ok {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: no tracepoint %s", errShape, name)
}

// offsets finds members by paths.
func offsets(st *btf.Struct, members map[string]*int16) (err error) {
	for path, to := range members {
		if *to, err = offset(st, path); err != nil {
			return err
		}
	}
	return nil
}

// firstOffset finds the first of several members that there is.
func firstOffset(st *btf.Struct, paths ...string) (off int16, err error) {
	for _, path := range paths {
		if off, err = offset(st, path); err == nil {
			return off, nil
		}
	}
	return 0, err
}

// offset finds a member by its path, as in in.h.opcode, also inside of members without a name.
func offset(st *btf.Struct, path string) (int16, error) {
	off, ok := find(st, strings.Split(path, "."))
	if !ok || off > math.MaxInt16 {
		return 0, fmt.Errorf("%w: no %s in struct %s", errShape, path, st.Name)
	}
	return int16(off), nil
}

func find(typ btf.Type, path []string) (uint32, bool) {
	var members []btf.Member
	switch c := btf.UnderlyingType(typ).(type) {
	case *btf.Struct:
		members = c.Members
	case *btf.Union:
		members = c.Members
	}
	for _, m := range members {
		if m.BitfieldSize > 0 {
			continue
		}
		rest := path
		switch {
		case m.Name == "": // its members are as good as the structure's own
		case m.Name != path[0]:
			continue
		case len(path) == 1:
			return m.Offset.Bytes(), true
		default:
			rest = path[1:]
		}
		if off, ok := find(m.Type, rest); ok {
			return m.Offset.Bytes() + off, true
		}
	}
	return 0, false
}
