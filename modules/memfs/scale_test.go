package memfs_test

import (
	"flag"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fsdev/fsdevtest"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

var files = flag.Int("files", 20_000, "how many files TestLargeDirectory has in one directory")

func TestLargeDirectory(t *testing.T) {
	if testing.Short() {
		skip(t, slow)
	}
	fsdevtest.RunScale(t, fsdevtest.Options{
		New: func(tb testing.TB, th *reactor.Thread, name string) *fsdev.Fsdev {
			m, err := memfs.Create(th, name, memfs.Opts{Size: 64 << 20, Inodes: uint64(2**files + 100_000)})
			if err != nil {
				tb.Fatal(err)
			}
			return m.Fsdev()
		},
	}, *files)
}
