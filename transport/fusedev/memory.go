package fusedev

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// memory is the one mapping of a queue, cut into the slots' small buffers and the large ones.
// Reached from plain goroutines before the queue starts and after it has stopped, else only from the queue's thread.
type memory struct {
	all []byte
	big [][]byte // the large buffers that are free, a stack
}

func newMemory(o *Options, slots []slot) (*memory, error) {
	all, err := unix.Mmap(-1, 0, o.queueBytes(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("fusedev: %d bytes of buffers for a queue: %w", o.queueBytes(), err)
	}
	m := &memory{all: all, big: make([][]byte, 0, o.BigBuffers)}
	rest := all
	cut := func(n int) []byte {
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	for range o.BigBuffers {
		m.big = append(m.big, cut(o.bigSize()))
	}
	for i := range slots {
		size := smallSize
		if slots[i].forLocks {
			size = lockSize
		}
		slots[i].smallIn = cut(size)
		slots[i].smallOut = cut(size)
	}
	if len(rest) >= pageSize {
		panic(fmt.Sprintf("fusedev: %d of %d bytes of a queue's memory are left over", len(rest), len(all)))
	}
	return m, nil
}

func (m *memory) get() []byte {
	last := len(m.big) - 1
	b := m.big[last]
	m.big = m.big[:last]
	return b
}

func (m *memory) put(b []byte) { m.big = append(m.big, b) }

func (m *memory) free() {
	if m.all != nil {
		// It was mapped by this process and is not used any more: there is nothing that could fail.
		_ = unix.Munmap(m.all)
		m.all, m.big = nil, nil
	}
}
