package cli

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

func program() (p *Program, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	return New("prog", "Do it.", out, errs), out, errs
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args string
		cpus string
		time time.Duration
	}{
		{"-t 5", "", 5 * time.Second},
		{"-m 0x3 -t 5", "3", 5 * time.Second},
		{"-m0x3 -t5", "3", 5 * time.Second},
		{"-m [0,2-3] -t 0.25", "d", 250 * time.Millisecond},
		{"--cpumask=1 --time=.001", "1", time.Millisecond},
	} {
		p, _, errs := program()
		if code, ok := p.Parse(strings.Fields(test.args), nil); code != ExitOK || !ok {
			t.Errorf("%s: exit code %d: %s", test.args, code, errs)
			continue
		}
		cpus := ""
		if p.CPUMask != nil {
			cpus = p.CPUMask.String()
		}
		if p.Time != test.time || cpus != test.cpus {
			t.Errorf("%s: time %v, CPUs %q", test.args, p.Time, cpus)
		}
	}
	for _, args := range []string{"", "-t", "-t 0", "-t -1", "-t 5s", "-t 1 -m 0xg", "-t 1 x", "-t 1 -z"} {
		p, out, errs := program()
		if code, ok := p.Parse(strings.Fields(args), nil); code != ExitUsage || ok || out.Len() > 0 ||
			strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, output %q, errors %q", args, code, out, errs)
		}
	}
	p, out, _ := program()
	if code, ok := p.Parse([]string{"-h"}, nil); code != ExitOK || ok || !strings.HasPrefix(out.String(), "Usage: prog") {
		t.Errorf("-h: exit code %d, output %q", code, out)
	}
}

func TestRunEndsWithTheTime(t *testing.T) {
	p, _, errs := program()
	p.Time = 10 * time.Millisecond
	begun, ended := 0, 0
	r := p.Run(Test{
		Begin: func(*reactor.Thread, *app.App) { begun++ },
		End:   func(*reactor.Thread) { ended++ },
	})
	if r.Code != ExitOK || begun != 1 || ended != 1 || r.Aborted || r.Took < p.Time {
		t.Errorf("%+v, begun %d times, ended %d times: %s", r, begun, ended, errs)
	}
}

func TestRunEndsWithASignal(t *testing.T) {
	p, _, errs := program()
	p.Time = time.Hour
	ended := 0
	r := p.Run(Test{
		Begin: func(*reactor.Thread, *app.App) {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
		},
		End: func(*reactor.Thread) { ended++ },
	})
	if r.Code != ExitOK || ended != 1 || !r.Aborted {
		t.Errorf("%+v, ended %d times: %s", r, ended, errs)
	}
}

func TestRunSaysWhyItCannot(t *testing.T) {
	p, _, errs := program()
	p.Time, p.CPUMask = time.Second, reactor.NewCpuset(reactor.MaxCPU-1)
	if r := p.Run(Test{}); r.Code != ExitFailed || !strings.Contains(errs.String(), "cannot be used here") {
		t.Errorf("%+v: %s", r, errs)
	}
}
