package memfs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fsdev/fsdevtest"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

func TestConformance(t *testing.T) {
	fsdevtest.Run(t, fsdevtest.Options{
		New: func(tb testing.TB, th *reactor.Thread, name string) *fsdev.Fsdev {
			m, err := memfs.Create(th, name, memfs.Opts{Size: 64 << 20})
			if err != nil {
				tb.Fatal(err)
			}
			return m.Fsdev()
		},
		RenameFlags: unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT,
		FallocModes: []uint32{
			unix.FALLOC_FL_KEEP_SIZE,
			unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE,
			unix.FALLOC_FL_ZERO_RANGE,
			unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE,
		},
	})
}
