package memfs

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
)

// locker plays flock requests against one file. Requests are told apart by their io's Unique.
type locker struct {
	*rig
	n       *inode
	waiting map[uint64]*lockRequest
}

func newLocker(t testing.TB, o Opts) *locker {
	r := newRig(t, o)
	return &locker{rig: r, n: r.node(r.mkfile(r.root, "f")), waiting: map[uint64]*lockRequest{}}
}

// woke returns whose wait is over since the last call, and how it ended.
func (k *locker) woke() string {
	for k.unfinished != nil {
		k.grantMore()
	}
	var s []string
	for r := k.takeWoken(); r != nil; r = r.nextWoken {
		e := fmt.Sprint(r.io.Unique)
		if r.errno != 0 {
			e += "!" + fmt.Sprint(int(r.errno))
		}
		delete(k.waiting, r.io.Unique)
		s = append(s, e)
	}
	return strings.Join(s, " ")
}

// step is one request of owner, by handle 0, and who is woken by it.
type step struct {
	owner uint64
	op    uint32
	errno syscall.Errno
	woke  string
}

func TestFlock(t *testing.T) {
	const (
		sh, ex, un, nb = syscall.LOCK_SH, syscall.LOCK_EX, syscall.LOCK_UN, syscall.LOCK_NB
		again          = syscall.EWOULDBLOCK
	)
	tests := []struct {
		what  string
		steps []step
	}{
		{"shared", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {3, ex | nb, again, ""}, {1, un, 0, ""}, {3, ex | nb, again, ""},
			{2, un, 0, ""}, {3, ex | nb, 0, ""}}},
		{"exclusive", []step{{1, ex, 0, ""}, {2, sh | nb, again, ""}, {2, ex | nb, again, ""}, {1, ex, 0, ""},
			{1, un, 0, ""}, {2, sh | nb, 0, ""}}},
		{"first come first served", []step{{1, ex, 0, ""}, {2, ex, errWait, ""}, {3, ex, errWait, ""},
			{1, un, 0, "2"}, {2, un, 0, "3"}, {3, un, 0, ""}}},
		{"all readers at once", []step{{1, ex, 0, ""}, {2, sh, errWait, ""}, {3, sh, errWait, ""}, {4, ex, errWait, ""},
			{5, sh, errWait, ""}, {1, un, 0, "2 3"}, {2, un, 0, ""}, {3, un, 0, "4"}, {4, un, 0, "5"}}},
		{"a reader need not queue", []step{{1, sh, 0, ""}, {2, ex, errWait, ""}, {3, sh, 0, ""}, {1, un, 0, ""},
			{3, un, 0, "2"}}},
		{"downgrade", []step{{1, ex, 0, ""}, {2, sh, errWait, ""}, {1, sh, 0, "2"}}},
		{"upgrade", []step{{1, sh, 0, ""}, {1, ex, 0, ""}, {2, sh | nb, again, ""}}},
		{"upgrade waits without the old lock", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex, errWait, ""},
			{2, un, 0, "1"}}},
		{"both upgrade", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex, errWait, ""}, {2, ex, 0, ""},
			{2, un, 0, "1"}}},
		{"upgrade before those who wait", []step{{1, sh, 0, ""}, {2, ex, errWait, ""}, {1, ex, 0, ""}, {1, sh, 0, ""},
			{1, un, 0, "2"}}},
		{"failed upgrade loses the lock", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex | nb, again, ""},
			{2, ex | nb, 0, ""}}},
		{"twice for one open file", []step{{1, ex, 0, ""}, {2, ex, errWait, ""}, {2, sh, errWait, ""}, {3, sh, errWait, ""},
			{1, un, 0, "2 2 3"}, {1, sh | nb, 0, ""}, {2, ex | nb, again, ""}}},
		{"unlock nothing", []step{{1, un, 0, ""}, {1, un | nb, 0, ""}}},
		{"nonsense", []step{{1, 0, syscall.EINVAL, ""}, {1, sh | ex, syscall.EINVAL, ""}, {1, nb, syscall.EINVAL, ""},
			{1, 32, syscall.EINVAL, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			k := newLocker(t, Opts{})
			for i, s := range tt.steps {
				r, errno := k.flock(k.desc, k.n, 0, s.owner, s.op, &fsdev.IO{Unique: s.owner})
				if errno == errWait {
					k.waiting[s.owner] = r
				}
				k.want(fmt.Sprintf("step %d", i), errno, s.errno)
				if diff := cmp.Diff(s.woke, k.woke()); diff != "" {
					t.Errorf("step %d woke (-want +got):\n%s", i, diff)
				}
			}
			k.removeAll(k.root)
			k.umount(k.desc)
			k.woke()
			k.checkEmpty()
		})
	}
}

func TestFlockEndsWithItsHandle(t *testing.T) {
	k := newLocker(t, Opts{})
	open := func() fsdev.FileHandle {
		h, errno := k.fopen(k.desc, k.n, syscall.O_RDWR)
		k.must(errno)
		return h
	}
	lock := func(h fsdev.FileHandle, unique uint64, op uint32) syscall.Errno {
		_, errno := k.flock(k.desc, k.n, h, 9, op, &fsdev.IO{Unique: unique})
		return errno
	}
	h1, h2, h3 := open(), open(), open()
	k.must(lock(h1, 1, syscall.LOCK_EX))
	k.want("second", lock(h2, 2, syscall.LOCK_EX), errWait)
	k.want("third", lock(h3, 3, syscall.LOCK_SH), errWait)
	k.must(k.release(k.desc, k.n, h2))
	if got := k.woke(); got != "2!4" {
		t.Errorf("closing the handle of a waiter woke %q, want it with EINTR", got)
	}
	k.must(k.release(k.desc, k.n, h1))
	if got := k.woke(); got != "3" {
		t.Errorf("closing the handle of the holder woke %q, want the next", got)
	}
	k.want("a closed handle", lock(h1, 4, syscall.LOCK_SH), syscall.EBADF)
	// What belongs to no handle ends with the client.
	other := new(fsdev.Desc)
	_, errno := k.flock(other, k.n, 0, 5, syscall.LOCK_EX, &fsdev.IO{Unique: 5})
	k.want("another client", errno, errWait)
	k.umount(k.desc)
	if got := k.woke(); got != "5" {
		t.Errorf("umount of the holder woke %q", got)
	}
	_, errno = k.flock(other, k.n, 0, 6, syscall.LOCK_EX, &fsdev.IO{Unique: 6})
	k.want("waiter", errno, errWait)
	k.umount(other)
	if got := k.woke(); got != "6!4" && got != "6" {
		t.Errorf("umount of holder and waiter woke %q", got)
	}
	k.mount(k.desc, false)
	k.removeAll(k.root)
	k.umount(k.desc)
	k.checkEmpty()
}

func TestFlockAbortAndLimit(t *testing.T) {
	k := newLocker(t, Opts{LockWaiters: 2})
	lock := func(id uint64, op uint32) (*lockRequest, syscall.Errno) {
		return k.flock(k.desc, k.n, 0, id, op, &fsdev.IO{Unique: id})
	}
	_, errno := lock(1, syscall.LOCK_SH)
	k.must(errno)
	writer, errno := lock(2, syscall.LOCK_EX)
	k.want("writer", errno, errWait)
	_, errno = lock(1, syscall.LOCK_UN)
	k.must(errno)
	if got := k.woke(); got != "2" {
		t.Fatalf("woke %q, want the writer", got)
	}
	if k.abortLock(writer) {
		t.Error("a lock that was granted could be aborted")
	}
	reader, errno := lock(3, syscall.LOCK_SH)
	k.want("reader", errno, errWait)
	_, errno = lock(5, syscall.LOCK_EX)
	k.want("second writer", errno, errWait)
	_, errno = lock(4, syscall.LOCK_SH)
	k.want("one too many", errno, syscall.ENOLCK)
	if !k.abortLock(reader) || k.abortLock(reader) {
		t.Error("a waiter can be aborted once")
	}
	_, errno = lock(2, syscall.LOCK_SH)
	k.must(errno)
	k.woke()
	k.removeAll(k.root)
	k.umount(k.desc)
	k.woke()
	k.checkEmpty()
}

// TestFlockAbortFreesTheWay checks that those behind an aborted waiter do not wait for nothing.
func TestFlockAbortFreesTheWay(t *testing.T) {
	k := newLocker(t, Opts{})
	lock := func(id uint64, op uint32) *lockRequest {
		r, _ := k.flock(k.desc, k.n, 0, id, op, &fsdev.IO{Unique: id})
		return r
	}
	lock(1, syscall.LOCK_EX)
	lock(2, syscall.LOCK_SH)
	writer := lock(3, syscall.LOCK_EX)
	lock(4, syscall.LOCK_SH)
	lock(1, syscall.LOCK_UN)
	if got := k.woke(); got != "2" {
		t.Fatalf("woke %q", got)
	}
	if !k.abortLock(writer) {
		t.Fatal("abort failed")
	}
	if got := k.woke(); got != "4" {
		t.Errorf("woke %q, want the reader behind the writer", got)
	}
}

// TestLocksOfAFileAreBounded pins that a client cannot make the list of a file's locks longer
// than a request may look at, and that closing handles does not search it in vain.
func TestLocksOfAFileAreBounded(t *testing.T) {
	k := newLocker(t, Opts{})
	lock := func(want syscall.Errno) fsdev.FileHandle {
		h, errno := k.fopen(k.desc, k.n, syscall.O_RDWR)
		k.must(errno)
		_, errno = k.flock(k.desc, k.n, h, 1, syscall.LOCK_SH, nil)
		k.want("shared lock", errno, want)
		return h
	}
	var handles []fsdev.FileHandle
	for range maxHolders {
		handles = append(handles, lock(0))
	}
	handles = append(handles, lock(syscall.ENOLCK))
	k.must(k.release(k.desc, k.n, handles[0]))
	handles = append(handles[1:], lock(0))
	for _, h := range handles {
		k.must(k.release(k.desc, k.n, h))
	}
	if tab := k.n.locks.Load(); tab.held != 0 || tab.holders.head != nil {
		t.Errorf("%d locks are left", tab.held)
	}
}
