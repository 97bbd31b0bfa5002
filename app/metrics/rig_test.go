package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// rig is an application with the file system mem0 and a client of it.
type rig struct {
	t *testing.T
	a *app.App
	m *Manager

	fs     *loopback.FS
	client *loopback.Client
	disp   *fusedispatcher.Dispatcher
	dev    *memfs.Memfs
	ended  bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	a, err := app.New(app.Options{
		Name: "test", NoPin: true, CPUMask: reactor.NewCpuset(0, 1), DisableSignalHandlers: true,
		RPCSocket: filepath.Join(t.TempDir(), "rpc.sock"),
		Log:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, a: a}
	err = a.Start(func(th *reactor.Thread, _ *app.App) (err error) {
		if err := iobuf.RegisterModule(th.Framework(), "test"); err != nil {
			return err
		}
		if r.dev, err = memfs.Create(th, "mem0", memfs.Opts{Size: 64 << 20}); err != nil {
			return err
		}
		r.disp, err = fusedispatcher.Create(th, fusedispatcher.Opts{FsdevName: "mem0"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	if r.client, err = loopback.NewClient(a.Thread(), r.disp, loopback.Options{}); err != nil {
		t.Fatal(err)
	}
	in, errno := r.client.Init(loopback.InitOptions{})
	if errno != 0 {
		t.Fatal(errno)
	}
	r.fs = loopback.NewFS(r.client, in.MaxWrite)
	r.m = Of(a)
	return r
}

// stop takes everything down.
func (r *rig) stop() {
	if r.ended {
		return
	}
	r.ended = true
	if r.client != nil {
		r.client.Destroy()
		r.client.Close()
	}
	app.CallAsync(r.a.Thread(), func(t *reactor.Thread, done func()) {
		r.disp.Delete(t, func(*reactor.Thread, any, syscall.Errno) { done() }, nil)
	})
	app.CallAsync(r.a.Thread(), func(t *reactor.Thread, done func()) {
		memfs.Delete(t, r.dev, func(*reactor.Thread, any, error) { done() }, nil)
	})
	r.a.Stop(nil)
	if err := r.a.Wait(); err != nil {
		r.t.Error(err)
	}
}

// serve starts serving and returns the address.
func (r *rig) serve(address string) Address {
	r.t.Helper()
	addr, err := ParseAddress(address)
	if err == nil {
		addr, err = r.m.Start(Options{Address: addr})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return addr
}

// work has the client do something: files written, read, looked at and removed.
func (r *rig) work(files int) {
	r.t.Helper()
	for range files {
		err := r.fs.WriteFile("f", make([]byte, 4096), 0o644)
		if err == nil {
			_, err = r.fs.ReadFile("f")
		}
		if err == nil {
			_, err = r.fs.Stat("f")
		}
		if _, none := r.fs.Stat("none"); !errors.Is(none, syscall.ENOENT) {
			r.t.Errorf("a file that there is not: %v", none)
		}
		if err = errors.Join(err, r.fs.Remove("f")); err != nil {
			r.t.Fatal(err)
		}
	}
}

// client returns one that connects to addr, whatever the URL says.
func clientOf(addr Address) *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial(addr) },
		},
	}
}

func dial(addr Address) (net.Conn, error) {
	if addr.path != "" {
		return net.Dial("unix", addr.path)
	}
	return net.Dial("tcp", addr.tcp.String())
}

// get asks for path, in the format of accept.
func get(t *testing.T, addr Address, path, accept string) (code int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	res, err := clientOf(addr).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// scrape returns what OpenMetrics says now, and not what it has said to somebody before.
func (r *rig) scrape(addr Address) samples {
	r.t.Helper()
	r.m.scraper.mu.Lock()
	r.m.scraper.last = nil
	r.m.scraper.mu.Unlock()
	code, _, text := get(r.t, addr, "/metrics", "application/openmetrics-text")
	if code != http.StatusOK {
		r.t.Fatalf("%d: %s", code, text)
	}
	s, err := parseOpenMetrics(text)
	if err != nil {
		r.t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}
