package memfs

import (
	"fmt"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// BenchmarkMemory is what files take, in bytes of Go heap (B/file) and of the arena (data-B/file): empty ones in one
// directory, such as were looked up by two clients, directories, and files of a page and of 1 MiB. The package's
// comment has the figures.
func BenchmarkMemory(b *testing.B) {
	for _, bm := range []struct {
		what    string
		size    int
		dir     bool
		clients int
	}{{"empty", 0, false, 1}, {"clients=2", 0, false, 2}, {"directory", 0, true, 1}, {"4KiB", 4096, false, 1},
		{"1MiB", 1 << 20, false, 1}} {
		b.Run(bm.what, func(b *testing.B) {
			n := 200_000
			if bm.size >= 1<<20 {
				n = 500
			}
			for b.Loop() {
				files, data := memoryOf(b, n, bm.size, bm.dir, bm.clients)
				b.ReportMetric(files, "B/file")
				b.ReportMetric(data, "data-B/file")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func memoryOf(tb testing.TB, n, size int, dir bool, clients int) (files, data float64) {
	r := newRig(tb, Opts{Size: 2 << 30, Inodes: 1 << 20})
	content := make([]byte, size)
	before := heap()
	for i := range n {
		name := fmt.Sprintf("file-%08d", i)
		if dir {
			r.mkdir(r.root, name)
			continue
		}
		obj := r.mkfile(r.root, name)
		if size > 0 {
			r.put1(obj, 0, content)
		}
	}
	for range clients - 1 {
		other := newClientOf(r)
		r.as(other.desc)
		for i := range n {
			_, errno := r.lookup1(r.root, fmt.Sprintf("file-%08d", i))
			r.must(errno)
		}
	}
	after := heap()
	return float64(after-before) / float64(n), float64(r.fs.arena.touched.Load()*pageSize) / float64(n)
}

// newClientOf makes one more client of a rig's file system.
func newClientOf(r *rig) *client { return r.fs.ensureClient(new(fsdev.Desc)) }

// TestMemoryOfFiles holds an empty file to what the package's comment says it takes.
func TestMemoryOfFiles(t *testing.T) {
	if raceEnabled {
		return // which takes memory of its own
	}
	files, _ := memoryOf(t, 50_000, 0, false, 1)
	if t.Logf("%.0f bytes per empty file", files); files > 800 {
		t.Errorf("an empty file takes %.0f bytes", files)
	}
}
