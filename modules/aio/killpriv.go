package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// What makes a program run as somebody else goes when its content or its owner changes. The host's kernel takes
// security.capability away by itself, whoever writes; set-ID bits it leaves to a process with CAP_FSETID. So what
// asks for them to be cleared is run by a worker that has put that capability aside, and the host does it in one
// with the change. A client asks with each WRITE of each process that lacks the capability over there, which is
// nearly all, and nearly no file has such bits: once in a while they are looked for, and as long as there are none,
// a WRITE is like others.

// cleanFor is how long a file that has had no set-ID bits is taken to have none, in nanoseconds, unless a client sets
// them: what the host sets is seen that late.
const cleanFor = 1e9

var cleanTicks = uint64(cleanFor * float64(sys.TicksHz()) / 1e9)

// setIDs returns the bits of a mode that are to be cleared. Without S_IXGRP, S_ISGID is a mark of mandatory locks.
func setIDs(mode uint32) uint32 {
	bits := mode & unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		bits |= mode & unix.S_ISGID
	}
	return bits
}

// keepsPrivileges says whether a WRITE by a handle has nothing to clear. It takes a call once in cleanFor.
func (c *channel) keepsPrivileges(h *handle) bool {
	seen := h.node.cleanUntil.Load()
	now := sys.Ticks()
	switch {
	case now < seen:
		return true
	case h.node.speed == remote:
		return false
	case sys.Fstat(h.fd, &c.st) != 0 || setIDs(c.st.Mode) != 0:
		return false
	}
	h.node.cleanUntil.CompareAndSwap(seen, now+cleanTicks) // not if a client has set them meanwhile
	return true
}

// gainsPrivileges says that a file may have set-ID bits from now on.
func (n *node) gainsPrivileges() { n.cleanUntil.Store(sys.Ticks()) } // in the past, and no value that it has had

// runKillWrite is WRITE that clears set-ID bits.
func runKillWrite(w *worker, j *job) syscall.Errno {
	n := j.h.node
	seen := n.cleanUntil.Load()
	w.thread.dropFsetid()
	errno := runWrite(w, j)
	w.thread.restoreFsetid()
	if errno == 0 && j.io.OutSize > 0 {
		n.cleanUntil.CompareAndSwap(seen, sys.Ticks()+cleanTicks)
		j.killed = true
	}
	return errno
}

// runKillFallocate is FALLOCATE, which clears set-ID bits if it is told to.
func runKillFallocate(w *worker, j *job) syscall.Errno {
	if j.io.Mode&fsdev.FlagKillSuidgid == 0 {
		return runFallocate(w, j)
	}
	return w.kill(j, j.h, runFallocate)
}

// runKillCopy is COPY_FILE_RANGE, likewise.
func runKillCopy(w *worker, j *job) syscall.Errno {
	if j.io.Flags&fsdev.FlagKillSuidgid == 0 {
		return runCopy(w, j)
	}
	return w.kill(j, j.h2, runCopy)
}

// kill runs what changes a file and is to clear its set-ID bits.
func (w *worker) kill(j *job, h *handle, run func(w *worker, j *job) syscall.Errno) syscall.Errno {
	had := sys.Statx(h.fd, empty, statxAt, unix.STATX_MODE, &w.stx) != 0 || setIDs(uint32(w.stx.Mode)) != 0
	w.thread.dropFsetid()
	errno := run(w, j)
	w.thread.restoreFsetid()
	j.killed = had && errno == 0
	return errno
}

// tellKilled tells clients that the mode of a file is not what they think. Who has written to the file, allocated in it
// or truncated it by opening it gets no attributes for an answer, and its kernel goes on to run the program as the
// owner until it asks.
func (c *channel) tellKilled(j *job) {
	obj := j.io.Object
	if j.io.Type == fsdev.IOCopyFileRange {
		obj = j.io.Object2
	}
	c.a.fsdev.Notify(c.t, nil, &fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: obj, Offset: fsdev.NoData})
}

// truncateAs is truncate as a SETATTR asks for it.
func (w *worker) truncateAs(j *job, size uint64) syscall.Errno {
	if j.io.Flags&fsdev.SetAttrKillSuidgid == 0 {
		return w.truncate(j, size)
	}
	w.thread.dropFsetid()
	errno := w.truncate(j, size)
	w.thread.restoreFsetid()
	return errno
}

// reopenAs is reopen as an open with those flags asks for it. killed says that the file may have lost set-ID bits.
func (w *worker) reopenAs(n *node, cl *client, flags uint32) (fd int, killed bool, errno syscall.Errno) {
	const kills = fsdev.FlagKillSuidgid | unix.O_TRUNC
	host := w.a.hostFlags(cl, flags)
	if flags&kills != kills {
		fd, errno = w.reopen(n, host)
		return fd, false, errno
	}
	had := sys.Statx(n.fd, empty, statxAt, unix.STATX_MODE, &w.stx) != 0 || setIDs(uint32(w.stx.Mode)) != 0
	w.thread.dropFsetid()
	fd, errno = w.reopen(n, host)
	w.thread.restoreFsetid()
	return fd, had && errno == 0, errno
}

// dropFsetid puts CAP_FSETID aside, if the thread has it, until restoreFsetid.
func (t *threadCreds) dropFsetid() {
	const fsetid = 1 << unix.CAP_FSETID
	if t.caps[0].Effective&fsetid != 0 {
		caps := t.caps
		caps[0].Effective &^= fsetid
		t.setCaps(&caps)
	}
}

func (t *threadCreds) restoreFsetid() {
	if t.caps[0].Effective&(1<<unix.CAP_FSETID) != 0 {
		caps := t.caps
		t.setCaps(&caps)
	}
}
