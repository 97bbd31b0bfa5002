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
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// target is what the command line asked for, running.
type target struct {
	cfg    *config
	jail   *containment
	stdout io.Writer
	stderr io.Writer

	a       *app.App
	threads []*reactor.Thread // one per reactor, for the queues of the mounts
	mounts  []*mount
	devices []device
	started time.Time
	ready   bool
}

// session is what target needs of a *fusedev.Session.
type session interface {
	Unmount() error
	Detach() error
	Abort() error
	Done() <-chan struct{}
	Stats() ([]fusedev.QueueStats, error)
}

// mount is one device on one directory.
type mount struct {
	mountSpec
	disp    *fusedispatcher.Dispatcher
	session session
	stats   mountStats
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
	for _, core := range tg.a.Cores() {
		t, err := tg.a.Framework().CreateThread(fmt.Sprintf("fuse_%d", core), reactor.NewCpuset(core))
		if err != nil {
			return err
		}
		tg.threads = append(tg.threads, t)
	}
	defer tg.printStats()
	defer tg.unmountAll()
	for _, spec := range tg.cfg.mounts {
		if err := tg.mount(ctx, spec); err != nil {
			if ctx.Err() != nil {
				return nil // stopped while mounting: that is no failure
			}
			return err
		}
	}
	tg.ready = true
	fmt.Fprintf(tg.stdout, "%s: ready\n", progName)
	for _, m := range tg.mounts {
		fmt.Fprintf(tg.stdout, "%s: %s mounted on %s\n", progName, m.name, m.dir)
	}
	tg.watch(ctx)
	return nil
}

// watch waits for the end of ctx, and reports mounts that somebody else has undone.
func (tg *target) watch(ctx context.Context) {
	for _, m := range tg.mounts {
		go func() {
			select {
			case <-ctx.Done():
			case <-m.session.Done():
				if ctx.Err() == nil {
					fmt.Fprintf(tg.stderr, "%s: %s was unmounted from %s by somebody else\n", progName, m.name, m.dir)
				}
			}
		}()
	}
	<-ctx.Done()
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
		del(t, d, func(_ *reactor.Thread, _ any, err error) { done(err) }, nil)
	}, d}
}

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
			os.Exit(exitFailed) // the rest would wait for it too
		}
	}
}

// mount puts a device on a directory.
func (tg *target) mount(ctx context.Context, spec mountSpec) error {
	m := &mount{mountSpec: spec}
	err := tg.onAppThread(func(t *reactor.Thread) (err error) {
		m.disp, err = fusedispatcher.Create(t, fusedispatcher.Opts{
			FsdevName: spec.name,
			Cache:     tg.cfg.cache,
			MaxWrite:  tg.cfg.maxWrite,

			EntryTimeout: tg.cfg.entryTimeout,
			AttrTimeout:  tg.cfg.attrTimeout,
		})
		return err
	})
	if err != nil {
		return err
	}
	s, err := fusedev.Mount(ctx, fusedev.Options{
		Dispatcher: m.disp,
		Threads:    tg.threads,
		Mountpoint: spec.dir,
		FsName:     spec.name,
		Subtype:    "spdk",
		AllowOther: tg.cfg.allowOther,
		Replace:    true,
		MaxWrite:   tg.cfg.maxWrite,
		Host:       tg.jail.host,
		Log:        tg.a.Log(),

		NoPassthrough: tg.cfg.noPass || tg.jail.noPass,
	})
	if err != nil {
		tg.deleteDispatcher(m)
		return err
	}
	m.session = s
	tg.mounts = append(tg.mounts, m)
	return nil
}

// unmountAll undoes the mounts, the last first.
func (tg *target) unmountAll() {
	for _, m := range slices.Backward(tg.mounts) {
		u := unmounter{s: m.session, dir: m.dir, stderr: tg.stderr, delay: unmountDelay, users: tg.jail.users}
		if !u.unmount() {
			// Its requests still use the dispatcher, so that nothing can be taken down in
			// order any more; the kernel cleans up after the process.
			tg.reportHangs()
			fmt.Fprintf(tg.stderr, "%s: %s does not end; giving up\n", progName, m.dir)
			os.Exit(exitFailed)
		}
		tg.collectStats(m)
		tg.deleteDispatcher(m)
	}
}

const (
	deleteTimeout = 10 * time.Second // that a dispatcher whose session has ended may take to go
	hangTime      = 5 * time.Second  // from where on a call is one that hangs
)

// deleteDispatcher gives up on a dispatcher that something still uses, for instance a session
// whose set-up has failed half-way: nothing can be taken down in order any more then.
func (tg *target) deleteDispatcher(m *mount) {
	stuck := time.AfterFunc(deleteTimeout, func() {
		tg.reportHangs()
		fmt.Fprintf(tg.stderr, "%s: the dispatcher of %s is still in use; giving up\n", progName, m.name)
		os.Exit(exitFailed)
	})
	defer stuck.Stop()
	var status syscall.Errno
	errno := app.CallAsync(tg.a.Thread(), func(t *reactor.Thread, done func()) {
		m.disp.Delete(t, func(_ *reactor.Thread, _ any, errno syscall.Errno) {
			status = errno
			done()
		}, nil)
	})
	if errno = max(errno, status); errno != 0 {
		fmt.Fprintf(tg.stderr, "%s: delete the dispatcher of %s: %v\n", progName, m.name, errno)
	}
}
