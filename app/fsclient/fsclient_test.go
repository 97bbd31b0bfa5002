package fsclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/fsclient"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

// TestFiles writes, reads and removes files of two kinds of devices, from several goroutines at once.
func TestFiles(t *testing.T) {
	o := app.Options{NoPin: true, DisableSignalHandlers: true, Log: slog.New(slog.DiscardHandler)}
	root := t.TempDir()
	err := app.Run(o, func(th *reactor.Thread, a *app.App) error {
		_, err := memfs.Create(th, "mem", memfs.Opts{Size: 64 << 20})
		_, err2 := aio.Create(th, "aio", aio.Opts{Root: root, Workers: 2})
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		return a.Go(func(context.Context) error {
			defer a.Stop(nil)
			for _, name := range []string{"mem", "aio"} {
				tryDevice(t, a.Thread(), name)
			}
			if _, err := fsclient.Open(a.Thread(), "none"); !errors.Is(err, syscall.ENODEV) {
				t.Errorf("a device that is not there: %v", err)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func tryDevice(t *testing.T, th *reactor.Thread, device string) {
	fs, err := fsclient.Open(th, device)
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	for i, size := range []int{0, 1, 128 << 10, 300_000} {
		wg.Go(func() {
			name := fmt.Sprintf("file%d", i)
			data := bytes.Repeat([]byte{byte('a' + i)}, size)
			if err := fs.WriteFile(name, data, 0o644); err != nil {
				t.Error(err)
			}
			if err := fs.WriteFile(name, nil, 0o644); !errors.Is(err, syscall.EEXIST) {
				t.Errorf("%s %s again: %v", device, name, err)
			}
			got, err := fs.ReadFile(name)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s %s has %d bytes, %v, want %d", device, name, len(got), err, size)
			}
			if err := fs.Remove(name); err != nil {
				t.Error(err)
			}
			if _, err := fs.ReadFile(name); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("%s %s after it was removed: %v", device, name, err)
			}
		})
	}
	wg.Wait()
	if err := fs.Close(); err != nil {
		t.Error(err)
	}
}
