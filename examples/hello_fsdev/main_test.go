package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mainEnv makes the test binary be the program.
const mainEnv = "HELLO_FSDEV_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestHello runs the program as users do: with the device that it makes, with one of a configuration, and wrongly.
func TestHello(t *testing.T) {
	config := filepath.Join(t.TempDir(), "hello.json")
	text := `{"subsystems": [{"subsystem": "fsdev", "config": [
		{"method": "fsdev_memfs_create", "params": {"name": "mine", "size": 1048576}}]}]}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"", 0, "Fs0: hello_"},
		{"--fsdev mine -c " + config, 0, "mine: hello_"},
		{"--fsdev", 2, "hello_fsdev: flag needs an argument: --fsdev\n"},
	} {
		args := append(strings.Fields(test.args), "--disable-cpumask-locks", "--no-rpc-server")
		if test.code != 0 {
			args = strings.Fields(test.args)
		}
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), mainEnv+"=1")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("%q: exit code %d, %q, want %d, %q", test.args, code, out, test.code, test.want)
		}
	}
}
