package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

// DefaultNumEntries is how many entries a core's ring has.
//
// SPDK: SPDK_DEFAULT_NUM_TRACE_ENTRIES
const DefaultNumEntries = 32 * 1024

// ShmDir is where shared memory has names.
//
// SPDK: shm_open
const ShmDir = "/dev/shm"

// numOwners is how many owners can be registered, less one. SPDK has 16384, for the queue pairs of NVMe over Fabrics.
const numOwners = 2048

// Options say what to make a [Trace] for.
//
// SPDK: the parameters of spdk_trace_init
type Options struct {
	// Name is that of the application, for the name of the file.
	Name string
	// ShmID takes the place of the process's number in the name of the file, if it is not nil.
	//
	// SPDK: shm_id
	ShmID *int
	// Dir is where the file is; empty means [ShmDir].
	Dir string
	// Cores have a ring each.
	Cores []int
	// NumEntries is how many entries a ring has, a power of two; 0 means [DefaultNumEntries]. An entry takes up 32
	// bytes, and one with arguments of more than eight bytes takes more than one.
	NumEntries uint64
	// NumThreads is how many rings there are for threads that are no reactors, see [Trace.RegisterUserThread].
	NumThreads int
	// Clock is the framework's; nil means the CPU's cycle counter.
	Clock reactor.Clock
}

// Trace records tracepoints in a shared-memory file. It is a [reactor.Tracer]: give it to the reactors with
// [reactor.Options]. Methods may be called by any goroutine, except where they say otherwise.
//
// SPDK: struct spdk_trace_file
type Trace struct {
	masks     reactor.TraceMasks
	histories []*History // by core, then those of threads; nil where there is none
	descs     [maxTpoint]desc
	clock     reactor.Clock
	clearAt   *atomic.Uint64

	path     string
	file     *os.File
	mem      []byte // the whole file
	sections [numSections]int
	userFrom int // histories of threads begin there

	mu       sync.Mutex // guards what follows, and what is written to the sections
	reserved bool       // the rings take up room
	closed   bool
	inUse    []bool   // histories of threads
	freeIDs  []uint16 // owners, those free for longest first
}

// desc is what recording has to know of a tracepoint.
type desc struct {
	defined bool
	numArgs uint8
	strings bool
	size    [maxArgs]uint8
}

// New makes the file, with every tracepoint described and none of them on. Close it when no reactor and no thread
// records any more.
//
// Errors wrap EINVAL (options), EBUSY (a running process has a file of that name, which happens with ShmID), ENOSPC
// (there is no room for it), or what else the kernel says. A second Trace of one name in a process gets a name with a
// further number.
//
// SPDK: spdk_trace_init
func New(o Options) (*Trace, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	tr := &Trace{clock: o.Clock, userFrom: slices.Max(append(o.Cores, -1)) + 1, inUse: make([]bool, o.NumThreads)}
	if err := tr.create(&o); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	tr.describeFile(&o)
	for id := range numOwners - 1 {
		tr.freeIDs = append(tr.freeIDs, uint16(id+1))
	}
	for _, g := range groups {
		g.Register(tr)
	}
	return tr, nil
}

func (o *Options) check() error {
	if o.Dir == "" {
		o.Dir = ShmDir
	}
	if o.NumEntries == 0 {
		o.NumEntries = DefaultNumEntries
	}
	last := slices.Max(append(o.Cores, -1)) + o.NumThreads
	switch {
	case o.Name == "" || strings.Contains(o.Name, "/"):
		return fmt.Errorf("trace: %q cannot be part of a file's name: %w", o.Name, syscall.EINVAL)
	case bits.OnesCount64(o.NumEntries) != 1 || o.NumEntries < 16 || o.NumEntries > 1<<26:
		return fmt.Errorf("trace: %d entries: want a power of two from 16 to %d: %w", o.NumEntries, 1<<26, syscall.EINVAL)
	case len(o.Cores) > 0 && slices.Min(o.Cores) < 0 || o.NumThreads < 0 || last >= maxCores:
		return fmt.Errorf("trace: cores %v and %d threads: want numbers from 0 to %d together: %w", o.Cores, o.NumThreads,
			maxCores-1, syscall.EINVAL)
	}
	return nil
}

// layout finds places for the sections, and returns those of the rings and the size of everything.
func (tr *Trace) layout(o *Options) (rings []uint64, size uint64) {
	cores := tr.userFrom + o.NumThreads
	at := fileHeaderSize
	for _, s := range []struct{ section, size int }{
		{sectionMain, mainSectionSize},
		{sectionOwner, sectionHeaderSize + numOwners*ownerSize},
		{sectionTpointMask, sectionHeaderSize + reactor.TraceGroups*8},
		{sectionOwnerType, sectionHeaderSize + maxOwnerType*typeSize},
		{sectionObject, sectionHeaderSize + maxObject*typeSize},
		{sectionTpoint, sectionHeaderSize + maxTpoint*tpointSize},
		{sectionLcoreOffsets, sectionHeaderSize + cores*8},
	} {
		tr.sections[s.section] = at
		at += s.size
	}
	rings = make([]uint64, cores)
	size = roundUp(uint64(at))
	for core := range rings {
		if core >= tr.userFrom || slices.Contains(o.Cores, core) {
			rings[core] = size
			size += roundUp(historySize(o.NumEntries))
		}
	}
	return rings, size
}

func roundUp(n uint64) uint64 { return (n + historyAlign - 1) &^ (historyAlign - 1) }

// create makes the file and maps it.
func (tr *Trace) create(o *Options) (err error) {
	rings, size := tr.layout(o)
	removeUnused(o)
	if tr.file, err = createFile(o); err != nil {
		return err
	}
	tr.path = tr.file.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tr.path), tr.file.Close())
		}
	}()
	if err := tr.file.Truncate(int64(size)); err != nil {
		return err
	}
	// A page that cannot be had when it is touched costs the process its life: better to hear of it here.
	head := roundUp(uint64(tr.sections[sectionLcoreOffsets] + sectionHeaderSize + len(rings)*8))
	if err := sys.Reserve(tr.file, int(head)); err != nil {
		return fmt.Errorf("%s: %w", tr.path, err)
	}
	if tr.mem, err = sys.MapShared(tr.file, int(size)); err != nil {
		return fmt.Errorf("%s: %w", tr.path, err)
	}
	tr.histories = make([]*History, len(rings))
	for core, at := range rings {
		tr.put64(tr.sections[sectionLcoreOffsets]+sectionHeaderSize+core*8, at)
		if at != 0 {
			tr.histories[core] = newHistory(tr, tr.mem[at:at+historySize(o.NumEntries)], o.NumEntries)
		}
	}
	return nil
}

// fileName returns the n-th name to try.
//
// SPDK: SPDK_TRACE_SHM_NAME_BASE
func (o *Options) fileName(n int) string {
	name := fmt.Sprintf("%s_trace.pid%d", o.Name, os.Getpid())
	if o.ShmID != nil {
		name = fmt.Sprintf("%s_trace.%d", o.Name, *o.ShmID)
	}
	if n > 0 {
		name += fmt.Sprintf(".%d", n)
	}
	return filepath.Join(o.Dir, name)
}

// maxSameName is how many Traces of one name a process can have.
const maxSameName = 100

// createFile makes a new file and locks it. One of that name that nobody has locked is left from a process that died.
func createFile(o *Options) (*os.File, error) {
	for n := 0; ; {
		path := o.fileName(n)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return f, sys.Flock(f)
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if err = removeDead(path); err == nil {
			continue
		}
		if n++; o.ShmID != nil || n == maxSameName || !errors.Is(err, syscall.EBUSY) {
			return nil, err
		}
	}
}

// removeDead removes a file unless somebody has locked it: EBUSY.
func removeDead(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	if err := sys.Flock(f); err != nil {
		return fmt.Errorf("%s belongs to a process that runs: %w", path, syscall.EBUSY)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// removeUnused removes the files that processes left which were killed before they recorded anything.
func removeUnused(o *Options) {
	left, err := filepath.Glob(filepath.Join(o.Dir, o.Name+"_trace.pid*"))
	if err != nil {
		return // the name is a bad pattern
	}
	for _, path := range left {
		// One that is being made is not complete yet, and must not be locked by somebody else.
		if f, err := Open(path); err == nil {
			if !f.used() {
				_ = removeDead(path)
			}
			f.Close()
		}
	}
}

// describeFile writes the file's head and the heads of its sections.
func (tr *Trace) describeFile(o *Options) {
	tr.put16(numSectionsAt, numSections)
	for s, at := range tr.sections {
		tr.put64(sectionOffsetsAt+s*8, uint64(at))
	}
	rate := sys.TicksHz()
	if o.Clock != nil {
		rate = o.Clock.TicksHz()
	}
	tr.put64(tr.sections[sectionMain]+mainRateAt, rate)
	tr.clearAt = sys.Word(tr.mem, tr.sections[sectionMain]+mainClearAt)
	tr.put16(tr.sections[sectionOwner], numOwners)
	tr.put16(tr.sections[sectionOwner]+2, ownerDescriptionSize)
	tr.put16(tr.sections[sectionTpointMask], reactor.TraceGroups)
	tr.put16(tr.sections[sectionOwnerType], maxOwnerType)
	tr.put16(tr.sections[sectionObject], maxObject)
	tr.put16(tr.sections[sectionTpoint], maxTpoint)
	tr.put16(tr.sections[sectionLcoreOffsets], uint16(len(tr.histories)))
	for core, h := range tr.histories {
		if h == nil {
			continue
		}
		binary.LittleEndian.PutUint32(h.mem[historyCoreAt:], uint32(core))
		if core < tr.userFrom {
			copy(h.mem[historyNameAt:historyNameAt+historyNameSize-1], fmt.Sprintf("reactor_%d", core))
		}
		binary.LittleEndian.PutUint64(h.mem[historyEntriesAt:], o.NumEntries)
		binary.LittleEndian.PutUint64(h.mem[historyTpointsAt:], maxTpoint)
	}
	// Whoever reads the size knows that everything else is there.
	sys.Word(tr.mem, fileSizeAt).Store(uint64(len(tr.mem)))
}

func (tr *Trace) put16(at int, v uint16) { binary.LittleEndian.PutUint16(tr.mem[at:], v) }
func (tr *Trace) put64(at int, v uint64) { binary.LittleEndian.PutUint64(tr.mem[at:], v) }

// ticks returns the time.
func (tr *Trace) ticks() uint64 {
	if tr.clock == nil {
		return sys.Ticks()
	}
	return tr.clock.Ticks()
}

// Path returns the name of the file.
//
// SPDK: trace_get_shm_name
func (tr *Trace) Path() string { return tr.path }

// Clear has readers take no notice of what has been recorded up to now.
//
// SPDK: spdk_trace_clear
func (tr *Trace) Clear() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !tr.closed {
		tr.clearAt.Store(tr.ticks())
	}
}

// Close turns everything off and gives the memory back. Reactors and threads must have come to their end. The file
// stays if something was recorded, to be looked at, and is removed otherwise. Closing again does nothing.
//
// SPDK: spdk_trace_cleanup
func (tr *Trace) Close() error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.closed {
		return nil
	}
	tr.closed = true
	for g := range tr.masks {
		tr.masks[g].Store(0)
	}
	used := false
	for i, h := range tr.histories {
		if h != nil {
			used = used || h.next > 0
			tr.histories[i] = nil
		}
	}
	var errs []error
	if !used {
		errs = append(errs, os.Remove(tr.path))
	}
	errs = append(errs, sys.Unmap(tr.mem), tr.file.Close())
	tr.mem = nil
	return errors.Join(errs...)
}
