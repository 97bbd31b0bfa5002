package fusedev

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// notifyDepth and notifyBytes are how much may wait to be told to the kernel.
	notifyDepth = 4096
	notifyBytes = 16 << 20
)

// notifySource is the part of a dispatcher that has something to tell.
type notifySource interface {
	SetNotify(fn fusedispatcher.NotifyFunc, ctx any)
	NotifyRefused(msg [][]byte, errno syscall.Errno)
}

// NotifyStats is what the kernel has been told without asking since the mount.
type NotifyStats struct {
	Sent    uint64 // that the kernel took
	Unknown uint64 // about what the kernel does not know, or no longer (ENOENT), which is normal
	Refused uint64 // for another reason, such as a directory that is in use
	Dropped uint64 // because too much was waiting, or the session was over
}

// notifier writes notifications to the kernel, one after the other, on a goroutine of its own.
//
// Not on a reactor: the kernel takes the locks of the pages that it throws away or fills, and the
// holder of such a lock may be waiting for a request, a READ or the WRITE of a page, that this very
// reactor serves. Then neither would ever go on.
type notifier struct {
	src    notifySource
	fd     int
	writev func(fd int, segs [][]byte) (int, error) // unix.Writev
	log    *log.Limiter
	queue  chan [][]byte
	stop   chan struct{}
	done   chan struct{}

	waiting atomic.Int64 // bytes in queue
	writing atomic.Int32 // 1 while the kernel has one, which may take long
	sent    atomic.Uint64
	unknown atomic.Uint64
	refused atomic.Uint64
	dropped atomic.Uint64
}

// newNotifier starts to write what src has to tell to fd, which must stay open until end returns.
func newNotifier(src notifySource, fd int, writev func(int, [][]byte) (int, error), l *log.Limiter) *notifier {
	n := &notifier{
		src: src, fd: fd, writev: writev, log: l,
		queue: make(chan [][]byte, notifyDepth),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go n.run()
	src.SetNotify(queueNotification, n)
	return n
}

// end stops writing. What waits is dropped; a write that waits for a page ends at the latest when the kernel has given
// up the connection.
func (n *notifier) end() {
	n.src.SetNotify(nil, nil)
	close(n.stop)
	<-n.done
}

// queueNotification is the dispatcher's NotifyFunc. It runs on a reactor and does not wait.
func queueNotification(_ *reactor.Thread, msg [][]byte, ctx any) {
	n := ctx.(*notifier)
	size := messageSize(msg)
	if n.waiting.Add(size) <= notifyBytes {
		select {
		case n.queue <- msg:
			return
		default:
		}
	}
	n.waiting.Add(-size)
	n.dropped.Add(1)
	if fuseabi.Overlay[fuseabi.OutHeader](msg[0]).Error == fuseabi.FUSE_NOTIFY_RETRIEVE {
		go n.src.NotifyRefused(msg, unix.ENOBUFS) // it waits; of questions there are few
	}
}

// NotifyBacklog implements [fusedispatcher.NotifyQueue].
func (n *notifier) NotifyBacklog() int {
	return len(n.queue) + int(n.writing.Load())
}

func messageSize(msg [][]byte) (size int64) {
	for _, seg := range msg {
		size += int64(len(seg))
	}
	return size
}

func (n *notifier) run() {
	defer close(n.done)
	for {
		select {
		case <-n.stop:
			n.dropped.Add(uint64(len(n.queue)))
			return
		case msg := <-n.queue:
			n.waiting.Add(-messageSize(msg))
			n.writing.Store(1)
			n.write(msg)
			n.writing.Store(0)
		}
	}
}

func (n *notifier) write(msg [][]byte) {
	_, err := n.writev(n.fd, msg)
	for err == unix.EINTR {
		_, err = n.writev(n.fd, msg)
	}
	switch err {
	case nil:
		n.sent.Add(1)
		return
	case unix.ENOENT:
		n.unknown.Add(1)
	case unix.ENODEV, unix.EPERM, unix.ECONNABORTED: // not connected yet, or no more
		n.dropped.Add(1)
	case unix.ENOTDIR, unix.EBUSY, unix.ENOTEMPTY: // the name is another's, or in use
		n.refused.Add(1)
	default:
		n.refused.Add(1)
		report(n.log, fmt.Errorf("notification %d of %d bytes: write %s: %w",
			fuseabi.Overlay[fuseabi.OutHeader](msg[0]).Error, messageSize(msg), devFuse, err))
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = unix.EIO
	}
	n.src.NotifyRefused(msg, errno)
}

func (n *notifier) stats() NotifyStats {
	return NotifyStats{
		Sent:    n.sent.Load(),
		Unknown: n.unknown.Load(),
		Refused: n.refused.Load(),
		Dropped: n.dropped.Load(),
	}
}
