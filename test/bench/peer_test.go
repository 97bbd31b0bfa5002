package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakePeer is a program that prints what is given, and stores its arguments in a file.
func fakePeer(t *testing.T, output string) (p *peer, args func() string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "peer")
	script := "#!/bin/sh\necho \"$@\" > " + dir + "/args\n" + output + "\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &peer{program: program, minTime: 3 * time.Millisecond, cpus: []int{4, 7}}, func() string {
		text, err := os.ReadFile(filepath.Join(dir, "args"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
}

// TestPeerIsAskedForOneRunOnOurCPUs pins the command line that the peer has to understand.
func TestPeerIsAskedForOneRunOnOurCPUs(t *testing.T) {
	p, args := fakePeer(t, `echo '{"msg_self": 12.5}'`)
	ns, err := p.measure("msg_self")
	if err != nil || ns != 12.5 {
		t.Errorf("measure = %v, %v, want 12.5", ns, err)
	}
	if got, want := args(), "-runs 1 -mintime 3000us -run ^msg_self$ -cpus 4,7"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
}

func TestPeerWithoutFigure(t *testing.T) {
	for _, test := range []struct{ name, output, want string }{
		{"fails", "exit 3", "exit status 3"},
		{"prints something else", "echo hello", "no object of figures"},
		{"does not know the benchmark", "echo '{}'", "no figure for msg_self"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := fakePeer(t, test.output)
			if _, err := p.measure("msg_self"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestRatioIsThatOfRounds: the median of the ratios, not the ratio of the medians.
func TestRatioIsThatOfRounds(t *testing.T) {
	s := series{ns: []float64{10, 20, 90}, allocs: []float64{0, 0, 0}, peerNs: []float64{20, 10, 30}}
	if f := s.figure(); f.SpdkNsPerOp != 20 || f.SpdkRatio != 2 {
		t.Errorf("%v ns, ratio %v; want 20 ns, 2", f.SpdkNsPerOp, f.SpdkRatio)
	}
}
