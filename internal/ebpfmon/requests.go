package ebpfmon

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock gives CLOCK_MONOTONIC as the programs have it, without a system call.
type clock struct {
	base time.Time
	at   int64 // CLOCK_MONOTONIC at base, ns
}

// newClock compares the clock of package time with the kernel's: they are the same but for where they begin.
func newClock() clock {
	var best clock
	shortest := time.Duration(1 << 62)
	for range 10 {
		var ts unix.Timespec
		before := time.Now()
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		if took := time.Since(before); took < shortest {
			shortest = took
			best = clock{before, ts.Nano() - int64(took)/2}
		}
	}
	return best
}

func (c *clock) now() uint64 { return uint64(c.at + int64(time.Since(c.base))) }

// Requests is how reactors tell the programs what they do with the requests of a connection. The kernel has no
// tracepoint where a request is read or an answer written, and many kernels do not let one trace their functions. So a
// reactor puts both down, by the request's number, in memory that the program at fuse_request_end reads.
//
// Its methods may be called by several reactors at once, each for requests that it has read, until [Monitor.Close] is
// called. They do not wait, make no system calls, and allocate nothing.
type Requests struct {
	clock  clock
	stamps *[maxStamps]stamp
}

func (r *Requests) stamp(unique uint64) *stamp { return &r.stamps[unique/2%maxStamps] }

// Read says that a reactor has read a request.
func (r *Requests) Read(unique uint64) {
	if unique%2 == 1 {
		return // an INTERRUPT: the rest is the number of what is interrupted
	}
	s := r.stamp(unique)
	s.write.Store(0)
	s.read.Store(r.clock.now())
	s.unique.Store(unique)
}

// Reply says that a reactor is about to write the answer to a request.
func (r *Requests) Reply(unique uint64) {
	if s := r.stamp(unique); s.unique.Load() == unique {
		s.write.Store(r.clock.now())
	}
}
