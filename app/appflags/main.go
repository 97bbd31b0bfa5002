package appflags

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
)

// columns is the narrowest terminal that --help should look well on.
const columns = 80

// FlagSet is a set of flags. It is the one of github.com/spf13/pflag, for those who do not import that.
type FlagSet = pflag.FlagSet

// NewFlagSet returns a set for flags of an application's own.
func NewFlagSet() *FlagSet { return pflag.NewFlagSet("", pflag.ContinueOnError) }

// Parse returns the options that a command line gives an application of that name; args do not have the program's own
// name. own are flags of the application's, nil if it has none: one that has a name, or a letter, of the others is an
// error. pflag.ErrHelp and [ErrVersion] ask for what they say.
//
// SPDK: spdk_app_parse_args
func Parse(name string, args []string, own *FlagSet) (app.Options, *Flags, error) {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetInterspersed(false) // no arguments are taken, so the first one is the mistake to report
	f := Add(fs)
	if err := addOwn(fs, own); err != nil {
		return app.Options{}, f, err
	}
	if err := fs.Parse(args); err != nil {
		return app.Options{}, f, err
	}
	if fs.NArg() > 0 {
		return app.Options{}, f, fmt.Errorf("unexpected argument %q (see --help)", fs.Arg(0))
	}
	o, err := f.Options()
	if err == nil {
		o.RPCListen, err = f.ListenOptions()
	}
	o.Name = name
	return o, f, err
}

// addOwn adds the application's flags to SPDK's.
func addOwn(fs, own *FlagSet) (err error) {
	if own == nil {
		return nil
	}
	own.VisitAll(func(flag *pflag.Flag) {
		switch {
		case err != nil:
		case fs.Lookup(flag.Name) != nil:
			err = fmt.Errorf("the flag --%s is every application's, and cannot be one's own", flag.Name)
		case flag.Shorthand != "" && fs.ShorthandLookup(flag.Shorthand) != nil:
			err = fmt.Errorf("the flag -%s is every application's, and cannot be one's own", flag.Shorthand)
		default:
			fs.AddFlag(flag)
		}
	})
	return err
}

// usage explains the flags, those of the application's own first.
//
// SPDK: spdk_app_usage
func (f *Flags) usage(w io.Writer, own *FlagSet) {
	fmt.Fprintf(w, "Usage: %s [flags]\n\n", f.fs.Name())
	if own != nil && own.HasFlags() {
		fmt.Fprintf(w, "Flags of this program:\n%s\nFlags of every application:\n", own.FlagUsagesWrapped(columns))
	}
	common := pflag.NewFlagSet(f.fs.Name(), pflag.ContinueOnError)
	common.SortFlags = false
	f.fs.VisitAll(func(flag *pflag.Flag) {
		if own == nil || own.Lookup(flag.Name) == nil {
			common.AddFlag(flag)
		}
	})
	fmt.Fprint(w, common.FlagUsagesWrapped(columns))
	fmt.Fprintf(w, "\n%s", IgnoredHelp)
}

// IgnoredHelp says in --help what becomes of SPDK's flags that have no meaning here.
const IgnoredHelp = `SPDK's flags for huge pages and PCI devices, from -s to --vfio-vf-token, are
accepted and ignored: there are neither.
`

// Exit codes of [Main].
const (
	ExitOK     = 0
	ExitFailed = 1 // something went wrong
	ExitUsage  = 2 // a wrong flag or value
)

// Main is a whole program: it parses the arguments of the process, see [Parse], runs the application, see [app.Run],
// and returns the exit code. What goes wrong is one line on the standard error.
//
// SPDK: what the main functions of its applications do
func Main(name string, own *FlagSet, start app.StartFunc) (code int) {
	return run(name, os.Args[1:], own, start, os.Stdout, os.Stderr)
}

func run(name string, args []string, own *FlagSet, start app.StartFunc, stdout, stderr io.Writer) int {
	o, f, err := Parse(name, args, own)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		f.usage(stdout, own)
		return ExitOK
	case errors.Is(err, ErrVersion):
		fmt.Fprintf(stdout, "%s: %s\n", name, app.VersionString())
		return ExitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s: %s\n", name, OneLine(err))
		return ExitUsage
	}
	if notice := f.Notice(); notice != "" {
		fmt.Fprintf(stderr, "%s: %s\n", name, notice)
	}
	var logged func()
	o.Log, logged = f.Log(stderr)
	err = app.Run(o, start)
	logged()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", name, OneLine(err))
		return ExitFailed
	}
	return ExitOK
}

// OneLine is err's text, also if that is several errors joined, or repeats an argument of several lines.
//
// Not in SPDK.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
