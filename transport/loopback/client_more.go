package loopback

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Getlk returns a byte-range lock that is in l's way, or one of type F_UNLCK.
func (c *Client) Getlk(node, fh, owner uint64, l fsdev.Lock) (fsdev.Lock, syscall.Errno) {
	var got fsdev.Lock
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Getlk(node, fh, owner, &l, fn, ctx)
	}, func(r *Reply) { got = r.Lock })
	return got, errno
}

// Setlk takes or drops a byte-range lock for owner, and waits for it if told to.
func (c *Client) Setlk(node, fh, owner uint64, l fsdev.Lock, wait bool) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Setlk(node, fh, owner, &l, wait, fn, ctx)
	}, nil)
}

// Ioctl performs a device control: in is what the command reads, out takes what it writes.
func (c *Client) Ioctl(node, fh uint64, cmd uint32, arg uint64, in, out []byte) (int32, syscall.Errno) {
	var result int32
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Ioctl(node, fh, cmd, arg, in, uint32(len(out)), fn, ctx)
	}, func(r *Reply) {
		result = r.Result
		copy(out, r.Data)
	})
	return result, errno
}

// Poll returns which of events a file is ready for; see [Conn.Poll].
func (c *Client) Poll(node, fh, key uint64, events uint32, notify bool) (uint32, syscall.Errno) {
	var got uint32
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Poll(node, fh, key, events, notify, fn, ctx)
	}, func(r *Reply) { got = r.Events })
	return got, errno
}

// NotifyReply answers a [NotifyRetrieve].
func (c *Client) NotifyReply(unique, node, offset uint64, data []byte) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.NotifyReply(unique, node, offset, data, fn, ctx)
	}, nil)
}

// Syncfs writes a file system out.
func (c *Client) Syncfs(node uint64) syscall.Errno {
	return c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Syncfs(node, fn, ctx)
	}, nil)
}

// Tmpfile makes a regular file without a name and opens it.
func (c *Client) Tmpfile(parent uint64, mode, flags uint32) (Entry, uint64, syscall.Errno) {
	var e Entry
	var fh uint64
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Tmpfile(parent, mode, flags, fn, ctx)
	}, func(r *Reply) { e, fh = r.Entry, r.Handle })
	return e, fh, errno
}

// Statx returns the attributes in mask (STATX_*).
func (c *Client) Statx(node, fh uint64, flags, mask uint32) (fsdev.Statx, syscall.Errno) {
	var st fsdev.Statx
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.Statx(node, fh, flags, mask, fn, ctx)
	}, func(r *Reply) { st = r.Statx })
	return st, errno
}

// CopyFileRange64 copies within the file system, any length at once, and returns how much.
func (c *Client) CopyFileRange64(node, fh, off, nodeOut, fhOut, offOut, length, flags uint64) (uint64, syscall.Errno) {
	var n uint64
	errno := c.Do(func(c *Conn, fn ReplyFunc, ctx any) syscall.Errno {
		return c.CopyFileRange64(node, fh, off, nodeOut, fhOut, offOut, length, flags, fn, ctx)
	}, func(r *Reply) { n = r.Copied })
	return n, errno
}
