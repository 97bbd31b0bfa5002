package dispatchertest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// InitReply is what INIT is answered.
type InitReply = InitOut

// Init takes a client of the minor version through INIT, with all flags there are.
func (b *Bed) Init(minor uint32) InitReply {
	b.TB.Helper()
	return b.InitFlags(minor, AllFlags)
}

// InitFlags takes a client of the minor version that offers flags through INIT.
func (b *Bed) InitFlags(minor uint32, flags uint64) InitReply {
	b.TB.Helper()
	in := InitIn{Major: 7, Minor: minor, MaxReadahead: 1 << 30, Flags: uint32(flags), Flags2: uint32(flags >> 32)}
	r := b.Do(0, FUSE_INIT, 0, 80, Bytes(&in))
	if r.Errno != 0 {
		b.TB.Fatalf("INIT: %v", r.Errno)
	}
	var out InitReply
	copy(Bytes(&out), r.Payload())
	return out
}

// StartInit sends an INIT on thread i, of a new client without flags.
func (b *Bed) StartInit(i int) *Reply {
	b.TB.Helper()
	return b.Start(i, FUSE_INIT, 0, 80, Bytes(&InitIn{Major: 7, Minor: MaxMinor}))
}

// StartDestroy sends a DESTROY on thread i.
func (b *Bed) StartDestroy(i int) *Reply {
	b.TB.Helper()
	return b.Start(i, FUSE_DESTROY, 0, 16)
}

// Probe returns what a GETATTR on each channel is answered, the same for all.
func (b *Bed) Probe() syscall.Errno {
	b.TB.Helper()
	var first syscall.Errno
	for i, ch := range b.Chans {
		if ch == nil {
			continue
		}
		errno := b.Do(i, FUSE_GETATTR, Node, 120, Bytes(&GetattrIn{})).Errno
		if i == 0 || b.Chans[0] == nil && i == 1 {
			first = errno
		} else if errno != first {
			b.TB.Errorf("channel %d answers %v, the first %v", i, errno, first)
		}
	}
	return first
}

// Delete deletes the dispatcher and returns what the callback got, nil if it was not called.
func (b *Bed) Delete(t *reactor.Thread) *syscall.Errno {
	got := b.StartDelete(t)
	b.PollThreads()
	return *got
}

// StartDelete asks for a Delete; what is returned points to what the callback gets.
func (b *Bed) StartDelete(t *reactor.Thread) **syscall.Errno {
	got := new(*syscall.Errno)
	b.D.Delete(t, func(on *reactor.Thread, ctx any, errno syscall.Errno) {
		if on != t || ctx != b || *got != nil {
			b.TB.Errorf("Delete of %s called back on %s with %v, %v before", t.Name(), on.Name(), ctx, *got)
		}
		*got = &errno
	}, b)
	return got
}

// PutChannels puts the channels there are.
func (b *Bed) PutChannels() {
	for i, ch := range b.Chans {
		if ch != nil {
			ch.Put()
			b.Chans[i] = nil
		}
	}
}

// RemoveFS unregisters the device and wants it to go.
func (b *Bed) RemoveFS() {
	b.TB.Helper()
	gone := b.StartRemoveFS()
	b.PollThreads()
	if !*gone {
		b.TB.Error("the fsdev does not go")
	}
}

// StartRemoveFS asks for the device to go; what is returned points to whether it has.
func (b *Bed) StartRemoveFS() *bool {
	gone := new(bool)
	b.FS.Fsdev.Unregister(b.Threads[len(b.Threads)-1], func(*reactor.Thread, any, error) { *gone = true }, nil)
	return gone
}

// Exhaust takes all free IO of the framework by a second descriptor; the function returned gives
// them back.
func (b *Bed) Exhaust() (release func()) {
	b.TB.Helper()
	desc, err := fsdev.Open(b.T, FSName, func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	if err != nil {
		b.TB.Fatal(err)
	}
	ch := desc.IOChannel(b.T)
	do, calls := b.FS.Do, b.FS.Calls
	var held []*fsdev.IO
	b.FS.Do = func(io *fsdev.IO) { held = append(held, io) }
	for desc.Statfs(ch, 0, 1, func(any, *iochannel.Channel, syscall.Errno, *fsdev.Statfs) {}, nil) == 0 {
	}
	b.FS.Do, b.FS.Calls = do, calls
	return func() {
		for _, io := range held {
			io.Complete(0)
		}
		ch.Put()
		desc.Close()
	}
}
