package log_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/log"
)

func init() { log.RegisterFlag("test_part") }

// plain writes everything, without times unless they are wanted.
func plain(buf *bytes.Buffer) slog.Handler {
	return slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug})
}

func TestSettings(t *testing.T) {
	var printed, stored bytes.Buffer
	s := log.NewSettings()
	s.EnableTimestamps(false)
	l := slog.New(s.Handler(plain(&printed), plain(&stored)))
	part, other := l.With("component", "test_part"), l.With("component", "other")
	say := func() (string, string) {
		printed.Reset()
		stored.Reset()
		l.Error("e")
		l.Info("n")
		l.Debug("d")
		part.Info("pn")
		part.Debug("pd")
		other.Debug("od")
		part.WithGroup("g").With("component", "other").Debug("gd")
		words := func(b *bytes.Buffer) string {
			var list []string
			for line := range strings.Lines(b.String()) {
				_, msg, _ := strings.Cut(line, "msg=")
				msg, _, _ = strings.Cut(strings.TrimSpace(msg), " ")
				list = append(list, msg)
			}
			return strings.Join(list, " ")
		}
		return words(&printed), words(&stored)
	}
	for _, tc := range []struct {
		print, level log.Level
		flag         bool
		printed      string
		stored       string
	}{
		{log.Notice, log.Notice, false, "e n pn", "e n pn"},
		{log.Warn, log.Notice, false, "e", "e n pn"},
		{log.Debug, log.Error, false, "e n d pn od", "e"},
		{log.Debug, log.Error, true, "e n d pn pd od gd", "e"},
		{log.Info, log.Debug, true, "e n pn", "e n d pn pd od gd"},
	} {
		s.SetPrintLevel(tc.print)
		s.SetLevel(tc.level)
		set := s.ClearFlag
		if tc.flag {
			set = s.SetFlag
		}
		if err := set("test_part"); err != nil {
			t.Fatal(err)
		}
		if p, st := say(); p != tc.printed || st != tc.stored {
			t.Errorf("%v, %v, flag %v: printed %q, stored %q", tc.print, tc.level, tc.flag, p, st)
		}
	}
	if strings.Contains(printed.String(), "time=") {
		t.Error("there are times")
	}
	s.EnableTimestamps(true)
	if say(); !strings.Contains(printed.String(), "time=") {
		t.Error("there are no times")
	}
}

func TestFlags(t *testing.T) {
	s := log.NewSettings()
	if err := s.SetFlag("none"); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	for _, on := range []bool{true, false} {
		set := s.ClearFlag
		if on {
			set = s.SetFlag
		}
		if err := set(log.AllFlags); err != nil || s.Flags()["test_part"] != on {
			t.Errorf("all %v: %v, %v", on, s.Flags(), err)
		}
	}
}

func TestLevelNames(t *testing.T) {
	var got []string
	for _, name := range log.Level(0).Values() {
		var l log.Level
		if err := l.UnmarshalText([]byte(name)); err != nil {
			t.Error(err)
		}
		got = append(got, l.String())
	}
	if diff := cmp.Diff([]string{"ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"}, got); diff != "" {
		t.Error(diff)
	}
	var l log.Level
	if err := l.UnmarshalText([]byte("error")); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}
