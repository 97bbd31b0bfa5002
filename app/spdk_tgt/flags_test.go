package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
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
			"--allow-other", "--stats",
		}, config{
			cpumask: cpuset, mode: reactor.ModePoll, cache: fusedispatcher.CacheAlways, maxWrite: 64 << 10,
			allowOther: true, stats: true,
			memfs:  []memfsSpec{{"mem0", 4 << 30, 1000}, {"mem1", 0, 0}},
			null:   []string{"null0"},
			mounts: []mountSpec{{"mem0", dir}, {"null0", dir2}},
		}},
		{"short flag", []string{"-m", mask}, config{cpumask: cpuset}},
		{"short flag with its value", []string{"-m" + mask}, config{cpumask: cpuset}},
		{"last one counts", []string{"--mode", "poll", "--mode", "hybrid"}, config{mode: reactor.ModeHybrid}},
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
			diff := cmp.Diff(&test.want, got, cmp.AllowUnexported(config{}, memfsSpec{}, mountSpec{}, reactor.Cpuset{}))
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
		{"unknown flag", []string{"--frobnicate"}, `unknown flag "--frobnicate"`},
		{"unknown flag with a value", []string{"--frobnicate=1"}, `unknown flag "--frobnicate"`},
		{"unknown short flag", []string{"-z"}, `unknown flag "-z"`},
		{"one dash", []string{"-cpumask", "0x1"}, `unknown flag "-cpumask"`},
		{"prefix of a flag", []string{"--cpu", "0x1"}, `unknown flag "--cpu"`},
		{"argument", []string{"mem0"}, `unexpected argument "mem0"`},
		{"lone dash", []string{"-"}, `unexpected argument "-"`},
		{"two dashes", []string{"--"}, `unexpected argument "--"`},
		{"empty argument", []string{""}, `unexpected argument ""`},
		{"value missing", []string{"--cpumask"}, "--cpumask needs a value: --cpumask MASK"},
		{"short value missing", []string{"-m"}, "-m needs a value: -m MASK"},
		{"value too many", []string{"--stats=yes"}, `--stats takes no value, but was given "yes"`},
		{"cpumask empty", []string{"--cpumask", ""}, `--cpumask: CPU mask ""`},
		{"cpumask zero", []string{"--cpumask", "0x0"}, `--cpumask: CPU mask "0x0"`},
		{"cpumask no hex", []string{"--cpumask", "0xg"}, `--cpumask: CPU mask "0xg"`},
		{"cpumask open list", []string{"--cpumask", "[0"}, `--cpumask: CPU mask "[0"`},
		{"cpumask backwards", []string{"--cpumask", "[1-0]"}, `--cpumask: CPU mask "[1-0]"`},
		{"cpumask without such a CPU", []string{"--cpumask", "[1000]"}, "--cpumask: CPU 1000 cannot be used here"},
		{"mode", []string{"--mode", "fast"}, `--mode: "fast" is not a mode (want poll or hybrid)`},
		{"mode empty", []string{"--mode="}, `--mode: "" is not a mode`},
		{"cache", []string{"--cache", "some"}, `--cache: "some" is not a cache policy (want none, auto or always)`},
		{"max-write text", []string{"--max-write", "lots"}, `--max-write: "lots" is not a size`},
		{"max-write negative", []string{"--max-write", "-1"}, `--max-write: "-1" is not a size`},
		{"max-write small", []string{"--max-write", "2K"}, `--max-write: "2K" is not a multiple of 4K from 4K to 1M`},
		{"max-write large", []string{"--max-write", "2M"}, `--max-write: "2M" is not a multiple of 4K from 4K to 1M`},
		{"max-write odd", []string{"--max-write", "5000"}, `--max-write: "5000" is not a multiple of 4K from 4K to 1M`},
		{"max-write overflow", []string{"--max-write", "99999999T"}, `--max-write: "99999999T" is not a size`},
		{"memfs empty", []string{"--memfs", ""}, `--memfs: "" is not a device name`},
		{"memfs with a blank", []string{"--memfs", "a b"}, `--memfs: "a b" is not a device name`},
		{"memfs with a slash", []string{"--memfs", "a/b"}, `--memfs: "a/b" is not a device name`},
		{"memfs option", []string{"--memfs", "m,colour=red"}, `--memfs: "colour=red" is not an option of memfs`},
		{"memfs option without a value", []string{"--memfs", "m,size"}, `--memfs: "size" is not an option of memfs`},
		{"memfs trailing comma", []string{"--memfs", "m,"}, `--memfs: "" is not an option of memfs`},
		{"memfs size", []string{"--memfs", "m,size=big"}, `--memfs: size: "big" is not a number above zero`},
		{"memfs size zero", []string{"--memfs", "m,size=0"}, `--memfs: size: "0" is not a number above zero`},
		{"memfs inodes", []string{"--memfs", "m,inodes=4K"}, `--memfs: inodes: "4K" is not a number above zero`},
		{"null with options", []string{"--null", "n=1"}, `--null: "n=1" is not a device name`},
		{"name twice", []string{"--memfs", "a", "--null", "a"}, `there are two devices named "a"`},
		{"mount without a directory", []string{"--null", "n", "--mount", "n"}, `--mount: "n" is not NAME=DIR`},
		{"mount on nothing", []string{"--null", "n", "--mount", "n="}, `--mount: "n=" is not NAME=DIR`},
		{"mount of nothing", []string{"--mount", "=" + dir}, `--mount: "" is not a device name`},
		{"mount of an unknown device", []string{"--memfs", "a", "--mount", "b=" + dir},
			`--mount: there is no device "b" (create it with --memfs b)`},
		{"mount on a file", []string{"--null", "n", "--mount", "n=" + file}, "is not a directory"},
		{"mount on what is not there", []string{"--null", "n", "--mount", "n=" + dir + "/none"}, "no such file or directory"},
		{"mount twice", []string{"--null", "n", "--mount", "n=" + dir, "--mount", "n=" + dir + "/."}, "is given twice"},
		{"wrong flag after a right one", []string{"--stats", "--nope"}, `unknown flag "--nope"`},
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
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--stats", "--help", "--nonsense"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit code %d, stderr %q", args, code, &stderr)
		}
		text := stdout.String()
		for _, f := range flagDefs {
			if !strings.Contains(text, "--"+f.long) {
				t.Errorf("--help does not mention --%s", f.long)
			}
			if f.arg != "" && !strings.Contains(f.help, "Default") {
				t.Errorf("--help does not say the default of --%s", f.long)
			}
		}
		if !strings.Contains(text, "Example") || !strings.Contains(text, "--memfs mem0,size=4G --mount mem0=/mnt/mem") {
			t.Error("--help has no example")
		}
		for line := range strings.Lines(text) {
			if len(line) > 100 {
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
		if err != nil && !errors.Is(err, errHelp) && !errors.Is(err, errVersion) && strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has more than one line: %q", err)
		}
	})
}
