package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// fileSystem is what the workload needs; paths are relative to the root.
type fileSystem interface {
	MkdirAll(path string) error
	WriteFile(path string, data []byte) error
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) (names []string, err error)
	Rename(oldPath, newPath string) error
	Remove(path string) error
	// Open opens a file for reading, or makes one for writing.
	Open(path string, write bool) (file, error)
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// chunk is how much the copy moves at once.
const chunk = 1 << 20

// step prints what a step of the workload did and how long it took.
func step(what, detail string, fn func() error) error {
	start := time.Now()
	if err := fn(); err != nil {
		return fmt.Errorf("%s %s: %w", what, detail, err)
	}
	fmt.Printf("  %-10s %-44s %12v\n", what, detail, time.Since(start).Round(time.Microsecond))
	return nil
}

const (
	oldName = "letters/draft.txt"
	newName = "letters/2026/final.txt"
	text    = "Dear kernel,\nthis file lives on a polled core.\n"
)

// workload uses a file system in every way that the demo shows, and checks what it reads.
func workload(f fileSystem, size int) error {
	steps := []struct {
		what, detail string
		fn           func() error
	}{
		{"mkdir", "letters/2026", func() error { return f.MkdirAll("letters/2026") }},
		{"create", oldName, func() error { return f.WriteFile(oldName, nil) }},
		{"write", fmt.Sprintf("%s, %d bytes", oldName, len(text)), func() error {
			return f.WriteFile(oldName, []byte(text))
		}},
		{"read back", oldName, func() error { return expectContent(f, oldName, text) }},
		{"rename", oldName + " -> 2026/final.txt", func() error {
			if err := f.Rename(oldName, newName); err != nil {
				return err
			}
			return expectGone(f, oldName)
		}},
		{"list", "letters, letters/2026", func() error {
			if err := expectNames(f, "letters", "2026"); err != nil {
				return err
			}
			return expectNames(f, "letters/2026", "final.txt")
		}},
		{"read back", newName, func() error { return expectContent(f, newName, text) }},
		{"unlink", newName, func() error {
			if err := f.Remove(newName); err != nil {
				return err
			}
			return errors.Join(expectGone(f, newName), expectNames(f, "letters/2026"))
		}},
	}
	for _, s := range steps {
		if err := step(s.what, s.detail, s.fn); err != nil {
			return err
		}
	}
	if err := bigFiles(f, size); err != nil {
		return err
	}
	return step("remove", "everything", func() error {
		for _, name := range []string{"copy.bin", "data.bin", "letters/2026", "letters"} {
			if err := f.Remove(name); err != nil {
				return err
			}
		}
		return expectNames(f, "")
	})
}

func expectContent(f fileSystem, name, want string) error {
	got, err := f.ReadFile(name)
	if err == nil && string(got) != want {
		err = fmt.Errorf("it reads %q, not %q", got, want)
	}
	return err
}

func expectNames(f fileSystem, dir string, want ...string) error {
	got, err := f.ReadDir(dir)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("%s lists %q, not %q", dir, got, want)
	}
	return err
}

func expectGone(f fileSystem, name string) error {
	if _, err := f.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s should not exist any more: %v", name, err)
	}
	return nil
}

// bigFiles writes a large file, copies it, and reads the copy back.
func bigFiles(f fileSystem, size int) error {
	buf := make([]byte, chunk)
	copyOnce := func() error {
		return transfer(f, "data.bin", "copy.bin", size, func(int) []byte { return buf }, nil)
	}
	moves := []struct {
		what, detail string
		fn           func() error
	}{
		{"write", "data.bin", func() error {
			return transfer(f, "", "data.bin", size, func(off int) []byte { return pattern(buf, off) }, nil)
		}},
		{"copy", "data.bin -> copy.bin", copyOnce},
		// The first time, the machine had to find the memory.
		{"copy again", "data.bin -> copy.bin", copyOnce},
		{"verify", "copy.bin", func() error {
			want := make([]byte, chunk)
			return transfer(f, "copy.bin", "", size, func(int) []byte { return buf }, func(off int, got []byte) error {
				if !bytes.Equal(got, pattern(want, off)[:len(got)]) {
					return fmt.Errorf("the MiB at offset %d is not what was written", off)
				}
				return nil
			})
		}},
	}
	for _, m := range moves {
		start := time.Now()
		if err := m.fn(); err != nil {
			return fmt.Errorf("%s %s: %w", m.what, m.detail, err)
		}
		d := time.Since(start)
		fmt.Printf("  %-10s %-44s %12v %8.0f MiB/s\n", m.what, fmt.Sprintf("%s, %d MiB", m.detail, size>>20),
			d.Round(time.Microsecond), float64(size)/(1<<20)/d.Seconds())
	}
	return nil
}

// transfer moves size bytes in chunks: from the file from, if there is one, into the buffer of
// fill, through check, if there is one, and into the file to, if there is one.
func transfer(f fileSystem, from, to string, size int, fill func(off int) []byte,
	check func(off int, got []byte) error) (err error) {
	var src, dst file
	if from != "" {
		if src, err = f.Open(from, false); err != nil {
			return err
		}
		defer src.Close()
	}
	if to != "" {
		if dst, err = f.Open(to, true); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, dst.Close()) }()
	}
	for off := 0; off < size; off += chunk {
		p := fill(off)[:min(chunk, size-off)]
		if src != nil {
			n, err := src.ReadAt(p, int64(off))
			if err != nil && (err != io.EOF || n < len(p)) {
				return err
			}
		}
		if check != nil {
			if err := check(off, p); err != nil {
				return err
			}
		}
		if dst != nil {
			if _, err := dst.WriteAt(p, int64(off)); err != nil {
				return err
			}
		}
	}
	return nil
}

// pattern fills p with bytes that depend on where in the file they are.
func pattern(p []byte, off int) []byte {
	unit := fmt.Sprintf("[%12d]\n", off)
	for n := copy(p, unit); n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
	return p
}

// indent prefixes every line, to set another program's output off.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}
