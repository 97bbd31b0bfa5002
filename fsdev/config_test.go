package fsdev_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// configModule is a module with a configuration, and configDevice one of its devices.
type configModule struct{ *testModule }

func (m configModule) ConfigJSON(f *reactor.Framework) []fsdev.ConfigCall {
	fsdev.GetOpts(f) // a module may use the layer
	return []fsdev.ConfigCall{{Method: "fsdev_third_enable"}}
}

type configDevice struct{ *fakeDevice }

func (configDevice) ConfigJSON(f *fsdev.Fsdev) []fsdev.ConfigCall {
	fsdev.Lookup(f.Framework(), f.Name())
	return []fsdev.ConfigCall{{"fsdev_third_create", map[string]string{"name": f.Name()}}}
}

func TestConfigJSONIsWhatSPDKsConfigurationFilesHave(t *testing.T) {
	e := newEnv(t, 1)
	var last *fsdev.Fsdev
	for _, name := range []string{"fs1", "fs0", "removed"} {
		var err error
		if last, err = fsdev.Register(e.t, name, nil, configDevice{newFakeDevice(t, e.t)}); err != nil {
			t.Fatal(err)
		}
	}
	last.Unregister(e.t, nil, nil)
	e.register("without")
	got, err := json.Marshal(fsdev.ConfigJSON(e.Framework))
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"method":"fsdev_set_opts","params":{"fsdev_io_pool_size":64,"fsdev_io_cache_size":8}},` +
		`{"method":"fsdev_third_enable"},` +
		`{"method":"fsdev_third_create","params":{"name":"fs1"}},` +
		`{"method":"fsdev_third_create","params":{"name":"fs0"}}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// Before Initialize there are no modules to ask.
func TestConfigJSONBeforeInitialize(t *testing.T) {
	h := reactortest.New(t, 1)
	if calls := fsdev.ConfigJSON(h.Framework); len(calls) != 1 || calls[0].Method != "fsdev_set_opts" {
		t.Errorf("got %+v", calls)
	}
}
