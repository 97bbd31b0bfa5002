package ebpfmon

import (
	"structs"
	"sync/atomic"
)

// What the programs and this package share lies in two arrays of one element, which are mapped into the process: so
// nothing is asked of the kernel once they are there, and a process that has locked itself up can still read them.
// Programs find a field by its offset, which the compiler computes from the types below (layout_unsafe.go).
//
// Sizes are powers of two where a program computes an index: masking it is what makes the verifier believe that it
// lies inside.
const (
	indexBits   = 10 // 2^10 places for the numbers of threads, many more than there can be
	connBits    = 8  // the same for connections
	probes      = 4  // places that a number can have
	maxReactors = 64
	maxMounts   = 16
	maxShards   = 8
	maxOpcodes  = 64    // FUSE has 52; others count as number 0
	maxTakers   = 32    // processes that are told apart, per reactor
	takerProbes = 8     // places that a process can have among them
	maxStamps   = 1024  // requests of a connection that reactors have read and not answered
	maxSent     = 16384 // requests of all connections that have not ended; more go by uncounted
)

// hashFactor is 2^32 divided by the golden ratio, which spreads numbers that follow each other.
const hashFactor = 0x9E3779B1

// places returns where a number can be in a table of 2^bits places.
func places(number uint32, bits int) (list [probes]uint32) {
	for i := range list {
		list[i] = (number*hashFactor>>(32-bits) + uint32(i)) & (1<<bits - 1)
	}
	return list
}

// State is what a reactor's thread does, as far as the scheduler is concerned.
type State uint32

// A thread is on a CPU; or it was taken off one though it would have gone on; or it sleeps; or it has been woken and
// waits for a CPU.
const (
	Running State = iota
	Preempted
	Asleep
	Woken
)

var stateNames = [...]string{"running", "preempted", "asleep", "woken"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// indexEntry leads from the number of a thread of ours to its reactor.
type indexEntry struct {
	_    structs.HostLayout
	tid  atomic.Uint32 // 0: none; written last
	slot atomic.Uint32
}

// connEntry leads from a connection to its tables.
type connEntry struct {
	_     structs.HostLayout
	dev   atomic.Uint32 // 0: none; written last
	mount atomic.Uint32
}

// hist is a histogram: bucket 0 is below firstBound ns, bucket i up to twice as much as the one before.
type hist struct {
	_       structs.HostLayout
	sum     atomic.Uint64 // ns
	max     atomic.Uint64 // ns
	buckets [Buckets]atomic.Uint64
}

// taker is a process that ran on a CPU which a reactor wanted.
type taker struct {
	_     structs.HostLayout
	key   atomic.Uint32 // process id + 1; the idle task has the id 0
	_     uint32
	comm  [2]atomic.Uint64
	ns    atomic.Uint64
	count atomic.Uint64
}

// reactorSlot is what is known of a reactor. Its fields have one writer at a time: the scheduler holds a lock of the
// thread, or of the CPU on which it waits.
type reactorSlot struct {
	_         structs.HostLayout
	tid       atomic.Uint32
	state     atomic.Uint32
	cpu       atomic.Uint32 // on which it waits, if it is preempted or woken
	_         uint32
	since     atomic.Uint64 // CLOCK_MONOTONIC, ns; when the state began
	other     atomic.Uint64 // ns; of takers that made room for others
	preempted hist
	voluntary hist
	runqueue  hist
	takers    [maxTakers]taker
	_         [48]byte // so that no two reactors share a cache line
}

// cpuEntry is a CPU.
type cpuEntry struct {
	_     structs.HostLayout
	slot  atomic.Uint32 // 1 + that of the reactor that waits for the CPU; 0: none does
	_     uint32
	since atomic.Uint64 // from when on nobody has been charged for that
	_     [48]byte      // a cache line each
}

// shared is the first array; behind it are the cpuEntries, as many as the machine has CPUs, rounded up to a power of
// two.
type shared struct {
	_        structs.HostLayout
	index    [1 << indexBits]indexEntry
	conns    [1 << connBits]connEntry
	reactors [maxReactors]reactorSlot
}

// opRecord is an operation of a connection.
type opRecord struct {
	_        structs.HostLayout
	queue    hist
	service  hist
	reply    hist
	unserved atomic.Uint64
}

// table is a connection, as served on a share of the CPUs: it has the index shard × maxMounts + mount.
type table struct {
	_   structs.HostLayout
	ops [maxOpcodes]opRecord
}

// stamp is what a reactor puts down about a request that it has read. Its place follows from the request's number; one
// that comes 1024 later takes it over.
type stamp struct {
	_      structs.HostLayout
	unique atomic.Uint64 // the kernel's number of the request; 0: none
	read   atomic.Uint64 // CLOCK_MONOTONIC, ns, as the next one
	write  atomic.Uint64 // 0: not yet
	_      uint64
}

// fuseShared is the second array; behind it are the tables.
type fuseShared struct {
	_      structs.HostLayout
	stamps [maxMounts][maxStamps]stamp
}

// sent is a request that has not ended, in a map of its own, by its address. Only programs use it.
type sent struct {
	_     structs.HostLayout
	at    uint64 // CLOCK_MONOTONIC, ns
	mount uint64
}
