package fsdev_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestHoldingAndObserve: what there is of a device from its registration on until its last descriptor and channel are
// gone, and who is told.
func TestHoldingAndObserve(t *testing.T) {
	h := reactortest.New(t, 1)
	th, fw := h.Threads[0], h.Framework
	var told []string
	fsdev.Observe(fw, func(_ *reactor.Thread, f *fsdev.Fsdev, registered bool) {
		told = append(told, fmt.Sprint(f.Name(), " ", registered))
	})
	holding := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, fsdev.Holding(fw)); diff != "" {
			t.Errorf("%s (-want, +got):\n%s", when, diff)
		}
	}
	if size, free := fsdev.IOPoolLevel(th); size != 0 || free != 0 {
		t.Errorf("before the layer is initialised it has %d of %d IO", free, size)
	}
	if err := fsdev.Initialize(th, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}); err != nil {
		t.Fatal(err)
	}
	holding("at first")
	f, err := fsdev.Register(th, "dev", nil, newFakeDevice(t, th))
	if err != nil {
		t.Fatal(err)
	}
	holding("registered", "device dev, registered")
	desc, err := fsdev.Open(th, "dev", noEvent, nil)
	if err != nil {
		t.Fatal(err)
	}
	open := fmt.Sprintf("1 descriptors of thread %s", th.Name())
	holding("open", "device dev, registered, "+open)
	f.Unregister(th, nil, nil)
	holding("being removed", "device dev, being removed, "+open)
	ch := desc.IOChannel(th)
	desc.Close()
	h.PollThreads()
	if ch != nil {
		holding("without descriptors", "device dev, being removed, waits for its channels")
		ch.Put()
	}
	h.PollThreads()
	holding("at last")
	if diff := cmp.Diff([]string{"dev true", "dev false"}, told); diff != "" {
		t.Errorf("the observer heard (-want, +got):\n%s", diff)
	}
	fsdev.Finish(th, func(*reactor.Thread, any, error) {}, nil)
	h.PollThreads()
}
