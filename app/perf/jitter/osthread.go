package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// osThread is the OS thread of a reactor, as the kernel accounts for it. All methods must run
// on that thread. read takes a microsecond or two and allocates nothing.
type osThread struct {
	fd    int // of its schedstat, -1 if the kernel has none
	usage unix.Rusage
	buf   [128]byte
}

// counters is what a thread has counted, or what it counted between two readings.
type counters struct {
	parked    int64         // switches because it had to wait, which is what the Go scheduler makes of it too
	preempted int64         // switches because something else was to run
	ran       time.Duration // on a CPU
	queued    time.Duration // ready to run, without a CPU
	known     bool          // the two before it are
}

func (c counters) minus(o *counters) counters {
	return counters{
		parked:    c.parked - o.parked,
		preempted: c.preempted - o.preempted,
		ran:       c.ran - o.ran,
		queued:    c.queued - o.queued,
		known:     c.known && o.known,
	}
}

func (t *osThread) open() {
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	t.fd = fd
}

func (t *osThread) close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
}

func (t *osThread) read() (c counters) {
	if unix.Getrusage(unix.RUSAGE_THREAD, &t.usage) == nil {
		c.parked, c.preempted = t.usage.Nvcsw, t.usage.Nivcsw
	}
	if t.fd < 0 {
		return c
	}
	n, err := unix.Pread(t.fd, t.buf[:], 0)
	if err != nil {
		return c
	}
	ran, rest := number(t.buf[:n])
	queued, _ := number(rest)
	c.ran, c.queued, c.known = time.Duration(ran), time.Duration(queued), true
	return c
}

// number reads a decimal number and skips what follows it.
func number(text []byte) (n int64, rest []byte) {
	for i, b := range text {
		if b < '0' || b > '9' {
			return n, text[i+1:]
		}
		n = 10*n + int64(b-'0')
	}
	return n, nil
}
