package fusedev

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/reactor"
)

func (m *mounted) wantContent(when, name, want string) {
	m.t.Helper()
	got, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil || string(got) != want {
		m.t.Errorf("%s: %q, %v, want %q", when, got, err, want)
	}
}

// A file that changes behind the kernel's back, under a policy that caches for ever.
func TestNotifyInvalInode(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "old")
	m.wantContent("at first", "file", "old")
	m.set("file", "new") // as long as before, or the next stat would show
	m.wantContent("from the cache", "file", "old")
	m.tell(fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: f.obj})
	m.wantContent("after the notification", "file", "new")
	if got := m.s.NotifyStats(); got != (NotifyStats{Sent: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestNotifyInvalEntry(t *testing.T) {
	m := mountBoard(t, Options{})
	path := filepath.Join(m.dir, "later")
	want := func(when string, exists bool) {
		t.Helper()
		if _, err := os.Stat(path); (err == nil) != exists {
			t.Errorf("%s: %v", when, err)
		}
	}
	want("at first", false)
	m.set("later", "")
	want("from the cache", false)
	n := fsdev.Notification{Type: fsdev.NotifyInvalEntry, Object: boardRoot, Name: []byte("later")}
	m.tell(n)
	want("after the notification", true)
	n.Name = []byte("nobody has heard of this")
	m.tell(n) // not an error, or an ENOENT, which is none either
	if got := m.s.NotifyStats(); got.Sent+got.Unknown != 2 || got.Sent == 0 {
		t.Errorf("%+v", got)
	}
}

func TestNotifyDelete(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "content")
	m.wantContent("at first", "file", "content")
	m.with(func() { delete(m.names, "file") })
	if _, err := os.Stat(filepath.Join(m.dir, "file")); err != nil {
		t.Errorf("from the cache: %v", err)
	}
	m.tell(fsdev.Notification{Type: fsdev.NotifyDelete, Object: boardRoot, Child: f.obj, Name: []byte("file")})
	if _, err := os.Stat(filepath.Join(m.dir, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the notification: %v", err)
	}
}

// Names of every kind are asked for again after a new epoch, where the kernel has that.
func TestNotifyInvalNames(t *testing.T) {
	m := mountBoard(t, Options{})
	path := filepath.Join(m.dir, "later")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	m.set("file", "content")
	m.wantContent("at first", "file", "content")
	m.with(func() { delete(m.names, "file") })
	m.set("later", "")
	m.tell(fsdev.Notification{Type: fsdev.NotifyInvalNames})
	if m.s.NotifyStats() == (NotifyStats{}) {
		t.Log("the kernel is older than Linux 6.16, and was not told")
		return
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a name that was cached as missing: %v", err)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a name that is gone: %v", err)
	}
}

func TestNotifyStore(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "old content")
	m.wantContent("at first", "file", "old content")
	m.with(func() { f.content = []byte("new content") })
	m.tell(fsdev.Notification{Type: fsdev.NotifyStore, Object: f.obj, Data: []byte("new content")})
	m.wantContent("after the notification", "file", "new content")
	m.with(func() {
		if f.reads != 1 {
			t.Errorf("the module has been read %d times", f.reads)
		}
	})
}

// What the kernel does not know is normal, and what it refuses is counted.
func TestNotifyStatsCountRefusals(t *testing.T) {
	m := mountBoard(t, Options{})
	m.tell(fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: 12345})
	m.tell(fsdev.Notification{Type: fsdev.NotifyInvalEntry, Object: boardRoot, Name: make([]byte, 5000)})
	if diff := cmp.Diff(NotifyStats{Unknown: 1, Refused: 1}, m.s.NotifyStats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRetrieve(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "the content of a file")
	m.wantContent("at first", "file", "the content of a file")
	type answer struct {
		Errno syscall.Errno
		Data  string
	}
	ask := func(obj fsdev.FileObject, offset uint64, size uint32) (got answer) {
		onThread(m.ctl, func(_ *reactor.Thread, done func()) {
			errno := m.d.Retrieve(obj, offset, size, func(_ *reactor.Thread, _ any, errno syscall.Errno, data [][]byte) {
				got = answer{errno, string(slices.Concat(data...))}
				done()
			}, nil)
			if errno != 0 {
				got.Errno = errno
				done()
			}
		})
		return got
	}
	for _, tt := range []struct {
		name   string
		obj    fsdev.FileObject
		offset uint64
		size   uint32
		want   answer
	}{
		{"all", f.obj, 0, 21, answer{0, "the content of a file"}},
		{"a part", f.obj, 4, 7, answer{0, "content"}},
		{"beyond the end", f.obj, 1 << 20, 100, answer{0, ""}},
		{"an unknown file", 12345, 0, 1, answer{unix.ENOENT, ""}},
	} {
		if got := ask(tt.obj, tt.offset, tt.size); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// The kernel waits for a page that is being read before it throws it away. Nobody else does, or the READ would never
// be answered.
func TestNotifyWaitsForPagesAlone(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "content")
	m.with(func() { m.hold = true })
	var wg sync.WaitGroup
	wg.Go(func() { m.wantContent("in the end", "file", "content") })
	m.waitFor("there is no READ", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.held) > 0
	})
	m.start(fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: f.obj})
	time.Sleep(50 * time.Millisecond)
	if got := m.s.NotifyStats(); got.Sent != 0 {
		t.Logf("the kernel has not waited: %+v", got)
	}
	// Both reactors are alive.
	for range 20 {
		if _, err := os.Stat(filepath.Join(m.dir, "no such file")); !os.IsNotExist(err) {
			t.Error(err)
		}
	}
	m.release()
	wg.Wait()
	m.waitFor("the notification is not written", func() bool { return m.s.NotifyStats().Sent == 1 })
}

// An abort ends a notification that waits for a page.
func TestAbortEndsANotification(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "content")
	m.with(func() { m.hold = true })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = os.ReadFile(filepath.Join(m.dir, "file")) })
	m.waitFor("there is no READ", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.held) > 0
	})
	m.start(fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: f.obj})
	if err := m.s.Abort(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	m.release()
	select {
	case <-m.s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session does not end")
	}
}

// fakeSource has nothing to tell by itself.
type fakeSource struct {
	fn      fusedispatcher.NotifyFunc
	ctx     any
	mu      sync.Mutex
	refused []syscall.Errno
	told    chan struct{}
}

func (s *fakeSource) SetNotify(fn fusedispatcher.NotifyFunc, ctx any) { s.fn, s.ctx = fn, ctx }

func (s *fakeSource) NotifyRefused(_ [][]byte, errno syscall.Errno) {
	s.mu.Lock()
	s.refused = append(s.refused, errno)
	s.mu.Unlock()
	select {
	case s.told <- struct{}{}:
	default:
	}
}

// What waits is bounded by number and by bytes, and a question that is dropped is answered.
func TestNotifierIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want uint64 // messages that find room
	}{{"messages", 16, notifyDepth}, {"bytes", 1 << 20, notifyBytes >> 20}} {
		t.Run(tt.name, func(t *testing.T) {
			src := &fakeSource{told: make(chan struct{}, 1)}
			goOn := make(chan struct{})
			taken := make(chan struct{}, 1)
			n := newNotifier(src, -1, func(int, [][]byte) (int, error) {
				select {
				case taken <- struct{}{}:
				default:
				}
				<-goOn
				return 0, nil
			}, nil)
			src.fn(nil, [][]byte{make([]byte, 16)}, src.ctx)
			<-taken // and the writer waits with it in its hand
			if got := n.NotifyBacklog(); got != 1 {
				t.Errorf("a backlog of %d while one is written", got)
			}
			for range tt.want + 10 {
				src.fn(nil, [][]byte{make([]byte, tt.size)}, src.ctx)
			}
			if got := n.stats(); got.Dropped != 10 {
				t.Errorf("%+v", got)
			}
			q := fuseabi.OutHeader{Error: fuseabi.FUSE_NOTIFY_RETRIEVE}
			src.fn(nil, [][]byte{append(fuseabi.Bytes(&q), make([]byte, 1<<20)...)}, src.ctx)
			<-src.told
			if diff := cmp.Diff([]syscall.Errno{unix.ENOBUFS}, src.refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			close(goOn)
			n.end()
			if got := n.stats(); got.Sent+got.Dropped != tt.want+12 {
				t.Errorf("of %d messages %+v", tt.want+12, got)
			}
			if src.fn != nil {
				t.Error("the source has not been told the end")
			}
		})
	}
}
