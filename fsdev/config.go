package fsdev

import (
	"slices"

	"github.com/spdk-go/spdk-go/reactor"
)

// ConfigCall is an RPC that configures something: as JSON, an object with method and params.
//
// Not in SPDK, where it is written to a struct spdk_json_write_ctx.
type ConfigCall struct {
	Method string `json:"method"`
	Params any    `json:"params,omitempty"`
}

// ModuleConfig is implemented by a [Module] that has a configuration of its own.
//
// SPDK: spdk_fsdev_module.config_json
type ModuleConfig interface {
	// ConfigJSON returns the calls that configure the module in f as it is now. Any goroutine.
	// SPDK: spdk_fsdev_module.config_json
	ConfigJSON(f *reactor.Framework) []ConfigCall
}

// DeviceConfig is implemented by a [Device] that can be created again by RPC.
//
// SPDK: spdk_fsdev_fn_table.write_config_json
type DeviceConfig interface {
	// ConfigJSON returns the calls that create the device f. Any goroutine, also while the
	// device is being removed. SPDK: spdk_fsdev_fn_table.write_config_json
	ConfigJSON(f *Fsdev) []ConfigCall
}

// ConfigJSON returns the calls that bring the layer to where it is now: its options, then
// what the modules say, then the devices, oldest first, but for those being removed. As JSON
// it is the array that SPDK's configuration files have for this subsystem. Any goroutine.
//
// SPDK: spdk_fsdev_subsystem_config_json
func ConfigJSON(f *reactor.Framework) []ConfigCall {
	m := managerOf(f)
	m.mu.Lock()
	inited, fsdevs := slices.Clone(m.inited), slices.Clone(m.fsdevs)
	fsdevs = slices.DeleteFunc(fsdevs, func(d *Fsdev) bool { return d.status != fsdevReady })
	m.mu.Unlock()
	o := GetOpts(f)
	calls := []ConfigCall{{"fsdev_set_opts", setOptsParams(o)}}
	// Without the lock, since they may call back.
	for _, mod := range inited {
		if c, ok := mod.(ModuleConfig); ok {
			calls = append(calls, c.ConfigJSON(f)...)
		}
	}
	for _, dev := range fsdevs {
		if c, ok := dev.dev.(DeviceConfig); ok {
			calls = append(calls, c.ConfigJSON(dev)...)
		}
	}
	return calls
}

type setOptsParams struct {
	IOPoolSize  int `json:"fsdev_io_pool_size"`
	IOCacheSize int `json:"fsdev_io_cache_size"`
}
