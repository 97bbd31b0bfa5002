package fusedispatcher_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Where another file system begins a client is told if it and the module have agreed on that.
func TestSubmountsAreMarkedIfAgreedOn(t *testing.T) {
	for _, offered := range []bool{false, true} {
		for _, asked := range []bool{false, true} {
			for _, is := range []bool{false, true} {
				b := newBed(t, 1, fusedispatcher.Opts{})
				b.FS.Mount = func(io *fsdev.IO) {
					io.Mount = fsdev.MountOpts{Submounts: offered}
					b.FS.Mounted(io)
				}
				flags := uint64(FUSE_INIT_EXT)
				if asked {
					flags |= FUSE_SUBMOUNTS
				}
				b.InitFlags(45, flags)
				b.FS.Do = func(io *fsdev.IO) {
					fill(io)
					io.OutAttr.Submount = is
					io.Complete(0)
				}
				var e EntryOut
				copy(Bytes(&e), b.Do(0, FUSE_LOOKUP, node, 144, cstr("n")).Payload())
				want := uint32(0)
				if offered && asked && is {
					want = FUSE_ATTR_SUBMOUNT
				}
				if e.Attr.Flags != want {
					t.Errorf("offered %v, asked for %v, submount %v: flags %#x, want %#x",
						offered, asked, is, e.Attr.Flags, want)
				}
			}
		}
	}
}
