package app_test

import (
	"strings"
	"testing"

	"github.com/spdk-go/spdk-go/app/appflags"
)

// ownFlags are an application's: -z, and --test-long-opt.
func ownFlags() *appflags.FlagSet {
	fs := appflags.NewFlagSet()
	fs.BoolP("own", "z", false, "")
	fs.Bool("test-long-opt", false, "")
	return fs
}

func TestSpdkAppParseArgs(t *testing.T) {
	clash, longClash := ownFlags(), ownFlags()
	clash.BoolP("other", "c", false, "")
	longClash.String("json", "", "")
	for _, test := range []struct {
		name string
		args string
		own  *appflags.FlagSet
		want string // part of the error; "": there is none
	}{
		{"common options", "--wait-for-rpc -d -p 0", nil, ""},
		{"a value is missing", "-d -p", nil, "flag needs an argument: 'p'"},
		{"an option for a value", "-d -p --silence-noticelog", nil, `"--silence-noticelog" is not a number`},
		{"an unknown option", "--silence-noticelog -y", ownFlags(), "unknown shorthand flag: 'y'"},
		{"an option of the application", "-z", ownFlags(), ""},
		{"a long one", "--wait-for-rpc --test-long-opt", ownFlags(), ""},
		{"a letter that is taken", "", clash, "the flag -c is every application's"},
		{"a name that is taken", "", longClash, "the flag --json is every application's"},
		{"both names of the configuration", "-c x.json --json y.json", nil, ""},
		{"mask and lcores", "-m 0x1 --lcores 0", nil, "--cpumask and --lcores"},
		{"an empty mask", "-m 0x0", nil, `"0x0"`},
		{"no mask", "-m x", nil, `"x"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, _, err := appflags.Parse("app_ut", strings.Fields(test.args), test.own)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case strings.Contains(test.args, "y.json") && o.ConfigFile != "y.json":
				t.Errorf("the configuration is %q, want the last that was given", o.ConfigFile)
			}
		})
	}
}
