package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestMetricsFlag(t *testing.T) {
	for flag, want := range map[string]string{
		"127.0.0.1:9464": "127.0.0.1:9464", "[::1]:0": "[::1]:0", "unix:/run/m.sock,mode=600": "unix:/run/m.sock,mode=600",
	} {
		c, err := parseArgs([]string{"--metrics", flag})
		if err != nil || c.metrics.String() != want {
			t.Errorf("%s: %v, %v", flag, c.metrics, err)
		}
	}
}

// TestServesMetrics asks a running target, and one whose address is taken.
func TestServesMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	args := []string{"--disable-cpumask-locks", "--no-rpc-server", "--null", "null0", "--metrics", "unix:" + path}
	c := startReady(t, args...)
	if said := c.stdout.String(); !strings.Contains(said, "spdk_tgt: metrics at unix:"+path+"\n") {
		t.Errorf("stdout %q", said)
	}
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	for url, want := range map[string]string{
		"/metrics": `spdk_fsdev_info{fsdev="null0",module="null"} 1`, "/": "<title>",
	} {
		res, err := client.Get("http://localhost" + url)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s: %v\n%s", url, want, err, text)
		}
		res.Body.Close()
	}
	second := start(t, command(args...))
	if code := second.end(); code != exitFailed || !strings.Contains(second.stderr.String(), "address already in use") {
		t.Errorf("a second one: exit code %d, stderr %q", code, &second.stderr)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

func TestNoMetricsInASandbox(t *testing.T) {
	var stderr bytes.Buffer
	args := []string{"--aio", "a:" + t.TempDir(), "--seccomp", "kill", "--metrics", "127.0.0.1:0"}
	code := run(args, io.Discard, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "metrics are not for a sandbox") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}
