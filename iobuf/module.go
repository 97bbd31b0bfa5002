package iobuf

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// module is a user of buffers.
type module struct {
	name string
	gone [classes]PoolStats // of channels that are gone; guarded by manager.mu
}

func (m *manager) module(name string) int {
	return slices.IndexFunc(m.modules, func(mod *module) bool { return mod.name == name })
}

// RegisterModule makes a module known, so that it can open channels. Any goroutine, before
// Initialize or after. EEXIST: there is one of that name.
//
// SPDK: spdk_iobuf_register_module
func RegisterModule(f *reactor.Framework, name string) error {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.module(name) >= 0 {
		return fmt.Errorf("iobuf: module %q is registered already: %w", name, syscall.EEXIST)
	}
	m.modules = append(m.modules, &module{name: name})
	return nil
}

// UnregisterModule makes a module unknown. Channels that it has are not touched, but not in
// the statistics any more. Any goroutine. ENOENT: there is none of that name.
//
// SPDK: spdk_iobuf_unregister_module
func UnregisterModule(f *reactor.Framework, name string) error {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.module(name)
	if i < 0 {
		return fmt.Errorf("iobuf: module %q is not registered: %w", name, syscall.ENOENT)
	}
	m.modules = slices.Delete(m.modules, i, i+1)
	return nil
}
