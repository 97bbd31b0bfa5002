package uring_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

func TestReadsInline(t *testing.T) {
	if uring.ReadsInline(-1) {
		t.Error("a file that is not open")
	}
	fd, path := tempFile(t, "hello")
	inline := uring.ReadsInline(fd)
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		t.Fatal(err)
	}
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		if !inline {
			t.Errorf("a file system of type %#x", fs.Type)
		}
	}
	shm, err := os.CreateTemp("/dev/shm", "uring-")
	if err != nil {
		return
	}
	defer shm.Close()
	defer os.Remove(shm.Name())
	t.Logf("type %#x: %v, /dev/shm: %v", fs.Type, inline, uring.ReadsInline(int(shm.Fd())))
}
