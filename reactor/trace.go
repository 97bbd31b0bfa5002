package reactor

import "sync/atomic"

// TraceGroups is how many groups of tracepoints there can be, of 64 tracepoints each.
//
// SPDK: SPDK_TRACE_MAX_GROUP_ID
const TraceGroups = 20

// Tpoint is the number of a tracepoint: 64 times that of its group, plus its place there.
//
// SPDK: SPDK_TPOINT_ID
type Tpoint uint16

// TraceMasks say which tracepoints are on: a word for each group, a bit for each tracepoint. Any goroutine may read and
// change them at any time.
//
// SPDK: struct spdk_trace_section_tpoint_mask
type TraceMasks [TraceGroups]atomic.Uint64

// Enabled reports whether a tracepoint, which must be below 64*TraceGroups, is on. It costs a load and a branch.
//
// SPDK: spdk_trace_tpoint_enabled
func (m *TraceMasks) Enabled(tp Tpoint) bool { return m[tp>>6].Load()>>(tp&63)&1 != 0 }

// TraceEntry is what is recorded when execution comes to a tracepoint. How many of Args count, and how wide they are,
// is said by the tracepoint's description.
//
// SPDK: struct spdk_trace_entry
type TraceEntry struct {
	Tpoint Tpoint
	Owner  uint16 // of [Tracer.RegisterOwner], 0 for none
	Size   uint32 // for instance bytes
	Object uint64 // what it is about, in a number
	Args   [4]uint64
}

// Tracer takes what is recorded at tracepoints; [Options.Tracer] is the one of a framework. Package trace has it: this
// interface is there so that the packages below it can record, and none of them has to know how.
//
// Not in SPDK, where it is the process.
type Tracer interface {
	// TraceMasks returns the masks, which are always the same.
	TraceMasks() *TraceMasks
	// TraceRecord records e in the ring of a core, without allocation or lock. On that core's reactor only.
	TraceRecord(core int, e TraceEntry)
	// RegisterOwner makes a number for an owner of entries, 0 if there are too many. Any goroutine.
	RegisterOwner(typ uint8, description string) uint16
	// UnregisterOwner gives the number back. Any goroutine.
	UnregisterOwner(owner uint16)
}

// noTracer is that of a framework without one.
type noTracer struct{ masks TraceMasks }

func (n *noTracer) TraceMasks() *TraceMasks          { return &n.masks }
func (*noTracer) TraceRecord(int, TraceEntry)        {}
func (*noTracer) RegisterOwner(uint8, string) uint16 { return 0 }
func (*noTracer) UnregisterOwner(uint16)             {}

func (r *Reactor) traced(tp Tpoint) bool    { return r.fw.traceMasks.Enabled(tp) }
func (r *Reactor) traceRecord(e TraceEntry) { r.fw.tracer.TraceRecord(r.core, e) }

// Tracer returns what records at the framework's tracepoints: that of [Options], or one that does nothing. Any
// goroutine.
//
// Not in SPDK, where it is the process.
func (f *Framework) Tracer() Tracer { return f.tracer }

// Traced reports whether a tracepoint is on, so that there is something to record. It costs a load and a branch. Any
// goroutine.
//
// SPDK: spdk_trace_tpoint_enabled
func (t *Thread) Traced(tp Tpoint) bool { return t.traceMasks.Enabled(tp) }

// TraceRecord records e, whose tracepoint was asked for with [Thread.Traced] before. Of a thread that is polled by hand
// nothing is recorded. On t only.
//
// SPDK: spdk_trace_record
func (t *Thread) TraceRecord(e TraceEntry) {
	if r := t.reactor.Load(); r != nil {
		r.traceRecord(e)
	}
}

// TraceID returns the number that stands for t in traces, 0 if there is none.
//
// SPDK: spdk_thread_get_trace_id
func (t *Thread) TraceID() uint16 { return t.traceID }
