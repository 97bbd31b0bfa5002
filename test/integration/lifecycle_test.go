package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { helpers["acknowledged"] = acknowledgedHelper }

// clientTimeout is how long clients may take to notice that their file system is gone.
const clientTimeout = 15 * time.Second

// load starts programs that keep a mounted file system busy until it goes away. They must end by themselves then.
func load(t *testing.T, tg *target) []*job {
	t.Helper()
	fioDir := filepath.Join(tg.mount, "fio")
	copyDir := filepath.Join(tg.mount, "copy")
	for _, dir := range []string{fioDir, copyDir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host := tmpfsDir(t)
	return []*job{
		start(t, host, nil, "fio", "--name=load", "--directory="+fioDir, "--size=8m", "--numjobs=2", "--rw=randrw",
			"--bs=4k", "--time_based", "--runtime=120", "--fallocate=none", "--thread=0"),
		start(t, copyDir, nil, "bash", "-c", `while cp -a "$1" here && rm -r here; do :; done`, "copy", goSource(t, false)),
		start(t, tg.mount, nil, "bash", "-c",
			"while dd if=/dev/zero of=zero bs=1M count=64 conv=notrunc,fsync status=none; do :; done"),
	}
}

// reactorCounts is what tests vary that are not part of the matrix.
func reactorCounts() []int {
	if testing.Short() {
		return []int{2}
	}
	return []int{1, 2}
}

// wantAllEnd wants every client to come back, with whatever result, and returns those that do not.
func wantAllEnd(t *testing.T, jobs []*job) {
	t.Helper()
	end := time.Now().Add(clientTimeout)
	for _, j := range jobs {
		if !j.wait(time.Until(end)) {
			t.Errorf("%s: hangs %v after its file system went away\n%s", j.name, clientTimeout, j.state())
		}
	}
}

// TestSigtermUnderLoad ends spdk_tgt in the middle of work: what was acknowledged is there to the end, clients get
// errors, the process ends with success within 5 seconds, and nothing stays mounted.
func TestSigtermUnderLoad(t *testing.T) {
	needMount(t)
	for _, reactors := range reactorCounts() {
		t.Run(fmt.Sprintf("reactors=%d", reactors), func(t *testing.T) {
			tg := startTarget(t, targetOptions{reactors: reactors, cache: "auto", ring: reactors == 2})
			jobs := load(t, tg)
			ack := startHelper(t, scratch, "acknowledged", tg.mount)
			time.Sleep(loadTime)
			for _, j := range append(jobs, ack) {
				if j.wait(0) {
					t.Fatalf("%s: ended too early: %v\n%s", j.name, j.err, tail(j.out.String(), 20))
				}
			}
			began := time.Now()
			tg.stop(t)
			if took, limit := time.Since(began), 5*time.Second; took > limit && !raceEnabled {
				t.Errorf("the end took %v, more than %v\n%s", took, limit, tg.output())
			} else {
				t.Logf("the end took %v", took)
			}
			wantAllEnd(t, append(jobs, ack))
			if ack.err != nil {
				t.Errorf("acknowledged work was lost: %v\n%s", ack.err, ack.out.String())
			}
			t.Logf("%s", tail(ack.out.String(), 1))
			remount(t, tg)
		})
	}
}

// loadTime is how long the load runs before something happens to the file system.
const loadTime = 2 * time.Second

// acknowledgedHelper writes, syncs and closes files in the directory args[0], and with each of them reads back an older
// one, until the file system refuses. Everything it was told is safe has to be there until then.
func acknowledgedHelper(args []string) error {
	dir, err := unix.Open(args[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		err := acknowledgedStep(dir, n)
		switch {
		case err == nil:
			continue
		case errors.Is(err, unix.ENOTCONN), errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EIO):
			fmt.Printf("%d files were there until the file system went away: %q\n", n, err)
			return nil
		}
		return fmt.Errorf("file %d: %w", n, err)
	}
}

func acknowledgedStep(dir, n int) error {
	name := func(n int) string { return fmt.Sprint("ack", n%1000) }
	fd, err := unix.Openat(dir, name(n), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, pattern(make([]byte, 3000), uint64(n), 0))
	if err == nil && n%10 == 0 {
		err = unix.Fsync(fd)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	back := max(0, n-n%900)
	fd, err = unix.Openat(dir, name(back), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	buf := make([]byte, 4000)
	got, err := unix.Read(fd, buf)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	if got != 3000 || !samePattern(buf[:got], uint64(back), 0) {
		return fmt.Errorf("file %d: %d bytes that were never written so", back, got)
	}
	return nil
}

// TestSigkillUnderLoad takes spdk_tgt away without a word: clients get an error rather than hang, the dead mount can
// be removed, and the mountpoint serves again.
func TestSigkillUnderLoad(t *testing.T) {
	needMount(t)
	tg := startTarget(t, targetOptions{reactors: 2, cache: "auto"})
	jobs := load(t, tg)
	time.Sleep(loadTime)
	tg.signal(t, syscall.SIGKILL)
	if !tg.waitExit(stopTimeout) {
		t.Fatal("spdk_tgt survived SIGKILL")
	}
	wantAllEnd(t, jobs)
	if err := start(t, scratch, nil, "ls", tg.mount).waitError(t); err == nil {
		t.Errorf("ls of the dead mount succeeded")
	}
	var st unix.Statfs_t // stat might be answered from the kernel's cache
	if err := unix.Statfs(tg.mount, &st); err != unix.ENOTCONN {
		t.Errorf("statfs of the dead mount: %v, want ENOTCONN", err)
	}
	start(t, scratch, nil, "umount", tg.mount).mustEnd(t, clientTimeout)
	if isMounted(tg.mount) {
		t.Errorf("%s is still mounted", tg.mount)
	}
	remount(t, tg)
}

// waitError waits for a job that may fail but not hang, and returns its result.
func (j *job) waitError(t testing.TB) error {
	t.Helper()
	if !j.wait(clientTimeout) {
		t.Fatalf("%s: hangs\n%s", j.name, j.state())
	}
	return j.err
}

// remount mounts again where an ended spdk_tgt had mounted, and works there a little.
func remount(t *testing.T, old *target) {
	t.Helper()
	again := startTarget(t, targetOptions{reactors: old.opts.reactors, cache: old.opts.cache, ring: old.opts.ring,
		mount: old.mount})
	name := filepath.Join(again.mount, "f")
	if err := os.WriteFile(name, []byte("again"), 0o600); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "again" {
		t.Errorf("read %q, %v", text, err)
	}
	again.stop(t)
}

// TestSigtermWhileBusy has a process sit in the mount: SIGTERM reports it and is not held up by it.
func TestSigtermWhileBusy(t *testing.T) {
	needMount(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			tg := startTarget(t, targetOptions{reactors: 1, cache: "auto"})
			sitter := start(t, tg.mount, nil, "sleep", "300")
			tg.signal(t, sig)
			if !tg.waitExit(stopTimeout) {
				tg.abandon()
				t.Fatalf("held up by a busy mount\n%s", tg.output())
			}
			if tg.err != nil {
				t.Errorf("spdk_tgt: %v\n%s", tg.err, tg.output())
			}
			if !strings.Contains(strings.ToLower(tg.errors()), "busy") {
				t.Errorf("the busy mount is not reported on stderr\n%s", tg.output())
			}
			if isMounted(tg.mount) {
				t.Errorf("%s is still mounted", tg.mount)
			}
			if sitter.wait(0) {
				t.Error("the process that sat in the mount is gone")
			}
		})
	}
}

// TestUnmountFromOutside removes the mount behind spdk_tgt's back, by umount and by the abort switch of the kernel.
// It has nothing to serve then; it must neither spin nor crash, and SIGTERM ends it as ever.
func TestUnmountFromOutside(t *testing.T) {
	needMount(t)
	tests := []struct {
		name string
		cut  func(t *testing.T, tg *target)
	}{
		{"umount", func(t *testing.T, tg *target) {
			start(t, scratch, nil, "umount", tg.mount).mustEnd(t, clientTimeout)
		}},
		{"abort", func(t *testing.T, tg *target) {
			var st unix.Stat_t
			if err := unix.Stat(tg.mount, &st); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat("/sys/fs/fuse/connections"); err != nil {
				t.Fatal(err)
			}
			conn := fmt.Sprintf("/sys/fs/fuse/connections/%d", unix.Minor(st.Dev))
			if _, err := os.Stat(conn); err != nil {
				start(t, scratch, nil, "mount", "-t", "fusectl", "none", "/sys/fs/fuse/connections").mustEnd(t, clientTimeout)
			}
			if err := os.WriteFile(conn+"/abort", []byte("1"), 0o200); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tg := startTarget(t, targetOptions{reactors: 2, cache: "auto"})
			if err := os.WriteFile(filepath.Join(tg.mount, "f"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			tt.cut(t, tg)
			if tg.waitExit(300 * time.Millisecond) {
				if tg.err != nil {
					t.Errorf("spdk_tgt: %v\n%s", tg.err, tg.output())
				}
				return // having nothing left to serve is a reason to end
			}
			before, err1 := tg.cpuTime()
			time.Sleep(time.Second)
			after, err2 := tg.cpuTime()
			if err := errors.Join(err1, err2); err != nil && !tg.waitExit(0) {
				t.Fatal(err)
			} else if after-before > 200*time.Millisecond {
				t.Errorf("used %v of a second of CPU with nothing to serve", after-before)
			}
			if !tg.waitExit(0) {
				tg.stop(t)
			}
		})
	}
}

// TestTwoMounts serves two file systems at once and moves a tree from one to the other.
func TestTwoMounts(t *testing.T) {
	needMount(t)
	second := mountDir(t)
	tg := startTarget(t, targetOptions{reactors: 2, cache: "auto",
		extra: []string{"--memfs", "mem1", "--mount", "mem1=" + second}})
	t.Cleanup(func() { _ = unix.Unmount(second, unix.MNT_DETACH) })
	if !isMounted(second) {
		t.Fatalf("ready, but nothing is mounted on %s\n%s", second, tg.output())
	}
	src := filepath.Join(repoRoot, "test")
	start(t, tg.mount, nil, "cp", "-a", src, "tree").mustEnd(t, clientTimeout)
	start(t, tg.mount, nil, "mv", "tree", second).mustEnd(t, clientTimeout)
	start(t, second, nil, "diff", "-r", src, "tree").mustEnd(t, clientTimeout)
	wantEmpty(t, tg.mount)
	tg.stop(t)
	if isMounted(second) {
		t.Errorf("spdk_tgt ended and left %s mounted\n%s", second, tg.output())
	}
}

// TestIdleCPU measures what a mounted but idle file system costs.
func TestIdleCPU(t *testing.T) {
	needMount(t)
	const (
		span  = 5 * time.Second
		limit = 0.02 // of one core
	)
	for _, reactors := range reactorCounts() {
		t.Run(fmt.Sprintf("reactors=%d", reactors), func(t *testing.T) {
			tg := startTarget(t, targetOptions{reactors: reactors, cache: "auto", ring: reactors == 2})
			if err := os.WriteFile(filepath.Join(tg.mount, "f"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond) // let the work above settle
			before, err := tg.cpuTime()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(span)
			after, err := tg.cpuTime()
			if err != nil {
				t.Fatal(err)
			}
			used := float64(after-before) / float64(span)
			t.Logf("idle spdk_tgt with %d reactors uses %.2f %% of a core", reactors, 100*used)
			if used >= limit && !raceEnabled {
				t.Errorf("idle spdk_tgt uses %.2f %% of a core, more than %.0f %%", 100*used, 100*limit)
			}
			tg.stop(t)
		})
	}
}

// TestUsage wants wrong command lines to be answered with one clear line and exit code 2, and --help with success.
func TestUsage(t *testing.T) {
	bin, err := targetBinary()
	if err != nil {
		t.Fatal(err)
	}
	mnt := t.TempDir()
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"help", []string{"--help"}, 0},
		{"unknown flag", []string{"--bogus"}, 2},
		{"bad mask", []string{"--cpumask", "zebra"}, 2},
		{"empty mask", []string{"--cpumask", "0x0", "--memfs", "m", "--mount", "m=" + mnt}, 2},
		{"bad cache", []string{"--memfs", "m", "--mount", "m=" + mnt, "--cache", "sometimes"}, 2},
		{"bad mode", []string{"--memfs", "m", "--mount", "m=" + mnt, "--mode", "lazy"}, 2},
		{"mount without a target", []string{"--memfs", "m", "--mount", "m"}, 2},
		{"mount of an unknown fsdev", []string{"--memfs", "m", "--mount", "n=" + mnt}, 2},
		{"unknown memfs option", []string{"--memfs", "m,color=red", "--mount", "m=" + mnt}, 2},
		{"stray argument", []string{"--memfs", "m", "--mount", "m=" + mnt, "stray"}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := start(t, scratch, nil, bin, tt.args...)
			_ = j.waitError(t)
			code := j.cmd.ProcessState.ExitCode()
			out := strings.TrimSpace(j.out.String())
			if code != tt.code || tt.code == 2 && (out == "" || strings.Contains(out, "\n")) {
				t.Errorf("exit code %d, want %d; output:\n%s", code, tt.code, out)
			}
		})
	}
}
