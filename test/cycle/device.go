package cycle

import (
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// device is the module of a world: it does what the history says, and watches its users.
type device struct {
	w     *world
	f     *fsdev.Fsdev
	ioDev *iochannel.Device
	hog   bool // it is there to take away IO

	chans    int
	mounting bool
	mounted  bool
	inFlight int                     // requests that are neither of the session's beginning and end nor aborts
	held     []*fsdev.IO             // what has not been completed, the oldest first
	targets  map[*fsdev.IO]*fsdev.IO // of aborts that are held, while they are good
	ignored  map[*fsdev.IO]bool      // what was asked to end and did not, or has not yet
	removing bool
}

func newDevice(w *world, name string) *device {
	d := &device{w: w, targets: map[*fsdev.IO]*fsdev.IO{}, ignored: map[*fsdev.IO]bool{}}
	t := w.bed.T
	var err error
	d.ioDev, err = iochannel.RegisterDevice(t, d, name, d.createChannel, d.destroyChannel)
	if err == nil {
		d.f, err = fsdev.Register(t, name, nil, d)
	}
	if err != nil {
		w.fail("register a device: %v", err)
	}
	return d
}

func (d *device) createChannel(ch *iochannel.Channel, _ *struct{}) syscall.Errno {
	w := d.w
	if !d.hog && w.refuse[w.index(ch.Thread())] {
		w.refusals++
		w.stats.refusals++
		if w.cfg.lie == lieChannel {
			d.chans--
		}
		return syscall.ENOMEM
	}
	d.chans++
	return 0
}

func (d *device) destroyChannel(*iochannel.Channel, *struct{}) { d.chans-- }

// IOChannel implements [fsdev.Device].
func (d *device) IOChannel(t *reactor.Thread) *iochannel.Channel { return d.ioDev.Get(t) }

// Destruct implements [fsdev.Device].
func (d *device) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	if d.mounted || d.mounting || len(d.held) > 0 {
		d.w.fail("a device goes that is in use: mounted %v, %d requests", d.mounted || d.mounting, len(d.held))
	}
	d.ioDev.Unregister(t, func(t *reactor.Thread, _ any) {
		if d.chans != 0 {
			d.w.fail("a device has gone that has %d channels", d.chans)
		}
		done(t, nil)
	}, nil)
}

// SubmitRequest implements [fsdev.Device].
func (d *device) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	w := d.w
	if cur := w.bed.Current(); cur != ch.Thread() {
		w.fail("%v of thread %d is submitted elsewhere", io.Type, w.index(ch.Thread()))
	}
	c := classOf(io)
	switch c {
	case classMount:
		if d.mounted || d.mounting {
			w.fail("MOUNT, but there is a session")
		}
		d.mounting = true
	case classUmount:
		switch {
		case !d.mounted:
			w.fail("UMOUNT without a session")
		case d.inFlight > 0:
			w.fail("UMOUNT with requests in flight: %d", d.inFlight)
		}
		d.mounted = w.cfg.lie.forgets(d)
	case classOrdinary:
		if !d.hog && !d.mounted {
			w.fail("%v without a session", io.Type)
		}
		d.inFlight++
	}
	switch errno := w.failNext[c]; {
	case d.hog:
		if w.exhausting {
			d.held = append(d.held, io)
			return
		}
		d.end(io, 0)
	case errno != 0:
		w.failNext[c] = 0
		d.end(io, errno)
	case w.hold&(1<<c) != 0:
		d.held = append(d.held, io)
		if c == classAbort {
			d.targets[io] = io.Target
			d.ignored[io.Target] = true
		}
	case c == classAbort:
		d.abort(io, io.Target)
	default:
		d.end(io, 0)
	}
}

// end completes a request.
func (d *device) end(io *fsdev.IO, errno syscall.Errno) {
	w := d.w
	delete(d.ignored, io)
	for abort, target := range d.targets {
		if target == io {
			delete(d.targets, abort)
		}
	}
	switch classOf(io) {
	case classMount:
		d.mounting = false
		if errno != 0 {
			w.mountFailures++
			w.stats.mountFailures++
			w.mountErrno = errno
			break
		}
		d.mounted = true
		w.mounts++
		io.Mount.PosixLocks, io.Mount.PosixACL = true, true
		io.OutObject = dispatchertest.Root
	case classOrdinary:
		d.inFlight--
		if errno == 0 {
			dispatchertest.Fill(io)
			io.OutAttr.Mode |= syscall.S_ISGID // for what setting an ACL has to do afterwards
		}
	}
	io.Complete(errno)
}

// abort ends the target, which is nil if it is over, unless the abort comes too late.
func (d *device) abort(io, target *fsdev.IO) {
	i := slices.Index(d.held, target)
	if i >= 0 && d.w.hold&(1<<stubborn) != 0 {
		d.ignored[target] = true
	}
	if i < 0 || d.w.hold&(1<<stubborn) != 0 {
		io.Complete(syscall.EALREADY)
		return
	}
	d.held = slices.Delete(d.held, i, i+1)
	d.end(target, syscall.EINTR)
	io.Complete(0)
}

// complete ends the i-th of what is held.
func (d *device) complete(i int, errno syscall.Errno) {
	io := d.held[i]
	d.held = slices.Delete(d.held, i, i+1)
	d.w.bed.On(io.Thread(), func() {
		if classOf(io) == classAbort {
			target := d.targets[io]
			delete(d.targets, io)
			d.abort(io, target)
			return
		}
		d.end(io, errno)
	})
}

// spared returns how many requests are held that nobody has asked to end, unless there are others to wait for first:
// channels are drained one after the other.
func (d *device) spared() (n int) {
	if len(d.ignored) > 0 {
		return 0
	}
	return d.inFlight
}

// completeAll ends everything that is held.
func (d *device) completeAll() {
	for len(d.held) > 0 {
		d.complete(0, 0)
	}
}
