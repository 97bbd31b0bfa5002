// Record drives rpc.py or spdk_top of SPDK against spdk_tgt and writes down what went over the socket. Package contract
// says how to call it.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/test/contract"
)

// topTime is how long spdk_top runs: it reads everything once a second.
const topTime = 2 * time.Second

func main() {
	log.SetFlags(0)
	rpcpy := flag.String("rpcpy", "", "path of SPDK's rpc.py")
	spdkcli := flag.String("spdkcli", "", "path of SPDK's spdkcli.py")
	python := flag.String("python", "python3", "what runs them")
	spdktop := flag.String("spdktop", "", "path of SPDK's spdk_top")
	out := flag.String("o", "test/contract/testdata", "folder to write to")
	flag.Parse()
	if *rpcpy == "" && *spdkcli == "" && *spdktop == "" {
		log.Fatal("record: whose requests? See -rpcpy, -spdkcli and -spdktop")
	}
	if *rpcpy != "" {
		check(record(filepath.Join(*out, "rpcpy.txt"), func(t *contract.Target, dir string) ([]contract.Session, error) {
			return runRPC(*python, *rpcpy, t, dir)
		}))
	}
	if *spdkcli != "" {
		check(record(filepath.Join(*out, "spdkcli.txt"), func(t *contract.Target, dir string) ([]contract.Session, error) {
			return runCLI(*python, *spdkcli, t, dir)
		}))
	}
	if *spdktop != "" {
		check(record(filepath.Join(*out, "spdk_top.txt"), func(t *contract.Target, dir string) ([]contract.Session, error) {
			return runTop(*spdktop, t, dir)
		}))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// record starts spdk_tgt, has a tool at it, and writes what was said to a file.
func record(file string, tool func(t *contract.Target, dir string) ([]contract.Session, error)) error {
	dir, err := os.MkdirTemp("", "contract-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := contract.Build(dir)
	if err != nil {
		return err
	}
	target, err := contract.StartTarget(bin, dir, contract.TargetArgs...)
	if err != nil {
		return err
	}
	sessions, err := tool(target, dir)
	if err := errors.Join(err, target.Kill()); err != nil {
		return err
	}
	return os.WriteFile(file, contract.Format(sessions), 0o644)
}

func runRPC(python, rpcpy string, target *contract.Target, dir string) (list []contract.Session, err error) {
	tap, err := contract.NewTap(filepath.Join(dir, "tap.sock"), target.Socket)
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	for _, c := range contract.Commands() {
		args := append([]string{rpcpy, "-s", filepath.Join(dir, "tap.sock")}, c.Args...)
		cmd := exec.Command(python, args...)
		cmd.Stdin = strings.NewReader(c.Stdin)
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case c.Fails && !errors.As(err, &exit):
			return nil, fmt.Errorf("%q should fail: %w\n%s", c.Args, err, text)
		case !c.Fails && err != nil:
			return nil, fmt.Errorf("%q: %w\n%s", c.Args, err, text)
		}
		name := "rpc.py " + strings.Join(c.Args, " ")
		fmt.Printf("%s\n%s", name, text)
		list = append(list, tap.Take(name))
	}
	return list, target.Wait()
}

// runCLI has spdkcli.py draw its tree, and save and load the configuration.
func runCLI(python, spdkcli string, target *contract.Target, dir string) (list []contract.Session, err error) {
	end, err := target.Populate(dir)
	if err != nil {
		return nil, err
	}
	defer end()
	tap, err := contract.NewTap(filepath.Join(dir, "tap.sock"), target.Socket)
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	file := filepath.Join(dir, "tgt.json")
	for _, args := range [][]string{{"ls"}, {"save_config", file}, {"save_subsystem_config", file, "iobuf"}} {
		cmd := exec.Command(python, append([]string{spdkcli, "-s", filepath.Join(dir, "tap.sock")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir) // where it keeps its preferences
		text, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%q: %w\n%s", args, err, text)
		}
		name := "spdkcli.py " + args[0]
		fmt.Printf("%s\n%s", name, text)
		list = append(list, tap.Take(name))
	}
	return list, nil
}

func runTop(spdktop string, target *contract.Target, dir string) ([]contract.Session, error) {
	end, err := target.Populate(dir)
	if err != nil {
		return nil, err
	}
	defer end()
	tap, err := contract.NewTap(filepath.Join(dir, "tap.sock"), target.Socket)
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	// script gives it a terminal.
	cmd := exec.Command("script", "-qec", spdktop+" -r "+filepath.Join(dir, "tap.sock"), "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(topTime)
	s := tap.Take("spdk_top")
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	_ = cmd.Wait() // it was killed
	if n := len(s.Exchanges); n > 0 && s.Exchanges[n-1].Response == "" {
		s.Exchanges = s.Exchanges[:n-1]
	}
	if len(s.Exchanges) == 0 {
		return nil, fmt.Errorf("spdk_top said nothing: %s", &text)
	}
	return []contract.Session{s}, nil
}
