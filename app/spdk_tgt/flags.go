package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
)

// config is the command line, checked.
type config struct {
	cpumask    *reactor.Cpuset
	mode       reactor.Mode
	cache      fusedispatcher.CachePolicy
	maxWrite   uint32
	allowOther bool
	stats      bool
	memfs      []memfsSpec
	null       []string
	mounts     []mountSpec
}

type memfsSpec struct {
	name   string
	size   uint64 // bytes; 0: the module's default
	inodes uint64 // 0: the module's default
}

type mountSpec struct{ name, dir string }

// What parseArgs returns when there is nothing to run.
var (
	errHelp    = errors.New("help wanted")
	errVersion = errors.New("version wanted")
)

const (
	minWrite     = 4 << 10
	maxWrite     = 1 << 20 // what the kernel's default limit of 256 pages allows
	defaultWrite = maxWrite
)

// flagDef is one flag: how it is spelt, what --help says of it, and what it does.
type flagDef struct {
	long, short string
	arg         string // name of the value, "" for a switch
	help        string
	set         func(c *config, value string) error
}

var flagDefs = []flagDef{
	{"cpumask", "m", "MASK", "CPUs to run a reactor on, as a hex mask (0x3) or a list ([0,2-3]).\n" +
		"Default: the first CPU that the process may use.", setCpumask},
	{"memfs", "", "NAME[,size=BYTES][,inodes=N]", "Create a memory file system. BYTES takes the suffixes K, M,\n" +
		"G and T. May be repeated. Default: none; size is half of the machine's memory, and\n" +
		"inodes one for every 4K of size.", setMemfs},
	{"null", "", "NAME", "Create a device that does nothing, for benchmarks. May be repeated.\n" +
		"Default: none.", setNull},
	{"mount", "", "NAME=DIR", "Mount a device on a directory through /dev/fuse, in place of a dead mount that a\n" +
		"killed server may have left there. May be repeated. Default: none.", setMount},
	{"cache", "", "none|auto|always", "What the kernel may cache: nothing (every read and write is a request),\n" +
		"pages as long as nobody else changed the file, or everything. Default: auto.", setCache},
	{"mode", "", "poll|hybrid", "What an idle reactor does: spin, or spin for a while and then sleep.\n" +
		"Default: hybrid.", setMode},
	{"max-write", "", "BYTES", "Longest write request, a multiple of 4K from 4K to 1M. Default: 1M.", setMaxWrite},
	{"allow-other", "", "", "Let other users in. Mounts of root let everybody in anyway; for another user\n" +
		"/etc/fuse.conf must say user_allow_other. Default: off.",
		func(c *config, _ string) error { c.allowOther = true; return nil }},
	{"stats", "", "", "Print at exit what the reactors did: requests by opcode, busy and idle time.\n" +
		"Default: off.",
		func(c *config, _ string) error { c.stats = true; return nil }},
	{"version", "v", "", "Print the version and exit.", func(*config, string) error { return errVersion }},
	{"help", "h", "", "Print this and exit.", func(*config, string) error { return errHelp }},
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [flags]\n\n", progName)
	fmt.Fprintf(w, "Serve file system devices to the kernel, until SIGINT or SIGTERM.\n\nFlags:\n")
	for i := range flagDefs {
		f := &flagDefs[i]
		fmt.Fprint(w, "  ")
		if f.short != "" {
			fmt.Fprintf(w, "-%s, ", f.short)
		}
		fmt.Fprintf(w, "--%s", f.long)
		if f.arg != "" {
			fmt.Fprintf(w, " %s", f.arg)
		}
		fmt.Fprintf(w, "\n        %s\n", strings.ReplaceAll(f.help, "\n", "\n        "))
	}
	fmt.Fprintf(w, `
Example: a memory file system of 4 GiB, served by two reactors:
  %[1]s --cpumask 0x3 --memfs mem0,size=4G --mount mem0=/mnt/mem

Exit code: 0 after an orderly end, 1 if something failed, 2 for a wrong flag or value.
`, progName)
}

// parseArgs reads and checks the command line. Errors are one line, without the program's name.
func parseArgs(args []string) (*config, error) {
	c := &config{cache: fusedispatcher.CacheAuto, maxWrite: defaultWrite}
	for len(args) > 0 {
		f, value, rest, err := nextFlag(args)
		if err != nil {
			return nil, err
		}
		args = rest
		if err := f.set(c, value); err != nil {
			if errors.Is(err, errHelp) || errors.Is(err, errVersion) {
				return nil, err
			}
			return nil, fmt.Errorf("--%s: %w", f.long, err)
		}
	}
	return c, c.check()
}

// nextFlag takes one flag with its value off the front of args. It understands --flag value,
// --flag=value, -f value and -fvalue.
func nextFlag(args []string) (f *flagDef, value string, rest []string, err error) {
	word, rest := args[0], args[1:]
	hasValue := false
	switch {
	case strings.HasPrefix(word, "--") && len(word) > 2:
		name, v, ok := strings.Cut(word[2:], "=")
		value, hasValue = v, ok
		f = findFlag(func(d *flagDef) bool { return d.long == name })
		word = "--" + name
	case strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && len(word) > 1:
		value, hasValue = word[2:], len(word) > 2
		f = findFlag(func(d *flagDef) bool { return d.short != "" && d.short == word[1:2] })
		if f != nil {
			word = word[:2]
		}
	default:
		return nil, "", nil, fmt.Errorf("unexpected argument %q (see --help)", word)
	}
	switch {
	case f == nil:
		return nil, "", nil, fmt.Errorf("unknown flag %q (see --help)", word)
	case f.arg == "" && hasValue:
		return nil, "", nil, fmt.Errorf("%s takes no value, but was given %q", word, value)
	case f.arg == "" || hasValue:
		return f, value, rest, nil
	case len(rest) == 0:
		return nil, "", nil, fmt.Errorf("%s needs a value: %s %s", word, word, f.arg)
	}
	return f, rest[0], rest[1:], nil
}

func findFlag(match func(d *flagDef) bool) *flagDef {
	for i := range flagDefs {
		if match(&flagDefs[i]) {
			return &flagDefs[i]
		}
	}
	return nil
}

func setCpumask(c *config, v string) error {
	mask, err := reactor.ParseCpuset(v)
	if err != nil {
		return err
	}
	c.cpumask = mask
	return nil
}

func setMode(c *config, v string) error {
	for _, m := range []reactor.Mode{reactor.ModePoll, reactor.ModeHybrid} {
		if m.String() == v {
			c.mode = m
			return nil
		}
	}
	return fmt.Errorf("%q is not a mode (want poll or hybrid)", v)
}

func setCache(c *config, v string) error {
	p, err := fusedispatcher.ParseCachePolicy(v)
	if err != nil {
		return fmt.Errorf("%q is not a cache policy (want none, auto or always)", v)
	}
	c.cache = p
	return nil
}

func setMaxWrite(c *config, v string) error {
	n, err := parseSize(v)
	if err != nil {
		return err
	}
	if n < minWrite || n > maxWrite || n%minWrite != 0 {
		return fmt.Errorf("%q is not a multiple of 4K from 4K to 1M", v)
	}
	c.maxWrite = uint32(n)
	return nil
}

func setMemfs(c *config, v string) error {
	name, opts, _ := strings.Cut(v, ",")
	if err := checkName(name); err != nil {
		return err
	}
	spec := memfsSpec{name: name}
	if strings.Contains(v, ",") {
		for opt := range strings.SplitSeq(opts, ",") {
			key, val, ok := strings.Cut(opt, "=")
			var n uint64
			err := error(nil)
			switch {
			case !ok || key != "size" && key != "inodes":
				return fmt.Errorf("%q is not an option of memfs (want size=BYTES or inodes=N)", opt)
			case key == "size":
				n, err = parseSize(val)
				spec.size = n
			default:
				n, err = strconv.ParseUint(val, 10, 64)
				spec.inodes = n
			}
			if err != nil || n == 0 {
				return fmt.Errorf("%s: %q is not a number above zero", key, val)
			}
		}
	}
	c.memfs = append(c.memfs, spec)
	return nil
}

func setNull(c *config, v string) error {
	if err := checkName(v); err != nil {
		return err
	}
	c.null = append(c.null, v)
	return nil
}

func setMount(c *config, v string) error {
	name, dir, ok := strings.Cut(v, "=")
	if !ok || dir == "" {
		return fmt.Errorf("%q is not NAME=DIR", v)
	}
	if err := checkName(name); err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	c.mounts = append(c.mounts, mountSpec{name, abs})
	return nil
}

// checkName accepts the names of devices.
func checkName(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '=' || r == '/' || r == 0x7f })
	if name == "" || len(name) > 255 || bad {
		return fmt.Errorf("%q is not a device name (no blanks, '=' or '/')", name)
	}
	return nil
}

// parseSize reads a number of bytes with an optional suffix K, M, G or T.
func parseSize(v string) (uint64, error) {
	digits := strings.TrimRight(v, "kKmMgGtT")
	shift := 0
	switch strings.ToUpper(v[len(digits):]) {
	case "":
	case "K":
		shift = 10
	case "M":
		shift = 20
	case "G":
		shift = 30
	case "T":
		shift = 40
	default:
		return 0, fmt.Errorf("%q is not a size (want a number, with K, M, G or T)", v)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n<<shift>>shift != n {
		return 0, fmt.Errorf("%q is not a size (want a number, with K, M, G or T)", v)
	}
	return n << shift, nil
}

// check looks at what flags mean together and outside of the program.
func (c *config) check() error {
	if c.cpumask != nil {
		allowed, err := app.AllowedCPUs()
		if err != nil {
			return err
		}
		if err := app.CheckCPUs(c.cpumask, allowed); err != nil {
			return fmt.Errorf("--cpumask: %w", err)
		}
	}
	devices := map[string]bool{}
	names := append([]string(nil), c.null...)
	for _, m := range c.memfs {
		names = append(names, m.name)
	}
	for _, name := range names {
		if devices[name] {
			return fmt.Errorf("there are two devices named %q", name)
		}
		devices[name] = true
	}
	dirs := map[string]bool{}
	for _, m := range c.mounts {
		if !devices[m.name] {
			return fmt.Errorf("--mount: there is no device %q (create it with --memfs %s)", m.name, m.name)
		}
		if dirs[m.dir] {
			return fmt.Errorf("--mount: %s is given twice", m.dir)
		}
		dirs[m.dir] = true
		st, err := os.Stat(m.dir)
		switch {
		case errors.Is(err, syscall.ENOTCONN):
			// What a server that was killed left behind; it gets replaced.
		case err != nil:
			return fmt.Errorf("--mount: %w", err)
		case !st.IsDir():
			return fmt.Errorf("--mount: %s is not a directory", m.dir)
		}
	}
	return nil
}
