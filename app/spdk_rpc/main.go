// Command spdk_rpc calls the methods of an application that is running.
//
//	spdk_rpc fsdev_memfs_create mem0 --size 64M
//	spdk_rpc fuse_mount mem0 /mnt/mem
//	spdk_rpc --json fsdev_get_iostat --name mem0
//	spdk_rpc save_config -o tgt.json
//
// There is a command for each method of spdk_tgt. Parameters are flags; those that a method wants can also be given
// without the flag's name, in order. What only the application knows is called with "spdk_rpc call METHOD [JSON]".
//
// The exit code is 0 if the method has succeeded, 1 if the application has refused it, or a file could not be read or
// written, 2 for a command line that makes no sense, and 3 if there was no connection or no answer in time: the method
// may have run then.
//
// SPDK: scripts/rpc.py
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spdk-go/spdk-go/rpc"

	_ "github.com/spdk-go/spdk-go/app" // each brings its RPCs
	_ "github.com/spdk-go/spdk-go/app/ebpf"
	_ "github.com/spdk-go/spdk-go/app/fusemount"
	_ "github.com/spdk-go/spdk-go/app/metrics"
	_ "github.com/spdk-go/spdk-go/modules/aio"
	_ "github.com/spdk-go/spdk-go/modules/memfs"
	_ "github.com/spdk-go/spdk-go/modules/null"
)

const progName = "spdk_rpc"

// Exit codes.
const (
	exitOK      = 0
	exitRefused = 1
	exitUsage   = 2
	exitLost    = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{}
	root := p.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	var refused *rpc.Error
	if p.json && errors.As(err, &refused) {
		text, _ := encode(struct { // a number and a string can always be written
			Error *rpc.Error `json:"error"`
		}{refused}, "  ")
		fmt.Fprintf(stderr, "%s\n", text)
	} else {
		fmt.Fprintf(stderr, "%s: %s\n", progName, printable(err.Error()))
	}
	return exitCode(err)
}

// failure is an error of something that was tried; all others are about the command line.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func exitCode(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return exitUsage
}
