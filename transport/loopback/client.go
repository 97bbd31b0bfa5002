package loopback

import (
	"runtime"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
)

// Client is a [Conn] for plain goroutines: every method posts a message to the connection's
// thread and waits for the reply. Any number of goroutines may use a Client at once; none of
// them may be a reactor's. The thread has to be polled, or the methods wait for good.
//
// Methods return the file system's errno, 0 for success, and EPROTO if the reply was
// malformed. Requests that find the slots taken are retried until they are free. ESRCH means
// that the thread has exited, ENOTCONN that the client was closed.
//
// It is meant for tests and demonstrations: a call costs two wake-ups and some garbage.
type Client struct {
	t    *reactor.Thread
	conn *Conn
}

// OpFunc submits one request on a connection: it calls one of its methods, passing fn and ctx
// on.
type OpFunc func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno

// call is one request of a plain goroutine on its way.
type call struct {
	c     *Client
	op    OpFunc
	take  func(r *Reply) // runs on the thread, before the answer is announced
	errno syscall.Errno
	done  chan struct{} // has room for its one value: the thread never waits
}

// NewClient connects thread t to the dispatcher. Call it from a goroutine that is not a
// reactor's. Close the client before the thread exits and before the dispatcher is deleted.
func NewClient(t *reactor.Thread, d *fusedispatcher.Dispatcher, o Options) (*Client, error) {
	c := &Client{t: t}
	var err error
	errno := c.on(func(t *reactor.Thread) { c.conn, err = New(t, d, o) })
	if errno != 0 {
		return nil, errno
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close waits until no request is in flight and releases the channel.
func (c *Client) Close() syscall.Errno {
	for {
		var closed syscall.Errno
		if errno := c.on(func(*reactor.Thread) { closed = c.conn.Close() }); errno != 0 {
			return errno
		}
		if closed != syscall.EBUSY {
			return closed
		}
		runtime.Gosched()
	}
}

// Thread returns the thread that the client's connection belongs to.
func (c *Client) Thread() *reactor.Thread { return c.t }

// onCall is a function to be run on the thread.
type onCall struct {
	fn   func(t *reactor.Thread)
	done chan struct{}
}

// on runs fn on the thread and waits for it.
func (c *Client) on(fn func(t *reactor.Thread)) syscall.Errno {
	oc := &onCall{fn: fn, done: make(chan struct{}, 1)}
	if errno := c.post(runOn, oc); errno != 0 {
		return errno
	}
	<-oc.done
	return 0
}

func runOn(t *reactor.Thread, ctx any) {
	oc := ctx.(*onCall)
	oc.fn(t)
	oc.done <- struct{}{}
}

// post sends a message, waiting for room if the thread's ring is full.
func (c *Client) post(fn reactor.MsgFunc, ctx any) syscall.Errno {
	for {
		errno := c.t.SendMsg(fn, ctx)
		if errno != syscall.ENOMEM {
			return errno
		}
		runtime.Gosched()
	}
}

// Do performs one request: op submits it, on the thread; take, which may be nil, runs there
// too, and copies what is wanted out of a successful reply. The other methods are made of
// it; use it for what they leave out, such as [Conn.LastUnique].
func (c *Client) Do(op OpFunc, take func(r *Reply)) syscall.Errno {
	cl := &call{c: c, op: op, take: take, done: make(chan struct{}, 1)}
	if errno := c.post(runCall, cl); errno != 0 {
		return errno
	}
	<-cl.done
	return cl.errno
}

func runCall(t *reactor.Thread, ctx any) {
	cl := ctx.(*call)
	errno := cl.op(cl.c.conn, onCallReply, cl)
	if errno == syscall.ENOBUFS {
		// Behind the messages that are waiting, among them other calls, and after a
		// round of the pollers that complete requests.
		errno = t.SendMsgFrom(t, runCall, cl)
	}
	if errno != 0 {
		cl.errno = errno
		cl.done <- struct{}{}
	}
}

func onCallReply(ctx any, r *Reply) {
	cl := ctx.(*call)
	cl.errno = r.Errno
	if cl.take != nil && (cl.errno == 0 || r.raw) {
		cl.take(r)
	}
	cl.done <- struct{}{}
}

// entry performs a request that is answered by an entry.
func (c *Client) entry(op OpFunc) (Entry, syscall.Errno) {
	var e Entry
	errno := c.Do(op, func(r *Reply) { e = r.Entry })
	return e, errno
}

// Init negotiates with the dispatcher's defaults; it comes before everything else.
func (c *Client) Init(o InitOptions) (InitReply, syscall.Errno) {
	var in InitReply
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Init(o, fn, ctx)
	}, func(r *Reply) { in = r.Init })
	return in, errno
}

// Destroy ends the session: every reference and handle is gone afterwards.
func (c *Client) Destroy() syscall.Errno {
	return c.Do((*Conn).Destroy, nil)
}

// Lookup finds a name in a directory. Entry.Node 0 without an error means that there is no
// such name either. A node found holds one reference until [Client.Forget].
func (c *Client) Lookup(parent uint64, name string) (Entry, syscall.Errno) {
	return c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Lookup(parent, name, fn, ctx)
	})
}

// Forget gives back nlookup references of a node.
func (c *Client) Forget(node, nlookup uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Forget(node, nlookup, fn, ctx)
	}, nil)
}

// BatchForget gives back references of up to [MaxBatchForget] nodes.
func (c *Client) BatchForget(list []ForgetOne) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.BatchForget(list, fn, ctx)
	}, nil)
}

// Getattr returns attributes, through the handle fh if that is not 0.
func (c *Client) Getattr(node, fh uint64) (fsdev.Attr, syscall.Errno) {
	e, errno := c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Getattr(node, fh, fn, ctx)
	})
	return e.Attr, errno
}

// Setattr changes the attributes named by mask (fsdev.SetAttr*) and returns them all.
func (c *Client) Setattr(node, fh uint64, a fsdev.Attr, mask uint32) (fsdev.Attr, syscall.Errno) {
	e, errno := c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Setattr(node, fh, &a, mask, fn, ctx)
	})
	return e.Attr, errno
}

// Readlink returns the target of a symbolic link.
func (c *Client) Readlink(node uint64) (string, syscall.Errno) {
	var target string
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Readlink(node, fn, ctx)
	}, func(r *Reply) { target = string(r.Data) })
	return target, errno
}

// Symlink makes a symbolic link to target.
func (c *Client) Symlink(parent uint64, name, target string) (Entry, syscall.Errno) {
	return c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Symlink(parent, name, target, fn, ctx)
	})
}

// Mknod makes a file; mode has its type and permissions.
func (c *Client) Mknod(parent uint64, name string, mode, rdev uint32) (Entry, syscall.Errno) {
	return c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Mknod(parent, name, mode, rdev, fn, ctx)
	})
}

// Mkdir makes a directory.
func (c *Client) Mkdir(parent uint64, name string, mode uint32) (Entry, syscall.Errno) {
	return c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Mkdir(parent, name, mode, fn, ctx)
	})
}

// Unlink removes a file's name.
func (c *Client) Unlink(parent uint64, name string) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Unlink(parent, name, fn, ctx)
	}, nil)
}

// Rmdir removes an empty directory.
func (c *Client) Rmdir(parent uint64, name string) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Rmdir(parent, name, fn, ctx)
	}, nil)
}

// Rename moves a name; flags are RENAME_NOREPLACE and its like.
func (c *Client) Rename(parent uint64, name string, newParent uint64, newName string, flags uint32) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Rename(parent, name, newParent, newName, flags, fn, ctx)
	}, nil)
}

// Link gives node another name.
func (c *Client) Link(node, newParent uint64, newName string) (Entry, syscall.Errno) {
	return c.entry(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Link(node, newParent, newName, fn, ctx)
	})
}

func (c *Client) handle(op OpFunc) (uint64, syscall.Errno) {
	var fh uint64
	errno := c.Do(op, func(r *Reply) { fh = r.Handle })
	return fh, errno
}

// Open opens a file; flags are O_*.
func (c *Client) Open(node uint64, flags uint32) (uint64, syscall.Errno) {
	return c.handle(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Open(node, flags, fn, ctx)
	})
}

// Opendir opens a directory.
func (c *Client) Opendir(node uint64, flags uint32) (uint64, syscall.Errno) {
	return c.handle(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Opendir(node, flags, fn, ctx)
	})
}

// Create makes a regular file and opens it.
func (c *Client) Create(parent uint64, name string, mode, flags uint32) (Entry, uint64, syscall.Errno) {
	var e Entry
	var fh uint64
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Create(parent, name, mode, flags, fn, ctx)
	}, func(r *Reply) { e, fh = r.Entry, r.Handle })
	return e, fh, errno
}

// Read reads up to len(p) bytes at off and returns how many; fewer only at the end.
func (c *Client) Read(node, fh, off uint64, p []byte) (int, syscall.Errno) {
	n := 0
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Read(node, fh, off, p, fn, ctx)
	}, func(r *Reply) { n = len(r.Data) })
	return n, errno
}

// Write writes p at off and returns how much was taken. It is one request: p is no longer
// than the negotiated [InitReply.MaxWrite].
func (c *Client) Write(node, fh, off uint64, p []byte) (int, syscall.Errno) {
	return c.size(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Write(node, fh, off, p, fn, ctx)
	})
}

func (c *Client) size(op OpFunc) (int, syscall.Errno) {
	n := 0
	errno := c.Do(op, func(r *Reply) { n = int(r.Size) })
	return n, errno
}

// Release closes a handle of [Client.Open] or [Client.Create].
func (c *Client) Release(node, fh uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Release(node, fh, fn, ctx)
	}, nil)
}

// Releasedir closes a handle of [Client.Opendir].
func (c *Client) Releasedir(node, fh uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Releasedir(node, fh, fn, ctx)
	}, nil)
}

// Readdir reads entries from the cookie off into a buffer of size bytes: one request. No
// entries without an error means the end. With plus, every Entry.Node that is not 0
// holds a reference.
func (c *Client) Readdir(node, fh, off uint64, plus bool, size int) ([]Dirent, syscall.Errno) {
	var list []Dirent
	buf := make([]byte, size)
	ok := true
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Readdir(node, fh, off, plus, buf, fn, ctx)
	}, func(r *Reply) {
		ok = ParseDirents(r.Data, plus, func(e *Dirent) bool {
			list = append(list, *e)
			return true
		})
	})
	if errno == 0 && !ok {
		return nil, syscall.EPROTO
	}
	return list, errno
}

// Statfs returns the file system's space.
func (c *Client) Statfs(node uint64) (fsdev.Statfs, syscall.Errno) {
	var st fsdev.Statfs
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Statfs(node, fn, ctx)
	}, func(r *Reply) { st = r.Statfs })
	return st, errno
}

// Fsync writes a file out; fh may be 0.
func (c *Client) Fsync(node, fh uint64, datasync bool) syscall.Errno {
	return unneeded(c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Fsync(node, fh, datasync, fn, ctx)
	}, nil))
}

// Fsyncdir writes a directory out; fh may be 0.
func (c *Client) Fsyncdir(node, fh uint64, datasync bool) syscall.Errno {
	return unneeded(c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Fsyncdir(node, fh, datasync, fn, ctx)
	}, nil))
}

// unneeded takes a refusal as the kernel does: ENOSYS says that there is nothing to sync.
func unneeded(errno syscall.Errno) syscall.Errno {
	if errno == syscall.ENOSYS {
		return 0
	}
	return errno
}

// Flush is what close(2) sends.
func (c *Client) Flush(node, fh, owner uint64) syscall.Errno {
	return unneeded(c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Flush(node, fh, owner, fn, ctx)
	}, nil))
}

// Setxattr sets an extended attribute; flags are XATTR_CREATE and XATTR_REPLACE.
func (c *Client) Setxattr(node uint64, name string, value []byte, flags uint32) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Setxattr(node, name, value, flags, fn, ctx)
	}, nil)
}

// Getxattr copies the value of an extended attribute into p and returns its length; with an
// empty p only the length.
func (c *Client) Getxattr(node uint64, name string, p []byte) (int, syscall.Errno) {
	return c.xattr(p, func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Getxattr(node, name, p, fn, ctx)
	})
}

// Listxattr copies the NUL-terminated names of the extended attributes into p and returns
// their length; with an empty p only the length.
func (c *Client) Listxattr(node uint64, p []byte) (int, syscall.Errno) {
	return c.xattr(p, func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Listxattr(node, p, fn, ctx)
	})
}

func (c *Client) xattr(p []byte, op OpFunc) (int, syscall.Errno) {
	n := 0
	errno := c.Do(op, func(r *Reply) {
		n = int(r.Size)
		if len(p) > 0 {
			n = len(r.Data)
		}
	})
	return n, errno
}

// Removexattr removes an extended attribute.
func (c *Client) Removexattr(node uint64, name string) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Removexattr(node, name, fn, ctx)
	}, nil)
}

// Flock takes or drops a lock of the whole file; how is as for flock(2).
func (c *Client) Flock(node, fh, owner uint64, how int) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Flock(node, fh, owner, how, fn, ctx)
	}, nil)
}

// Access checks permissions; most file systems leave that to the kernel and answer ENOSYS.
func (c *Client) Access(node uint64, mask uint32) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Access(node, mask, fn, ctx)
	}, nil)
}

// Interrupt asks that the request called unique be given up.
func (c *Client) Interrupt(unique uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Interrupt(unique, fn, ctx)
	}, nil)
}

// Fallocate reserves or punches a range of a file; mode is FALLOC_FL_*.
func (c *Client) Fallocate(node, fh uint64, mode uint32, off, length uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Fallocate(node, fh, mode, off, length, fn, ctx)
	}, nil)
}

// Lseek finds data (SEEK_DATA) or a hole (SEEK_HOLE).
func (c *Client) Lseek(node, fh, off uint64, whence uint32) (uint64, syscall.Errno) {
	var at uint64
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Lseek(node, fh, off, whence, fn, ctx)
	}, func(r *Reply) { at = r.Offset })
	return at, errno
}

// CopyFileRange copies within the file system and returns how much.
func (c *Client) CopyFileRange(node, fh, off, nodeOut, fhOut, offOut, length, flags uint64) (int, syscall.Errno) {
	return c.size(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.CopyFileRange(node, fh, off, nodeOut, fhOut, offOut, length, flags, fn, ctx)
	})
}

// Raw submits in as it is, with out as the room for the reply, and returns the length of the
// reply (0: none was written) and the dispatcher's errno for it. For hostile input.
func (c *Client) Raw(in, out [][]byte) (uint32, syscall.Errno) {
	var n uint32
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Raw(in, out, fn, ctx)
	}, func(r *Reply) { n = r.Len })
	return n, errno
}
