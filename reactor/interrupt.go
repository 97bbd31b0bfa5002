package reactor

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// InterruptFunc is called when an interrupt's file descriptor is ready; t is the thread it
// was registered on. SPDK: spdk_interrupt_fn
type InterruptFunc func(t *Thread, ctx any) PollerResult

// Interrupt is a file descriptor that wakes a sleeping reactor. While the reactor is awake
// it does not look at the descriptor: what has to be served then needs a poller too.
//
// SPDK: struct spdk_interrupt
type Interrupt struct {
	t     *Thread
	name  string
	fd    int
	child *FDGroup // nil unless it stands for a whole group
	fn    InterruptFunc
	ctx   any
}

// RegisterInterrupt has t's reactor wait for events (EPOLLIN and so on) on fd while it
// sleeps and call fn, which may be nil, with ctx on waking. On t only, while it is running.
// The descriptor must stay open until [Interrupt.Unregister]. Errors: those of
// [FDGroup.Add], and ESHUTDOWN for a thread that has begun to exit.
//
// SPDK: spdk_interrupt_register, spdk_interrupt_register_for_events
func (t *Thread) RegisterInterrupt(name string, fd int, events uint32, fn InterruptFunc, ctx any) (*Interrupt, error) {
	return t.RegisterInterruptExt(name, fd, FDOpts{Events: events}, fn, ctx)
}

// RegisterInterruptExt is [Thread.RegisterInterrupt] with the options of a descriptor: an
// eventfd can be read before fn is called.
//
// SPDK: spdk_interrupt_register_ext
func (t *Thread) RegisterInterruptExt(name string, fd int, o FDOpts, fn InterruptFunc, ctx any) (*Interrupt, error) {
	i := &Interrupt{t: t, name: name, fd: fd, fn: fn, ctx: ctx}
	g, err := t.openGroup(name)
	if err != nil {
		return nil, err
	}
	if err := g.AddExt(fd, name, serveInterrupt, i, o); err != nil {
		return nil, fmt.Errorf("reactor: interrupt %q: %w", name, err)
	}
	t.interrupts = append(t.interrupts, i)
	return i, nil
}

// RegisterInterruptGroup has t's reactor wait for the descriptors of child too, and call their
// functions on t. child belongs to t until [Interrupt.Unregister] and must not have a wrapper.
// Errors: those of [FDGroup.Nest] and [FDGroup.SetWrapper].
//
// SPDK: spdk_interrupt_register_fd_group
func (t *Thread) RegisterInterruptGroup(name string, child *FDGroup) (*Interrupt, error) {
	i := &Interrupt{t: t, name: name, child: child}
	g, err := t.openGroup(name)
	if err != nil {
		return nil, err
	}
	if err := child.SetWrapper(wrapInterrupt, i); err != nil {
		return nil, fmt.Errorf("reactor: interrupt %q: %w", name, err)
	}
	if err := g.Nest(child); err != nil {
		_ = child.SetWrapper(nil, nil) // it has no children, or it would not have taken one
		return nil, fmt.Errorf("reactor: interrupt %q: %w", name, err)
	}
	t.interrupts = append(t.interrupts, i)
	return i, nil
}

// openGroup returns the group of t's interrupts, made at the first call.
func (t *Thread) openGroup(name string) (*FDGroup, error) {
	t.AssertCurrent()
	if !t.IsRunning() {
		return nil, fmt.Errorf("reactor: interrupt %q: thread %q has begun to exit: %w", name, t.name, unix.ESHUTDOWN)
	}
	if t.group != nil {
		return t.group, nil
	}
	g, err := NewFDGroup()
	if err != nil {
		return nil, fmt.Errorf("reactor: interrupt %q: %w", name, err)
	}
	if r := t.reactor.Load(); r != nil {
		if err := r.group.Nest(g); err != nil {
			panic(fmt.Sprintf("reactor %d: an empty group cannot be nested: %v", r.core, err))
		}
	}
	t.group = g
	return g, nil
}

// closeGroup gives up the group of a thread that has no interrupts any more.
func (t *Thread) closeGroup() {
	t.setIntrMode(false)
	if t.group.parent != nil {
		if err := t.group.parent.Unnest(t.group); err != nil {
			panic(fmt.Sprintf("reactor: an empty group of thread %q cannot be unnested: %v", t.name, err))
		}
	}
	t.group.Close()
	t.group = nil
}

// serveInterrupt is the function of an interrupt in its group.
func serveInterrupt(ctx any) int {
	i := ctx.(*Interrupt)
	if i.fn == nil {
		return 0
	}
	i.enter()
	rc := i.fn(i.t, i.ctx)
	i.leave()
	return int(rc)
}

// wrapInterrupt runs the functions of a nested group on their thread.
func wrapInterrupt(wctx any, fn FDFunc, ctx any) int {
	i := wctx.(*Interrupt)
	i.enter()
	rc := fn(ctx)
	i.leave()
	return rc
}

// enter begins a callback of the interrupt on its thread.
func (i *Interrupt) enter() {
	i.t.inPoll = true
	i.t.watch.interrupt = i
	if r := i.t.reactor.Load(); r != nil {
		r.running = i.t
	}
}

// leave ends it.
func (i *Interrupt) leave() {
	t := i.t
	t.watch.interrupt = nil
	t.inPoll = false
	if r := t.reactor.Load(); r != nil {
		t.busyLocal += r.worked()
	}
	if t.locks != 0 {
		t.heldDuringSwitch()
	}
}

// Unregister ends the interrupt. On its thread only. SPDK: spdk_interrupt_unregister
func (i *Interrupt) Unregister() {
	t := i.t
	t.AssertCurrent()
	k := slices.Index(t.interrupts, i)
	if k < 0 {
		panic(fmt.Sprintf("reactor: interrupt %q of thread %q is unregistered twice", i.name, t.name))
	}
	t.interrupts = slices.Delete(t.interrupts, k, k+1)
	if i.child != nil {
		i.unnest()
		return
	}
	t.group.Remove(i.fd)
}

func (i *Interrupt) unnest() {
	if err := i.t.group.Unnest(i.child); err != nil {
		panic(fmt.Sprintf("reactor: interrupt %q: its group cannot be unnested: %v", i.name, err))
	}
	if err := i.child.SetWrapper(nil, nil); err != nil {
		panic(fmt.Sprintf("reactor: interrupt %q: groups were nested in its group: %v", i.name, err))
	}
}

// SetEvents changes the events that the interrupt waits for. On its thread only.
//
// SPDK: spdk_interrupt_set_event_types
func (i *Interrupt) SetEvents(events uint32) error {
	i.t.AssertCurrent()
	if i.child != nil {
		return fmt.Errorf("reactor: interrupt %q stands for a group: change its descriptors: %w", i.name, unix.EINVAL)
	}
	if err := i.t.group.EventModify(i.fd, events); err != nil {
		return fmt.Errorf("reactor: interrupt %q: %w", i.name, err)
	}
	return nil
}

// forget takes the interrupt out of its group even if the descriptor has been closed.
func (i *Interrupt) forget() {
	if i.child != nil {
		i.unnest()
		return
	}
	root := i.t.group.root()
	_ = root.unwatch(i.fd) // EBADF: it was closed already
	root.disown(root.byFD[i.fd])
}

// InterruptGroup returns the group that has t's interrupts, to add descriptors to or to wait
// on when t is polled by hand. On t only, while it is running.
//
// SPDK: spdk_thread_get_interrupt_fd_group, spdk_thread_get_interrupt_fd
func (t *Thread) InterruptGroup() (*FDGroup, error) { return t.openGroup("group of the thread") }
