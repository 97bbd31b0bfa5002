package aio

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// watchMask is what the host is watched for. Writes through shared mappings are no events, but at last the file is
	// closed.
	watchMask = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO |
		unix.FAN_ATTRIB | unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_ONDIR

	// watchPause is how long events gather before they are read: what happens to one file meanwhile is one event.
	watchPause = time.Millisecond
	// watchTick is how often there is a look at what has to be sent later.
	watchTick = 10 * time.Millisecond
	// watchBuffer is how much is read at a time, in bytes.
	watchBuffer = 64 << 10
)

// watcher tells clients what others have done to the files that they know. It is a goroutine, which waits for the
// kernel and for clients.
type watcher struct {
	a     *Aio
	fd    int // fanotify
	file  *os.File
	pid   int32
	seed  maphash.Seed
	nodes fidTable
	fresh atomic.Uint64 // ticks for which a node is

	t       *reactor.Thread // on which clients are told
	stopped chan struct{}   // closed when there is no more to tell
	done    chan struct{}   // closed when the goroutine has ended
	sent    chan struct{}   // the thread has sent what it was given

	// The goroutine's.
	listeners map[*client]*listener
	again     []recheck

	counts watchCounts
}

// watchCounts is what a watcher has done. Any goroutine may read it.
type watchCounts struct {
	events    atomic.Uint64 // of the host, all but our own
	sent      atomic.Uint64 // notifications, to each client
	overflows atomic.Uint64 // of the kernel's queue
	resyncs   atomic.Uint64 // of clients that could not be told each change
}

// newWatcher returns a watcher of the file system that root, a descriptor of any kind, is of.
func newWatcher(a *Aio, root int) (*watcher, error) {
	const flags = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK |
		unix.FAN_REPORT_DFID_NAME_TARGET
	fd, err := unix.FanotifyInit(flags, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	switch {
	case errors.Is(err, unix.EMFILE):
		return nil, fmt.Errorf("watch the host: fanotify_init (see /proc/sys/fs/fanotify/max_user_groups): %w", err)
	case err != nil:
		return nil, fmt.Errorf("watch the host: fanotify_init: %w", err)
	}
	w := &watcher{
		a: a, fd: fd, pid: int32(os.Getpid()), seed: maphash.MakeSeed(),
		stopped: make(chan struct{}), done: make(chan struct{}), sent: make(chan struct{}, 1),
		listeners: make(map[*client]*listener),
	}
	w.nodes.init()
	w.fresh.Store(sys.TicksHz()) // a second
	w.file = os.NewFile(uintptr(fd), "fanotify")
	if err := w.mark(root); err != nil {
		_ = w.file.Close()
		return nil, err
	}
	return w, nil
}

// mark has the file system that fd, a descriptor of any kind, is of watched too.
func (w *watcher) mark(fd int) error {
	err := unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, watchMask, w.a.proc, strconv.Itoa(fd))
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("watch the host: fanotify_mark, which needs CAP_SYS_ADMIN: %w", err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EXDEV):
		return fmt.Errorf("watch the host: the file system cannot be watched as a whole: fanotify_mark: %w", err)
	case err != nil:
		return fmt.Errorf("watch the host: fanotify_mark (see /proc/sys/fs/fanotify/max_user_marks): %w", err)
	}
	return nil
}

// start begins to tell clients, by way of t.
func (w *watcher) start(t *reactor.Thread) {
	if w != nil {
		w.t = t
		go w.run()
	}
}

// stop ends it, and waits for that. Not on w.t.
func (w *watcher) stop() {
	if w == nil {
		return
	}
	close(w.stopped)
	if w.t != nil {
		_ = w.file.SetReadDeadline(time.Unix(1, 0))
		<-w.done
	}
	_ = w.file.Close()
}

func (w *watcher) isStopped() bool {
	select {
	case <-w.stopped:
		return true
	default:
		return false
	}
}

// pause waits, and says whether there is any use in going on.
func (w *watcher) pause(d time.Duration) bool {
	select {
	case <-w.stopped:
		return false
	case <-time.After(d):
		return true
	}
}

func (w *watcher) run() {
	defer close(w.done)
	defer w.dropRechecks()
	buf := make([]byte, watchBuffer)
	for !w.isStopped() {
		n, err := w.read(buf)
		switch {
		case err == nil:
			b := batch{w: w}
			b.addAll(buf[:n])
			if !w.tell(&b) {
				return
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return // the descriptor is closed
		}
		if !w.later() || n < len(buf)/2 && !w.pause(watchPause) {
			return
		}
	}
}

// read waits for events, but not for long if there is anything to do without them.
func (w *watcher) read(buf []byte) (int, error) {
	var deadline time.Time
	if w.isBusy() {
		deadline = time.Now().Add(watchTick)
	}
	_ = w.file.SetReadDeadline(deadline)
	if w.isStopped() { // the deadline of stop may be gone now
		return 0, os.ErrClosed
	}
	for {
		n, err := w.file.Read(buf)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
