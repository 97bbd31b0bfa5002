package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/internal/ebpfmon"
)

const noPrograms skipReason = "the kernel, or who runs the tests, does not permit programs in it"

// needPrograms skips the test where the kernel cannot be had to run programs.
func needPrograms(t *testing.T) {
	t.Helper()
	m, err := ebpfmon.Open()
	var why *ebpfmon.Error
	switch {
	case err == nil:
		m.Close()
	case errors.As(err, &why) && why.Machine():
		skip(t, noPrograms)
	default:
		t.Fatal(err)
	}
}

// ebpfStats is what ebpf_get_stats answers, as a client reads it.
type ebpfStats struct {
	Enabled   bool
	Missing   string
	ElapsedNS uint64 `json:"elapsed_ns"`
	Reactors  []struct {
		LCore       int
		TID         int
		State       string
		PreemptedNS uint64 `json:"preempted_ns"`
		VoluntaryNS uint64 `json:"voluntary_ns"`
		RunqueueNS  uint64 `json:"runqueue_ns"`
		Voluntary   ebpfHistogram
		Takers      []struct {
			Comm string
			PID  int
			NS   uint64
		}
	}
	Mounts []struct {
		Name, Mountpoint string
		Queue, Service   ebpfHistogram
		Reply            ebpfHistogram
		Opcodes          []struct {
			Name  string
			Queue ebpfHistogram
		}
	}
}

type ebpfHistogram struct {
	Count   uint64
	Sum     uint64 `json:"sum_ns"`
	P50     uint64 `json:"p50_ns"`
	P99     uint64 `json:"p99_ns"`
	Buckets []struct {
		Below uint64 `json:"below_ns"`
		Count uint64
	}
}

// check wants the parts to add up.
func (h *ebpfHistogram) check(t *testing.T, what string) {
	t.Helper()
	var n uint64
	for _, b := range h.Buckets {
		n += b.Count
	}
	if n != h.Count || n == 0 || h.P50 > h.P99 || h.P99 == 0 {
		t.Errorf("%s: %+v", what, h)
	}
}

// TestEBPF has --ebpf and the RPCs tell of a mount and of the reactor, and stop and start.
func TestEBPF(t *testing.T) {
	needFuse(t)
	needPrograms(t)
	dir := mountpoint(t)
	c, client := startRPC(t, "--ebpf", "--memfs", "m0", "--mount", "m0="+dir, "--mode", "interrupt",
		"--disable-cpumask-locks")
	c.await("being ready", func() bool { return strings.Contains(c.stdout.String(), "spdk_tgt: ready\n") })
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	var s ebpfStats
	call(t, client, "ebpf_get_stats", object{"per_opcode": true}, &s)
	if !s.Enabled || s.Missing != "" || s.ElapsedNS == 0 || len(s.Reactors) != 1 || len(s.Mounts) != 1 {
		t.Fatalf("statistics: %+v", s)
	}
	r, mt := &s.Reactors[0], &s.Mounts[0]
	if r.TID == 0 || r.State == "" || r.VoluntaryNS != r.Voluntary.Sum || r.RunqueueNS == 0 || len(r.Takers) == 0 {
		t.Errorf("reactor: %+v", r)
	}
	r.Voluntary.check(t, "asleep")
	if mt.Name != "m0" || mt.Mountpoint != dir {
		t.Errorf("mount: %+v", mt)
	}
	mt.Queue.check(t, "queue")
	mt.Service.check(t, "service")
	mt.Reply.check(t, "reply")
	var names []string
	for _, o := range mt.Opcodes {
		names = append(names, o.Name)
		o.Queue.check(t, o.Name)
	}
	if text := strings.Join(names, " "); !strings.Contains(text, "WRITE") || !strings.Contains(text, "CREATE") {
		t.Errorf("operations: %s", text)
	}

	for range 2 {
		call(t, client, "ebpf_stop", nil, nil)
	}
	s = ebpfStats{}
	call(t, client, "ebpf_get_stats", nil, &s)
	if s.Enabled || s.Reactors == nil || s.Mounts == nil || len(s.Reactors)+len(s.Mounts) != 0 {
		t.Errorf("after ebpf_stop: %+v", s)
	}
	for range 2 {
		call(t, client, "ebpf_start", nil, nil)
	}
	call(t, client, "ebpf_get_stats", nil, &s)
	if !s.Enabled || len(s.Reactors) != 1 || len(s.Mounts) != 1 || s.Mounts[0].Opcodes != nil {
		t.Errorf("after ebpf_start: %+v", s)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || c.stderr.String() != "" {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestEBPFInSandbox has what was loaded outside go into each sandbox, where nothing can be loaded.
func TestEBPFInSandbox(t *testing.T) {
	needFuse(t)
	needPrograms(t)
	line := regexp.MustCompile(`data0 on \S+: median times of [1-9]\d* requests: \S+ \(99 % \S+\) in the kernel's queue`)
	for _, mode := range []string{"namespace", "chroot", "landlock", "none"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "landlock" {
				needLandlock(t)
			}
			dir := mountpoint(t)
			export, _ := exported(t)
			sock := filepath.Join(t.TempDir(), "rpc.sock")
			c := startReady(t, "--ebpf", "--stats", "-r", sock, "--aio", "data0:"+export, "--mount", "data0="+dir,
				"--sandbox", mode, "--disable-cpumask-locks")
			if err := os.WriteFile(filepath.Join(dir, "x"), []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
			client := c.dial(sock)
			var s ebpfStats
			if call(t, client, "ebpf_get_stats", nil, &s); !s.Enabled || len(s.Mounts) != 1 {
				t.Errorf("statistics: %+v", s)
			}
			if mode == "landlock" { // one of them is stopped, and cannot be started again
				call(t, client, "ebpf_stop", nil, nil)
				if err := client.Call(within(t), "ebpf_start", nil, nil); !errors.Is(err, syscall.EPERM) {
					t.Errorf("ebpf_start in a sandbox: %v", err)
				}
			}
			c.signal(syscall.SIGTERM)
			if code := c.end(); code != exitOK || c.stderr.String() != "" {
				t.Errorf("exit code %d, stderr %q", code, &c.stderr)
			}
			if mode == "landlock" {
				return
			}
			said := c.stdout.String()
			if !strings.Contains(said, "off the CPU:\n") || !line.MatchString(said) {
				t.Errorf("at the end it says %q", said)
			}
		})
	}
}

// TestEBPFNotPermitted pins that a lack of rights is told in one line, and again by RPC, and keeps nobody from serving.
func TestEBPFNotPermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, notRoot)
	}
	dir, err := os.MkdirTemp("/tmp", "spdk-ebpf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	nobody := func(args ...string) *exec.Cmd {
		cmd := command(args...)
		cmd.Path = "/proc/self/exe" // nobody may not search the directory where it lies
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		return cmd
	}
	sock := filepath.Join(dir, "rpc.sock")
	c := start(t, nobody("--ebpf", "--null", "n0", "--disable-cpumask-locks", "-r", sock))
	client := c.dial(sock)
	var s ebpfStats
	c.await("being ready", func() bool { return strings.Contains(c.stdout.String(), "spdk_tgt: ready\n") })
	call(t, client, "ebpf_get_stats", nil, &s)
	const want = "ebpf: not permitted: it takes root, or CAP_BPF and CAP_PERFMON"
	if s.Enabled || !strings.HasPrefix(s.Missing, want) {
		t.Errorf("statistics: %+v", s)
	}
	if err := client.Call(within(t), "ebpf_start", nil, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("ebpf_start: %v", err)
	}
	c.signal(syscall.SIGTERM)
	stderr := "spdk_tgt: going on without --ebpf: " + want
	if code := c.end(); code != exitOK || !strings.HasPrefix(c.stderr.String(), stderr) ||
		strings.Count(c.stderr.String(), "\n") != 1 {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}
