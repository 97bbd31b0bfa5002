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
	"time"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/app/metrics"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/sandbox"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// config is the command line, checked.
type config struct {
	common *appflags.Flags
	o      app.Options // what the common flags say

	mode     *reactor.Mode // nil: as o has it
	cache    fusedispatcher.CachePolicy
	maxWrite uint32

	entryTimeout, attrTimeout time.Duration // as the dispatcher wants them

	allowOther bool
	noPass     bool
	ring       fusedev.RingMode
	stats      bool
	ebpf       bool
	sandbox    sandbox.Mode
	seccomp    sandbox.Filter

	sandboxAsked, seccompAsked bool   // they were given
	moreCaps, lessCaps         uint64 // bits
	memfs                      []memfsSpec
	null                       []string
	aio                        []aioSpec
	mounts                     []mountSpec
	metrics                    *metrics.Address // nil: not served
}

type memfsSpec struct {
	name   string
	size   uint64 // bytes; 0: the module's default
	inodes uint64 // 0: the module's default
}

// aioSpec is a directory to export.
type aioSpec struct {
	name string
	opts aio.Opts
}

type mountSpec struct{ name, dir string }

const (
	minWrite     = 4 << 10
	maxWrite     = 1 << 20 // what the kernel's default limit of 256 pages allows
	defaultWrite = maxWrite

	helpColumns = 80 // the narrowest terminal that --help should look well on
)

// newFlags returns the flags and the configuration that they write to.
func newFlags() (*pflag.FlagSet, *config) {
	c := &config{cache: fusedispatcher.CacheAuto, maxWrite: defaultWrite}
	fs := pflag.NewFlagSet(progName, pflag.ContinueOnError)
	fs.SortFlags = false      // what everybody needs comes first in --help
	fs.SetInterspersed(false) // no arguments are taken, so the first one is the mistake to report

	// The setters know no default that pflag could print, and "false" says less than "off".
	value := func(name, short, byDefault, help string, set func(*config, string) error) {
		fs.FuncP(name, short, help, func(v string) error { return set(c, v) })
		fs.Lookup(name).DefValue = byDefault
	}
	toggle := func(on *bool, name, help string) {
		fs.BoolVar(on, name, false, help)
		fs.Lookup(name).DefValue = "off"
	}

	value("memfs", "", "none",
		"create a memory file system, as in `NAME[,OPTION=N]`..., e.g. mem0 or mem0,size=4G,inodes=100000. The "+
			"options are size (bytes, or with a suffix K, M, G or T; else half of the machine's memory) and inodes "+
			"(else one for every 4K of size). May be repeated", setMemfs)
	value("aio", "", "none",
		"export a directory of the host, as in `NAME:DIR[,OPTION]`..., e.g. data0:/srv/data or data0:/srv/data,ro. The "+
			"options are listed below. The directory must not have a comma. May be repeated", setAio)
	value("null", "", "none",
		"create the device `NAME`, which does nothing, for benchmarks, e.g. null0. May be repeated", setNull)
	value("mount", "", "none",
		"mount a device on a directory through /dev/fuse, as in `NAME=DIR`, e.g. mem0=/mnt/mem. It replaces a dead "+
			"mount that a killed server may have left there. May be repeated", setMount)
	value("sandbox", "", "auto with --aio, else none",
		"`MODE` of locking the process up, so that it reaches nothing of the host but the directories of --aio and those "+
			"that --config exports, whatever it is asked for by RPC later. namespace: "+
			"a root directory with these alone, and no network; chroot: the directory of --aio, which can be one, is "+
			"the root; landlock: the kernel checks every access, which needs no privilege; none. All but none drop the "+
			"capabilities that serving files does not take. auto is namespace if that is permitted, else landlock, "+
			"else none, e.g. namespace", setSandbox)
	value("seccomp", "", "kill with --aio, else none",
		"`ACTION` at a system call that the program never makes: kill ends the process, log does no more than report it to "+
			"the kernel's log, none has no filter, e.g. log", setSeccomp)
	value("modcaps", "", "none",
		"`CHANGES` of the capabilities that a sandbox leaves, as in +NAME or -NAME, with a colon between them, e.g. "+
			"+sys_admin: to have the kernel read and write the files of --aio by itself, and for extended attributes of the "+
			"name spaces trusted and security. The option notify of --aio implies it", setModcaps)
	value("cache", "", c.cache.String(),
		"`POLICY` for what the kernel may cache: none makes every read and write a request, auto keeps pages as long "+
			"as nobody else changed the file, always keeps everything, e.g. none", setCache)
	value("entry-timeout", "", "what --cache says",
		"`SECONDS` for which the kernel may take names for what they were, instead of what --cache says, e.g. 0.5",
		setTimeout(func(c *config) *time.Duration { return &c.entryTimeout }))
	value("attr-timeout", "", "what --cache says",
		"`SECONDS` for which the kernel may keep attributes, instead of what --cache says, e.g. 0",
		setTimeout(func(c *config) *time.Duration { return &c.attrTimeout }))
	value("mode", "", reactor.ModeHybrid.String(),
		"`MODE` of an idle reactor: poll: it spins; interrupt: it sleeps at once; hybrid: it spins a while first, e.g. poll",
		setMode)
	value("max-write", "", "1M",
		"longest write request in `BYTES`, a multiple of 4K from 4K to 1M, e.g. 128K", setMaxWrite)
	toggle(&c.allowOther, "allow-other",
		"let other users in. Mounts of root let everybody in anyway; for another user /etc/fuse.conf must say "+
			"user_allow_other")
	toggle(&c.stats, "stats",
		"print at exit what the reactors did: requests by opcode, busy and idle time")
	toggle(&c.ebpf, "ebpf",
		"have the kernel find out who takes the CPU from reactors, and how long requests wait for them, for the RPC "+
			"ebpf_get_stats and --stats. It takes root, or CAP_BPF and CAP_PERFMON; without them a line says so")
	value("fuse-io-uring", "", "auto",
		"`MODE` of mounts: on: requests come by io_uring, which root makes the kernel offer (Linux 6.14); auto: only if it "+
			"does so already; off: they come by /dev/fuse, e.g. on", func(c *config, v string) (err error) {
			c.ring, err = fusedev.ParseRingMode(v)
			return err
		})
	toggle(&c.noPass, "no-passthrough",
		"keep the kernel from reading and writing the files of --aio by itself, which it does unless the cache policy is "+
			"none, if it is able to and spdk_tgt has CAP_SYS_ADMIN: a sandbox leaves that with --modcaps +sys_admin")
	value("metrics", "", "none",
		"serve metrics in the formats of Prometheus, and a page that draws them, at `ADDR` of this machine: "+
			"127.0.0.1:PORT, [::1]:PORT or unix:PATH, the last perhaps with ,mode=OCTAL; a sandbox leaves only that. It has "+
			"all devices count latencies, e.g. 127.0.0.1:9464", setMetrics)
	c.common = appflags.Add(fs)
	return fs, c
}

func usage(w io.Writer) {
	fs, _ := newFlags()
	fmt.Fprintf(w, `Usage: %[1]s [flags]

Serve file system devices to the kernel, until SIGINT or SIGTERM.

Flags:
%[2]s
%[4]s
Options of --aio:
%[3]s
Example: a memory file system of 4 GiB, served by two reactors:
  %[1]s --cpumask 0x3 --memfs mem0,size=4G --mount mem0=/mnt/mem
A directory of the host:
  %[1]s --aio data0:/srv/data --mount data0=/mnt/data
What was made by RPC, as it was saved:
  %[1]s --config tgt.json

Exit code: 0 after an orderly end, 1 if something failed, 2 for a wrong flag or
value.
`, progName, fs.FlagUsagesWrapped(helpColumns), aioOptionsHelp(), appflags.IgnoredHelp)
}

// parseArgs reads and checks the command line. Errors come without the program's name.
func parseArgs(args []string) (*config, error) {
	c, err := parseFlags(args)
	if err != nil {
		return nil, err
	}
	return c, c.check()
}

// parseFlags is parseArgs without a look at anything outside of the program.
func parseFlags(args []string) (*config, error) {
	fs, c := newFlags()
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q (see --help)", fs.Arg(0))
	}
	var err error
	if c.o, err = c.common.Options(); err != nil {
		return nil, err
	}
	if c.mode != nil {
		c.o.Mode = *c.mode
	}
	c.o.Name = progName
	return c, nil
}

func setMode(c *config, v string) error {
	for _, m := range reactor.Modes {
		if m.String() == v {
			c.mode = &m
			return nil
		}
	}
	return fmt.Errorf("%q is not a mode (want hybrid, poll or interrupt)", v)
}

func setCache(c *config, v string) error {
	p, err := fusedispatcher.ParseCachePolicy(v)
	if err != nil {
		return fmt.Errorf("%q is not a cache policy (want none, auto or always)", v)
	}
	c.cache = p
	return nil
}

func setMaxWrite(c *config, v string) (err error) {
	c.maxWrite, err = parseMaxWrite(v)
	return err
}

func parseMaxWrite(v string) (uint32, error) {
	n, err := parseSize(v)
	if err != nil {
		return 0, err
	}
	if n < minWrite || n > maxWrite || n%minWrite != 0 {
		return 0, fmt.Errorf("%q is not a multiple of 4K from 4K to 1M", v)
	}
	return uint32(n), nil
}

// setTimeout sets how long the kernel may keep something, for which 0 means what the cache policy says.
func setTimeout(to func(c *config) *time.Duration) func(c *config, v string) error {
	return func(c *config, v string) error {
		sec, err := strconv.ParseFloat(v, 64)
		if err != nil || !(sec >= 0 && sec <= maxTimeout) {
			return fmt.Errorf("%q is not a number of seconds from 0 to %d", v, maxTimeout)
		}
		d := time.Duration(sec * float64(time.Second))
		if d == 0 {
			d = -1
		}
		*to(c) = d
		return nil
	}
}

const maxTimeout = 365 * 24 * 3600 // seconds

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

func setAio(c *config, v string) error {
	name, rest, ok := strings.Cut(v, ":")
	dir, opts, more := strings.Cut(rest, ",")
	if !ok || dir == "" {
		return fmt.Errorf("%q is not NAME:DIR, or NAME:DIR,OPTION", v)
	}
	if err := checkName(name); err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	spec := aioSpec{name: name, opts: aio.Opts{Root: abs}}
	for more {
		var opt string
		opt, opts, more = strings.Cut(opts, ",")
		if err := setAioOption(&spec.opts, opt); err != nil {
			return err
		}
	}
	if spec.opts.Notify && spec.opts.Writeback {
		return errors.New("notify and writeback do not go together")
	}
	if spec.opts.Notify && spec.opts.InodeFileHandles != aio.FileHandlesNever {
		return errors.New("notify and inode-file-handles do not go together")
	}
	c.aio = append(c.aio, spec)
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
	var err error
	if c.o.RPCListen, err = c.common.ListenOptions(); err != nil {
		return err
	}
	if c.sandbox == sandbox.Chroot && len(c.aio) != 1 && c.o.ConfigFile == "" {
		return fmt.Errorf("--sandbox chroot wants one --aio, not %d: use namespace", len(c.aio))
	}
	devices := map[string]bool{}
	names := append([]string(nil), c.null...)
	for _, m := range c.memfs {
		names = append(names, m.name)
	}
	for _, m := range c.aio {
		names = append(names, m.name)
		st, err := os.Stat(m.opts.Root)
		if err == nil && !st.IsDir() {
			err = fmt.Errorf("%s is not a directory", m.opts.Root)
		}
		if err != nil {
			return fmt.Errorf("--aio: %w", err)
		}
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
