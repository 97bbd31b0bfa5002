package fusedev

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	possibleFile = "/sys/devices/system/cpu/possible"
	// ringSetting is where the kernel is told to offer FUSE over io_uring.
	ringSetting = "/sys/module/fuse/parameters/enable_uring"
)

// EnableRing has the kernel offer FUSE over io_uring to those who mount from now on, until the machine starts again. It
// takes root.
func EnableRing() error {
	text, err := os.ReadFile(ringSetting)
	if err == nil && strings.TrimSpace(string(text)) != "Y" {
		err = os.WriteFile(ringSetting, []byte("Y"), 0)
	}
	if err != nil {
		return fmt.Errorf("fusedev: FUSE over io_uring needs Linux 6.14 and \"echo Y > %s\" by root: %w", ringSetting, err)
	}
	return nil
}

// readPossibleCPUs returns how many CPUs there can ever be, from a list as in 0-3,8. The kernel has as many lists of
// requests, and refuses those of higher numbers, even if it leaves numbers of CPUs out.
func readPossibleCPUs(file string) (n int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("fusedev: %w", err)
	}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(to)
		}
		if err != nil {
			return 0, fmt.Errorf("fusedev: %s: %w", file, err)
		}
		n += last - first + 1
	}
	return n, nil
}

// addRings makes the rings, before the kernel can be told that there are some.
func (s *Session) addRings(queues []*queue) error {
	if s.opts.Ring == RingOff {
		return nil
	}
	err := s.tryRings(queues)
	if err == nil {
		return nil
	}
	dropRings(queues)
	if s.opts.Ring == RingOn {
		return fmt.Errorf("fusedev: FUSE over io_uring: %w", err)
	}
	s.opts.Log.Info("fusedev: requests come by "+devFuse+" alone", "mountpoint", s.mountpoint, "because", err)
	return nil
}

func (s *Session) tryRings(queues []*queue) error {
	if s.opts.MaxWrite < minRingWrite {
		return fmt.Errorf("MaxWrite is less than %d bytes: %w", minRingWrite, unix.EINVAL)
	}
	cores, err := coresOf(queues)
	if err != nil {
		return err
	}
	n, err := s.host.possibleCPUs()
	if err != nil {
		return err
	}
	for i, cpus := range shareCPUs(n, cores) {
		if queues[i].ring, err = newRing(queues[i], &s.opts, cpus); err != nil {
			return err
		}
	}
	return nil
}

// dropRings gives up rings that have not been started.
func dropRings(queues []*queue) {
	for _, q := range queues {
		if q.ring != nil {
			q.ring.free()
			q.ring = nil
		}
		q.all = q.all[:len(q.slots)] // also of a ring that could not be made
	}
}

// coresOf returns the CPUs that the queues are on.
func coresOf(queues []*queue) ([]int, error) {
	cores := make([]int, len(queues))
	for i, q := range queues {
		err := do(q, func(q *queue) error {
			r := q.t.Reactor()
			if r == nil || !r.IsPinned() {
				return fmt.Errorf("thread %s is not on a reactor that is pinned to a CPU: %w", q.t.Name(), unix.EINVAL)
			}
			cores[i] = r.Core()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return cores, nil
}

// shareCPUs says which CPUs each queue serves: that of its reactor, and of those that have none its share. A request is
// answered fastest on the CPU that it came from.
func shareCPUs(n int, cores []int) [][]uint16 {
	shares := make([][]uint16, len(cores))
	home := make(map[int]int)
	for i, core := range cores {
		if _, taken := home[core]; !taken && core < n {
			home[core] = i
		}
	}
	next := 0
	for cpu := range n {
		i, ok := home[cpu]
		if !ok {
			i = next % len(cores)
			next++
		}
		shares[i] = append(shares[i], uint16(cpu))
	}
	return shares
}

// startRings starts the rings if the kernel has offered that, and gives them up otherwise.
func (s *Session) startRings(queues []*queue) error {
	if queues[0].ring == nil {
		return nil
	}
	var agreed bool
	err := do(queues[0], func(q *queue) error { agreed = q.ringAgreed; return nil })
	if err != nil {
		return err
	}
	if !agreed {
		for _, q := range queues {
			if err := do(q, func(q *queue) error { dropRings([]*queue{q}); return nil }); err != nil {
				return err
			}
		}
		if s.opts.Ring == RingOn {
			return fmt.Errorf("fusedev: mount on %s: the kernel does not offer FUSE over io_uring, which needs Linux 6.14 "+
				"and \"echo Y > %s\" by root: %w", s.mountpoint, ringSetting, unix.EOPNOTSUPP)
		}
		return nil
	}
	for _, q := range queues {
		err := do(q, func(q *queue) error { return q.ring.start() })
		if errors.Is(err, errRefused) && s.opts.Ring == RingAuto {
			err = nil // it has been logged
		}
		if err != nil {
			return fmt.Errorf("fusedev: mount on %s: FUSE over io_uring: %w", s.mountpoint, err)
		}
	}
	return nil
}
