package fsx

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memory returns a directory in memory, where a sync costs nothing, if there is one.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "fsx-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestPlainFile runs where no code of ours is involved: what fails here is fsx's own fault.
func TestPlainFile(t *testing.T) {
	seed, n := uint64(time.Now().UnixNano()), 5000
	if testing.Short() {
		n = 1000
	}
	t.Logf("seed %d", seed)
	if f := Run(filepath.Join(memory(t), "f"), Generate(seed, n)); f != nil {
		t.Error(f)
	}
}

// TestCanary damages the file behind fsx's back, each time in another way, and wants that to be found.
func TestCanary(t *testing.T) {
	ops := Generate(1, 2000)
	for what, damage := range map[string]func(fd int) error{
		"a byte":     func(fd int) error { _, err := unix.Pwrite(fd, []byte{0}, 100); return err },
		"the end":    func(fd int) error { return unix.Ftruncate(fd, 1) },
		"a new page": func(fd int) error { _, err := unix.Pwrite(fd, make([]byte, 4096), MaxSize); return err },
		"a hole": func(fd int) error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, MaxSize)
		},
	} {
		path := filepath.Join(memory(t), "f")
		f := run(path, ops, func(step int) {
			if step%100 != 99 { // now and then: the next write may repair it
				return
			}
			fd, err := unix.Open(path, unix.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(fd); err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(fd)
		})
		if f == nil {
			t.Errorf("%s: nothing was found", what)
			continue
		}
		t.Logf("%s: %v", what, f)
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the file is still there", what)
		}
	}
}

// TestGenerate wants a seed to give the same operations each time, and all kinds of them.
func TestGenerate(t *testing.T) {
	a, b := Generate(7, 2000), Generate(7, 2000)
	var seen [kinds]int
	for i, op := range a {
		if op != b[i] {
			t.Fatalf("%v became %v", op, b[i])
		}
		if op.Off >= MaxSize || op.Len >= maxLen {
			t.Errorf("%v reaches too far", op)
		}
		seen[op.Kind]++
	}
	for k, n := range seen {
		if n == 0 {
			t.Errorf("no %s", names[k])
		}
	}
}
