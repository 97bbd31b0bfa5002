package aio_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// BenchmarkFloor is what the calls cost that BenchmarkLoopback makes: the rest of it is ours.
func BenchmarkFloor(b *testing.B) {
	for _, p := range places {
		dir := tempDir(b, p.dir)
		must(b, os.WriteFile(filepath.Join(dir, "file"), make([]byte, benchFile), 0o644))
		d, err := unix.Open(dir, unix.O_PATH, 0)
		must(b, err)
		defer unix.Close(d)
		f, err := unix.Openat(d, "file", unix.O_RDWR, 0)
		must(b, err)
		defer unix.Close(f)
		var st unix.Stat_t
		var stx unix.Statx_t
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_BENEATH | 0x20}
		name, empty := &[]byte("file\x00")[0], &[]byte{0}[0]
		buf := make([]byte, 4096)
		iov := []unix.Iovec{{Base: &buf[0]}}
		iov[0].SetLen(len(buf))
		off := int64(0)
		for _, call := range []struct {
			name string
			fn   func()
		}{
			{"getppid", func() { unix.Getppid() }},
			{"fstat", func() { sys.Fstat(f, &st) }},
			{"statx", func() { sys.Statx(f, empty, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &stx) }},
			{"openat2+close", func() {
				fd, errno := sys.Openat2(d, name, &how)
				if errno != 0 {
					b.Fatal(errno)
				}
				sys.Close(fd)
			}},
			{"preadv2", func() { off = (off + 7919*4096) % benchFile; sys.Preadv2(f, iov, off, 0) }},
			{"pwritev2", func() { off = (off + 7919*4096) % benchFile; sys.Pwritev2(f, iov, off, 0) }},
			{"create+unlink", func() {
				fd, errno := sys.Openat(d, &[]byte("new\x00")[0], unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644)
				if errno != 0 {
					b.Fatal(errno)
				}
				sys.Unlinkat(d, &[]byte("new\x00")[0], 0)
				sys.Close(fd)
			}},
		} {
			b.Run(p.name+"/"+call.name, func(b *testing.B) {
				before := cpuTime(b)
				n := 0
				for b.Loop() {
					call.fn()
					n++
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(n), "cpu-ns/op")
			})
		}
	}
}
