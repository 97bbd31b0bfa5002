package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

type subsystemInfo struct {
	Subsystem string   `json:"subsystem"`
	DependsOn []string `json:"depends_on"`
}

type getConfigParams struct {
	Name        string `json:"name"`
	WithBatches bool   `json:"with_batches,omitempty"`
}

// SaveConfig asks an application for its configuration; only names the subsystems that are wanted, with what they
// depend on, none for all.
//
// SPDK: save_config of rpc.py
func SaveConfig(ctx context.Context, c *Client, only ...string) (*Config, error) {
	var list []subsystemInfo
	if err := c.Call(ctx, "framework_get_subsystems", nil, &list); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range only {
		if !slices.ContainsFunc(list, func(s subsystemInfo) bool { return s.Subsystem == name }) {
			return nil, fmt.Errorf("rpc: the application has no subsystem %q", name)
		}
		wanted[name] = true
	}
	// What another depends on comes before it.
	for _, s := range slices.Backward(list) {
		if wanted[s.Subsystem] {
			for _, d := range s.DependsOn {
				wanted[d] = true
			}
		}
	}
	cfg := &Config{Subsystems: []SubsystemConfig{}}
	for _, s := range list {
		if len(only) > 0 && !wanted[s.Subsystem] {
			continue
		}
		sc, err := SaveSubsystemConfig(ctx, c, s.Subsystem)
		if err != nil {
			return nil, err
		}
		cfg.Subsystems = append(cfg.Subsystems, *sc)
	}
	return cfg, nil
}

// SaveSubsystemConfig asks an application for the configuration of a subsystem.
//
// SPDK: save_subsystem_config of rpc.py
func SaveSubsystemConfig(ctx context.Context, c *Client, name string) (*SubsystemConfig, error) {
	var entries []json.RawMessage
	if err := c.Call(ctx, "framework_get_config", getConfigParams{Name: name}, &entries); err != nil {
		return nil, fmt.Errorf("rpc: configuration of %s: %w", name, err)
	}
	sc := &SubsystemConfig{Subsystem: name, Config: []ConfigEntry{}}
	for _, raw := range entries {
		var call ConfigCall
		if err := json.Unmarshal(raw, &call); err != nil {
			return nil, fmt.Errorf("rpc: configuration of %s: %w", name, err)
		}
		sc.Config = append(sc.Config, ConfigEntry{Calls: []ConfigCall{call}})
	}
	return sc, nil
}

// LoadConfig has an application make the calls of a configuration: those of the state that it is in, and if that is
// [Startup], framework_start_init and the others then. It stops at the first that fails. left is how many could not be
// made, because their state had passed.
//
// SPDK: load_config of rpc.py
func LoadConfig(ctx context.Context, c *Client, cfg *Config) (left int, err error) {
	pending, err := cfg.known(ctx, c)
	if err != nil {
		return 0, err
	}
	for {
		var mayStart bool
		if pending, mayStart, err = makeCurrent(ctx, c, pending); err != nil || !mayStart {
			return len(pending), err
		}
		if err := c.Call(ctx, "framework_start_init", nil, nil); err != nil {
			return len(pending), err
		}
	}
}

// LoadSubsystemConfig is [LoadConfig] without framework_start_init: calls that cannot be made in the state that the
// application is in are left.
//
// SPDK: load_subsystem_config of rpc.py
func LoadSubsystemConfig(ctx context.Context, c *Client, cfg *Config) (left int, err error) {
	pending, err := cfg.known(ctx, c)
	if err != nil {
		return 0, err
	}
	pending, _, err = makeCurrent(ctx, c, pending)
	return len(pending), err
}

// known lists the calls that are to be made, if the application has all the methods.
func (c *Config) known(ctx context.Context, client *Client) (pending []ConfigEntry, err error) {
	var all []string
	if err := client.Call(ctx, "rpc_get_methods", getMethodsParams{IncludeAliases: true}, &all); err != nil {
		return nil, err
	}
	for _, s := range c.Subsystems {
		for _, e := range s.Config {
			for _, call := range e.Calls {
				if !slices.Contains(all, call.Method) {
					return nil, fmt.Errorf("rpc: line %d: the application has no method %s", call.Line, call.Method)
				}
			}
			pending = append(pending, e)
		}
	}
	return pending, nil
}

// makeCurrent makes the calls of the application's state and returns the others, and whether it waits to be started.
// After an error the one that failed is among the others.
func makeCurrent(ctx context.Context, c *Client, pending []ConfigEntry) (rest []ConfigEntry, mayStart bool, err error) {
	var current []string
	if err := c.Call(ctx, "rpc_get_methods", getMethodsParams{true, true}, &current); err != nil {
		return pending, false, err
	}
	for i, e := range pending {
		if slices.ContainsFunc(e.Calls, func(call ConfigCall) bool { return !slices.Contains(current, call.Method) }) {
			rest = append(rest, e)
			continue
		}
		if err := e.make(ctx, c); err != nil {
			return append(rest, pending[i:]...), false, err
		}
	}
	return rest, slices.Contains(current, "framework_start_init"), nil
}

func (e *ConfigEntry) make(ctx context.Context, c *Client) error {
	var batch []*BatchCall
	for _, call := range e.Calls {
		b := &BatchCall{Method: call.Method}
		if call.Params != nil {
			b.Params = call.Params
		}
		batch = append(batch, b)
	}
	if !e.Batch {
		return e.Calls[0].failed(c.Call(ctx, batch[0].Method, batch[0].Params, nil))
	}
	err := c.Batch(ctx, batch)
	for i, b := range batch {
		err = errors.Join(err, e.Calls[i].failed(b.Err))
	}
	return err
}

func (call *ConfigCall) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rpc: line %d: %s: %w", call.Line, call.Method, err)
}
