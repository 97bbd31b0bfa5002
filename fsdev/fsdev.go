package fsdev

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/mempool"
	"github.com/spdk-go/spdk-go/reactor"
)

// Device is what a module implements for each of its file systems.
//
// SPDK: struct spdk_fsdev_fn_table
type Device interface {
	// SubmitRequest starts io on the thread of ch, which is the module's own channel (see
	// IOChannel). It must not block. It, or something it set going, calls io.Complete.
	// SPDK: submit_request
	SubmitRequest(ch *iochannel.Channel, io *IO)
	// IOChannel returns a reference to the module's channel for t, nil if there is none
	// to be had. It is put when t's fsdev channel goes. SPDK: get_io_channel
	IOChannel(t *reactor.Thread) *iochannel.Channel
	// Destruct frees the device, which has no descriptors and channels left, and calls
	// done exactly once on t, at once or later. SPDK: spdk_fsdev_destruct_done
	Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error))
}

// EventType is what a [Desc]'s opener is told. SPDK: enum spdk_fsdev_event_type
type EventType int

// EventRemove says that the device is going away: put the channels and close the Desc.
//
// SPDK: SPDK_FSDEV_EVENT_REMOVE
const EventRemove EventType = 0

// EventFunc receives events of a device, on the thread that opened it.
//
// SPDK: spdk_fsdev_event_cb_t
type EventFunc func(t *reactor.Thread, typ EventType, f *Fsdev, ctx any)

type fsdevStatus int

const (
	fsdevReady fsdevStatus = iota
	fsdevUnregistering
	fsdevRemoving // all descriptors closed
)

// Fsdev is a registered file system device.
//
// SPDK: struct spdk_fsdev
type Fsdev struct {
	m      *manager
	name   string
	module Module
	dev    Device
	ioDev  *iochannel.Device
	owner  uint16 // in traces

	// guarded by m.mu
	status    fsdevStatus
	descs     []*Desc
	unreg     fsdevUnregister
	telling   int     // removal events under way
	busy      int     // resets and passes of aborts under way, for which a removal waits
	resetting bool    // new channels are frozen
	finish    *finish // goes on when the device is gone
	gone      goneStats
}

// channelState is the context of a thread's channel of an Fsdev.
type channelState struct {
	dev       Device
	moduleCh  *iochannel.Channel
	cacheCh   *iochannel.Channel
	ios       *mempool.Cache[IO]
	submitted mempool.Set[IO] // to the module, and what has been completed but not delivered
	queued    []*IO           // waiting for a reset to end
	inFlight  int             // those, what is in its completion, and the aborter
	inSubmit  bool
	special   uint8 // special*

	tracepoints *atomic.Uint64 // those of the layer that are on, a bit each
	stats       channelStats
	aborter     *aborter
	drain       *iochannel.Iter // of a reset
}

// Register makes dev known under name, which must be unique (EEXIST) and not empty
// (EINVAL). module may be nil. EINVAL: the layer is not initialised; ESHUTDOWN: it is being
// finished. On a thread of the framework.
//
// SPDK: spdk_fsdev_register
func Register(t *reactor.Thread, name string, module Module, dev Device) (*Fsdev, error) {
	m := managerOf(t.Framework())
	f, err := m.register(t, name, module, dev)
	if err == nil {
		m.tell(t, f, true)
	}
	return f, err
}

func (m *manager) register(t *reactor.Thread, name string, module Module, dev Device) (*Fsdev, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.pool == nil:
		return nil, fmt.Errorf("fsdev %q: the fsdev layer is not initialised: %w", name, syscall.EINVAL)
	case m.finishing:
		return nil, fmt.Errorf("fsdev %q: the fsdev layer is being finished: %w", name, syscall.ESHUTDOWN)
	case name == "":
		return nil, fmt.Errorf("fsdev: a device needs a name: %w", syscall.EINVAL)
	case m.find(name) != nil:
		return nil, fmt.Errorf("fsdev %q: the name is taken: %w", name, syscall.EEXIST)
	}
	f := &Fsdev{m: m, name: name, module: module, dev: dev}
	ioDev, err := iochannel.RegisterDevice(t, f, "fsdev_"+name, f.createChannel, f.destroyChannel)
	if err != nil {
		return nil, err
	}
	f.ioDev = ioDev
	f.owner = m.fw.Tracer().RegisterOwner(reactor.OwnerTypeFsdev, name)
	m.fsdevs = append(m.fsdevs, f)
	return f, nil
}

func (f *Fsdev) createChannel(ch *iochannel.Channel, st *channelState) syscall.Errno {
	st.dev = f.dev
	st.tracepoints = &f.m.fw.Tracer().TraceMasks()[reactor.TraceGroupFsdev]
	if st.cacheCh = f.m.dev.Get(ch.Thread()); st.cacheCh == nil {
		return syscall.ENOMEM
	}
	if st.moduleCh = f.dev.IOChannel(ch.Thread()); st.moduleCh == nil {
		st.cacheCh.Put()
		return syscall.ENOMEM
	}
	st.ios = iochannel.Ctx[cacheChannel](st.cacheCh).ios
	st.submitted = f.m.pool.NewSet()
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	st.setHistograms(f.gone.on)
	if f.resetting {
		st.special |= specialFrozen
	}
	return 0
}

func (f *Fsdev) destroyChannel(_ *iochannel.Channel, st *channelState) {
	if n := st.submitted.Len(); n > 0 {
		panic(fmt.Sprintf("fsdev: a channel is destroyed with %d IO in flight", n))
	}
	f.keepStats(st)
	st.moduleCh.Put()
	st.cacheCh.Put()
}

// Name returns the device's name. SPDK: spdk_fsdev_get_name
func (f *Fsdev) Name() string { return f.name }

// ModuleName returns the name of the device's module, "" if it has none.
//
// SPDK: spdk_fsdev_get_module_name
func (f *Fsdev) ModuleName() string {
	if f.module == nil {
		return ""
	}
	return f.module.Name()
}

// Framework returns the framework that the device is registered in.
//
// Not in SPDK, of which a process has one.
func (f *Fsdev) Framework() *reactor.Framework { return f.m.fw }

// Device returns what the module has registered. SPDK: spdk_fsdev.ctxt
func (f *Fsdev) Device() Device { return f.dev }
