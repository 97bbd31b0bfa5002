package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the name of every directory in which these tests mount. The process that did follows.
const scratchPrefix = "spdkgo-it-"

// helperEnv names the helper that a re-executed test binary runs instead of the tests. Clients of a mount are
// processes of their own, so that one that hangs can be seen and dealt with from outside.
const helperEnv = "SPDKGO_IT_HELPER"

// helpers are filled by the files that define them.
var helpers = map[string]func(args []string) error{}

// repoRoot is the repository that is tested; scratch is removed at the end; tmpfs is a directory on a tmpfs.
var repoRoot, scratch, tmpfs string

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		if err := helpers[name](os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	detachDeadMounts()
	var err error
	if repoRoot, err = filepath.Abs("../.."); err == nil {
		scratch, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", scratchPrefix, os.Getpid()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		for _, mnt := range mountpointsBelow(scratch) {
			_ = unix.Unmount(mnt, unix.MNT_DETACH)
		}
		_ = os.RemoveAll(scratch)
	}()
	if err := mountTmpfs(); err != nil {
		tmpfs = "/dev/shm" // the next best: others use it too
	}
	return m.Run()
}

// targetBinary builds spdk_tgt once and returns its path. Under the race detector it builds it with the race detector.
// The environment variable SPDK_TGT names one that is built already.
var targetBinary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("SPDK_TGT"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(scratch, "spdk_tgt")
	args := []string{"build", "-buildvcs=false", "-o", bin}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./app/spdk_tgt")...)
	cmd.Dir = repoRoot
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build spdk_tgt: %w\n%s", err, out)
	}
	return bin, nil
})

// mountpointsBelow returns what is mounted below dir, the youngest first.
func mountpointsBelow(dir string) []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var found []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found
}

// isMounted says whether something is mounted on exactly dir.
func isMounted(dir string) bool {
	for _, mnt := range mountpointsBelow(filepath.Dir(dir)) {
		if mnt == dir {
			return true
		}
	}
	return false
}

// detachDeadMounts removes what earlier runs that were killed have left mounted.
func detachDeadMounts() {
	for _, mnt := range mountpointsBelow("") {
		_, rest, ok := strings.Cut(mnt, "/"+scratchPrefix)
		if !ok {
			continue
		}
		owner, _, _ := strings.Cut(rest, "-")
		if _, err := os.Stat("/proc/" + owner); os.IsNotExist(err) {
			_ = unix.Unmount(mnt, unix.MNT_DETACH)
		}
	}
}

// mountTmpfs mounts a tmpfs of our own, which nobody else fills up or counts files on.
func mountTmpfs() error {
	tmpfs = filepath.Join(scratch, "tmpfs")
	if err := os.Mkdir(tmpfs, 0o755); err != nil {
		return err
	}
	return unix.Mount("tmpfs", tmpfs, "tmpfs", 0, "size=4g")
}
