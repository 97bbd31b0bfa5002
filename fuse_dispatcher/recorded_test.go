package fusedispatcher_test

import (
	"slices"
	"syscall"
	"testing"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// TestRecordedRequests checks that nothing is wrong with the form of any request that a kernel has been seen to send.
func TestRecordedRequests(t *testing.T) {
	b := dispatchertest.NewSession(t, fusedispatcher.Opts{})
	recorded := dispatchertest.Recorded()
	if len(recorded) < 100 {
		t.Fatalf("%d requests", len(recorded))
	}
	for i, raw := range recorded {
		var hdr InHeader
		copy(Bytes(&hdr), raw)
		if hdr.Opcode == FUSE_INIT || hdr.Opcode == FUSE_INTERRUPT {
			continue
		}
		r := b.Finish(b.Send(0, [][]byte{raw}, [][]byte{make([]byte, 1<<20)}))
		if !slices.Contains([]syscall.Errno{0, syscall.ENOSYS, syscall.ENOTTY}, r.Errno) {
			t.Errorf("request %d, %s: %v", i, fusedispatcher.OpcodeName(hdr.Opcode), r.Errno)
		}
	}
}
