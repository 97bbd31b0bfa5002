package dispatchertest

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// deaf is a testing.TB that keeps what goes wrong.
type deaf struct {
	testing.TB
	wrong []string
}

func (d *deaf) Helper() {}

func (d *deaf) Errorf(format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// TestCompletionsAreChecked completes a request in every way that it must not be.
func TestCompletionsAreChecked(t *testing.T) {
	b := New(t, 2, fusedispatcher.Opts{})
	header := func(h OutHeader, more int) []byte { return append(Bytes(&h), make([]byte, more)...) }
	good := OutHeader{Len: 16, Unique: 8}
	for _, tt := range []struct {
		name  string
		op    uint32
		out   []byte
		errno syscall.Errno
		len   uint32
		wrong func(r *Reply) // what else is
		want  string
	}{
		{"good", FUSE_OPEN, header(good, 0), 0, 16, nil, ""},
		{"good error", FUSE_OPEN, header(OutHeader{Len: 16, Error: -5, Unique: 8}, 0), syscall.EIO, 16, nil, ""},
		{"none", FUSE_FORGET, []byte{paint}, 0, 0, nil, ""},
		{"twice", FUSE_OPEN, header(good, 0), 0, 16, func(r *Reply) { r.Done = 1 }, "completed 2 times"},
		{"inside", FUSE_OPEN, header(good, 0), 0, 16, func(r *Reply) { r.inside = true }, "inside SubmitRequest"},
		{"elsewhere", FUSE_OPEN, header(good, 0), 0, 16, func(r *Reply) { r.t = b.Threads[1] }, "completed on"},
		{"longer than there is room", FUSE_OPEN, header(good, 0), 0, 17, nil, "17 bytes in 16"},
		{"another length", FUSE_OPEN, header(good, 8), 0, 24, nil, "24 bytes says 16"},
		{"less than a header", FUSE_OPEN, header(good, 0), 0, 15, nil, "15 bytes says 16"},
		{"another unique", FUSE_OPEN, header(OutHeader{Len: 16, Unique: 6}, 0), 0, 16, nil, "unique 6, want 8"},
		{"positive error", FUSE_OPEN, header(OutHeader{Len: 16, Error: 5, Unique: 8}, 0), 5, 16, nil, "error 5"},
		{"another error", FUSE_OPEN, header(OutHeader{Len: 16, Error: -5, Unique: 8}, 0), 6, 16, nil, "error -5"},
		{"unknown error", FUSE_OPEN, header(OutHeader{Len: 16, Error: -512, Unique: 8}, 0), 512, 16, nil, "error -512"},
		{"error with data", FUSE_OPEN, header(OutHeader{Len: 24, Error: -5, Unique: 8}, 8), 5, 24, nil,
			"error reply of 24 bytes"},
		{"no reply", FUSE_OPEN, bytes.Repeat([]byte{paint}, 16), 0, 0, nil, "no reply"},
		{"reply to a FORGET", FUSE_FORGET, header(good, 0), 0, 16, nil, "has a reply"},
		{"written without a reply", FUSE_FORGET, header(good, 0), 0, 0, nil, "was written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &deaf{TB: t}
			b.TB = d
			defer func() { b.TB = t }()
			r := &Reply{b: b, t: b.T, Out: [][]byte{tt.out}, Hdr: Header{Opcode: tt.op, Unique: 8}, known: SizeofInHeader}
			if tt.wrong != nil {
				tt.wrong(r)
			}
			b.On(b.T, func() { submitDone(r, tt.errno, tt.len) })
			switch {
			case tt.want == "" && len(d.wrong) > 0:
				t.Errorf("finds %q", d.wrong)
			case tt.want != "" && !strings.Contains(strings.Join(d.wrong, "\n"), tt.want):
				t.Errorf("finds %q, want %q", d.wrong, tt.want)
			}
		})
	}
	b.TB = t
}

// TestCasesAreChecked holds a case against what another request did.
func TestCasesAreChecked(t *testing.T) {
	b := NewSession(t, fusedispatcher.Opts{})
	list := Cases()
	for i := range list {
		c := &list[i]
		other := &list[(i+1)%len(list)]
		for _, tt := range []struct {
			sent *Case
			good bool
		}{{c, true}, {other, false}} {
			d := &deaf{TB: t}
			c.Check(d, b, b.Do(0, tt.sent.Op, Node, tt.sent.Room, tt.sent.Parts()...))
			if (len(d.wrong) == 0) != tt.good {
				t.Errorf("%s after %s: finds %q", c.Name(), tt.sent.Name(), d.wrong)
			}
		}
	}
}
