package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// TestPosix runs go-fuse's conformance suite, all of it, on a mounted memfs and on a mounted directory of the host,
// with 1 and 2 reactors and all cache policies.
func TestPosix(t *testing.T) {
	needMount(t)
	for _, module := range []string{"memfs", "aio"} {
		for _, reactors := range []int{1, 2} {
			for _, cache := range []string{"none", "auto", "always"} {
				t.Run(fmt.Sprintf("%s/reactors=%d/cache=%s", module, reactors, cache), func(t *testing.T) {
					runSuite(t, startTarget(t, module, reactors, cache))
				})
			}
		}
	}
}

// TestPosixPlainDirectory runs the suite where no code of ours is involved: what fails here is the suite's fault.
func TestPosixPlainDirectory(t *testing.T) {
	runSuite(t, t.TempDir(), "OpenSymlinkRace") // it looks for files that a server has opened in a client's place
}

// notOnLinux are tests that fail in every directory of Linux, for which the suite itself leaves them out.
// FcntlFlockLocksFile wants two locks of one process to conflict, which POSIX says they never do.
var notOnLinux = []string{"FcntlFlockLocksFile"}

// runSuite gives each test of the suite a directory of its own.
func runSuite(t *testing.T, mount string, without ...string) {
	for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
		if slices.Contains(slices.Concat(notOnLinux, without), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(mount, name)
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			posixtest.All[name](t, dir)
		})
	}
}

// targetBinary builds spdk_tgt once. The environment variable SPDK_TGT names one that is built already.
var targetBinary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("SPDK_TGT"); bin != "" {
		return bin, nil
	}
	dir, err := os.MkdirTemp("", "spdkgo-peers-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "spdk_tgt")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./app/spdk_tgt")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build spdk_tgt: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := targetBinary(); err == nil && os.Getenv("SPDK_TGT") == "" {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// waitTimeout is how long spdk_tgt may take to start and to stop. It needs milliseconds.
const waitTimeout = 20 * time.Second

// startTarget has spdk_tgt mount a file system and returns where. The end of the test stops it and wants that to go
// well.
func startTarget(t *testing.T, module string, reactors int, cache string) string {
	t.Helper()
	bin, err := targetBinary()
	if err != nil {
		t.Fatal(err)
	}
	mount, export := t.TempDir(), t.TempDir()
	device := []string{"--memfs", "dev0"}
	if module == "aio" {
		device = []string{"--aio", "dev0:" + export + ",xattr,devices"}
	}
	mask := map[int]string{1: "0x1", 2: "0x3"}[reactors]
	args := append(device, "--mount", "dev0="+mount, "--cpumask", mask, "--cache", cache, "--disable-cpumask-locks")
	cmd := exec.Command(bin, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, exited := make(chan struct{}), make(chan error, 1)
	go func() {
		for sc := bufio.NewScanner(stdout); sc.Scan(); {
			if strings.TrimSpace(sc.Text()) == "spdk_tgt: ready" {
				close(ready)
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		exited <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("spdk_tgt: %v\n%s", err, stderr.String())
			}
		case <-time.After(waitTimeout):
			_ = cmd.Process.Kill()
			t.Errorf("spdk_tgt still runs %v after SIGTERM: %v", waitTimeout, <-exited)
		}
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("spdk_tgt ended and left %s mounted: %v", mount, err)
		}
	})
	select {
	case <-ready:
	case err := <-exited:
		exited <- err
		t.Fatalf("spdk_tgt ended before it was ready: %v\n%s", err, stderr.String())
	case <-time.After(waitTimeout):
		t.Fatalf("spdk_tgt did not say that it is ready within %v", waitTimeout)
	}
	return mount
}
