package locks

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		{"first come first served", []step{{1, ex, 0, ""}, {2, ex, Waits, ""}, {3, ex, Waits, ""},
			{1, un, 0, "2"}, {2, un, 0, "3"}, {3, un, 0, ""}}},
		{"all readers at once", []step{{1, ex, 0, ""}, {2, sh, Waits, ""}, {3, sh, Waits, ""}, {4, ex, Waits, ""},
			{5, sh, Waits, ""}, {1, un, 0, "2 3"}, {2, un, 0, ""}, {3, un, 0, "4"}, {4, un, 0, "5"}}},
		{"a reader need not queue", []step{{1, sh, 0, ""}, {2, ex, Waits, ""}, {3, sh, 0, ""}, {1, un, 0, ""},
			{3, un, 0, "2"}}},
		{"downgrade", []step{{1, ex, 0, ""}, {2, sh, Waits, ""}, {1, sh, 0, "2"}}},
		{"upgrade", []step{{1, sh, 0, ""}, {1, ex, 0, ""}, {2, sh | nb, again, ""}}},
		{"upgrade waits without the old lock", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex, Waits, ""},
			{2, un, 0, "1"}}},
		{"both upgrade", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex, Waits, ""}, {2, ex, 0, ""},
			{2, un, 0, "1"}}},
		{"upgrade before those who wait", []step{{1, sh, 0, ""}, {2, ex, Waits, ""}, {1, ex, 0, ""}, {1, sh, 0, ""},
			{1, un, 0, "2"}}},
		{"failed upgrade loses the lock", []step{{1, sh, 0, ""}, {2, sh, 0, ""}, {1, ex | nb, again, ""},
			{2, ex | nb, 0, ""}}},
		{"twice for one open file", []step{{1, ex, 0, ""}, {2, ex, Waits, ""}, {2, sh, Waits, ""}, {3, sh, Waits, ""},
			{1, un, 0, "2 2 3"}, {1, sh | nb, 0, ""}, {2, ex | nb, again, ""}}},
		{"unlock nothing", []step{{1, un, 0, ""}, {1, un | nb, 0, ""}}},
		{"nonsense", []step{{1, 0, syscall.EINVAL, ""}, {1, sh | ex, syscall.EINVAL, ""}, {1, nb, syscall.EINVAL, ""},
			{1, 32, syscall.EINVAL, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			k := newLocker(t, defaultLocks, 1024)
			for i, s := range tt.steps {
				_, errno := k.flock(nil, s.owner, s.op)
				k.want(fmt.Sprintf("step %d", i), errno, s.errno)
				if diff := cmp.Diff(s.woke, k.woke()); diff != "" {
					t.Errorf("step %d woke (-want +got):\n%s", i, diff)
				}
			}
			k.checkEmpty()
		})
	}
}

func TestFlockEndsWithItsHandle(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	var h1, h2, h3 Handle
	lock := func(h *Handle, id uint64, op uint32) syscall.Errno {
		_, errno := k.flock(h, id, op)
		return errno
	}
	k.must(lock(&h1, 1, syscall.LOCK_EX))
	k.want("second", lock(&h2, 2, syscall.LOCK_EX), Waits)
	k.want("third", lock(&h3, 3, syscall.LOCK_SH), Waits)
	k.endHandle(&h2)
	if got := k.woke(); got != "2!4" {
		t.Errorf("closing the handle of a waiter woke %q, want it with EINTR", got)
	}
	k.endHandle(&h1)
	if got := k.woke(); got != "3" {
		t.Errorf("closing the handle of the holder woke %q, want the next", got)
	}
	k.want("a closed handle", lock(&h1, 4, syscall.LOCK_SH), syscall.EBADF)
	k.endHandle(&h3)
	// What belongs to no handle ends with the client.
	other := k.d.NewClient()
	k.must(lock(nil, 4, syscall.LOCK_SH))
	_, errno := k.flockOf(other, nil, 5, syscall.LOCK_EX)
	k.want("another client", errno, Waits)
	k.endClient(k.client)
	if got := k.woke(); got != "5" {
		t.Errorf("the end of the holder woke %q", got)
	}
	_, errno = k.flockOf(other, nil, 6, syscall.LOCK_EX)
	k.want("waiter", errno, Waits)
	k.endClient(other)
	if got := k.woke(); got != "6!4" && got != "6" {
		t.Errorf("the end of holder and waiter woke %q", got)
	}
	k.checkEmpty()
}

func TestFlockAbortAndLimit(t *testing.T) {
	k := newLocker(t, defaultLocks, 2)
	lock := func(id uint64, op uint32) (*Request, syscall.Errno) {
		return k.flock(nil, id, op)
	}
	_, errno := lock(1, syscall.LOCK_SH)
	k.must(errno)
	writer, errno := lock(2, syscall.LOCK_EX)
	k.want("writer", errno, Waits)
	_, errno = lock(1, syscall.LOCK_UN)
	k.must(errno)
	if got := k.woke(); got != "2" {
		t.Fatalf("woke %q, want the writer", got)
	}
	if k.abort(writer) {
		t.Error("a lock that was granted could be aborted")
	}
	reader, errno := lock(3, syscall.LOCK_SH)
	k.want("reader", errno, Waits)
	_, errno = lock(5, syscall.LOCK_EX)
	k.want("second writer", errno, Waits)
	_, errno = lock(4, syscall.LOCK_SH)
	k.want("one too many", errno, syscall.ENOLCK)
	if !k.abort(reader) || k.abort(reader) {
		t.Error("a waiter can be aborted once")
	}
	_, errno = lock(2, syscall.LOCK_SH)
	k.must(errno)
	k.woke()
	k.checkEmpty()
}

// TestFlockAbortFreesTheWay checks that those behind an aborted waiter do not wait for nothing.
func TestFlockAbortFreesTheWay(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	lock := func(id uint64, op uint32) *Request {
		r, _ := k.flock(nil, id, op)
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
	if !k.abort(writer) {
		t.Fatal("abort failed")
	}
	if got := k.woke(); got != "4" {
		t.Errorf("woke %q, want the reader behind the writer", got)
	}
}

// TestLocksOfAFileAreBounded pins that a client cannot make the list of a file's locks longer
// than a request may look at, and that closing handles does not search it in vain.
func TestLocksOfAFileAreBounded(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	lock := func(want syscall.Errno) *Handle {
		h := new(Handle)
		_, errno := k.flock(h, 1, syscall.LOCK_SH)
		k.want("shared lock", errno, want)
		return h
	}
	var handles []*Handle
	for range MaxHolders {
		handles = append(handles, lock(0))
	}
	handles = append(handles, lock(syscall.ENOLCK))
	k.endHandle(handles[0])
	handles = append(handles[1:], lock(0))
	for _, h := range handles {
		k.endHandle(h)
	}
	if tab := k.f.table.Load(); tab.held != 0 || tab.holders.head != nil {
		t.Errorf("%d locks are left", tab.held)
	}
	k.checkEmpty()
}
