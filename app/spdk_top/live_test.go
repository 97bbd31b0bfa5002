package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/internal/apptest"
	_ "github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// launch starts an application at a socket and returns what ends it.
func launch(t *testing.T, socket string, wait bool) (stop func()) {
	t.Helper()
	stop = apptest.Start(t, app.Options{Mode: reactor.ModeInterrupt, RPCSocket: socket, WaitForRPC: wait})
	eventually(t, "no socket", func() bool {
		nc, err := net.Dial("unix", socket)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return stop
}

// call calls a method that has to succeed.
func call(t *testing.T, socket, method string, params any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := rpc.Dial(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(ctx, method, params, nil); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

func eventually(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !fn(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestLive follows an application that waits, starts, gets a device, ends, and comes again.
func TestLive(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "rpc.sock")
	u, err := newUI(&settings{socket: socket, interval: minInterval, tab: "fsdevs"})
	if err != nil {
		t.Fatal(err)
	}
	screen := tcell.NewSimulationScreen("UTF-8")
	term := &terminal{t: t, u: u, screen: screen, end: make(chan error, 1)}
	go func() { term.end <- u.run(screen) }()
	defer func() {
		u.app.Stop()
		if err := <-term.end; err != nil {
			t.Error(err)
		}
	}()
	see := func(text string) {
		t.Helper()
		var now string
		eventually(t, "there is no "+text, func() bool {
			term.do(func() { screen.SetSize(80, 24) })
			now = term.text()
			return strings.Contains(now, text)
		})
	}
	see("no connection (no such file or directory)")
	stop := launch(t, socket, true)
	see("framework_start_init is waited for")
	call(t, socket, "framework_start_init", nil)
	see("1 core, ")
	call(t, socket, "fsdev_null_create", map[string]string{"name": "n0"})
	see("n0 ")
	term.keys("l")
	see("n0 measures how long operations take")
	term.keys("<Enter>")
	see("No operations.")
	eventually(t, "the latencies are not read", func() (on bool) {
		term.do(func() { on = u.cur.infos["n0"].Histograms })
		return on
	})
	term.keys("<Esc>l")
	see("n0 measures no more")
	stop()
	see("no connection")
	launch(t, socket, false)
	see("1 core, ")
	see("0 fsdevs")
}

// TestBatch prints tables of an application.
func TestBatch(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "rpc.sock")
	execute := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = run(append([]string{"-r", socket, "-i", "0.1"}, args...), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, out, errs := execute("--once"); code != exitLost || out != "" || !strings.Contains(errs, "no such file") {
		t.Errorf("no application: %d, %q, %q", code, out, errs)
	}
	launch(t, socket, true)
	if code, out, errs := execute("--once"); code != exitRefused || out != "" || !strings.Contains(errs, "start_init") {
		t.Errorf("an application that waits: %d, %q, %q", code, out, errs)
	}
	call(t, socket, "framework_start_init", nil)
	call(t, socket, "fsdev_null_create", map[string]string{"name": "n0"})
	for _, tc := range []struct {
		args  string
		lines int
		want  string
	}{
		{"--once --tab threads", 2, "app_thread"},
		{"--once --tab cores --sort share --reverse", 2, "Busy %"},
		{"--once --tab fsdevs --total", 2, "n0     null"},
		{"--once --tab fsdevs --filter nothing", 1, "Ops/s"},
		{"--batch -n 2 --tab fsdevs", 5, "n0     null"},
	} {
		code, out, errs := execute(strings.Fields(tc.args)...)
		if code != exitOK || errs != "" || strings.Count(out, "\n") != tc.lines || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %d, %q\n%s", tc.args, code, errs, out)
		}
	}
	code, out, _ := execute("--once")
	for _, tab := range allTabs() {
		if tab.extra {
			continue // its method is not imported here
		}
		if code != exitOK || !strings.Contains(out, tab.title+":\n") {
			t.Errorf("there is no %s: %d\n%s", tab.title, code, out)
		}
	}
}

// TestArgs has command lines that make no sense, and --help.
func TestArgs(t *testing.T) {
	for args, want := range map[string]string{
		"x":                      `what is "x"`,
		"--nix":                  "unknown flag",
		"-i 0":                   "want seconds",
		"-i x":                   "want seconds",
		"-n 3":                   "--batch",
		"--batch -n -1":          "above 0",
		"--tab nix":              `no tab "nix", only threads`,
		"--sort cpu":             "--sort wants --tab",
		"--tab cores --sort cpu": `no column "cpu", only core`,
		"--tab cores --sort nix": "only core",
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(args), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %d, %s", args, code, &stderr)
		}
	}
	for args, want := range map[string]string{"--help": "Ctrl-C", "--version": "spdk_top: "} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{args}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: %d, %s, %s", args, code, &stdout, &stderr)
		}
	}
}

// TestEndlessAnswer gives up on what answers and does not stop.
func TestEndlessAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "rpc.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		fmt.Fprint(nc, `{"jsonrpc":"2.0","id":1,"result":["`)
		for junk := bytes.Repeat([]byte("x"), 1<<20); err == nil; {
			_, err = nc.Write(junk)
		}
	}()
	tg := &target{socket: socket, limit: 1 << 20}
	defer tg.close()
	if _, err := tg.sample(context.Background()); err == nil || !strings.Contains(err.Error(), errTooLong.Error()) {
		t.Error(err)
	}
	if tg.c != nil {
		t.Error("the connection is kept")
	}
}
