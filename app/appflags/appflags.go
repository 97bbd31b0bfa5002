package appflags

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// ErrVersion is returned for --version, as [pflag.ErrHelp] for --help: there is nothing to run.
var ErrVersion = errors.New("version wanted")

// Flags are SPDK's, and what they were set to.
type Flags struct {
	fs        *pflag.FlagSet
	o         app.Options
	maskGiven bool
	lcores    *reactor.Cpuset
	socket    string // of the RPC server
	noRPC     bool
	quiet     bool
	owner     string // of the socket; "": whose the process is
	group     string
	ignored   []string // no-ops that were given, by name
	pci       [2]bool  // --pci-allowed and --pci-blocked were given
	jsonLog   bool
}

// Add defines the flags in fs, which must not have any of them: it panics otherwise.
//
// SPDK: g_cmdline_options of lib/event/app.c
func Add(fs *pflag.FlagSet) *Flags {
	f := &Flags{fs: fs, socket: rpc.DefaultSocket}
	f.addCPUs()
	f.addControl()
	f.addLog()
	f.addTrace()
	f.addIgnored()
	f.ask("version", "v", "print the version and exit", ErrVersion)
	f.ask("help", "h", "print this and exit", pflag.ErrHelp)
	return f
}

// value defines a flag with a value. The setter knows no default that pflag could print.
func (f *Flags) value(name, short, byDefault, help string, set func(v string) error) {
	f.fs.FuncP(name, short, help, set)
	f.fs.Lookup(name).DefValue = byDefault
}

// on defines a switch, without "[=true|false]", which would leave little room for the help of all.
func (f *Flags) on(name, short, help string, set func(on bool)) {
	f.fs.BoolFuncP(name, short, help, func(v string) error {
		on, err := strconv.ParseBool(v)
		set(on)
		return err
	})
	f.fs.Lookup(name).DefValue = "off"
}

// ask defines a flag that ends the parsing, so that what follows need not be right.
func (f *Flags) ask(name, short, help string, answer error) {
	f.fs.BoolFuncP(name, short, help, func(string) error { return answer })
}

func (f *Flags) addCPUs() {
	f.value("cpumask", "m", "the first CPU that the process may use",
		"CPUs to run a reactor on, as a hex `MASK` or a list, e.g. 0x3 or [0,2-3]", func(v string) (err error) {
			f.o.CPUMask, err = reactor.ParseCpuset(v)
			f.maskGiven = true
			return err
		})
	f.value("lcores", "", "none",
		"CPUs to run a reactor on, instead of --cpumask, as the `MAP` of DPDK: LCORE or LCORE@CPU, and ranges of these, "+
			"separated by commas. Each has one CPU, whose number it has from there on, e.g. 0@2,1@3",
		func(v string) (err error) {
			f.lcores, err = parseLcores(v)
			return err
		})
	f.value("main-core", "p", "the first", "`CPU` of the reactor that has the application's own thread, e.g. 1",
		func(v string) error {
			core, err := parseNumber(v, 0, reactor.MaxCPU-1)
			f.o.MainCore = &core
			return err
		})
	f.on("disable-cpumask-locks", "",
		"do not claim the CPUs. Without this, who wants a CPU that another application has, one of SPDK included, is told so",
		func(on bool) { f.o.DisableCPUMaskLocks = on })
	f.on("interrupt-mode", "", "have reactors sleep as soon as they have nothing to do", func(on bool) {
		f.o.Mode = reactor.ModeHybrid
		if on {
			f.o.Mode = reactor.ModeInterrupt
		}
	})
	f.value("msg-mempool-size", "", "4096",
		"`NUMBER` of messages that can wait for a thread, which is made a power of two, e.g. 16384", func(v string) error {
			n, err := parseNumber(v, 1, maxMessages)
			f.o.MsgRingSize = powerOfTwo(n)
			return err
		})
	f.on("limit-coredump", "d", "write no core file when the process crashes", func(on bool) { f.o.NoCoreDump = on })
	f.value("shm-id", "i", "the number of the process", "`NUMBER` in the names of files in shared memory, e.g. 0",
		func(v string) error {
			id, err := parseNumber(v, 0, 1<<31-1)
			f.o.ShmID = &id
			return err
		})
}

const maxMessages = 1 << 22

func powerOfTwo(n int) int {
	size := 64 // less is no room for what a thread does by itself
	for size < n {
		size *= 2
	}
	return size
}

func (f *Flags) addControl() {
	f.value("rpc-socket", "r", rpc.DefaultSocket+", if no other program has it",
		"serve JSON-RPC at the Unix socket `PATH`, for SPDK's rpc.py and its like, e.g. /run/tgt.sock", f.setSocket)
	f.value("rpc-socket-mode", "", "as the umask has it",
		"permission bits of the RPC socket, in octal, as in `MODE`: who may write to it may do everything, e.g. 660",
		f.setSocketMode)
	f.value("rpc-socket-owner", "", "that of the process", "`USER`, by name or number, whose the RPC socket is, e.g. spdk",
		func(v string) error { return setID(&f.owner, v) })
	f.value("rpc-socket-group", "", "that of the process", "`GROUP`, by name or number, of the RPC socket, e.g. adm",
		func(v string) error { return setID(&f.group, v) })
	f.on("no-rpc-server", "", "serve no JSON-RPC, whatever --rpc-socket says", func(on bool) { f.noRPC = on })
	f.value("rpcs-allowed", "", "all",
		"serve these RPCs only, as in `NAME[,NAME]`..., e.g. spdk_get_version,fsdev_get_iostat", f.setAllowed)
	f.on("wait-for-rpc", "",
		"wait for the RPC framework_start_init before anything is brought up, so that it can be configured by RPC first",
		func(on bool) { f.o.WaitForRPC = on })
	f.value("config", "c", "none",
		"make the calls of the JSON configuration in `FILE` first, which is what rpc.py save_config writes and may have "+
			"comments, e.g. tgt.json", f.setConfig)
	f.fs.Func("json", "the name that SPDK has for --config, too", f.setConfig)
	f.hide("json")
	f.on("json-ignore-init-errors", "", "go on after calls of the configuration that fail",
		func(on bool) { f.o.IgnoreConfigErrors = on })
}

func (f *Flags) addLog() {
	f.value("logflag", "L", "none",
		"have the component `NAME`, or all, log what is for those who look for mistakes, e.g. rpc. May be repeated",
		func(v string) error {
			f.o.LogFlags = append(f.o.LogFlags, v)
			return log.NewSettings().SetFlag(v)
		})
	f.on("silence-noticelog", "", "log warnings and errors only", func(on bool) { f.quiet = on })
	f.value("log-format", "", "text", "`FORMAT` of the log: text, or json, which has an object a line, e.g. json",
		func(v string) error {
			if v != "text" && v != "json" {
				return fmt.Errorf("%q is not a format (want text or json)", v)
			}
			f.jsonLog = v == "json"
			return nil
		})
}

func (f *Flags) hide(name string) {
	if err := f.fs.MarkHidden(name); err != nil {
		panic(err) // it has just been defined
	}
}

func (f *Flags) setSocket(v string) error {
	if v == "" {
		return errors.New("the path of the RPC socket is empty (to have none, see --no-rpc-server)")
	}
	abs, err := filepath.Abs(v)
	f.o.RPCSocket = abs
	return err
}

func (f *Flags) setAllowed(v string) error {
	f.o.RPCAllowlist = strings.Split(v, ",")
	for _, name := range f.o.RPCAllowlist {
		if _, ok := rpc.MethodStates(name); !ok {
			return fmt.Errorf("there is no RPC %q", name)
		}
	}
	return nil
}

func (f *Flags) setConfig(v string) error {
	if v == "" {
		return errors.New("the name of the configuration is empty")
	}
	f.o.ConfigFile = v
	return nil
}

// Options returns what the flags say, once they have been parsed, but for the owner of the RPC socket, which
// [Flags.ListenOptions] has. It opens nothing. Errors are flags that do not go together, and CPUs that cannot be used.
func (f *Flags) Options() (app.Options, error) {
	o := f.o
	switch {
	case f.maskGiven && f.lcores != nil:
		return o, errors.New("--cpumask and --lcores say the same: give one of them")
	case f.pci[0] && f.pci[1]:
		return o, errors.New("--pci-allowed and --pci-blocked do not go together")
	case f.noRPC && o.WaitForRPC:
		return o, errors.New("--wait-for-rpc: nobody can be waited for with --no-rpc-server")
	case o.NoTrace && o.TpointGroupMask != "":
		return o, errors.New("--tpoint-group: with --num-trace-entries 0 there is no trace")
	}
	name := "--cpumask"
	if f.lcores != nil {
		o.CPUMask, name = f.lcores, "--lcores"
	}
	allowed, err := app.AllowedCPUs()
	if err != nil {
		return o, err
	}
	mask := reactor.NewCpuset(allowed.CPUs()[0])
	if o.CPUMask != nil {
		mask = o.CPUMask
		if err := app.CheckCPUs(mask, allowed); err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
	}
	if core := o.MainCore; core != nil && !mask.Get(*core) {
		return o, fmt.Errorf("--main-core: CPU %d is not among those of %s", *core, name)
	}
	o.RPCSocketOptional = o.RPCSocket == ""
	o.RPCSocket = cmp.Or(o.RPCSocket, f.socket)
	if f.noRPC {
		o.RPCSocket, o.RPCSocketOptional = "", false
	}
	switch { // who asks a component to say more wants to read it
	case len(o.LogFlags) > 0:
		o.PrintLevel = log.Debug
	case f.quiet:
		o.PrintLevel = log.Warn
	}
	return o, nil
}
