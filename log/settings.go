package log

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Level is how important a line is, in SPDK's words. slog's Info is Notice here, and Info is between that and Debug.
//
// SPDK: enum spdk_log_level, without SPDK_LOG_DISABLED
type Level slog.Level

// The levels.
const (
	Error  = Level(slog.LevelError)
	Warn   = Level(slog.LevelWarn)
	Notice = Level(slog.LevelInfo)
	Info   = Level(slog.LevelDebug + 2)
	Debug  = Level(slog.LevelDebug)
)

var levels = []struct {
	level Level
	name  string
}{{Error, "ERROR"}, {Warn, "WARNING"}, {Notice, "NOTICE"}, {Info, "INFO"}, {Debug, "DEBUG"}}

// String returns the name of the level, or that of the next lower one.
func (l Level) String() string {
	for _, known := range levels {
		if l >= known.level {
			return known.name
		}
	}
	return levels[len(levels)-1].name
}

// MarshalText returns the name of the level.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText sets the level to the one of that name.
func (l *Level) UnmarshalText(text []byte) error {
	for _, known := range levels {
		if known.name == string(text) {
			*l = known.level
			return nil
		}
	}
	return fmt.Errorf("log: there is no level %q, only %s: %w", text, strings.Join(l.Values(), ", "), syscall.EINVAL)
}

// Values returns the names of the levels.
func (Level) Values() (names []string) {
	for _, known := range levels {
		names = append(names, known.name)
	}
	return names
}

// AllFlags stands for every flag.
const AllFlags = "all"

// registered is filled by init functions and read-only afterwards.
var registered struct {
	sync.Mutex
	flags []string
}

// RegisterFlag makes a component known that says more when its flag is set: what it logs below [Notice], with the
// attribute "component" of this name, is dropped otherwise. Call it from an init function. It panics if the name is
// taken.
//
// SPDK: SPDK_LOG_REGISTER_COMPONENT, spdk_log_register_flag
func RegisterFlag(component string) {
	registered.Lock()
	defer registered.Unlock()
	if component == "" || component == AllFlags || slices.Contains(registered.flags, component) {
		panic(fmt.Sprintf("log: flag %q is registered twice, or cannot be", component))
	}
	registered.flags = append(registered.flags, component)
}

// Settings are what of an application's log is kept.
//
// Not in SPDK, where they are the process's.
type Settings struct {
	level   atomic.Int64
	print   atomic.Int64
	noTimes atomic.Bool
	flags   map[string]*atomic.Bool // the map does not change
}

// NewSettings returns settings with both levels at [Notice] and no flag set.
func NewSettings() *Settings {
	s := &Settings{flags: map[string]*atomic.Bool{}}
	registered.Lock()
	defer registered.Unlock()
	for _, name := range registered.flags {
		s.flags[name] = new(atomic.Bool)
	}
	return s
}

// SetLevel says how important a line must be to be stored, that is to get to the second handler of
// [Settings.Handler].
//
// SPDK: spdk_log_set_level
func (s *Settings) SetLevel(l Level) { s.level.Store(int64(l)) }

// Level returns what SetLevel has set.
//
// SPDK: spdk_log_get_level
func (s *Settings) Level() Level { return Level(s.level.Load()) }

// SetPrintLevel says how important a line must be to be printed, that is to get to the first handler of
// [Settings.Handler].
//
// SPDK: spdk_log_set_print_level
func (s *Settings) SetPrintLevel(l Level) { s.print.Store(int64(l)) }

// PrintLevel returns what SetPrintLevel has set.
//
// SPDK: spdk_log_get_print_level
func (s *Settings) PrintLevel() Level { return Level(s.print.Load()) }

// EnableTimestamps says whether lines have times, as they do at first.
//
// SPDK: spdk_log_enable_timestamps
func (s *Settings) EnableTimestamps(on bool) { s.noTimes.Store(!on) }

// Flags returns the flags that there are, and whether they are set.
//
// SPDK: spdk_log_get_first_flag, spdk_log_get_next_flag, spdk_log_get_flag
func (s *Settings) Flags() map[string]bool {
	flags := map[string]bool{}
	for name, on := range s.flags {
		flags[name] = on.Load()
	}
	return flags
}

// SetFlag has a component say more; [AllFlags] means each. EINVAL: there is no such flag.
//
// SPDK: spdk_log_set_flag
func (s *Settings) SetFlag(name string) error { return s.setFlag(name, true) }

// ClearFlag undoes SetFlag.
//
// SPDK: spdk_log_clear_flag
func (s *Settings) ClearFlag(name string) error { return s.setFlag(name, false) }

func (s *Settings) setFlag(name string, on bool) error {
	if name == AllFlags {
		for _, flag := range s.flags {
			flag.Store(on)
		}
		return nil
	}
	flag := s.flags[name]
	if flag == nil {
		return fmt.Errorf("log: there is no flag %q, only %q: %w", name, slices.Sorted(maps.Keys(s.flags)), syscall.EINVAL)
	}
	flag.Store(on)
	return nil
}

// Handler returns a handler that passes on to print, and to store, if that is not nil, what the settings let through.
func (s *Settings) Handler(print, store slog.Handler) slog.Handler {
	return &handler{s: s, print: print, store: store}
}

type handler struct {
	s            *Settings
	print, store slog.Handler // store may be nil
	flag         *atomic.Bool // the component's, nil if it has none
	grouped      bool         // what follows is inside of a group, and no component
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool {
	if l < slog.Level(Notice) && h.flag != nil && !h.flag.Load() {
		return false
	}
	return h.prints(ctx, l) || h.stores(ctx, l)
}

func (h *handler) prints(ctx context.Context, l slog.Level) bool {
	return l >= slog.Level(h.s.PrintLevel()) && h.print.Enabled(ctx, l)
}

func (h *handler) stores(ctx context.Context, l slog.Level) bool {
	return h.store != nil && l >= slog.Level(h.s.Level()) && h.store.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) (err error) {
	if h.s.noTimes.Load() {
		r.Time = time.Time{}
	}
	if h.prints(ctx, r.Level) {
		err = h.print.Handle(ctx, r.Clone())
	}
	if h.stores(ctx, r.Level) {
		if e := h.store.Handle(ctx, r); err == nil {
			err = e
		}
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.print = h.print.WithAttrs(attrs)
	if h.store != nil {
		with.store = h.store.WithAttrs(attrs)
	}
	for _, a := range attrs {
		if a.Key == "component" && !h.grouped {
			with.flag = h.s.flags[a.Value.String()]
		}
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.print = h.print.WithGroup(name)
	if h.store != nil {
		with.store = h.store.WithGroup(name)
	}
	with.grouped = h.grouped || name != ""
	return &with
}
