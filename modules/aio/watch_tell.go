package aio

import (
	"maps"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// maxBacklog is how many notifications may be on their way to a client when there are more for it, and maxSend how
	// many are added then. A transport has room for some thousands.
	maxBacklog = 1024
	maxSend    = 512
	// sendMessage is how many the thread sends in a row.
	sendMessage = 64
	// sendPatience is how long the others wait for a client that takes nothing.
	sendPatience = 100 * time.Millisecond
	// maxRechecks is how many files can have to be told of again.
	maxRechecks = 1 << 12
	// resyncRounds is how often maxSend is told of a resync before there is a look at the events again.
	resyncRounds = 32
)

// listener is a client that has to be told more than what has just happened.
type listener struct {
	lost   bool     // it was not told of everything
	resync []uint64 // objects that it is yet to be told have changed, since it had been lost
}

// recheck is a file that changed when somebody might just have been looking it up.
type recheck struct {
	node *node // with a reference
	due  uint64
}

// tell tells the clients, and says whether there is any use in going on.
func (w *watcher) tell(b *batch) bool {
	defer b.release()
	if b.lost {
		w.loseAll()
	}
	for _, c := range *w.a.clients.Load() {
		if l := w.listeners[c]; l != nil && l.lost {
			continue
		}
		for list := b.forClient(c); len(list) > 0; {
			room, ok := w.waitForRoom(c)
			if !ok {
				return false
			}
			if !room {
				w.lose(c)
				break
			}
			n := min(len(list), maxSend)
			if !w.send(c, list[:n]) {
				return false
			}
			list = list[n:]
		}
	}
	return true
}

// lose gives up telling a client each change: it will be told that everything may have changed.
func (w *watcher) lose(c *client) { w.listeners[c] = &listener{lost: true} }

func (w *watcher) loseAll() {
	for _, c := range *w.a.clients.Load() {
		w.lose(c)
	}
}

// waitForRoom waits until a client can be told more, which may never happen.
func (w *watcher) waitForRoom(c *client) (room, ok bool) {
	for end := time.Now().Add(sendPatience); c.desc.NotifyBacklog() >= maxBacklog; {
		if c.gone.Load() || time.Now().After(end) {
			return false, true
		}
		if !w.pause(watchPause) {
			return false, false
		}
	}
	return true, true
}

// sending is what the thread is given to send.
type sending struct {
	w    *watcher
	desc *fsdev.Desc
	list []*fsdev.Notification
}

// send tells a client, and says whether that was possible.
func (w *watcher) send(c *client, list []*fsdev.Notification) bool {
	w.counts.sent.Add(uint64(len(list)))
	for len(list) > 0 {
		n := min(len(list), sendMessage)
		if w.t.SendMsgWait(w.a.pool.ctx, sendNotifications, &sending{w, c.desc, list[:n]}) != nil {
			return false
		}
		select {
		case <-w.sent:
		case <-w.stopped:
			return false
		}
		list = list[n:]
	}
	return true
}

func sendNotifications(t *reactor.Thread, ctx any) {
	s := ctx.(*sending)
	for _, n := range s.list {
		s.w.a.fsdev.Notify(t, s.desc, n)
	}
	s.w.sent <- struct{}{} // there is room: who waits for it sends nothing meanwhile
}

// recheck has a change of a file told again when all have learned about the file who were about to.
func (w *watcher) recheck(n *node) {
	switch {
	case n.watched.again:
		return
	case len(w.again) == maxRechecks:
		w.loseAll()
		return
	case !n.tryRef():
		return
	}
	n.watched.again = true
	w.again = append(w.again, recheck{n, sys.Ticks() + w.fresh.Load()})
}

func (w *watcher) dropRechecks() {
	for _, r := range w.again {
		w.a.put(r.node)
	}
}

// isBusy says whether there is anything to do without an event.
func (w *watcher) isBusy() bool { return len(w.again) > 0 || len(w.listeners) > 0 }

// later does what had to be left undone, if it can be done now. It says whether there is any use in going on.
func (w *watcher) later() bool {
	if !w.tellAgain() {
		return false
	}
	maps.DeleteFunc(w.listeners, func(c *client, _ *listener) bool { return c.gone.Load() })
	for c, l := range w.listeners {
		if !w.resync(c, l) {
			return false
		}
	}
	return true
}

func (w *watcher) tellAgain() bool {
	now := sys.Ticks()
	b := batch{w: w}
	for len(w.again) > 0 && now >= w.again[0].due {
		n := w.again[0].node
		w.again[0].node = nil
		w.again = w.again[1:]
		n.watched.again = false
		b.refs = append(b.refs, n)
		b.list = append(b.list, notice{n, &fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: n.obj}})
	}
	return len(b.list) == 0 || w.tell(&b)
}

// resync tells a client that everything may have changed, as far as there is room.
func (w *watcher) resync(c *client, l *listener) bool {
	if l.lost {
		if c.desc.NotifyBacklog() >= maxBacklog {
			return true
		}
		w.counts.resyncs.Add(1)
		if !w.send(c, []*fsdev.Notification{{Type: fsdev.NotifyInvalNames}}) {
			return false
		}
		l.lost = false
		w.a.objects.Range(func(id uint64, n *node) {
			if w.a.isKnown(n, c) {
				l.resync = append(l.resync, id)
			}
		})
	}
	for i := 0; i < resyncRounds && len(l.resync) > 0 && c.desc.NotifyBacklog() < maxBacklog; i++ {
		n := min(len(l.resync), maxSend)
		list := make([]*fsdev.Notification, n)
		for i, id := range l.resync[:n] {
			list[i] = &fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: fsdev.FileObject(id)}
		}
		l.resync = l.resync[n:]
		if !w.send(c, list) {
			return false
		}
	}
	if len(l.resync) == 0 {
		delete(w.listeners, c)
	}
	return true
}
