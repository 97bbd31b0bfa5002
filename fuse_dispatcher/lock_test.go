package fusedispatcher_test

import (
	"math"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// newLockSession makes a session whose module has byte-range locks, or has not.
func newLockSession(t *testing.T, posix bool) *bed {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.FS.Mount = func(io *fsdev.IO) {
		io.Mount.PosixLocks = posix
		b.FS.Mounted(io)
	}
	b.Init(45)
	return b
}

func TestFlock(t *testing.T) {
	for _, posix := range []bool{false, true} {
		b := newLockSession(t, posix)
		for _, tt := range []struct {
			op    uint32
			typ   uint32
			want  uint32
			errno syscall.Errno
		}{
			{FUSE_SETLK, syscall.F_RDLCK, syscall.LOCK_SH | syscall.LOCK_NB, 0},
			{FUSE_SETLK, syscall.F_WRLCK, syscall.LOCK_EX | syscall.LOCK_NB, 0},
			{FUSE_SETLK, syscall.F_UNLCK, syscall.LOCK_UN | syscall.LOCK_NB, 0},
			{FUSE_SETLKW, syscall.F_RDLCK, syscall.LOCK_SH, 0},
			{FUSE_SETLKW, syscall.F_WRLCK, syscall.LOCK_EX, 0},
			{FUSE_SETLKW, syscall.F_UNLCK, syscall.LOCK_UN, 0},
			{FUSE_SETLK, 3, 0, syscall.EINVAL},
			{FUSE_SETLKW, 1<<32 - 1, 0, syscall.EINVAL},
		} {
			b.FS.Calls = nil
			// The range is meaningless, and need not make sense.
			lk := FileLock{Type: tt.typ, Start: 2, End: 1}
			r := b.Do(0, tt.op, node, 64, Bytes(&LkIn{Lk: lk, LkFlags: FUSE_LK_FLOCK}))
			if r.Errno != tt.errno || (tt.errno == 0) != (len(b.FS.Calls) == 1) {
				t.Errorf("%+v: %v, %d calls", tt, r.Errno, len(b.FS.Calls))
			} else if tt.errno == 0 && (b.FS.Calls[0].Type != fsdev.IOFlock || b.FS.Calls[0].Flags != tt.want) {
				t.Errorf("%+v: the module saw %v with %#x", tt, b.FS.Calls[0].Type, b.FS.Calls[0].Flags)
			}
		}
	}
}

// Byte-range locks that make no sense do not reach the module, and none do without agreement.
func TestByteRangeLocks(t *testing.T) {
	const (
		rd, wr, un = syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK
		eof        = math.MaxInt64
	)
	for _, posix := range []bool{true, false} {
		b := newLockSession(t, posix)
		for _, tt := range []struct {
			op    uint32
			lk    FileLock
			flags uint32
			want  syscall.Errno
		}{
			{FUSE_SETLK, FileLock{Type: rd, End: eof}, 0, 0},
			{FUSE_SETLK, FileLock{Type: wr, Start: eof, End: eof}, 0, 0},
			{FUSE_SETLKW, FileLock{Type: un, Start: 7, End: 7}, 0, 0},
			{FUSE_SETLK, FileLock{Type: rd, Start: 1}, 0, syscall.EINVAL},
			{FUSE_SETLKW, FileLock{Type: wr, End: eof + 1}, 0, syscall.EINVAL},
			{FUSE_SETLKW, FileLock{Type: wr, Start: 1 << 63, End: 1<<64 - 1}, 0, syscall.EINVAL},
			{FUSE_SETLK, FileLock{Type: 3}, 0, syscall.EINVAL},
			{FUSE_GETLK, FileLock{Type: rd}, 0, 0},
			{FUSE_GETLK, FileLock{Type: wr, Start: 3, End: eof}, 0, 0},
			{FUSE_GETLK, FileLock{Type: un}, 0, syscall.EINVAL},
			{FUSE_GETLK, FileLock{Type: 1<<32 - 1}, 0, syscall.EINVAL},
			{FUSE_GETLK, FileLock{Type: rd, Start: 1}, 0, syscall.EINVAL},
			{FUSE_GETLK, FileLock{Type: rd}, FUSE_LK_FLOCK, syscall.EINVAL},
		} {
			b.FS.Calls = nil
			want := tt.want
			if !posix {
				want = syscall.ENOSYS
			}
			r := b.Do(0, tt.op, node, 64, Bytes(&LkIn{Fh: 42, Owner: 43, Lk: tt.lk, LkFlags: tt.flags}))
			if r.Errno != want || (want == 0) != (len(b.FS.Calls) == 1) {
				t.Errorf("agreed on %v, %+v: %v, %d calls", posix, tt, r.Errno, len(b.FS.Calls))
				continue
			}
			if want == 0 {
				got := b.FS.Calls[0]
				if got.Lock != (fsdev.Lock{Type: tt.lk.Type, Start: tt.lk.Start, End: tt.lk.End}) || got.Owner != 43 ||
					got.Wait != (tt.op == FUSE_SETLKW) {
					t.Errorf("%+v: the module saw %+v for owner %d, wait %v", tt, got.Lock, got.Owner, got.Wait)
				}
			}
		}
	}
}

// Who waits for a byte-range lock can be interrupted.
func TestInterruptEndsWaitingForAByteRangeLock(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = b.FS.Hold
	w := b.Start(0, FUSE_SETLKW, node, 16, Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}}))
	b.ExpectNone(w)
	b.Do(0, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique))
	b.Expect(w, syscall.EINTR)
}

// FLUSH gives up byte-range locks: a module that has them gets it even if it has nothing to sync.
func TestFlushIsNeededForByteRangeLocks(t *testing.T) {
	for _, tt := range []struct {
		offered uint64
		want    syscall.Errno
	}{{FUSE_POSIX_LOCKS, 0}, {0, syscall.ENOSYS}} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		b.FS.Mount = func(io *fsdev.IO) {
			io.Mount.PosixLocks, io.Mount.NoSync = true, true
			b.FS.Mounted(io)
		}
		b.InitFlags(45, tt.offered)
		if r := b.Do(0, FUSE_FLUSH, node, 16, Bytes(&FlushIn{Fh: 42, LockOwner: 43})); r.Errno != tt.want {
			t.Errorf("offered %#x: FLUSH answers %v", tt.offered, r.Errno)
		}
		if r := b.Do(0, FUSE_FSYNC, node, 16, Bytes(&FsyncIn{})); r.Errno != syscall.ENOSYS {
			t.Errorf("offered %#x: FSYNC answers %v", tt.offered, r.Errno)
		}
	}
}
