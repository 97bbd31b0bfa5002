package aio

import (
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// writerPatience is for how long the writer may be in a call before it counts as waiting for the disk, in nanoseconds.
const writerPatience = 100_000

var writerTicks = uint64(writerPatience * float64(sys.TicksHz()) / 1e9)

// maxWriterJobs is how many writes the writer is given at a time.
const maxWriterJobs = 64

// startWrite gives a buffered write to the writer, a pool of one worker, if the file system has no RWF_NOWAIT for it
// (ext4): nearly always it does not wait, and takes less time than the kernel takes to give it to a thread of its own,
// as it does with the ring's. When the writer waits, for memory or for the journal, others take the ring.
func (c *channel) startWrite(j *job) bool {
	w := &c.a.writer
	if !j.h.slowWrites.Load() || j.h.align != 0 || j.h.flags&(unix.O_SYNC|unix.O_DSYNC) != 0 || !w.isQuick() {
		return false
	}
	j.pool = w
	w.push(j)
	return true
}

// isQuick says whether a job would soon be run. While jobs take their time, others do not queue up behind one.
func (p *pool) isQuick() bool {
	w, queued := p.all[0], p.queued.Load()
	if w.slow.Load() {
		return queued == 0 && w.doing.Load() == 0
	}
	return queued < maxWriterJobs && !w.isPatient()
}

// isPatient says whether the worker has been in a call for longer than the writer should.
func (w *worker) isPatient() bool {
	doing := w.doing.Load()
	return doing != 0 && sys.Ticks()-doing&^doingWhat > writerTicks
}
