package fsdev_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

// Every descriptor is told on its own thread, in order, or the one that is meant.
func TestNotifyTellsDescriptorsOnTheirThreads(t *testing.T) {
	e := newEnv(t, 2)
	_, f := e.register("fs0")
	var log []string
	var descs []*fsdev.Desc
	for i := range 3 {
		d := e.open(e.Threads[i%2], "fs0", nil)
		descs = append(descs, d)
		d.SetNotify(func(th *reactor.Thread, g *fsdev.Fsdev, n *fsdev.Notification, ctx any) {
			if g != f || ctx != d {
				t.Errorf("told of %s with %v", g.Name(), ctx)
			}
			log = append(log, fmt.Sprint(i, " on ", th.Name(), ": ", n.Type, " ", n.Object))
		}, d)
	}
	quiet := e.open(e.t, "fs0", nil) // has not asked
	f.Notify(e.t, nil, &fsdev.Notification{Type: fsdev.NotifyDelete, Object: 7})
	f.Notify(e.t, descs[1], &fsdev.Notification{Type: fsdev.NotifyPoll, Object: 8})
	f.Notify(e.t, quiet, &fsdev.Notification{Type: fsdev.NotifyPoll, Object: 9})
	if len(log) > 0 {
		t.Errorf("told from inside the call: %v", log)
	}
	e.PollThreads()
	want := []string{"0 on thread1: 2 7", "2 on thread1: 2 7", "1 on thread2: 2 7", "1 on thread2: 4 8"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	log = nil
	descs[2].SetNotify(nil, nil)
	f.Notify(e.Threads[1], nil, &fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: 7})
	descs[0].Close() // before it gets there
	e.PollThreads()
	if diff := cmp.Diff([]string{"1 on thread2: 0 7"}, log); diff != "" {
		t.Error(diff)
	}
	mustPanic(t, "notifications of a closed descriptor", func() { descs[0].SetNotify(nil, nil) })
	descs[1].Close()
	descs[2].Close()
	quiet.Close()
}

// A descriptor's backlog is what is on its way to it, and what its receiver has not got rid of.
func TestNotifyBacklog(t *testing.T) {
	e := newEnv(t, 2)
	_, f := e.register("fs0")
	d, other := e.open(e.Threads[1], "fs0", nil), e.open(e.t, "fs0", nil)
	kept := 0
	d.SetNotify(func(*reactor.Thread, *fsdev.Fsdev, *fsdev.Notification, any) { kept++ }, nil)
	check := func(when string, want int) {
		t.Helper()
		if n := d.NotifyBacklog(); n != want {
			t.Errorf("%s: %d, want %d", when, n, want)
		}
	}
	check("nothing sent", 0)
	for range 3 {
		f.Notify(e.t, d, &fsdev.Notification{Type: fsdev.NotifyInvalNames})
	}
	check("three sent", 3)
	e.PollThreads()
	check("taken, and nobody knows of more", 0)
	d.SetNotifyBacklog(func(ctx any) int { return *ctx.(*int) }, &kept)
	check("taken and kept", 3)
	f.Notify(e.t, nil, &fsdev.Notification{Type: fsdev.NotifyInvalNames})
	check("one more", 4)
	e.PollThreads()
	check("taken and kept, too", 4)
	d.SetNotifyBacklog(nil, nil)
	check("nobody knows any more", 0)
	if n := other.NotifyBacklog(); n != 0 {
		t.Errorf("of one without a receiver: %d", n)
	}
	d.Close()
	other.Close()
}
