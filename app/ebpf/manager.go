package ebpf

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/internal/ebpfmon"
	"github.com/spdk-go/spdk-go/reactor"
)

// Buckets is how many buckets a [Histogram] has.
const Buckets = ebpfmon.Buckets

// Bound returns where bucket i of every [Histogram] ends, in ns, that is the first duration that is too long for it:
// 512 for the first, and twice as much for each one after. The last has no end, and 0 is returned.
func Bound(i int) uint64 { return ebpfmon.Bound(i) }

// What the kernel's programs find out, see there.
type (
	// Histogram says how often something took how long.
	Histogram = ebpfmon.Histogram
	// Taker is a process that ran on the CPU of a reactor which would have run.
	Taker = ebpfmon.Taker
	// Opcode is how long a FUSE operation took.
	Opcode = ebpfmon.Opcode
	// State is what a reactor's thread does, as far as the scheduler is concerned.
	State = ebpfmon.State
)

// The states: on a CPU; taken off it though it would have gone on; asleep; and woken, but without a CPU yet.
const (
	Running   = ebpfmon.Running
	Preempted = ebpfmon.Preempted
	Asleep    = ebpfmon.Asleep
	Woken     = ebpfmon.Woken
)

// Stats is what has been found out. It is a copy, and the reader's.
type Stats struct {
	Enabled bool          // it runs
	Since   time.Time     // when it was started; another start has another time
	Elapsed time.Duration // for how long
	// Missing says what is not found out and why: all, if Enabled is false and somebody has tried to start it.
	Missing  string
	Reactors []Reactor // in the order of the application's cores
	Mounts   []Mount   // oldest first
}

// Reactor is how a reactor fared with the scheduler.
type Reactor struct {
	Core int
	ebpfmon.Reactor
}

// Mount is how long the requests of a mount took.
type Mount struct {
	Fsdev string // its device's name
	Dir   string
	ebpfmon.Connection
}

// Manager is what the kernel finds out about an application.
type Manager struct {
	a *app.App

	control sync.Mutex // held by who starts, stops and watches, which waits for reactors

	forbidden error // why nothing can be loaded

	mu       sync.Mutex       // over what follows, which only the holder of control changes
	mon      *ebpfmon.Monitor // nil: it does not run
	refused  string           // why the last start has failed
	since    time.Time
	reactors []tid
	watched  map[*fusemount.Mount]uint32 // their connections
	full     string                      // why there are mounts that are not watched
}

// tid is a reactor's thread.
type tid struct {
	core int
	tid  uint32
}

var managerKey = reactor.NewExtKey()

// Of returns the manager of an application that has been started.
func Of(a *app.App) *Manager {
	return a.Framework().Ext(managerKey, func() any { return &Manager{a: a} }).(*Manager)
}

// Start begins to find out, from zero. mon has been loaded before, because the process has locked itself up since, and
// belongs to the manager from then on; nil: it is loaded now, which takes about a tenth of a second. If it runs
// already, nothing changes. Errors say why it cannot be had: no rights, or a kernel that lacks something.
func (m *Manager) Start(mon *ebpfmon.Monitor) (err error) {
	m.control.Lock()
	defer m.control.Unlock()
	if m.mon != nil {
		if mon != nil {
			return mon.Close()
		}
		return nil
	}
	if mon == nil {
		if mon, err = m.open(); err != nil {
			m.Refuse(err)
			return err
		}
	}
	reactors, err := reactorThreads(m.a)
	for _, r := range reactors {
		err = errors.Join(err, mon.WatchThread(r.tid))
	}
	if err != nil {
		m.Refuse(err)
		return errors.Join(err, mon.Close())
	}
	m.mu.Lock()
	m.mon, m.reactors, m.refused, m.full, m.since = mon, reactors, "", "", time.Now()
	m.watched = map[*fusemount.Mount]uint32{}
	m.mu.Unlock()
	fusemount.Of(m.a).OnMount(m.follow)
	m.watchMounts()
	return nil
}

func (m *Manager) open() (*ebpfmon.Monitor, error) {
	if m.forbidden != nil {
		return nil, m.forbidden
	}
	return ebpfmon.Open()
}

// Forbid has Start load nothing from now on, because the process has locked itself up, and fail with err instead.
func (m *Manager) Forbid(err error) {
	m.control.Lock()
	defer m.control.Unlock()
	m.forbidden = err
}

// Refuse puts down why it cannot be had, for Stats.
func (m *Manager) Refuse(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = why.Error()
}

// reactorThreads asks the reactors for their threads.
func reactorThreads(a *app.App) ([]tid, error) {
	var list []tid
	var errno syscall.Errno
	gone := app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
		errno = a.Framework().ForEachReactor(t.Reactor(), addThread, &list, done, threadsAdded)
		if errno != 0 {
			done()
		}
	})
	if errno = max(errno, gone); errno != 0 {
		return nil, fmt.Errorf("ebpf: ask the reactors: %w", errno)
	}
	return list, nil
}

func addThread(r *reactor.Reactor, arg1, _ any) {
	list := arg1.(*[]tid)
	*list = append(*list, tid{r.Core(), uint32(syscall.Gettid())})
}

func threadsAdded(_ *reactor.Reactor, _, done any) { done.(func())() }

// follow is called after each mount.
func (m *Manager) follow() {
	m.control.Lock()
	defer m.control.Unlock()
	if m.mon != nil {
		m.watchMounts()
	}
}

// watchMounts forgets the mounts that have ended, whose numbers others may have now, and watches those that are new.
func (m *Manager) watchMounts() {
	mounts := fusemount.Of(m.a).Mounts()
	m.forgetEnded(mounts)
	full := ""
	for _, mt := range mounts {
		number, ok := mt.Connection()
		if _, known := m.watched[mt]; known || !ok {
			continue
		}
		requests, err := m.mon.WatchConnection(number)
		if err == nil && requests != nil {
			err = mt.Watch(requests)
		}
		if err != nil {
			full = fmt.Sprintf("%s is not watched: %v", mt.Dir, err)
			continue
		}
		m.mu.Lock()
		m.watched[mt] = number
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.full = full
	m.mu.Unlock()
}

func (m *Manager) forgetEnded(mounts []*fusemount.Mount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for mt, number := range m.watched {
		if !slices.Contains(mounts, mt) {
			m.mon.ForgetConnection(number)
			delete(m.watched, mt)
		}
	}
}

// Stop ends it, and forgets what was found out. If it does not run, nothing happens.
func (m *Manager) Stop() error {
	m.control.Lock()
	defer m.control.Unlock()
	if m.mon == nil {
		return nil
	}
	fusemount.Of(m.a).OnMount(nil)
	var errs []error
	for mt := range m.watched {
		errs = append(errs, mt.Watch(nil))
	}
	m.mu.Lock()
	mon := m.mon
	m.mon, m.watched = nil, nil
	m.mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		return err // a queue may go on writing to the monitor's memory, which has to stay
	}
	return mon.Close()
}

// Stats returns what has been found out since Start.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mon == nil {
		return Stats{Missing: m.refused}
	}
	found := m.mon.Stats()
	s := Stats{Enabled: true, Since: m.since, Elapsed: time.Since(m.since), Missing: m.mon.Missing()}
	if m.full != "" {
		s.Missing = m.full
	}
	for _, r := range m.reactors {
		for i := range found.Reactors {
			if found.Reactors[i].TID == r.tid {
				s.Reactors = append(s.Reactors, Reactor{r.core, found.Reactors[i]})
			}
		}
	}
	for _, mt := range fusemount.Of(m.a).Mounts() {
		number, ok := m.watched[mt]
		for i := range found.Connections {
			if ok && found.Connections[i].Number == number {
				s.Mounts = append(s.Mounts, Mount{mt.Fsdev, mt.Dir, found.Connections[i]})
			}
		}
	}
	return s
}
