package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// TestSandboxRPC drives a target that has locked itself up in each way: what it has can be used, deleted and made
// again, and everything else is refused.
func TestSandboxRPC(t *testing.T) {
	needFuse(t)
	for _, mode := range []string{"namespace", "chroot", "landlock", "none"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "landlock" {
				needLandlock(t)
			}
			dir := mountpoint(t)
			export, _ := exported(t)
			c, client := startRPC(t, "--aio", "data0:"+export+",xattr,workers=5", "--mount", "data0="+dir, "--sandbox", mode,
				"--seccomp", "kill")
			call(t, client, "framework_wait_init", nil, nil)
			c.await("mount", func() bool { return strings.Contains(c.stdout.String(), "RPC server at ") })
			work(t, dir, export)
			empty(t, export)
			if err := os.Mkdir(filepath.Join(export, "below"), 0o755); err != nil {
				t.Fatal(err)
			}
			saved, err := rpc.SaveConfig(within(t), client)
			if err != nil {
				t.Fatal(err)
			}
			call(t, client, "fuse_unmount", object{"mountpoint": dir}, nil)
			call(t, client, "fsdev_aio_delete", object{"name": "data0"}, nil)
			elsewhere := t.TempDir()
			refused := []struct {
				method string
				params object
				want   error
			}{
				{"fsdev_aio_create", object{"name": "b", "root_path": elsewhere}, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": filepath.Dir(export)}, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": export + "2"}, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": export + "/../secret"}, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": export, "notify": true, "enable_writeback_cache": false},
					syscall.EPERM},
				{"framework_disable_cpumask_locks", nil, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": export, "inode_file_handles": "prefer"}, syscall.EPERM},
				{"fuse_mount", object{"name": "data0", "mountpoint": elsewhere}, syscall.EPERM},
				{"fsdev_aio_create", object{"name": "b", "root_path": export + "/none"}, syscall.ENOENT},
			}
			if mode == "none" { // but for system calls, and for mounting
				refused = refused[len(refused)-3:]
			}
			for _, r := range refused {
				var params any
				if r.params != nil {
					params = r.params
				}
				if err := client.Call(within(t), r.method, params, nil); !errors.Is(err, r.want) {
					t.Errorf("%s %v: %v, want %v", r.method, r.params, err, r.want)
				}
			}
			call(t, client, "framework_enable_cpumask_locks", nil, nil)
			call(t, client, "fsdev_aio_create", object{"name": "below", "root_path": export + "/below"}, nil)
			call(t, client, "fuse_mount", object{"name": "below", "mountpoint": dir}, nil)
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(export, "below/file")); err != nil {
				t.Error(err)
			}
			call(t, client, "fuse_unmount", object{"mountpoint": dir}, nil)
			call(t, client, "fsdev_aio_delete", object{"name": "below"}, nil)
			if left, err := rpc.LoadConfig(within(t), client, runtimeCalls(saved)); err != nil || left != 0 {
				t.Errorf("load what was saved: %v, %d are left", err, left)
			}
			again, err := rpc.SaveConfig(within(t), client)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text(t, saved), text(t, again)); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(text(t, saved), `"root_path": "`+export+`"`) {
				t.Errorf("saved: %s", text(t, saved))
			}
			empty(t, export)
			work(t, dir, export)
			path := clientPath(c)
			c.signal(syscall.SIGTERM)
			if code := c.end(); code != exitOK {
				t.Errorf("exit code %d, stderr %q", code, &c.stderr)
			}
			for _, name := range []string{path, path + ".lock"} {
				if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", name, err)
				}
			}
			c.checkLocks()
		})
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// clientPath returns where a target says that its RPC server is.
func clientPath(c *tgt) string {
	_, path, _ := strings.Cut(c.stdout.String(), "RPC server at ")
	return strings.TrimSpace(path)
}

func text(t *testing.T, cfg *rpc.Config) string {
	t.Helper()
	text, err := cfg.Text()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runtimeCalls leaves out what can be called only before the start, and what need not be called again.
func runtimeCalls(cfg *rpc.Config) *rpc.Config {
	c := &rpc.Config{}
	for _, s := range cfg.Subsystems {
		if s.Subsystem == "fsdev" || s.Subsystem == "fuse" {
			c.Subsystems = append(c.Subsystems, s)
		}
	}
	return c
}

// TestSandboxConfig locks a process up with what its configuration names: the directories and mountpoints are there,
// and what is saved of it is the same.
func TestSandboxConfig(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	export, _ := exported(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(export, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tgt.json")
	config := `{"subsystems": [
		{"subsystem": "fsdev", "config": [
			{"method": "fsdev_aio_create", "params": {"name": "a0", "root_path": "` + link + `", "read_only": true}}]},
		{"subsystem": "fuse", "config": [{"method": "fuse_mount", "params": {"name": "a0", "mountpoint": "` + dir + `"}}]}]}`
	var saved string
	for range 2 {
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		c, client := startRPC(t, "--sandbox", "namespace", "-c", file, "--disable-cpumask-locks")
		call(t, client, "framework_wait_init", nil, nil)
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Errorf("write: %v", err)
		}
		c.checkNamespaces(true)
		bad := client.Call(within(t), "fsdev_aio_create", object{"name": "b", "root_path": export}, nil)
		if !errors.Is(bad, syscall.EROFS) {
			t.Errorf("fsdev_aio_create: %v", bad)
		}
		cfg, err := rpc.SaveConfig(within(t), client)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, cfg); saved != "" && got != saved {
			t.Error(cmp.Diff(saved, got))
		}
		saved = text(t, cfg)
		config = saved
		c.signal(syscall.SIGTERM)
		if code := c.end(); code != exitOK {
			t.Errorf("exit code %d, stderr %q", code, &c.stderr)
		}
	}
	if !strings.Contains(saved, link) || !strings.Contains(saved, dir) {
		t.Errorf("saved: %s", saved)
	}
	bad := `{"subsystems": [{"subsystem": "fsdev", "config": [
		{"method": "fsdev_null_create", "params": {}}]}]}`
	if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, command("--aio", "a0:"+export, "-c", file, "--no-rpc-server"))
	if code := c.end(); code != exitFailed || !strings.Contains(c.stderr.String(), file+":2: fsdev_null_create: ") {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestSandboxSurvivesRPCs calls every method there is in a process whose filter ends it at a system call that the
// program is not thought to make: what a sandbox forbids has to be refused before.
func TestSandboxSurvivesRPCs(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	c, client := startRPC(t, "--aio", "data0:"+export, "--null", "n0", "--disable-cpumask-locks",
		"--metrics", "unix:"+filepath.Join(t.TempDir(), "m.sock"))
	call(t, client, "framework_wait_init", nil, nil)
	known := map[string]object{
		"fsdev_null_create":      {"name": "n1"},
		"fsdev_memfs_create":     {"name": "m1", "size": 1 << 20},
		"fsdev_get_histogram":    {"name": "n0"},
		"fsdev_enable_histogram": {"name": "n0", "enable": true},
		"fsdev_reset":            {"name": "data0"},
		"framework_get_config":   {"name": "fsdev"},
		"log_set_flag":           {"flag": "all"},
		"metrics_start":          {"address": "127.0.0.1:0"},
		"thread_set_cpumask":     {"id": 1, "cpumask": "0x1"},
	}
	for _, m := range rpc.Methods() {
		if m.Name == "spdk_kill_instance" || m.States&rpc.Runtime == 0 {
			continue
		}
		var params any
		switch {
		case known[m.Name] != nil:
			params = known[m.Name]
		case m.Params != nil:
			params = guess(m.Params)
		}
		err := client.Call(within(t), m.Name, params, nil)
		var refused *rpc.Error
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("%s: %v", m.Name, err)
		}
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// guess returns parameters of the right types, some of which are even right.
func guess(typ *rpc.Type) any {
	switch {
	case len(typ.Enum) > 0:
		return typ.Enum[0]
	case typ.Kind == "object":
		o := object{}
		for _, f := range typ.Properties {
			if !f.Optional || f.Type.Kind == "integer" {
				o[f.Name] = guess(f.Type)
			}
		}
		return o
	case typ.Kind == "array":
		return []any{guess(typ.Items)}
	case typ.Kind == "string":
		return "data0"
	case typ.Kind == "boolean":
		return true
	}
	return json.Number("1")
}
