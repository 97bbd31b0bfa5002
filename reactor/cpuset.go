package reactor

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// MaxCPU is the number of CPUs that a [Cpuset] can name. SPDK: SPDK_CPUSET_SIZE
const MaxCPU = 1024

// Cpuset is a set of CPU numbers. The zero value is empty. It is a value: copy it freely,
// compare it with ==.
//
// SPDK: struct spdk_cpuset, spdk_cpuset_copy, spdk_cpuset_free
type Cpuset struct {
	words [MaxCPU / 64]uint64
}

// NewCpuset returns the set of the given CPUs. SPDK: spdk_cpuset_alloc, spdk_cpuset_set_cpu
func NewCpuset(cpus ...int) *Cpuset {
	s := &Cpuset{}
	for _, c := range cpus {
		s.Set(c, true)
	}
	return s
}

// Set adds or removes a CPU; numbers out of range panic. SPDK: spdk_cpuset_set_cpu
func (s *Cpuset) Set(cpu int, in bool) {
	if cpu < 0 || cpu >= MaxCPU {
		panic(fmt.Sprintf("reactor: CPU %d is not in 0..%d", cpu, MaxCPU-1))
	}
	if in {
		s.words[cpu/64] |= 1 << (cpu % 64)
	} else {
		s.words[cpu/64] &^= 1 << (cpu % 64)
	}
}

// Get reports whether the CPU is in the set. SPDK: spdk_cpuset_get_cpu
func (s *Cpuset) Get(cpu int) bool {
	return cpu >= 0 && cpu < MaxCPU && s.words[cpu/64]&(1<<(cpu%64)) != 0
}

// Count returns the number of CPUs in the set. SPDK: spdk_cpuset_count
func (s *Cpuset) Count() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// All iterates over the CPUs of the set in increasing order. A CPU that the loop removes
// before it is reached may still come.
//
// SPDK: spdk_cpuset_for_each_cpu
func (s *Cpuset) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// CPUs returns the CPUs of the set in increasing order. SPDK: spdk_cpuset_for_each_cpu
func (s *Cpuset) CPUs() []int { return slices.Collect(s.All()) }

// Equal reports whether both sets have the same CPUs; a nil set equals only another.
//
// SPDK: spdk_cpuset_equal
func (s *Cpuset) Equal(o *Cpuset) bool { return s == o || s != nil && o != nil && s.words == o.words }

// And keeps in s what o has too. SPDK: spdk_cpuset_and
func (s *Cpuset) And(o *Cpuset) {
	for i := range s.words {
		s.words[i] &= o.words[i]
	}
}

// Or adds to s what o has. SPDK: spdk_cpuset_or
func (s *Cpuset) Or(o *Cpuset) {
	for i := range s.words {
		s.words[i] |= o.words[i]
	}
}

// Xor leaves in s what exactly one of both has. SPDK: spdk_cpuset_xor
func (s *Cpuset) Xor(o *Cpuset) {
	for i := range s.words {
		s.words[i] ^= o.words[i]
	}
}

// Negate swaps the CPUs that are in s for those, up to [MaxCPU], that are not. SPDK: spdk_cpuset_negate
func (s *Cpuset) Negate() {
	for i := range s.words {
		s.words[i] = ^s.words[i]
	}
}

// Zero empties the set. SPDK: spdk_cpuset_zero
func (s *Cpuset) Zero() { *s = Cpuset{} }

// List returns the set as a list of ranges, "0-3,8", which in brackets is what
// [ParseCpuset] reads. SPDK: coremask_to_corelist
func (s *Cpuset) List() string {
	var b strings.Builder
	for cpu := range s.All() {
		if s.Get(cpu - 1) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpu))
		last := cpu
		for s.Get(last + 1) {
			last++
		}
		if last > cpu {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(last))
		}
	}
	return b.String()
}

// String returns the set as a hexadecimal mask without "0x". SPDK: spdk_cpuset_fmt
func (s *Cpuset) String() string {
	var b strings.Builder
	for i := len(s.words) - 1; i >= 0; i-- {
		switch {
		case b.Len() > 0:
			fmt.Fprintf(&b, "%016x", s.words[i])
		case s.words[i] != 0 || i == 0:
			fmt.Fprintf(&b, "%x", s.words[i])
		}
	}
	return b.String()
}

// ParseCpuset reads a hexadecimal mask ("0x3", "3", the kernel's "1,00000000") or a list in
// brackets ("[0,2-3]"). Blanks around it are ignored. A set without CPUs is an error here,
// which SPDK leaves to its callers, and so is what SPDK overlooks: text behind the closing
// bracket, and CPUs of a mask from [MaxCPU] on.
//
// SPDK: spdk_cpuset_parse
func ParseCpuset(text string) (*Cpuset, error) {
	s := &Cpuset{}
	var err error
	text = strings.Trim(text, " \t")
	if list, ok := strings.CutPrefix(text, "["); ok {
		err = s.parseList(list)
	} else {
		err = s.parseMask(text)
	}
	if err == nil && s.Count() == 0 {
		err = fmt.Errorf("it names no CPU")
	}
	if err != nil {
		return nil, fmt.Errorf("CPU mask %q: %w (want a hex mask like 0x3 or a list like [0,2-3])", text, err)
	}
	return s, nil
}

func (s *Cpuset) parseMask(text string) error {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	digits = strings.ReplaceAll(digits, ",", "")
	if digits == "" {
		return fmt.Errorf("it is empty")
	}
	for i := range len(digits) {
		d, err := strconv.ParseUint(digits[len(digits)-1-i:len(digits)-i], 16, 4)
		if err != nil {
			return fmt.Errorf("%q is not a hex digit", digits[len(digits)-1-i])
		}
		if d != 0 && i*4+bits.Len64(d) > MaxCPU {
			return fmt.Errorf("CPUs end at %d", MaxCPU-1)
		}
		if d != 0 {
			s.words[i/16] |= d << (i % 16 * 4)
		}
	}
	return nil
}

func (s *Cpuset) parseList(list string) error {
	list, ok := strings.CutSuffix(list, "]")
	if !ok {
		return fmt.Errorf("the closing bracket is missing")
	}
	for item := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
		lo, err := strconv.ParseUint(strings.TrimSpace(first), 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a CPU number", first)
		}
		hi := lo
		if isRange {
			if hi, err = strconv.ParseUint(strings.TrimSpace(last), 10, 32); err != nil {
				return fmt.Errorf("%q is not a CPU number", last)
			}
		}
		if lo > hi {
			return fmt.Errorf("range %q runs backwards", item)
		}
		if hi >= MaxCPU {
			return fmt.Errorf("CPUs end at %d", MaxCPU-1)
		}
		for c := lo; c <= hi; c++ {
			s.Set(int(c), true)
		}
	}
	return nil
}
