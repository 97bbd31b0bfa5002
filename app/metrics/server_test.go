package metrics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9464":            "127.0.0.1:9464",
		"127.1.2.3:0":               "127.1.2.3:0",
		"[::1]:9464":                "[::1]:9464",
		"unix:/run/x.sock":          "unix:/run/x.sock",
		"unix:/run/a/../x":          "unix:/run/x",
		"unix:/run/x.sock,mode=600": "unix:/run/x.sock,mode=600",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, a, err, want)
		}
	}
	for text, want := range map[string]string{
		"0.0.0.0:9464":        "can be reached from other machines",
		"[::]:9464":           "can be reached from other machines",
		"10.0.0.1:9464":       "can be reached from other machines",
		"[fe80::1%lo]:1":      "can be reached from other machines",
		":9464":               "is not unix:PATH, 127.0.0.1:PORT or [::1]:PORT",
		"localhost:9464":      "is not unix:PATH, 127.0.0.1:PORT or [::1]:PORT",
		"127.0.0.1":           "is not unix:PATH",
		"127.0.0.1:99999":     "is not unix:PATH",
		"/run/x.sock":         "is not unix:PATH",
		"":                    "is not unix:PATH",
		"unix:":               "is empty",
		"unix:,mode=600":      "is empty",
		"unix:/x,mode=888":    "permission bits",
		"unix:/x,mode=0":      "permission bits",
		"unix:/x,colour=blue": "permission bits",
	} {
		if _, err := ParseAddress(text); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "m.sock")
	mode := func() os.FileMode {
		t.Helper()
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st.Mode()
	}
	for _, tt := range []struct {
		option string
		want   os.FileMode
	}{{"", 0o600}, {",mode=666", 0o666}, {",mode=200", 0o200}} {
		addr := r.serve("unix:" + path + tt.option)
		if got := mode(); got != os.ModeSocket|tt.want {
			t.Errorf("%q: %v, want %v", tt.option, got, tt.want)
		}
		if code, _, _ := get(t, addr, "/", ""); code != http.StatusOK {
			t.Errorf("%d", code)
		}
		if err := r.m.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	}
	// One that a process has left behind is replaced; one that is served is not, nor is another file.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{}
	if o.Address, err = ParseAddress("unix:" + path); err != nil {
		t.Fatal(err)
	}
	if _, err := r.m.Start(o); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else's: %v", err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	addr, err := r.m.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	r.scrape(addr)
	if _, err := r.m.Start(o); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("started twice: %v", err)
	}
	if err := errors.Join(r.m.Stop(), os.WriteFile(path, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.m.Start(o); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a file: %v", err)
	}
	if err := r.m.Stop(); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("stopped twice: %v", err)
	}
}

// TestOtherNames keeps out a page of another site whose name leads here, through a tunnel to a socket perhaps.
func TestOtherNames(t *testing.T) {
	r := newRig(t)
	for _, address := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "m.sock")} {
		addr := r.serve(address)
		for host, want := range map[string]int{
			"localhost": 200, "localhost:9464": 200, "127.0.0.1:1": 200, "[::1]:9464": 200, "LOCALHOST": 200,
			"example.org": 421, "localhost.example.org": 421, "10.0.0.1": 421, "127.0.0.1.nip.io:80": 421,
		} {
			req, err := http.NewRequest(http.MethodGet, "http://x/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			res, err := clientOf(addr).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s at %v: %d, want %d", host, addr, res.StatusCode, want)
			}
		}
		want := "HTTP/1.0 200 OK\r\n"
		if addr.path == "" {
			want = "HTTP/1.0 421 Misdirected Request\r\n"
		}
		c, err := dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /metrics HTTP/1.0\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); line != want {
			t.Errorf("no name at %v: %q, %v", addr, line, err)
		}
		if err := r.m.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatThereIsNot(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	for _, path := range []string{"/x", "/metrics/", "/debug/pprof/", "/index.html", "/..%2f..%2fetc/passwd"} {
		if code, _, _ := get(t, addr, path, ""); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	res, err := clientOf(addr).Post("http://localhost/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", res.StatusCode)
	}
}

// TestManyClients has more connect than there may be: the first are kept, the others are closed, nothing of it is seen
// by reactors, and when they go others get in.
func TestManyClients(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	r.scrape(addr)
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range 3 * MaxConnections {
		c, err := dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		defer c.Close()
	}
	eventually(t, "the connections are not refused", func() bool { return r.m.refused.Load() >= 2*MaxConnections })
	if n := runtime.NumGoroutine() - before; n > 2*MaxConnections+8 {
		t.Errorf("%d goroutines for %d connections", n, len(conns))
	}
	r.work(1) // it goes on
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "nobody gets in", func() bool {
		res, err := clientOf(addr).Get("http://localhost/metrics")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if got := r.scrape(addr).value(t, `spdk_metrics_refused_connections_total{}`); got < 2*MaxConnections {
		t.Errorf("%v connections refused", got)
	}
}

// TestSlowClients has clients that send nothing, half a request, and rubbish, and one that does not read; another one
// is served meanwhile.
func TestSlowClients(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	const half = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	for _, text := range []string{
		"", "GET /met", half, "\x00\xff\x16\x03", "\r\n\r\n", strings.Repeat(half+"\r\n", 200),
	} {
		c, err := dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	r.scrape(addr)
	r.work(1)
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// A header without end is cut off.
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s", strings.Repeat("x", 4*maxHeader))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("a long header: %q", line)
	}
	start := time.Now()
	if err := r.m.Stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > closeTimeout+5*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// TestStopWhileScraping ends the server while a scrape is under way, and while clients come.
func TestStopWhileScraping(t *testing.T) {
	r := newRig(t)
	goroutines := runtime.NumGoroutine()
	for round := range 3 {
		addr := r.serve("127.0.0.1:0")
		var clients sync.WaitGroup
		end := make(chan struct{})
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-end:
						return
					default:
					}
					if res, err := clientOf(addr).Get("http://localhost/metrics"); err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
				}
			})
		}
		release := func() {}
		if round == 0 {
			r.m.scraper.mu.Lock()
			r.m.scraper.last = nil
			r.m.scraper.mu.Unlock()
			release = r.block()
			time.AfterFunc(50*time.Millisecond, release)
		}
		if err := r.m.Stop(); err != nil {
			t.Error(err)
		}
		release()
		if c, err := dial(addr); err == nil {
			c.Close()
			t.Error("somebody listens")
		}
		close(end)
		clients.Wait()
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
}
