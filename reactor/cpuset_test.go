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
		{text: " 1"},
		{text: "1 "},
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
		{text: "[0] "},
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

func TestCpusetRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		var s reactor.Cpuset
		for range 1 + rng.IntN(20) {
			s.Set(rng.IntN(reactor.MaxCPU), true)
		}
		back, err := reactor.ParseCpuset(s.String())
		if err != nil {
			t.Fatal(err)
		}
		if *back != s {
			t.Fatalf("%v came back as %v", s.CPUs(), back.CPUs())
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
