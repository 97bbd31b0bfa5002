package fusedev

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
)

// unmountTimeout is how long [Session.Unmount] waits for the end of the session once the mountpoint is free.
const unmountTimeout = 10 * time.Second

// hangupTimeout is how long queues may take to notice that the kernel is gone.
const hangupTimeout = 200 * time.Millisecond

// Session is a mounted file system. Its methods may be called from any goroutine that is not a reactor's.
type Session struct {
	opts       Options
	host       host
	srv        server
	mountpoint string
	connection uint32 // the kernel's number of it
	known      bool   // connection is valid

	queues []*queue // those that have been started

	// hold counts the queues that are not drained yet, and Mount while it runs.
	hold       atomic.Int32
	allDrained chan struct{}
	hungUp     chan struct{} // closed by the first queue that is drained
	hungOnce   sync.Once

	inited    chan struct{}
	initOnce  sync.Once
	initErrno syscall.Errno // valid once inited is closed

	log      *log.Limiter
	notifier *notifier // nil if the server has nothing to tell
	backing  *backing  // nil if no files are passed through
	done     chan struct{}
}

// Mount mounts a file system and returns when the kernel and the dispatcher have agreed on how to talk (INIT). ctx
// ends the wait for that. Not from a reactor, since it waits for messages to the threads in o.
//
// Errors wrap EINVAL (options, or INIT refused), ENOENT, ENOTDIR, EBUSY, ENOTCONN (mountpoint), ENODEV, EACCES, EPERM
// (/dev/fuse, rights), ENOMEM, or what mount(2) returns.
func Mount(ctx context.Context, o Options) (*Session, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := o.checkRoom(); err != nil {
		return nil, err
	}
	return mount(ctx, o, o.Dispatcher, false)
}

func newSession(o Options, srv server) *Session {
	s := &Session{
		opts:       o,
		host:       o.host(),
		srv:        srv,
		allDrained: make(chan struct{}),
		hungUp:     make(chan struct{}),
		inited:     make(chan struct{}),
		done:       make(chan struct{}),
	}
	s.hold.Store(1)
	return s
}

func mount(ctx context.Context, o Options, srv server, forceHelper bool) (*Session, error) {
	s := newSession(o, srv)
	var err error
	if s.mountpoint, err = s.host.prepare(o.Mountpoint, o.Replace); err != nil {
		return nil, err
	}
	s.log = log.NewLimiter(o.Log.With("mountpoint", s.mountpoint), "fusedev", log.Limits{})
	queues, err := s.newQueues()
	if err != nil {
		return nil, err
	}
	if err := s.addRings(queues); err != nil {
		freeQueues(queues)
		return nil, err
	}
	fd, err := s.host.mount(ctx, s.mountpoint, &s.opts, forceHelper)
	if err != nil {
		freeQueues(queues)
		return nil, err
	}
	if m, ok, err := s.host.find(s.mountpoint); err == nil && ok && m.isFuse() {
		s.connection, s.known = m.connection(), true
	}
	queues[0].fd = fd
	if src, ok := srv.(notifySource); ok {
		s.notifier = newNotifier(src, fd, unix.Writev, s.log)
	}
	if user, ok := srv.(backingUser); ok && !s.opts.NoPassthrough {
		s.backing = newBacking(user, fd, s.log)
	}
	if err := s.startAll(ctx, queues); err != nil {
		s.rollback(queues)
		return nil, err
	}
	s.release()
	go s.supervise()
	return s, nil
}

func (s *Session) newQueues() ([]*queue, error) {
	var queues []*queue
	for i, t := range s.opts.Threads {
		q, err := newQueue(i, t, -1, s.srv, s, s.log, &s.opts)
		if err != nil {
			freeQueues(queues)
			return nil, err
		}
		queues = append(queues, q)
	}
	return queues, nil
}

// freeQueues releases queues that have been stopped or not been started.
func freeQueues(queues []*queue) {
	for _, q := range queues {
		if q.fd >= 0 {
			unix.Close(q.fd)
			q.fd = -1
		}
		if q.ring != nil {
			q.ring.free()
		}
		q.mem.free()
	}
}

// startAll starts the first queue, waits for INIT and starts the others.
func (s *Session) startAll(ctx context.Context, queues []*queue) error {
	if err := s.start(queues[0]); err != nil {
		return err
	}
	select {
	case <-s.inited:
	case <-s.hungUp:
		return fmt.Errorf("fusedev: %s was unmounted before INIT: %w", s.mountpoint, unix.ENODEV)
	case <-ctx.Done():
		return fmt.Errorf("fusedev: mount on %s: waiting for INIT: %w", s.mountpoint, ctx.Err())
	}
	if s.initErrno != 0 {
		return fmt.Errorf("fusedev: mount on %s: the dispatcher refuses INIT: %w", s.mountpoint, s.initErrno)
	}
	for _, q := range queues[1:] {
		var err error
		if q.fd, err = cloneDevice(s.host, queues[0].fd); err != nil {
			return err
		}
		if err := s.start(q); err != nil {
			return err
		}
	}
	if err := s.startRings(queues); err != nil {
		return err
	}
	if !s.opts.Poll {
		if err := s.probe(ctx); err != nil {
			return fmt.Errorf("fusedev: mount on %s: %w", s.mountpoint, err)
		}
	}
	return nil
}

func (s *Session) start(q *queue) error {
	s.hold.Add(1)
	if err := do(q, (*queue).start); err != nil {
		s.release()
		return err
	}
	s.queues = append(s.queues, q)
	return nil
}

// rollback undoes a mount whose set-up has failed. It waits for the end of what is in flight, but not for ever: the
// dispatcher may be what hangs.
func (s *Session) rollback(queues []*queue) {
	_ = s.host.unmount(s.mountpoint, unix.MNT_DETACH)
	for _, q := range s.queues {
		_ = do(q, hangupQueue)
	}
	s.release()
	if len(s.queues) == 0 {
		s.endBacking()
		s.endNotifier()
		freeQueues(queues)
		return
	}
	freeQueues(queues[len(s.queues):])
	go s.supervise()
	select {
	case <-s.done:
	case <-time.After(unmountTimeout):
	}
}

func hangupQueue(q *queue) error {
	q.hangup()
	return nil
}

// release drops one of the reasons why the session is not over.
func (s *Session) release() {
	if s.hold.Add(-1) == 0 {
		close(s.allDrained)
	}
}

// initDone implements owner.
func (s *Session) initDone(errno syscall.Errno) {
	s.initOnce.Do(func() {
		s.initErrno = errno
		close(s.inited)
	})
}

// drained implements owner.
func (s *Session) drained(*queue) {
	s.hungOnce.Do(func() { close(s.hungUp) })
	s.release()
}

// supervise waits for the end, and clears up.
func (s *Session) supervise() {
	<-s.allDrained
	s.teardown()
}

// teardown runs when the kernel is gone and nothing is in flight.
func (s *Session) teardown() {
	if err := s.destroy(); err != nil {
		s.opts.Log.Warn("fusedev: DESTROY", "mountpoint", s.mountpoint, "error", err)
	}
	for _, q := range s.queues {
		if err := do(q, stopQueue); err != nil {
			// Who knows what still points to its memory: leave it.
			s.opts.Log.Warn("fusedev: a thread has exited before the session's end", "thread", q.t.Name(), "error", err)
			q.mem.all = nil
			if q.ring != nil {
				q.ring.mem = nil
			}
		}
	}
	s.endBacking()
	s.endNotifier()
	// Closing the last descriptor makes the kernel abort whatever it still has.
	freeQueues(s.queues)
	s.detachDead()
	close(s.done)
}

// detachDead takes the mount away if it is still there, as after an abort: there will never be anybody to serve it.
func (s *Session) detachDead() {
	if !s.known {
		return
	}
	if m, ok, err := s.host.find(s.mountpoint); err != nil || !ok || !m.isFuse() || m.connection() != s.connection {
		return
	}
	// EINVAL: an Abort that is under way has been faster.
	if err := s.host.unmount(s.mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		s.opts.Log.Warn("fusedev: the dead mount stays", "mountpoint", s.mountpoint, "error", err)
	}
}

// endNotifier stops telling the kernel anything, before the descriptor is closed.
func (s *Session) endNotifier() {
	if s.notifier != nil {
		s.notifier.end()
	}
}

// endBacking waits for the end of what uses the descriptor.
func (s *Session) endBacking() {
	if s.backing != nil {
		s.backing.end()
	}
}

func stopQueue(q *queue) error {
	q.stop()
	return nil
}

// destroy has the dispatcher close the file system. An errno of the dispatcher's is not worth more than a line in the
// log: there is nobody left who could do anything about it.
func (s *Session) destroy() error {
	if len(s.queues) == 0 {
		return nil
	}
	finished := make(chan syscall.Errno, 1)
	err := do(s.queues[0], func(q *queue) error {
		q.control.destroy(func(errno syscall.Errno) { finished <- errno })
		return nil
	})
	if err != nil {
		return err
	}
	if errno := <-finished; errno != 0 {
		return errno
	}
	return nil
}

// Mountpoint returns where the file system is mounted, as the kernel lists it.
func (s *Session) Mountpoint() string { return s.mountpoint }

// Connection returns the number of the session's folder below /sys/fs/fuse/connections; ok is false if it is not
// known.
func (s *Session) Connection() (number uint32, ok bool) { return s.connection, s.known }

// Done returns a channel that is closed when the session is over: the file system has been unmounted, by whomever, or
// aborted, the dispatcher has closed the fsdev, and nothing of the session runs any more.
func (s *Session) Done() <-chan struct{} { return s.done }

func (s *Session) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Unmount unmounts the file system and waits for the end of the session. An unmounted session is no error. While files
// are open or directories in use it changes nothing and returns an error that wraps EBUSY: close them, or use
// [Session.Detach]. It wraps ETIMEDOUT if the file system has been unmounted but the session does not end.
func (s *Session) Unmount() error {
	if err := s.unmount(0); err != nil {
		return err
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(unmountTimeout):
		return fmt.Errorf("fusedev: %s is unmounted, but still in use, maybe in another mount namespace, or a request "+
			"does not end: wait for Done, or use Abort: %w", s.mountpoint, unix.ETIMEDOUT)
	}
}

// Detach takes the file system off its mountpoint even while it is in use, and returns at once. The session goes
// on until the last user has let go; see [Session.Done].
func (s *Session) Detach() error { return s.unmount(unix.MNT_DETACH) }

func (s *Session) unmount(flags int) error {
	if s.isDone() {
		return nil
	}
	if err := s.checkMounted(); err != nil {
		return err
	}
	err := s.host.unmount(s.mountpoint, flags)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL):
		// Somebody else may have been faster.
		if _, ok, findErr := s.host.find(s.mountpoint); findErr == nil && !ok {
			return s.checkMounted()
		}
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("fusedev: %s is in use: close the files and leave the directories below it (fuser -vm %s "+
			"lists who has them), or detach it: %w", s.mountpoint, s.mountpoint, unix.EBUSY)
	}
	return fmt.Errorf("fusedev: unmount %s: %w", s.mountpoint, err)
}

// checkMounted sees to it that what is unmounted is this file system and nothing else.
func (s *Session) checkMounted() error {
	m, ok, err := s.host.find(s.mountpoint)
	if err != nil {
		return fmt.Errorf("fusedev: unmount %s: %w", s.mountpoint, err)
	}
	switch {
	case !s.known:
		return nil
	case !ok:
		select {
		case <-s.hungUp:
			return nil
		case <-time.After(hangupTimeout):
		}
		return fmt.Errorf("fusedev: %s is detached and still in use: wait for Done, or use Abort: %w",
			s.mountpoint, unix.EBUSY)
	case !m.isFuse() || m.connection() != s.connection:
		return fmt.Errorf("fusedev: %s (%s) has been mounted over %s: unmount it first: %w",
			m.source, m.fsType, s.mountpoint, unix.EBUSY)
	}
	return nil
}

// Abort ends the session by force and takes the file system off its mountpoint: whoever waits for an answer gets
// ECONNABORTED or ENOTCONN at once, and data that has not been written is lost. [Session.Done] follows when the
// requests in flight have come back.
func (s *Session) Abort() error {
	if s.isDone() {
		return nil
	}
	aborted := false
	if s.known {
		aborted = s.host.abort(s.mountpoint, s.connection)
	}
	if s.checkMounted() == nil {
		flags := unix.MNT_DETACH
		if !aborted {
			flags |= unix.MNT_FORCE // aborts too, and needs no /sys/fs/fuse/connections
		}
		_ = s.host.unmount(s.mountpoint, flags)
	}
	// If neither could be done, the last close will do. A reactor that hangs must not make this call hang.
	for _, q := range s.queues {
		q.t.SendMsg(hangupMsg, q)
	}
	return nil
}

func hangupMsg(_ *reactor.Thread, ctx any) { ctx.(*queue).hangup() }

// Stats returns what each queue has done so far, in the order of [Options.Threads].
func (s *Session) Stats() ([]QueueStats, error) {
	stats := make([]QueueStats, len(s.queues))
	for i, q := range s.queues {
		read := func(q *queue) error {
			stats[i] = q.stats
			stats[i].InFlight = q.inFlight
			return nil
		}
		if s.isDone() {
			_ = read(q)
			continue
		}
		if err := do(q, read); err != nil {
			return nil, fmt.Errorf("fusedev: statistics of thread %s: %w", q.t.Name(), err)
		}
	}
	return stats, nil
}

// NotifyStats returns what the kernel has been told without asking.
func (s *Session) NotifyStats() NotifyStats {
	if s.notifier == nil {
		return NotifyStats{}
	}
	return s.notifier.stats()
}

// LogDropped returns how many lines of the log have not been written, because there were too many.
func (s *Session) LogDropped() uint64 { return s.log.Dropped() }

// call is a function on its way to a queue's thread.
type call struct {
	q    *queue
	fn   func(q *queue) error
	err  error
	done chan struct{}
}

func runCall(_ *reactor.Thread, ctx any) {
	c := ctx.(*call)
	c.err = c.fn(c.q)
	close(c.done)
}

// do runs fn on q's thread and waits for it.
func do(q *queue, fn func(q *queue) error) error {
	c := &call{q: q, fn: fn, done: make(chan struct{})}
	for {
		errno := q.t.SendMsg(runCall, c)
		if errno == 0 {
			break
		}
		if errno != unix.ENOMEM {
			return errno
		}
		time.Sleep(time.Millisecond)
	}
	watch := time.NewTicker(100 * time.Millisecond)
	defer watch.Stop()
	for {
		select {
		case <-c.done:
			return c.err
		case <-watch.C:
			if q.t.IsExited() {
				return unix.ESRCH
			}
		}
	}
}
