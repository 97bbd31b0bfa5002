package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

// childEnv makes the test binary play a program that a test sends signals to.
const childEnv = "APP_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

func options() app.Options {
	return app.Options{
		Name:                  "test",
		NoPin:                 true,
		CPUMask:               reactor.NewCpuset(0, 1),
		DisableSignalHandlers: true,
		Log:                   slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// within fails the test when fn takes longer than anything here should.
func within[T any](t *testing.T, what string, fn func() T) T {
	t.Helper()
	result := make(chan T, 1)
	go func() { result <- fn() }()
	select {
	case r := <-result:
		return r
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s takes too long\n%s", what, buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

func run(t *testing.T, o app.Options, start app.StartFunc) error {
	t.Helper()
	return within(t, "Run", func() error { return app.Run(o, start) })
}

func TestRunAgainAndAgain(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	goroutines := runtime.NumGoroutine()
	fds := openFiles(t)
	for i := range 5 {
		o := options()
		o.NoPin = i%2 == 0 // pinned reactors leave nothing behind either
		if !o.NoPin {
			o.CPUMask = nil
		}
		calls := 0
		err := run(t, o, func(th *reactor.Thread, a *app.App) error {
			th.AssertCurrent()
			if th != a.Thread() || th != a.Framework().AppThread() || th.Name() != "app_thread" {
				t.Errorf("start runs on thread %s", th.Name())
			}
			if got, want := runtime.GOMAXPROCS(0), len(a.Cores())+2; got != want {
				t.Errorf("GOMAXPROCS = %d, want %d", got, want)
			}
			calls++
			a.Stop(nil)
			a.Stop(nil)
			return nil
		})
		if err != nil || calls != 1 {
			t.Fatalf("run %d: start was called %d times, error %v", i, calls, err)
		}
	}
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("GOMAXPROCS = %d afterwards, %d before", got, procs)
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
	if got := openFiles(t); got > fds {
		t.Errorf("%d files are open afterwards, %d before", got, fds)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestAppsSideBySide(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	var apps []*app.App
	for range 2 {
		a, err := app.New(options())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, a)
	}
	if got, want := runtime.GOMAXPROCS(0), 2*2+2; got != want {
		t.Errorf("GOMAXPROCS = %d with two apps of two reactors, want %d", got, want)
	}
	for _, a := range apps {
		a.Stop(nil)
		if err := within(t, "Wait", a.Wait); err != nil {
			t.Error(err)
		}
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS = %d afterwards, want %d", got, before)
	}
}

func TestFsdevIsUp(t *testing.T) {
	o := options()
	o.Fsdev = fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}
	err := run(t, o, func(th *reactor.Thread, a *app.App) error {
		a.Stop(nil)
		return fsdev.Initialize(th, fsdev.Opts{})
	})
	if !errors.Is(err, syscall.EALREADY) {
		t.Errorf("a second initialisation of fsdev gives %v, want EALREADY", err)
	}
}

var errTest = errors.New("it went wrong")

func TestErrorsComeOut(t *testing.T) {
	broken := app.Subsystem{Name: "broken", Init: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(errTest) }}
	leaky := app.Subsystem{
		Name: "leaky",
		Init: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Fini: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(errTest) },
	}
	stop := func(_ *reactor.Thread, a *app.App) error { a.Stop(nil); return nil }
	for _, test := range []struct {
		name       string
		subsystems []app.Subsystem
		start      app.StartFunc
	}{
		{name: "start", start: func(*reactor.Thread, *app.App) error { return errTest }},
		{name: "stop", start: func(_ *reactor.Thread, a *app.App) error { a.Stop(errTest); return nil }},
		{name: "first error counts", start: func(_ *reactor.Thread, a *app.App) error {
			a.Stop(nil)
			a.Stop(errTest)
			a.Stop(io.EOF)
			return nil
		}},
		{name: "goroutine", start: func(_ *reactor.Thread, a *app.App) error {
			return a.Go(func(context.Context) error { return errTest })
		}},
		{name: "subsystem init", subsystems: []app.Subsystem{broken}, start: stop},
		{name: "subsystem fini", subsystems: []app.Subsystem{leaky}, start: stop},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			o.Subsystems = test.subsystems
			if err := run(t, o, test.start); !errors.Is(err, errTest) {
				t.Errorf("Run returns %v, want %v", err, errTest)
			}
		})
	}
}

// traced is a subsystem that writes down what happens to it.
func traced(trace *[]string, name string, deps ...string) app.Subsystem {
	return app.Subsystem{
		Name: name, DependsOn: deps,
		Init: func(th *reactor.Thread, _ *app.App, done func(error)) {
			th.AssertCurrent()
			*trace = append(*trace, "+"+name)
			if name == "bad" {
				done(errTest)
				return
			}
			// Later is as good as at once.
			th.SendMsg(func(*reactor.Thread, any) { done(nil) }, nil)
		},
		Fini: func(th *reactor.Thread, _ *app.App, done func(error)) {
			th.AssertCurrent()
			*trace = append(*trace, "-"+name)
			go done(nil)
		},
	}
}

func TestSubsystemOrder(t *testing.T) {
	for _, test := range []struct {
		name string
		list func(trace *[]string) []app.Subsystem
		want []string
	}{
		{"as given", func(tr *[]string) []app.Subsystem {
			return []app.Subsystem{traced(tr, "a"), traced(tr, "b")}
		}, []string{"+a", "+b", "start", "-b", "-a"}},
		{"by dependency", func(tr *[]string) []app.Subsystem {
			return []app.Subsystem{traced(tr, "a", "c", "fsdev"), traced(tr, "b", "a"), traced(tr, "c")}
		}, []string{"+c", "+a", "+b", "start", "-b", "-a", "-c"}},
		{"diamond", func(tr *[]string) []app.Subsystem {
			return []app.Subsystem{traced(tr, "d", "b", "c"), traced(tr, "c", "a"), traced(tr, "b", "a"), traced(tr, "a")}
		}, []string{"+a", "+b", "+c", "+d", "start", "-d", "-c", "-b", "-a"}},
		{"failure", func(tr *[]string) []app.Subsystem {
			return []app.Subsystem{traced(tr, "a"), traced(tr, "bad", "a"), traced(tr, "c", "bad")}
		}, []string{"+a", "+bad", "-a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trace []string
			o := options()
			o.Subsystems = test.list(&trace)
			err := run(t, o, func(_ *reactor.Thread, a *app.App) error {
				trace = append(trace, "start")
				a.Stop(nil)
				return nil
			})
			if failed := slices.Contains(test.want, "+bad"); failed != (err != nil) {
				t.Errorf("Run returns %v", err)
			}
			if diff := cmp.Diff(test.want, trace); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	var trace []string
	for _, test := range []struct {
		name   string
		change func(o *app.Options)
		want   string
	}{
		{"no CPU", func(o *app.Options) { o.CPUMask = reactor.NewCpuset() }, "empty"},
		{"absent CPU", func(o *app.Options) {
			o.CPUMask = reactor.NewCpuset(1000)
			o.NoPin = false
		}, "CPU 1000 cannot be used here"},
		{"missing subsystem", func(o *app.Options) {
			o.Subsystems = []app.Subsystem{traced(&trace, "a", "nowhere")}
		}, `"a" depends on "nowhere"`},
		{"circle", func(o *app.Options) {
			o.Subsystems = []app.Subsystem{traced(&trace, "a", "b"), traced(&trace, "b", "c"), traced(&trace, "c", "a")}
		}, "a -> b -> c -> a"},
		{"twice", func(o *app.Options) {
			o.Subsystems = []app.Subsystem{traced(&trace, "a"), traced(&trace, "a")}
		}, `two subsystems "a"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			test.change(&o)
			_, err := app.New(o)
			if !errors.Is(err, syscall.EINVAL) || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("New returns %v, want EINVAL with %q", err, test.want)
			}
		})
	}
	if len(trace) != 0 {
		t.Errorf("something was started: %v", trace)
	}
}

func TestGoroutinesAreWaitedFor(t *testing.T) {
	var ended, finished atomic.Bool
	o := options()
	o.Subsystems = []app.Subsystem{{
		Name: "s",
		Init: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Fini: func(_ *reactor.Thread, _ *app.App, done func(error)) {
			finished.Store(ended.Load())
			done(nil)
		},
	}}
	var a *app.App
	err := run(t, o, func(_ *reactor.Thread, started *app.App) error {
		a = started
		a.Stop(nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Go(func(context.Context) error { t.Error("called after the end"); return nil }); err != app.ErrStopped {
		t.Errorf("Go after the end returns %v, want ErrStopped", err)
	}

	err = run(t, o, func(_ *reactor.Thread, a *app.App) error {
		err := a.Go(func(ctx context.Context) error {
			<-ctx.Done()
			// Reactors still answer.
			if errno := app.Call(a.Thread(), func(*reactor.Thread) {}); errno != 0 {
				t.Errorf("Call during the shutdown: %v", errno)
			}
			ended.Store(true)
			return nil
		})
		a.Stop(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !finished.Load() {
		t.Error("subsystems were ended before the goroutine")
	}
}

func TestCallAfterTheEnd(t *testing.T) {
	var th *reactor.Thread
	if err := run(t, options(), func(started *reactor.Thread, a *app.App) error {
		th = started
		a.Stop(nil)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if errno := app.Call(th, func(*reactor.Thread) { t.Error("called") }); errno != syscall.ESRCH {
		t.Errorf("Call on a thread that has exited returns %v, want ESRCH", errno)
	}
}

func TestSignalsStop(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			o := options()
			o.DisableSignalHandlers = false
			err := run(t, o, func(*reactor.Thread, *app.App) error { return syscall.Kill(os.Getpid(), sig) })
			if err != nil {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

func TestShutdownCallback(t *testing.T) {
	calls := 0
	o := options()
	o.DisableSignalHandlers = false
	o.Shutdown = func(th *reactor.Thread, a *app.App) {
		th.AssertCurrent()
		calls++
		a.Stop(errTest)
	}
	err := run(t, o, func(*reactor.Thread, *app.App) error { return syscall.Kill(os.Getpid(), syscall.SIGTERM) })
	if err != errTest || calls != 1 {
		t.Errorf("Run returns %v after %d calls of Shutdown, want %v after 1", err, calls, errTest)
	}
}

// child is an application that never comes to an end by itself.
func child() {
	o := options()
	o.DisableSignalHandlers = false
	err := app.Run(o, func(_ *reactor.Thread, a *app.App) error {
		return a.Go(func(ctx context.Context) error {
			fmt.Println("up")
			<-ctx.Done()
			fmt.Println("stopping")
			select {}
		})
	})
	fmt.Println("unexpected end:", err)
}

func TestSecondSignalAborts(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, 64)
		n, _ := out.Read(buf)
		if got := strings.TrimSpace(string(buf[:n])); got != want {
			t.Fatalf("the child says %q, want %q\n%s", got, want, &stderr)
		}
	}
	expect("up")
	cmd.Process.Signal(syscall.SIGTERM)
	expect("stopping")
	cmd.Process.Signal(syscall.SIGINT)
	within(t, "the end of the child", func() error { return cmd.Wait() })
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGINT {
		t.Errorf("the child ended with %v, want SIGINT", cmd.ProcessState)
	}
	if !strings.Contains(stderr.String(), "second signal") {
		t.Errorf("stderr: %q", &stderr)
	}
}

func TestCheckCPUs(t *testing.T) {
	for _, test := range []struct {
		want, allowed *reactor.Cpuset
		err           string
	}{
		{reactor.NewCpuset(0), reactor.NewCpuset(0, 1), ""},
		{reactor.NewCpuset(0, 1), reactor.NewCpuset(0, 1), ""},
		{reactor.NewCpuset(2), reactor.NewCpuset(0, 1), "CPU 2 cannot be used here (only 0-1)"},
		{reactor.NewCpuset(0, 3, 4, 5, 7), reactor.NewCpuset(0, 2), "CPU 3-5,7 cannot be used here (only 0,2)"},
	} {
		err := app.CheckCPUs(test.want, test.allowed)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.err || (err != nil && !errors.Is(err, syscall.EINVAL)) {
			t.Errorf("CheckCPUs(%v, %v) = %q, want %q", test.want, test.allowed, got, test.err)
		}
	}
}

func TestCPUsAreClaimed(t *testing.T) {
	o := options()
	o.NoPin, o.CPUMask = false, nil
	unlocked := o
	unlocked.DisableCPUMaskLocks = true
	run := func(o app.Options) (stop func(), err error) {
		a, err := app.New(o)
		if err != nil {
			t.Fatal(err)
		}
		err = a.Start(func(*reactor.Thread, *app.App) error { return nil })
		return func() {
			a.Stop(nil)
			if err := within(t, "Wait", a.Wait); err != nil {
				t.Error(err)
			}
		}, err
	}
	mustRun := func(what string, o app.Options) (stop func()) {
		stop, err := run(o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return stop
	}
	stop := mustRun("first", o)
	if _, err := run(o); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a second application on the same CPU: %v", err)
	}
	mustRun("without locks", unlocked)()
	stop()
	mustRun("after the first one has ended", o)()
}
