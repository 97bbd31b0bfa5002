package aio

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// FileHandles says by what files are held that clients know: a descriptor for each, or the name that the file system
// has for it (name_to_handle_at(2)), from which a descriptor is made when one is needed.
//
// Not in SPDK: virtiofsd's --inode-file-handles.
type FileHandles uint8

// The values of [FileHandles]. Not in SPDK.
const (
	FileHandlesNever     FileHandles = iota // descriptors
	FileHandlesPrefer                       // names where the file system has them and the process may use them
	FileHandlesMandatory                    // names; what has none cannot be looked up
)

// String returns what --aio and the RPC call it. Not in SPDK.
func (f FileHandles) String() string {
	switch f {
	case FileHandlesNever:
		return "never"
	case FileHandlesPrefer:
		return "prefer"
	case FileHandlesMandatory:
		return "mandatory"
	}
	return fmt.Sprintf("FileHandles(%d)", uint8(f))
}

// ParseFileHandles is the inverse of [FileHandles.String]. Errors wrap EINVAL.
//
// Not in SPDK.
func ParseFileHandles(s string) (FileHandles, error) {
	for f := FileHandlesNever; f <= FileHandlesMandatory; f++ {
		if f.String() == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("aio: %q is not a use of file handles (want never, prefer or mandatory): %w", s, syscall.EINVAL)
}

// param is what a configuration has for it: nothing for the default.
func (f FileHandles) param() string {
	if f == FileHandlesNever {
		return ""
	}
	return f.String()
}

// defaultNodeFDs leaves most descriptors to files that clients open.
func defaultNodeFDs() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 256
	}
	return int(min(max(l.Cur/4, 1), 16<<10))
}

// fileName is what a node has that is held by its file system's name: its descriptor comes and goes.
//
// pins says who uses node.fd: nobody ends it while there are some, and it is nobody's but its changer's while it is
// fdChanging. Whoever wants the descriptor has a reference to the node.
type fileName struct {
	mount *mount // one reference
	pins  atomic.Int32
	hot   atomic.Bool  // it was used since the clock came by
	slot  atomic.Int32 // in the shard of the cache, noSlot if it is to be closed when nobody uses it
	typ   int32
	name  []byte
}

// Values of fileName.pins below zero.
const (
	fdClosed   = -1
	fdChanging = -2
)

// newFileName takes the reference to m. The node has its descriptor, and nobody may use it yet.
func newFileName(m *mount, h *sys.FileHandle) *fileName {
	d := &fileName{mount: m, typ: h.Type, name: slices.Clone(h.Data[:h.Size])}
	d.pins.Store(fdChanging)
	d.slot.Store(noSlot)
	return d
}

// is says whether a file is the node's, and not one that has its inode number after it.
func (m *fileName) is(h *sys.FileHandle) bool {
	return m.typ == h.Type && string(m.name) == string(h.Data[:h.Size])
}

// pin keeps the descriptor of a node until unpin, and says whether there is one. The caller has a reference to the
// node. Any thread.
func (n *node) pin() bool {
	m := n.name
	if m == nil {
		return true
	}
	for {
		v := m.pins.Load()
		if v < 0 {
			return false
		}
		if m.pins.CompareAndSwap(v, v+1) {
			if !m.hot.Load() {
				m.hot.Store(true)
			}
			return true
		}
	}
}

// unpin ends pin and hold. Any thread.
func (a *Aio) unpin(n *node) {
	m := n.name
	if m == nil {
		return
	}
	if m.pins.Add(-1) == 0 && m.slot.Load() == noSlot {
		if fd := n.takeFD(); fd >= 0 {
			a.pool.close(&closing{fd: fd})
		}
	}
}

// takeFD ends the descriptor of a node, for the caller to close. It returns -1 if there is none, or somebody uses it.
func (n *node) takeFD() int {
	if !n.name.pins.CompareAndSwap(0, fdChanging) {
		return -1
	}
	fd := n.fd
	n.name.pins.Store(fdClosed)
	return fd
}

// giveFD makes fd the descriptor of a node that has none, pinned once, and says whether it could.
func (a *Aio) giveFD(n *node, fd int) bool {
	m := n.name
	if !m.pins.CompareAndSwap(fdClosed, fdChanging) {
		return false
	}
	n.fd = fd
	m.pins.Store(1)
	if left := a.fds.add(n); left >= 0 {
		a.pool.close(&closing{fd: left})
	}
	return true
}

// hold is pin, which opens the file if it is not: that may wait for a disk. Errors: ESTALE (the file is gone).
func (a *Aio) hold(n *node) syscall.Errno {
	for !n.pin() {
		fd, errno := n.name.open()
		if (errno == syscall.EMFILE || errno == syscall.ENFILE) && a.shed() {
			continue
		}
		if errno != 0 {
			return errno
		}
		if a.giveFD(n, fd) {
			return 0
		}
		_ = sys.Close(fd) // the file has another one by now, so that this has nothing to do
	}
	return 0
}

// open returns an O_PATH descriptor.
func (m *fileName) open() (int, syscall.Errno) {
	h := sys.FileHandle{Size: uint32(len(m.name)), Type: m.typ}
	copy(h.Data[:], m.name)
	for {
		fd, errno := sys.OpenByHandleAt(m.mount.fd, &h, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW)
		if errno != syscall.EINTR {
			return fd, errno
		}
	}
}

// mount is where some nodes are that are held by names.
type mount struct {
	id   uint64
	fd   int          // of a file on it, which is open for reading; -1: its files have no names to open them by
	slow bool         // to ask for a name may wait
	refs atomic.Int64 // nodes; one more if it has no names
}

func (m *mount) tryRef() bool {
	for {
		v := m.refs.Load()
		if v == 0 {
			return false
		}
		if m.refs.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// mountOf returns the mount of a file with one more reference, nil if it is not known.
func (a *Aio) mountOf(st *unix.Statx_t) *mount {
	for _, m := range *a.mounts.Load() {
		if m.id == st.Mnt_id && m.tryRef() {
			return m
		}
	}
	return nil
}

// learnMount is mountOf where one may wait. Errors: those of open(2), EOPNOTSUPP (there are no names, and there must).
func (a *Aio) learnMount(fd int, st *unix.Statx_t) (*mount, syscall.Errno) {
	if m := a.mountOf(st); m != nil {
		return m, 0
	}
	m, errno := openMount(a.proc, fd, st)
	if errno == syscall.EPERM || errno == syscall.EOPNOTSUPP || errno == syscall.EOVERFLOW {
		if a.o.InodeFileHandles == FileHandlesMandatory {
			return nil, syscall.EOPNOTSUPP
		}
		m, errno = &mount{id: st.Mnt_id, fd: -1}, 0
		m.refs.Store(1)
	}
	if errno != 0 {
		return nil, errno
	}
	m.refs.Add(1)
	for {
		old := a.mounts.Load()
		for _, o := range *old {
			if o.id == m.id && o.tryRef() {
				if m.fd >= 0 {
					_ = sys.Close(m.fd)
				}
				return o, 0
			}
		}
		list := append(slices.Clone(*old), m)
		if a.mounts.CompareAndSwap(old, &list) {
			return m, 0
		}
	}
}

// openMount finds out whether the files of the mount that fd, an O_PATH descriptor, is on have names, and opens what it
// takes to use them. Errors: EOPNOTSUPP, EOVERFLOW (none), EPERM (CAP_DAC_READ_SEARCH is missing).
func openMount(proc, fd int, st *unix.Statx_t) (*mount, syscall.Errno) {
	if typ := st.Mode & unix.S_IFMT; typ != unix.S_IFREG && typ != unix.S_IFDIR {
		return nil, syscall.EOPNOTSUPP // to open it might do anything. Such a thing is seldom all that is mounted.
	}
	var h sys.FileHandle
	if _, errno := sys.NameToHandleAt(fd, empty, &h, unix.AT_EMPTY_PATH); errno != 0 {
		return nil, errno
	}
	real, err := unix.Openat(proc, strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	again, errno := sys.OpenByHandleAt(real, &h, unix.O_PATH|unix.O_CLOEXEC)
	if errno != 0 {
		_ = sys.Close(real)
		if errno == syscall.ESTALE || errno == syscall.EINVAL {
			errno = syscall.EOPNOTSUPP // it names files, for comparison only
		}
		return nil, errno
	}
	_ = sys.Close(again)
	var fs unix.Statfs_t
	slow := unix.Fstatfs(real, &fs) != nil || uint32(fs.Type) == unix.OVERLAYFS_SUPER_MAGIC // may copy the file first
	return &mount{id: st.Mnt_id, fd: real, slow: slow}, 0
}

// putMount takes a reference away. The last one lets go of the mount, so that the host can end it.
func (a *Aio) putMount(m *mount) {
	if m.refs.Add(-1) != 0 {
		return
	}
	for {
		old := a.mounts.Load()
		list := slices.DeleteFunc(slices.Clone(*old), func(o *mount) bool { return o == m })
		if a.mounts.CompareAndSwap(old, &list) {
			break
		}
	}
	a.pool.close(&closing{fd: m.fd})
}

// nameOf asks for the name of the file that fd stands for. It returns its mount with one more reference, or nil if the
// file has no name, and needs none. Errors: EAGAIN (it might wait, and must not), EOPNOTSUPP, those of open(2).
func (a *Aio) nameOf(fd int, st *unix.Statx_t, mayWait bool, h *sys.FileHandle) (m *mount, errno syscall.Errno) {
	if mayWait {
		m, errno = a.learnMount(fd, st)
	} else if m = a.mountOf(st); m == nil {
		return nil, syscall.EAGAIN
	}
	switch {
	case errno != 0:
		return nil, errno
	case m.fd < 0:
	case m.slow && !mayWait:
		errno = syscall.EAGAIN
	default:
		_, errno = sys.NameToHandleAt(fd, empty, h, unix.AT_EMPTY_PATH)
	}
	if m.fd >= 0 && errno == 0 {
		return m, 0
	}
	a.putMount(m)
	return nil, errno
}
