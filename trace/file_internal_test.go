package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// smallFile is a trace file of a few hundred bytes: two owners, two tracepoints, and a ring of 16 entries on core 1
// that has n of them.
func smallFile(n uint64) []byte {
	le := binary.LittleEndian
	var b []byte
	section := func(number, size int) []byte {
		at := len(b)
		le.PutUint64(b[sectionOffsetsAt+number*8:], uint64(at))
		b = append(b, make([]byte, size)...)
		return b[at:]
	}
	b = make([]byte, fileHeaderSize)
	le.PutUint16(b[numSectionsAt:], numSections)
	le.PutUint64(section(sectionMain, mainSectionSize), 1e9)
	owners := section(sectionOwner, sectionHeaderSize+2*(ownerHeadSize+15))
	le.PutUint16(owners, 2)
	le.PutUint16(owners[2:], 15)
	owner := owners[sectionHeaderSize+ownerHeadSize+15:]
	le.PutUint64(owner, 1)
	copy(owner[ownerHeadSize:], "owner")
	section(sectionTpointMask, sectionHeaderSize)
	types := section(sectionOwnerType, sectionHeaderSize+2*typeSize)
	le.PutUint16(types, 2)
	copy(types[sectionHeaderSize+typeSize:], "\x01T")
	objects := section(sectionObject, sectionHeaderSize+2*typeSize)
	le.PutUint16(objects, 2)
	copy(objects[sectionHeaderSize+typeSize:], "\x01o")
	tpoints := section(sectionTpoint, sectionHeaderSize+3*tpointSize)
	le.PutUint16(tpoints, 3)
	for id, name := range []string{"", "BEGIN", "MORE"} {
		tp := tpoints[sectionHeaderSize+id*tpointSize:]
		copy(tp, name)
		le.PutUint16(tp[tpointIDAt:], uint16(id))
		tp[tpointOwnerAt], tp[tpointObjectAt] = 1, 1
		if name == "BEGIN" {
			tp[tpointNewAt] = 1
			continue
		}
		tp[tpointNumArgsAt] = 2
		copy(tp[tpointArgsAt:], "text")
		tp[tpointArgsAt+argTypeAt], tp[tpointArgsAt+argSizeAt] = uint8(ArgStr), 12
		copy(tp[tpointArgsAt+argSize:], "n")
		tp[tpointArgsAt+argSize+argSizeAt] = 8
		tp[tpointRelAt], tp[tpointRelAt+1] = 1, 1
	}
	offsets := section(sectionLcoreOffsets, sectionHeaderSize+2*8)
	le.PutUint16(offsets, 2)
	ring := uint64(len(b))
	le.PutUint64(offsets[sectionHeaderSize+8:], ring)
	b = append(b, make([]byte, historyHeaderSize+16*entrySize)...)
	h := b[ring:]
	copy(h[historyNameAt:], "reactor_1")
	le.PutUint64(h[historyEntriesAt:], 16)
	le.PutUint64(h[historyNextAt:], n)
	for i := range n {
		e := h[historyHeaderSize+i%16*entrySize:]
		id := [3]uint16{1, 2, continuation}[i%3]
		le.PutUint64(e, 100+i-i%3/2)
		le.PutUint64(e[8:], uint64(id)|1<<16|5<<32)
		if id == continuation {
			clear(e[bufferArgs:entrySize])
			continue
		}
		le.PutUint64(e[16:], 0x1234)
		copy(e[entryArgs:], "a text that goes on")
	}
	le.PutUint64(b[fileSizeAt:], uint64(len(b)))
	return b
}

func read(b []byte) ([]Entry, error) {
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return f.Entries(-1, true)
}

func TestSmallFile(t *testing.T) {
	for n, want := range map[uint64]int{0: 0, 1: 1, 12: 8, 16: 9, 40: 9} {
		list, err := read(smallFile(n))
		if err != nil || len(list) != want {
			t.Errorf("%d in the ring: %d entries, %v, want %d", n, len(list), err, want)
		}
		for _, e := range list {
			if e.Owner.Description != "owner" || e.Core != 1 || e.Thread != "reactor_1" {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

// TestEveryCutIsAnError cuts a file short at each byte.
func TestEveryCutIsAnError(t *testing.T) {
	whole := smallFile(12)
	for n := range whole {
		if list, err := read(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %d entries, %v", n, len(whole), len(list), err)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	damage := func(at int, v uint64) []byte {
		b := smallFile(12)
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
	ring := int(binary.LittleEndian.Uint64(damage(fileSizeAt, 0)[sectionOffset(sectionLcoreOffsets)+sectionHeaderSize+8:]))
	for name, b := range map[string][]byte{
		"text":             []byte(strings.Repeat("this is no trace file\n", 1000)),
		"zeros":            make([]byte, 1<<16),
		"no rate":          damage(sectionOffset(sectionMain), 0),
		"too large":        damage(fileSizeAt, 1<<40),
		"section outside":  damage(sectionOffsetsAt+8*sectionTpoint, 1<<63),
		"ring outside":     damage(sectionOffset(sectionLcoreOffsets)+sectionHeaderSize+8, 1<<62),
		"ring too long":    damage(ring+historyEntriesAt, 1<<58),
		"many counters":    damage(ring+historyTpointsAt, 1<<61),
		"everything wrong": bytes.Repeat([]byte{0xff}, 1<<16),
	} {
		if list, err := read(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d entries, %v", name, len(list), err)
		}
	}
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// sectionOffset is where a section of smallFile is.
func sectionOffset(section int) int {
	return int(binary.LittleEndian.Uint64(smallFile(0)[sectionOffsetsAt+section*8:]))
}

// FuzzFile reads files that nobody wrote: whatever is in them, there are errors or entries.
func FuzzFile(f *testing.F) {
	for _, n := range []uint64{0, 1, 12, 16, 40} {
		f.Add(smallFile(n))
	}
	f.Add(smallFile(12)[:1000])
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := NewFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		list, err := file.Entries(-1, false)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("entries: %v", err)
		}
		if len(list) > len(b)/entrySize*len(file.Cores()) {
			t.Errorf("%d entries in %d bytes", len(list), len(b))
		}
		file.Owners()
		file.Tpoints()
		r := NewRecorder(file, t.TempDir())
		defer r.Close()
		for range 2 {
			if _, _, err := r.Poll(); err != nil {
				return
			}
		}
	})
}
