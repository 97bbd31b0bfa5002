package reactor

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FDFunc is called when a descriptor of a group is ready. What it returns says whether it
// found something to do (positive), found nothing (0) or cannot tell (negative); a wrapper
// sees it, [FDGroup.Wait] does not care.
//
// SPDK: spdk_fd_fn
type FDFunc func(ctx any) int

// FDWrapper runs a callback of the group that it was set for, in the surroundings that the
// group's owner wants: it calls fn with ctx and returns what that returned.
//
// SPDK: spdk_fd_group_wrapper_fn
type FDWrapper func(wrapperCtx any, fn FDFunc, ctx any) int

// FDType says what a group does with a ready descriptor before it calls back.
//
// SPDK: enum spdk_fd_type
type FDType uint32

// The types of descriptors. SPDK: SPDK_FD_TYPE_DEFAULT, SPDK_FD_TYPE_EVENTFD
const (
	FDTypeDefault FDType = iota // nothing
	FDTypeEventfd               // read the counter, 8 bytes, which resets it
)

// FDOpts refine [FDGroup.AddExt]. The zero value waits for EPOLLIN.
//
// SPDK: struct spdk_event_handler_opts, spdk_fd_group_get_default_event_handler_opts
type FDOpts struct {
	Events uint32 // of epoll_ctl(2); 0 means EPOLLIN
	Type   FDType
}

// maxFDBatch is how many events one Wait serves. The kernel queues ready descriptors, so
// that those which had to stay behind come first the next time.
const maxFDBatch = 256

// FDGroup waits for events on many file descriptors with one epoll and calls a function for
// each. Groups nest: what a group waits for is then waited for by the root of its tree.
//
// A group and all that it is nested with belong to one thread at a time; there are no locks.
// Callbacks may change any group of the tree. Once a descriptor is removed its callback is
// not called any more, not even if its event has been collected already.
//
// SPDK: struct spdk_fd_group
type FDGroup struct {
	epfd       int
	parent     *FDGroup
	children   int
	wrapper    FDWrapper
	wrapperCtx any
	event      *unix.EpollEvent // that a callback is running for

	// What follows describes the epoll, and is empty in a group that is nested: the root
	// of the tree has it all.
	byFD    map[int]*fdHandler
	slots   []fdSlot
	free    []int32 // slots without handler
	events  []unix.EpollEvent
	waiting bool
	count   [8]byte // that was read from an eventfd; on the stack it would escape under -race
}

// fdHandler is a descriptor and what to do about it.
type fdHandler struct {
	fn    FDFunc
	ctx   any
	owner *FDGroup // that it was added to
	fd    int
	opts  FDOpts
	slot  int32
	name  string
}

// fdSlot is where an event finds its handler. Events carry the generation that the slot had
// when they were asked for, which tells those apart that were meant for a previous handler.
type fdSlot struct {
	h   *fdHandler
	gen int32
}

// NewFDGroup returns an empty group, or the error of epoll_create1(2). SPDK: spdk_fd_group_create
func NewFDGroup() (*FDGroup, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("reactor: fd group: epoll_create1: %w", err)
	}
	return &FDGroup{epfd: epfd, byFD: map[int]*fdHandler{}, events: make([]unix.EpollEvent, 8)}, nil
}

// Close ends the group. It panics if the group still has descriptors or children, is nested
// or closed.
//
// SPDK: spdk_fd_group_destroy
func (g *FDGroup) Close() {
	switch {
	case g.epfd < 0:
		panic("reactor: fd group is closed twice")
	case g.parent != nil:
		panic(fmt.Sprintf("reactor: fd group %d is closed while it is nested in group %d", g.epfd, g.parent.epfd))
	case g.children > 0:
		panic(fmt.Sprintf("reactor: fd group %d is closed while %d groups are nested in it", g.epfd, g.children))
	case len(g.byFD) > 0:
		var fds []string
		for _, h := range g.handlers(nil) {
			fds = append(fds, fmt.Sprintf("%d (%s)", h.fd, h.name))
		}
		panic(fmt.Sprintf("reactor: fd group %d is closed with descriptors in it: %s", g.epfd, strings.Join(fds, ", ")))
	}
	unix.Close(g.epfd)
	g.epfd = -1
}

// abandon closes a group with all that is in it.
func (g *FDGroup) abandon() {
	if g != nil && g.epfd >= 0 {
		unix.Close(g.epfd)
		g.epfd = -1
	}
}

// Fd returns the group's epoll descriptor, which is readable when an event waits. That of a
// nested group never is. The group keeps it.
//
// SPDK: spdk_fd_group_get_fd
func (g *FDGroup) Fd() int { return g.epfd }

// NumFDs returns how many descriptors the group's epoll has: those of the whole tree if the
// group is its root, none if it is nested. SPDK: num_fds of struct spdk_fd_group
func (g *FDGroup) NumFDs() int { return len(g.byFD) }

// Parent returns the group that g is nested in, or nil. SPDK: parent of struct spdk_fd_group
func (g *FDGroup) Parent() *FDGroup { return g.parent }

func (g *FDGroup) root() *FDGroup {
	for g.parent != nil {
		g = g.parent
	}
	return g
}

// Add has the group call fn with ctx while fd is readable. The descriptor must stay open
// until it is removed; name is for messages. Errors: EINVAL for a negative fd or a nil fn,
// EEXIST if the tree of groups has fd already, and those of epoll_ctl(2), such as EPERM for
// a regular file.
//
// SPDK: spdk_fd_group_add
func (g *FDGroup) Add(fd int, name string, fn FDFunc, ctx any) error {
	return g.AddExt(fd, name, fn, ctx, FDOpts{})
}

// AddExt is [FDGroup.Add] with options. An eventfd that the group is to read must be
// non-blocking, or a reader elsewhere could make Wait hang: EINVAL, which is stricter than
// SPDK.
//
// SPDK: spdk_fd_group_add_ext, spdk_fd_group_add_for_events
func (g *FDGroup) AddExt(fd int, name string, fn FDFunc, ctx any, o FDOpts) error {
	if o.Events == 0 {
		o.Events = unix.EPOLLIN
	}
	fail := func(what string, err error) error {
		return fmt.Errorf("reactor: fd group: %s for fd %d: %s: %w", name, fd, what, err)
	}
	root := g.root()
	switch {
	case fd < 0:
		return fail("no such descriptor", unix.EINVAL)
	case fn == nil:
		return fail("there is no function to call", unix.EINVAL)
	case o.Type > FDTypeEventfd:
		return fail("its type is unknown", unix.EINVAL)
	case root.byFD[fd] != nil:
		return fail("the group has it for "+root.byFD[fd].name, unix.EEXIST)
	}
	if o.Type == FDTypeEventfd {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil {
			return fail("fcntl", err)
		} else if flags&unix.O_NONBLOCK == 0 {
			return fail("an eventfd has to be non-blocking (EFD_NONBLOCK)", unix.EINVAL)
		}
	}
	h := &fdHandler{fn: fn, ctx: ctx, owner: g, fd: fd, opts: o, name: name}
	slot, err := root.watch(h)
	if err != nil {
		return fail("epoll_ctl", err)
	}
	root.adopt(h, slot)
	return nil
}

// Remove takes a descriptor out of the group that it was added to. It may be called from any
// callback, that of fd included. It panics if the group does not have fd, or if fd was closed
// before, since then another's descriptor of that number may have been taken for it.
//
// SPDK: spdk_fd_group_remove
func (g *FDGroup) Remove(fd int) {
	root := g.root()
	h := root.byFD[fd]
	if h == nil || h.owner != g {
		panic(fmt.Sprintf("reactor: fd %d is removed from fd group %d, which does not have it", fd, g.epfd))
	}
	err := root.unwatch(h.fd)
	root.disown(h)
	if err != nil {
		panic(fmt.Sprintf("reactor: fd %d (%s) was closed before it was removed from fd group %d: epoll_ctl: %v",
			fd, h.name, g.epfd, err))
	}
}

// EventModify changes the events to wait for. Errors: EINVAL if the group does not have fd,
// and those of epoll_ctl(2).
//
// SPDK: spdk_fd_group_event_modify
func (g *FDGroup) EventModify(fd int, events uint32) error {
	root := g.root()
	h := root.byFD[fd]
	if h == nil || h.owner != g {
		return fmt.Errorf("reactor: fd group: it does not have fd %d: %w", fd, unix.EINVAL)
	}
	ev := root.userData(h.slot)
	ev.Events = events
	if err := unix.EpollCtl(root.epfd, unix.EPOLL_CTL_MOD, fd, &ev); err != nil {
		return fmt.Errorf("reactor: fd group: events %#x of fd %d: epoll_ctl: %w", events, fd, err)
	}
	h.opts.Events = events
	return nil
}

// EpollEvent returns the events that a callback is running for. g is the group that the
// descriptor was added to, and outside its callbacks the answer is EINVAL.
//
// SPDK: spdk_fd_group_get_epoll_event
func (g *FDGroup) EpollEvent() (events uint32, errno syscall.Errno) {
	if g.event == nil {
		return 0, unix.EINVAL
	}
	return g.event.Events, 0
}

// SetWrapper has wrapper run each callback of the descriptors that were added to g itself;
// nil takes the wrapper away. A group with a wrapper can be nested but have no children.
// Errors: EEXIST if there is a wrapper, EINVAL if there are children.
//
// SPDK: spdk_fd_group_set_wrapper
func (g *FDGroup) SetWrapper(wrapper FDWrapper, ctx any) error {
	switch {
	case g.wrapper != nil && wrapper != nil:
		return fmt.Errorf("reactor: fd group %d has a wrapper: %w", g.epfd, unix.EEXIST)
	case g.children > 0:
		return fmt.Errorf("reactor: fd group %d has other groups nested in it: %w", g.epfd, unix.EINVAL)
	}
	g.wrapper, g.wrapperCtx = wrapper, ctx
	return nil
}

// userData returns an event whose 64 bits of user data lead to a slot.
func (g *FDGroup) userData(slot int32) unix.EpollEvent {
	return unix.EpollEvent{Fd: slot, Pad: g.slots[slot].gen}
}

// handlerOf returns whom an event is for, nil if that handler is gone.
func (g *FDGroup) handlerOf(ev *unix.EpollEvent) *fdHandler {
	if s := &g.slots[ev.Fd]; s.gen == ev.Pad {
		return s.h
	}
	return nil
}

// watch has g's epoll report the descriptor of h to a slot that adopt will fill.
func (g *FDGroup) watch(h *fdHandler) (slot int32, err error) {
	if len(g.free) == 0 {
		g.free = append(g.free, int32(len(g.slots)))
		g.slots = append(g.slots, fdSlot{})
	}
	slot = g.free[len(g.free)-1]
	ev := g.userData(slot)
	ev.Events = h.opts.Events
	if err := unix.EpollCtl(g.epfd, unix.EPOLL_CTL_ADD, h.fd, &ev); err != nil {
		return 0, err
	}
	g.free = g.free[:len(g.free)-1]
	if n := len(g.slots) - len(g.free); n > len(g.events) && n <= maxFDBatch {
		g.events = make([]unix.EpollEvent, min(2*n, maxFDBatch)) // a running Wait keeps the old one
	}
	return slot, nil
}

// unwatch ends the reports about fd.
func (g *FDGroup) unwatch(fd int) error { return unix.EpollCtl(g.epfd, unix.EPOLL_CTL_DEL, fd, nil) }

// adopt puts h into a slot of the root g.
func (g *FDGroup) adopt(h *fdHandler, slot int32) {
	h.slot = slot
	g.slots[slot].h = h
	g.byFD[h.fd] = h
}

// disown takes h out of the root g.
func (g *FDGroup) disown(h *fdHandler) {
	g.release(h.slot)
	delete(g.byFD, h.fd)
}

// release makes a slot free. Events on their way to it find nobody.
func (g *FDGroup) release(slot int32) {
	s := &g.slots[slot]
	s.h = nil
	s.gen++
	g.free = append(g.free, slot)
}

// Nest has the events of child served by g's root: a Wait there includes them. Errors:
// EINVAL if child is nil, nested already or g's own root, or if g has a wrapper; EEXIST if
// both trees have the same descriptor; those of epoll_ctl(2). After an error all is as
// before, unlike in SPDK there is no ENOTRECOVERABLE.
//
// SPDK: spdk_fd_group_nest
func (g *FDGroup) Nest(child *FDGroup) error {
	if child == nil || child.parent != nil || g.wrapper != nil || g.root() == child {
		return fmt.Errorf("reactor: fd group %d takes no wrapper beside children, and no child that is nested: %w",
			g.epfd, unix.EINVAL)
	}
	root := g.root()
	moving := child.handlers(nil)
	for _, h := range moving {
		if other := root.byFD[h.fd]; other != nil {
			return fmt.Errorf("reactor: fd group: fd %d is in both groups, for %s and for %s: %w",
				h.fd, h.name, other.name, unix.EEXIST)
		}
	}
	if err := move(moving, child, root); err != nil {
		return err
	}
	child.parent = g
	g.children++
	return nil
}

// Unnest undoes [FDGroup.Nest]: child, with what is nested in it, is a tree of its own
// again. Errors: EINVAL if child is nil or not nested in g itself; those of epoll_ctl(2),
// after which all is as before.
//
// SPDK: spdk_fd_group_unnest
func (g *FDGroup) Unnest(child *FDGroup) error {
	if child == nil || child.parent != g {
		return fmt.Errorf("reactor: fd group %d does not have the group that is to be unnested: %w", g.epfd, unix.EINVAL)
	}
	root := g.root()
	if err := move(root.handlers(child), root, child); err != nil {
		return err
	}
	child.parent = nil
	g.children--
	return nil
}

// handlers returns those of the root g that belong to the tree below top, or all if top is nil.
// Their order is that of the slots, so that what a program does to its groups repeats itself.
func (g *FDGroup) handlers(top *FDGroup) []*fdHandler {
	list := make([]*fdHandler, 0, len(g.byFD))
	for i := range g.slots {
		h := g.slots[i].h
		if h == nil {
			continue
		}
		o := h.owner
		for o != nil && o != top {
			o = o.parent
		}
		if o == top {
			list = append(list, h)
		}
	}
	return list
}

// move hands handlers from one epoll to another, all or none. A descriptor may be in two
// epolls at once, so that what can fail is done first and takes nothing away.
func move(handlers []*fdHandler, from, to *FDGroup) error {
	slots := make([]int32, 0, len(handlers))
	for _, h := range handlers {
		slot, err := to.watch(h)
		if err != nil {
			for i, slot := range slots {
				_ = to.unwatch(handlers[i].fd)
				to.release(slot)
			}
			return fmt.Errorf("reactor: fd group: moving fd %d (%s) to another group: epoll_ctl: %w", h.fd, h.name, err)
		}
		slots = append(slots, slot)
	}
	for i, h := range handlers {
		_ = from.unwatch(h.fd) // it is open, or adding it would have failed
		from.disown(h)
		to.adopt(h, slots[i])
	}
	return nil
}
