package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// firstCPU is a mask that is right on any machine.
func firstCPU(t *testing.T) string {
	t.Helper()
	allowed, err := app.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	return "0x" + reactor.NewCpuset(allowed.CPUs()[0]).String()
}

func TestParseArgs(t *testing.T) {
	dir, dir2 := t.TempDir(), t.TempDir()
	mask := firstCPU(t)
	cpuset, err := reactor.ParseCpuset(mask)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want config
	}{
		{"nothing", nil, config{}},
		{"everything", []string{
			"--cpumask", mask, "--memfs", "mem0,size=4G,inodes=1000", "--memfs=mem1", "--null", "null0",
			"--mount", "mem0=" + dir, "--mount=null0=" + dir2, "--cache", "always", "--mode=poll", "--max-write", "64K",
			"--allow-other", "--stats", "--disable-cpumask-locks",
		}, config{
			o:    app.Options{CPUMask: cpuset, Mode: reactor.ModePoll, DisableCPUMaskLocks: true},
			mode: new(reactor.ModePoll), cache: fusedispatcher.CacheAlways, maxWrite: 64 << 10, allowOther: true, stats: true,
			memfs:  []memfsSpec{{"mem0", 4 << 30, 1000}, {"mem1", 0, 0}},
			null:   []string{"null0"},
			mounts: []mountSpec{{"mem0", dir}, {"null0", dir2}},
		}},
		{"directories of the host",
			[]string{"--aio", "a:" + dir, "--aio=b:" + dir2 + ",ro,xattr,writeback,devices,workers=7,no-killpriv," +
				"translate-uid=map:0:100000:1000,translate-uid=forbid-guest:1000:9,translate-gid=squash-guest:0:5:9"},
			config{aio: []aioSpec{{"a", aio.Opts{Root: dir}},
				{"b", aio.Opts{Root: dir2, ReadOnly: true, Xattr: true, Writeback: true, Devices: true, Workers: 7,
					NoKillPriv: true, TranslateUID: []string{"map:0:100000:1000", "forbid-guest:1000:9"},
					TranslateGID: []string{"squash-guest:0:5:9"}}}}}},
		{"timeouts", []string{"--entry-timeout=1.5", "--attr-timeout=0"},
			config{entryTimeout: 1500 * time.Millisecond, attrTimeout: -1}},
		{"aio extended attributes",
			[]string{"--aio", "a:" + dir + ",max-write=64K,skip-rw,no-open,direct-io,security-label,posix-acl," +
				"xattrmap=/ok/all/system./system./ :map:trusted.:user.=.:"},
			config{aio: []aioSpec{{"a", aio.Opts{Root: dir, PosixACL: true, SecurityLabel: true, DirectIO: true, SkipRW: true,
				NoOpen:   true,
				MaxWrite: 64 << 10,
				XattrMap: "/ok/all/system./system./ :map:trusted.:user.=.:"}}}}},
		{"aio that watches the host", []string{"--aio", "a:" + dir + ",notify"},
			config{aio: []aioSpec{{"a", aio.Opts{Root: dir, Notify: true}}}}},
		{"aio file handles", []string{"--aio", "a:" + dir + ",inode-file-handles=prefer,node-fds=100,announce-submounts"},
			config{aio: []aioSpec{{"a", aio.Opts{Root: dir, AnnounceSubmounts: true, InodeFileHandles: aio.FileHandlesPrefer,
				NodeFDs: 100}}}}},
		{"RPC and configuration",
			[]string{"-r", "/run/x.sock", "--rpc-socket-mode", "660", "--rpcs-allowed=rpc_get_methods,fuse_mount",
				"--wait-for-rpc", "-c", "x.json", "--json-ignore-init-errors"},
			config{o: app.Options{RPCSocket: "/run/x.sock", RPCListen: rpc.ListenOptions{Mode: 0o660}, WaitForRPC: true,
				ConfigFile: "x.json", RPCAllowlist: []string{"rpc_get_methods", "fuse_mount"}, IgnoreConfigErrors: true}}},
		{"log", []string{"-L", "rpc", "--logflag=all", "--silence-noticelog"},
			config{o: app.Options{LogFlags: []string{"rpc", "all"}, PrintLevel: log.Debug}}},
		{"SPDK's other name", []string{"--json", "x.json"}, config{o: app.Options{ConfigFile: "x.json"}}},
		{"no RPC", []string{"--no-rpc-server", "-r", "/run/x.sock"}, config{}},
		{"short flag", []string{"-m", mask}, config{o: app.Options{CPUMask: cpuset}}},
		{"short flag with its value", []string{"-m" + mask}, config{o: app.Options{CPUMask: cpuset}}},
		{"short flag with an equals sign", []string{"-m=" + mask}, config{o: app.Options{CPUMask: cpuset}}},
		{"long flag with an equals sign", []string{"--cpumask=" + mask}, config{o: app.Options{CPUMask: cpuset}}},
		{"switches off", []string{"--stats", "--allow-other=true", "--stats=false", "--allow-other=false"}, config{}},
		{"switch takes no word", []string{"--stats", "--null", "n"}, config{stats: true, null: []string{"n"}}},
		{"no passthrough", []string{"--no-passthrough"}, config{noPass: true}},
		{"end of the flags", []string{"--stats", "--"}, config{stats: true}},
		{"last one counts", []string{"--mode", "poll", "--mode", "hybrid"}, config{mode: new(reactor.ModeHybrid)}},
		{"interrupt mode", []string{"--interrupt-mode"}, config{o: app.Options{Mode: reactor.ModeInterrupt}}},
		{"one device twice", []string{"--null", "n", "--mount", "n=" + dir, "--mount", "n=" + dir2},
			config{null: []string{"n"}, mounts: []mountSpec{{"n", dir}, {"n", dir2}}}},
		{"cache none", []string{"--cache", "none"}, config{cache: fusedispatcher.CacheNone}},
		{"smallest write", []string{"--max-write", "4096"}, config{maxWrite: 4096}},
		{"largest write", []string{"--max-write", "1m"}, config{maxWrite: 1 << 20}},
		{"equals sign in the directory", []string{"--null", "n", "--mount", "n=" + mkdir(t, dir, "a=b")},
			config{null: []string{"n"}, mounts: []mountSpec{{"n", filepath.Join(dir, "a=b")}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseArgs(test.args)
			if err != nil {
				t.Fatal(err)
			}
			if test.want.maxWrite == 0 {
				test.want.maxWrite = defaultWrite
			}
			test.want.o.Name = progName
			if test.want.o.RPCSocket == "" && !slices.Contains(test.args, "--no-rpc-server") {
				test.want.o.RPCSocket, test.want.o.RPCSocketOptional = rpc.DefaultSocket, true
			}
			diff := cmp.Diff(&test.want, got, cmp.AllowUnexported(config{}, memfsSpec{}, aioSpec{}, mountSpec{},
				reactor.Cpuset{}), cmpopts.IgnoreFields(config{}, "common"))
			if diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func mkdir(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// badFlags are command lines that have to be refused, and what the one line says.
func badFlags(t *testing.T) []struct {
	name string
	args []string
	want string
} {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"--frobnicate"}, "unknown flag: --frobnicate"},
		{"unknown flag with a value", []string{"--frobnicate=1"}, "unknown flag: --frobnicate"},
		{"unknown flag of two lines", []string{"--frob\nnicate"}, "unknown flag: --frob; nicate"},
		{"unknown short flag", []string{"-z"}, "unknown shorthand flag: 'z' in -z"},
		{"one dash", []string{"-cpumask", "0x1"}, `unexpected argument "0x1"`},
		{"RPC to wait for without a server", []string{"--wait-for-rpc", "--no-rpc-server"}, "--wait-for-rpc: nobody can be"},
		{"empty RPC socket", []string{"-r", ""}, "the path of the RPC socket is empty"},
		{"metrics for all", []string{"--metrics", "0.0.0.0:9464"},
			`invalid argument "0.0.0.0:9464" for "--metrics" flag: 0.0.0.0:9464 can be reached from other machines`},
		{"metrics nowhere", []string{"--metrics", "9464"}, `"9464" is not unix:PATH, 127.0.0.1:PORT or [::1]:PORT`},
		{"RPC socket mode", []string{"--rpc-socket-mode", "888"}, `"888" are not permission bits`},
		{"RPC that there is not", []string{"--rpcs-allowed", "fly"}, `there is no RPC "fly"`},
		{"log flag that there is not", []string{"-L", "fly"}, `there is no flag "fly"`},
		{"empty configuration", []string{"-c", ""}, "the name of the configuration is empty"},
		{"one dash and a letter that is a flag", []string{"-memfs", "a"},
			`invalid argument "emfs" for "-m, --cpumask" flag: CPU mask "emfs"`},
		{"prefix of a flag", []string{"--cpu", "0x1"}, "unknown flag: --cpu"},
		{"three dashes", []string{"---stats"}, "bad flag syntax: ---stats"},
		{"no name", []string{"--=1"}, "bad flag syntax: --=1"},
		{"argument", []string{"mem0"}, `unexpected argument "mem0"`},
		{"argument before a flag", []string{"mem0", "--help"}, `unexpected argument "mem0"`},
		{"argument after a flag", []string{"--stats", "yes"}, `unexpected argument "yes"`},
		{"argument after two dashes", []string{"--", "--stats"}, `unexpected argument "--stats"`},
		{"lone dash", []string{"-"}, `unexpected argument "-"`},
		{"empty argument", []string{""}, `unexpected argument ""`},
		{"value missing", []string{"--cpumask"}, "flag needs an argument: --cpumask"},
		{"short value missing", []string{"-m"}, "flag needs an argument: 'm' in -m"},
		{"switch neither on nor off", []string{"--stats=yes"},
			`invalid argument "yes" for "--stats" flag: must be true or false`},
		{"flag for a value", []string{"--cache", "--stats"}, `invalid argument "--stats" for "--cache" flag`},
		{"cpumask empty", []string{"--cpumask", ""}, `invalid argument "" for "-m, --cpumask" flag: CPU mask ""`},
		{"cpumask zero", []string{"--cpumask", "0x0"},
			`invalid argument "0x0" for "-m, --cpumask" flag: CPU mask "0x0"`},
		{"cpumask no hex", []string{"--cpumask", "0xg"},
			`invalid argument "0xg" for "-m, --cpumask" flag: CPU mask "0xg"`},
		{"cpumask open list", []string{"--cpumask", "[0"},
			`invalid argument "[0" for "-m, --cpumask" flag: CPU mask "[0"`},
		{"cpumask backwards", []string{"--cpumask", "[1-0]"},
			`invalid argument "[1-0]" for "-m, --cpumask" flag: CPU mask "[1-0]"`},
		{"cpumask without such a CPU", []string{"--cpumask", "[1000]"}, "--cpumask: CPU 1000 cannot be used here"},
		{"mode", []string{"--mode", "fast"},
			`invalid argument "fast" for "--mode" flag: "fast" is not a mode (want hybrid, poll or interrupt)`},
		{"mode empty", []string{"--mode="}, `invalid argument "" for "--mode" flag: "" is not a mode`},
		{"cache", []string{"--cache", "some"},
			`invalid argument "some" for "--cache" flag: "some" is not a cache policy (want none, auto or always)`},
		{"max-write text", []string{"--max-write", "lots"},
			`invalid argument "lots" for "--max-write" flag: "lots" is not a size`},
		{"max-write negative", []string{"--max-write", "-1"},
			`invalid argument "-1" for "--max-write" flag: "-1" is not a size`},
		{"max-write small", []string{"--max-write", "2K"},
			`invalid argument "2K" for "--max-write" flag: "2K" is not a multiple of 4K from 4K to 1M`},
		{"max-write large", []string{"--max-write", "2M"},
			`invalid argument "2M" for "--max-write" flag: "2M" is not a multiple of 4K from 4K to 1M`},
		{"max-write odd", []string{"--max-write", "5000"},
			`invalid argument "5000" for "--max-write" flag: "5000" is not a multiple of 4K from 4K to 1M`},
		{"max-write overflow", []string{"--max-write", "99999999T"},
			`invalid argument "99999999T" for "--max-write" flag: "99999999T" is not a size`},
		{"aio without a directory", []string{"--aio", "a"}, `invalid argument "a" for "--aio" flag: "a" is not NAME:DIR`},
		{"aio with an empty directory", []string{"--aio", "a:"}, `invalid argument "a:" for "--aio" flag: "a:" is not`},
		{"aio without a name", []string{"--aio", ":" + dir}, `"" is not a device name`},
		{"aio option", []string{"--aio", "a:" + dir + ",fast"}, `"fast" is not an option of aio`},
		{"aio option with a value", []string{"--aio", "a:" + dir + ",ro=1"}, `"ro=1" is not an option of aio`},
		{"aio notify and writeback", []string{"--aio", "a:" + dir + ",notify,writeback"},
			`notify and writeback do not go together`},
		{"aio notify and file handles", []string{"--aio", "a:" + dir + ",notify,inode-file-handles=prefer"},
			`notify and inode-file-handles do not go together`},
		{"aio trailing comma", []string{"--aio", "a:" + dir + ","}, `"" is not an option of aio`},
		{"aio workers", []string{"--aio", "a:" + dir + ",workers=0"}, `workers: "0" is not a number from 1 to 1023`},
		{"aio translation", []string{"--aio", "a:" + dir + ",translate-gid=map:0:1"},
			`translate-gid: translation of group IDs: "map:0:1" has 2 numbers (want map:GUEST:HOST:COUNT)`},
		{"aio max-write", []string{"--aio", "a:" + dir + ",max-write=5000"}, `"5000" is not a multiple of 4K from 4K to 1M`},
		{"timeout", []string{"--attr-timeout", "-1"}, `"-1" is not a number of seconds from 0 to 31536000`},
		{"timeout that is none", []string{"--entry-timeout", "NaN"}, `"NaN" is not a number of seconds`},
		{"aio xattrmap", []string{"--aio", "a:" + dir + ",xattrmap=:ok:client:::"},
			`xattrmap: xattr map: some names of the host match no rule: end with a rule for the rest, like :ok:all::: or`},
		{"aio xattrmap without rules", []string{"--aio", "a:" + dir + ",xattrmap"},
			`"xattrmap" is not an option of aio (want ro, `},
		{"aio ACLs in the way of a map", []string{"--aio", "a:" + dir + ",xattrmap=:map::user.v.:,posix-acl"},
			`posix-acl: the xattr map changes system.posix_acl_access, where ACLs are: begin it with :ok:all:system.`},
		{"sandbox", []string{"--sandbox", "jail"}, `invalid argument "jail" for "--sandbox" flag: "jail" is not a sandbox`},
		{"sandbox chroot of two", []string{"--aio", "a:" + dir, "--aio", "b:" + dir, "--sandbox", "chroot"},
			"--sandbox chroot wants one --aio, not 2"},
		{"sandbox chroot of nothing", []string{"--sandbox", "chroot"}, "--sandbox chroot wants one --aio, not 0"},
		{"modcaps", []string{"--modcaps", "sys_admin"},
			`invalid argument "sys_admin" for "--modcaps" flag: "sys_admin" is not +CAPABILITY or -CAPABILITY`},
		{"seccomp", []string{"--seccomp", "trap"}, `invalid argument "trap" for "--seccomp" flag: "trap" is not a seccomp`},
		{"aio file handles", []string{"--aio", "a:" + dir + ",inode-file-handles=yes"},
			`inode-file-handles: "yes" is not never, prefer or mandatory`},
		{"aio descriptors", []string{"--aio", "a:" + dir + ",node-fds=0"}, `node-fds: "0" is not a number above zero`},
		{"aio no such directory", []string{"--aio", "a:" + dir + "/none"}, "--aio: stat "},
		{"aio no directory", []string{"--aio", "a:" + file}, "--aio: " + file + " is not a directory"},
		{"memfs empty", []string{"--memfs", ""}, `invalid argument "" for "--memfs" flag: "" is not a device name`},
		{"memfs with a blank", []string{"--memfs", "a b"},
			`invalid argument "a b" for "--memfs" flag: "a b" is not a device name`},
		{"memfs with a slash", []string{"--memfs", "a/b"},
			`invalid argument "a/b" for "--memfs" flag: "a/b" is not a device name`},
		{"memfs option", []string{"--memfs", "m,colour=red"},
			`invalid argument "m,colour=red" for "--memfs" flag: "colour=red" is not an option of memfs`},
		{"memfs option without a value", []string{"--memfs", "m,size"},
			`invalid argument "m,size" for "--memfs" flag: "size" is not an option of memfs`},
		{"memfs trailing comma", []string{"--memfs", "m,"},
			`invalid argument "m," for "--memfs" flag: "" is not an option of memfs`},
		{"memfs size", []string{"--memfs", "m,size=big"},
			`invalid argument "m,size=big" for "--memfs" flag: size: "big" is not a number above zero`},
		{"memfs size zero", []string{"--memfs", "m,size=0"},
			`invalid argument "m,size=0" for "--memfs" flag: size: "0" is not a number above zero`},
		{"memfs inodes", []string{"--memfs", "m,inodes=4K"},
			`invalid argument "m,inodes=4K" for "--memfs" flag: inodes: "4K" is not a number above zero`},
		{"null with options", []string{"--null", "n=1"},
			`invalid argument "n=1" for "--null" flag: "n=1" is not a device name`},
		{"name twice", []string{"--memfs", "a", "--null", "a"}, `there are two devices named "a"`},
		{"mount without a directory", []string{"--null", "n", "--mount", "n"},
			`invalid argument "n" for "--mount" flag: "n" is not NAME=DIR`},
		{"mount on nothing", []string{"--null", "n", "--mount", "n="},
			`invalid argument "n=" for "--mount" flag: "n=" is not NAME=DIR`},
		{"mount of nothing", []string{"--mount", "=" + dir}, `for "--mount" flag: "" is not a device name`},
		{"mount of an unknown device", []string{"--memfs", "a", "--mount", "b=" + dir},
			`--mount: there is no device "b" (create it with --memfs b)`},
		{"mount on a file", []string{"--null", "n", "--mount", "n=" + file}, "is not a directory"},
		{"mount on what is not there", []string{"--null", "n", "--mount", "n=" + dir + "/none"}, "no such file or directory"},
		{"mount twice", []string{"--null", "n", "--mount", "n=" + dir, "--mount", "n=" + dir + "/."}, "is given twice"},
		{"wrong flag after a right one", []string{"--stats", "--nope"}, "unknown flag: --nope"},
	}
}

func TestParseArgsRefuses(t *testing.T) {
	for _, test := range badFlags(t) {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(test.args, &stdout, &stderr); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			said := stderr.String()
			if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "spdk_tgt: ") || !strings.Contains(said, test.want) {
				t.Errorf("stderr is %q, want one line with %q", said, test.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout is %q", &stdout)
			}
		})
	}
}

func TestHelpExplainsEveryFlag(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--stats", "--help", "--nonsense"}, {"-hz"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit code %d, stderr %q", args, code, &stderr)
		}
		text := stdout.String()
		flags, _ := newFlags()
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			_, help, ok := strings.Cut(text, "--"+f.Name)
			if !ok || f.Usage == "" {
				t.Errorf("--help does not explain --%s", f.Name)
			}
			help, _, _ = strings.Cut(help, "\n      --")
			if f.Name == "help" || f.Name == "version" {
				return
			}
			if f.DefValue == "" || !strings.Contains(help, "(default") {
				t.Errorf("--help does not say the default of --%s", f.Name)
			}
			if f.NoOptDefVal == "" && !strings.Contains(help, "e.g.") {
				t.Errorf("--help has no example of --%s", f.Name)
			}
		})
		if !strings.Contains(text, "Example") || !strings.Contains(text, "--memfs mem0,size=4G --mount mem0=/mnt/mem") {
			t.Error("--help has no example")
		}
		for line := range strings.Lines(text) {
			if len(strings.TrimSuffix(line, "\n")) > helpColumns {
				t.Errorf("--help has a long line: %q", line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"--version", "-v"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{arg}, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("exit code %d, stderr %q", code, &stderr)
		}
		if text := stdout.String(); !strings.Contains(text, app.Version) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s says %q", arg, text)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "1": 1, "4096": 4096, "4k": 4 << 10, "4K": 4 << 10, "3M": 3 << 20, "2g": 2 << 30, "1T": 1 << 40,
		"16777215T": 16777215 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1.5G", "1KB", "1KK", "16777216T", "0x10", " 1", "1 K"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d", text, got)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	f.Add("--memfs\x00m,size=1G\x00--cpumask\x000x1")
	f.Add("-m[0]\x00--mount=a=b")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseArgs(strings.Split(line, "\x00"))
		if err == nil && c == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}

func TestNoTraceInASandbox(t *testing.T) {
	aio := "--aio=a:" + t.TempDir()
	for _, args := range [][]string{{aio, "-e", "thread"}, {"--seccomp=log", "-e", "thread"}} {
		c, err := parseArgs(args)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := c.containment(); err == nil || !strings.Contains(err.Error(), "a trace is not for a sandbox") {
			t.Errorf("%q: %+v, %v", args, k, err)
		}
	}
	c, err := parseArgs([]string{aio, "--sandbox", "none", "--seccomp", "none", "-e", "thread"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.containment(); err != nil {
		t.Errorf("without a sandbox: %v", err)
	}
}
