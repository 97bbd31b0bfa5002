package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dataSize is the size of the file that is read and written, in bytes.
const dataSize = 128 << 20

// load is one line of the table.
type load struct {
	name string
	unit string
	// cached says that the kernel's page cache has a part in it, so that there is none in mode none.
	cached bool
	run    func(c *config, m *mounted) (float64, error)
}

const (
	perSecond = "/s"
	mibs      = "MiB/s"
)

// loads are the lines in order.
var loads = []load{
	{"4 KiB random read, direct, depth 1", perSecond, false, fio("randread", "4k", 1, true)},
	{"4 KiB random read, direct, depth 32", perSecond, false, fio("randread", "4k", 32, true)},
	{"4 KiB random write, direct, depth 1", perSecond, false, fio("randwrite", "4k", 1, true)},
	{"4 KiB random write, direct, depth 32", perSecond, false, fio("randwrite", "4k", 32, true)},
	{"1 MiB sequential read, direct", mibs, false, fio("read", "1m", 1, true)},
	{"1 MiB sequential write, direct", mibs, false, fio("write", "1m", 1, true)},
	{"4 KiB random read, cold cache, depth 1", perSecond, true, fio("randread", "4k", 1, false)},
	{"4 KiB random read, cold cache, depth 32", perSecond, true, fio("randread", "4k", 32, false)},
	{"4 KiB random write, cached, depth 1", perSecond, true, fio("randwrite", "4k", 1, false)},
	{"4 KiB random write, cached, depth 32", perSecond, true, fio("randwrite", "4k", 32, false)},
	{"1 MiB sequential read, cold cache", mibs, true, fio("read", "1m", 1, false)},
	{"1 MiB sequential write, cached", mibs, true, fio("write", "1m", 1, false)},
	{"create", perSecond, false, names(1, createPhase)},
	{"stat", perSecond, false, names(1, statPhase)},
	{"unlink", perSecond, false, names(1, unlinkPhase)},
	{"create, 4 at once", perSecond, false, names(4, createPhase)},
	{"stat, 4 at once", perSecond, false, names(4, statPhase)},
	{"unlink, 4 at once", perSecond, false, names(4, unlinkPhase)},
}

// prepare makes the file that is read, from below.
func prepare(m *mounted) error {
	f, err := os.Create(filepath.Join(m.src, "data"))
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for i := range buf {
		buf[i] = byte(i * 7)
	}
	for range dataSize / len(buf) {
		if _, err = f.Write(buf); err != nil {
			break
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// fioReport is what is used of fio's JSON.
type fioReport struct {
	Jobs []struct {
		Read, Write struct {
			IOPS    float64 `json:"iops"`
			BWBytes float64 `json:"bw_bytes"`
		}
	}
}

// fio returns the run of a load of fio's. Reads that may be cached read each block once, after the cache has been
// emptied.
func fio(rw, bs string, depth int, direct bool) func(c *config, m *mounted) (float64, error) {
	return func(c *config, m *mounted) (float64, error) {
		args := []string{"--name=bench", "--output-format=json", "--filename=" + filepath.Join(m.dir, "data"),
			fmt.Sprint("--size=", dataSize), "--rw=" + rw, "--bs=" + bs, "--thread", "--fallocate=none",
			"--randrepeat=0", "--gtod_reduce=1", fmt.Sprint("--runtime=", c.runtime.Milliseconds(), "ms"),
		}
		isRead := rw == "read" || rw == "randread"
		if direct || !isRead {
			args = append(args, "--time_based", "--norandommap")
		}
		if direct {
			args = append(args, "--direct=1")
		}
		if depth > 1 {
			args = append(args, "--ioengine=io_uring", fmt.Sprint("--iodepth=", depth))
		} else {
			args = append(args, "--ioengine=psync")
		}
		if !direct && isRead {
			if err := dropCache(m); err != nil {
				return 0, err
			}
		}
		out, err := exec.Command("fio", args...).Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				err = fmt.Errorf("%w: %s%s", err, exit.Stderr, out)
			}
			return 0, fmt.Errorf("fio %v: %w", args, err)
		}
		var r fioReport
		if err := json.Unmarshal(out, &r); err != nil || len(r.Jobs) != 1 {
			return 0, fmt.Errorf("fio's report: %w", err)
		}
		res := r.Jobs[0].Write
		if isRead {
			res = r.Jobs[0].Read
		}
		if bs == "1m" {
			return res.BWBytes / (1 << 20), nil
		}
		return res.IOPS, nil
	}
}

// dropCache has the kernel forget the pages of the file at the mount, not those below it.
func dropCache(m *mounted) error {
	f, err := os.Open(filepath.Join(m.dir, "data"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise: %w", err)
	}
	return nil
}

// phase is what is done with names.
type phase int

const (
	createPhase phase = iota
	statPhase
	unlinkPhase
	phases
)

// rounds is how many names a thread makes, looks at and removes in one go.
const rounds = 1000

// names returns a load of threads that create, stat and unlink names of their own directories; what counts is the
// time of one of the three.
func names(threads int, which phase) func(c *config, m *mounted) (float64, error) {
	return func(c *config, m *mounted) (float64, error) {
		var total time.Duration
		n := 0
		for total < c.runtime {
			spent, err := nameRound(m.dir, threads)
			if err != nil {
				return 0, err
			}
			total += spent[which]
			n += rounds * threads
		}
		return float64(n) / total.Seconds(), nil
	}
}

func nameRound(dir string, threads int) (spent [phases]time.Duration, err error) {
	paths := make([][]string, threads)
	for t := range paths {
		d := filepath.Join(dir, fmt.Sprint("names", t))
		if err := os.Mkdir(d, 0o755); err != nil {
			return spent, err
		}
		for i := range rounds {
			paths[t] = append(paths[t], fmt.Sprintf("%s/file%06d", d, i))
		}
	}
	for p := range phases {
		errs := make([]error, threads)
		begin := time.Now()
		var wg sync.WaitGroup
		for t := range paths {
			wg.Go(func() {
				for _, name := range paths[t] {
					if errs[t] = p.do(name); errs[t] != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		spent[p] = time.Since(begin)
		if err := errors.Join(errs...); err != nil {
			return spent, err
		}
	}
	for t := range paths {
		if err := os.Remove(filepath.Dir(paths[t][0])); err != nil {
			return spent, err
		}
	}
	return spent, nil
}

func (p phase) do(name string) error {
	switch p {
	case createPhase:
		fd, err := syscall.Open(name, syscall.O_CREAT|syscall.O_EXCL|syscall.O_WRONLY|syscall.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		return syscall.Close(fd)
	case statPhase:
		// As of a name that the kernel does not remember for as long as it could.
		var st unix.Statx_t
		return unix.Statx(unix.AT_FDCWD, name, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	}
	return syscall.Unlink(name)
}
