package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

const (
	perOpcode  = 8   // shapes that are kept of an opcode at most
	maxPayload = 64  // bytes that are kept of what is written
	maxRequest = 700 // longer ones are left out
)

// shapes are requests that differ in more than numbers.
type shapes struct {
	of   map[uint32]map[string]bool
	list []request
}

type request struct {
	op  uint32
	raw []byte
}

func newShapes() *shapes { return &shapes{of: map[uint32]map[string]bool{}} }

// note keeps a request whose shape is new.
func (s *shapes) note(raw []byte) {
	raw = trim(slices.Clone(raw))
	h := *Overlay[InHeader](raw)
	if s.of[h.Opcode] == nil {
		s.of[h.Opcode] = map[string]bool{}
	}
	known, key := s.of[h.Opcode], shape(raw)
	if known[key] || len(known) >= perOpcode || len(raw) > maxRequest {
		return
	}
	known[key] = true
	o := Overlay[InHeader](raw)
	o.Unique, o.PID = 2, 1000
	s.list = append(s.list, request{h.Opcode, raw})
}

// trim cuts the data of what writes.
func trim(raw []byte) []byte {
	h := Overlay[InHeader](raw)
	args := Size[InHeader]()
	var size *uint32
	switch h.Opcode {
	case FUSE_WRITE:
		size = &Overlay[WriteIn](raw[args : args+Size[WriteIn]()]).Size
	case FUSE_SETXATTR:
		size = &Overlay[SetxattrIn](raw[args : args+Size[SetxattrIn]()]).Size
	default:
		return raw
	}
	cut := *size - min(*size, maxPayload)
	*size -= cut
	h.Len -= cut
	return raw[:h.Len]
}

// shape tells requests apart: flags by their value, other numbers by whether they are large, names by whether there
// is one. Which is which is not known here, so small numbers count as flags.
func shape(raw []byte) string {
	var b bytes.Buffer
	h := *Overlay[InHeader](raw)
	fmt.Fprint(&b, h.NodeID == FUSE_ROOT_ID, h.UID == 0, h.TotalExtlen)
	rest := raw[Size[InHeader]():]
	for range 24 {
		if len(rest) < 4 {
			break
		}
		v := binary.NativeEndian.Uint32(rest)
		rest = rest[4:]
		if isText(v) { // a name, from here on
			break
		}
		if v > 1<<8 && bits.OnesCount32(v) > 3 {
			fmt.Fprint(&b, " *")
			continue
		}
		fmt.Fprintf(&b, " %x", v)
	}
	return b.String()
}

func isText(v uint32) bool {
	for range 4 {
		if c := v & 0xff; c < 0x20 || c > 0x7e {
			return false
		}
		v >>= 8
	}
	return true
}

// text writes them down: one a line, by opcode.
func (s *shapes) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Requests of a Linux kernel, one of each shape. Made by test/fuzz/record; do not edit.")
	slices.SortStableFunc(s.list, func(x, y request) int { return int(x.op) - int(y.op) })
	for _, r := range s.list {
		fmt.Fprintln(&b, fusedispatcher.OpcodeName(r.op), hex.EncodeToString(r.raw))
	}
	return b.Bytes()
}
