package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/internal/report"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// loopFS is a file system through the loopback transport.
type loopFS struct{ *loopback.FS }

func (f loopFS) MkdirAll(name string) error { return f.FS.MkdirAll(name, 0o755) }

func (f loopFS) WriteFile(name string, data []byte) error { return f.FS.WriteFile(name, data, 0o644) }

func (f loopFS) ReadDir(name string) ([]string, error) {
	entries, err := f.FS.ReadDir(name)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, err
}

func (f loopFS) Open(name string, write bool) (file, error) {
	if write {
		return f.FS.Open(name, syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC, 0o644)
	}
	return f.FS.Open(name, syscall.O_RDONLY, 0)
}

// runLoopback runs the workload in this process, without the kernel.
func runLoopback(mask *reactor.Cpuset, size int) error {
	return app.Run(app.Options{Name: "demo", CPUMask: mask}, func(t *reactor.Thread, a *app.App) error {
		dev, err := memfs.Create(t, "mem0", memfs.Opts{})
		if err != nil {
			return err
		}
		disp, err := fusedispatcher.Create(t, fusedispatcher.Opts{FsdevName: "mem0"})
		if err != nil {
			return err
		}
		return a.Go(func(context.Context) error {
			defer a.Stop(nil)
			start := time.Now()
			err := loopbackWorkload(t, disp, size)
			if err == nil {
				report.Reactors(os.Stdout, a.Framework(), time.Since(start), nil)
			}
			return errors.Join(err, takeDown(t, disp, dev))
		})
	})
}

func loopbackWorkload(t *reactor.Thread, disp *fusedispatcher.Dispatcher, size int) error {
	client, err := loopback.NewClient(t, disp, loopback.Options{})
	if err != nil {
		return err
	}
	in, errno := client.Init(loopback.InitOptions{})
	if errno != 0 {
		return fmt.Errorf("INIT: %w", errno)
	}
	fmt.Println("mem0 has a client in this process; through the loopback transport:")
	err = workload(loopFS{loopback.NewFS(client, in.MaxWrite)}, size)
	if errno := client.Destroy(); errno != 0 {
		err = errors.Join(err, fmt.Errorf("DESTROY: %w", errno))
	}
	if err == nil {
		err = printRequests(t, disp)
	}
	if errno := client.Close(); errno != 0 {
		err = errors.Join(err, fmt.Errorf("close: %w", errno))
	}
	return err
}

// printRequests says what the dispatcher did. It counts by channel, so it has to be asked before
// the client lets go of its own.
func printRequests(t *reactor.Thread, disp *fusedispatcher.Dispatcher) error {
	var stats fusedispatcher.Stats
	errno := app.CallAsync(t, func(t *reactor.Thread, done func()) {
		disp.Stats(t, func(_ *reactor.Thread, _ any, s *fusedispatcher.Stats) {
			stats = *s
			done()
		}, nil)
	})
	if errno != 0 {
		return errno
	}
	report.Requests(os.Stdout, "mem0", &stats, "")
	return nil
}

func takeDown(t *reactor.Thread, disp *fusedispatcher.Dispatcher, dev *memfs.Memfs) error {
	var errDisp, errDev error
	app.CallAsync(t, func(t *reactor.Thread, done func()) {
		disp.Delete(t, func(_ *reactor.Thread, _ any, errno syscall.Errno) {
			if errno != 0 {
				errDisp = fmt.Errorf("delete the dispatcher: %w", errno)
			}
			done()
		}, nil)
	})
	app.CallAsync(t, func(t *reactor.Thread, done func()) {
		memfs.Delete(t, dev, func(_ *reactor.Thread, _ any, err error) {
			errDev = err
			done()
		}, nil)
	})
	return errors.Join(errDisp, errDev)
}
