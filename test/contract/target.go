package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

// Target is a running spdk_tgt.
type Target struct {
	Socket string

	cmd    *exec.Cmd
	output bytes.Buffer
	exited chan error
}

const startTimeout = 20 * time.Second

// Build builds spdk_tgt in dir and returns its path.
func Build(dir string) (string, error) {
	bin := filepath.Join(dir, "spdk_tgt")
	text, err := exec.Command("go", "build", "-o", bin, "github.com/spdk-go/spdk-go/app/spdk_tgt").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, text)
	}
	return bin, nil
}

// StartTarget starts the spdk_tgt at bin with a socket in dir, and returns when that answers.
func StartTarget(bin, dir string, args ...string) (*Target, error) {
	t := &Target{Socket: filepath.Join(dir, "tgt.sock"), exited: make(chan error, 1)}
	t.cmd = exec.Command(bin, append(args, "-r", t.Socket)...)
	t.cmd.Stdout, t.cmd.Stderr = &t.output, &t.output
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { t.exited <- t.cmd.Wait() }()
	for end := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		if nc, err := net.Dial("unix", t.Socket); err == nil {
			return t, nc.Close()
		}
		select {
		case err := <-t.exited:
			return nil, fmt.Errorf("spdk_tgt ended: %w\n%s", err, &t.output)
		default:
		}
		if time.Now().After(end) {
			return nil, errors.Join(errors.New("spdk_tgt has no socket"), t.Kill())
		}
	}
}

// Wait waits for spdk_tgt to end by itself.
func (t *Target) Wait() error {
	select {
	case err := <-t.exited:
		t.exited <- err
		if err != nil {
			return fmt.Errorf("%w\n%s", err, &t.output)
		}
		return nil
	case <-time.After(startTimeout):
		return errors.Join(errors.New("spdk_tgt does not end"), t.Kill())
	}
}

// Kill ends spdk_tgt, if it still runs.
func (t *Target) Kill() error {
	_ = t.cmd.Process.Kill() // it may have ended
	err := <-t.exited
	t.exited <- err
	return nil
}

// Populate starts the framework and makes what spdk_top can look at: a device and, where that is possible, a mount,
// with threads and pollers. end undoes the mount, which is in dir.
func (t *Target) Populate(dir string) (end func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := rpc.Dial(ctx, t.Socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	type object map[string]any
	for _, call := range []struct {
		method string
		params any
	}{
		{"framework_set_scheduler", object{"name": "dynamic"}},
		{"framework_start_init", nil},
		{"fsdev_memfs_create", object{"name": "mem0", "size": 1 << 20, "inodes": 64}},
	} {
		if err := c.Call(ctx, call.method, call.params, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", call.method, err)
		}
	}
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		return func() {}, nil
	}
	mount := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mount, 0o755); err != nil {
		return nil, err
	}
	if err := c.Call(ctx, "fuse_mount", object{"name": "mem0", "mountpoint": mount}, nil); err != nil {
		return nil, err
	}
	return func() { t.unmount(mount) }, nil
}

func (t *Target) unmount(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if c, err := rpc.Dial(ctx, t.Socket); err == nil {
		_ = c.Call(ctx, "fuse_unmount", map[string]any{"mountpoint": dir}, nil) // else Kill ends it, too
		c.Close()
	}
}
