package reactor_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// source is an eventfd in a group, and what its callback does.
type source struct {
	fd     int
	calls  int
	action func() // of the callback, nil for none
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0} // as an eventfd reads it

func (s *source) trigger() {
	if _, err := unix.Write(s.fd, one); err != nil {
		panic(err)
	}
}

func (s *source) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
	s.fd = -1
}

// called is the callback of every source.
func called(ctx any) int {
	s := ctx.(*source)
	s.calls++
	if s.action != nil {
		s.action()
	}
	return 1
}

func newSource(tb testing.TB) *source {
	tb.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	s := &source{fd: fd}
	tb.Cleanup(s.close)
	return s
}

func newFDGroup(tb testing.TB) *reactor.FDGroup {
	tb.Helper()
	g, err := reactor.NewFDGroup()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if g.Fd() >= 0 {
			unix.Close(g.Fd())
		}
	})
	return g
}

// addSource has g read the source's eventfd and call back.
func addSource(tb testing.TB, g *reactor.FDGroup, s *source) {
	tb.Helper()
	if err := g.AddExt(s.fd, "source", called, s, reactor.FDOpts{Type: reactor.FDTypeEventfd}); err != nil {
		tb.Fatal(err)
	}
}

// newSources returns a group with n sources in it, all of them triggered.
func newSources(tb testing.TB, n int) (*reactor.FDGroup, []*source) {
	tb.Helper()
	g := newFDGroup(tb)
	sources := make([]*source, n)
	for i := range sources {
		sources[i] = newSource(tb)
		addSource(tb, g, sources[i])
		sources[i].trigger()
	}
	return g, sources
}

// serves waits for nothing and checks how many callbacks that ran.
func serves(tb testing.TB, g *reactor.FDGroup, want int) {
	tb.Helper()
	if n, errno := g.Wait(0); n != want || errno != 0 {
		tb.Fatalf("Wait called %d functions, want %d, errno %d", n, want, errno)
	}
}

func mustErr(tb testing.TB, what string, got error, want syscall.Errno) {
	tb.Helper()
	if want == 0 && got == nil {
		return
	}
	if !errors.Is(got, want) {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestFDGroupAddRefusals(t *testing.T) {
	noLeaks(t)
	g, child := newFDGroup(t), newFDGroup(t)
	mustErr(t, "Nest", g.Nest(child), 0)
	s, below := newSource(t), newSource(t)
	addSource(t, g, s)
	addSource(t, child, below)
	blocking, err := unix.Eventfd(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(blocking)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	eventfd := reactor.FDOpts{Type: reactor.FDTypeEventfd}
	for _, tc := range []struct {
		name string
		fd   int
		fn   reactor.FDFunc
		opts reactor.FDOpts
		want syscall.Errno
	}{
		{"negative", -1, called, reactor.FDOpts{}, unix.EINVAL},
		{"no function", blocking, nil, reactor.FDOpts{}, unix.EINVAL},
		{"unknown type", blocking, called, reactor.FDOpts{Type: 2}, unix.EINVAL},
		{"twice", s.fd, called, reactor.FDOpts{}, unix.EEXIST},
		{"child has it", below.fd, called, reactor.FDOpts{}, unix.EEXIST},
		{"blocking eventfd", blocking, called, eventfd, unix.EINVAL},
		{"closed", 1 << 20, called, reactor.FDOpts{}, unix.EBADF},
		{"closed eventfd", 1 << 20, called, eventfd, unix.EBADF},
		{"regular file", int(file.Fd()), called, reactor.FDOpts{}, unix.EPERM},
		{"blocking, not to be read", blocking, called, reactor.FDOpts{}, 0},
	} {
		err := g.AddExt(tc.fd, "what it is for", tc.fn, s, tc.opts)
		mustErr(t, tc.name, err, tc.want)
		if err != nil && !strings.Contains(err.Error(), "what it is for") {
			t.Errorf("%s: the error does not say for what: %v", tc.name, err)
		}
	}
	mustErr(t, "child adds what the root has", child.Add(s.fd, "", called, s), unix.EEXIST)
	if g.NumFDs() != 3 {
		t.Errorf("%d descriptors, want 3", g.NumFDs())
	}
	mustErr(t, "modify unknown", g.EventModify(1<<20, unix.EPOLLIN), unix.EINVAL)
	mustErr(t, "modify what the child has", g.EventModify(below.fd, unix.EPOLLIN), unix.EINVAL)
	mustErr(t, "modify through the child", child.EventModify(below.fd, unix.EPOLLOUT), 0)
	mustErr(t, "modify to nonsense", g.EventModify(s.fd, unix.EPOLLEXCLUSIVE), unix.EINVAL)
	g.Remove(blocking)
	g.Remove(s.fd)
	child.Remove(below.fd)
	mustErr(t, "Unnest", g.Unnest(child), 0)
	child.Close()
	g.Close()
}

func TestFDGroupNestRules(t *testing.T) {
	noLeaks(t)
	a, b, c := newFDGroup(t), newFDGroup(t), newFDGroup(t)
	wrapper := func(_ any, fn reactor.FDFunc, ctx any) int { return fn(ctx) }
	mustErr(t, "nil child", a.Nest(nil), unix.EINVAL)
	mustErr(t, "itself", a.Nest(a), unix.EINVAL)
	mustErr(t, "b below a", a.Nest(b), 0)
	mustErr(t, "twice", a.Nest(b), unix.EINVAL)
	mustErr(t, "into another", c.Nest(b), unix.EINVAL)
	mustErr(t, "circle", b.Nest(a), unix.EINVAL)
	mustErr(t, "c below b", b.Nest(c), 0)
	mustErr(t, "circle of three", c.Nest(a), unix.EINVAL)
	mustErr(t, "unnest nil", a.Unnest(nil), unix.EINVAL)
	mustErr(t, "unnest a grandchild", a.Unnest(c), unix.EINVAL)
	mustErr(t, "wrap with children", a.SetWrapper(wrapper, nil), unix.EINVAL)
	mustErr(t, "wrap a nested one", c.SetWrapper(wrapper, nil), 0)
	mustErr(t, "wrap twice", c.SetWrapper(wrapper, nil), unix.EEXIST)
	mustErr(t, "unnest c", b.Unnest(c), 0)
	mustErr(t, "nest into a wrapped one", c.Nest(newFDGroup(t)), unix.EINVAL)
	mustErr(t, "nest a wrapped one", b.Nest(c), 0)
	mustErr(t, "unwrap", c.SetWrapper(nil, nil), 0)
	mustErr(t, "unwrap again", c.SetWrapper(nil, nil), 0)

	for name, fn := range map[string]func(){
		"close with children": a.Close, "close nested": c.Close,
	} {
		if !panics(fn) {
			t.Errorf("%s: no panic", name)
		}
	}
	for _, timeout := range []int64{0, 1e18} {
		if n, errno := c.Wait(timeout); n != 0 || errno != 0 {
			t.Errorf("nested group waits %d ns: %d, %v", timeout, n, errno)
		}
	}
	if _, errno := c.Wait(-1); errno != unix.EINVAL {
		t.Errorf("nested group waits for ever: %v", errno)
	}
	mustErr(t, "unnest c", b.Unnest(c), 0)
	mustErr(t, "unnest b", a.Unnest(b), 0)
	for _, g := range []*reactor.FDGroup{a, b, c} {
		g.Close()
	}
	if !panics(a.Close) {
		t.Error("closed twice")
	}
}

// TestFDGroupNestKeepsAllOnFailure checks that a group which cannot be nested or unnested
// as a whole is not moved in part either.
func TestFDGroupNestKeepsAllOnFailure(t *testing.T) {
	noLeaks(t)
	parent, kept := newSources(t, 1)
	child, sources := newSources(t, 3)
	addSource(t, parent, sources[2])
	mustErr(t, "one in both", parent.Nest(child), unix.EEXIST)
	parent.Remove(sources[2].fd)

	closed := sources[1].fd
	sources[1].close()
	mustErr(t, "one is closed", parent.Nest(child), unix.EBADF)
	if parent.NumFDs() != 1 || child.NumFDs() != 3 || child.Parent() != nil {
		t.Errorf("parent has %d, child %d and parent %v", parent.NumFDs(), child.NumFDs(), child.Parent())
	}
	serves(t, parent, 1)
	serves(t, child, 2)
	if !panics(func() { child.Remove(closed) }) {
		t.Error("a descriptor that was closed is removed without a word")
	}
	if !panics(func() { child.Remove(closed) }) {
		t.Error("an unknown descriptor is removed without a word")
	}
	mustErr(t, "Nest", parent.Nest(child), 0)
	if !panics(func() { parent.Remove(sources[0].fd) }) {
		t.Error("the parent removes what the child has")
	}
	mustErr(t, "Unnest", parent.Unnest(child), 0)
	child.Remove(sources[0].fd)
	if !panics(child.Close) {
		t.Error("closed with a descriptor in it")
	}
	child.Remove(sources[2].fd)
	child.Close()
	parent.Remove(kept[0].fd)
	parent.Close()
}

func TestFDGroupEpollEvent(t *testing.T) {
	g, child := newFDGroup(t), newFDGroup(t)
	mustErr(t, "Nest", g.Nest(child), 0)
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	var events []uint32
	note := func(any) int {
		ev, errno := child.EpollEvent()
		if errno != 0 {
			t.Error(errno)
		}
		if _, errno := g.EpollEvent(); errno != unix.EINVAL {
			t.Errorf("the group that the descriptor was not added to: %v", errno)
		}
		events = append(events, ev)
		return 0
	}
	if err := child.AddExt(fds[1], "write", note, nil, reactor.FDOpts{Events: unix.EPOLLOUT}); err != nil {
		t.Fatal(err)
	}
	serves(t, g, 1)
	mustErr(t, "modify", child.EventModify(fds[1], 0), 0)
	serves(t, g, 0)
	child.Remove(fds[1])
	unix.Close(fds[1])
	mustErr(t, "add", child.Add(fds[0], "read", note, nil), 0)
	serves(t, g, 1)
	if diff := cmp.Diff([]uint32{unix.EPOLLOUT, unix.EPOLLHUP}, events); diff != "" {
		t.Error(diff)
	}
	if _, errno := child.EpollEvent(); errno != unix.EINVAL {
		t.Errorf("outside a callback: %v", errno)
	}
}

func TestFDGroupWrapper(t *testing.T) {
	g, sources := newSources(t, 2)
	child, own := newSources(t, 2)
	var j journal
	wrapper := func(wrapperCtx any, fn reactor.FDFunc, ctx any) int {
		wrapperCtx.(*journal).add(fmt.Sprint(ctx == own[0], fn(ctx)))
		return -1
	}
	mustErr(t, "wrap", child.SetWrapper(wrapper, &j), 0)
	mustErr(t, "nest", g.Nest(child), 0)
	serves(t, g, 4)
	if diff := cmp.Diff([]string{"true 1", "false 1"}, j.take()); diff != "" {
		t.Error(diff)
	}
	mustErr(t, "unwrap", child.SetWrapper(nil, nil), 0)
	own[0].trigger()
	sources[0].trigger()
	serves(t, g, 2)
	if j.take() != nil || own[0].calls != 2 || sources[0].calls != 2 {
		t.Error("the wrapper is still called, or the functions are not")
	}
}

// TestFDGroupRemoveInCallback has the first of several ready descriptors remove others, in
// some cases with new ones put in their place: no callback may run for a removed one, and
// none may be taken for the new.
func TestFDGroupRemoveInCallback(t *testing.T) {
	for _, tc := range []struct {
		name   string
		action func(g *reactor.FDGroup, sources []*source, more *source)
		calls  string // of the sources and the one more, by the first Wait and in all by the second
	}{
		{"itself", func(g *reactor.FDGroup, s []*source, _ *source) { g.Remove(s[0].fd) }, "1110 1110"},
		{"a later one", func(g *reactor.FDGroup, s []*source, _ *source) { g.Remove(s[2].fd) }, "1100 1100"},
		{"all", func(g *reactor.FDGroup, s []*source, _ *source) {
			for _, s := range s {
				g.Remove(s.fd)
			}
		}, "1000 1000"},
		{"a later one, replaced", func(g *reactor.FDGroup, s []*source, more *source) {
			g.Remove(s[1].fd)
			addSource(t, g, more)
		}, "1010 1011"},
		{"a later one, added again", func(g *reactor.FDGroup, s []*source, _ *source) {
			g.Remove(s[1].fd)
			addSource(t, g, s[1])
		}, "1010 1110"},
		{"all, added again in another order", func(g *reactor.FDGroup, s []*source, more *source) {
			for _, s := range s {
				g.Remove(s.fd)
			}
			addSource(t, g, more)
			for _, s := range s {
				addSource(t, g, s)
			}
		}, "1000 1111"},
		{"all, and the group is closed", func(g *reactor.FDGroup, s []*source, _ *source) {
			for _, s := range s {
				g.Remove(s.fd)
			}
			g.Close()
		}, "1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, sources := newSources(t, 3)
			more := newSource(t)
			more.trigger()
			sources[0].action = func() {
				sources[0].action = nil
				tc.action(g, sources, more)
			}
			want := strings.Fields(tc.calls)
			for _, want := range want {
				if _, errno := g.Wait(0); errno != 0 {
					t.Fatal(errno)
				}
				got := ""
				for _, s := range append(sources, more) {
					got += fmt.Sprint(s.calls)
				}
				if got != want {
					t.Fatalf("calls %s, want %s", got, want)
				}
			}
		})
	}
}

// TestFDGroupMoveInCallback nests and unnests while events have been collected: they come
// to the new root.
func TestFDGroupMoveInCallback(t *testing.T) {
	root, first := newSources(t, 1)
	child, moved := newSources(t, 2)
	mustErr(t, "nest", root.Nest(child), 0)
	first[0].action = func() { mustErr(t, "unnest", root.Unnest(child), 0) }
	serves(t, root, 1)
	serves(t, child, 2)

	first[0].action = func() { mustErr(t, "nest", root.Nest(child), 0) }
	moved[0].trigger()
	first[0].trigger()
	serves(t, root, 1)
	serves(t, root, 1)
	serves(t, root, 0) // the kernel forgets who was ready, so that the next ones come in order

	// The root itself becomes a child and its new root waits, from inside a callback.
	above := newFDGroup(t)
	first[0].action = func() {
		first[0].action = nil
		mustErr(t, "nest the root", above.Nest(root), 0)
		serves(t, above, 2)
	}
	for _, s := range append(first, moved...) {
		s.trigger()
	}
	serves(t, root, 1)
	serves(t, above, 0)
	if moved[0].calls != 3 || moved[1].calls != 2 {
		t.Errorf("calls %d and %d, want 3 and 2", moved[0].calls, moved[1].calls)
	}
}

// TestFDGroupEventfdResetElsewhere has a callback take what another eventfd counted, so
// that the group's own read gets EAGAIN. SPDK leaves such a handler as if it were running
// and gives up on its next event.
func TestFDGroupEventfdResetElsewhere(t *testing.T) {
	g, sources := newSources(t, 3)
	sources[0].action = func() {
		var count [8]byte
		if _, err := unix.Read(sources[1].fd, count[:]); err != nil {
			t.Error(err)
		}
	}
	serves(t, g, 2)
	sources[1].trigger()
	sources[1].trigger()
	serves(t, g, 1)
	serves(t, g, 0)
	if sources[1].calls != 1 {
		t.Errorf("%d calls", sources[1].calls)
	}
	g.Remove(sources[1].fd)
}

// TestFDGroupEventfdFails has a descriptor that is no eventfd be read like one.
func TestFDGroupEventfdFails(t *testing.T) {
	g := newFDGroup(t)
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	bad, good := &source{fd: fds[0]}, newSource(t)
	addSource(t, g, bad)
	addSource(t, g, good)
	if _, err := unix.Write(fds[1], []byte("short")); err != nil {
		t.Fatal(err)
	}
	good.trigger()
	if n, errno := g.Wait(0); n != 1 || errno != unix.EINVAL {
		t.Errorf("%d callbacks, %v", n, errno)
	}
	if bad.calls != 0 || good.calls != 1 {
		t.Errorf("bad called %d times, good %d times", bad.calls, good.calls)
	}
	serves(t, g, 0)
}

// TestFDGroupBatch has more descriptors ready than one Wait serves.
func TestFDGroupBatch(t *testing.T) {
	g, sources := newSources(t, 300)
	serves(t, g, 256)
	sources[0].trigger()
	serves(t, g, 45)
	for i, s := range sources {
		if s.calls != 1 && i > 0 || s.calls != 2 && i == 0 {
			t.Errorf("source %d was called %d times", i, s.calls)
		}
	}
	serves(t, g, 0)
	for _, s := range sources {
		g.Remove(s.fd)
	}
	serves(t, g, 0)
	g.Close()
}

func TestFDGroupWaitTimesOut(t *testing.T) {
	g := newFDGroup(t)
	defer g.Close()
	start := time.Now()
	if n, errno := g.Wait(200_000); n != 0 || errno != 0 {
		t.Errorf("%d, %v", n, errno)
	}
	if d := time.Since(start); d < 200*time.Microsecond {
		t.Errorf("waited %v", d)
	}
}

func TestFDGroupWaitInCallback(t *testing.T) {
	g, sources := newSources(t, 1)
	sources[0].action = func() {
		if !panics(func() { g.Wait(0) }) {
			t.Error("no panic")
		}
	}
	serves(t, g, 1)
}

// TestFDGroupIsReadable has a group's descriptor in another group, the other way of nesting.
func TestFDGroupIsReadable(t *testing.T) {
	inner, sources := newSources(t, 1)
	outer := newFDGroup(t)
	serve := func(ctx any) int { n, _ := ctx.(*reactor.FDGroup).Wait(0); return n }
	mustErr(t, "add", outer.Add(inner.Fd(), "inner", serve, inner), 0)
	serves(t, outer, 1)
	serves(t, outer, 0)
	if sources[0].calls != 1 {
		t.Errorf("%d calls", sources[0].calls)
	}
}

func TestFDGroupWaitAllocatesNothing(t *testing.T) {
	g, sources := newSources(t, 1)
	child, more := newSources(t, 20)
	wrapper := func(_ any, fn reactor.FDFunc, ctx any) int { return fn(ctx) }
	mustErr(t, "wrap", child.SetWrapper(wrapper, nil), 0)
	mustErr(t, "nest", g.Nest(child), 0)
	n := testing.AllocsPerRun(1000, func() {
		sources[0].trigger()
		for _, s := range more {
			s.trigger()
		}
		serves(t, g, 21)
	})
	if n != 0 {
		t.Errorf("a round allocates %v objects", n)
	}
}

func BenchmarkFDGroupWait(b *testing.B) {
	for _, ready := range []int{0, 1, 64} {
		b.Run(fmt.Sprintf("ready=%d", ready), func(b *testing.B) {
			g, sources := newSources(b, 256)
			g.Wait(0)
			for i := range sources { // level-triggered, so that they stay ready
				g.Remove(sources[i].fd)
				if err := g.Add(sources[i].fd, "", called, sources[i]); err != nil {
					b.Fatal(err)
				}
				if i < ready {
					sources[i].trigger()
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Wait(0)
			}
		})
	}
}
