package aio_test

import (
	"flag"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fsdev/fsdevtest"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
)

var files = flag.Int("files", 20_000, "how many files TestLargeDirectory has in one directory")

func TestLargeDirectory(t *testing.T) {
	if testing.Short() {
		skip(t, slow)
	}
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			fsdevtest.RunScale(t, fsdevtest.Options{
				New: func(tb testing.TB, th *reactor.Thread, name string) *fsdev.Fsdev {
					a, err := aio.Create(th, name, aio.Opts{Root: tempDir(tb, p.dir)})
					if err != nil {
						tb.Fatal(err)
					}
					return a.Fsdev()
				},
			}, *files)
		})
	}
}
