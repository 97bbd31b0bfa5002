package jsonconfig_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// made are the calls that the configuration of a test makes, in order.
var made []string

type noteParams struct {
	Text string `json:"text"`
}

func note(what string) func(*reactor.Thread, *rpc.Request[noteParams, bool]) {
	return func(_ *reactor.Thread, req *rpc.Request[noteParams, bool]) {
		made = append(made, what+" "+req.Params.Text)
		if req.Params.Text == "fail" {
			req.Fail(rpc.InternalError, "it fails")
			return
		}
		req.Reply(true)
	}
}

func init() {
	rpc.Register(rpc.Method{Name: "jc_startup", States: rpc.Startup, Doc: "Note."}, note("startup"))
	rpc.Register(rpc.Method{Name: "jc_runtime", States: rpc.Runtime, Doc: "Note."}, note("runtime"))
	rpc.Register(rpc.Method{Name: "jc_both", States: rpc.Startup | rpc.Runtime, Doc: "Note."}, note("both"))
}

// load starts an application with a configuration and returns the calls that it makes.
func load(t *testing.T, config string, ignoreErrors bool) ([]string, error) {
	t.Helper()
	made = nil
	err := app.Run(app.Options{
		NoPin: true, DisableSignalHandlers: true, Config: []byte(config), IgnoreConfigErrors: ignoreErrors,
		Subsystems: []app.Subsystem{{
			Name: "ut",
			Init: func(_ *reactor.Thread, _ *app.App, done func(error)) {
				made = append(made, "init")
				done(nil)
			},
		}},
	}, func(_ *reactor.Thread, a *app.App) error {
		made = append(made, "start")
		a.Stop(nil)
		return nil
	})
	return made, err
}

func config(calls string) string {
	return `{"subsystems":[{"subsystem":"ut","config":[` + calls + `]}]}`
}

func call(method, text string) string {
	return `{"method":"` + method + `","params":{"text":"` + text + `"}}`
}

func TestStatesOfCalls(t *testing.T) {
	got, err := load(t, config(strings.Join([]string{
		call("jc_runtime", "1"), call("jc_both", "2"), call("jc_startup", "3"), call("jc_runtime", "4"),
	}, ",")), false)
	want := []string{"both 2", "startup 3", "init", "runtime 1", "runtime 4", "start"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestBatches(t *testing.T) {
	got, err := load(t, config(`[`+call("jc_both", "1")+`,`+call("jc_startup", "2")+`],[`+call("jc_runtime", "3")+`,`+
		call("jc_both", "4")+`],[]`), false)
	want := []string{"both 1", "startup 2", "init", "runtime 3", "both 4", "start"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := load(t, config(`[`+call("jc_startup", "1")+`,`+call("jc_runtime", "2")+`]`), false); err == nil {
		t.Error("a batch without a state of its own is accepted")
	}
}

func TestFirstErrorEndsIt(t *testing.T) {
	got, err := load(t, config(call("jc_startup", "fail")+`,`+call("jc_startup", "2")), false)
	if diff := cmp.Diff([]string{"startup fail"}, got); diff != "" || err == nil {
		t.Errorf("%v\n%s", err, diff)
	}
	var e *rpc.Error
	if !errors.As(err, &e) || e.Message != "it fails" || !strings.Contains(err.Error(), "configuration:1: jc_startup: ") {
		t.Error(err)
	}
}

func TestErrorsIgnored(t *testing.T) {
	got, err := load(t, config(call("jc_startup", "fail")+`,`+call("none", "")+`,`+call("jc_runtime", "fail")+`,`+
		call("jc_runtime", "2")), true)
	want := []string{"startup fail", "init", "runtime fail", "runtime 2", "start"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestUnknownSubsystemSkipped(t *testing.T) {
	got, err := load(t, `{"subsystems":[{"subsystem":"nvmf","config":[{"method":"nvmf_x"}]},{"subsystem":"ut","config":[`+
		call("jc_startup", "1")+`]}]}`, false)
	if diff := cmp.Diff([]string{"startup 1", "init", "start"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := load(t, config(`{"method":"nvmf_x"}`), false); err == nil {
		t.Error("an unknown method of a known subsystem is accepted")
	}
}

func TestCommentsAllowed(t *testing.T) {
	for _, text := range []string{
		"// remark\n" + config(call("jc_startup", "1")), "/* a\n b */" + config("/**/"+call("jc_startup", "1")+"// x\n"),
		config(call("jc_startup", "1")) + "//",
	} {
		if got, err := load(t, text, false); err != nil || got[0] != "startup 1" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	got, err := load(t, config(call("jc_startup", "// no /* remark")), false)
	if err != nil || got[0] != "startup // no /* remark" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestShape(t *testing.T) {
	for _, good := range []string{
		`{}`, `{"subsystems":[]}`, `{"x":[1]}`, `{"subsystems":[{"subsystem":"x","config":null}]}`,
	} {
		if _, err := load(t, good, false); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{``, `[]`, `1`, `{"subsystems":{}}`, `{"subsystems":[{}]}`, "{\"a\":\"\xff\"}", `{}{}`,
		`{"subsystems":[{"subsystem":1,"config":[]}]}`, `{"subsystems":[{"subsystem":"x","config":{}}]}`,
		`{"subsystems":[{"subsystem":"x","config":[1]}]}`, `{"subsystems":[{"subsystem":"x","config":[[1]]}]}`,
		`{"subsystems":[{"subsystem":"x","config":[{"method":1}]}]}`,
		`{"subsystems":[{"subsystem":"x","config":[{"method":"m","method":"m"}]}]}`,
	} {
		if _, err := load(t, bad, false); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	var saved []string
	for range 2 {
		o := app.Options{NoPin: true, DisableSignalHandlers: true, RPCSocket: filepath.Join(t.TempDir(), "s")}
		if len(saved) > 0 {
			o.ConfigFile = file
		}
		a, err := app.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c, err := rpc.Dial(ctx, o.RPCSocket)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := rpc.SaveConfig(ctx, c)
		if err == nil {
			err = cfg.WriteFile(file)
		}
		c.Close()
		a.Stop(nil)
		text, readErr := os.ReadFile(file)
		if err := errors.Join(err, a.Wait(), readErr); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, string(text))
	}
	if diff := cmp.Diff(saved[0], saved[1]); diff != "" {
		t.Error(diff)
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "x.json"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("old"), 0o644), os.Symlink("x.json", link)); err != nil {
		t.Fatal(err)
	}
	cfg := &rpc.Config{}
	if err := cfg.WriteFile(link); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link: %v, %v", st, err)
	}
	if err := cfg.WriteFile(filepath.Join(dir, "none", "x.json")); err == nil {
		t.Error("written where there is no directory")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
