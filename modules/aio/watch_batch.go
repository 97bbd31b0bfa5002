package aio

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// batch is what some events have to tell.
type batch struct {
	w      *watcher
	list   []notice
	inodes map[*node]*fsdev.Notification // those of list that are about a file itself
	refs   []*node                       // one reference to each
	lost   bool                          // and there was more, which nobody knows
}

// notice is for the clients that know a node.
type notice struct {
	node *node
	n    *fsdev.Notification
}

const changesNames = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO

// addAll adds the events that were read.
func (b *batch) addAll(buf []byte) {
	var e event
	events := uint64(0)
	for ok := true; ; {
		if buf, ok = e.next(b.w.seed, buf); !ok {
			break
		}
		switch {
		case e.mask&unix.FAN_Q_OVERFLOW != 0:
			b.lost = true
			b.w.counts.overflows.Add(1)
		case e.pid != b.w.pid:
			events++
			b.add(&e)
		}
	}
	b.w.counts.events.Add(events)
}

func (b *batch) add(e *event) {
	if len(e.name) == 1 && e.name[0] == '.' {
		e.file, e.dir = e.dir, 0 // it is about a directory itself
	}
	from := len(b.refs)
	b.refs = b.w.nodes.find(e.file, b.refs)
	to := len(b.refs)
	if e.mask&changesNames != 0 {
		b.refs = b.w.nodes.find(e.dir, b.refs)
	}
	files, dirs := b.refs[from:to], b.refs[to:]
	for _, d := range dirs {
		b.name(d, e, files)
		b.inode(d, true)
	}
	data := e.mask&(unix.FAN_MODIFY|unix.FAN_CLOSE_WRITE) != 0
	if data || e.mask&(unix.FAN_ATTRIB|unix.FAN_MOVED_TO) != 0 {
		for _, n := range files {
			b.inode(n, data)
		}
	}
}

// name has it told that a name is another's, or nobody's.
func (b *batch) name(d *node, e *event, children []*node) {
	n := &fsdev.Notification{Type: fsdev.NotifyInvalEntry, Object: d.obj, Name: bytes.Clone(e.name)}
	if e.mask&changesNames == unix.FAN_DELETE && len(children) == 1 && children[0].isGone() {
		n.Type, n.Child = fsdev.NotifyDelete, children[0].obj
	}
	b.list = append(b.list, notice{d, n})
}

// inode has it told that a file is not what it was: its attributes, or its data too.
func (b *batch) inode(n *node, data bool) {
	x := b.inodes[n]
	if x == nil {
		x = &fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: n.obj, Offset: fsdev.NoData}
		b.list = append(b.list, notice{n, x})
		if b.inodes == nil {
			b.inodes = make(map[*node]*fsdev.Notification)
		}
		b.inodes[n] = x
		if b.w.isFresh(n) {
			b.w.recheck(n)
		}
	}
	if data {
		x.Offset = 0
	}
}

// isGone says whether a file has no name any more. It may wait.
func (n *node) isGone() bool {
	var st unix.Stat_t
	return sys.Fstat(n.fd, &st) == 0 && st.Nlink == 0
}

// forClient returns what a client has to be told.
func (b *batch) forClient(c *client) (list []*fsdev.Notification) {
	for _, x := range b.list {
		if b.w.a.isKnown(x.node, c) {
			list = append(list, x.n)
		}
	}
	return list
}

// isKnown says whether a client knows a node.
func (a *Aio) isKnown(n *node, c *client) bool {
	if n == a.root {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.holdOf(c)
	return h != nil && h.client == c && h.n > 0
}

func (b *batch) release() {
	for _, n := range b.refs {
		b.w.a.put(n)
	}
}
