package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/internal/ebpfmon"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
)

// target is what the command line asked for, running.
type target struct {
	cfg     *config
	jail    *containment
	mon     *ebpfmon.Monitor // loaded for --ebpf; nil: it was not asked for, or cannot be had
	refused error            // why not
	stdout  io.Writer
	stderr  io.Writer
	logged  func() // has the log written, for the end

	a       *app.App
	mounts  []*fusemount.Mount // those of the command line
	devices []device
	started time.Time
	ready   bool
	found   ebpf.Stats // by --ebpf
}

// start runs on the app thread. Mounting waits for the kernel, which waits for reactors, so
// everything happens in a goroutine.
func (tg *target) start(a *app.App) error {
	tg.a = a
	return a.Go(tg.run)
}

// run brings the target up, waits for the end of ctx and takes the target down.
func (tg *target) run(ctx context.Context) (err error) {
	tg.started = time.Now()
	tg.devices, err = tg.createDevices()
	defer tg.deleteDevices(tg.devices)
	if err != nil {
		return err
	}
	tg.startMonitor()
	mounts := fusemount.Of(tg.a)
	mounts.SetReport(func(text string) { fmt.Fprintf(tg.stderr, "%s: %s\n", progName, text) })
	defer tg.unmountAll(mounts)
	for _, spec := range tg.cfg.mounts {
		mt, err := mounts.Mount(ctx, fusemount.Options{
			Fsdev:         spec.name,
			Dir:           spec.dir,
			Cache:         tg.cfg.cache,
			MaxWrite:      tg.cfg.maxWrite,
			AllowOther:    tg.cfg.allowOther,
			NoPassthrough: tg.cfg.noPass,
			Ring:          tg.cfg.ring,
			EntryTimeout:  tg.cfg.entryTimeout,
			AttrTimeout:   tg.cfg.attrTimeout,
		})
		if err != nil {
			if ctx.Err() != nil {
				return nil // stopped while mounting: that is no failure
			}
			return err
		}
		tg.mounts = append(tg.mounts, mt)
	}
	if err := tg.startMetrics(); err != nil {
		return err
	}
	tg.ready = true
	tg.sayReady(mounts)
	<-ctx.Done()
	if tg.cfg.stats { // while what was mounted still is
		tg.found = ebpf.Of(tg.a).Stats()
	}
	return nil
}

func (tg *target) sayReady(mounts *fusemount.Manager) {
	fmt.Fprintf(tg.stdout, "%s: ready\n", progName)
	for _, mt := range mounts.Mounts() {
		fmt.Fprintf(tg.stdout, "%s: %s mounted on %s\n", progName, mt.Fsdev, mt.Dir)
	}
	switch err := tg.a.RPCError(); {
	case tg.jail.noSocket != "":
		fmt.Fprintf(tg.stdout, "%s: no RPC server: %s (see -r)\n", progName, tg.jail.noSocket)
	case err != nil:
		fmt.Fprintf(tg.stdout, "%s: no RPC server: %s (see -r)\n", progName, appflags.OneLine(err))
	case tg.a.RPCSocket() != "":
		fmt.Fprintf(tg.stdout, "%s: RPC server at %s\n", progName, tg.a.RPCSocket())
	}
}

// onAppThread runs fn on the app thread and returns its error.
func (tg *target) onAppThread(fn func(t *reactor.Thread) error) error {
	var err error
	if errno := app.Call(tg.a.Thread(), func(t *reactor.Thread) { err = fn(t) }); errno != 0 {
		return errno
	}
	return err
}

// device is a created device and the way to delete it.
type device struct {
	name   string
	delete func(t *reactor.Thread, done func(err error))
	d      any // the module's
}

func (tg *target) createDevices() (devices []device, err error) {
	err = tg.onAppThread(func(t *reactor.Thread) error {
		for _, spec := range tg.cfg.memfs {
			f, err := memfs.Create(t, spec.name, memfs.Opts{Size: spec.size, Inodes: spec.inodes})
			if err != nil {
				return err
			}
			devices = append(devices, deviceOf(spec.name, f, memfs.Delete))
		}
		for _, spec := range tg.cfg.aio {
			f, err := aio.Create(t, spec.name, spec.opts)
			if err != nil {
				return err
			}
			devices = append(devices, deviceOf(spec.name, f, aio.Delete))
		}
		for _, name := range tg.cfg.null {
			f, err := null.Create(t, name)
			if err != nil {
				return err
			}
			devices = append(devices, deviceOf(name, f, null.Delete))
		}
		return nil
	})
	return devices, err
}

// deviceOf makes a device of what a module's Create returned and of its Delete.
func deviceOf[D any](name string, d D, del func(t *reactor.Thread, d D,
	cb func(t *reactor.Thread, ctx any, err error), ctx any) bool) device {
	return device{name, func(t *reactor.Thread, done func(error)) {
		if !del(t, d, func(_ *reactor.Thread, _ any, err error) { done(err) }, nil) {
			done(nil) // an RPC has deleted it
		}
	}, d}
}

// hangTime is from where on a call is one that hangs.
const hangTime = 5 * time.Second

// reportHangs says what the devices wait for, if that lasts.
func (tg *target) reportHangs() {
	for _, d := range tg.devices {
		a, ok := d.d.(*aio.Aio)
		if !ok {
			continue
		}
		for _, h := range a.Hanging(hangTime) {
			fmt.Fprintf(tg.stderr, "%s: %s hangs: %v\n", progName, d.name, h)
		}
	}
}

func (tg *target) deleteDevices(devices []device) {
	for _, d := range devices {
		var err error
		errno := app.CallAsync(tg.a.Thread(), func(t *reactor.Thread, done func()) {
			d.delete(t, func(e error) {
				err = e
				done()
			})
		})
		if errno != 0 {
			err = errno
		}
		if err != nil {
			fmt.Fprintf(tg.stderr, "%s: delete %s: %v\n", progName, d.name, err)
		}
		if errors.Is(err, syscall.ETIMEDOUT) {
			tg.logged()
			os.Exit(exitFailed) // the rest would wait for it too
		}
	}
}

// unmountAll undoes the mounts, those that RPCs have made too.
func (tg *target) unmountAll(mounts *fusemount.Manager) {
	list := tg.mounts
	for _, mt := range mounts.Mounts() {
		if !slices.Contains(list, mt) {
			list = append(list, mt)
		}
	}
	if err := mounts.UnmountAll(); err != nil {
		// What still uses a dispatcher keeps everything from being taken down in order; the kernel cleans up after the
		// process.
		tg.reportHangs()
		fmt.Fprintf(tg.stderr, "%s: %s; giving up\n", progName, appflags.OneLine(err))
		tg.logged()
		os.Exit(exitFailed)
	}
	tg.printStats(list)
}
