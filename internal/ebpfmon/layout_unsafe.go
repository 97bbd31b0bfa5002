package ebpfmon

import "unsafe"

// Where fields are, for the programs.
const (
	sizeIndexEntry = int(unsafe.Sizeof(indexEntry{}))
	sizeConnEntry  = int(unsafe.Sizeof(connEntry{}))
	sizeReactor    = int(unsafe.Sizeof(reactorSlot{}))
	sizeTaker      = int(unsafe.Sizeof(taker{}))
	sizeCPU        = int(unsafe.Sizeof(cpuEntry{}))
	sizeShared     = int(unsafe.Sizeof(shared{}))
	sizeOp         = int(unsafe.Sizeof(opRecord{}))
	sizeTable      = int(unsafe.Sizeof(table{}))
	sizeStamp      = int(unsafe.Sizeof(stamp{}))
	sizeSent       = int(unsafe.Sizeof(sent{}))
	sizeFuse       = int(unsafe.Sizeof(fuseShared{}))
	offTables      = sizeFuse

	offIndex    = int(unsafe.Offsetof(shared{}.index))
	offConns    = int(unsafe.Offsetof(shared{}.conns))
	offReactors = int(unsafe.Offsetof(shared{}.reactors))

	offIndexSlot = int16(unsafe.Offsetof(indexEntry{}.slot))
	offConnMount = int16(unsafe.Offsetof(connEntry{}.mount))

	offTID       = int16(unsafe.Offsetof(reactorSlot{}.tid))
	offState     = int16(unsafe.Offsetof(reactorSlot{}.state))
	offCPU       = int16(unsafe.Offsetof(reactorSlot{}.cpu))
	offSince     = int16(unsafe.Offsetof(reactorSlot{}.since))
	offOther     = int16(unsafe.Offsetof(reactorSlot{}.other))
	offPreempted = int(unsafe.Offsetof(reactorSlot{}.preempted))
	offVoluntary = int(unsafe.Offsetof(reactorSlot{}.voluntary))
	offRunqueue  = int(unsafe.Offsetof(reactorSlot{}.runqueue))
	offTakers    = int(unsafe.Offsetof(reactorSlot{}.takers))

	offTakerComm  = int16(unsafe.Offsetof(taker{}.comm))
	offTakerNS    = int16(unsafe.Offsetof(taker{}.ns))
	offTakerCount = int16(unsafe.Offsetof(taker{}.count))

	offCPUSlot  = int16(unsafe.Offsetof(cpuEntry{}.slot))
	offCPUSince = int16(unsafe.Offsetof(cpuEntry{}.since))

	offHistSum     = int16(unsafe.Offsetof(hist{}.sum))
	offHistMax     = int16(unsafe.Offsetof(hist{}.max))
	offHistBuckets = int16(unsafe.Offsetof(hist{}.buckets))

	offQueue    = int(unsafe.Offsetof(opRecord{}.queue))
	offService  = int(unsafe.Offsetof(opRecord{}.service))
	offReply    = int(unsafe.Offsetof(opRecord{}.reply))
	offUnserved = int16(unsafe.Offsetof(opRecord{}.unserved))

	offStampUnique = int16(unsafe.Offsetof(stamp{}.unique))
	offStampRead   = int16(unsafe.Offsetof(stamp{}.read))
	offStampWrite  = int16(unsafe.Offsetof(stamp{}.write))
	offSentAt      = int16(unsafe.Offsetof(sent{}.at))
	offSentMount   = int16(unsafe.Offsetof(sent{}.mount))

	_, _ = uint(64 - sizeCPU), uint(sizeCPU - 64)
)

// overlay returns the T that b begins with, sharing its memory, which is not the garbage collector's.
//
// Preconditions: b is mapped and large enough, and T has no pointers.
func overlay[T any](b []byte) *T { return &overlaySlice[T](b, 1)[0] }

// overlaySlice is [overlay] of n of them.
func overlaySlice[T any](b []byte, n int) []T {
	_ = b[:n*int(unsafe.Sizeof(*new(T)))]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// overlayBytes returns the memory of *p.
func overlayBytes[T any](p *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}
