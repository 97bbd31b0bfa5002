package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

// view is a trace to be written in one form or another.
type view struct {
	f        *trace.File
	name     string // of the application
	entries  []trace.Entry
	cores    []int // those that are asked for, all if there are none
	printTSC bool
	delta    bool
}

// micros converts ticks.
func (v *view) micros(ticks uint64) float64 { return float64(ticks) * 1e6 / float64(v.f.TSCRate()) }

// objectID names an object, as in i12.
func (v *view) objectID(typ uint8, index uint64) string {
	prefix := v.f.ObjectPrefix(typ)
	if prefix < ' ' || prefix > '~' {
		prefix = '?'
	}
	return fmt.Sprintf("%c%d", prefix, index)
}

// word returns what a number of a tracepoint means, "" if nothing is known of it.
func word(e *trace.Entry, a *trace.Value) string {
	if e.Tpoint.Tpoint>>6 != reactor.TraceGroupFsdev || !strings.HasPrefix(e.Tpoint.Name, "FSDEV_IO_") {
		return ""
	}
	switch a.Name {
	case "op":
		return fsdev.IOType(min(a.Int, 255)).String()
	case "errno":
		return unix.ErrnoName(syscall.Errno(a.Int))
	}
	return ""
}

// text writes lines as SPDK's spdk_trace does.
//
// SPDK: trace_print, print_event
func (v *view) text(w *bufio.Writer) {
	fmt.Fprintf(w, "TSC Rate: %d\n", v.f.TSCRate())
	for _, core := range v.f.Cores() {
		if len(v.cores) == 0 || slices.Contains(v.cores, core) {
			fmt.Fprintf(w, "Trace Size of lcore (%d): %d\n", core, v.f.EntryCount(core))
		}
	}
	if len(v.entries) == 0 {
		return
	}
	since := v.entries[0].TSC
	for i := range v.entries {
		v.line(w, &v.entries[i], since)
		if v.delta {
			since = v.entries[i].TSC
		}
	}
}

func (v *view) line(w *bufio.Writer, e *trace.Entry, since uint64) {
	var b []byte
	b = fmt.Appendf(b, "%-16s %2d: %10.3f ", e.Thread, e.Core, v.micros(e.TSC-since))
	if v.printTSC {
		b = fmt.Appendf(b, "(%9d) ", e.TSC-since)
	}
	b = fmt.Appendf(b, "%-64s %-24s ", e.Owner.Description, e.Tpoint.Name)
	if e.Size > 0 {
		b = fmt.Appendf(b, "size: %6d ", e.Size)
	} else {
		b = fmt.Appendf(b, "%13s", " ")
	}
	switch {
	case e.Tpoint.ObjectType == 0 && !e.Tpoint.NewObject:
		if e.Object != 0 {
			b = appendPtr(b, "object", e.Object)
		}
	case !e.Known:
		b = fmt.Appendf(b, "id:    %-17s", "N/A")
	default:
		id := v.objectID(e.Tpoint.ObjectType, e.Index)
		if e.RelatedType != 0 {
			id += " (" + v.objectID(e.RelatedType, e.Related) + ")"
		}
		b = fmt.Appendf(b, "id:    %-17s", id)
		if !e.Tpoint.NewObject {
			b = fmt.Appendf(b, "%-7s%-16.3f ", "time: ", v.micros(e.TSC-e.Start))
		}
	}
	for i := range e.Args {
		if a := &e.Args[i]; !a.IsRelated {
			b = appendArg(b, e, a)
		}
	}
	if e.Cut {
		b = append(b, "(cut)"...)
	}
	b = append(b, '\n')
	w.Write(b)
}

func appendArg(b []byte, e *trace.Entry, a *trace.Value) []byte {
	meaning := word(e, a)
	switch {
	case meaning != "":
		return fmt.Appendf(b, "%-7.7s%-16s ", a.Name+": ", meaning)
	case a.Type == trace.ArgPtr:
		return appendPtr(b, a.Name, a.Int)
	case a.Type == trace.ArgStr:
		return fmt.Appendf(b, "%-7.7s%-16.16s ", a.Name+": ", a.Str)
	}
	return fmt.Appendf(b, "%-7.7s%-16d ", a.Name+": ", int64(a.Int))
}

func appendPtr(b []byte, name string, n uint64) []byte {
	return fmt.Appendf(b, "%-7.7s0x%-14x ", name+": ", n)
}

// The JSON of SPDK's spdk_trace.
type (
	jsonArg struct {
		Name string `json:"name"`
		Type uint8  `json:"type"`
		Size uint8  `json:"size"`
	}
	jsonTpoint struct {
		Name      string    `json:"name"`
		ID        uint16    `json:"id"`
		NewObject bool      `json:"new_object"`
		Args      []jsonArg `json:"args"`
	}
	jsonObject struct {
		ID    string  `json:"id,omitempty"`
		Time  *uint64 `json:"time,omitempty"`
		Value uint64  `json:"value"`
	}
	jsonEntry struct {
		Core    int         `json:"lcore"`
		Tpoint  uint16      `json:"tpoint"`
		TSC     uint64      `json:"tsc"`
		Poller  string      `json:"poller,omitempty"`
		Owner   string      `json:"owner,omitempty"`
		Size    uint32      `json:"size,omitempty"`
		Object  *jsonObject `json:"object,omitempty"`
		Related string      `json:"related,omitempty"`
		Args    []any       `json:"args,omitempty"`
	}
)

// json writes what SPDK's spdk_trace -j does.
//
// SPDK: trace_print_json, print_tpoint_definitions, print_event_json
func (v *view) json(w *bufio.Writer) {
	fmt.Fprintf(w, "{\n\"tsc_rate\": %d,\n\"tpoints\": [", v.f.TSCRate())
	for i, tp := range v.f.Tpoints() {
		of := jsonTpoint{tp.Name, uint16(tp.Tpoint), tp.NewObject, []jsonArg{}}
		for _, a := range tp.Args {
			of.Args = append(of.Args, jsonArg{a.Name, uint8(a.Type), a.Size})
		}
		element(w, i, of)
	}
	w.WriteString("\n],\n\"owners\": {")
	for i, o := range v.f.Owners() {
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(w, "\n\"%d\": %s", o.ID, marshal(o.Description))
	}
	w.WriteString("\n},\n\"entries\": [")
	for i := range v.entries {
		element(w, i, v.jsonEntry(&v.entries[i]))
	}
	w.WriteString("\n]\n}\n")
}

func (v *view) jsonEntry(e *trace.Entry) jsonEntry {
	j := jsonEntry{
		Core: e.Core, Tpoint: uint16(e.Tpoint.Tpoint), TSC: e.TSC, Owner: e.Owner.Description, Size: e.Size,
	}
	if p := v.f.OwnerPrefix(e.Tpoint.OwnerType); p >= ' ' && p <= '~' {
		j.Poller = fmt.Sprintf("%c%02d", p, e.Owner.ID)
	}
	if e.Tpoint.NewObject || e.Tpoint.ObjectType != 0 || e.Object != 0 {
		j.Object = &jsonObject{Value: e.Object}
		if e.Known {
			j.Object.ID = v.objectID(e.Tpoint.ObjectType, e.Index)
			if !e.Tpoint.NewObject {
				j.Object.Time = new(e.TSC - e.Start)
			}
		}
	}
	if e.RelatedType != 0 {
		j.Related = v.objectID(e.RelatedType, e.Related)
	}
	for i := range e.Args {
		if a := &e.Args[i]; a.Type == trace.ArgStr {
			j.Args = append(j.Args, a.Str)
		} else {
			j.Args = append(j.Args, a.Int)
		}
	}
	return j
}

// element writes element i of an array, on a line of its own.
func element(w *bufio.Writer, i int, of any) {
	if i > 0 {
		w.WriteByte(',')
	}
	w.WriteByte('\n')
	w.Write(marshal(of))
}

func marshal(of any) []byte {
	text, err := json.Marshal(of)
	if err != nil {
		return []byte(strconv.Quote(err.Error())) // there are only strings and numbers
	}
	return text
}
