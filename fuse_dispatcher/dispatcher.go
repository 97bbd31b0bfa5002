package fusedispatcher

import (
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/mempool"
	"github.com/spdk-go/spdk-go/reactor"
)

// EventFunc is told that the fsdev has gone away; every channel has let go of it by then.
// It is called on the control thread. The dispatcher answers ENOTCONN until the client
// sends INIT again and there is an fsdev of that name; usually it is deleted.
//
// SPDK: spdk_fuse_dispatcher_event_cb
type EventFunc func(t *reactor.Thread, d *Dispatcher, ctx any)

// Opts configure a [Dispatcher].
//
// SPDK: the arguments of spdk_fuse_dispatcher_create and spdk_fuse_dispatcher_set_arch
type Opts struct {
	// FsdevName is the device to serve. It need not exist before the client's INIT.
	FsdevName string
	// Cache is what the client may cache.
	Cache CachePolicy
	// EntryTimeout and AttrTimeout are how long the client may keep names and attributes, in place of what Cache says,
	// unless the module says something else itself. 0 means what Cache says, less than that not at all.
	EntryTimeout, AttrTimeout time.Duration
	// MaxWrite is the largest WRITE that the transport carries, in bytes; 0 means 1 MiB.
	MaxWrite uint32
	// Arch is where the client's open flags come from.
	Arch Arch
	// MaxRequests is how many requests can be in flight on a channel, i.e. a thread; 0 means
	// 2048 (4 MiB). A transport that lets requests wait for locks needs room for the others
	// beside them. Those that end others have some more room, see [Dispatcher.SubmitRequest].
	MaxRequests int
	// Mapper, which may be nil, lets the client map files.
	Mapper Mapper
	// Notify, which may be nil, is called with NotifyCtx for what the module has to tell the
	// client; see also [Dispatcher.SetNotify].
	Notify    NotifyFunc
	NotifyCtx any
	// Event, which may be nil, is called with EventCtx.
	Event    EventFunc
	EventCtx any
	// Log receives what clients do that they should not: malformed requests, at most 10 lines at
	// once and one a second. nil means slog.Default. It is never called from a reactor.
	Log *slog.Logger
}

// Dispatcher serves an fsdev to one FUSE client.
//
// SPDK: struct spdk_fuse_dispatcher
type Dispatcher struct {
	opts Opts
	ctl  *reactor.Thread
	dev  *iochannel.Device

	// sess is what requests work on: nil before INIT and after DESTROY.
	sess atomic.Pointer[session]
	// openDesc is what a channel that is created gets its fsdev channel from.
	openDesc atomic.Pointer[fsdev.Desc]
	notify   atomic.Pointer[notifyHook]
	backing  atomic.Pointer[Backing]

	log     *log.Limiter
	control control
	gone    goneStats
}

// session is the state between INIT and DESTROY. It does not change once it is published.
type session struct {
	desc      *fsdev.Desc
	root      fsdev.FileObject
	arch      Arch
	minor     uint32
	flags     uint64 // INIT flags agreed on
	rules     cacheRules
	writeback bool
	noOpen    bool
	noOpendir bool
	noFlush   bool
	noFsync   bool
	killPriv  bool // the client may ask for set-user-ID bits to be cleared
	submounts bool // the client wants to know where other file systems begin
	// posixLocks: byte-range locks are the module's, not the client's kernel's.
	posixLocks bool
	// posixACL: the module knows access control lists. dontMask: it applies the umask, for that
	// depends on them; otherwise the client's kernel has.
	posixACL, dontMask     bool
	securityCtx, suppGroup bool              // what may follow names, see creator
	sizes                  [numOpcodes]sizes // by tableIndex

	backing Backing // nil: no files are registered
	backed  *backedFiles

	entryValid, attrValid timeout // how long the client may keep names and attributes
}

// channel is the context of a thread's channel of a dispatcher.
type channel struct {
	d       *Dispatcher
	fsdevCh *iochannel.Channel // nil without a session
	reqs    *mempool.Slab[request]
	drain   *iochannel.Iter
	seq     uint64 // of the last request

	active   int // requests that work on the session
	inFlight int // requests, up to the return of their completion
	stats    channelStats

	registration registration
}

// Create creates a dispatcher, whose control thread is t.
//
// SPDK: spdk_fuse_dispatcher_create, without a callback, since there is nothing to wait for
func Create(t *reactor.Thread, o Opts) (*Dispatcher, error) {
	t.AssertCurrent()
	if o.FsdevName == "" {
		return nil, fmt.Errorf("fuse_dispatcher: FsdevName is empty: %w", syscall.EINVAL)
	}
	if o.MaxWrite == 0 {
		o.MaxWrite = 1 << 20
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 2048
	}
	if o.MaxRequests < 0 || o.MaxRequests > math.MaxUint32-ControlReserve {
		return nil, fmt.Errorf("fuse_dispatcher: MaxRequests is %d: %w", o.MaxRequests, syscall.EINVAL)
	}
	if o.Mapper != nil {
		if a := o.Mapper.MapAlignment(); a < minMapAlignment || a > maxMapAlignment {
			return nil, fmt.Errorf("fuse_dispatcher: the mapper's alignment is 2^%d, not 2^%d to 2^%d: %w",
				a, minMapAlignment, maxMapAlignment, syscall.EINVAL)
		}
	}
	d := &Dispatcher{opts: o, ctl: t}
	d.log = log.NewLimiter(o.Log, "fuse_dispatcher", log.Limits{Now: func() time.Duration {
		return t.Framework().Duration(t.Framework().Ticks())
	}})
	d.SetNotify(o.Notify, o.NotifyCtx)
	var err error
	d.dev, err = iochannel.RegisterDevice(t, d, "fuse_disp_"+o.FsdevName, d.createChannel, destroyChannel)
	return d, err
}

func (d *Dispatcher) createChannel(ch *iochannel.Channel, c *channel) syscall.Errno {
	c.d = d
	// A pool of its own: what one thread keeps in flight or for later is not missing elsewhere.
	var err error
	if c.reqs, err = mempool.NewSlab[request]("fuse_requests", d.opts.MaxRequests+ControlReserve); err != nil {
		return syscall.ENOMEM
	}
	if desc := d.openDesc.Load(); desc != nil {
		if c.fsdevCh = desc.IOChannel(ch.Thread()); c.fsdevCh == nil {
			return syscall.ENOMEM
		}
	}
	return 0
}

func destroyChannel(_ *iochannel.Channel, c *channel) {
	if c.fsdevCh != nil {
		c.fsdevCh.Put()
		c.fsdevCh = nil
	}
	if n := c.reqs.Len(); n > 0 {
		panic(fmt.Sprintf("fuse_dispatcher %q: %d of %d requests are missing at the end of a channel",
			c.d.opts.FsdevName, n, c.reqs.Size()))
	}
	c.d.gone.add(c)
}

// FsdevName returns the name of the device served.
//
// SPDK: spdk_fuse_dispatcher_get_fsdev_name
func (d *Dispatcher) FsdevName() string { return d.opts.FsdevName }

// MaxRequests returns how many requests of any opcode can be in flight on a channel. Not in SPDK.
func (d *Dispatcher) MaxRequests() int { return d.opts.MaxRequests }

// MaxWrite returns the largest WRITE in bytes that a client is allowed. Not in SPDK.
func (d *Dispatcher) MaxWrite() uint32 { return d.opts.MaxWrite }

// IOChannel returns a reference to t's channel, nil if it cannot be created. On t only.
//
// SPDK: spdk_fuse_dispatcher_get_io_channel
func (d *Dispatcher) IOChannel(t *reactor.Thread) *iochannel.Channel { return d.dev.Get(t) }
