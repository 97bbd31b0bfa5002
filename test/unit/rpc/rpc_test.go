package rpc_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	_ "github.com/spdk-go/spdk-go/app" // for spdk_get_version
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/rpc/rpctest"
)

func init() {
	yes := func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) { req.Reply(true) }
	rpc.Register(rpc.Method{Name: "ut_startup", States: rpc.Startup, Doc: "Early."}, yes)
	rpc.Register(rpc.Method{Name: "ut_runtime", States: rpc.Runtime, Doc: "Late."}, yes)
	rpc.RegisterAlias("ut_runtime", "ut_runtime_old")
}

const yes = `{"jsonrpc":"2.0","id":1,"result":true}`

func call(method string) string { return `{"jsonrpc":"2.0","id":1,"method":"` + method + `"}` }

func TestJSONRPCHandler(t *testing.T) {
	var log strings.Builder
	svc := rpctest.NewService(t, textLog(&log))
	w := rpctest.Dial(t, rpctest.Listen(t, svc, rpc.ListenOptions{}).Path())
	w.Expect(call("ut_none"), `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`)
	w.Expect(call("ut_startup"), yes)
	w.Say(call("ut_runtime_old"))
	if got := w.Hear(); !strings.Contains(got, `"code":-1,"message":"Method may only be called after framework`) {
		t.Error(got)
	}
	svc.SetState(rpc.Runtime)
	w.Expect(call("ut_runtime")+call("ut_runtime_old")+call("ut_runtime_old"), yes, yes, yes)
	w.Say(call("ut_startup"))
	if got := w.Hear(); !strings.Contains(got, `"code":-1,"message":"Method may only be called before framework`) {
		t.Error(got)
	}
	svc.Close() // so that the log is ours
	if n := strings.Count(log.String(), "method=ut_runtime_old instead=ut_runtime"); n != 1 {
		t.Errorf("the old name is reported %d times: %s", n, &log)
	}
}

func TestSpdkRPCIsMethodAllowed(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	for _, tc := range []struct {
		method string
		state  rpc.State
		want   error
	}{
		{"ut_startup", rpc.Startup, nil},
		{"ut_startup", rpc.Runtime, syscall.EPERM},
		{"ut_startup", rpc.Startup | rpc.Runtime, syscall.EPERM},
		{"rpc_get_methods", rpc.Startup | rpc.Runtime, nil},
		{"ut_none", rpc.Runtime, syscall.ENOENT},
	} {
		if err := svc.IsMethodAllowed(tc.method, tc.state); !errors.Is(err, tc.want) {
			t.Errorf("%s in %v: %v, want %v", tc.method, tc.state, err, tc.want)
		}
	}
	svc.SetAllowlist([]string{"rpc_get_methods"})
	if err := svc.IsMethodAllowed("ut_startup", rpc.Startup); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("not on the list: %v", err)
	}
}

func TestRPCGetMethods(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	w := rpctest.Dial(t, rpctest.Listen(t, svc, rpc.ListenOptions{}).Path())
	w.Expect(`{"id":1,"method":"rpc_get_methods","params":{"current":1}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid parameters: current: want true or false"}}`)
	for params, want := range map[string][3]bool{ // ut_startup, ut_runtime, ut_runtime_old
		``:                                   {true, true, false},
		`,"params":{}`:                       {true, true, false},
		`,"params":{"current":true}`:         {true, false, false},
		`,"params":{"current":false}`:        {true, true, false},
		`,"params":{"include_aliases":true}`: {true, true, true},
		`,"params":{"include_aliases":true,"current":true}`: {true, false, false},
	} {
		w.Say(`{"id":1,"method":"rpc_get_methods"` + params + `}`)
		got := w.Hear()
		for i, name := range []string{"ut_startup", "ut_runtime", "ut_runtime_old"} {
			if strings.Contains(got, `"`+name+`"`) != want[i] {
				t.Errorf("%s: %s is in the list: %v\n%s", params, name, !want[i], got)
			}
		}
	}
	if names := svc.Methods(false, true); !slices.IsSorted(names) {
		t.Error(names)
	}
}

func TestRPCSpdkGetVersion(t *testing.T) {
	w := rpctest.Dial(t, rpctest.Listen(t, rpctest.NewService(t, nil), rpc.ListenOptions{}).Path())
	w.Expect(`{"id":1,"method":"spdk_get_version","params":{"x":1}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"'spdk_get_version' requires no parameters"}}`)
	w.Say(call("spdk_get_version"))
	got := w.Hear()
	for _, want := range []string{`"version":"`, `"fields":{"major":`, `"minor":`, `"patch":`, `"suffix":`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestSpdkRPCListenClose(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	path := filepath.Join(t.TempDir(), "x.sock")
	srv, err := svc.Listen(path, rpc.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{true, false} {
		for _, name := range []string{path, path + ".lock"} {
			if _, err := os.Lstat(name); (err == nil) != there {
				t.Errorf("%s is there: %v, want %v", name, err == nil, there)
			}
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "/" + strings.Repeat("x", 200)} {
		if _, err := svc.Listen(bad, rpc.ListenOptions{}); err == nil {
			t.Errorf("a server listens at %q", bad)
		}
	}
}

func TestRPCRunMultipleServers(t *testing.T) {
	svc := rpctest.NewService(t, nil)
	a, b := rpctest.Listen(t, svc, rpc.ListenOptions{}), rpctest.Listen(t, svc, rpc.ListenOptions{})
	wa, wb := rpctest.Dial(t, a.Path()), rpctest.Dial(t, b.Path())
	wa.Expect(call("ut_startup"), yes)
	wb.Expect(call("ut_startup"), yes)
	a.Close()
	if got := wa.Hear(); got != "" {
		t.Error(got)
	}
	wb.Expect(call("ut_startup"), yes)
}
