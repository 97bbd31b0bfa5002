package env_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

// TestCoremaskToCorelist has no NULL mask, which Go does not let in.
func TestCoremaskToCorelist(t *testing.T) {
	for _, tc := range []struct{ mask, list string }{
		{"0x1", "0"},
		{"0xF", "0-3"},
		{"0xF0", "4-7"},
		{"0x15", "0,2,4"},
		{"0xFF00", "8-15"},
		{"0xFF0F", "0-3,8-15"},
		{"0x3", "0-1"},
	} {
		s, err := reactor.ParseCpuset(tc.mask)
		if err != nil {
			t.Error(err)
		} else if s.List() != tc.list {
			t.Errorf("%s is %s, want %s", tc.mask, s.List(), tc.list)
		}
	}
	for _, mask := range []string{"", "xyz", "0x0"} {
		if s, err := reactor.ParseCpuset(mask); err == nil {
			t.Errorf("%q is taken for %s", mask, s.List())
		}
	}
}
