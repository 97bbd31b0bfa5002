// Command hello_fsdev opens a file system device and, on a thread of each reactor, creates a file, writes, reads it
// back, compares, and removes it. It has SPDK's command line: --help. docs/app.md says more.
//
// SPDK: examples/fsdev/hello_world
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/app/fsclient"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

func main() {
	own := appflags.NewFlagSet()
	name := own.String("fsdev", "Fs0", "the device `NAME`, a memory file system unless --config has made it")
	os.Exit(appflags.Main("hello_fsdev", own, func(t *reactor.Thread, a *app.App) error { return start(t, a, *name) }))
}

// start is called on the app thread when everything is up. What waits is done in a goroutine.
func start(t *reactor.Thread, a *app.App, name string) error {
	if fsdev.Lookup(t.Framework(), name) == nil {
		if _, err := memfs.Create(t, name, memfs.Opts{Size: 16 << 20}); err != nil {
			return err
		}
	}
	return a.Go(func(context.Context) error {
		defer a.Stop(nil)
		for _, core := range a.Cores() {
			if err := hello(a, name, core); err != nil {
				return err
			}
		}
		return nil
	})
}

// hello uses the device on a thread of its own.
func hello(a *app.App, name string, core int) error {
	t, err := a.Framework().CreateThread(fmt.Sprintf("hello_%d", core), reactor.NewCpuset(core))
	if err != nil {
		return err
	}
	defer app.Call(t, (*reactor.Thread).Exit)
	fs, err := fsclient.Open(t, name)
	if err != nil {
		return err
	}
	file, text := fmt.Sprintf("hello_%d.txt", core), fmt.Sprintf("Hello from core %d!", core)
	err = fs.WriteFile(file, []byte(text), 0o644)
	if err == nil {
		var got []byte
		if got, err = fs.ReadFile(file); err == nil && string(got) != text {
			err = fmt.Errorf("%s has %q, not %q", file, got, text)
		}
		err = errors.Join(err, fs.Remove(file))
	}
	if err == nil {
		fmt.Printf("%s: %s is right and gone again\n", name, file)
	}
	return errors.Join(err, fs.Close())
}
