// Program loopback is go-fuse's loopback file system in the cache modes that test/peers/bench compares: go-fuse's own
// example always has the kernel pass files through if it can.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// directNode is a file whose every read and write is a request.
type directNode struct{ fs.LoopbackNode }

func (n *directNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fh, _, errno := n.LoopbackNode.Open(ctx, flags)
	return fh, fuse.FOPEN_DIRECT_IO, errno
}

func (n *directNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (
	*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	inode, fh, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, fh, fuse.FOPEN_DIRECT_IO, errno
}

func newDirectNode(root *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
	return &directNode{fs.LoopbackNode{RootData: root}}
}

func main() {
	cache := flag.String("cache", "auto", "none, auto or passthrough")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: loopback [-cache MODE] DIR MOUNTPOINT")
		os.Exit(2)
	}
	if err := run(*cache, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
}

func run(cache, dir, mountpoint string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return err
	}
	root := &fs.LoopbackRoot{Path: dir, Dev: uint64(st.Dev)}
	root.RootNode = &fs.LoopbackNode{RootData: root}
	valid := time.Second
	o := &fs.Options{
		AttrTimeout:     &valid,
		EntryTimeout:    &valid,
		NullPermissions: true,
		MountOptions: fuse.MountOptions{
			AllowOther: true, DirectMount: true, FsName: dir, Name: "loopback",
			Options: []string{"default_permissions"},
			// The most that a kernel sends; the default is 128 KiB.
			MaxWrite: 1 << 20, MaxReadAhead: 1 << 20,
		},
	}
	switch cache {
	case "none":
		valid = 0
		root.NewNode = newDirectNode
		root.RootNode = newDirectNode(root, nil, "", nil)
		o.DisabledCapabilities = fuse.CAP_PASSTHROUGH
	case "auto":
		o.DisabledCapabilities = fuse.CAP_PASSTHROUGH
	case "passthrough":
	default:
		return fmt.Errorf("cache mode %q", cache)
	}
	server, err := fs.Mount(mountpoint, root.RootNode, o)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		_ = server.Unmount()
	}()
	server.Wait()
	return nil
}
