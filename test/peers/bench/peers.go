package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The cache modes, as spdk_tgt calls them.
const (
	modeNone        = "none"        // every read and write is a request
	modeAuto        = "auto"        // the kernel keeps attributes for a second, and data as long as those say so
	modeAlways      = "always"      // the kernel keeps everything, and writes later
	modePassthrough = "passthrough" // the kernel reads and writes the directory's files itself
)

var modes = []string{modeNone, modeAuto, modeAlways, modePassthrough}

// peer is a program that mounts a directory elsewhere.
type peer struct {
	name string
	how  string // to get it
	// find returns the path of the program.
	find func(c *config, dir string) (string, error)
	// args are its arguments in each mode that it has.
	args map[string]func(c *config, src, mnt string) []string
}

const raw = "directory"

// peers are measured in this order; the first is what it is about.
var peers = []peer{
	{
		name: "spdk_tgt",
		how:  "make build",
		find: func(c *config, _ string) (string, error) { return exec.LookPath(c.spdk) },
		args: map[string]func(c *config, src, mnt string) []string{
			modeNone:        spdkArgs("--cache", "none"),
			modeAuto:        spdkArgs("--cache", "auto", "--no-passthrough"),
			modeAlways:      spdkArgs("--cache", "always", "--no-passthrough"),
			modePassthrough: spdkArgs("--cache", "auto", "--modcaps", "+sys_admin"),
		},
	},
	{
		name: "passthrough_hp",
		how:  howLibfuse,
		find: findLibfuse("passthrough_hp"),
		args: map[string]func(c *config, src, mnt string) []string{
			modeNone:        libfuseHP("--nopassthrough", "--nocache", "--direct-io"),
			modeAlways:      libfuseHP("--nopassthrough"),
			modePassthrough: libfuseHP(),
		},
	},
	{
		name: "passthrough_ll",
		how:  howLibfuse,
		find: findLibfuse("passthrough_ll"),
		args: map[string]func(c *config, src, mnt string) []string{
			modeNone:   libfuseLL("cache=never"),
			modeAuto:   libfuseLL("cache=auto"),
			modeAlways: libfuseLL("cache=always,writeback"),
		},
	},
	{
		name: "passthrough",
		how:  howLibfuse,
		find: findLibfuse("passthrough"),
		args: map[string]func(c *config, src, mnt string) []string{
			modeNone: libfuseClassic(""), // it keeps data from open to close, but the loads of this mode are direct
			modeAuto: libfuseClassic(",auto_cache"),
		},
	},
	{
		name: "go-fuse",
		how:  "go build ./loopback, in test/peers, must work: it needs the Go proxy",
		find: func(_ *config, dir string) (string, error) {
			prog := filepath.Join(dir, "loopback")
			cmd := exec.Command("go", "build", "-o", prog, "./loopback")
			cmd.Stderr = os.Stderr
			return prog, cmd.Run()
		},
		args: map[string]func(c *config, src, mnt string) []string{
			modeNone:        goFuse(modeNone),
			modeAuto:        goFuse(modeAuto),
			modePassthrough: goFuse(modePassthrough),
		},
	},
}

func spdkArgs(flags ...string) func(c *config, src, mnt string) []string {
	return func(c *config, src, mnt string) []string {
		mask := fmt.Sprintf("%#x", 1<<c.reactors-1)
		args := append([]string{"--disable-cpumask-locks", "--cpumask", mask, "--fuse-io-uring", c.ioUring,
			"--aio", "data0:" + src + ",writeback", "--mount", "data0=" + mnt}, flags...)
		return append(args, strings.Fields(c.spdkFlags)...)
	}
}

const howLibfuse = "test/peers/libfuse.sh builds libfuse's examples into bin/libfuse"

func findLibfuse(name string) func(c *config, dir string) (string, error) {
	return func(c *config, _ string) (string, error) { return exec.LookPath(filepath.Join(c.libfuse, name)) }
}

func libfuseHP(flags ...string) func(c *config, src, mnt string) []string {
	return func(_ *config, src, mnt string) []string {
		return append(append([]string{"--foreground", "-o", "allow_other,default_permissions"}, flags...), src, mnt)
	}
}

func libfuseLL(opts string) func(c *config, src, mnt string) []string {
	return func(_ *config, src, mnt string) []string {
		return []string{"-f", "-o", "allow_other,default_permissions,source=" + src + "," + opts, mnt}
	}
}

// libfuseClassic is the example that passes paths, and can do no more than its root: it shows that of the machine, and
// what is measured is below src there.
func libfuseClassic(opts string) func(c *config, src, mnt string) []string {
	return func(_ *config, src, mnt string) []string {
		return []string{"-f", "-o", "allow_other,default_permissions,modules=subdir,subdir=" + src + opts, mnt}
	}
}

func goFuse(mode string) func(c *config, src, mnt string) []string {
	return func(_ *config, src, mnt string) []string { return []string{"-cache", mode, src, mnt} }
}
