package reactor_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
)

func TestParseCpuset(t *testing.T) {
	for _, tc := range []struct {
		text string
		cpus []int // nil: malformed
		mask string
	}{
		{"0x1", []int{0}, "1"},
		{"0X1", []int{0}, "1"},
		{"3", []int{0, 1}, "3"},
		{"ff", []int{0, 1, 2, 3, 4, 5, 6, 7}, "ff"},
		{"0xF0", []int{4, 5, 6, 7}, "f0"},
		{"0x10000000000000000", []int{64}, "10000000000000000"},
		{"00000000000000000000000000001", []int{0}, "1"},
		{"8000000000000001", []int{0, 63}, "8000000000000001"},
		{"1,00000000", []int{32}, "100000000"}, // the kernel's format
		{"1" + strings.Repeat("0", 255), []int{1020}, "1" + strings.Repeat("0", 255)},
		{"8" + strings.Repeat("0", 255), []int{1023}, "8" + strings.Repeat("0", 255)},
		{"0" + strings.Repeat("0", 255) + "1", []int{0}, "1"},
		{"[0]", []int{0}, "1"},
		{"[0,2-3]", []int{0, 2, 3}, "d"},
		{"[ 0 , 2 - 3 ]", []int{0, 2, 3}, "d"},
		{" \t[0] \t", []int{0}, "1"},
		{" 0x1 ", []int{0}, "1"},
		{"[3,1,3]", []int{1, 3}, "a"},
		{"[5-5]", []int{5}, "20"},
		{"[63-64]", []int{63, 64}, "18000000000000000"},
		{"[1023]", []int{1023}, "8" + strings.Repeat("0", 255)},
		{text: ""},
		{text: "0x"},
		{text: "0"},
		{text: "0x0"},
		{text: ","},
		{text: "0xg"},
		{text: "x1"},
		{text: "-1"},
		{text: "+1"},
		{text: "0x+1"},
		{text: "1 1"},
		{text: "1\n"},
		{text: "0x0x1"},
		{text: "1_0"},
		{text: "1" + strings.Repeat("0", 256)},
		{text: "[]"},
		{text: "["},
		{text: "[0"},
		{text: "[0]]"},
		{text: "0]"},
		{text: "[[0]"},
		{text: "[0,]"},
		{text: "[,0]"},
		{text: "[0,,1]"},
		{text: "[1-]"},
		{text: "[-1]"},
		{text: "[1-2-3]"},
		{text: "[3-2]"},
		{text: "[+1]"},
		{text: "[0x1]"},
		{text: "[1024]"},
		{text: "[0-1024]"},
		{text: "[4294967296]"},
		{text: "[18446744073709551616]"},
		{text: "[1 2]"},
		{text: "[a]"},
		{text: "[0] 1"},
		{text: " "},
	} {
		s, err := reactor.ParseCpuset(tc.text)
		if tc.cpus == nil {
			if err == nil {
				t.Errorf("%q: got %v, want an error", tc.text, s.CPUs())
			} else if !strings.Contains(err.Error(), "CPU mask") {
				t.Errorf("%q: error %q", tc.text, err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(tc.cpus, s.CPUs()); diff != "" {
			t.Errorf("%q: %s", tc.text, diff)
		}
		if s.Count() != len(tc.cpus) || s.String() != tc.mask {
			t.Errorf("%q: %d CPUs, mask %s, want %d, %s", tc.text, s.Count(), s, len(tc.cpus), tc.mask)
		}
	}
}

func TestCpusetSetAndGet(t *testing.T) {
	s := reactor.NewCpuset(0, 63, 64, 1023)
	for cpu := -2; cpu < 1030; cpu++ {
		if want := cpu == 0 || cpu == 63 || cpu == 64 || cpu == 1023; s.Get(cpu) != want {
			t.Errorf("CPU %d: %v", cpu, s.Get(cpu))
		}
	}
	s.Set(63, false)
	s.Set(63, false)
	copied := *s
	s.Set(64, false)
	if diff := cmp.Diff([]int{0, 64, 1023}, copied.CPUs()); diff != "" {
		t.Error(diff)
	}
	var empty reactor.Cpuset
	if empty.Count() != 0 || empty.CPUs() != nil || empty.String() != "0" {
		t.Errorf("empty set: %d, %v, %s", empty.Count(), empty.CPUs(), &empty)
	}
	for _, cpu := range []int{-1, reactor.MaxCPU} {
		if !panics(func() { s.Set(cpu, true) }) {
			t.Errorf("CPU %d was taken", cpu)
		}
	}
}

func TestCpusetAlgebra(t *testing.T) {
	const last = reactor.MaxCPU - 1
	a, b := reactor.NewCpuset(0, 1, 64, last), reactor.NewCpuset(1, 2, 64, 200)
	for _, tc := range []struct {
		name string
		op   func(s *reactor.Cpuset)
		list string
	}{
		{"And", func(s *reactor.Cpuset) { s.And(b) }, "1,64"},
		{"Or", func(s *reactor.Cpuset) { s.Or(b) }, "0-2,64,200,1023"},
		{"Xor", func(s *reactor.Cpuset) { s.Xor(b) }, "0,2,200,1023"},
		{"And itself", func(s *reactor.Cpuset) { s.And(s) }, "0-1,64,1023"},
		{"Xor itself", func(s *reactor.Cpuset) { s.Xor(s) }, ""},
		{"Zero", (*reactor.Cpuset).Zero, ""},
		{"Negate", (*reactor.Cpuset).Negate, "2-63,65-1022"},
		{"Negate nothing", func(s *reactor.Cpuset) { s.Zero(); s.Negate() }, "0-1023"},
	} {
		s := *a
		tc.op(&s)
		if s.List() != tc.list {
			t.Errorf("%s: %s, want %s", tc.name, s.List(), tc.list)
		}
		if s.Equal(a) != (tc.list == a.List()) || !s.Equal(&s) {
			t.Errorf("%s: Equal is wrong", tc.name)
		}
	}
	if a.List() != "0-1,64,1023" || b.List() != "1-2,64,200" {
		t.Errorf("the sets became %s and %s", a.List(), b.List())
	}
}

func TestCpusetAllStops(t *testing.T) {
	var seen []int
	for cpu := range reactor.NewCpuset(1, 63, 64, 500).All() {
		if seen = append(seen, cpu); cpu == 64 {
			break
		}
	}
	if diff := cmp.Diff([]int{1, 63, 64}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestCpusetRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		var s reactor.Cpuset
		for range 1 + rng.IntN(20) {
			s.Set(rng.IntN(reactor.MaxCPU), true)
		}
		for _, text := range []string{s.String(), "[" + s.List() + "]"} {
			back, err := reactor.ParseCpuset(text)
			if err != nil {
				t.Fatal(err)
			}
			if *back != s {
				t.Fatalf("%v came back as %v from %q", s.CPUs(), back.CPUs(), text)
			}
		}
	}
}

func FuzzParseCpuset(f *testing.F) {
	for _, text := range []string{"0x3", "[0,2-3]", "[", "1,0", "[0-1023]", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := reactor.ParseCpuset(text)
		if err != nil {
			return
		}
		if s.Count() == 0 {
			t.Errorf("%q gave an empty set", text)
		}
		if back, err := reactor.ParseCpuset(s.String()); err != nil || *back != *s {
			t.Errorf("%q: %v does not come back: %v", text, s, err)
		}
	})
}
