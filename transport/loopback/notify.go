package loopback

import (
	"bytes"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// Notification codes, enum fuse_notify_code of include/uapi/linux/fuse.h.
const (
	NotifyPoll       = 1
	NotifyInvalInode = 2
	NotifyInvalEntry = 3
	NotifyStore      = 4
	NotifyRetrieve   = 5
	NotifyDelete     = 6
	NotifyIncEpoch   = 8
)

// Notification is what the file system tells without being asked. Only the fields that its code
// has are set.
type Notification struct {
	Code   int32
	Node   uint64 // INVAL_INODE, STORE, RETRIEVE; INVAL_ENTRY and DELETE: the directory
	Child  uint64 // DELETE
	Key    uint64 // POLL
	Unique uint64 // RETRIEVE: for [Conn.NotifyReply]
	Offset int64  // INVAL_INODE, STORE, RETRIEVE
	Length int64  // INVAL_INODE, STORE, RETRIEVE
	Name   string // INVAL_ENTRY, DELETE
	Data   []byte // STORE; not to be changed
}

// NotifyFunc receives notifications on the connection's thread. n may be kept.
type NotifyFunc func(ctx any, n *Notification)

// OnNotify has fn called with ctx for notifications; one connection of a dispatcher can listen,
// the one that asked last. A malformed one has Code 0. nil ends it. Closing the connection does
// too.
func (c *Conn) OnNotify(fn NotifyFunc, ctx any) {
	c.notify, c.notifyCtx = fn, ctx
	if fn == nil {
		c.d.SetNotify(nil, nil)
		return
	}
	c.d.SetNotify(sendNotification, c)
}

// notice is a notification on its way from the dispatcher's control thread.
type notice struct {
	c *Conn
	n Notification
}

func sendNotification(t *reactor.Thread, msg [][]byte, ctx any) {
	x := &notice{c: ctx.(*Conn)}
	if !ParseNotification(&x.n, msg) {
		x.n = Notification{}
	}
	x.c.t.SendMsgRetry(t, deliverNotification, x)
}

func deliverNotification(_ *reactor.Thread, ctx any) {
	x := ctx.(*notice)
	if c := x.c; !c.closed && c.notify != nil {
		c.notify(c.notifyCtx, &x.n)
	}
}

// ParseNotification takes a notification apart. It returns false if it is malformed: of another
// length than it says, with a unique, of an unknown code, or with a name that does not end where
// it should.
func ParseNotification(n *Notification, msg [][]byte) bool {
	b := bytes.Join(msg, nil)
	if len(b) < outHeaderSize || int(le.Uint32(b)) != len(b) || le.Uint64(b[8:]) != 0 {
		return false
	}
	*n = Notification{Code: int32(le.Uint32(b[4:]))}
	b = b[outHeaderSize:]
	fixed, ok := map[int32]int{
		NotifyPoll: 8, NotifyInvalInode: 24, NotifyInvalEntry: 16, NotifyStore: 24, NotifyRetrieve: 32, NotifyDelete: 24,
		NotifyIncEpoch: 0,
	}[n.Code]
	if !ok || len(b) < fixed {
		return false
	}
	rest := b[fixed:]
	switch n.Code {
	case NotifyPoll:
		n.Key = le.Uint64(b)
	case NotifyInvalInode:
		n.Node, n.Offset, n.Length = le.Uint64(b), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))
	case NotifyInvalEntry:
		n.Node = le.Uint64(b)
		return n.parseName(rest, le.Uint32(b[8:]))
	case NotifyDelete:
		n.Node, n.Child = le.Uint64(b), le.Uint64(b[8:])
		return n.parseName(rest, le.Uint32(b[16:]))
	case NotifyStore:
		n.Node, n.Offset, n.Length, n.Data = le.Uint64(b), int64(le.Uint64(b[8:])), int64(le.Uint32(b[16:])), rest
		return n.Length == int64(len(rest))
	case NotifyRetrieve:
		n.Unique, n.Node = le.Uint64(b), le.Uint64(b[8:])
		n.Offset, n.Length = int64(le.Uint64(b[16:])), int64(le.Uint32(b[24:]))
	}
	return len(rest) == 0
}

func (n *Notification) parseName(b []byte, size uint32) bool {
	if size == 0 || int64(size)+1 != int64(len(b)) || bytes.IndexByte(b, 0) != int(size) {
		return false
	}
	n.Name = string(b[:size])
	return true
}

// OnNotify has fn called for notifications, on the connection's thread; see [Conn.OnNotify].
func (c *Client) OnNotify(fn func(n *Notification)) syscall.Errno {
	return c.on(func(*reactor.Thread) {
		if fn == nil {
			c.conn.OnNotify(nil, nil)
			return
		}
		c.conn.OnNotify(callNotify, fn)
	})
}

func callNotify(ctx any, n *Notification) { ctx.(func(n *Notification))(n) }
