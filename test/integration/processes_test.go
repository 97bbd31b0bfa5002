package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	helpers["append"] = appendHelper
	helpers["lock"] = lockHelper
}

const (
	appendProcesses = 4
	appendRecords   = 500
	appendSize      = 100 // bytes of a record
)

// runAppend has processes append records to one file at once: none may be lost, torn or overwritten.
func runAppend(t *testing.T, c *client) {
	file := filepath.Join(c.dir, "log")
	var jobs []*job
	for i := range appendProcesses {
		jobs = append(jobs, c.startHelper(t, "append", file, strconv.Itoa(i)))
	}
	for _, j := range jobs {
		j.mustEnd(t, workloadTimeout)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := appendProcesses * appendRecords * appendSize; len(text) != want {
		t.Errorf("%d bytes, want %d", len(text), want)
	}
	next := make([]int, appendProcesses)
	for i := 0; i+appendSize <= len(text); i += appendSize {
		var who, n int
		record := string(text[i : i+appendSize])
		if _, err := fmt.Sscanf(record, "%d %d ", &who, &n); err != nil || record != appendRecord(who, n) {
			t.Fatalf("torn record at %d: %q", i, record)
		}
		if n != next[who] {
			t.Fatalf("process %d: record %d follows %d", who, n, next[who]-1)
		}
		next[who]++
	}
}

func appendRecord(who, n int) string {
	s := fmt.Sprintf("%d %d ", who, n)
	return s + strings.Repeat(string(rune('a'+who)), appendSize-len(s)-1) + "\n"
}

func appendHelper(args []string) error {
	who, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for n := range appendRecords {
		if _, err := unix.Write(fd, []byte(appendRecord(who, n))); err != nil {
			return err
		}
	}
	return unix.Close(fd)
}

// runLocks tests flock and fcntl locks between processes. A helper holds the lock of each step while this process
// tries others.
func runLocks(t *testing.T, c *client) {
	file := filepath.Join(c.dir, "locked")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		fd, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	fd := open()
	posix := func(typ int16, start, length int64) error {
		return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: typ, Start: start, Len: length})
	}
	want := func(what string, err, want error) {
		t.Helper()
		if err != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}

	held := holdLock(t, c, file, "flock-ex")
	want("LOCK_EX beside LOCK_EX", unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	want("LOCK_SH beside LOCK_EX", unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
	want("fcntl beside flock", posix(unix.F_WRLCK, 0, 0), nil)
	want("fcntl unlock", posix(unix.F_UNLCK, 0, 0), nil)
	held.release(t)
	want("LOCK_EX after release", unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), nil)
	want("own second descriptor", unix.Flock(open(), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
	want("LOCK_UN", unix.Flock(fd, unix.LOCK_UN), nil)

	held = holdLock(t, c, file, "flock-sh")
	want("LOCK_SH beside LOCK_SH", unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), nil)
	want("upgrade beside LOCK_SH", unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	held.release(t)
	want("LOCK_EX after release", unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), nil)
	want("downgrade", unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), nil)
	want("LOCK_UN", unix.Flock(fd, unix.LOCK_UN), nil)

	held = holdLock(t, c, file, "flock-ex")
	released := make(chan struct{})
	go func() {
		time.Sleep(100 * time.Millisecond) // let the call below wait first
		held.cmd.kill()                    // death releases it too
		close(released)
	}()
	want("waiting LOCK_EX", unix.Flock(fd, unix.LOCK_EX), nil)
	<-released
	want("LOCK_UN", unix.Flock(fd, unix.LOCK_UN), nil)

	held = holdLock(t, c, file, "posix-write-0-5")
	want("overlapping", posix(unix.F_RDLCK, 4, 2), unix.EAGAIN)
	want("beside", posix(unix.F_WRLCK, 5, 5), nil)
	get := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 10}
	want("F_GETLK", unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &get), nil)
	if int(get.Pid) != held.cmd.cmd.Process.Pid || get.Start != 0 || get.Len != 5 || get.Type != unix.F_WRLCK {
		t.Errorf("F_GETLK: %+v, want process %d, bytes 0 to 5", get, held.cmd.cmd.Process.Pid)
	}
	held.release(t)
	want("after release", posix(unix.F_WRLCK, 0, 5), nil)
	want("unlock", posix(unix.F_UNLCK, 0, 0), nil)
}

// heldLock is a process that holds a lock until its standard input ends.
type heldLock struct{ cmd *job }

func holdLock(t *testing.T, c *client, file, kind string) *heldLock {
	t.Helper()
	flag := filepath.Join(c.host, "held")
	_ = os.Remove(flag)
	_ = os.Remove(flag + ".release")
	h := &heldLock{c.startHelper(t, "lock", file, kind, flag)}
	if !eventually(20*time.Second, func() bool { _, err := os.Stat(flag); return err == nil }) {
		t.Fatalf("no lock: %s", h.cmd.state())
	}
	return h
}

func (h *heldLock) release(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(h.cmd.cmd.Args[3]+".release", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.cmd.mustEnd(t, 20*time.Second)
}

func lockHelper(args []string) error {
	file, kind, flag := args[0], args[1], args[2]
	fd, err := unix.Open(file, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	switch kind {
	case "flock-ex":
		err = unix.Flock(fd, unix.LOCK_EX)
	case "flock-sh":
		err = unix.Flock(fd, unix.LOCK_SH)
	default:
		err = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 5})
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		return err
	}
	if !eventually(time.Minute, func() bool { _, err := os.Stat(flag + ".release"); return err == nil }) {
		return fmt.Errorf("nobody released the lock")
	}
	return nil
}

// eventually polls cond until it holds or the time is over.
func eventually(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// pattern fills buf with bytes that depend on seed and on where they are in the file.
func pattern(buf []byte, seed uint64, offset int64) []byte {
	for i := range buf {
		x := (uint64(offset)+uint64(i))>>3*0x9e3779b97f4a7c15 + seed
		buf[i] = byte(x >> (8 * (uint64(offset+int64(i)) & 7)))
	}
	return buf
}

// samePattern says whether buf is what pattern would have written.
func samePattern(buf []byte, seed uint64, offset int64) bool {
	return bytes.Equal(buf, pattern(make([]byte, len(buf)), seed, offset))
}
