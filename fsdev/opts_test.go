package fsdev_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestSetOptsWantsAPoolThatHoldsTheCachesOfAllThreads(t *testing.T) {
	h := reactortest.New(t, 3)
	before := fsdev.GetOpts(h.Framework)
	if want := (fsdev.Opts{IOPoolSize: 16384, IOCacheSize: 256}); before != want {
		t.Errorf("defaults are %+v", before)
	}
	for _, tt := range []struct {
		name string
		opts fsdev.Opts
		want error
	}{
		{"one short", fsdev.Opts{IOPoolSize: 31, IOCacheSize: 8}, syscall.EINVAL},
		{"negative cache", fsdev.Opts{IOPoolSize: 31, IOCacheSize: -8}, syscall.EINVAL},
		{"negative pool", fsdev.Opts{IOPoolSize: -1}, syscall.EINVAL},
		{"too small for the default cache", fsdev.Opts{IOPoolSize: 4*256 - 1}, syscall.EINVAL},
		{"cache too large for the default pool", fsdev.Opts{IOCacheSize: 16384/4 + 1}, syscall.EINVAL},
		{"exactly", fsdev.Opts{IOPoolSize: 32, IOCacheSize: 8}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := fsdev.SetOpts(h.Framework, tt.opts); !errors.Is(err, tt.want) {
				t.Errorf("SetOpts: %v, want %v", err, tt.want)
			}
			want := before
			if tt.want == nil {
				want = tt.opts
			}
			if got := fsdev.GetOpts(h.Framework); got != want {
				t.Errorf("GetOpts: %+v, want %+v", got, want)
			}
		})
	}
}

// What SetOpts says is used by an Initialize that says nothing, and cannot be changed while
// it is in use.
func TestOptsTakeEffectAtInitialize(t *testing.T) {
	h := reactortest.New(t, 1)
	set := fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}
	if err := fsdev.SetOpts(h.Framework, set); err != nil {
		t.Fatal(err)
	}
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{IOCacheSize: 16}); err != nil {
		t.Fatal(err)
	}
	if got, want := fsdev.GetOpts(h.Framework), (fsdev.Opts{IOPoolSize: 64, IOCacheSize: 16}); got != want {
		t.Errorf("in use are %+v, want %+v", got, want)
	}
	if err := fsdev.SetOpts(h.Framework, set); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("SetOpts after Initialize: %v", err)
	}
	if err := finish(t, h); err != nil {
		t.Error(err)
	}
	if got := fsdev.GetOpts(h.Framework); got != set {
		t.Errorf("after Finish: %+v, want %+v", got, set)
	}
}

func TestFrameworksDoNotShareOpts(t *testing.T) {
	a, b := reactortest.New(t, 1), reactortest.New(t, 1)
	if err := fsdev.SetOpts(a.Framework, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}); err != nil {
		t.Fatal(err)
	}
	if got := fsdev.GetOpts(b.Framework).IOPoolSize; got != 16384 {
		t.Errorf("the other framework has a pool of %d", got)
	}
}
