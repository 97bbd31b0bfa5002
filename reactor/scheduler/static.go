package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// soon is the period of a scheduler that has something to do once.
const soon = time.Microsecond

// static keeps threads where they ran first.
//
// SPDK: lib/event/scheduler_static.c
type static struct {
	fw  *reactor.Framework
	due bool // threads have to be moved home
}

func (s *static) Name() string { return "static" }

func (s *static) Init(f *reactor.Framework) error {
	if s.fw == nil {
		s.fw = f
	}
	if historyOf(f).begin() || f.Scheduler() != nil {
		s.moveHome()
	} else {
		f.SetSchedulerPeriod(0)
	}
	return nil
}

func (s *static) moveHome() {
	s.due = true
	s.fw.SetSchedulerPeriod(soon)
}

// Deinit leaves no period to the next scheduler that was never meant for it.
func (s *static) Deinit(f *reactor.Framework) {
	if s.due {
		s.due = false
		f.SetSchedulerPeriod(0)
	}
}

// Balance asks for every thread to be where it belongs; the framework leaves those alone that
// must not be moved. It is called until it has seen them all: a scheduler that was there before
// may have moves under way.
func (s *static) Balance(f *reactor.Framework, cores []reactor.CoreInfo) {
	if !s.due {
		return
	}
	h := historyOf(f)
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[uint64]bool{}
	for i := range cores {
		c := &cores[i]
		if mode, noted := h.modes[c.Core]; noted {
			c.InterruptMode = mode
		}
		for j := range c.Threads {
			t := &c.Threads[j]
			seen[t.ID] = true
			t.Core = t.First
			if home, named := h.homes[t.ID]; named {
				t.Core = home
			}
		}
	}
	if slices.ContainsFunc(f.Threads(), func(t *reactor.Thread) bool { return !seen[t.ID()] }) {
		return
	}
	clear(h.modes)
	s.due = false
	f.SetSchedulerPeriod(0)
}

// SetOpts names other cores for threads, for as long as these exist.
func (s *static) SetOpts(opts json.RawMessage) error {
	var mappings string
	if err := decode(opts, map[string]any{"mappings": &mappings}); err != nil {
		return err
	}
	if mappings == "" {
		return nil
	}
	named := map[uint64]int{}
	for item := range strings.SplitSeq(mappings, ",") {
		id, core, err := s.parseMapping(item)
		if err != nil {
			return fmt.Errorf("mappings %q: %q: %w", mappings, item, err)
		}
		named[id] = core
	}
	h := historyOf(s.fw)
	h.mu.Lock()
	maps.Copy(h.homes, named)
	maps.DeleteFunc(h.homes, func(id uint64, _ int) bool { return s.fw.ThreadByID(id) == nil })
	h.mu.Unlock()
	s.moveHome()
	return nil
}

// parseMapping reads "id:core" and checks that the thread can be moved there.
func (s *static) parseMapping(item string) (id uint64, core int, err error) {
	idText, coreText, isPair := strings.Cut(strings.TrimSpace(item), ":")
	if !isPair {
		return 0, 0, fmt.Errorf("want the number of a thread, a colon and a core: %w", syscall.EINVAL)
	}
	var t *reactor.Thread
	if id, err = strconv.ParseUint(idText, 10, 64); err == nil {
		t = s.fw.ThreadByID(id)
	}
	if t == nil {
		return 0, 0, fmt.Errorf("there is no thread %q: %w", idText, syscall.EINVAL)
	}
	var r *reactor.Reactor
	if core, err = strconv.Atoi(coreText); err == nil {
		r = s.fw.ReactorOn(core)
	}
	isolated := s.fw.IsolatedCores()
	switch from := t.Reactor(); {
	case r == nil || from == nil:
		err = fmt.Errorf("no reactor runs on core %q, only on %s: %w", coreText, s.fw.Cpuset().List(), syscall.EINVAL)
	case !allows(t.Cpumask(), core):
		err = fmt.Errorf("the cpumask of thread %s is %s, without that core: %w", t.Name(), t.Cpumask(), syscall.EINVAL)
	case t.IsBound() && from != r:
		err = fmt.Errorf("thread %s is bound to core %d: %w", t.Name(), from.Core(), syscall.EINVAL)
	case from != r && (isolated.Get(core) || isolated.Get(from.Core())):
		err = fmt.Errorf("thread %s cannot move from core %d: cores %s are isolated: %w",
			t.Name(), from.Core(), isolated.List(), syscall.EINVAL)
	}
	return id, core, err
}

// Opts returns the mappings that hold. Not in SPDK, whose static scheduler does not tell.
func (s *static) Opts() any {
	h := historyOf(s.fw)
	h.mu.Lock()
	defer h.mu.Unlock()
	var items []string
	for _, id := range slices.Sorted(maps.Keys(h.homes)) {
		items = append(items, fmt.Sprintf("%d:%d", id, h.homes[id]))
	}
	return staticOpts{strings.Join(items, ",")}
}

type staticOpts struct {
	Mappings string `json:"mappings,omitempty"`
}

// allows reports whether core is in a mask of which nil means any.
func allows(mask *reactor.Cpuset, core int) bool { return mask == nil || mask.Get(core) }
