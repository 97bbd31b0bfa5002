package log_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
)

func init() { log.RegisterFlag("ut") }

func TestLog(t *testing.T) {
	s := log.NewSettings()
	for _, level := range []log.Level{log.Error, log.Warn, log.Notice, log.Info, log.Debug} {
		s.SetLevel(level)
		s.SetPrintLevel(level)
		if s.Level() != level || s.PrintLevel() != level {
			t.Errorf("levels %v and %v, want %v", s.Level(), s.PrintLevel(), level)
		}
	}
	var printed, stored bytes.Buffer
	all := &slog.HandlerOptions{Level: slog.LevelDebug}
	l := slog.New(s.Handler(slog.NewTextHandler(&printed, all), slog.NewTextHandler(&stored, all)))
	s.SetPrintLevel(log.Notice)
	s.SetLevel(log.Warn)
	l.Info("notice")
	l.Warn("warning")
	if got := printed.String(); strings.Count(got, "\n") != 2 || strings.Count(stored.String(), "\n") != 1 {
		t.Errorf("printed %q, stored %q", got, &stored)
	}

	for _, flags := range []struct {
		do   func(string) error
		name string
		want bool
	}{{s.SetFlag, "ut", true}, {s.ClearFlag, "ut", false}, {s.SetFlag, log.AllFlags, true},
		{s.ClearFlag, log.AllFlags, false}} {
		if err := flags.do(flags.name); err != nil || s.Flags()["ut"] != flags.want {
			t.Errorf("%s: %v, %v, want %v", flags.name, s.Flags()["ut"], err, flags.want)
		}
	}
	if err := s.SetFlag("none such"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("an unknown flag: %v", err)
	}
	s.SetPrintLevel(log.Debug)
	printed.Reset()
	component := l.With("component", "ut")
	component.Debug("unheard")
	if err := s.SetFlag("ut"); err != nil {
		t.Fatal(err)
	}
	component.Debug("heard")
	if got := printed.String(); strings.Contains(got, "unheard") || !strings.Contains(got, "msg=heard") {
		t.Errorf("printed %q", got)
	}

	var dump bytes.Buffer
	if err := log.Dump(&dump, "label", []byte("0123456789abcdef\x00\x7fA")); err != nil {
		t.Fatal(err)
	}
	want := "label:\n" +
		"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n" +
		"00000010  00 7f 41                                          |..A|\n"
	if diff := cmp.Diff(want, dump.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDeprecation(t *testing.T) {
	var now time.Duration
	s := log.NewDeprecations(func() time.Duration { return now })
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, nil))
	lines := func() int {
		defer out.Reset()
		return strings.Count(out.String(), "\n")
	}
	always, err := s.Register("always", "this", "v99", 0)
	if err != nil {
		t.Fatal(err)
	}
	about := []string{always.Tag(), always.Description(), always.RemoveRelease()}
	if diff := cmp.Diff([]string{"always", "this", "v99"}, about); diff != "" || always.Hits() != 0 {
		t.Errorf("%d hits, %s", always.Hits(), diff)
	}
	always.Hit(l)
	always.Hit(l)
	if n := lines(); n != 2 || always.Hits() != 2 {
		t.Errorf("%d lines for %d hits", n, always.Hits())
	}
	limited, err := s.Register("limited", "that", "v98", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		limited.Hit(l)
	}
	if n := lines(); n != 1 || limited.Hits() != 5 {
		t.Errorf("%d lines for %d hits", n, limited.Hits())
	}
	now = time.Second
	limited.Hit(l)
	if said := out.String(); !strings.Contains(said, "dropped_before=4") || limited.Hits() != 6 {
		t.Errorf("after a second: %q", said)
	}

	for _, bad := range [][3]string{{"", "x", "v1"}, {"x", "", "v1"}, {"x", "x", ""}} {
		if _, err := s.Register(bad[0], bad[1], bad[2], 0); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := s.Register("always", "x", "v1", 0); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("the same again: %v", err)
	}
	if s.Find("limited") != limited || s.Find("none") != nil {
		t.Error("Find finds something else")
	}
	var seen []string
	for d := range s.All() {
		seen = append(seen, d.Tag())
	}
	if !slices.Equal(seen, []string{"always", "limited"}) {
		t.Errorf("there are %q", seen)
	}
	for d := range s.All() { // stops when it is told to
		if d != always {
			t.Errorf("%s comes after the end", d.Tag())
		}
		break
	}
}

// sink is a log of somebody else's, which writes down what happens to it.
type sink struct {
	slog.Handler
	calls *[]string
}

func (s sink) Enabled(context.Context, slog.Level) bool { return true }
func (s sink) Open() error                              { return s.note("open") }
func (s sink) Close() error                             { return s.note("close") }

func (s sink) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "line ") { // others are about a machine that is busy
		return s.note("log " + r.Message)
	}
	return nil
}

func (s sink) note(what string) error {
	*s.calls = append(*s.calls, what)
	return nil
}

func TestLogExt(t *testing.T) {
	var calls []string
	err := app.Run(app.Options{
		NoPin: true, DisableSignalHandlers: true, Log: slog.New(slog.DiscardHandler),
		LogSink: sink{slog.DiscardHandler, &calls},
	}, func(_ *reactor.Thread, a *app.App) error {
		return a.Go(func(context.Context) error {
			a.Log().Warn("line one")
			a.Log().Error("line two")
			a.Stop(nil)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"open", "log line one", "log line two", "close"}, calls); diff != "" {
		t.Error(diff)
	}
}
