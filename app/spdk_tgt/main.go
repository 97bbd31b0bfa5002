// Command spdk_tgt is the target application: it serves file system devices to the kernel
// through /dev/fuse.
//
//	spdk_tgt --cpumask 0x3 --memfs mem0 --mount mem0=/mnt/mem
//
// It runs until SIGINT or SIGTERM, then unmounts, drains and ends; a second signal ends it
// at once. The exit code is 0 after an orderly end, 1 when something failed, and 2 for a
// wrong flag or value, which is reported in one line. --help explains every flag.
//
// With --aio the process locks itself up (--sandbox, --seccomp; package internal/sandbox says what that holds). It then
// has a child, "spdk_tgt: mounts", which stays outside and does no more than mount and unmount for it.
//
// SPDK: app/spdk_tgt
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

const progName = "spdk_tgt"

// Exit codes.
const (
	exitOK     = appflags.ExitOK
	exitFailed = appflags.ExitFailed
	exitUsage  = appflags.ExitUsage
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	in, s, err := begin()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitFailed
	}
	if s != nil && s.Outside {
		return s.serveOutside(stderr)
	}
	parse := parseArgs
	if in != nil { // all has been checked before, and may be out of sight now
		parse = parseFlags
	}
	cfg, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		usage(stdout)
		return exitOK
	case errors.Is(err, appflags.ErrVersion):
		fmt.Fprintf(stdout, "%s: %s\n", progName, app.VersionString())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitUsage
	}
	if cfg.ring == fusedev.RingOn && in == nil {
		if err := fusedev.EnableRing(); err != nil {
			fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
			return exitFailed
		}
	}
	mon, refused := openMonitor(cfg, s)
	if refused != nil {
		fmt.Fprintf(stderr, "%s: going on without --ebpf: %s\n", progName, appflags.OneLine(refused))
	}
	c, err := contain(cfg, in, s, mon)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitFailed
	}
	defer c.end(stderr)
	if notice := cfg.common.Notice(); notice != "" {
		fmt.Fprintf(stderr, "%s: %s\n", progName, notice)
	}
	logger, logged := cfg.common.Log(stderr)
	tgt := &target{cfg: cfg, jail: c, mon: mon, refused: refused, stdout: stdout, stderr: stderr, logged: logged}
	o := cfg.o
	o.CPUMaskLocksHeld = c.hasLocks
	o.Log = logger
	o.Subsystems = c.subsystems()
	if c.closed() { // the application can open nothing of that itself
		o.RPCSocket, o.RPCBound = "", c.socket
		o.ConfigFile, o.Config, o.ConfigName = "", c.config, cfg.o.ConfigFile
		o.NoTrace = true
	}
	err = app.Run(o, func(_ *reactor.Thread, a *app.App) error { return tgt.start(a) })
	logged()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitFailed
	}
	return exitOK
}
