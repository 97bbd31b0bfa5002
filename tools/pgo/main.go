// Command pgo merges CPU profiles into one for the compiler's -pgo, which wants to know who calls whom and how often:
// where files and programs were on the machine that ran is left out.
package main

import (
	"flag"
	"fmt"
	"os"
	"path"

	"github.com/google/pprof/profile"
)

func main() {
	out := flag.String("o", "default.pgo", "file to write")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(1)
	}
}

func run(out string, in []string) error {
	var profiles []*profile.Profile
	for _, name := range in {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		p, err := profile.Parse(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		strip(p)
		profiles = append(profiles, p)
	}
	merged, err := profile.Merge(profiles)
	if err != nil {
		return err
	}
	merged.TimeNanos, merged.DurationNanos = 0, 0
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := merged.Write(f); err != nil {
		return err
	}
	return f.Close()
}

// strip leaves of places the names of packages and files, and nothing of programs.
func strip(p *profile.Profile) {
	for _, f := range p.Function {
		f.Filename = path.Base(f.Filename)
	}
	for _, m := range p.Mapping {
		m.File, m.BuildID = "", ""
	}
}
