package app_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// resources is what the process has of the kernel's, and of goroutines.
type resources struct{ Files, Threads, Mappings, Goroutines int }

func countResources(t *testing.T) (r resources) {
	t.Helper()
	entries := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return resources{entries("/proc/self/fd"), entries("/proc/self/task"), bytes.Count(maps, []byte{'\n'}),
		runtime.NumGoroutine()}
}

// grown returns what is more than before by the slack.
func (r resources) grown(before, slack resources) (more resources) {
	over := func(now, then, slack int) int { return max(0, now-then-slack) }
	return resources{over(r.Files, before.Files, slack.Files), over(r.Threads, before.Threads, slack.Threads),
		over(r.Mappings, before.Mappings, slack.Mappings), over(r.Goroutines, before.Goroutines, slack.Goroutines)}
}

// TestCyclesLeaveNothing starts and stops applications a hundred times in one process, with devices from a
// configuration and a client, and compares what the process has then with what it had after the first ones.
func TestCyclesLeaveNothing(t *testing.T) {
	cycles := 100
	if testing.Short() {
		cycles = 20
	}
	config := fmt.Sprintf(`{"subsystems":[
		{"subsystem":"iobuf","config":[
			{"method":"iobuf_set_options","params":{"small_pool_count":256,"large_pool_count":16}}]},
		{"subsystem":"fsdev","config":[
			{"method":"fsdev_set_opts","params":{"fsdev_io_pool_size":1024,"fsdev_io_cache_size":32}},
			{"method":"fsdev_memfs_create","params":{"name":"m0","size":1048576,"inodes":64}},
			{"method":"fsdev_null_create","params":{"name":"n0"}},
			{"method":"fsdev_aio_create","params":{"name":"a0","root_path":%q,"workers":1}}]}]}`, t.TempDir())
	cycle := func(i int) {
		o := options()
		if i%2 == 0 { // a pinned reactor has a thread of its own
			o.NoPin, o.CPUMask, o.DisableCPUMaskLocks = false, nil, true
		}
		o.Config = []byte(config)
		r := launch(t, o)
		r.call("fsdev_get_iostat", nil)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.c.Close()
	}
	for i := range 6 {
		cycle(i)
	}
	before := countResources(t)
	for i := range cycles {
		cycle(i)
	}
	// The run-time keeps a few threads, and maps its heap as it likes; a leak is there a hundred times.
	slack := resources{Threads: cycles / 2, Mappings: cycles / 2}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		more := countResources(t).grown(before, slack)
		if more == (resources{}) {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("left: %+v", more)
			break
		}
	}
	t.Logf("before and after %d cycles: %s", cycles, cmp.Diff(before, countResources(t)))
}
