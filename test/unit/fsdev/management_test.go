package fsdev_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestOpenClose is ut_fsdev_test_open_close.
func TestOpenClose(t *testing.T) {
	s := newSuite(t)
	if f := s.dev.f; f.Name() != "utfsdev0" || f.ModuleName() != "ut_fsdev_module" {
		t.Errorf("the device is %q of module %q", f.Name(), f.ModuleName())
	}
	d := s.open()
	if d.Fsdev() != s.dev.f {
		t.Error("opened another device")
	}
	d.Close()
	noEvent := func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}
	if d, err := fsdev.Open(s.t, "utfsdev1", noEvent, nil); d != nil || !errors.Is(err, syscall.ENODEV) {
		t.Errorf("Open of an unknown name: %v, %v", d, err)
	}
	if d, err := fsdev.Open(s.t, "utfsdev0", nil, nil); d != nil || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Open without an event function: %v, %v", d, err)
	}
}

// TestSetOpts is ut_fsdev_test_set_opts. Here there is neither a NULL nor a size to be wrong,
// and what comes after the initialisation is refused instead of having no effect.
func TestSetOpts(t *testing.T) {
	h := reactortest.New(t, 1)
	old := fsdev.GetOpts(h.Framework)
	twice := fsdev.Opts{IOPoolSize: old.IOPoolSize * 2, IOCacheSize: old.IOCacheSize * 2}
	if err := fsdev.SetOpts(h.Framework, twice); err != nil {
		t.Error(err)
	}
	if got := fsdev.GetOpts(h.Framework); got != twice {
		t.Errorf("got %+v, want %+v", got, twice)
	}
	// The caches of one thread, and of one more.
	tooSmall := fsdev.Opts{IOPoolSize: 2*100 - 1, IOCacheSize: 100}
	if err := fsdev.SetOpts(h.Framework, tooSmall); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a pool that is smaller than the caches: %v", err)
	}
	if got := fsdev.GetOpts(h.Framework); got != twice {
		t.Errorf("refused options have become %+v", got)
	}
	s := newSuite(t)
	if err := fsdev.SetOpts(s.Framework, twice); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("after the initialisation: %v", err)
	}
}

// TestGetIOChannel is ut_fsdev_test_get_io_channel.
func TestGetIOChannel(t *testing.T) {
	s := newSuite(t)
	d := s.open()
	ch := d.IOChannel(s.t)
	if ch == nil || s.dev.gets != 1 || s.dev.created != 1 {
		t.Fatalf("the module was asked %d times for a channel, and made %d", s.dev.gets, s.dev.created)
	}
	if again := d.IOChannel(s.t); again != ch || s.dev.gets != 1 {
		t.Error("a thread has two channels")
	}
	ch.Put()
	ch.Put()
	if s.dev.destroyed != 0 {
		t.Error("the module's channel is destroyed from inside the put")
	}
	s.PollThread(0)
	if s.dev.destroyed != 1 {
		t.Errorf("the module's channel was destroyed %d times", s.dev.destroyed)
	}
	d.Close()
}
