package ebpf_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// thiefEnv makes the test binary be a process that takes the CPU which it says.
	thiefEnv   = "SPDK_EBPF_TEST_THIEF"
	thiefComm  = "cpu_thief"
	thiefSpins = 300 * time.Millisecond
	thefts     = 3 // others may take the CPU before and after, on a busy machine
)

// thief takes a CPU whenever it is told to, with a priority that keeps others out of the way, and says for how long it
// ran, by the kernel's account.
func thief(cpu string) int {
	runtime.LockOSThread()
	n, err := strconv.Atoi(cpu)
	if err != nil {
		return 1
	}
	var set unix.CPUSet
	set.Set(n)
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	err = errors.Join(
		unix.SchedSetaffinity(0, &set),
		unix.SchedSetAttr(0, &attr, 0),
		os.WriteFile("/proc/self/comm", []byte(thiefComm), 0), // the name of its first thread, and so of the process
	)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	for {
		var cue [1]byte
		// Not by package os, whose waiting would be done by another thread.
		if n, err := unix.Read(0, cue[:]); err != nil || n == 0 {
			return 0
		}
		before := ranFor()
		for end := time.Now().Add(thiefSpins); time.Now().Before(end); {
		}
		fmt.Println(ranFor() - before)
	}
}

// ranFor returns for how many ns the calling thread has had a CPU.
func ranFor() uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", unix.Gettid()))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	return n
}

// TestTakenCPU has a process take the CPU of a reactor that spins, and finds it named, with nine tenths of what was
// taken and with what the kernel says that it ran.
func TestTakenCPU(t *testing.T) {
	allowed, err := app.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	cpu := slices.Max(allowed.CPUs())
	a := startApp(t, app.Options{CPUMask: reactor.NewCpuset(cpu), Mode: reactor.ModePoll})
	m := start(t, a)

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", thiefEnv, cpu))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		skip(t, noRealTime, errors.New(lines.Text()))
	}
	pid := uint32(cmd.Process.Pid)
	for try := range thefts {
		before := m.Stats().Reactors[0]
		if _, err := in.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		lines.Scan()
		ran, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		after := m.Stats().Reactors[0]
		for after.State == ebpf.Preempted || after.State == ebpf.Woken { // what is not over is in no sum
			time.Sleep(time.Millisecond)
			after = m.Stats().Reactors[0]
		}
		stolen := stolenFrom(&after) - stolenFrom(&before)
		taken := takenBy(&after, pid) - takenBy(&before, pid)
		t.Logf("the thief (%d) ran for %v, is charged with %v, of %v in all: %+v", pid, time.Duration(ran),
			time.Duration(taken), time.Duration(stolen), after.Takers)
		if after.Core != cpu || after.Takers[0].Comm != thiefComm || after.Takers[0].PID != pid {
			t.Fatalf("CPU %d was taken by %+v first, want %s (%d) on %d", after.Core, after.Takers[0], thiefComm, pid, cpu)
		}
		if taken < ran*95/100 || taken > ran*105/100 {
			t.Fatalf("the thief is charged with %v, and ran for %v", time.Duration(taken), time.Duration(ran))
		}
		if taken >= stolen*9/10 {
			return
		}
		t.Logf("try %d: others take much of this CPU, too", try)
	}
	t.Error("less than nine tenths of what was taken are the thief's")
}

// stolenFrom returns how long a reactor was without the CPU that it wanted, ns.
func stolenFrom(r *ebpf.Reactor) uint64 { return r.Preempted.Sum + r.Runqueue.Sum }

// takenBy returns how long a process ran meanwhile.
func takenBy(r *ebpf.Reactor, pid uint32) uint64 {
	for _, t := range r.Takers {
		if t.PID == pid {
			return t.NS
		}
	}
	return 0
}
