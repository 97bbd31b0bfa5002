package app

import (
	"errors"
	"fmt"
	"math/bits"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/trace"
)

type tpointMaskParams struct {
	Name string `json:"name" doc:"a group, see trace_get_tpoint_group_mask"`
	Mask uint64 `json:"tpoint_mask" doc:"a bit for each of its tracepoints"`
}

type tpointGroupParams struct {
	Name string `json:"name" doc:"a group, see trace_get_tpoint_group_mask, or all"`
}

type tpointInfo struct {
	Name    string `json:"name"`
	ID      uint32 `json:"tpoint_id"`
	Enabled bool   `json:"enabled"`
}

type tpointGroupInfo struct {
	Enabled    bool         `json:"enabled"`
	Mask       string       `json:"mask"`
	TpointMask string       `json:"tpoint_mask"`
	Tpoints    []tpointInfo `json:"tpoints"`
}

// tpointGroupMasks are what trace_get_info has of a group.
type tpointGroupMasks struct {
	Mask       string `json:"mask"`
	TpointMask string `json:"tpoint_mask"`
}

// changeTrace makes a handler of what turns tracepoints on or off. The first time takes a moment, so a goroutine does
// it.
func changeTrace[P any](change func(tr *trace.Trace, p *P) error) func(*reactor.Thread, *rpc.Request[P, bool]) {
	return func(t *reactor.Thread, req *rpc.Request[P, bool]) {
		tr, err := Of(t).needTrace()
		if err != nil {
			req.FailErr(err)
			return
		}
		Answer(t, req, func(*App) (bool, error) {
			err := change(tr, &req.Params)
			if errors.Is(err, syscall.EINVAL) {
				err = &rpc.Error{Code: rpc.InvalidParams, Message: err.Error()}
			}
			return err == nil, err
		})
	}
}

// setTpoints makes a change of some tracepoints of the group that is named.
func setTpoints(set func(tr *trace.Trace, group int, mask uint64) error) func(*trace.Trace, *tpointMaskParams) error {
	return func(tr *trace.Trace, p *tpointMaskParams) error {
		mask, err := trace.GroupMask(p.Name)
		if err != nil {
			return err
		}
		// As in SPDK, of all groups the last one is meant.
		return set(tr, bits.Len64(mask)-1, p.Mask)
	}
}

// readTrace makes a handler of what tells about the trace.
func readTrace[R any](read func(tr *trace.Trace) R) func(*reactor.Thread, *rpc.Request[rpc.None, R]) {
	return func(t *reactor.Thread, req *rpc.Request[rpc.None, R]) {
		tr, err := Of(t).needTrace()
		if err != nil {
			req.FailErr(err)
			return
		}
		req.Reply(read(tr))
	}
}

func hexMask(mask uint64) string { return fmt.Sprintf("%#x", mask) }

func tpointGroups(tr *trace.Trace) map[string]any {
	info := map[string]any{"tpoint_group_mask": hexMask(tr.TpointGroupMask())}
	for _, g := range trace.Groups() {
		mask := tr.TpointMask(int(g.ID))
		of := tpointGroupInfo{mask != 0, hexMask(1 << g.ID), hexMask(mask), []tpointInfo{}}
		for _, tp := range tr.Tpoints(int(g.ID)) {
			n := uint32(tp.Tpoint & 63)
			of.Tpoints = append(of.Tpoints, tpointInfo{tp.Name, n, mask>>n&1 != 0})
		}
		info[g.Name] = of
	}
	return info
}

func traceInfo(tr *trace.Trace) map[string]any {
	info := map[string]any{"tpoint_shm_path": tr.Path(), "tpoint_group_mask": hexMask(tr.TpointGroupMask())}
	for _, g := range trace.Groups() {
		info[g.Name] = tpointGroupMasks{hexMask(1 << g.ID), hexMask(tr.TpointMask(int(g.ID)))}
	}
	return info
}

func init() {
	both := rpc.Startup | rpc.Runtime
	rpc.Register(rpc.Method{Name: "trace_set_tpoint_mask", States: both, Doc: "Turn tracepoints of a group on."},
		changeTrace(setTpoints((*trace.Trace).SetTpoints)))
	rpc.Register(rpc.Method{Name: "trace_clear_tpoint_mask", States: both, Doc: "Turn tracepoints of a group off."},
		changeTrace(setTpoints((*trace.Trace).ClearTpoints)))
	rpc.Register(rpc.Method{Name: "trace_enable_tpoint_group", States: both,
		Doc: "Turn all tracepoints of a group on. spdk_trace shows what is recorded from now on."},
		changeTrace(func(tr *trace.Trace, p *tpointGroupParams) error { return tr.EnableTpointGroup(p.Name) }))
	rpc.Register(rpc.Method{Name: "trace_disable_tpoint_group", States: both,
		Doc: "Turn all tracepoints of a group off."},
		changeTrace(func(tr *trace.Trace, p *tpointGroupParams) error { return tr.DisableTpointGroup(p.Name) }))
	rpc.Register(rpc.Method{Name: "trace_get_tpoint_group_mask", States: both,
		Doc: "Tell which tracepoints there are and which are on: tpoint_group_mask is a bit for each group that has one " +
			"that is on; for each group there is, under its name, an object with enabled, mask (its bit there), " +
			"tpoint_mask and tpoints, an array of objects with name, tpoint_id and enabled."},
		readTrace(tpointGroups))
	rpc.Register(rpc.Method{Name: "trace_clear", States: rpc.Runtime,
		Doc: "Have spdk_trace show nothing of what has been recorded up to now."},
		readTrace(func(tr *trace.Trace) bool {
			tr.Clear()
			return true
		}))
	rpc.Register(rpc.Method{Name: "trace_get_info", States: both,
		Doc: "Tell where the trace is: tpoint_shm_path is the file, and tpoint_group_mask a bit for each group that has a " +
			"tracepoint that is on; for each group there is, under its name, an object with mask and tpoint_mask."},
		readTrace(traceInfo))
}
