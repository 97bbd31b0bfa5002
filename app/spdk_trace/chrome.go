package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spdk-go/spdk-go/trace"
)

// The Trace Event Format, which Perfetto's UI and chrome://tracing read: an object becomes an asynchronous span from
// the entry that begins it to the last one about it, anything else an instant on the track of its core, and the loads
// that the scheduler looks at become counters.

// event is one of them. Times are in microseconds.
type event struct {
	Name  string         `json:"name"`
	Cat   string         `json:"cat,omitempty"`
	Phase string         `json:"ph"`
	TS    float64        `json:"ts"`
	PID   int            `json:"pid"`
	TID   int            `json:"tid"`
	ID    string         `json:"id,omitempty"`
	Scope string         `json:"s,omitempty"`
	Args  map[string]any `json:"args,omitempty"`
}

// Phases.
const (
	phaseBegin    = "b"
	phaseEnd      = "e"
	phaseBetween  = "n"
	phaseInstant  = "i"
	phaseCounter  = "C"
	phaseMetadata = "M"
)

// chromePID is the process of all events.
const chromePID = 1

// span is the part of an object's life that is in the trace, by places in view.entries.
type span struct{ first, last int }

type spanKey struct {
	typ   uint8
	index uint64
}

// chrome writes the trace for a viewer.
//
// Not in SPDK.
func (v *view) chrome(w *bufio.Writer) {
	fmt.Fprintf(w, "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [")
	n := 0
	put := func(e event) {
		e.PID = chromePID
		element(w, n, e)
		n++
	}
	put(event{Name: "process_name", Phase: phaseMetadata, Args: map[string]any{"name": v.name}})
	named := map[int]bool{}
	for i := range v.entries {
		e := &v.entries[i]
		if named[e.Core] {
			continue
		}
		named[e.Core] = true
		put(event{Name: "thread_name", Phase: phaseMetadata, TID: e.Core,
			Args: map[string]any{"name": fmt.Sprintf("%s (core %d)", e.Thread, e.Core)}})
		put(event{Name: "thread_sort_index", Phase: phaseMetadata, TID: e.Core, Args: map[string]any{"sort_index": e.Core}})
	}
	spans := v.spans()
	for i := range v.entries {
		e := &v.entries[i]
		out := event{
			Name: e.Tpoint.Name, Phase: phaseInstant, Scope: "t", TS: v.micros(e.TSC - v.entries[0].TSC), TID: e.Core,
			Args: chromeArgs(e),
		}
		switch s, ok := spans[spanKey{e.Tpoint.ObjectType, e.Index}]; {
		case e.Known && ok && s.first < s.last:
			v.inSpan(&out, i, s)
		default:
			counter(&out, e)
		}
		put(out)
	}
	w.WriteString("\n]}\n")
}

// spans finds the objects whose beginning is in the trace.
func (v *view) spans() map[spanKey]span {
	spans := map[spanKey]span{}
	for i := range v.entries {
		e := &v.entries[i]
		if !e.Known {
			continue
		}
		k := spanKey{e.Tpoint.ObjectType, e.Index}
		if e.Tpoint.NewObject {
			spans[k] = span{i, i}
		} else if s, ok := spans[k]; ok {
			spans[k] = span{s.first, i}
		}
	}
	return spans
}

// inSpan makes out a part of the span of an object.
func (v *view) inSpan(out *event, i int, s span) {
	e, first := &v.entries[i], &v.entries[s.first]
	out.Scope = ""
	out.ID = v.objectID(e.Tpoint.ObjectType, e.Index)
	out.Cat = first.Owner.Description
	if out.Cat == "" {
		out.Cat = first.Tpoint.Name
	}
	switch i {
	case s.first:
		out.Phase, out.Name = phaseBegin, spanName(first)
	case s.last:
		out.Phase, out.Name = phaseEnd, spanName(first)
	default:
		out.Phase = phaseBetween
	}
}

// spanName is what an object does: the word that its first entry has for it, or the name of that without its end.
func spanName(e *trace.Entry) string {
	for i := range e.Args {
		if a := &e.Args[i]; a.Type == trace.ArgStr && a.Str != "" {
			return a.Str
		} else if w := word(e, a); w != "" {
			return w
		}
	}
	for _, end := range []string{"_START", "_SUBMIT", "_NEW", "_BEGIN"} {
		if name, ok := strings.CutSuffix(e.Tpoint.Name, end); ok {
			return name
		}
	}
	return e.Tpoint.Name
}

// counter makes a counter of an entry that has busy and idle time.
func counter(out *event, e *trace.Entry) {
	if len(e.Args) != 2 || e.Args[0].Name != "busy" || e.Args[1].Name != "idle" {
		return
	}
	busy, idle := float64(e.Args[0].Int), float64(e.Args[1].Int)
	if busy+idle <= 0 {
		return
	}
	out.Phase, out.Scope = phaseCounter, ""
	out.Name = strings.TrimSpace("load of " + e.Owner.Description)
	out.Args = map[string]any{"busy %": 100 * busy / (busy + idle)}
}

func chromeArgs(e *trace.Entry) map[string]any {
	args := map[string]any{}
	if e.Owner.Description != "" {
		args["owner"] = e.Owner.Description
	}
	if e.Size > 0 {
		args["size"] = e.Size
	}
	if e.Object != 0 {
		args["object"] = fmt.Sprintf("%#x", e.Object) // numbers above 2^53 are not exact in a viewer
	}
	for i := range e.Args {
		a := &e.Args[i]
		switch w := word(e, a); {
		case w != "":
			args[a.Name] = w
		case a.Type == trace.ArgStr:
			args[a.Name] = a.Str
		case a.Type == trace.ArgPtr:
			args[a.Name] = fmt.Sprintf("%#x", a.Int)
		default:
			args[a.Name] = int64(a.Int)
		}
	}
	return args
}
