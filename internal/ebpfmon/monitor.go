package ebpfmon

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// bpfMmapable is BPF_F_MMAPABLE of linux/bpf.h.
const bpfMmapable = 1 << 10

// Kept is a monitor's descriptors, for a program that this process executes in its place: see [Monitor.Keep]. It can be
// written as JSON.
type Kept struct {
	Sizes   sizes
	Shared  int   // the first array
	Fuse    int   // the second; -1: there is none
	Links   []int // one per program
	Missing string
}

// Monitor is the programs, running, and what they have found out. Its methods may be called from any goroutine that
// may wait for a lock.
type Monitor struct {
	kept      Kept
	sharedMem []byte
	fuseMem   []byte
	head      *shared
	fuse      *fuseShared // nil: FUSE is not watched
	tables    []table

	mu      sync.Mutex
	closed  bool
	threads [maxReactors]uint32 // by slot: the thread's number; 0: free
	conns   [maxMounts]uint32   // by mount: the connection's number; 0: free
}

// dup returns a descriptor of its own for what fd refers to.
func dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

func (k *Kept) fds() []int {
	list := append([]int(nil), k.Links...)
	for _, fd := range []int{k.Shared, k.Fuse} {
		if fd >= 0 {
			list = append(list, fd)
		}
	}
	return list
}

func (k *Kept) close() {
	for _, fd := range k.fds() {
		unix.Close(fd)
	}
}

// open maps the arrays.
func (k *Kept) open() (*Monitor, error) {
	m := &Monitor{kept: *k}
	var err error
	if m.sharedMem, err = mapArray(k.Shared, k.Sizes.shared()); err != nil {
		return nil, err
	}
	if k.Fuse >= 0 {
		if m.fuseMem, err = mapArray(k.Fuse, k.Sizes.fuse()); err != nil {
			unix.Munmap(m.sharedMem)
			return nil, err
		}
	}
	m.overlay()
	return m, nil
}

// overlay finds the structures in what is mapped.
func (m *Monitor) overlay() {
	m.head = overlay[shared](m.sharedMem)
	if m.fuseMem != nil {
		m.fuse = overlay[fuseShared](m.fuseMem)
		m.tables = overlaySlice[table](m.fuseMem[sizeFuse:], m.kept.Sizes.Shards*maxMounts)
	}
}

func mapArray(fd, size int) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map an array of %d bytes: %w", size, err)
	}
	return b, nil
}

// Keep prepares the monitor for a program that this process executes in its place, which must get what is returned and
// call [Resume]. What is watched already does not get there. Until then its descriptors would be inherited by children.
func (m *Monitor) Keep() (*Kept, error) {
	for _, fd := range m.kept.fds() {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return nil, fmt.Errorf("ebpf: keep descriptor %d: %w", fd, err)
		}
	}
	return new(m.kept), nil
}

// Resume continues a monitor in the program that was executed. Errors: k is not what [Monitor.Keep] has returned there.
func Resume(k *Kept) (*Monitor, error) {
	for _, fd := range k.fds() {
		unix.CloseOnExec(fd)
	}
	if k.Sizes.CPUs < 1 || k.Sizes.Shards < 1 || k.Sizes.Shards > maxShards {
		return nil, fmt.Errorf("ebpf: resume with %+v: %w", k.Sizes, unix.EINVAL)
	}
	m, err := k.open()
	if err != nil {
		return nil, fmt.Errorf("ebpf: resume: %w", err)
	}
	return m, nil
}

// Missing says what is not watched and why; "" if everything is.
func (m *Monitor) Missing() string { return m.kept.Missing }

// Close ends the programs, and forgets what they found out. Nobody may use [Requests] any more. It may be called more
// than once.
func (m *Monitor) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.kept.close()
	m.head, m.fuse, m.tables = nil, nil, nil
	err := unix.Munmap(m.sharedMem)
	if m.fuseMem != nil {
		err = errors.Join(err, unix.Munmap(m.fuseMem))
	}
	return err
}

// errClosed says that a monitor has ended.
var errClosed = fmt.Errorf("ebpf: the monitor is closed: %w", unix.EBADF)

// WatchThread counts, from now on, what the scheduler does to a thread of this process, which is a reactor. A thread
// that is watched already stays. Errors wrap EINVAL, ENOSPC (64 can be watched), or EBADF (closed).
func (m *Monitor) WatchThread(tid uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if tid == 0 {
		return fmt.Errorf("ebpf: watch thread 0: %w", unix.EINVAL)
	}
	slot := -1
	for i, t := range m.threads {
		if t == tid {
			return nil
		}
		if t == 0 && slot < 0 {
			slot = i
		}
	}
	var e *indexEntry
	for _, i := range places(tid, indexBits) {
		if p := &m.head.index[i]; e == nil && p.tid.Load() == 0 {
			e = p
		}
	}
	if slot < 0 || e == nil {
		return fmt.Errorf("ebpf: watch thread %d: there are %d already: %w", tid, m.watched(), unix.ENOSPC)
	}
	clear(overlayBytes(&m.head.reactors[slot]))
	m.head.reactors[slot].tid.Store(tid)
	m.threads[slot] = tid
	e.slot.Store(uint32(slot))
	e.tid.Store(tid)
	return nil
}

func (m *Monitor) watched() (n int) {
	for _, t := range m.threads {
		if t != 0 {
			n++
		}
	}
	return n
}

// ForgetThread ends what [Monitor.WatchThread] began, and gives up what was found out.
func (m *Monitor) ForgetThread(tid uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || tid == 0 {
		return
	}
	for _, i := range places(tid, indexBits) {
		if e := &m.head.index[i]; e.tid.Load() == tid {
			e.tid.Store(0)
		}
	}
	for i, t := range m.threads {
		if t == tid {
			m.threads[i] = 0
		}
	}
}

// WatchConnection counts, from now on, how long requests of a FUSE connection take, by the kernel's number of it: see
// Session.Connection of transport/fusedev. Who reads the requests calls the methods of what is returned, which is nil
// if FUSE is not watched. One that is watched already stays. Errors wrap EINVAL, ENOSPC (16 can be watched), or EBADF
// (closed).
func (m *Monitor) WatchConnection(number uint32) (*Requests, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, errClosed
	case number == 0:
		return nil, fmt.Errorf("ebpf: watch connection 0: %w", unix.EINVAL)
	case m.fuse == nil:
		return nil, nil
	}
	mount := -1
	for i, c := range m.conns {
		if c == number {
			return m.requests(i), nil
		}
		if c == 0 && mount < 0 {
			mount = i
		}
	}
	var e *connEntry
	for _, i := range places(number, connBits) {
		if p := &m.head.conns[i]; e == nil && p.dev.Load() == 0 {
			e = p
		}
	}
	if mount < 0 || e == nil {
		return nil, fmt.Errorf("ebpf: watch connection %d: there are %d already: %w", number, maxMounts, unix.ENOSPC)
	}
	clear(overlayBytes(&m.fuse.stamps[mount]))
	for shard := range m.kept.Sizes.Shards {
		clear(overlayBytes(&m.tables[shard*maxMounts+mount]))
	}
	m.conns[mount] = number
	e.mount.Store(uint32(mount))
	e.dev.Store(number)
	return m.requests(mount), nil
}

func (m *Monitor) requests(mount int) *Requests {
	return &Requests{newClock(), &m.fuse.stamps[mount]}
}

// ForgetConnection ends what [Monitor.WatchConnection] began, and gives up what was found out.
func (m *Monitor) ForgetConnection(number uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || number == 0 {
		return
	}
	for _, i := range places(number, connBits) {
		if e := &m.head.conns[i]; e.dev.Load() == number {
			e.dev.Store(0)
		}
	}
	for i, c := range m.conns {
		if c == number {
			m.conns[i] = 0
		}
	}
}
