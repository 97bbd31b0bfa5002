package initrpc_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/rpc/rpctest"
)

// paths returns the paths of three sockets.
func paths(t *testing.T) []string {
	dir := t.TempDir()
	return []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")}
}

func listenAll(t *testing.T, svc *rpc.Service, paths []string, o rpc.ListenOptions) (list []*rpc.Server) {
	t.Helper()
	for _, path := range paths {
		srv, err := svc.Listen(path, o)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, srv)
	}
	return list
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestRunMultipleServersStopAll(t *testing.T) {
	svc, list := rpctest.NewService(t, nil), paths(t)
	listenAll(t, svc, list, rpc.ListenOptions{})
	if _, err := svc.Listen(list[1], rpc.ListenOptions{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same address again: %v", err)
	}
	if err := svc.Close(); err != nil {
		t.Error(err)
	}
	for _, path := range list {
		if exists(path) {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := svc.Listen(list[0], rpc.ListenOptions{}); !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("after the end: %v", err)
	}
}

func TestRunMultipleServersStopSingles(t *testing.T) {
	svc, list := rpctest.NewService(t, nil), paths(t)
	for i, srv := range listenAll(t, svc, list, rpc.ListenOptions{}) {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		for j, path := range list {
			if exists(path) != (j > i) {
				t.Errorf("after the end of %d: %s is there: %v", i, path, exists(path))
			}
		}
	}
}

const request = `{"id":1,"method":"rpc_get_methods"}`

func TestRPCSetSpdkLogOpts(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	var log strings.Builder
	srv := rpctest.Listen(t, svc, rpc.ListenOptions{Trace: func(d rpc.Direction, text []byte) {
		fmt.Fprintf(&log, "%s: %s\n", d, text)
	}})
	w := rpctest.Dial(t, srv.Path())
	w.Say(request)
	answer := w.Hear()
	srv.Close()
	if want := "request: " + request + "\nresponse: " + answer + "\n\n"; log.String() != want {
		t.Errorf("got  %q\nwant %q", log.String(), want)
	}
}

func TestRPCSetSpdkLogDefaultOpts(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	traced := 0
	// The options are those of a server: another one has its own.
	first := rpctest.Listen(t, svc, rpc.ListenOptions{Trace: func(rpc.Direction, []byte) { traced++ }})
	w := rpctest.Dial(t, rpctest.Listen(t, svc, rpc.ListenOptions{}).Path())
	w.Say(request)
	w.Hear()
	first.Close()
	if traced != 0 {
		t.Errorf("%d lines of the one are in the log of the other", traced)
	}
}

func TestPauseResumeServers(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	for _, srv := range listenAll(t, svc, paths(t), rpc.ListenOptions{}) {
		w := rpctest.Dial(t, srv.Path())
		srv.Pause()
		w.Say(request)
		if !w.Silent(10 * time.Millisecond) {
			t.Error("a paused server answers")
		}
		srv.Resume()
		if w.Hear() == "" {
			t.Error("the connection has ended")
		}
	}
}

func TestRemovePausedServers(t *testing.T) {
	svc, list := rpctest.NewService(t, nil), paths(t)
	for i, srv := range listenAll(t, svc, list, rpc.ListenOptions{Paused: true}) {
		w := rpctest.Dial(t, srv.Path())
		w.Say(request)
		if err := srv.Close(); err != nil || exists(list[i]) {
			t.Errorf("%v, is there: %v", err, exists(list[i]))
		}
		if got := w.Hear(); got != "" {
			t.Errorf("a paused server has answered %s", got)
		}
	}
}
