package fsdev_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// testModule is a module whose Init and Fini a test can hook into.
type testModule struct{ name string }

// hooks is what the test that runs has hooked in.
var hooks struct {
	init func(m *testModule, t *reactor.Thread) error
	fini func(m *testModule, t *reactor.Thread)
}

func (m *testModule) Name() string { return m.name }

func (m *testModule) Init(t *reactor.Thread) error {
	if hooks.init == nil {
		return nil
	}
	return hooks.init(m, t)
}

func (m *testModule) Fini(t *reactor.Thread) {
	if hooks.fini != nil {
		hooks.fini(m, t)
	}
}

func init() {
	fsdev.RegisterModule(&testModule{"first"})
	fsdev.RegisterModule(&testModule{"second"})
	fsdev.RegisterModule(configModule{&testModule{"third"}})
}

// record hooks a log of the calls in until the end of the test.
func record(tb testing.TB, failing string) *[]string {
	var calls []string
	hooks.init = func(m *testModule, _ *reactor.Thread) error {
		calls = append(calls, "init "+m.name)
		if m.name == failing {
			return syscall.ENOSPC
		}
		return nil
	}
	hooks.fini = func(m *testModule, _ *reactor.Thread) { calls = append(calls, "fini "+m.name) }
	tb.Cleanup(func() { hooks.init, hooks.fini = nil, nil })
	return &calls
}

func TestModulesAreFinishedInReverseOrder(t *testing.T) {
	calls := record(t, "")
	h := reactortest.New(t, 1)
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	if err := finish(t, h); err != nil {
		t.Error(err)
	}
	want := []string{"init first", "init second", "init third", "fini third", "fini second", "fini first"}
	if diff := cmp.Diff(want, *calls); diff != "" {
		t.Error(diff)
	}
}

func TestInitializeUndoesWhatAFailingModuleLeaves(t *testing.T) {
	for _, tt := range []struct {
		failing string
		want    []string
	}{
		{"first", []string{"init first"}},
		{"second", []string{"init first", "init second", "fini first"}},
		{"third", []string{"init first", "init second", "init third", "fini second", "fini first"}},
	} {
		t.Run(tt.failing, func(t *testing.T) {
			calls := record(t, tt.failing)
			h := reactortest.New(t, 1)
			err := fsdev.Initialize(h.Threads[0], fsdev.Opts{})
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), tt.failing) {
				t.Errorf("Initialize: %v", err)
			}
			if diff := cmp.Diff(tt.want, *calls); diff != "" {
				t.Error(diff)
			}
			if _, err := fsdev.Register(h.Threads[0], "fs0", nil, nil); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("Register after a failed Initialize: %v", err)
			}
			record(t, "")
			if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); err != nil {
				t.Errorf("second Initialize: %v", err)
			}
			if err := finish(t, h); err != nil {
				t.Error(err)
			}
		})
	}
}

// A module may use the layer from its Init and Fini, for instance to register the devices
// that its configuration names.
func TestModuleUsesTheLayerFromInitAndFini(t *testing.T) {
	h := reactortest.New(t, 1)
	var seen []string
	hooks.init = func(m *testModule, th *reactor.Thread) error {
		_, err := fsdev.Register(th, m.name+"0", m, newFakeDevice(t, th))
		return err
	}
	hooks.fini = func(_ *testModule, th *reactor.Thread) {
		seen = append(seen, fmt.Sprint(len(fsdev.Fsdevs(th.Framework()))))
	}
	t.Cleanup(func() { hooks.init, hooks.fini = nil, nil })
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range fsdev.Fsdevs(h.Framework) {
		seen = append(seen, f.Name()+" of "+f.ModuleName())
	}
	if err := finish(t, h); err != nil {
		t.Error(err)
	}
	want := []string{"first0 of first", "second0 of second", "third0 of third", "0", "0", "0"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestInitializeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts fsdev.Opts
		want error
	}{
		{"cache larger than half the pool", fsdev.Opts{IOPoolSize: 15, IOCacheSize: 8}, syscall.EINVAL},
		{"negative pool", fsdev.Opts{IOPoolSize: -1}, syscall.EINVAL},
		{"pool smaller than the default cache", fsdev.Opts{IOPoolSize: 100}, syscall.EINVAL},
		{"negative cache", fsdev.Opts{IOPoolSize: 100, IOCacheSize: -1}, syscall.EINVAL},
		{"pool beyond reason", fsdev.Opts{IOPoolSize: 1 << 40}, syscall.EINVAL},
		{"exactly twice", fsdev.Opts{IOPoolSize: 16, IOCacheSize: 8}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := reactortest.New(t, 1)
			err := fsdev.Initialize(h.Threads[0], tt.opts)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				if err := fsdev.Initialize(h.Threads[0], tt.opts); !errors.Is(err, syscall.EALREADY) {
					t.Errorf("second Initialize: %v", err)
				}
			}
			if err := finish(t, h); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFrameworksDoNotShareDevices(t *testing.T) {
	a, b := newEnv(t, 1), newEnv(t, 1)
	a.register("fs0")
	if _, err := fsdev.Open(b.t, "fs0", noEvent, nil); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a framework opened the device of another: %v", err)
	}
	b.register("fs0")
	if n := len(fsdev.Fsdevs(b.Framework)); n != 1 {
		t.Errorf("%d devices", n)
	}
}

func TestModuleNamesAreUnique(t *testing.T) {
	if m := fsdev.FindModule("second"); m == nil || m.Name() != "second" {
		t.Errorf("FindModule: %v", m)
	}
	if m := fsdev.FindModule("fourth"); m != nil {
		t.Errorf("FindModule found %v", m)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second module of the same name was taken")
		}
	}()
	fsdev.RegisterModule(&testModule{"second"})
}

// TestCachesLeaveIOForOthers pins that a thread whose cache could starve the others, or be
// starved by theirs, gets no channel instead of requests that never find an IO.
func TestCachesLeaveIOForOthers(t *testing.T) {
	e := newEnvOpts(t, 8, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8})
	e.register("fs0")
	desc := e.open(e.t, "fs0", nil)
	got := 0
	for _, th := range e.Threads {
		if ch := desc.IOChannel(th); ch != nil {
			got++
			defer ch.Put()
		}
	}
	if want := 64/8 - 1; got != want {
		t.Errorf("%d threads have a channel, want %d", got, want)
	}
	desc.Close()
}
