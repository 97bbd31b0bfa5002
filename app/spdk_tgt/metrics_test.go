package main

import (
	"bytes"
	"context"
	"errors"
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

	"github.com/spdk-go/spdk-go/app/metrics"
	"github.com/spdk-go/spdk-go/rpc"
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
	text, err := askMetrics(network, addr, url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func askMetrics(network, addr, url string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
	res, err := client.Get("http://localhost" + url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(text), err
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

// TestMetricsInSandbox is served by a process that the kernel would end for a system call too many: scrapes and the
// page, to clients that do nothing, send rubbish, do not read and are too many, and to one after all of them.
func TestMetricsInSandbox(t *testing.T) {
	needFuse(t)
	for _, mode := range []string{"namespace", "chroot", "landlock", "none"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "landlock" {
				needLandlock(t)
			}
			dir, path := mountpoint(t), filepath.Join(t.TempDir(), "m.sock")
			export, _ := exported(t)
			c, client := startRPC(t, "--aio", "data0:"+export, "--mount", "data0="+dir, "--sandbox", mode, "--seccomp", "kill",
				"--metrics", "unix:"+path+",mode=600", "--disable-cpumask-locks")
			c.await("being ready", func() bool { return strings.Contains(c.stdout.String(), "spdk_tgt: ready\n") })
			if st, err := os.Stat(path); err != nil || st.Mode() != os.ModeSocket|0o600 {
				t.Fatalf("the socket: %v, %v", st, err)
			}
			if err := os.WriteFile(filepath.Join(dir, "x"), []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
			var conns []net.Conn
			defer func() {
				for _, nc := range conns {
					nc.Close()
				}
			}()
			for i := range 3 * metrics.MaxConnections {
				nc, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, nc)
				text := []string{"", "GET /met", "\x00\xff\r\n\r\n", strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 20)}[i%4]
				_, _ = io.WriteString(nc, text) // those that are too many cannot
			}
			for _, nc := range conns[:len(conns)-1] {
				nc.Close()
			}
			want := `spdk_fsdev_info{fsdev="data0",module="aio"} 1`
			c.await("an answer", func() bool {
				text, _ := askMetrics("unix", path, "/metrics")
				return strings.Contains(text, want)
			})
			for url, want := range map[string]string{
				"/metrics":  `spdk_fsdev_operations_total{fsdev="data0",op="CREATE"} 1`,
				"/metrics?": "\nprocess_start_time_seconds ", // which the page takes to be the process
				"/":         "<title>",
			} {
				if text := getMetrics(t, "unix", path, url); !strings.Contains(text, want) {
					t.Errorf("%s has no %s:\n%s", url, want, text)
				}
			}
			var info struct{ Address string }
			if call(t, client, "metrics_get_info", nil, &info); info.Address != "unix:"+path+",mode=600" {
				t.Errorf("metrics_get_info: %+v", info)
			}
			if mode == "chroot" { // in one of them the server ends while clients are there, and cannot be had again
				call(t, client, "metrics_stop", nil, nil)
				err := client.Call(within(t), "metrics_start", object{"address": info.Address}, nil)
				if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "--metrics unix:PATH") {
					t.Errorf("metrics_start once more: %v", err)
				}
			}
			for _, other := range []string{"127.0.0.1:0", "unix:" + path + "2"} {
				err := client.Call(within(t), "metrics_start", object{"address": other}, nil)
				if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EALREADY) {
					t.Errorf("metrics_start at %s: %v", other, err)
				}
			}
			c.signal(syscall.SIGTERM)
			if code := c.end(); code != exitOK || c.stderr.String() != "" {
				t.Errorf("exit code %d, stderr %q", code, &c.stderr)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", path, err)
			}
		})
	}
}

// TestMetricsInSandboxByConfig has metrics served by what was saved of a target, where the path was relative, and in a
// process that is locked up as well.
func TestMetricsInSandboxByConfig(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	file, work := filepath.Join(t.TempDir(), "tgt.json"), t.TempDir()
	path := filepath.Join(work, "m.sock")
	args := []string{"--aio", "data0:" + export, "--metrics", "unix:m.sock"}
	for range 2 {
		sock := filepath.Join(t.TempDir(), "rpc.sock")
		cmd := command(append(args, "--disable-cpumask-locks", "-r", sock, "--sandbox", "namespace")...)
		cmd.Dir = work
		c := start(t, cmd)
		c.await("being ready", func() bool { return strings.Contains(c.stdout.String(), "spdk_tgt: ready\n") })
		want := `spdk_fsdev_info{fsdev="data0",module="aio"} 1`
		if text := getMetrics(t, "unix", path, "/metrics"); !strings.Contains(text, want) {
			t.Errorf("there is no %s:\n%s", want, text)
		}
		saved, err := rpc.SaveConfig(within(t), c.dial(sock))
		if err != nil {
			t.Fatal(err)
		}
		if text := text(t, saved); !strings.Contains(text, `"address": "unix:`+path+`"`) {
			t.Errorf("saved: %s", text)
		}
		if err := os.WriteFile(file, []byte(text(t, saved)), 0o600); err != nil {
			t.Fatal(err)
		}
		args = []string{"-c", file}
		c.signal(syscall.SIGTERM)
		if code := c.end(); code != exitOK || c.stderr.String() != "" {
			t.Errorf("exit code %d, stderr %q", code, &c.stderr)
		}
	}
}

// TestNoPortInASandbox refuses what would be a way to other ports of the machine, and an address that is taken, before
// anything is locked up.
func TestNoPortInASandbox(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"127.0.0.1:0": "may have no port", "unix:" + taken: "file exists", "unix:/none/m.sock": "no such file",
	} {
		var stderr bytes.Buffer
		args := []string{"--aio", "a:" + t.TempDir(), "--seccomp", "kill", "--no-rpc-server", "--metrics", addr}
		code := run(args, io.Discard, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, stderr %q", addr, code, &stderr)
		}
	}
}
