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
