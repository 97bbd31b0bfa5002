package aio_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fsdev/fsdevtest"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
)

// places are directories on file systems of each kind that the module treats differently, as far as there are some.
var places = []struct {
	name, dir string
}{
	{"disk", ""}, // what os.TempDir is on
	{"memory", "/dev/shm"},
}

func TestConformance(t *testing.T) {
	for _, p := range places {
		for _, o := range []struct {
			name string
			opts aio.Opts
		}{
			{"ring", aio.Opts{PosixACL: true}},
			{"workers", aio.Opts{Xattr: true, NoRing: true, NoOpen: true}},
			{"handles", aio.Opts{PosixACL: true, InodeFileHandles: aio.FileHandlesMandatory, NodeFDs: 1}},
		} {
			t.Run(p.name+"/"+o.name, func(t *testing.T) {
				if o.opts.InodeFileHandles == aio.FileHandlesMandatory {
					needFileHandles(t)
				}
				fsdevtest.Run(t, fsdevtest.Options{
					New: func(tb testing.TB, th *reactor.Thread, name string) *fsdev.Fsdev {
						opts := o.opts
						opts.Root = tempDir(tb, p.dir)
						a, err := aio.Create(th, name, opts)
						if err != nil {
							tb.Fatal(err)
						}
						return a.Fsdev()
					},
					MayGoStale:  o.opts.InodeFileHandles == aio.FileHandlesMandatory,
					RenameFlags: unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE,
					FallocModes: []uint32{
						unix.FALLOC_FL_KEEP_SIZE,
						unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE,
					},
				})
			})
		}
	}
}
