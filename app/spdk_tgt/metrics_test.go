package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
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

// getMetrics asks who serves metrics at an address for what url names.
func getMetrics(t *testing.T, network, addr, url string) string {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
	res, err := client.Get("http://localhost" + url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return string(text)
}

// TestServesMetrics asks a running target, and one whose address is taken.
func TestServesMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	args := []string{"--disable-cpumask-locks", "--no-rpc-server", "--null", "null0", "--metrics", "unix:" + path}
	c := startReady(t, args...)
	if said := c.stdout.String(); !strings.Contains(said, "spdk_tgt: metrics at unix:"+path+"\n") {
		t.Errorf("stdout %q", said)
	}
	for url, want := range map[string]string{
		"/metrics": `spdk_fsdev_info{fsdev="null0",module="null"} 1`, "/": "<title>",
	} {
		if text := getMetrics(t, "unix", path, url); !strings.Contains(text, want) {
			t.Errorf("%s has no %s:\n%s", url, want, text)
		}
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

// TestServesEBPFMetrics has both flags given: what the kernel finds out about a mount and the reactor is served.
func TestServesEBPFMetrics(t *testing.T) {
	needFuse(t)
	needPrograms(t)
	path, dir := filepath.Join(t.TempDir(), "m.sock"), mountpoint(t)
	c := startReady(t, "--disable-cpumask-locks", "--no-rpc-server", "--ebpf", "--metrics", "unix:"+path,
		"--memfs", "m0", "--mount", "m0="+dir, "--cache", "none", "--cpumask", firstCPU(t))
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := getMetrics(t, "unix", path, "/metrics")
	for _, want := range []string{
		`(?m)^spdk_ebpf_enabled 1$`,
		`(?m)^spdk_reactor_off_cpu_seconds_count{core="\d+",kind="preempted"} \d+$`,
		`(?m)^spdk_reactor_off_cpu_seconds_count{core="\d+",kind="runqueue"} \d+$`,
		`(?m)^spdk_reactor_off_cpu_seconds_count{core="\d+",kind="voluntary"} \d+$`,
		`(?m)^spdk_reactor_stolen_seconds_total{comm="\(other\)",core="\d+"} \S+$`,
		`(?m)^spdk_fuse_request_duration_seconds_count{mountpoint="` + dir + `",part="queue"} [1-9]\d*$`,
		`(?m)^spdk_fuse_request_duration_seconds_count{mountpoint="` + dir + `",part="service"} [1-9]\d*$`,
		`(?m)^spdk_fuse_request_duration_seconds_count{mountpoint="` + dir + `",part="reply"} [1-9]\d*$`,
		`(?m)^spdk_fuse_unserved_requests_total{mountpoint="` + dir + `"} \d+$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("there is no %s", want)
		}
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || c.stderr.String() != "" {
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
