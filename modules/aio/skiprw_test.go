package aio_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/modules/aio"
)

// TestSkipRW wants reads and writes to be answered as if they were done, and not to be done.
func TestSkipRW(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, []byte("contents"), 0o644))
	r := newRig(t, aio.Opts{Root: dir, SkipRW: true})
	n := r.ok(r.lookup(root, "file")).r.Entry.Node
	fh := r.ok(r.open(n, syscall.O_RDWR)).r.Handle
	if got := r.ok(r.write(n, fh, 100, make([]byte, 4096))).r.Size; got != 4096 {
		t.Errorf("%d bytes are written", got)
	}
	buf := []byte("untouched")
	if got := r.ok(r.read(n, fh, 0, buf)).data; string(got) != "untouched" {
		t.Errorf("%q is read", got)
	}
	r.want(syscall.EBADF, r.write(n, fh+1, 0, buf))
	if got, err := os.ReadFile(path); err != nil || string(got) != "contents" {
		t.Errorf("the file has %q, %v", got, err)
	}
	r.ok(r.release(n, fh))
	ro := newRig(t, aio.Opts{Root: dir, SkipRW: true, ReadOnly: true})
	n = ro.ok(ro.lookup(root, "file")).r.Entry.Node
	fh = ro.ok(ro.open(n, syscall.O_RDONLY)).r.Handle
	ro.want(syscall.EROFS, ro.write(n, fh, 0, buf))
	ro.ok(ro.release(n, fh))
}
