package subsystem_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// builtIn are the subsystems of every application, which come first as long as they depend on nothing.
var builtIn = []string{"scheduler", "iobuf", "fsdev"}

// graph makes subsystems of names and what they depend on; trace gets what happens to them.
func graph(trace *[]string, fail string, names []string, deps map[string][]string) (list []app.Subsystem) {
	for _, name := range names {
		list = append(list, app.Subsystem{
			Name: name, DependsOn: deps[name],
			Init: func(_ *reactor.Thread, _ *app.App, done func(error)) {
				*trace = append(*trace, name)
				if name == fail {
					done(syscall.EIO)
					return
				}
				done(nil)
			},
			Fini: func(_ *reactor.Thread, _ *app.App, done func(error)) {
				*trace = append(*trace, "-"+name)
				done(nil)
			},
		})
	}
	return list
}

// start brings up an application with these subsystems, and takes it down.
func start(list []app.Subsystem) error {
	return app.Run(app.Options{NoPin: true, DisableSignalHandlers: true, Subsystems: list},
		func(_ *reactor.Thread, a *app.App) error {
			a.Stop(nil)
			return nil
		})
}

// order returns the order in which they came up, having made sure that they went down in reverse.
func order(t *testing.T, names []string, deps map[string][]string) []string {
	t.Helper()
	var trace []string
	if err := start(graph(&trace, "", names, deps)); err != nil {
		t.Fatal(err)
	}
	up, down := trace[:len(names)], trace[len(names):]
	for i, name := range slices.Backward(up) {
		if got := down[len(up)-1-i]; got != "-"+name {
			t.Errorf("%s ends when it is the turn of %s", got, name)
		}
	}
	return up
}

func TestSubsystemSortTestDependsOnSingle(t *testing.T) {
	names := []string{"subsystem1", "subsystem2", "subsystem3", "subsystem4", "subsystem5"}
	deps := map[string][]string{"subsystem1": {"subsystem2"}, "subsystem2": {"subsystem3"}, "subsystem3": {"subsystem4"},
		"subsystem4": {"subsystem5"}, "subsystem5": {builtIn[2]}}
	want := slices.Clone(names)
	slices.Reverse(want)
	if diff := cmp.Diff(want, order(t, names, deps)); diff != "" {
		t.Error(diff)
	}
}

func TestSubsystemSortTestDependsOnMultiple(t *testing.T) {
	names := []string{"iscsi", "nvmf", "sock", "bdev", "rpc", "scsi", "interface", "accel"}
	deps := map[string][]string{
		"iscsi": {"scsi", "bdev", "rpc"}, "nvmf": {"interface", "bdev"}, "bdev": {"accel", "interface", "sock"},
		"rpc": {"interface"}, "scsi": {"bdev"}, "sock": {"interface"}, "accel": {"interface"},
	}
	got := order(t, names, deps)
	for name, wants := range deps {
		for _, d := range wants {
			if slices.Index(got, d) > slices.Index(got, name) {
				t.Errorf("%s is up before %s, on which it depends: %q", name, d, got)
			}
		}
	}
}

func TestSubsystemSortTestMissingDependency(t *testing.T) {
	var trace []string
	list := graph(&trace, "", []string{"subsystem1"}, map[string][]string{"subsystem1": {"subsystem2"}})
	if err := start(list); !errors.Is(err, syscall.EINVAL) || len(trace) > 0 {
		t.Errorf("without subsystem2: %v, %q", err, trace)
	}
	list = graph(&trace, "", []string{"subsystem1", "subsystem2"}, map[string][]string{"subsystem1": {"subsystem2"}})
	if err := start(list); err != nil {
		t.Errorf("with it: %v", err)
	}
}

func TestSubsystemFini(t *testing.T) {
	var trace []string
	list := graph(&trace, "bad", []string{"one", "two", "bad", "never"}, nil)
	if err := start(list); !errors.Is(err, syscall.EIO) {
		t.Errorf("it comes up: %v", err)
	}
	if diff := cmp.Diff([]string{"one", "two", "bad", "-two", "-one"}, trace); diff != "" {
		t.Error(diff)
	}
}
