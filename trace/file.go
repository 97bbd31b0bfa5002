package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"

	"github.com/spdk-go/spdk-go/reactor"
)

// ErrCorrupt is what errors wrap that are about a file which is no trace file, or is damaged.
//
// Not in SPDK.
var ErrCorrupt = errors.New("no trace file, or a damaged one")

// maxEntries is how many entries a ring can have that somebody reads: more would not fit into memory.
const maxEntries = 1 << 28

// File is a trace file, of a process that runs or has ended, of ours or of SPDK's. It is read, never mapped: nothing
// that happens to the file can hurt the reader. Methods are for one goroutine at a time.
//
// SPDK: struct spdk_trace_parser
type File struct {
	r     io.ReaderAt
	size  uint64
	close func() error

	sections [numSections]uint64
	owners   table
	types    table // of owners
	objects  table
	tpoints  table
	rings    table // where they are, by core
	slack    uint64
}

// table is an array in a section.
type table struct {
	data []byte
	each int
}

func (t table) len() int { return len(t.data) / t.each }

// at returns an element, nil if there is none.
func (t table) at(i int) []byte {
	if uint(i) >= uint(t.len()) {
		return nil
	}
	return t.data[i*t.each : (i+1)*t.each]
}

// Open opens a trace file. Errors wrap [ErrCorrupt], or are what the kernel says.
//
// SPDK: spdk_trace_parser_init
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	tf, err := openFile(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tf, nil
}

func openFile(f *os.File) (*File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file: %w", ErrCorrupt)
	}
	tf, err := NewFile(f, st.Size())
	if err != nil {
		return nil, err
	}
	tf.close = f.Close
	return tf, nil
}

// NewFile is [Open] of what r has, which is so many bytes.
//
// SPDK: spdk_trace_parser_init
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: uint64(max(0, size)), close: func() error { return nil }}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Close closes the file.
//
// SPDK: spdk_trace_parser_cleanup
func (f *File) Close() error { return f.close() }

// corrupt makes an error of what is wrong with the file.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// read reads n bytes at a place that is inside the file.
func (f *File) read(at, n uint64) ([]byte, error) {
	if at > f.size || n > f.size-at {
		return nil, corrupt("it has %d bytes, and %d are missing at %d", f.size, n-min(n, f.size-min(at, f.size)), at)
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(at)); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, corrupt("it was cut short while it was read")
		}
		return nil, err
	}
	return b, nil
}

// Reload reads again what is not in the rings: descriptions, owners and so on, to which a running process adds.
//
// Not in SPDK, whose parser has the file mapped.
func (f *File) Reload() error {
	head, err := f.read(0, fileHeaderSize)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.Uint64(head[fileSizeAt:])
	if n := binary.LittleEndian.Uint16(head[numSectionsAt:]); n < numSections || n > 64 || size < fileHeaderSize {
		return corrupt("it has %d sections and says that it has %d bytes", n, size)
	}
	if size > f.size {
		return corrupt("%d of its %d bytes are missing", size-f.size, size)
	}
	for s := range f.sections {
		f.sections[s] = binary.LittleEndian.Uint64(head[sectionOffsetsAt+s*8:])
	}
	if _, err := f.read(f.sections[sectionMain], mainSectionSize); err != nil {
		return err
	}
	for _, t := range []struct {
		section int
		to      *table
		each    int
	}{
		{sectionOwner, &f.owners, ownerHeadSize},
		{sectionOwnerType, &f.types, typeSize},
		{sectionObject, &f.objects, typeSize},
		{sectionTpoint, &f.tpoints, tpointSize},
		{sectionLcoreOffsets, &f.rings, 8},
	} {
		if *t.to, err = f.readTable(f.sections[t.section], t.section, t.each); err != nil {
			return err
		}
	}
	if f.TSCRate() == 0 {
		return corrupt("it has no rate of time")
	}
	f.slack = f.longestRecord()
	return f.checkRings()
}

// readTable reads the array that follows a section's head.
func (f *File) readTable(at uint64, section, each int) (table, error) {
	head, err := f.read(at, sectionHeaderSize)
	if err != nil {
		return table{}, err
	}
	if section == sectionOwner {
		each += int(binary.LittleEndian.Uint16(head[2:]))
	}
	data, err := f.read(at+sectionHeaderSize, uint64(binary.LittleEndian.Uint16(head))*uint64(each))
	return table{data, each}, err
}

// longestRecord returns how many entries the longest record takes, continuations included.
func (f *File) longestRecord() uint64 {
	longest := uint64(1)
	for i := range f.tpoints.len() {
		size := 0
		for _, a := range f.tpointAt(i).Args {
			size += int(a.Size)
		}
		longest = max(longest, 1+uint64(max(0, size-inlineArgs)+moreArgs-1)/moreArgs)
	}
	return longest
}

func (f *File) checkRings() error {
	for core := range f.rings.len() {
		at := f.ringAt(core)
		if at == 0 {
			continue
		}
		h, err := f.readHistory(at)
		if err != nil {
			return err
		}
		if h.tpoints > maxTpoint*64 || h.entries > maxEntries {
			return corrupt("core %d has a ring of %d entries and %d counters", core, h.entries, h.tpoints)
		}
		end := at + historyHeaderSize + h.tpoints*8 + h.entries*entrySize
		if end > f.size || end < at {
			return corrupt("the ring of core %d, of %d entries at %d, is not inside its %d bytes", core, h.entries, at, f.size)
		}
	}
	return nil
}

func (f *File) ringAt(core int) uint64 {
	at := f.rings.at(core)
	if at == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(at)
}

// history is the head of a ring.
type history struct {
	name             string
	entries, tpoints uint64
	next             uint64
}

func (f *File) readHistory(at uint64) (history, error) {
	b, err := f.read(at, historyHeaderSize)
	if err != nil {
		return history{}, err
	}
	return history{
		name:    text(b[historyNameAt : historyNameAt+historyNameSize]),
		entries: binary.LittleEndian.Uint64(b[historyEntriesAt:]),
		tpoints: binary.LittleEndian.Uint64(b[historyTpointsAt:]),
		next:    binary.LittleEndian.Uint64(b[historyNextAt:]),
	}, nil
}

// isRing reports whether entries are overwritten. A file that was recorded has them one after another, and a number of
// them that no ring has.
func (h *history) isRing() bool { return bits.OnesCount64(h.entries) == 1 }

// TSCRate returns how many ticks a second has.
//
// SPDK: spdk_trace_get_tsc_rate
func (f *File) TSCRate() uint64 { return f.mainWord(mainRateAt) }

// ClearTSC returns the time of the last [Trace.Clear], 0 if there was none.
//
// SPDK: struct spdk_trace_section_main
func (f *File) ClearTSC() uint64 { return f.mainWord(mainClearAt) }

func (f *File) mainWord(at uint64) uint64 {
	b, err := f.read(f.sections[sectionMain]+at, 8)
	if err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// Cores returns the numbers of the rings: those of cores, and behind them those of other threads.
//
// SPDK: struct spdk_trace_section_lcore_offsets
func (f *File) Cores() (cores []int) {
	for core := range f.rings.len() {
		if f.ringAt(core) != 0 {
			cores = append(cores, core)
		}
	}
	return cores
}

// EntryCount returns how many entries the ring of a core has room for, 0 if there is none.
//
// SPDK: spdk_trace_parser_get_entry_count
func (f *File) EntryCount(core int) uint64 {
	at := f.ringAt(core)
	if at == 0 {
		return 0
	}
	h, err := f.readHistory(at)
	if err != nil {
		return 0
	}
	return h.entries
}

// used reports whether something has been recorded.
func (f *File) used() bool {
	for _, core := range f.Cores() {
		if h, err := f.readHistory(f.ringAt(core)); err != nil || h.next > 0 {
			return true
		}
	}
	return false
}

// Tpoints returns the tracepoints that are described, in the order of their numbers.
//
// SPDK: struct spdk_trace_section_tpoint
func (f *File) Tpoints() (list []TpointOpts) {
	for i := range f.tpoints.len() {
		if o := f.tpointAt(i); o.Tpoint != 0 {
			list = append(list, o)
		}
	}
	return list
}

// tpointAt returns a description, of tracepoint 0 if there is none.
func (f *File) tpointAt(i int) (o TpointOpts) {
	t := f.tpoints.at(i)
	if t == nil || int(binary.LittleEndian.Uint16(t[tpointIDAt:])) != i {
		return TpointOpts{}
	}
	o = TpointOpts{
		Name: text(t[:tpointNameSize]), Tpoint: reactor.Tpoint(i), OwnerType: t[tpointOwnerAt],
		ObjectType: t[tpointObjectAt], NewObject: t[tpointNewAt] != 0,
	}
	for n := range min(int(t[tpointNumArgsAt]), maxArgs) {
		a := t[tpointArgsAt+n*argSize:]
		o.Args = append(o.Args, Argument{text(a[:argNameSize]), ArgType(a[argTypeAt]), a[argSizeAt]})
	}
	return o
}

func (f *File) relations(i int) (list []Relation) {
	t := f.tpoints.at(i)
	if t == nil {
		return nil
	}
	for rel := t[tpointRelAt:]; len(rel) > 1 && rel[0] != 0; rel = rel[2:] {
		list = append(list, Relation{rel[0], rel[1]})
	}
	return list
}

// OwnerPrefix returns the prefix of owners of a type, 0 if there is none.
//
// SPDK: struct spdk_trace_owner_type
func (f *File) OwnerPrefix(typ uint8) byte { return prefixOf(f.types, typ) }

// ObjectPrefix returns the prefix of objects of a type, 0 if there is none.
//
// SPDK: struct spdk_trace_object
func (f *File) ObjectPrefix(typ uint8) byte { return prefixOf(f.objects, typ) }

func prefixOf(t table, typ uint8) byte {
	if e := t.at(int(typ)); e != nil {
		return e[1]
	}
	return 0
}

// Owner is who entries belong to.
//
// SPDK: struct spdk_trace_owner
type Owner struct {
	ID          uint16
	Type        uint8
	Since       uint64 // ticks: older entries are somebody else's
	Description string
}

// Owner returns an owner; false if it has never been registered.
//
// SPDK: spdk_get_trace_owner
func (f *File) Owner(id uint16) (Owner, bool) {
	o := f.owners.at(int(id))
	if o == nil || id == 0 {
		return Owner{}, false
	}
	since := binary.LittleEndian.Uint64(o)
	return Owner{id, o[8], since, text(o[ownerHeadSize:])}, since != 0
}

// Owners returns those that have been registered.
//
// SPDK: struct spdk_trace_section_owner
func (f *File) Owners() (list []Owner) {
	for id := range f.owners.len() {
		if o, ok := f.Owner(uint16(id)); ok {
			list = append(list, o)
		}
	}
	return list
}

// text returns what is before the first zero, with nothing in it that a terminal could take amiss.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, bytes.ToValidUTF8(b, []byte("?"))))
}
