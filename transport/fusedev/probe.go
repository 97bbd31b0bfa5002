package fusedev

import (
	"context"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

// Package os hands every file that it opens to the runtime's poller, whose epoll_ctl(2) makes the kernel send POLL and
// wait for the answer. The runtime does not expect epoll_ctl to wait: the goroutine keeps its processor meanwhile. If
// the garbage collector wants to stop the world just then, it stops the reactors and waits for that processor, while
// the answer waits for a reactor: nothing ever moves again. So a process that serves a file system could not use it
// itself.
//
// Before others can, [Mount] therefore opens and polls a file that only the transport knows of. POLL is answered with
// ENOSYS, upon which the kernel never sends it again (linux, fs/fuse/file.c, fuse_file_poll), and every file counts as
// ready, which is right for all but odd file systems: those want [Options.Poll]. poll(2) is a system call like any
// other to the runtime.
const (
	probeName = ".spdk-go-poll-probe"
	probeNode = 0x7370_646b_706f_6c6c
)

// probe has the kernel learn that there is no POLL. Failing is no harm to anybody but this process.
func (s *Session) probe(ctx context.Context) error {
	if err := s.setProbing(true); err != nil {
		return err
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.host.openProbe(filepath.Join(s.mountpoint, probeName))
	}()
	select {
	case <-finished:
	case <-s.hungUp:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.setProbing(false)
}

func (s *Session) setProbing(on bool) error {
	for _, q := range s.queues {
		if err := do(q, func(q *queue) error { q.probing = on; return nil }); err != nil {
			return err
		}
	}
	return nil
}

// answerProbe answers a request if it is one of the probe's.
func (q *queue) answerProbe(sl *slot, h *fuseabi.InHeader) bool {
	if h.NodeID != probeNode {
		isLookup := h.NodeID == fuseabi.FUSE_ROOT_ID && h.Opcode == fuseabi.FUSE_LOOKUP
		if !isLookup || string(sl.args()) != probeName+"\x00" {
			return false
		}
	}
	attr := fuseabi.Attr{Ino: probeNode, Mode: syscall.S_IFREG | 0o444, Nlink: 1, Blksize: pageSize}
	switch h.Opcode {
	case fuseabi.FUSE_LOOKUP:
		q.answer(sl, fuseabi.Bytes(&fuseabi.EntryOut{NodeID: probeNode, Attr: attr}))
	case fuseabi.FUSE_GETATTR:
		q.answer(sl, fuseabi.Bytes(&fuseabi.AttrOut{Attr: attr}))
	case fuseabi.FUSE_OPEN:
		q.answer(sl, fuseabi.Bytes(&fuseabi.OpenOut{}))
	case fuseabi.FUSE_FLUSH, fuseabi.FUSE_RELEASE:
		q.answer(sl, nil)
	default: // POLL above all
		q.finish(sl, unix.ENOSYS, 0)
	}
	return true
}

// answer replies body.
func (q *queue) answer(sl *slot, body []byte) {
	n := uint32(outHeaderSize + len(body))
	if e := sl.entry; e != nil {
		sl.out[0], sl.out[1] = e.header.InOut[:outHeaderSize], e.payload[:copy(e.payload, body)]
	} else {
		sl.out[0] = sl.smallOut[:n]
		copy(sl.smallOut[outHeaderSize:], body)
	}
	*fuseabi.Overlay[fuseabi.OutHeader](sl.out[0]) = fuseabi.OutHeader{Len: n, Unique: sl.unique}
	q.finish(sl, 0, n)
}
