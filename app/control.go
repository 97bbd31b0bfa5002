package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// control is how the application is driven from outside: its RPC server and its configuration.
type control struct {
	svc     *rpc.Service
	srv     *rpc.Server // nil if there is none
	missing error       // why there is none, if it was optional
	config  *rpc.Config // nil if there is none
	start   chan *startInit
	waiters []*rpc.Request[rpc.None, bool] // for the start; the app thread's
	asked   bool                           // somebody has called framework_start_init; the app thread's
}

// startInit is a framework_start_init that has not been answered.
type startInit struct{ req *rpc.Request[rpc.None, bool] }

var appKey = reactor.NewExtKey()

// Of returns the application that t belongs to, nil if its framework is no application's. Any goroutine.
//
// Not in SPDK, where it is the process.
func Of(t *reactor.Thread) *App {
	a, _ := t.Framework().Ext(appKey, func() any { return (*App)(nil) }).(*App)
	return a
}

// RPC returns the methods of the application, nil before [App.Start].
//
// Not in SPDK, where it is the process.
func (a *App) RPC() *rpc.Service { return a.control.svc }

// Answer runs fn in a goroutine of the application, see [App.Go], and answers the request with what it returns. It is
// for handlers of what must not run on a reactor.
//
// Not in SPDK.
func Answer[P, R any](t *reactor.Thread, req *rpc.Request[P, R], fn func(a *App) (R, error)) {
	a := Of(t)
	err := a.Go(func(context.Context) error {
		if result, err := fn(a); err != nil {
			req.FailErr(err)
		} else {
			req.Reply(result)
		}
		return nil
	})
	if err != nil {
		req.FailErr(err)
	}
}

// checkControl checks the options that have to do with this.
func (o *Options) checkControl() error {
	switch {
	case o.WaitForRPC && o.RPCSocket == "" && o.RPCBound == nil:
		return fmt.Errorf("app: nobody can be waited for without an RPC socket: %w", syscall.EINVAL)
	case o.RPCSocket != "" && o.RPCBound != nil:
		return fmt.Errorf("app: there are two RPC sockets, a path and another: %w", syscall.EINVAL)
	case o.ConfigFile != "" && o.Config != nil:
		return fmt.Errorf("app: there are two configurations, a file and another: %w", syscall.EINVAL)
	}
	for _, name := range o.RPCAllowlist {
		if _, ok := rpc.MethodStates(name); !ok {
			return fmt.Errorf("app: there is no RPC %q that could be allowed: %w", name, syscall.EINVAL)
		}
	}
	return nil
}

// readConfig reads the configuration before anything runs.
func (a *App) readConfig() (err error) {
	text := a.o.Config
	if a.o.ConfigFile != "" {
		if text, err = os.ReadFile(a.o.ConfigFile); err != nil {
			return fmt.Errorf("app: %w", err)
		}
	} else if text == nil {
		return nil
	}
	a.control.config, err = rpc.ParseConfig(a.configName(), text)
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	return nil
}

// configName is what errors call the configuration.
func (a *App) configName() string { return cmp.Or(a.o.ConfigFile, a.o.ConfigName, "configuration") }

// bringUp does what there is to do between the start of the reactors and that of the application proper: subsystems,
// with the configuration before and after them. It stops without an error when the application is stopped.
//
// SPDK: bootstrap_fn, app_subsystem_init_done
func (a *App) bringUp(start StartFunc) (err error) {
	c := &a.control
	if err := a.loadConfig(rpc.Startup); err != nil || a.ctx.Err() != nil {
		return err
	}
	if err := a.listen(); err != nil {
		return err
	}
	var asked *startInit
	if a.o.WaitForRPC {
		select {
		case asked = <-c.start:
		case <-a.ctx.Done():
			return nil
		}
		c.srv.Pause() // see framework_start_init
	}
	err = a.initSubsystems()
	if err == nil && a.ctx.Err() == nil {
		Call(a.thread, func(*reactor.Thread) { c.svc.SetState(rpc.Runtime) })
		err = a.loadConfig(rpc.Runtime)
	}
	if err == nil && a.ctx.Err() == nil {
		if errno := Call(a.thread, func(t *reactor.Thread) { err = start(t, a) }); errno != 0 {
			err = fmt.Errorf("app: start: %w", errno)
		}
	}
	stopped := err
	if err == nil && a.ctx.Err() != nil {
		stopped = ErrStopped
	}
	a.answerStart(asked, stopped)
	if c.srv != nil && err == nil {
		c.srv.Resume()
	}
	return err
}

// listen opens the RPC socket. Requests wait until everything is up, unless that is what they are waited for.
func (a *App) listen() error {
	c := &a.control
	if a.o.RPCSocket == "" && a.o.RPCBound == nil {
		return nil
	}
	o := a.o.RPCListen
	o.Paused = !a.o.WaitForRPC
	if o.Trace == nil {
		o.Trace = a.traceRPC()
	}
	var srv *rpc.Server
	var err error
	if a.o.RPCBound != nil {
		srv, err = c.svc.Serve(a.o.RPCBound, o)
	} else {
		srv, err = c.svc.Listen(a.o.RPCSocket, o)
	}
	switch {
	case err == nil:
	case a.o.RPCSocketOptional && !a.o.WaitForRPC:
		c.missing = err
		return nil
	default:
		return fmt.Errorf("app: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.srv = srv
	return nil
}

// answerStart answers those who have asked for the start, or to hear of it.
func (a *App) answerStart(asked *startInit, err error) {
	Call(a.thread, func(*reactor.Thread) {
		waiters := a.control.waiters
		a.control.waiters = nil
		if asked != nil {
			waiters = append(waiters, asked.req)
		}
		for _, req := range waiters {
			if err == nil {
				req.Reply(true)
			} else {
				req.Fail(rpc.InternalError, "%v", err)
			}
		}
	})
}

// loadConfig makes the calls of the configuration that belong to a state.
//
// SPDK: app_json_config_load_subsystem and what it calls
func (a *App) loadConfig(state rpc.State) error {
	if a.control.config == nil {
		return nil
	}
	for _, s := range a.control.config.Subsystems {
		for i := range s.Config {
			err := a.loadEntry(s.Subsystem, &s.Config[i], state)
			switch {
			case a.ctx.Err() != nil:
				return nil // stopped meanwhile
			case err == nil:
			case a.o.IgnoreConfigErrors:
				a.o.Log.Warn("an error of the configuration is ignored", "error", err)
			default:
				return fmt.Errorf("app: %w", err)
			}
		}
	}
	return nil
}

// loadEntry makes a call, or those of a batch, if this is the state for them.
func (a *App) loadEntry(subsystem string, e *rpc.ConfigEntry, state rpc.State) error {
	states := rpc.Startup | rpc.Runtime
	for _, call := range e.Calls {
		s, ok := rpc.MethodStates(call.Method)
		switch {
		case ok:
			states &= s
		case a.o.IgnoreConfigErrors || !a.hasSubsystem(subsystem):
			// One file can be for several programs.
			if state == rpc.Startup {
				a.o.Log.Info("skipped what this program does not have", "method", call.Method, "subsystem", subsystem,
					"line", call.Line)
			}
			return nil
		default:
			return a.configError(&call, errors.New("there is no such method"))
		}
	}
	switch {
	case len(e.Calls) > 0 && states == 0:
		return a.configError(&e.Calls[0], errors.New("the methods of this batch cannot be called in one state"))
	case states&state == 0, state == rpc.Runtime && states&rpc.Startup != 0:
		return nil // not yet, or done already
	}
	var errs []error
	for i := range e.Calls {
		if err := a.makeCall(&e.Calls[i]); err != nil {
			errs = append(errs, a.configError(&e.Calls[i], err))
		}
	}
	return errors.Join(errs...)
}

// slowCall is when a call of the configuration is reported that has not been answered.
const slowCall = 10 * time.Second

func (a *App) makeCall(call *rpc.ConfigCall) error {
	slow := time.AfterFunc(slowCall, func() {
		a.o.Log.Warn("a call of the configuration takes its time", "method", call.Method, "line", call.Line)
	})
	defer slow.Stop()
	var params any
	if call.Params != nil {
		params = call.Params
	}
	_, err := a.control.svc.Call(a.ctx, call.Method, params)
	return err
}

// configError says where in the configuration an error is.
func (a *App) configError(call *rpc.ConfigCall, err error) error {
	return fmt.Errorf("%s:%d: %s: %w", a.configName(), call.Line, call.Method, err)
}

func (a *App) hasSubsystem(name string) bool {
	return slices.ContainsFunc(allSubsystems(&a.o), func(s Subsystem) bool { return s.Name == name })
}

// closeControl ends the RPC server: nobody is to ask for anything any more.
func (a *App) closeControl() {
	Call(a.thread, func(*reactor.Thread) {
		for _, req := range a.control.waiters {
			req.FailErr(ErrStopped)
		}
		a.control.waiters = nil
		select {
		case asked := <-a.control.start:
			asked.req.FailErr(ErrStopped)
		default:
		}
	})
	if err := a.control.svc.Close(); err != nil {
		a.o.Log.Warn("end of the RPC server", "error", err)
	}
}

// RPCSocket returns where the RPC socket is, "" if there is none.
//
// Not in SPDK.
func (a *App) RPCSocket() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.control.srv == nil {
		return ""
	}
	return a.control.srv.Path()
}

// RPCError returns why there is no RPC socket, if it is optional and could not be had. To be called after the start.
//
// Not in SPDK.
func (a *App) RPCError() error { return a.control.missing }
