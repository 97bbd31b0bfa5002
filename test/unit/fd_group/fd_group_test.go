package fdgroup_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

func nothing(any) int { return 0 }

// group returns a group that has to be empty at the end of the test.
func group(t *testing.T) *reactor.FDGroup {
	t.Helper()
	g, err := reactor.NewFDGroup()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// descriptor returns what open has opened, closed at the end of the test.
func descriptor(t *testing.T, fd int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	return fd
}

func epoll(t *testing.T) int {
	t.Helper()
	fd, err := unix.EpollCreate1(0)
	return descriptor(t, fd, err)
}

func eventfd(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, 0)
	return descriptor(t, fd, err)
}

func add(t *testing.T, g *reactor.FDGroup, fd int) {
	t.Helper()
	if err := g.Add(fd, "nothing", nothing, nil); err != nil {
		t.Fatal(err)
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// registered asks the kernel which descriptors the epoll of a group has, for which events,
// and checks that the group has counted them.
func registered(t *testing.T, g *reactor.FDGroup) map[int]uint32 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", g.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	fds := map[int]uint32{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != "tfd:" {
			continue
		}
		fd, err1 := strconv.Atoi(f[1])
		events, err2 := strconv.ParseUint(f[3], 16, 32)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		fds[fd] = uint32(events) &^ (unix.EPOLLERR | unix.EPOLLHUP) // always reported, asked for or not
	}
	if g.NumFDs() != len(fds) {
		t.Errorf("the group counts %d descriptors, the kernel has %d", g.NumFDs(), len(fds))
	}
	return fds
}

// holds checks how many descriptors the epoll of a group has.
func holds(t *testing.T, g *reactor.FDGroup, n int) {
	t.Helper()
	if fds := registered(t, g); len(fds) != n {
		t.Fatalf("the group holds the descriptors %v, want %d", fds, n)
	}
}

func TestFdGroupBasic(t *testing.T) {
	g := group(t)
	fd := epoll(t)
	add(t, g, fd)
	if diff := cmp.Diff(map[int]uint32{fd: unix.EPOLLIN}, registered(t, g)); diff != "" {
		t.Error(diff)
	}
	succeed(t, g.EventModify(fd, unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLPRI))
	if diff := cmp.Diff(map[int]uint32{fd: unix.EPOLLIN | unix.EPOLLPRI}, registered(t, g)); diff != "" {
		t.Error(diff)
	}
	g.Remove(fd)
	holds(t, g, 0)
}

func TestFdGroupNestUnnest(t *testing.T) {
	parent, child, notParent := group(t), group(t), group(t)
	fdParent, fdChild, fdChild2 := epoll(t), epoll(t), epoll(t)
	add(t, parent, fdParent)
	holds(t, parent, 1)
	add(t, child, fdChild)
	holds(t, child, 1)

	succeed(t, parent.Nest(child))
	if child.Parent() != parent {
		t.Error("the child does not know its parent")
	}
	holds(t, parent, 2)
	holds(t, child, 0)

	add(t, child, fdChild2) // goes to the parent at once
	holds(t, child, 0)
	holds(t, parent, 3)

	if err := notParent.Unnest(child); !errors.Is(err, unix.EINVAL) {
		t.Errorf("unnested from a stranger: %v", err)
	}
	succeed(t, parent.Unnest(child))
	if child.Parent() != nil {
		t.Error("the child still has a parent")
	}
	holds(t, parent, 1)
	holds(t, child, 2)

	child.Remove(fdChild)
	holds(t, child, 1)
	child.Remove(fdChild2)
	holds(t, child, 0)
	parent.Remove(fdParent)
	holds(t, parent, 0)
}

// TestFdGroupMultiNest takes this tree apart and together again:
//
//	          groups[0], 1 descriptor
//	         /         \
//	groups[1], 2    groups[2], 2
//	    |
//	groups[3], 3
func TestFdGroupMultiNest(t *testing.T) {
	var groups [4]*reactor.FDGroup
	var fds [4][]int
	for i, n := range []int{1, 2, 2, 3} {
		groups[i] = group(t)
		for range n {
			fds[i] = append(fds[i], eventfd(t))
			add(t, groups[i], fds[i][len(fds[i])-1])
		}
	}
	// check wants the parents (-1 for none) and in each epoll the descriptors of itself
	// and those nested below it.
	check := func(when string, parents [4]int) {
		t.Helper()
		var want [4]map[int]uint32
		for i := range want {
			want[i] = map[int]uint32{}
		}
		for i, parent := range parents {
			var p *reactor.FDGroup
			if parent >= 0 {
				p = groups[parent]
			}
			if groups[i].Parent() != p {
				t.Errorf("%s: group %d is not where it should be", when, i)
			}
			root := i
			for parents[root] >= 0 {
				root = parents[root]
			}
			for _, fd := range fds[i] {
				want[root][fd] = unix.EPOLLIN
			}
		}
		for i := range want {
			if diff := cmp.Diff(want[i], registered(t, groups[i])); diff != "" {
				t.Errorf("%s: group %d: %s", when, i, diff)
			}
		}
	}
	check("alone", [4]int{-1, -1, -1, -1})

	succeed(t, groups[0].Nest(groups[2]))
	succeed(t, groups[1].Nest(groups[3]))
	succeed(t, groups[0].Nest(groups[1]))
	check("nested", [4]int{-1, 0, 0, 1})

	succeed(t, groups[0].Unnest(groups[1]))
	check("without 1, which keeps 3", [4]int{-1, -1, 0, 1})

	succeed(t, groups[0].Nest(groups[1]))
	check("nested again", [4]int{-1, 0, 0, 1})

	fds[3] = append(fds[3], eventfd(t))
	add(t, groups[3], fds[3][3])
	check("with one more at the bottom", [4]int{-1, 0, 0, 1})

	groups[2].Remove(fds[2][1])
	fds[2] = fds[2][:1]
	check("with one less in 2", [4]int{-1, 0, 0, 1})

	succeed(t, groups[1].Unnest(groups[3]))
	check("without 3", [4]int{-1, 0, 0, -1})
	succeed(t, groups[0].Unnest(groups[1]))
	check("without 1", [4]int{-1, -1, 0, -1})
	succeed(t, groups[0].Unnest(groups[2]))
	check("alone again", [4]int{-1, -1, -1, -1})

	for i := range groups {
		for _, fd := range fds[i] {
			groups[i].Remove(fd)
		}
		holds(t, groups[i], 0)
	}
}
