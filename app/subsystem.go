package app

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/reactor"
)

// Subsystem is a part of an application that is brought up before the start function and
// taken down after everything else.
//
// SPDK: struct spdk_subsystem
type Subsystem struct {
	// Name is unique in an application.
	Name string
	// DependsOn names the subsystems that are up before this one, and go down after it.
	DependsOn []string
	// Init starts the subsystem, on the app thread, and calls done exactly once, then or
	// later, from any goroutine. After an error those already up are taken down again.
	Init func(t *reactor.Thread, a *App, done func(err error))
	// Fini ends the subsystem, on the app thread, and calls done exactly once, with what
	// went wrong in words. Nil if there is nothing to end. It is called only if Init succeeded.
	Fini func(t *reactor.Thread, a *App, done func(err error))
	// Config returns the calls that bring the subsystem to where it is, for framework_get_config. It is called on the
	// app thread, when everything is up. Nil if there is nothing to configure.
	//
	// SPDK: write_config_json
	Config func(t *reactor.Thread, a *App) []fsdev.ConfigCall
	// Holding says in words what the subsystem still has that keeps it from ending, for the report of an end that takes
	// its time, see [Options].HangTime. It is called in a goroutine of its own, and does not wait. May be nil.
	//
	// Not in SPDK.
	Holding func(a *App) []string
}

// registered is filled by init functions and read-only afterwards.
var registered struct {
	sync.Mutex
	list []Subsystem
}

// RegisterSubsystem makes s a part of every application. Call it from an init function. It
// panics if the name is taken.
//
// SPDK: spdk_add_subsystem, spdk_add_subsystem_depend
func RegisterSubsystem(s Subsystem) {
	registered.Lock()
	defer registered.Unlock()
	for i := range registered.list {
		if registered.list[i].Name == s.Name {
			panic(fmt.Sprintf("app: subsystem %q is registered twice", s.Name))
		}
	}
	registered.list = append(registered.list, s)
}

func init() {
	RegisterSubsystem(Subsystem{
		Name:   "log",
		Init:   func(_ *reactor.Thread, _ *App, done func(error)) { done(nil) },
		Config: func(_ *reactor.Thread, a *App) []fsdev.ConfigCall { return logConfig(a.logging) },
	})
	RegisterSubsystem(Subsystem{
		Name: "scheduler",
		Init: initScheduler,
		Fini: func(_ *reactor.Thread, a *App, done func(error)) { go func() { done(finiScheduler(a)) }() },
		Config: func(_ *reactor.Thread, a *App) []fsdev.ConfigCall {
			return schedulerConfig(a.fw)
		},
	})
	RegisterSubsystem(Subsystem{
		Name: "iobuf",
		Init: func(t *reactor.Thread, a *App, done func(error)) {
			go func() { done(iobuf.Initialize(t, a.o.Iobuf)) }() // it takes milliseconds
		},
		Fini: func(t *reactor.Thread, _ *App, done func(error)) {
			iobuf.Finish(t, func(_ *reactor.Thread, _ any, err error) { done(err) }, nil)
		},
		Config: func(_ *reactor.Thread, a *App) []fsdev.ConfigCall { return iobufConfig(a.fw) },
	})
	RegisterSubsystem(Subsystem{
		Name: "fsdev",
		Init: func(t *reactor.Thread, a *App, done func(error)) {
			fsdev.Observe(a.fw, a.fsdevChanged)
			done(fsdev.Initialize(t, a.o.Fsdev))
		},
		Fini: func(t *reactor.Thread, _ *App, done func(error)) {
			fsdev.Finish(t, func(_ *reactor.Thread, _ any, err error) { done(err) }, nil)
		},
		Config:  func(_ *reactor.Thread, a *App) []fsdev.ConfigCall { return fsdev.ConfigJSON(a.fw) },
		Holding: func(a *App) []string { return fsdev.Holding(a.fw) },
	})
}

func allSubsystems(o *Options) []Subsystem {
	registered.Lock()
	defer registered.Unlock()
	return slices.Concat(registered.list, o.Subsystems)
}

// sortSubsystems orders subsystems so that each comes after those it depends on, and
// otherwise as they were given.
//
// SPDK: subsystem_sort
func sortSubsystems(list []Subsystem) ([]*Subsystem, error) {
	byName := map[string]*Subsystem{}
	for i := range list {
		s := &list[i]
		if byName[s.Name] != nil {
			return nil, fmt.Errorf("app: there are two subsystems %q: %w", s.Name, syscall.EINVAL)
		}
		byName[s.Name] = s
	}
	var order []*Subsystem
	const visiting, visited = 1, 2
	state := map[*Subsystem]int{}
	var path []string
	var visit func(s *Subsystem) error
	visit = func(s *Subsystem) error {
		path = append(path, s.Name)
		defer func() { path = path[:len(path)-1] }()
		switch state[s] {
		case visiting:
			return fmt.Errorf("app: subsystems depend on each other (%s): %w", strings.Join(path, " -> "), syscall.EINVAL)
		case visited:
			return nil
		}
		state[s] = visiting
		for _, name := range s.DependsOn {
			d := byName[name]
			if d == nil {
				return fmt.Errorf("app: subsystem %q depends on %q, which there is not: %w", s.Name, name, syscall.EINVAL)
			}
			if err := visit(d); err != nil {
				return err
			}
		}
		state[s] = visited
		order = append(order, s)
		return nil
	}
	for i := range list {
		if err := visit(&list[i]); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// initSubsystems brings the subsystems up, one after another, until one fails or the
// application is stopped.
//
// SPDK: spdk_subsystem_init
func (a *App) initSubsystems() error {
	order, err := sortSubsystems(allSubsystems(&a.o))
	if err != nil {
		return err
	}
	for _, s := range order {
		if a.ctx.Err() != nil {
			return nil
		}
		err := a.call(func(t *reactor.Thread, done func(error)) { s.Init(t, a, done) })
		if err != nil {
			return fmt.Errorf("app: subsystem %s: %w", s.Name, err)
		}
		a.mu.Lock()
		a.running = append(a.running, s)
		a.mu.Unlock()
	}
	return nil
}

// finiSubsystems takes down what initSubsystems brought up, in reverse.
//
// SPDK: spdk_subsystem_fini
func (a *App) finiSubsystems() {
	for _, s := range slices.Backward(a.running) {
		if s.Fini == nil {
			continue
		}
		a.setStage("subsystem " + s.Name)
		err := a.call(func(t *reactor.Thread, done func(error)) { s.Fini(t, a, done) })
		if err != nil {
			a.Stop(fmt.Errorf("app: end of subsystem %s: %w", s.Name, err))
		}
	}
	a.mu.Lock()
	a.running = nil
	a.mu.Unlock()
}

// call runs fn on the app thread and waits for the error that it passes to done.
func (a *App) call(fn func(t *reactor.Thread, done func(err error))) (err error) {
	errno := CallAsync(a.thread, func(t *reactor.Thread, done func()) {
		fn(t, func(e error) {
			err = e
			done()
		})
	})
	if errno != 0 {
		return errno
	}
	return err
}
