package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// object is what a test passes as parameters.
type object map[string]any

// startRPC starts spdk_tgt and connects to it.
func startRPC(t *testing.T, args ...string) (*tgt, *rpc.Client) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rpc.sock")
	c := start(t, command(append(args, "-r", path)...))
	return c, c.dial(path)
}

// dial connects to the RPC socket, once it is there.
func (c *tgt) dial(path string) *rpc.Client {
	c.t.Helper()
	var client *rpc.Client
	c.await("RPC socket", func() (ok bool) {
		var err error
		client, err = rpc.Dial(context.Background(), path)
		return err == nil
	})
	c.t.Cleanup(func() { client.Close() })
	return client
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func call(t *testing.T, client *rpc.Client, method string, params, result any) {
	t.Helper()
	if err := client.Call(within(t), method, params, result); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// TestRPCMounts creates, mounts, saves, and starts again with what was saved.
func TestRPCMounts(t *testing.T) {
	needFuse(t)
	dir, host := mountpoint(t), t.TempDir()
	file := filepath.Join(t.TempDir(), "tgt.json")
	c, client := startRPC(t)
	call(t, client, "framework_wait_init", nil, nil)
	call(t, client, "fsdev_aio_create", object{"name": "a0", "root_path": host, "enable_xattr": true}, nil)
	call(t, client, "fsdev_memfs_create", object{"name": "m0", "size": 16 << 20}, nil)
	call(t, client, "fuse_mount", object{"name": "a0", "mountpoint": dir, "cache": "none"}, nil)
	for _, bad := range []struct {
		params object
		want   error
	}{
		{object{"name": "m0", "mountpoint": dir}, syscall.EBUSY},
		{object{"name": "m0", "mountpoint": "relative"}, syscall.EINVAL},
		{object{"name": "m0", "mountpoint": t.TempDir(), "max_write": 2 << 20}, syscall.EINVAL},
		{object{"name": "none", "mountpoint": t.TempDir()}, syscall.ENODEV},
	} {
		if err := client.Call(within(t), "fuse_mount", bad.params, nil); !errors.Is(err, bad.want) {
			t.Errorf("fuse_mount %v: %v, want %v", bad.params, err, bad.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	var mounts []struct {
		Name, Mountpoint, Cache string
		Requests                uint64
	}
	call(t, client, "fuse_get_mounts", nil, &mounts)
	if len(mounts) != 1 || mounts[0].Name != "a0" || mounts[0].Mountpoint != dir || mounts[0].Cache != "none" ||
		mounts[0].Requests == 0 {
		t.Errorf("mounts %+v", mounts)
	}
	saved, err := rpc.SaveConfig(within(t), client)
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	call(t, client, "spdk_kill_instance", object{"sig_name": "SIGTERM"}, nil)
	if code := c.end(); code != exitOK || c.stderr.String() != "" || isMounted(t, dir) {
		t.Errorf("exit code %d, stderr %q, mounted %v", code, &c.stderr, isMounted(t, dir))
	}

	c, client = startRPC(t, "--config", file)
	call(t, client, "framework_wait_init", nil, nil)
	if text, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(text) != "text" {
		t.Errorf("after the restart: %q, %v", text, err)
	}
	again, err := rpc.SaveConfig(within(t), client)
	if err != nil {
		t.Fatal(err)
	}
	text, err := saved.Text()
	text2, err2 := again.Text()
	if diff := cmp.Diff(string(text), string(text2)); diff != "" || err != nil || err2 != nil {
		t.Errorf("saved again: %s, %v, %v", diff, err, err2)
	}
	f, err := os.Open(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := client.Call(within(t), "fuse_unmount", object{"mountpoint": dir}, nil); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("unmount with a file open: %v", err)
	}
	f.Close()
	call(t, client, "fuse_unmount", object{"mountpoint": dir}, nil)
	if err := client.Call(within(t), "fuse_unmount", object{"mountpoint": dir}, nil); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("unmount again: %v", err)
	}
	call(t, client, "fsdev_aio_delete", object{"name": "a0"}, nil)
	var events []struct{ Type, Ctx string }
	call(t, client, "notify_get_notifications", nil, &events)
	var got []string
	for _, e := range events {
		if e.Ctx != "m0" {
			got = append(got, e.Type+" "+e.Ctx)
		}
	}
	want := []string{"fsdev_register a0", "fuse_mount " + dir, "fuse_unmount " + dir, "fsdev_unregister a0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events: %s", diff)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || c.stderr.String() != "" {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestConfigOfEverything sets by RPC all that can be saved, starts another target with what was saved, and saves the
// same.
func TestConfigOfEverything(t *testing.T) {
	needFuse(t)
	mem, dir := mountpoint(t), mountpoint(t)
	file := filepath.Join(t.TempDir(), "tgt.json")
	c, client := startRPC(t, "--wait-for-rpc", "--disable-cpumask-locks")
	for _, set := range []struct {
		method string
		params any
	}{
		{"iobuf_set_options", object{"small_pool_count": 512, "large_pool_count": 32, "small_bufsize": 4096}},
		{"fsdev_set_opts", object{"fsdev_io_pool_size": 1024, "fsdev_io_cache_size": 32}},
		{"framework_set_scheduler", object{"name": "dynamic", "period": 500000, "core_limit": 70}},
		{"framework_start_init", nil},
		{"log_set_level", object{"level": "ERROR"}},
		{"log_set_print_level", object{"level": "WARNING"}},
		{"log_set_flag", object{"flag": "rpc"}},
		{"fsdev_aio_create", object{"name": "a0", "root_path": t.TempDir(), "workers": 3, "enable_writeback_cache": false,
			"translate_uid": []string{"map:0:100000:1000"}, "posix_acl": true, "max_write": 65536}},
		{"fsdev_memfs_create", object{"name": "m0", "size": 16 << 20, "inodes": 100}},
		{"fsdev_null_create", object{"name": "n0"}},
		{"fuse_mount", object{"name": "m0", "mountpoint": mem, "cache": "always", "max_write": 131072, "entry_timeout": 0}},
		{"fuse_mount", object{"name": "a0", "mountpoint": dir, "read_only": true, "attr_timeout": 1.5}},
	} {
		call(t, client, set.method, set.params, nil)
	}
	saved, err := rpc.SaveConfig(within(t), client)
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"small_pool_count\": 512", "core_limit\": 70", "\"ERROR\"", "\"WARNING\"",
		"log_set_flag", "workers\": 3", "map:0:100000:1000", "inodes\": 100", "n0",
		"entry_timeout\": 0", "attr_timeout\": 1.5"} {
		if !strings.Contains(text(t, saved), want) {
			t.Errorf("%s is not saved", want)
		}
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
	c, client = startRPC(t, "-c", file, "--disable-cpumask-locks")
	call(t, client, "framework_wait_init", nil, nil)
	again, err := rpc.SaveConfig(within(t), client)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(t, saved), text(t, again)); diff != "" {
		t.Error(diff)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || isMounted(t, mem) || isMounted(t, dir) {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestRPCForcedUnmount leaves the user of a file with errors.
func TestRPCForcedUnmount(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	c, client := startRPC(t, "--memfs", "m0,size=16M", "--mount", "m0="+dir)
	c.await("mount", func() bool { return strings.Contains(c.stdout.String(), " mounted on ") })
	f, err := os.Create(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	call(t, client, "fuse_unmount", object{"mountpoint": dir, "force": true}, nil)
	if isMounted(t, dir) {
		t.Error("still mounted")
	}
	// The command line's device may go by RPC too.
	call(t, client, "fsdev_memfs_delete", object{"name": "m0"}, nil)
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestDefaultSocket has two side by side: one serves SPDK's socket at most, the other says that it does not.
func TestDefaultSocket(t *testing.T) {
	first := startReady(t, "--null", "n0", "--disable-cpumask-locks")
	second := startReady(t, "--null", "n0", "--disable-cpumask-locks")
	second.await("word of the RPC server", func() bool { return strings.Contains(second.stdout.String(), "RPC server") })
	said := second.stdout.String()
	if !strings.Contains(said, "no RPC server: ") || !strings.Contains(said, rpc.DefaultSocket) {
		t.Errorf("stdout %q", said)
	}
	third := start(t, command("--null", "n0", "--disable-cpumask-locks", "-r", rpc.DefaultSocket))
	if code := third.end(); code != exitFailed || !strings.Contains(third.stderr.String(), "it is in use") {
		t.Errorf("exit code %d, stderr %q", code, &third.stderr)
	}
	none := startReady(t, "--null", "n0", "--disable-cpumask-locks", "--no-rpc-server")
	if said := none.stdout.String(); strings.Contains(said, "RPC") {
		t.Errorf("stdout %q", said)
	}
	for _, c := range []*tgt{first, second, none} {
		c.signal(syscall.SIGTERM)
		if code := c.end(); code != exitOK || c.stderr.String() != "" {
			t.Errorf("exit code %d, stderr %q", code, &c.stderr)
		}
	}
}

// TestWaitForRPCAndConfig configures by RPC what comes up then.
func TestWaitForRPCAndConfig(t *testing.T) {
	c, client := startRPC(t, "--wait-for-rpc", "--null", "n0")
	call(t, client, "fsdev_set_opts", object{"fsdev_io_pool_size": 1024, "fsdev_io_cache_size": 32}, nil)
	call(t, client, "framework_start_init", nil, nil)
	c.await("being ready", func() bool { return strings.Contains(c.stdout.String(), "ready\n") })
	var list []struct{ Name string }
	call(t, client, "fsdev_get_fsdevs", nil, &list)
	if len(list) != 1 || list[0].Name != "n0" {
		t.Errorf("devices %v", list)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte("{\n\"subsystems\": [\n{]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = start(t, command("-c", bad, "--no-rpc-server"))
	if code := c.end(); code != exitFailed || strings.Count(c.stderr.String(), "\n") != 1 ||
		!strings.Contains(c.stderr.String(), bad+":3: ") {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}
