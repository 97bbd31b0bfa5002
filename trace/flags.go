package trace

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

// allGroups is the name for all groups together.
const allGroups = "all"

// TraceMasks implements [reactor.Tracer].
//
// SPDK: struct spdk_trace_section_tpoint_mask
func (tr *Trace) TraceMasks() *reactor.TraceMasks { return &tr.masks }

// TpointMask returns which tracepoints of a group are on, a bit each; 0 for a group that cannot be.
//
// SPDK: spdk_trace_get_tpoint_mask
func (tr *Trace) TpointMask(group int) uint64 {
	if uint(group) >= reactor.TraceGroups {
		return 0
	}
	return tr.masks[group].Load()
}

// SetTpoints turns tracepoints of a group on, in addition to those that are. The first time, the rings get their
// memory, which takes a millisecond or so.
//
// Errors wrap EINVAL (the group), ENOSPC (there is no memory left for the rings) and ESHUTDOWN (it is closed).
//
// SPDK: spdk_trace_set_tpoints
func (tr *Trace) SetTpoints(group int, mask uint64) error {
	return tr.setMask(group, func(old uint64) uint64 { return old | mask })
}

// ClearTpoints turns tracepoints of a group off. Errors are those of [Trace.SetTpoints].
//
// SPDK: spdk_trace_clear_tpoints
func (tr *Trace) ClearTpoints(group int, mask uint64) error {
	return tr.setMask(group, func(old uint64) uint64 { return old &^ mask })
}

func (tr *Trace) setMask(group int, change func(old uint64) uint64) error {
	if uint(group) >= reactor.TraceGroups {
		return fmt.Errorf("trace: there is no group %d: %w", group, syscall.EINVAL)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.closed {
		return fmt.Errorf("trace: closed: %w", syscall.ESHUTDOWN)
	}
	mask := change(tr.masks[group].Load())
	if mask != 0 && !tr.reserved {
		if err := sys.Reserve(tr.file, len(tr.mem)); err != nil {
			return fmt.Errorf("trace: %s: %w", tr.path, err)
		}
		sys.Populate(tr.mem)
		tr.reserved = true
	}
	tr.masks[group].Store(mask)
	tr.put64(tr.sections[sectionTpointMask]+sectionHeaderSize+group*8, mask)
	return nil
}

// TpointGroupMask returns which groups have a tracepoint that is on, a bit each.
//
// SPDK: spdk_trace_get_tpoint_group_mask
func (tr *Trace) TpointGroupMask() (mask uint64) {
	for g := range tr.masks {
		if tr.masks[g].Load() != 0 {
			mask |= 1 << g
		}
	}
	return mask
}

// SetTpointGroupMask turns all tracepoints of groups on, a bit for each group; those of groups that cannot be are
// ignored. Errors are those of [Trace.SetTpoints].
//
// SPDK: spdk_trace_set_tpoint_group_mask
func (tr *Trace) SetTpointGroupMask(mask uint64) error { return tr.setGroups(mask, tr.SetTpoints) }

// ClearTpointGroupMask turns all tracepoints of groups off. Errors are those of [Trace.SetTpoints].
//
// SPDK: spdk_trace_clear_tpoint_group_mask
func (tr *Trace) ClearTpointGroupMask(mask uint64) error { return tr.setGroups(mask, tr.ClearTpoints) }

func (tr *Trace) setGroups(mask uint64, set func(group int, mask uint64) error) error {
	for g := range tr.masks {
		if mask>>g&1 == 0 {
			continue
		}
		if err := set(g, ^uint64(0)); err != nil {
			return err
		}
	}
	return nil
}

// EnableTpointGroup turns a group on by its name, or all of them by "all". Errors wrap EINVAL for a name that no group
// has, or are those of [Trace.SetTpoints].
//
// SPDK: spdk_trace_enable_tpoint_group
func (tr *Trace) EnableTpointGroup(name string) error {
	mask, err := GroupMask(name)
	if err != nil {
		return err
	}
	return tr.SetTpointGroupMask(mask)
}

// DisableTpointGroup turns it off. Errors are those of [Trace.EnableTpointGroup].
//
// SPDK: spdk_trace_disable_tpoint_group
func (tr *Trace) DisableTpointGroup(name string) error {
	mask, err := GroupMask(name)
	if err != nil {
		return err
	}
	return tr.ClearTpointGroupMask(mask)
}

// GroupMask returns the bit of the group of a name, or those of all groups for "all". Errors wrap EINVAL.
//
// SPDK: spdk_trace_create_tpoint_group_mask
func GroupMask(name string) (mask uint64, err error) {
	for _, g := range groups {
		if name == g.Name || name == allGroups {
			mask |= 1 << g.ID
		}
	}
	if mask == 0 {
		return 0, fmt.Errorf("trace: there is no group %q of tracepoints, only %s, and all together: %w", name,
			strings.Join(groupNames(), ", "), syscall.EINVAL)
	}
	return mask, nil
}

// TpointMaskOf returns the bit of a tracepoint in its group; the case of letters does not matter. Errors wrap EINVAL.
//
// SPDK: spdk_trace_create_tpoint_mask
func (tr *Trace) TpointMaskOf(group int, name string) (uint64, error) {
	for _, tp := range tr.Tpoints(group) {
		if strings.EqualFold(tp.Name, name) {
			return 1 << (tp.Tpoint & 63), nil
		}
	}
	return 0, fmt.Errorf("trace: group %d has no tracepoint %q: %w", group, name, syscall.EINVAL)
}

// Enable turns tracepoints on as said on a command line: groups with commas between them, each with its name or its
// mask in hexadecimal, and perhaps a colon and a mask or the names of its tracepoints with plus signs between them, as
// in "thread,fsdev:FSDEV_IO_START+FSDEV_IO_DONE,scheduler:0xe". Nothing is turned on if there is an error, which wraps
// EINVAL or is one of [Trace.SetTpoints].
//
// SPDK: spdk_app_setup_trace
func (tr *Trace) Enable(spec string) error {
	masks := map[int]uint64{}
	for part := range strings.SplitSeq(spec, ",") {
		if err := tr.parseGroup(part, masks); err != nil {
			return err
		}
	}
	for g, mask := range masks {
		if err := tr.SetTpoints(g, mask); err != nil {
			return err
		}
	}
	return nil
}

func (tr *Trace) parseGroup(part string, masks map[int]uint64) error {
	name, tpoints, only := strings.Cut(part, ":")
	groupMask, err := parseHex(name)
	if err != nil {
		if groupMask, err = GroupMask(name); err != nil {
			return err
		}
	}
	if groupMask == 0 || groupMask >= 1<<reactor.TraceGroups {
		return fmt.Errorf("trace: %q: a mask of groups has bits from 0 to %d: %w", part, reactor.TraceGroups-1,
			syscall.EINVAL)
	}
	mask := ^uint64(0)
	if only {
		if bits.OnesCount64(groupMask) != 1 {
			return fmt.Errorf("trace: %q: tracepoints can be chosen of one group, not of several: %w", part, syscall.EINVAL)
		}
		if mask, err = tr.parseTpoints(bits.TrailingZeros64(groupMask), tpoints); err != nil {
			return err
		}
	}
	for g := range reactor.TraceGroups {
		if groupMask>>g&1 != 0 {
			masks[g] |= mask
		}
	}
	return nil
}

func (tr *Trace) parseTpoints(group int, text string) (mask uint64, err error) {
	if mask, err = parseHex(text); err == nil {
		return mask, nil
	}
	for name := range strings.SplitSeq(text, "+") {
		bit, err := tr.TpointMaskOf(group, name)
		if err != nil {
			return 0, err
		}
		mask |= bit
	}
	return mask, nil
}

// parseHex reads a number as strtoull(text, NULL, 16) does, if that is all there is.
func parseHex(text string) (uint64, error) {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	return strconv.ParseUint(text, 16, 64)
}
