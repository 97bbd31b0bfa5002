package appflags

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// firstCPU is a CPU that there is on any machine, as flags have it.
func firstCPU(t *testing.T) (core int, text string) {
	t.Helper()
	allowed, err := app.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	core = allowed.CPUs()[0]
	return core, reactor.NewCpuset(core).List()
}

func TestParse(t *testing.T) {
	core, cpu := firstCPU(t)
	mask := reactor.NewCpuset(core)
	for _, test := range []struct {
		name string
		args string
		want app.Options // but for what every case has
	}{
		{"nothing", "", app.Options{RPCSocketOptional: true}},
		{"CPUs", "-m [" + cpu + "] -p " + cpu + " --disable-cpumask-locks", app.Options{CPUMask: mask, MainCore: &core,
			DisableCPUMaskLocks: true, RPCSocketOptional: true}},
		{"main core alone", "--main-core " + cpu, app.Options{MainCore: &core, RPCSocketOptional: true}},
		{"lcores", "--lcores 5@" + cpu, app.Options{CPUMask: mask, RPCSocketOptional: true}},
		{"lcores in parentheses", "--lcores (0)@[" + cpu + "-" + cpu + "]", app.Options{CPUMask: mask,
			RPCSocketOptional: true}},
		{"interrupt mode", "--interrupt-mode", app.Options{Mode: reactor.ModeInterrupt, RPCSocketOptional: true}},
		{"messages", "--msg-mempool-size 5000", app.Options{MsgRingSize: 8192, RPCSocketOptional: true}},
		{"few messages", "--msg-mempool-size 1", app.Options{MsgRingSize: 64, RPCSocketOptional: true}},
		{"the process", "-i 0 -d", app.Options{ShmID: new(0), NoCoreDump: true, RPCSocketOptional: true}},
		{"trace", "-e thread:0x1,0x80 --num-trace-entries 64", app.Options{TpointGroupMask: "thread:0x1,0x80",
			NumTraceEntries: 64, RPCSocketOptional: true}},
		{"no trace", "--num-trace-entries=0", app.Options{NoTrace: true, RPCSocketOptional: true}},
		{"socket", "-r /run/x --rpc-socket-mode 660 --rpc-socket-owner 12 --rpc-socket-group 34",
			app.Options{RPCSocket: "/run/x", RPCListen: rpc.ListenOptions{Mode: 0o660, Owner: new(12), Group: new(34)}}},
		{"owner by name", "--rpc-socket-owner root", app.Options{RPCSocketOptional: true,
			RPCListen: rpc.ListenOptions{Owner: new(0)}}},
		{"no RPC", "-r /run/x --no-rpc-server", app.Options{RPCSocket: "none"}},
		{"control", "--rpcs-allowed rpc_get_methods,spdk_get_version --wait-for-rpc -c x.json --json-ignore-init-errors",
			app.Options{RPCAllowlist: []string{"rpc_get_methods", "spdk_get_version"}, WaitForRPC: true, ConfigFile: "x.json",
				IgnoreConfigErrors: true, RPCSocketOptional: true}},
		{"quiet", "--silence-noticelog", app.Options{PrintLevel: log.Warn, RPCSocketOptional: true}},
		{"log flags", "-L rpc -L all --silence-noticelog", app.Options{LogFlags: []string{"rpc", "all"},
			PrintLevel: log.Debug, RPCSocketOptional: true}},
		{"no huge pages", "-s 1024 -n 4 -g -u -R -A 0:1.0 --huge-dir /x --iova-mode pa --base-virtaddr 0x2000 --no-huge",
			app.Options{RPCSocketOptional: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := Parse("name", strings.Fields(test.args), nil)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Name = "name"
			switch test.want.RPCSocket {
			case "":
				test.want.RPCSocket = rpc.DefaultSocket
			case "none":
				test.want.RPCSocket = ""
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(reactor.Cpuset{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	_, cpu := firstCPU(t)
	own := func() *pflag.FlagSet {
		fs := pflag.NewFlagSet("own", pflag.ContinueOnError)
		fs.BoolP("mine", "y", false, "mine")
		return fs
	}
	sameName, sameLetter := own(), own()
	sameName.Bool("config", false, "")
	sameLetter.BoolP("small", "s", false, "")
	for _, test := range []struct {
		args string
		own  *pflag.FlagSet
		want string
	}{
		{"--frobnicate", own(), "unknown flag: --frobnicate"},
		{"-y", nil, "unknown shorthand flag: 'y'"},
		{"-m", nil, "flag needs an argument: 'm'"},
		{"more", nil, `unexpected argument "more"`},
		{"-m 0x0", nil, `"0x0"`},
		{"-m [1000]", nil, "--cpumask: CPU 1000 cannot be used here"},
		{"-m [" + cpu + "] --lcores 0", nil, "--cpumask and --lcores say the same"},
		{"--lcores 0@(1,2)", nil, "is not LCORE[@CPU]"},
		{"--lcores 0-1@2", nil, "is not LCORE[@CPU]"},
		{"--lcores 0@1,0@2", nil, "an lcore or a CPU twice"},
		{"--lcores (0@1", nil, "is not LCORE[@CPU]"},
		{"-m [" + cpu + "] -p 1023", nil, "--main-core: CPU 1023 is not among those of --cpumask"},
		{"-e thread,fly", nil, `there is no group "fly" of tracepoints`},
		{"-e=", nil, `there is no group "=" of tracepoints`},
		{"--num-trace-entries 100", nil, `"100" is neither 0 nor a power of two`},
		{"-e thread --num-trace-entries 0", nil, "--tpoint-group: with"},
		{"-p -1", nil, `"-1" is not a number from 0 to`},
		{"-i x", nil, `"x" is not a number from 0 to`},
		{"--msg-mempool-size 0", nil, `"0" is not a number from 1 to`},
		{"-A 1 -B 2", nil, "--pci-allowed and --pci-blocked do not go together"},
		{"-s much", nil, `"much" is not a size in megabytes`},
		{"-n 1.5", nil, `"1.5" is not a number`},
		{"--iova-mode x", nil, `"x" is not pa or va`},
		{"--base-virtaddr x", nil, `"x" is not an address`},
		{"--wait-for-rpc --no-rpc-server", nil, "nobody can be waited for"},
		{"--rpcs-allowed fly", nil, `there is no RPC "fly"`},
		{"--rpc-socket-mode 888", nil, "are not permission bits"},
		{"--rpc-socket-owner no-such-user", nil, "--rpc-socket-owner: "},
		{"--rpc-socket-group 4294967295", nil, "--rpc-socket-group: "},
		{"-L none", nil, `there is no flag "none"`},
		{"--log-format xml", nil, `"xml" is not a format`},
		{"", sameName, "the flag --config is every application's"},
		{"", sameLetter, "the flag -s is every application's"},
	} {
		_, _, err := Parse("name", strings.Fields(test.args), test.own)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
}

// TestMainProgram has a program run, explain itself, and fail, each with its exit code.
func TestMainProgram(t *testing.T) {
	var greeting string
	var started int
	start := func(_ *reactor.Thread, a *app.App) error {
		started++
		a.Log().Warn("started", "greeting", greeting)
		a.Stop(nil)
		if greeting == "bad" {
			return errors.New("it went wrong")
		}
		return nil
	}
	base := []string{"--no-rpc-server", "--disable-cpumask-locks"}
	for _, test := range []struct {
		args           []string
		code           int
		stdout, stderr string // parts
	}{
		{append(base, "--greeting", "hi"), ExitOK, "", "msg=started greeting=hi\n"},
		{append(base, "--log-format", "json"), ExitOK, "", `"msg":"started","greeting":"hello"}`},
		{append(base, "-s", "512", "-u", "-s", "1024"), ExitOK, "",
			"hello: ignored, since there are neither huge pages nor PCI devices here: --mem-size, --no-pci\n"},
		{append(base, "--greeting", "bad"), ExitFailed, "", "hello: it went wrong\n"},
		{[]string{"--nonsense"}, ExitUsage, "", "hello: unknown flag: --nonsense\n"},
		{[]string{"-h"}, ExitOK, "--greeting WORD", ""},
		{[]string{"--version"}, ExitOK, "hello: spdk-go ", ""},
	} {
		own := pflag.NewFlagSet("own", pflag.ContinueOnError)
		own.StringVar(&greeting, "greeting", "hello", "what to say, a `WORD`")
		var stdout, stderr bytes.Buffer
		if code := run("hello", test.args, own, start, &stdout, &stderr); code != test.code {
			t.Errorf("%q: exit code %d, want %d", test.args, code, test.code)
		}
		if !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%q: stdout %q, stderr %q", test.args, &stdout, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			if len(line) > columns+1 {
				t.Errorf("--help has a line of %d columns: %s", len(line), line)
			}
		}
	}
	if started != 4 {
		t.Errorf("it was started %d times, want 4", started)
	}
}

// TestLogIsNotWaitedFor runs an application whose log nobody reads: it works and comes to its end.
func TestLogIsNotWaitedFor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	polls := 0
	start := func(th *reactor.Thread, a *app.App) error {
		for range 2000 { // 400 KB: a pipe holds 64
			a.Log().Warn(strings.Repeat("x", 200)) // on the reactor
		}
		var poller *reactor.Poller
		poller = th.RegisterPoller("polls", func(*reactor.Thread, any) reactor.PollerResult {
			if polls++; polls == 100 {
				poller.Unregister()
				a.Stop(nil)
			}
			return reactor.Busy
		}, nil, 0)
		return nil
	}
	args := []string{"-r", filepath.Join(t.TempDir(), "sock"), "--disable-cpumask-locks"}
	if code := run("name", args, nil, start, os.Stdout, w); code != ExitOK || polls != 100 {
		t.Errorf("exit code %d after %d polls", code, polls)
	}
}
