package fusedispatcher_test

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Every request that succeeds does so without allocating, whether the module completes it
// inside the submit or later.
func TestRequestsDoNotAllocate(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	fast := newAllocFree(b)
	for i := range handlerCases {
		c := &handlerCases[i]
		for _, inline := range []bool{true, false} {
			fast.inline = inline
			m := b.Message(c.Op, node, c.Parts()...)
			room := make([]byte, c.Room)
			for _, cuts := range [][2][][]byte{
				{{m}, {room}},
				{cut(m, min(40, len(m)-1), len(m)-1), cut(room, min(16, c.Room))},
			} {
				n := testing.AllocsPerRun(20, func() { fast.roundTrip(cuts[0], cuts[1]) })
				// The kernel sends a value in one piece; see doSetxattr.
				if n != 0 && !(c.Op == FUSE_SETXATTR && len(cuts[0]) > 1) {
					t.Errorf("%s (inline %v, %d segments): %v allocations", c.Name(), inline, len(cuts[0]), n)
				}
				if fast.errno != 0 {
					t.Fatalf("%s: %v", c.Name(), fast.errno)
				}
			}
		}
	}
}

// allocFree takes requests through a bed without the bed's own bookkeeping, which allocates.
type allocFree struct {
	b      *bed
	inline bool
	held   *fsdev.IO
	done   int
	errno  syscall.Errno
}

func newAllocFree(b *bed) *allocFree {
	a := &allocFree{b: b}
	target := []byte(fakeTarget)
	b.FS.Raw = func(io *fsdev.IO) {
		io.OutObject, io.OutHandle, io.OutTarget = fakeFile, fakeHandle, target
		io.OutAttr, io.OutStatfs, io.OutSize = fakeAttr, fakeStatfs, uint64(io.Size)
		if a.inline {
			io.Complete(0)
			return
		}
		a.held = io
	}
	return a
}

func allocFreeDone(ctx any, errno syscall.Errno, _ uint32) {
	a := ctx.(*allocFree)
	a.done++
	a.errno = errno
}

func (a *allocFree) roundTrip(in, out [][]byte) {
	a.done = 0
	if a.errno = a.b.D.SubmitRequest(a.b.Chans[0], in, out, allocFreeDone, a); a.errno != 0 {
		return
	}
	if io := a.held; io != nil {
		a.held = nil
		io.Complete(0)
	}
	for a.done == 0 {
		a.b.T.Poll(0, 0)
	}
	a.b.T.Poll(0, 0)
}
