package reactor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// CoreLockDir is where SPDK's applications keep the locks of cores, and so do we: they find
// each other there. SPDK: the path in claim_cpu_cores
const CoreLockDir = "/var/tmp"

// CoreLocks are cores that no other process, and no other framework of this one, may claim.
//
// SPDK: g_core_locks
type CoreLocks struct {
	dir   dirID
	locks []coreLock
}

type coreLock struct {
	core int
	fd   int // open as long as the lock is held
	path string
}

// dirID tells directories apart, whatever path leads there.
type dirID struct{ dev, ino uint64 }

type lockID struct {
	dirID
	core int
}

// coresHeld are the locks of this process. It is one of the few things that belong to the
// process and not to a framework, as the locks of fcntl(2) do: it never refuses one to
// itself, and loses it as soon as it closes any descriptor of the file.
var coresHeld = struct {
	sync.Mutex
	by map[lockID]bool
}{by: map[lockID]bool{}}

// CoreLockError says why a core could not be locked. It wraps EBUSY if the core is taken.
//
// SPDK: failed_core of claim_cpu_cores
type CoreLockError struct {
	Core int
	PID  int // of the process that has the lock, 0 if it is not known
	Path string
	Err  syscall.Errno
	what string
}

func (e *CoreLockError) Error() string {
	if e.Err != unix.EBUSY {
		return fmt.Sprintf("reactor: core %d: %s: %s: %v", e.Core, e.Path, e.what, e.Err)
	}
	owner, todo := "a process that cannot be seen from here", "stop it, choose"
	switch {
	case e.PID == os.Getpid():
		owner, todo = "another framework of this process", "choose"
	case e.PID > 0:
		owner = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("reactor: core %d is locked by %s (%s): %s other cores, or disable core locks",
		e.Core, owner, e.Path, todo)
}

func (e *CoreLockError) Unwrap() error { return e.Err }

// LockCores claims cores for the caller, all or none, with files in dir, which is
// [CoreLockDir] outside of tests. The files are compatible with SPDK's: a write lock of
// fcntl(2), and the owner's process id as an int of the machine. Files that a process left
// behind are no obstacle, unless they belong to a user whose files may not be opened.
//
// The error is a [*CoreLockError], for the lowest core that cannot be had, and wraps EBUSY
// if another has it, EACCES if a file may not be opened. Any goroutine may call it, but not a reactor.
//
// SPDK: claim_cpu_cores
func LockCores(dir string, cores []int) (*CoreLocks, error) {
	cores = slices.Compact(slices.Sorted(slices.Values(cores)))
	if len(cores) > 0 && cores[0] < 0 {
		return nil, &CoreLockError{Core: cores[0], Path: dir, Err: unix.EINVAL, what: "there is no such core"}
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil && len(cores) > 0 {
		return nil, &CoreLockError{Core: cores[0], Path: dir, Err: err.(syscall.Errno), what: "no directory for locks"}
	}
	l := &CoreLocks{dir: dirID{uint64(st.Dev), st.Ino}}
	coresHeld.Lock()
	defer coresHeld.Unlock()
	for _, core := range cores {
		lock := coreLock{core: core, path: filepath.Join(dir, fmt.Sprintf("spdk_cpu_lock_%03d", core))}
		id := lockID{l.dir, core}
		if coresHeld.by[id] { // the file must not even be opened
			_ = l.unlock()
			return nil, &CoreLockError{Core: core, PID: os.Getpid(), Path: lock.path, Err: unix.EBUSY}
		}
		if err := lock.take(); err != nil {
			_ = l.unlock()
			return nil, err
		}
		coresHeld.by[id] = true
		l.locks = append(l.locks, lock)
	}
	return l, nil
}

// Cores returns the cores that are locked. SPDK: g_core_locks
func (l *CoreLocks) Cores() *Cpuset {
	coresHeld.Lock()
	defer coresHeld.Unlock()
	s := &Cpuset{}
	for _, lock := range l.locks {
		s.Set(lock.core, true)
	}
	return s
}

// Keep makes the locks outlast execve(2), whose program then has them without knowing: they go with the process. It
// returns the files, for who removes them as long as that lives. Any goroutine may call it, but not a reactor.
//
// Not in SPDK, which does not execute itself.
func (l *CoreLocks) Keep() (files []string, err error) {
	coresHeld.Lock()
	defer coresHeld.Unlock()
	for _, lock := range l.locks {
		if _, err := unix.FcntlInt(uintptr(lock.fd), unix.F_SETFD, 0); err != nil {
			return nil, lock.fail("fcntl", err)
		}
		files = append(files, lock.path)
	}
	return files, nil
}

// Unlock gives the cores up and removes the files. Doing so again is harmless. The error
// says which files could not be removed; the locks are gone all the same. Any goroutine may
// call it, but not a reactor.
//
// SPDK: unclaim_cpu_cores
func (l *CoreLocks) Unlock() error {
	coresHeld.Lock()
	defer coresHeld.Unlock()
	return l.unlock()
}

func (l *CoreLocks) unlock() error {
	var errs []error
	for _, lock := range l.locks {
		errs = append(errs, lock.drop())
		delete(coresHeld.by, lockID{l.dir, lock.core})
	}
	l.locks = nil
	return errors.Join(errs...)
}

func (c *coreLock) fail(what string, err error) error {
	return &CoreLockError{Core: c.core, Path: c.path, Err: err.(syscall.Errno), what: what}
}

// take opens the file and locks it. Somebody who gives the core up at the same time may
// remove the file in between; what is locked then is worth nothing, and it starts again.
func (c *coreLock) take() error {
	for {
		fd, err := c.open()
		if err == unix.EEXIST {
			continue // it was created in between
		}
		if err != nil {
			return c.refused(err)
		}
		removed, err := c.lock(fd)
		if err == nil && !removed {
			c.fd = fd
			return nil
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
}

// open opens the file, or creates it. O_CREAT on a file that exists would be refused, even
// to root, if it is another user's and the directory is for all (fs.protected_regular). In
// such a directory the name may have been made a trap too: links are not followed, and
// nothing is waited for.
func (c *coreLock) open() (int, error) {
	const flags = unix.O_RDWR | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := unix.Open(c.path, flags, 0)
	if err == unix.ENOENT {
		fd, err = unix.Open(c.path, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
	}
	return fd, err
}

// refused explains why the file cannot be opened.
func (c *coreLock) refused(err error) error {
	var st unix.Stat_t
	if unix.Lstat(c.path, &st) != nil {
		return c.fail("the lock file cannot be created: check the directory, or disable core locks", err)
	}
	if err == unix.ELOOP {
		return c.fail("it is a symbolic link: have it removed, or disable core locks", err)
	}
	return c.fail(fmt.Sprintf("the lock file of user %d cannot be opened: have it removed if nothing of theirs runs on "+
		"the core, choose other cores, or disable core locks", st.Uid), err)
}

// lock locks the open file and writes down who did.
func (c *coreLock) lock(fd int) (removed bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, c.fail("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 1 {
		return false, c.fail("it is no lock file: have it removed, or disable core locks", unix.EINVAL)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK} // from 0 to 0 is all
	err = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &whole)
	if err == unix.EAGAIN || err == unix.EACCES {
		return false, &CoreLockError{Core: c.core, PID: lockOwner(fd), Path: c.path, Err: unix.EBUSY}
	}
	if err != nil {
		return false, c.fail("fcntl", err)
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return false, c.fail("fstat", err)
	}
	if st.Nlink == 0 {
		return true, nil
	}
	pid := binary.NativeEndian.AppendUint32(nil, uint32(os.Getpid()))
	if _, err := unix.Pwrite(fd, pid, 0); err != nil {
		_ = unix.Unlink(c.path)
		return false, c.fail("write", err)
	}
	return false, nil
}

// lockOwner returns the process that has the lock of a file: what the kernel says, and if
// it is not allowed to (another PID namespace) or does not know (a lock of the file, not of
// a process), what is written there.
func lockOwner(fd int) int {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &whole) == nil && whole.Type != unix.F_UNLCK && whole.Pid > 0 {
		return int(whole.Pid)
	}
	var pid [4]byte
	if n, err := unix.Pread(fd, pid[:], 0); err != nil || n < len(pid) {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(pid[:])))
}

// drop removes the file, if it is still the one that is locked, while nobody else can lock
// it, and then gives the lock up.
func (c *coreLock) drop() error {
	var err error
	var mine, there unix.Stat_t
	if unix.Fstat(c.fd, &mine) == nil && unix.Lstat(c.path, &there) == nil &&
		mine.Ino == there.Ino && mine.Dev == there.Dev {
		err = unix.Unlink(c.path)
	}
	unix.Close(c.fd)
	if err != nil {
		return fmt.Errorf("reactor: core %d is unlocked, but its lock file stays: unlink %s: %w", c.core, c.path, err)
	}
	return nil
}
