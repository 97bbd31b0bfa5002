package main

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestWorkloadOnARealFileSystem(t *testing.T) {
	if err := workload(osFS{t.TempDir()}, 3*chunk+12345); err != nil {
		t.Error(err)
	}
}

func TestLoopback(t *testing.T) {
	mask, err := demoCPUs()
	if err != nil {
		t.Fatal(err)
	}
	if err := runLoopback(mask, 4*chunk); err != nil {
		t.Error(err)
	}
}

// brokenFS does one thing wrong.
type brokenFS struct {
	osFS
	fault string
}

func (f brokenFS) ReadFile(name string) ([]byte, error) {
	data, err := f.osFS.ReadFile(name)
	if f.fault == "read" && len(data) > 0 {
		data[0] ^= 1
	}
	return data, err
}

func (f brokenFS) ReadDir(name string) ([]string, error) {
	names, err := f.osFS.ReadDir(name)
	if f.fault == "list" {
		names = append(names, "ghost")
	}
	return names, err
}

func (f brokenFS) Rename(oldName, newName string) error {
	if f.fault == "rename" {
		data, err := f.osFS.ReadFile(oldName)
		return errors.Join(err, f.osFS.WriteFile(newName, data))
	}
	return f.osFS.Rename(oldName, newName)
}

func (f brokenFS) Remove(name string) error {
	if f.fault == "unlink" {
		return nil
	}
	return f.osFS.Remove(name)
}

func (f brokenFS) Open(name string, write bool) (file, error) {
	file, err := f.osFS.Open(name, write)
	if f.fault == "data" && write && name == "copy.bin" && err == nil {
		return lossyFile{file}, nil
	}
	if f.fault == "gone" && name == "data.bin" && !write {
		return nil, fs.ErrNotExist
	}
	return file, err
}

// lossyFile loses the last byte of the second MiB.
type lossyFile struct{ file }

func (f lossyFile) WriteAt(p []byte, off int64) (int, error) {
	if off == chunk {
		p[len(p)-1] ^= 0x80
	}
	return f.file.WriteAt(p, off)
}

func TestWorkloadNoticesFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"read":   "read back letters/draft.txt",
		"list":   "list letters",
		"rename": "rename letters/draft.txt",
		"unlink": "unlink letters/2026/final.txt",
		"data":   "verify copy.bin: the MiB at offset 1048576",
		"gone":   "copy data.bin",
	} {
		err := workload(brokenFS{osFS{t.TempDir()}, fault}, 3*chunk)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", fault, err, want)
		}
	}
}
