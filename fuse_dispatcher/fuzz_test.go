package fusedispatcher_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// FuzzRawRequest sends arbitrary bytes, cut anywhere, to a dispatcher over the fake file
// system. Whatever they are, the request completes exactly once and what it replies is
// well-formed (see submitDone).
//
// cuts says where: its first byte is the minor version of the session (0 for none), the next
// how much room there is for the reply, in units of 8 bytes, and whether the header has its
// length put right; each further byte cuts both vectors.
func FuzzRawRequest(f *testing.F) {
	for i := range handlerCases {
		c := &handlerCases[i]
		m := message(InHeader{Opcode: c.Op, Unique: 2, NodeID: node}, c.Parts()...)
		f.Add(m, []byte{45, 200})
		f.Add(m, []byte{45, 3, 1, 41, 56})
		f.Add(m, []byte{8, 255, 40})
		f.Add(m, []byte{0, 255})
	}
	for i := range creatorCases {
		c := &creatorCases[i]
		e := join(ext(2, secctx("security.a", "value"), secctx("security.b", "")), ext(FUSE_EXT_GROUPS, groups(1, 7)))
		m := message(InHeader{Opcode: c.op, Unique: 2, NodeID: node, TotalExtlen: uint16(len(e) / 8)},
			append(slices.Clone(c.parts), e)...)
		f.Add(m, []byte{45, 200})
		f.Add(m, []byte{36, 200, 60})
	}
	for _, op := range []uint32{0, 7, 54, FUSE_INIT, FUSE_DESTROY, FUSE_INTERRUPT, FUSE_BATCH_FORGET, FUSE_NOTIFY_REPLY,
		CUSE_INIT, 1<<32 - 1} {
		f.Add(message(InHeader{Opcode: op, Unique: 3}, Bytes(&InitIn{Major: 7, Minor: 31, Flags: 1<<32 - 1})),
			[]byte{45, 255, 41})
	}
	for _, m := range dispatchertest.Recorded() {
		f.Add(m, []byte{45, 255, 41, 80})
	}
	f.Fuzz(fuzzRawRequest)
}

func fuzzRawRequest(t *testing.T, raw, cuts []byte) {
	if len(raw) > 1<<16 || len(cuts) > 64 {
		return
	}
	opt := func(i int) int {
		if i < len(cuts) {
			return int(cuts[i])
		}
		return 0
	}
	b := newBed(t, 2, fusedispatcher.Opts{Cache: fusedispatcher.CachePolicy(opt(0) % 3)})
	if minor := opt(0) % 50; minor > 0 {
		b.Init(uint32(minor))
	}
	b.FS.Do = func(io *fsdev.IO) {
		checkIO(t, io)
		if io.Unique%2 == 0 {
			b.FS.Hold(io)
			return
		}
		fill(io)
		io.Complete(0)
	}
	if opt(1)&1 == 1 && len(raw) >= 4 {
		binary.NativeEndian.PutUint32(raw, uint32(len(raw)))
	}
	cutAll := func(buf []byte) [][]byte {
		segs := [][]byte{buf}
		for i := 2; i < len(cuts); i++ {
			last := segs[len(segs)-1]
			at := int(cuts[i]) % (len(last) + 1)
			segs = append(segs[:len(segs)-1], last[:at:at], last[at:])
		}
		return segs
	}
	room := make([]byte, opt(1)*8)
	for range 3 { // the second and third use the same request object and session again
		r := b.Send(1, cutAll(raw), cutAll(room))
		for b.PollThreads(); len(b.FS.Pending) > 0; b.PollThreads() { // a BATCH_FORGET goes on and on
			b.FS.Release(0)
		}
		b.Finish(r)
	}
}

// checkIO wants a module to be shown nothing that it must not see.
func checkIO(t *testing.T, io *fsdev.IO) {
	switch io.Type {
	case fsdev.IORead, fsdev.IOWrite, fsdev.IOGetxattr, fsdev.IOListxattr, fsdev.IOIoctl:
		n := 0
		for _, v := range io.Iovs {
			n += len(v)
		}
		if n < int(io.Size) {
			t.Errorf("%v of %d bytes with memory for %d", io.Type, io.Size, n)
		}
	}
	switch io.Type {
	case fsdev.IOLookup, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOSymlink, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORename,
		fsdev.IOLink, fsdev.IOCreate:
		checkName(t, io, io.Name)
	}
	switch io.Type {
	case fsdev.IORename:
		checkName(t, io, io.Name2)
	case fsdev.IOIoctl:
		if n := len(io.Value) + int(io.Size); n != 4 && n != 28 && n != 256 {
			t.Errorf("IOCTL %#x with %d bytes and room for %d", io.Flags, len(io.Value), io.Size)
		}
	case fsdev.IOGetlk, fsdev.IOSetlk:
		if l := io.Lock; l.Start > l.End || l.End > math.MaxInt64 || l.Type > syscall.F_UNLCK {
			t.Errorf("%v of %+v", io.Type, l)
		}
	case fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOSymlink, fsdev.IOCreate, fsdev.IOTmpfile:
		for _, x := range io.Security {
			if !bytes.HasPrefix(x.Name, []byte("security.")) || len(x.Name) > 255 || bytes.IndexByte(x.Name, 0) >= 0 {
				t.Errorf("%v with the context %q", io.Type, x.Name)
			}
		}
		if io.Umask&^0o777 != 0 {
			t.Errorf("%v with the umask %#o", io.Type, io.Umask)
		}
	}
}

func checkName(t *testing.T, io *fsdev.IO, name []byte) {
	if len(name) == 0 || len(name) > 255 {
		t.Errorf("%v with a name of %d bytes", io.Type, len(name))
	}
	for _, c := range name {
		if c == 0 || c == '/' {
			t.Errorf("%v with the name %q", io.Type, name)
		}
	}
}
