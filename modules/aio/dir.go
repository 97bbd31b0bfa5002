package aio

import (
	"bytes"
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	dirBuffer = 16 << 10
	dirChunk  = 32 // entries that go to the client's thread at a time
)

// dirState is how far a directory has been read by a handle. One job has it at a time.
type dirState struct {
	mu      sys.Spin
	busy    bool
	waiting jobList

	buf      []byte // of the host, from at on not yet given
	at, end  int
	pos      uint64 // the cookie of what is at at, if known
	known    bool
	finished bool // the last chunk was

	entries [dirChunk]dirEntry
	n       int
}

// dirEntry is an entry on its way to the client.
type dirEntry struct {
	name []byte // in dirState.buf
	next uint64
	at   int // where it begins in dirState.buf
	prev uint64
	attr fsdev.Attr
	node *node // one reference; nil without Plus, or if there is none to be had
}

// enterDir queues a READDIR, or has it wait for the one before it.
func (c *channel) enterDir(j *job) {
	s := j.h.dir
	s.mu.Lock()
	if s.busy {
		j.state.Store(jobWaiting)
		s.waiting.push(j)
		s.mu.Unlock()
		return
	}
	s.busy = true
	s.mu.Unlock()
	c.a.pool.push(j)
}

// leaveDir ends a READDIR, and queues the one that waits.
func (c *channel) leaveDir(j *job) {
	if j.io.Type != fsdev.IOReaddir || j.own {
		return
	}
	s := j.h.dir
	s.mu.Lock()
	next := s.waiting.head
	if next != nil {
		s.waiting.remove(next)
		next.state.Store(jobIdle) // its thread may be about to look for it there
	} else {
		s.busy = false
	}
	s.mu.Unlock()
	if next != nil {
		c.a.pool.push(next)
	}
}

// leaveWaiting takes a READDIR out of those that wait and says whether it was there.
func (c *channel) leaveWaiting(j *job) bool {
	if j.io.Type != fsdev.IOReaddir || j.own {
		return false
	}
	s := j.h.dir
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.state.Load() != jobWaiting {
		return false
	}
	s.waiting.remove(j)
	j.state.Store(jobIdle)
	return true
}

// runReaddir gets the next entries ready.
func runReaddir(w *worker, j *job) syscall.Errno {
	s := j.h.dir
	if s.buf == nil {
		s.buf = make([]byte, dirBuffer)
	}
	s.n = 0
	s.finished = false
	if !s.known || s.pos != j.io.Offset {
		if _, err := unix.Seek(j.h.fd, int64(j.io.Offset), unix.SEEK_SET); err != nil {
			s.known = false
			return errnoOf(err)
		}
		s.at, s.end = 0, 0
		s.pos, s.known = j.io.Offset, true
	}
	if s.at == s.end {
		n, errno := sys.Getdents64(j.h.fd, s.buf)
		if errno != 0 {
			s.known = false
			return errno
		}
		s.at, s.end = 0, n
		s.finished = n == 0
	}
	for s.at < s.end && s.n < dirChunk {
		w.addEntry(j, s)
	}
	return 0
}

// addEntry makes an entry of what is at s.at: struct linux_dirent64, which has the number, the cookie of what comes
// next, the length of it all, the type, and the name.
func (w *worker) addEntry(j *job, s *dirState) {
	const header = 19
	raw := s.buf[s.at:s.end]
	size := int(binary.NativeEndian.Uint16(raw[16:]))
	name := raw[header:size]
	name = name[:bytes.IndexByte(name, 0)]
	e := &s.entries[s.n]
	*e = dirEntry{name: name, at: s.at, prev: s.pos, next: binary.NativeEndian.Uint64(raw[8:])}
	e.attr.Ino = binary.NativeEndian.Uint64(raw)
	e.attr.Mode = uint32(raw[18]) << 12
	s.at += size
	s.pos = e.next
	s.n++
	switch {
	case isDots(name):
		e.attr.Mode = unix.S_IFDIR
		if j.n == w.a.root {
			e.attr.Ino = j.n.key.ino // it is its own parent
		}
	case j.io.Plus:
		if !w.lookEntry(j.n, e) {
			s.n-- // it has gone
		}
	case raw[18] == unix.DT_UNKNOWN:
		if errno := w.statEntry(j.n, e); errno == 0 {
			e.attr = fsdev.Attr{Ino: e.attr.Ino, Mode: e.attr.Mode & unix.S_IFMT}
		}
	}
}

// lookEntry gives an entry its node, or at least its attributes, and says whether it is still there.
func (w *worker) lookEntry(d *node, e *dirEntry) bool {
	fd, errno := w.openPath(d, cstring(w.name[:], e.name))
	if errno == 0 {
		if errno = sys.Statx(fd, empty, statxAt, statxMask, &w.stx); errno == 0 {
			n, left, errno := w.a.adopt(fd, &w.stx, w.a.learnSpeed(fd, &w.stx), true)
			if left >= 0 {
				_ = sys.Close(left)
			}
			fillAttr(&e.attr, &w.stx)
			e.attr.Submount = w.a.isSubmount(d, &w.stx)
			if errno == 0 {
				e.node = n
			}
			return true
		}
		_ = sys.Close(fd)
	}
	if errno == syscall.ENOENT {
		return false
	}
	return w.statEntry(d, e) != syscall.ENOENT
}

// statEntry gives an entry its attributes.
func (w *worker) statEntry(d *node, e *dirEntry) syscall.Errno {
	errno := sys.Statx(d.fd, cstring(w.name[:], e.name), unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask,
		&w.stx)
	if errno == 0 {
		fillAttr(&e.attr, &w.stx)
	}
	return errno
}

// emit gives the client the entries that a worker has got ready, and says whether the request is done, and how: if not,
// it has been queued again. What the client has taken counts, so that such a request does not fail any more: the client
// comes back for the rest.
func (c *channel) emit(j *job, errno syscall.Errno) (bool, syscall.Errno) {
	if j.h == nil { // it was to be opened, and could not be
		return true, errno
	}
	s := j.h.dir
	io := j.io
	taken := errno == 0
	for i := range s.entries[:s.n] {
		e := &s.entries[i]
		if taken {
			obj := fsdev.FileObject(0)
			if c.a.ids != nil {
				c.a.ids.attr(&e.attr)
			}
			if e.node != nil {
				obj = e.node.obj
				c.a.addLookup(e.node, c.clientOf(io.Desc())) // first: the client may use the object at once
			}
			if taken = io.Emit(e.name, obj, &e.attr, e.next); taken {
				j.moved++
			} else {
				if e.node != nil {
					c.a.forget(e.node, c.clientOf(io.Desc()), 1)
				}
				s.at, s.pos = e.at, e.prev // the next request goes on here, most likely
			}
		}
		if e.node != nil {
			c.a.put(e.node)
			e.node = nil
		}
	}
	s.n = 0
	// A chunk whose entries have all gone is empty, and not the end.
	if taken && !s.finished {
		io.Offset = s.pos
		c.a.pool.push(j)
		return false, 0
	}
	c.leaveDir(j)
	if j.moved > 0 {
		errno = 0
	}
	return true, errno
}
