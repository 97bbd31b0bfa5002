package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// rpcComponent is what is said at the RPC socket, with its flag set and at level DEBUG.
const rpcComponent = "rpc"

// setUpLog puts the settings between the application and its log.
func (a *App) setUpLog() error {
	a.logging = log.NewSettings()
	a.logging.SetPrintLevel(a.o.PrintLevel)
	for _, flag := range a.o.LogFlags {
		if err := a.logging.SetFlag(flag); err != nil {
			return err
		}
	}
	a.o.Log = slog.New(a.logging.Handler(a.o.Log.Handler(), a.o.LogSink))
	return nil
}

// traceRPC logs what is said at the RPC socket.
func (a *App) traceRPC() func(rpc.Direction, []byte) {
	l := a.o.Log.With("component", rpcComponent)
	return func(d rpc.Direction, text []byte) {
		if l.Enabled(context.Background(), slog.LevelDebug) {
			l.Debug("rpc", string(d), string(text))
		}
	}
}

type levelParams struct {
	Level log.Level `json:"level" doc:"the least important that is kept"`
}

type flagParams struct {
	Flag string `json:"flag" doc:"a component, see log_get_flags, or all"`
}

type timestampsParams struct {
	Enabled bool `json:"enabled" doc:"whether lines have times"`
}

// logConfig returns the calls that bring the log to where it is, as far as it is not as it was at first.
//
// Not in SPDK, which does not save that.
func logConfig(s *log.Settings) (calls []fsdev.ConfigCall) {
	if l := s.Level(); l != log.Notice {
		calls = append(calls, fsdev.ConfigCall{Method: "log_set_level", Params: levelParams{l}})
	}
	if l := s.PrintLevel(); l != log.Notice {
		calls = append(calls, fsdev.ConfigCall{Method: "log_set_print_level", Params: levelParams{l}})
	}
	flags := s.Flags()
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if flags[name] {
			calls = append(calls, fsdev.ConfigCall{Method: "log_set_flag", Params: flagParams{name}})
		}
	}
	return calls
}

// logSetter makes a handler of what changes a setting.
func logSetter[P any](set func(s *log.Settings, p *P) error) func(*reactor.Thread, *rpc.Request[P, bool]) {
	return func(t *reactor.Thread, req *rpc.Request[P, bool]) {
		if err := set(Of(t).logging, &req.Params); err != nil {
			req.Fail(rpc.InvalidParams, "%v", err)
			return
		}
		req.Reply(true)
	}
}

// logGetter makes a handler of what reads a setting.
func logGetter[R any](get func(s *log.Settings) R) func(*reactor.Thread, *rpc.Request[rpc.None, R]) {
	return func(t *reactor.Thread, req *rpc.Request[rpc.None, R]) { req.Reply(get(Of(t).logging)) }
}

func init() {
	log.RegisterFlag(rpcComponent)
	both := rpc.Startup | rpc.Runtime
	rpc.Register(rpc.Method{Name: "log_set_print_level", States: both, Doc: "Say what of the log is printed."},
		logSetter(func(s *log.Settings, p *levelParams) error {
			s.SetPrintLevel(p.Level)
			return nil
		}))
	rpc.Register(rpc.Method{Name: "log_get_print_level", States: both, Doc: "Tell what of the log is printed."},
		logGetter((*log.Settings).PrintLevel))
	rpc.Register(rpc.Method{Name: "log_set_level", States: both,
		Doc: "Say what of the log goes to the application's second log, if it has one; spdk_tgt has none."},
		logSetter(func(s *log.Settings, p *levelParams) error {
			s.SetLevel(p.Level)
			return nil
		}))
	rpc.Register(rpc.Method{Name: "log_get_level", States: both,
		Doc: "Tell what of the log goes to the application's second log."},
		logGetter((*log.Settings).Level))
	rpc.Register(rpc.Method{Name: "log_set_flag", States: both,
		Doc: "Have a component log lines of levels INFO and DEBUG, if the levels let them through."},
		logSetter(func(s *log.Settings, p *flagParams) error { return s.SetFlag(p.Flag) }))
	rpc.Register(rpc.Method{Name: "log_clear_flag", States: both, Doc: "Undo log_set_flag."},
		logSetter(func(s *log.Settings, p *flagParams) error { return s.ClearFlag(p.Flag) }))
	rpc.Register(rpc.Method{Name: "log_get_flags", States: both, Doc: "Tell which flags there are, and which are set."},
		logGetter((*log.Settings).Flags))
	rpc.Register(rpc.Method{Name: "log_enable_timestamps", States: rpc.Runtime,
		Doc: "Say whether lines of the log have times."},
		logSetter(func(s *log.Settings, p *timestampsParams) error {
			s.EnableTimestamps(p.Enabled)
			return nil
		}))
}
