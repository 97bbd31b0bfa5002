package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// peer is a program that measures SPDK's C code. It takes the flags -runs, -mintime, -run and
// -cpus, and prints an object {name: ns per operation}.
type peer struct {
	program string
	minTime time.Duration
	cpus    []int
}

// measure runs a benchmark of the peer once, on the CPUs that our reactors have.
func (p *peer) measure(name string) (ns float64, err error) {
	cpus := make([]string, len(p.cpus))
	for i, cpu := range p.cpus {
		cpus[i] = fmt.Sprint(cpu)
	}
	cmd := exec.Command(p.program, "-runs", "1", "-mintime", fmt.Sprintf("%dus", p.minTime.Microseconds()),
		"-run", "^"+name+"$", "-cpus", strings.Join(cpus, ","))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w (what it says is above)", strings.Join(cmd.Args, " "), err)
	}
	var figures map[string]float64
	if err := json.Unmarshal(out, &figures); err != nil {
		return 0, fmt.Errorf("%s: printed no object of figures: %w", strings.Join(cmd.Args, " "), err)
	}
	ns = figures[name]
	if ns <= 0 {
		return 0, fmt.Errorf("%s: no figure for %s", strings.Join(cmd.Args, " "), name)
	}
	return ns, nil
}

// measureWith measures the benchmark, and the peer's next to it if there is one: a machine's
// speed changes between phases, and only two runs of one phase can be compared. Who comes first
// alternates.
func (s *series) measureWith(p *peer, minTime time.Duration, round int) error {
	if p == nil {
		s.measure(minTime)
		return nil
	}
	if round%2 == 0 {
		s.measure(minTime)
	}
	ns, err := p.measure(s.name)
	if err != nil {
		return err
	}
	s.peerNs = append(s.peerNs, ns)
	if round%2 != 0 {
		s.measure(minTime)
	}
	return nil
}

// ratios are our times over the peer's, round by round.
func (s *series) ratios() []float64 {
	r := make([]float64, len(s.peerNs))
	for i := range r {
		r[i] = s.ns[i] / s.peerNs[i]
	}
	return r
}

func printPeerTable(list []*series) {
	fmt.Printf("%-26s %9s %9s %9s %9s %7s %15s %10s\n", "", "ns/op", "best", "SPDK C", "best", "ratio", "quartiles",
		"allocs/op")
	for _, s := range list {
		f, r := s.figure(), slices.Sorted(slices.Values(s.ratios()))
		fmt.Printf("%-26s %9.1f %9.1f %9.1f %9.1f %6.2fx %7.2f-%6.2fx %10d\n",
			s.name, f.NsPerOp, slices.Min(s.ns), f.SpdkNsPerOp, slices.Min(s.peerNs), median(r),
			r[len(r)/4], r[len(r)-1-len(r)/4], f.AllocsPerOp)
	}
	fmt.Printf("\nratio: our time over that of SPDK's C code in the same round; median and quartiles of the rounds\n")
}
