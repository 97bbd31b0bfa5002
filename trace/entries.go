package trace

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/spdk-go/spdk-go/reactor"
)

// Entry is what was recorded at a tracepoint, as a reader sees it.
//
// SPDK: struct spdk_trace_parser_entry
type Entry struct {
	Core   int    // whose ring it was in
	Thread string // the name of that
	TSC    uint64
	Tpoint *TpointOpts
	Owner  Owner // with ID 0 for none; without a description if it is somebody else's now
	Size   uint32
	// Object is the number of what it is about, which may have been that of another object before.
	Object uint64
	// Index counts the objects of Tpoint.ObjectType, and Start is when this one began; both only if Known.
	Index, Start uint64
	Known        bool
	// Related is the index of another object that an argument is about, and RelatedType is its type, or 0.
	Related     uint64
	RelatedType uint8
	Args        []Value
	Cut         bool // there should be more arguments
}

// Value is an argument of an entry.
//
// SPDK: spdk_trace_parser_entry.args
type Value struct {
	Argument
	Int       uint64 // of [ArgInt] and [ArgPtr]; four bytes have been extended without a sign
	Str       string // of [ArgStr]
	IsRelated bool   // Entry.Related says what it is about
}

// raw is what a ring had.
type raw struct {
	history
	core    int
	entries [][entrySize]byte
	full    bool   // older entries are gone
	missed  uint64 // of those that were asked for
	end     uint64 // what to ask for next
}

// readRing reads what is in a ring from entry number from on.
func (f *File) readRing(core int, from uint64) (r raw, err error) {
	at := f.ringAt(core)
	if at == 0 {
		return raw{core: core}, nil
	}
	h, err := f.readHistory(at)
	if err != nil {
		return r, err
	}
	r = raw{history: h, core: core}
	data := at + historyHeaderSize + h.tpoints*8
	if h.entries > maxEntries || data < at {
		return r, corrupt("the ring of core %d has changed its size", core)
	}
	if !h.isRing() {
		r.end = h.entries
		r.entries, err = f.readEntries(data, 0, h.entries)
		return r, err
	}
	first := max(from, h.next-min(h.next, h.entries))
	if first > h.next {
		return r, corrupt("the ring of core %d goes back from %d to %d", core, from, h.next)
	}
	lo, n := first&(h.entries-1), h.next-first
	if r.entries, err = f.readEntries(data, lo, min(n, h.entries-lo)); err != nil {
		return r, err
	}
	if n > h.entries-lo {
		more, err := f.readEntries(data, 0, n-(h.entries-lo))
		if err != nil {
			return r, err
		}
		r.entries = append(r.entries, more...)
	}
	// What may have been overwritten while it was read is gone; and, if the process died then, what was overwritten in
	// the end by a record that never became one.
	after, err := f.readHistory(at)
	if err != nil {
		return r, err
	}
	oldest := uint64(0)
	if used := after.next + f.slack; used > h.entries {
		oldest = used - h.entries
	}
	lost := min(uint64(len(r.entries)), oldest-min(oldest, first))
	r.entries = r.entries[lost:]
	r.full = oldest > 0
	r.missed = first + lost - min(from, first+lost)
	r.end = h.next
	return r, nil
}

func (f *File) readEntries(data, first, n uint64) ([][entrySize]byte, error) {
	b, err := f.read(data+first*entrySize, n*entrySize)
	if err != nil {
		return nil, err
	}
	list := make([][entrySize]byte, n)
	for i := range list {
		list[i] = [entrySize]byte(b[i*entrySize:])
	}
	return list, nil
}

// Entries returns what the rings have, in the order of time. From where on some of the rings had to overwrite older
// entries, others may have more: if complete is true, those are left out, so that what is there is all that was
// recorded from then on. What was recorded before the last [Trace.Clear] is left out too. If core is not negative, only
// the ring of that core is looked at.
//
// It can be called again, for a process that goes on.
//
// SPDK: spdk_trace_parser_next_entry
func (f *File) Entries(core int, complete bool) ([]Entry, error) {
	var rings []raw
	for _, c := range f.Cores() {
		if core >= 0 && c != core {
			continue
		}
		r, err := f.readRing(c, 0)
		if err != nil {
			return nil, err
		}
		rings = append(rings, r)
	}
	// Now, for an owner is registered before it has entries.
	if err := f.Reload(); err != nil {
		return nil, err
	}
	clearAt, begin := f.ClearTSC(), uint64(0)
	var list []Entry
	for i := range rings {
		entries := f.decode(&rings[i])
		if complete && rings[i].full && len(entries) > 0 {
			first := slices.MinFunc(entries, func(a, b Entry) int { return cmp.Compare(a.TSC, b.TSC) })
			begin = max(begin, first.TSC)
		}
		list = append(list, entries...)
	}
	list = slices.DeleteFunc(list, func(e Entry) bool { return e.TSC < clearAt })
	slices.SortStableFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.TSC, b.TSC), cmp.Compare(a.Core, b.Core))
	})
	f.relate(list)
	i, _ := slices.BinarySearchFunc(list, begin, func(e Entry, t uint64) int { return cmp.Compare(e.TSC, t) })
	return list[i:], nil
}

// decode makes entries of what a ring had. Continuations whose beginning is gone are left out, and so is what no
// tracepoint has recorded.
func (f *File) decode(r *raw) []Entry {
	known := map[uint16]*TpointOpts{}
	var list []Entry
	for i := 0; i < len(r.entries); i++ {
		b := r.entries[i][:]
		tsc, id := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
		if tsc == 0 || id == continuation {
			continue
		}
		tp, ok := known[id]
		if !ok {
			o := f.tpointAt(int(id))
			tp = &o
			known[id] = tp
		}
		if tp.Tpoint == 0 {
			continue
		}
		e := Entry{
			Core: r.core, Thread: r.name, TSC: tsc, Tpoint: tp, Size: binary.LittleEndian.Uint32(b[12:]),
			Object: binary.LittleEndian.Uint64(b[16:]),
		}
		if id := binary.LittleEndian.Uint16(b[10:]); id != 0 {
			e.Owner.ID = id
			if o, ok := f.Owner(id); ok && o.Since < tsc {
				e.Owner = o
			}
		}
		args := slices.Clone(b[entryArgs:])
		for i+1 < len(r.entries) && isContinuation(r.entries[i+1][:], tsc) {
			i++
			args = append(args, r.entries[i][bufferArgs:]...)
		}
		e.decodeArgs(args)
		list = append(list, e)
	}
	return list
}

func isContinuation(b []byte, tsc uint64) bool {
	return binary.LittleEndian.Uint64(b) == tsc && binary.LittleEndian.Uint16(b[8:]) == continuation
}

func (e *Entry) decodeArgs(b []byte) {
	for _, a := range e.Tpoint.Args {
		if int(a.Size) > len(b) {
			e.Cut = true
			return
		}
		v := Value{Argument: a}
		if a.Type == ArgStr {
			v.Str = text(b[:a.Size])
		} else {
			var n [8]byte
			copy(n[:], b[:a.Size])
			v.Int = binary.LittleEndian.Uint64(n[:])
		}
		b = b[a.Size:]
		e.Args = append(e.Args, v)
	}
}

// object is one that an entry has begun.
type object struct{ index, start uint64 }

// relate finds out which objects entries are about.
func (f *File) relate(list []Entry) {
	type key struct {
		typ uint8
		id  uint64
	}
	objects := map[key]object{}
	counts := map[uint8]uint64{}
	relations := map[reactor.Tpoint][]Relation{}
	for i := range list {
		e := &list[i]
		tp := e.Tpoint
		k := key{tp.ObjectType, e.Object}
		if tp.NewObject {
			objects[k] = object{counts[tp.ObjectType], e.TSC}
			counts[tp.ObjectType]++
		}
		if o, ok := objects[k]; ok && tp.ObjectType != 0 {
			e.Index, e.Start, e.Known = o.index, o.start, true
		}
		rels, ok := relations[tp.Tpoint]
		if !ok {
			rels = f.relations(int(tp.Tpoint))
			relations[tp.Tpoint] = rels
		}
		for _, rel := range rels {
			if int(rel.Arg) >= len(e.Args) {
				continue
			}
			if o, ok := objects[key{rel.ObjectType, e.Args[rel.Arg].Int}]; ok {
				e.Related, e.RelatedType = o.index, rel.ObjectType
				e.Args[rel.Arg].IsRelated = true
				break
			}
		}
	}
}
