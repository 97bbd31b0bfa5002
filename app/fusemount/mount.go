package fusemount

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// Options say what to mount where, and how.
type Options struct {
	Fsdev         string // its name
	Dir           string // an absolute path; a dead mount that is there is replaced
	Cache         fusedispatcher.CachePolicy
	MaxWrite      uint32 // bytes; 0 means the default of the transport
	AllowOther    bool   // see fusedev.Options, as the next two
	ReadOnly      bool
	NoPassthrough bool
	Ring          fusedev.RingMode
	EntryTimeout  time.Duration // see fusedispatcher.Opts, as the next
	AttrTimeout   time.Duration
}

// Confinement is what a process that has locked itself up can still mount.
type Confinement struct {
	Host        *fusedev.RemoteHost // mounts, see fusedev.Options
	Mountpoints []string            // all that it mounts on, absolute
	// NoPassthrough says that the kernel can be given no files: CAP_SYS_ADMIN is gone.
	NoPassthrough bool
}

// Manager has the mounts of an application.
type Manager struct {
	a *app.App

	confined Confinement // the zero value if it is not

	mu      sync.Mutex
	report  func(text string)
	mounted func()
	threads []*reactor.Thread // one per reactor, for the queues of the mounts
	mounts  []*Mount
}

// Mount is a device on a directory.
type Mount struct {
	Options
	m       *Manager
	disp    *fusedispatcher.Dispatcher
	session *fusedev.Session
	ours    atomic.Bool // it ends because somebody here wants that
	end     sync.Once
	ended   atomic.Bool
	stats   Stats
	endErr  error
}

// Stats is what has been done for a mount.
type Stats struct {
	Requests   fusedispatcher.Stats
	Queues     []fusedev.QueueStats // one per reactor
	Notify     fusedev.NotifyStats
	Backing    fusedev.BackingStats
	LogDropped uint64 // lines that the limit of the transport's log kept back
}

var managerKey = reactor.NewExtKey()

// Of returns the mounts of an application that has been started.
func Of(a *app.App) *Manager {
	return a.Framework().Ext(managerKey, func() any { return &Manager{a: a} }).(*Manager)
}

// Confine says that the process has locked itself up, before anything is mounted.
func (m *Manager) Confine(c Confinement) { m.confined = c }

// SetReport has what operators should know (somebody keeps a mount busy, somebody else has unmounted it) go to fn,
// which may be called by any goroutine, instead of the application's log.
func (m *Manager) SetReport(fn func(text string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report = fn
}

func (m *Manager) reportf(format string, args ...any) {
	m.mu.Lock()
	fn := m.report
	m.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if fn == nil {
		m.a.Log().Warn(text)
		return
	}
	fn(text)
}

// queueThreads returns a thread on each reactor.
func (m *Manager) queueThreads() ([]*reactor.Thread, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, core := range m.a.Cores()[len(m.threads):] {
		t, err := m.a.Framework().CreateThread(fmt.Sprintf("fuse_%d", core), reactor.NewCpuset(core))
		if err != nil {
			return nil, err
		}
		m.threads = append(m.threads, t)
	}
	return m.threads, nil
}

// Mount mounts a device. Errors wrap what is wrong: ENODEV (there is no such device), EBUSY (something is mounted
// there), EINVAL (options) and whatever the kernel says.
func (m *Manager) Mount(ctx context.Context, o Options) (*Mount, error) {
	if !filepath.IsAbs(o.Dir) || o.MaxWrite > fusedev.DefaultMaxWrite {
		return nil, fmt.Errorf("fuse: mount %q on %q, write of up to %d bytes: %w", o.Fsdev, o.Dir, o.MaxWrite,
			syscall.EINVAL)
	}
	o.Dir = filepath.Clean(o.Dir)
	if c := &m.confined; c.Host != nil && !slices.Contains(c.Mountpoints, o.Dir) {
		return nil, fmt.Errorf("fuse: mount %q on %s: the process has locked itself up with mountpoints, which are %q, and "+
			"can have no other: %w", o.Fsdev, o.Dir, c.Mountpoints, syscall.EPERM)
	}
	threads, err := m.queueThreads()
	if err != nil {
		return nil, err
	}
	mt := &Mount{Options: o, m: m}
	errno := app.Call(m.a.Thread(), func(t *reactor.Thread) {
		mt.disp, err = fusedispatcher.Create(t, fusedispatcher.Opts{
			FsdevName: o.Fsdev,
			Cache:     o.Cache,
			MaxWrite:  o.MaxWrite,

			EntryTimeout: o.EntryTimeout,
			AttrTimeout:  o.AttrTimeout,
		})
	})
	if errno != 0 {
		err = errno
	}
	if err != nil {
		return nil, err
	}
	mt.session, err = fusedev.Mount(ctx, fusedev.Options{
		Dispatcher:    mt.disp,
		Threads:       threads,
		Mountpoint:    o.Dir,
		FsName:        o.Fsdev,
		Subtype:       "spdk",
		AllowOther:    o.AllowOther,
		ReadOnly:      o.ReadOnly,
		Replace:       true,
		MaxWrite:      o.MaxWrite,
		NoPassthrough: o.NoPassthrough || m.confined.NoPassthrough,
		Ring:          o.Ring,
		Host:          m.confined.Host,
		Log:           m.a.Log(),
	})
	if err != nil {
		return nil, errors.Join(err, mt.deleteDispatcher())
	}
	m.mu.Lock()
	m.mounts = append(m.mounts, mt)
	fn := m.mounted
	m.mu.Unlock()
	m.a.Notify().Send(app.NotifyFuseMount, o.Dir)
	if fn != nil {
		fn()
	}
	go mt.watch()
	return mt, nil
}

// Mounts returns what is mounted, oldest first.
func (m *Manager) Mounts() []*Mount {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mounts)
}

// OnMount has fn called after each Mount from now on, by its caller and before it returns; nil ends that.
func (m *Manager) OnMount(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounted = fn
}

// Connection returns the kernel's number of the mount's connection, as in /sys/fs/fuse/connections; see
// fusedev.Session.Connection.
func (mt *Mount) Connection() (number uint32, ok bool) { return mt.session.Connection() }

// Watch has w told of the mount's requests from now on, nil: nobody; see fusedev.Session.Watch.
func (mt *Mount) Watch(w fusedev.Watcher) error { return mt.session.Watch(w) }

// Find returns what is mounted on a directory, nil if nothing is.
func (m *Manager) Find(dir string) *Mount {
	dir = filepath.Clean(dir)
	for _, mt := range m.Mounts() {
		if mt.Dir == dir {
			return mt
		}
	}
	return nil
}

// UnmountAll undoes the mounts, the last first, whoever uses them. The error says which have not ended.
func (m *Manager) UnmountAll() error {
	var errs []error
	for _, mt := range slices.Backward(m.Mounts()) {
		errs = append(errs, mt.Unmount(true))
	}
	return errors.Join(errs...)
}

// watch cleans up after a mount that has ended.
func (mt *Mount) watch() {
	<-mt.session.Done()
	if !mt.ours.Load() {
		mt.m.reportf("%s was unmounted from %s by somebody else", mt.Fsdev, mt.Dir)
	}
	if err := mt.finish(); err != nil && !mt.ours.Load() {
		mt.m.reportf("%v", err)
	}
}

// Unmount undoes the mount. The error wraps EBUSY if it is in use, unless force is true: then users are reported,
// waited for for a while, and at last get errors.
func (mt *Mount) Unmount(force bool) error {
	mt.ours.Store(true)
	if force {
		u := unmounter{s: mt.session, dir: mt.Dir, report: func(text string) { mt.m.reportf("%s", text) },
			delay: unmountDelay, users: mountUsers}
		if host := mt.m.confined.Host; host != nil {
			u.users = func(_, dir string) []string { return host.Users(dir) }
		}
		if !u.unmount() {
			// Its requests still use the dispatcher, which has to stay.
			return fmt.Errorf("fuse: %s does not end", mt.Dir)
		}
	} else if err := mt.session.Unmount(); err != nil {
		mt.ours.Store(false)
		return err
	}
	return mt.finish()
}

// finish takes down what is left of a mount whose session has ended; who comes second waits.
func (mt *Mount) finish() error {
	mt.end.Do(func() {
		mt.stats = mt.readStats()
		mt.ended.Store(true)
		mt.endErr = mt.deleteDispatcher()
		mt.m.mu.Lock()
		mt.m.mounts = slices.DeleteFunc(mt.m.mounts, func(o *Mount) bool { return o == mt })
		mt.m.mu.Unlock()
		mt.m.a.Notify().Send(app.NotifyFuseUnmount, mt.Dir)
	})
	return mt.endErr
}

// Stats returns what has been done, also when the mount has ended.
func (mt *Mount) Stats() Stats {
	if mt.ended.Load() {
		return mt.stats
	}
	return mt.readStats()
}

func (mt *Mount) readStats() (s Stats) {
	s.Queues, _ = mt.session.Stats()
	s.Notify, s.Backing, s.LogDropped = mt.session.NotifyStats(), mt.session.BackingStats(), mt.session.LogDropped()
	app.CallAsync(mt.m.a.Thread(), func(t *reactor.Thread, done func()) {
		mt.disp.Stats(t, func(_ *reactor.Thread, _ any, st *fusedispatcher.Stats) {
			s.Requests = *st
			done()
		}, nil)
	})
	return s
}

// deleteTimeout is how long a dispatcher whose session has ended may take to go.
const deleteTimeout = 10 * time.Second

// deleteDispatcher gives up on a dispatcher that something still uses, for instance a session whose set-up has failed
// half-way: nothing can be taken down in order any more then.
func (mt *Mount) deleteDispatcher() error {
	deleted := make(chan syscall.Errno, 1)
	errno := app.Call(mt.m.a.Thread(), func(t *reactor.Thread) {
		mt.disp.Delete(t, func(_ *reactor.Thread, _ any, errno syscall.Errno) { deleted <- errno }, nil)
	})
	if errno == 0 {
		select {
		case errno = <-deleted:
		case <-time.After(deleteTimeout):
			return fmt.Errorf("fuse: the dispatcher of %s is still in use", mt.Fsdev)
		}
	}
	if errno != 0 {
		return fmt.Errorf("fuse: delete the dispatcher of %s: %w", mt.Fsdev, errno)
	}
	return nil
}
