package dispatchertest

import (
	"encoding/binary"
	"slices"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Header is what each request begins with.
type Header = InHeader

// Message puts a request together and sets its length.
func Message(hdr Header, parts ...[]byte) []byte {
	hdr.Len = SizeofInHeader
	for _, p := range parts {
		hdr.Len += uint32(len(p))
	}
	return append(slices.Clone(Bytes(&hdr)), slices.Concat(parts...)...)
}

// Cut cuts a vector at every given place and puts empty segments in between.
func Cut(buf []byte, at ...int) [][]byte {
	segs := [][]byte{{}}
	last := 0
	for _, i := range at {
		segs = append(segs, buf[last:i:i], nil)
		last = i
	}
	return append(segs, buf[last:], []byte{})
}

// BytesEach cuts a vector into segments of one byte.
func BytesEach(buf []byte) [][]byte {
	var segs [][]byte
	for i := range buf {
		segs = append(segs, buf[i:i+1:i+1])
	}
	return segs
}

// U64 is v as the kernel writes it.
func U64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// U32 is v as the kernel writes it.
func U32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// CString is a name as the kernel writes it.
func CString(s string) []byte { return append([]byte(s), 0) }

// Forgets is the list of a BATCH_FORGET, of numbers of nodes each with a count.
func Forgets(list ...uint64) []byte {
	var b []byte
	for i := 0; i < len(list); i += 2 {
		b = append(b, Bytes(&ForgetOne{NodeID: list[i], Nlookup: list[i+1]})...)
	}
	return b
}
