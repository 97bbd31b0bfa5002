package cpuset_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
)

const last = reactor.MaxCPU - 1

// span is a range of CPUs, both ends included.
type span struct{ first, last int }

// has checks that a set consists of these spans exactly.
func has(t *testing.T, what string, s *reactor.Cpuset, spans ...span) {
	t.Helper()
	n := 0
	for cpu := range reactor.MaxCPU {
		in := false
		for _, sp := range spans {
			in = in || cpu >= sp.first && cpu <= sp.last
		}
		if in {
			n++
		}
		if s.Get(cpu) != in {
			t.Fatalf("%s: CPU %d in the set: %v", what, cpu, s.Get(cpu))
		}
	}
	if s.Count() != n {
		t.Errorf("%s: the set counts %d CPUs, want %d", what, s.Count(), n)
	}
}

func TestCpuset(t *testing.T) {
	s := reactor.NewCpuset()
	has(t, "new", s)
	s.Set(0, true)
	has(t, "first", s, span{0, 0})
	s.Set(last, true)
	has(t, "first and last", s, span{0, 0}, span{last, last})
	s.Set(0, false)
	has(t, "last", s, span{last, last})
	s.Set(last/2, true)
	has(t, "middle and last", s, span{last / 2, last / 2}, span{last, last})
	for cpu := range reactor.MaxCPU {
		s.Set(cpu, true)
	}
	has(t, "all", s, span{0, last})
	s.Zero()
	has(t, "none", s)
}

// TestCpusetParse has no NULL parameters, which Go does not let in.
func TestCpusetParse(t *testing.T) {
	for _, tc := range []struct {
		text  string
		spans []span
	}{
		{"0x1", []span{{0, 0}}},
		{"[1]", []span{{1, 1}}},
		{"[0-10,12,128-254]", []span{{0, 10}, {12, 12}, {128, 254}}},
		{fmt.Sprintf("[0-%d]", last), []span{{0, last}}},
		{"0xF0000000000000000000000000000000000000000F0", []span{{4, 7}, {168, 171}}},
		// commas as in sysfs, and anywhere else
		{"FF,FF0000FF,00000000", []span{{32, 39}, {56, 71}}},
		{",,,,,000,,1,0,0,,,,", []span{{8, 8}}},
	} {
		s, err := reactor.ParseCpuset(tc.text)
		if err != nil {
			t.Error(err)
			continue
		}
		has(t, tc.text, s, tc.spans...)
	}
	for _, text := range []string{
		"", "[", "[]", "[10--11]", "[11-10]", "[10-11,]", "[,10-11]",
		fmt.Sprintf("[%d]", reactor.MaxCPU+1),
		"[9223372036854775809]",
		"[184467440737095516150]",
	} {
		if s, err := reactor.ParseCpuset(text); err == nil {
			t.Errorf("%q is taken for %s", text, s)
		}
	}
}

func TestCpusetFmt(t *testing.T) {
	s := reactor.NewCpuset()
	if s.String() != "0" {
		t.Errorf("the empty set is %q", s)
	}
	s = reactor.NewCpuset(2, 4, 5, 9, 12, 16, 18)
	if s.String() != "51234" {
		t.Errorf("got %q, want 51234", s)
	}
	for cpu := range reactor.MaxCPU {
		s.Set(cpu, true)
	}
	if want := strings.Repeat("f", reactor.MaxCPU/4); s.String() != want {
		t.Errorf("all CPUs are %q", s)
	}
	has(t, "formatting changes nothing", s, span{0, last})
}

func TestCpusetForeach(t *testing.T) {
	const mask = 0xF135704
	s, err := reactor.ParseCpuset(fmt.Sprintf("%#x", mask))
	if err != nil {
		t.Fatal(err)
	}
	var seen uint64
	for cpu := range s.All() {
		seen |= 1 << cpu
	}
	if seen != mask {
		t.Error(cmp.Diff(uint64(mask), seen))
	}
}
