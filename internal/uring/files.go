package uring

import (
	"fmt"
	"syscall"
)

// RegisterFiles makes a table of files, whose indices take the place of descriptors where IOSQE_FIXED_FILE is set: the
// kernel need not look them up and count them. -1 leaves an entry empty. The table holds the files open by itself.
func (r *Ring) RegisterFiles(fds []int32) error {
	if _, errno := r.registerFds(IORING_REGISTER_FILES, fds); errno != 0 {
		return r.explain(fmt.Sprintf("registering %d files", len(fds)), errno)
	}
	return nil
}

// RegisterFilesSparse makes a table of n empty entries, for [Ring.UpdateFiles] and direct descriptors.
func (r *Ring) RegisterFilesSparse(n uint32) error {
	arg := RsrcRegister{Nr: n, Flags: IORING_RSRC_REGISTER_SPARSE}
	if errno := r.registerRsrc(IORING_REGISTER_FILES2, &arg); errno != 0 {
		return r.explain(fmt.Sprintf("registering a table of %d files", n), errno)
	}
	return nil
}

// UpdateFiles replaces entries of the table from offset on: -1 empties one, IORING_REGISTER_FILES_SKIP leaves it. It
// returns how many it replaced.
func (r *Ring) UpdateFiles(offset uint32, fds []int32) (int, error) {
	n, errno := r.updateFiles(offset, fds)
	if errno != 0 {
		return 0, r.explain(fmt.Sprintf("replacing files %d to %d", offset, int(offset)+len(fds)-1), errno)
	}
	return n, nil
}

// UnregisterFiles gives up the table. What is in flight keeps its file.
func (r *Ring) UnregisterFiles() error {
	if _, errno := r.register(IORING_UNREGISTER_FILES, nil, 0); errno != 0 {
		return r.explain("giving up the registered files", errno)
	}
	return nil
}

// RegisterFileAllocRange keeps IORING_FILE_INDEX_ALLOC within n entries of the table from offset on. Linux 6.0.
func (r *Ring) RegisterFileAllocRange(offset, n uint32) error {
	arg := FileIndexRange{Off: offset, Len: n}
	if errno := r.registerAllocRange(&arg); errno != 0 {
		return r.explain(fmt.Sprintf("setting aside files %d to %d", offset, offset+n-1), errno)
	}
	return nil
}

// RegisterBuffers makes a table of buffers for the fixed reads and writes: their pages are pinned and mapped once. The
// ring keeps the slices reachable until [Ring.UnregisterBuffers]; memory that was mapped must stay mapped. A nil
// slice leaves an entry empty. No buffer may be larger than 1 GiB.
func (r *Ring) RegisterBuffers(bufs [][]byte) error {
	if errno := r.registerBuffers(bufs, nil); errno != 0 {
		return r.explain(fmt.Sprintf("registering %d buffers", len(bufs)), errno)
	}
	r.buffers = append([][]byte(nil), bufs...)
	return nil
}

// RegisterBuffersTagged is [Ring.RegisterBuffers] with a tag for each: a CQE with it as user data says, after the
// buffer was replaced or given up, that the kernel has stopped using it. 0 is no tag.
func (r *Ring) RegisterBuffersTagged(bufs [][]byte, tags []uint64) error {
	if len(tags) != len(bufs) {
		panic(fmt.Sprintf("uring: %d tags for %d buffers", len(tags), len(bufs)))
	}
	if errno := r.registerBuffers(bufs, tags); errno != 0 {
		return r.explain(fmt.Sprintf("registering %d buffers", len(bufs)), errno)
	}
	r.buffers = append([][]byte(nil), bufs...)
	return nil
}

// RegisterBuffersSparse makes a table of n empty entries for [Ring.UpdateBuffers].
func (r *Ring) RegisterBuffersSparse(n uint32) error {
	arg := RsrcRegister{Nr: n, Flags: IORING_RSRC_REGISTER_SPARSE}
	if errno := r.registerRsrc(IORING_REGISTER_BUFFERS2, &arg); errno != 0 {
		return r.explain(fmt.Sprintf("registering a table of %d buffers", n), errno)
	}
	r.buffers = make([][]byte, n)
	return nil
}

// UpdateBuffers replaces entries of the table from offset on, with tags or nil. What is in flight may use the old
// buffers until it completes. It returns how many it replaced; an errno may come after some of them.
func (r *Ring) UpdateBuffers(offset uint32, bufs [][]byte, tags []uint64) (int, error) {
	if tags != nil && len(tags) != len(bufs) {
		panic(fmt.Sprintf("uring: %d tags for %d buffers", len(tags), len(bufs)))
	}
	n, errno := r.updateBuffers(offset, bufs, tags)
	if errno != 0 {
		return 0, r.explain(fmt.Sprintf("replacing buffers %d to %d", offset, int(offset)+len(bufs)-1), errno)
	}
	copy(r.buffers[offset:], bufs[:n])
	return n, nil
}

// UnregisterBuffers gives up the table. The kernel lets go of a buffer when nothing in flight uses it any more.
func (r *Ring) UnregisterBuffers() error {
	if _, errno := r.register(IORING_UNREGISTER_BUFFERS, nil, 0); errno != 0 {
		return r.explain("giving up the registered buffers", errno)
	}
	r.buffers = nil
	return nil
}

// RegisterPersonality keeps the calling thread's credentials under an id for [SQE.Personality].
func (r *Ring) RegisterPersonality() (uint16, error) {
	id, errno := r.register(IORING_REGISTER_PERSONALITY, nil, 0)
	if errno != 0 {
		return 0, r.explain("registering a personality", errno)
	}
	return uint16(id), nil
}

// UnregisterPersonality gives an id up. What was submitted with it keeps its credentials.
func (r *Ring) UnregisterPersonality(id uint16) error {
	if _, errno := r.register(IORING_UNREGISTER_PERSONALITY, nil, uint32(id)); errno != 0 {
		return r.explain(fmt.Sprintf("giving up personality %d", id), errno)
	}
	return nil
}

// SyncCancel cancels what matches arg and waits, at most for its Timeout (both -1: without limit), until it has been
// cancelled. It is for the end of a ring: it blocks. ENOENT if nothing matches, ETIME. Linux 6.0.
func (r *Ring) SyncCancel(arg *SyncCancelReg) syscall.Errno { return r.syncCancel(arg) }
