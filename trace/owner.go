package trace

import (
	"math"
	"slices"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// RegisterOwner returns a number for an owner of entries, 0 if all are taken, and has readers show the description, of
// which 118 bytes count, with its entries. It implements [reactor.Tracer].
//
// SPDK: spdk_trace_register_owner
func (tr *Trace) RegisterOwner(typ uint8, description string) uint16 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.closed || len(tr.freeIDs) == 0 {
		return 0
	}
	id := tr.freeIDs[0]
	tr.freeIDs = slices.Delete(tr.freeIDs, 0, 1)
	at := tr.owner(id)
	since := sys.Word(tr.mem, at)
	since.Store(math.MaxUint64) // it has entries of no time while it is being written
	sys.StoreBarrier()
	tr.mem[at+8] = typ
	tr.describeOwner(id, description)
	since.Store(tr.ticks())
	return id
}

// UnregisterOwner gives an owner's number back; 0 is ignored. The description stays until another owner gets the
// number. It implements [reactor.Tracer].
//
// SPDK: spdk_trace_unregister_owner
func (tr *Trace) UnregisterOwner(owner uint16) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if owner != 0 && !tr.closed {
		tr.freeIDs = append(tr.freeIDs, owner)
	}
}

// SetOwnerDescription changes the description of an owner; 0 is ignored.
//
// SPDK: spdk_trace_owner_set_description
func (tr *Trace) SetOwnerDescription(owner uint16, description string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if owner > 0 && owner < numOwners && !tr.closed {
		tr.describeOwner(owner, description)
	}
}

// AppendOwnerDescription adds a blank and more to the description of an owner; 0 is ignored.
//
// SPDK: spdk_trace_owner_append_description
func (tr *Trace) AppendOwnerDescription(owner uint16, more string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if owner > 0 && owner < numOwners && !tr.closed {
		at := tr.owner(owner) + ownerHeadSize
		tr.describeOwner(owner, text(tr.mem[at:at+ownerDescriptionSize])+" "+more)
	}
}

// owner returns where an owner is in the file.
func (tr *Trace) owner(id uint16) int {
	return tr.sections[sectionOwner] + sectionHeaderSize + int(id)*ownerSize
}

func (tr *Trace) describeOwner(id uint16, description string) {
	at := tr.owner(id) + ownerHeadSize
	place := tr.mem[at : at+ownerDescriptionSize]
	clear(place[copy(place[:ownerDescriptionSize-1], description):])
}
