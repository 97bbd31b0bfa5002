package ebpfmon

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Stats is what a monitor has found out since its beginning. It is a copy, and the reader's.
type Stats struct {
	Reactors    []Reactor
	Connections []Connection
}

// Reactor is how a reactor's thread fared with the scheduler. Times off the CPU are of three kinds, which do not
// overlap: Preempted, that is taken off the CPU though it would have gone on; Voluntary, that is asleep until somebody
// wakes it; and Runqueue, from there until it has a CPU again. A time counts when it is over.
type Reactor struct {
	TID   uint32
	State State
	For   time.Duration // since when it is in that state

	Preempted Histogram
	Voluntary Histogram
	Runqueue  Histogram

	// Takers ran on the CPU while the reactor was preempted or waited after a wake-up, who ran longest first. What is
	// no process's time any more, since there were too many, is in Other. All together are Preempted and Runqueue,
	// unless the reactor is not pinned to its CPU.
	Takers []Taker
	Other  uint64 // ns
}

// Taker is a process that ran on the CPU of a reactor which would have run.
type Taker struct {
	PID   uint32 // 0: the kernel's idle task: the CPU took so long to wake up
	Comm  string // its name, of up to 15 bytes; that of the program for this process's other threads
	NS    uint64 // how long it ran
	Count uint64 // how often
}

// Connection is how long the requests of a FUSE connection took.
type Connection struct {
	Number  uint32
	Opcodes []Opcode // those that occurred, in their order
}

// Times are the three parts of a request's life, and do not overlap: Queue, from when the kernel has made it until a
// reactor has read it; Service, until the reactor begins to write the answer; Reply, until the kernel has taken that.
type Times struct {
	Queue   Histogram
	Service Histogram
	Reply   Histogram
	// Unserved is how many ended in other ways than by a reactor's answer, as when they were interrupted.
	Unserved uint64
}

// Opcode is what a FUSE operation took. Operations without a number below 64 have 0.
type Opcode struct {
	Opcode uint32
	Times
}

// Total returns the sum of all operations.
func (c *Connection) Total() (t Times) {
	for i := range c.Opcodes {
		o := &c.Opcodes[i]
		t.Queue.Add(&o.Queue)
		t.Service.Add(&o.Service)
		t.Reply.Add(&o.Reply)
		t.Unserved += o.Unserved
	}
	return t
}

// Stats returns what has been found out about what is watched, in the order in which that was asked for. Reading does
// not stop what is read: sums may have moved on between one number and another.
func (m *Monitor) Stats() (s Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return s
	}
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	for i, tid := range m.threads {
		if tid != 0 {
			r := m.head.reactors[i].read(uint64(now.Nano()))
			r.TID = tid
			r.nameSelf()
			s.Reactors = append(s.Reactors, r)
		}
	}
	for i, number := range m.conns {
		if number != 0 {
			s.Connections = append(s.Connections, m.connection(i, number))
		}
	}
	return s
}

// nameSelf gives this process the name that users know: its first thread may be a reactor, and be called so.
func (r *Reactor) nameSelf() {
	pid := uint32(os.Getpid())
	for i := range r.Takers {
		if t := &r.Takers[i]; t.PID == pid {
			t.Comm = filepath.Base(os.Args[0])
		}
	}
}

func (r *reactorSlot) read(now uint64) Reactor {
	out := Reactor{
		State:     State(r.state.Load()),
		Preempted: r.preempted.read(),
		Voluntary: r.voluntary.read(),
		Runqueue:  r.runqueue.read(),
		Other:     r.other.Load(),
	}
	if since := r.since.Load(); since != 0 && since < now {
		out.For = time.Duration(now - since)
	}
	for i := range r.takers {
		if t := r.takers[i].read(); t.Count > 0 {
			out.Takers = append(out.Takers, t)
		}
	}
	slices.SortFunc(out.Takers, func(a, b Taker) int {
		return cmp.Or(cmp.Compare(b.NS, a.NS), cmp.Compare(a.PID, b.PID))
	})
	return out
}

func (t *taker) read() Taker {
	var comm [16]byte
	for i := range t.comm {
		binary.NativeEndian.PutUint64(comm[8*i:], t.comm[i].Load())
	}
	name, _, _ := bytes.Cut(comm[:], []byte{0})
	key := t.key.Load()
	if key == 0 {
		return Taker{}
	}
	return Taker{PID: key - 1, Comm: string(bytes.ToValidUTF8(name, []byte("?"))), NS: t.ns.Load(), Count: t.count.Load()}
}

// connection adds up what the shares of the CPUs have counted.
func (m *Monitor) connection(mount int, number uint32) Connection {
	c := Connection{Number: number}
	for op := range uint32(maxOpcodes) {
		o := Opcode{Opcode: op}
		for shard := range m.kept.Sizes.Shards {
			o.add(&m.tables[shard*maxMounts+mount].ops[op])
		}
		if o.Queue.Count()+o.Unserved > 0 {
			c.Opcodes = append(c.Opcodes, o)
		}
	}
	return c
}

func (t *Times) add(r *opRecord) {
	for _, p := range []struct {
		to   *Histogram
		from *hist
	}{{&t.Queue, &r.queue}, {&t.Service, &r.service}, {&t.Reply, &r.reply}} {
		h := p.from.read()
		p.to.Add(&h)
	}
	t.Unserved += r.unserved.Load()
}
