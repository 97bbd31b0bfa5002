// Command demo shows the whole stack at work: it starts spdk_tgt with a memory file system
// mounted on a fresh directory, uses that through the kernel, checks what it reads back,
// and prints what the reactors did.
//
// Where there is no /dev/fuse, or no right to mount, it says so and runs the same workload
// through the loopback transport, in its own process. The exit code is 0 only if everything
// read back was right.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// watchdog ends a demo that hangs: a hung file system would let it wait without end.
const watchdog = 2 * time.Minute

// errNoMount says why there can be no mount here.
var errNoMount = errors.New("cannot mount")

func main() {
	tgt := flag.String("tgt", "", "the spdk_tgt program to start (default: the one beside this program, or a fresh build)")
	size := flag.Int("size", 64, "MiB to copy")
	loop := flag.Bool("loopback", false, "do not mount; use the loopback transport")
	flag.Parse()
	// The target is told to stop when the OS thread that started it ends.
	runtime.LockOSThread()

	mask, err := demoCPUs()
	if err != nil {
		fail(err)
	}
	err = errNoMount
	if !*loop {
		if err = runKernel(*tgt, mask, *size<<20); errors.Is(err, errNoMount) {
			fmt.Printf("%v: running the workload through the loopback transport instead\n", err)
		}
	}
	if errors.Is(err, errNoMount) {
		err = runLoopback(mask, *size<<20)
	}
	if err != nil {
		fail(err)
	}
	fmt.Println("demo: ok")
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "demo: FAILED: %v\n", err)
	os.Exit(1)
}

// demoCPUs takes two CPUs if there are as many.
func demoCPUs() (*reactor.Cpuset, error) {
	allowed, err := app.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	cpus := allowed.CPUs()
	return reactor.NewCpuset(cpus[:min(2, len(cpus))]...), nil
}
