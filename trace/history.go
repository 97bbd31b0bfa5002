package trace

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

// History is the ring of a reactor or of another thread, which alone may record in it.
//
// The owner writes an entry where the oldest one was and then says, in the word next_entry, how many have been written.
// Another process copies a part of the ring and then looks at that word again: what may have been overwritten meanwhile
// it throws away. So nobody waits for anybody.
//
// SPDK: struct spdk_trace_history
type History struct {
	tr        *Trace
	next      uint64 // how many entries have been written
	mask      uint64 // of their places
	entries   []byte
	counts    []byte         // how often each tracepoint was recorded
	published *atomic.Uint64 // next, for others to see
	mem       []byte         // everything

	_ [64]byte // what follows is another core's
}

func newHistory(tr *Trace, mem []byte, entries uint64) *History {
	const entriesAt = historyHeaderSize + maxTpoint*8
	return &History{
		tr: tr, mem: mem, mask: entries - 1,
		counts: mem[historyHeaderSize:entriesAt], entries: mem[entriesAt:], published: sys.Word(mem, historyNextAt),
	}
}

// TraceRecord implements [reactor.Tracer]. Of a tracepoint that has strings for arguments, or more than four, nothing
// is recorded: those are for [Record].
//
// SPDK: spdk_trace_record
func (tr *Trace) TraceRecord(core int, e reactor.TraceEntry) {
	h, d := tr.historyOf(core), tr.descOf(e.Tpoint)
	if h == nil || d == nil || d.strings || int(d.numArgs) > len(e.Args) {
		return
	}
	var args [len(e.Args) * 8]byte
	n := 0
	for i, v := range e.Args[:d.numArgs] {
		binary.LittleEndian.PutUint64(args[n:], v) // the next one overwrites what is too much
		n += int(d.size[i])
	}
	if n < len(args) {
		clear(args[n:])
	}
	h.put(tr.ticks(), e.Tpoint, e.Owner, e.Size, e.Object, args[:max(n, inlineArgs)])
}

func (tr *Trace) historyOf(core int) *History {
	if uint(core) >= uint(len(tr.histories)) {
		return nil
	}
	return tr.histories[core]
}

// descOf returns what there is to know of a tracepoint, nil if there is none.
func (tr *Trace) descOf(tp reactor.Tpoint) *desc {
	if tp >= maxTpoint || !tr.descs[tp].defined {
		return nil
	}
	return &tr.descs[tp]
}

// Arg is an argument of a tracepoint, see [Int], [Ptr] and [Str].
//
// SPDK: the variable arguments of spdk_trace_record
type Arg struct {
	n uint64
	s string
}

// Int is a number, signed or not, of which the four or eight bytes that the description wants are recorded.
//
// SPDK: SPDK_TRACE_ARG_TYPE_INT
func Int[T ~int | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr](v T) Arg {
	return Arg{n: uint64(v)}
}

// Ptr is a number that is shown in hexadecimal.
//
// SPDK: SPDK_TRACE_ARG_TYPE_PTR
func Ptr(v uint64) Arg { return Arg{n: v} }

// Str is a string, which is cut to what the description has room for, less one byte.
//
// SPDK: SPDK_TRACE_ARG_TYPE_STR
func Str(s string) Arg { return Arg{s: s} }

// Record records an entry of a tracepoint, if it is on, in the ring of t's reactor. size and object are 0 where they
// mean nothing, and owner is 0 for none. Arguments are in the order of the description; those that are missing are 0.
// There is no allocation and no lock, and about as much to do as for reading the clock. On t only; of a thread that is
// polled by hand nothing is recorded.
//
// SPDK: spdk_trace_record
func Record(t *reactor.Thread, tp reactor.Tpoint, owner uint16, size uint32, object uint64, args ...Arg) {
	if !t.Traced(tp) {
		return
	}
	tr, ok := t.Framework().Tracer().(*Trace)
	if r := t.Reactor(); ok && r != nil {
		if h := tr.historyOf(r.Core()); h != nil {
			h.record(tr.ticks(), tp, owner, size, object, args)
		}
	}
}

// Record is the same in a ring that [Trace.RegisterUserThread] returned.
//
// SPDK: spdk_trace_record
func (h *History) Record(tp reactor.Tpoint, owner uint16, size uint32, object uint64, args ...Arg) {
	if tp < maxTpoint && h.tr.masks.Enabled(tp) {
		h.record(h.tr.ticks(), tp, owner, size, object, args)
	}
}

// RecordTSC is [History.Record] of something that was at another time, in ticks. Readers put entries in the order of
// their times.
//
// SPDK: spdk_trace_record_tsc
func (h *History) RecordTSC(tsc uint64, tp reactor.Tpoint, owner uint16, size uint32, object uint64, args ...Arg) {
	if tp < maxTpoint && h.tr.masks.Enabled(tp) {
		h.record(tsc, tp, owner, size, object, args)
	}
}

func (h *History) record(tsc uint64, tp reactor.Tpoint, owner uint16, size uint32, object uint64, args []Arg) {
	d := h.tr.descOf(tp)
	if d == nil {
		return
	}
	var buf [MaxArgsSize + 8]byte
	n := 0
	for i := range min(int(d.numArgs), maxArgs) {
		var a Arg
		if i < len(args) {
			a = args[i]
		}
		size := int(d.size[i])
		if a.s != "" {
			copy(buf[n:n+size-1], a.s)
		} else {
			binary.LittleEndian.PutUint64(buf[n:], a.n)
			clear(buf[min(n+size, n+8) : n+8])
		}
		n += size
	}
	h.put(tsc, tp, owner, size, object, buf[:max(n, inlineArgs)])
}

// put writes an entry, and those that continue it. args has at least inlineArgs bytes.
func (h *History) put(tsc uint64, tp reactor.Tpoint, owner uint16, size uint32, object uint64, args []byte) {
	// Whoever sees any of what follows has to see, too, that the entries before it were published: he knows by them
	// which ones may be gone.
	sys.StoreBarrier()
	count := h.counts[int(tp)*8:]
	binary.LittleEndian.PutUint64(count, binary.LittleEndian.Uint64(count)+1)
	e := h.place(h.next)
	binary.LittleEndian.PutUint64(e[0:], tsc)
	binary.LittleEndian.PutUint64(e[8:], uint64(tp)|uint64(owner)<<16|uint64(size)<<32)
	binary.LittleEndian.PutUint64(e[16:], object)
	binary.LittleEndian.PutUint64(e[entryArgs:], binary.LittleEndian.Uint64(args))
	n := uint64(1)
	for rest := args[inlineArgs:]; len(rest) > 0; n++ {
		e := h.place(h.next + n)
		binary.LittleEndian.PutUint64(e[0:], tsc)
		binary.LittleEndian.PutUint16(e[8:], continuation)
		rest = rest[copy(e[bufferArgs:], rest):]
	}
	h.next += n
	h.published.Store(h.next)
}

func (h *History) place(n uint64) []byte {
	at := (n & h.mask) * entrySize
	return h.entries[at : at+entrySize : at+entrySize]
}

// RegisterUserThread returns a ring, one of [Options].NumThreads, for a goroutine that is no reactor, or for several
// that take care not to record at the same time. name, of which 15 bytes count, is shown with its entries.
//
// Errors wrap ENOENT: all are taken.
//
// SPDK: spdk_trace_register_user_thread, where it is the calling thread
func (tr *Trace) RegisterUserThread(name string) (*History, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i, used := range tr.inUse {
		if used || tr.closed {
			continue
		}
		tr.inUse[i] = true
		h := tr.histories[tr.userFrom+i]
		text := h.mem[historyNameAt : historyNameAt+historyNameSize]
		clear(text)
		copy(text[:len(text)-1], name)
		return h, nil
	}
	return nil, fmt.Errorf("trace: there is no ring for thread %q: %w", name, syscall.ENOENT)
}

// UnregisterUserThread gives the ring back, which keeps what was recorded. Nobody may record in it any more.
//
// SPDK: spdk_trace_unregister_user_thread
func (tr *Trace) UnregisterUserThread(h *History) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := range tr.inUse {
		if !tr.closed && tr.histories[tr.userFrom+i] == h {
			tr.inUse[i] = false
		}
	}
}
