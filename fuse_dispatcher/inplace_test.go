package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
)

// A reply is built in the client's vector where it can be, and copied there where it is cut or not
// aligned: the client reads the same in any case, and nothing behind the reply is written.
func TestReplyIsTheSameWhereverItIsBuilt(t *testing.T) {
	for _, c := range dispatchertest.Cases() {
		t.Run(fusedispatcher.OpcodeName(c.Op), func(t *testing.T) {
			var want []byte
			for _, shift := range []int{0, 1, 4, 7} {
				for _, at := range []int{0, 8, 16, 24, 100} {
					b := dispatchertest.NewSession(t, fusedispatcher.Opts{})
					buf := make([]byte, shift+max(c.Room, 16))[shift:]
					out := [][]byte{buf[:min(at, len(buf))], buf[min(at, len(buf)):]}
					in := dispatchertest.Message(dispatchertest.Header{Opcode: c.Op, Unique: 2, NodeID: dispatchertest.Node},
						c.Parts()...)
					r := b.Finish(b.Send(0, [][]byte{in}, out))
					got := bytes.Clone(slices.Concat(out...)[:r.Len])
					if want == nil {
						want = got
					}
					if !bytes.Equal(got, want) {
						t.Errorf("%s: the reply differs:\n%x, want\n%x",
							fmt.Sprintf("moved by %d, cut at %d", shift, at), got, want)
					}
				}
			}
		})
	}
}
