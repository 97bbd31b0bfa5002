package reactortest

import "github.com/spdk-go/spdk-go/reactor"

// Tracer keeps what is recorded at tracepoints that Masks has on. It is for reactors that are polled by hand.
type Tracer struct {
	Masks   reactor.TraceMasks
	Entries []TracedEntry
	Owners  map[uint16]string // those that are registered
	last    uint16
}

// TracedEntry is an entry, and who recorded it.
type TracedEntry struct {
	Core  int
	Owner string
	reactor.TraceEntry
}

// Enable turns tracepoints on.
func (tr *Tracer) Enable(tpoints ...reactor.Tpoint) {
	for _, tp := range tpoints {
		tr.Masks[tp>>6].Or(1 << (tp & 63))
	}
}

// TraceMasks implements [reactor.Tracer].
func (tr *Tracer) TraceMasks() *reactor.TraceMasks { return &tr.Masks }

// TraceRecord implements [reactor.Tracer].
func (tr *Tracer) TraceRecord(core int, e reactor.TraceEntry) {
	tr.Entries = append(tr.Entries, TracedEntry{core, tr.Owners[e.Owner], e})
}

// RegisterOwner implements [reactor.Tracer].
func (tr *Tracer) RegisterOwner(_ uint8, description string) uint16 {
	if tr.Owners == nil {
		tr.Owners = map[uint16]string{}
	}
	tr.last++
	tr.Owners[tr.last] = description
	return tr.last
}

// UnregisterOwner implements [reactor.Tracer].
func (tr *Tracer) UnregisterOwner(owner uint16) { delete(tr.Owners, owner) }
