package aio

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// What concerns names of a file system in memory is done on the thread of its channel: it waits for no disk, and takes
// less time than to have a worker do it. Workers do what is different: what is made as another user, since a reactor
// goes on being itself; what frees or fills pages, which may be many; what may lead to a file system mounted there.

// inlineHow is for names that do not lead out of the file system.
var inlineHow = unix.OpenHow{
	Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: resolve | unix.RESOLVE_NO_XDEV,
}

// newInline makes the worker that is the channel's own thread. It stays the user that the process is.
func (a *Aio) newInline() *worker {
	proc := &credentials{uid: a.creds.uid, gid: a.creds.gid}
	return &worker{p: &a.pool, a: a, how: &inlineHow, thread: threadCreds{proc: proc, umask: -1},
		spares: make([]int, 0, maxSpares)}
}

// processUmask returns the umask of the calling thread, which all have that do not have their own, 0777 if that is not
// known. The main thread, which /proc/self is about, may have been a worker's.
func processUmask() uint32 {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err == nil {
		for line := range bytes.Lines(text) {
			if rest, ok := bytes.CutPrefix(line, []byte("Umask:")); ok {
				if v, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 8, 32); err == nil {
					return uint32(v)
				}
			}
		}
	}
	return 0o777
}

// inline completes a job on the spot if it is one for that, and says whether it has.
func (c *channel) inline(j *job) bool {
	if j.n == nil || j.n.speed != memory || j.n2 != nil && j.n2.speed != memory || !c.a.isInline(j.io) ||
		c.a.o.InodeFileHandles != FileHandlesNever || c.a.pool.hook != nil { // which wants to see every job
		return false
	}
	run := j.run
	if j.io.Type == fsdev.IOCreate {
		run = createInline
	}
	c.self.reserved = false
	errno := run(c.self, j)
	if errno == errLater {
		return false
	}
	c.here++
	c.complete(j, errno)
	return true
}

// isInline says whether a request on files in memory waits for nothing, and does not take long.
func (a *Aio) isInline(io *fsdev.IO) bool {
	switch io.Type {
	case fsdev.IOReadlink, fsdev.IOStatfs, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORename, fsdev.IOLink, fsdev.IOOpendir:
		return true
	case fsdev.IOFopen:
		return io.Flags&unix.O_TRUNC == 0
	case fsdev.IOSymlink, fsdev.IOMkdir, fsdev.IOMknod, fsdev.IOCreate:
		return a.makesAsItself(io)
	}
	return false
}

// makesAsItself says whether a file is made for the user that the process is, or for whomever if they are all the same,
// with permissions that the umask of the process leaves alone.
func (a *Aio) makesAsItself(io *fsdev.IO) bool {
	if a.creds.switches && (int(io.UID) != a.creds.uid || int(io.GID) != a.creds.gid || io.HasGroup) {
		return false
	}
	hasMode := io.Type != fsdev.IOSymlink
	return io.Umask == 0 && !(hasMode && io.Mode&a.umask != 0) && !a.labels(io)
}

// createInline is CREATE of a file that is not there; what is, is for a worker.
func createInline(w *worker, j *job) syscall.Errno {
	if errno := w.reserve(2); errno != 0 {
		return errno
	}
	perm, _ := w.thread.become(j.io)
	fd, errno := w.createNew(j.n, j.io, perm)
	if errno == syscall.EEXIST && j.io.Flags&unix.O_EXCL == 0 {
		return errLater
	}
	if errno != 0 {
		return errno
	}
	if errno = w.opened(j, fd); errno != 0 && errno != syscall.ENOENT {
		w.undo(j.n, cstring(w.name[:], j.io.Name), unix.S_IFREG, nil)
	}
	return errno
}

// lookupInline is LOOKUP of a name in memory that the kernel has not at hand, or that there is not. EXDEV: it leads to
// another file system.
func (c *channel) lookupInline(io *fsdev.IO, d *node) syscall.Errno {
	w := c.self
	fd, errno := sys.Openat2(d.fd, cstring(w.name[:], io.Name), &inlineHow)
	if errno != 0 {
		return errno
	}
	if errno := sys.Statx(fd, empty, statxAt, statxMask, &w.stx); errno != 0 {
		_ = sys.Close(fd)
		return errno
	}
	return c.a.found(io, c.clientOf(io.Desc()), fd, &w.stx, d.speed, false)
}

// smallFile is how much of a file may be freed on a reactor, in blocks of 512 bytes: some microseconds.
const smallFile = 256

// closeNow closes a descriptor if that waits for nothing and frees little, and says whether it has.
func (c *closing) closeNow() bool {
	var st unix.Stat_t
	if !c.memory || sys.Fstat(c.fd, &st) != 0 || st.Blocks > smallFile {
		return false
	}
	_ = sys.Close(c.fd)
	return true
}
