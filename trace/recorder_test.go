package trace_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/spdk-go/spdk-go/trace"
)

// TestRecorderSeesMoreThanARing polls often enough, and gets all, in one file.
func TestRecorderSeesMoreThanARing(t *testing.T) {
	for _, total := range []int{0, 1, 2, 8, 100, 1000} {
		tr := newTrace(t, trace.Options{NumThreads: 2, NumEntries: 64})
		rings := []*trace.History{user(t, tr), user(t, tr)}
		dir := t.TempDir()
		r := trace.NewRecorder(open(t, tr.Path()), dir)
		defer r.Close()
		for n := range total {
			rings[n%2].Record(testText, 0, 0, uint64(n), trace.Str("text"), trace.Int(n)) // two entries
			if n%20 != 0 {
				continue
			}
			if _, missed, err := r.Poll(); err != nil || missed != 0 {
				t.Fatalf("%d missed, %v", missed, err)
			}
		}
		if _, _, err := r.Poll(); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "recorded")
		if err := r.Finish(out); err != nil {
			t.Fatal(err)
		}
		if err := r.Finish(out); !errors.Is(err, os.ErrExist) {
			t.Errorf("over a file: %v, want EEXIST", err)
		}
		list := entries(t, out)
		if len(list) != total {
			t.Errorf("%d entries were recorded of %d", len(list), total)
		}
		for i, e := range list {
			if e.Object != uint64(i) || e.Args[0].Str != "text" || e.Args[1].Int != uint64(i) || e.Core != i%2 {
				t.Fatalf("entry %d: %+v", i, e)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("files %v", left)
		}
		// What was recorded can be recorded.
		again := trace.NewRecorder(open(t, out), dir)
		defer again.Close()
		for range 2 {
			if _, missed, err := again.Poll(); err != nil || missed != 0 {
				t.Fatalf("%d missed, %v", missed, err)
			}
		}
		if n := again.Count(0) + again.Count(1); n < uint64(2*total) || n > uint64(2*total)+4 {
			t.Errorf("of %d entries there are %d the second time", 2*total, n)
		}
	}
}

func TestRecorderSaysWhatItMissed(t *testing.T) {
	tr := newTrace(t, trace.Options{NumThreads: 1, NumEntries: 64})
	h := user(t, tr)
	r := trace.NewRecorder(open(t, tr.Path()), t.TempDir())
	defer r.Close()
	record := func(n int) {
		for range n {
			h.Record(testPlain, 0, 0, 0)
		}
	}
	poll := func(before int) (taken, missed uint64) {
		record(before)
		taken, missed, err := r.Poll()
		if err != nil {
			t.Fatal(err)
		}
		return taken, missed
	}
	if taken, missed := poll(200); missed != 0 || taken < 50 {
		t.Errorf("what was there before: %d taken, %d missed", taken, missed)
	}
	if taken, missed := poll(30); taken != 30 || missed != 0 {
		t.Errorf("30 more: %d taken, %d missed", taken, missed)
	}
	if taken, missed := poll(100); taken+missed != 100 || missed < 36 || missed > 46 {
		t.Errorf("100 more: %d taken, %d missed", taken, missed)
	}
	if taken, missed := poll(0); taken != 0 || missed != 0 {
		t.Errorf("nothing more: %d taken, %d missed", taken, missed)
	}
}
