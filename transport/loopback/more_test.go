package loopback_test

import (
	"bytes"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// mirror is a module whose results are made of what it is asked.
type mirror struct {
	f    *fsdev.Fsdev
	dev  *iochannel.Device
	last fsdev.IO // what it was asked
}

const (
	mirrorRoot = fsdev.FileObject(1) << 32
	mirrorFile = fsdev.FileObject(2) << 32
)

func (m *mirror) IOChannel(t *reactor.Thread) *iochannel.Channel { return m.dev.Get(t) }

func (m *mirror) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	m.dev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

var mirrorAttr = fsdev.Attr{
	Ino: 1, Size: 2, Blocks: 3, Atime: 4, Mtime: 5, Ctime: 6, AtimeNsec: 7, MtimeNsec: 8, CtimeNsec: 9,
	Mode: syscall.S_IFBLK | 0o600, Nlink: 10, UID: 11, GID: 12, Rdev: 0x12345678, Blksize: 13, ValidMS: 1500,
}

func (m *mirror) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	m.last = fsdev.IO{
		Type: io.Type, Object: io.Object, Handle: io.Handle, Offset: io.Offset, Flags: io.Flags, Mode: io.Mode,
		Owner: io.Owner, Length: io.Length, Wait: io.Wait, Value: bytes.Clone(io.Value),
	}
	if io.Type == fsdev.IOGetlk || io.Type == fsdev.IOSetlk {
		m.last.Lock = io.Lock
	}
	// The next operation that uses this IO sets only what it has.
	size, flags, offset, length, mode := io.Size, io.Flags, io.Offset, io.Length, io.Mode
	io.Handle, io.Offset, io.Flags, io.Mode, io.Owner, io.Length, io.Wait = 0, 0, 0, 0, 0, 0, false
	io.OutObject, io.OutHandle, io.OutAttr = mirrorFile, 99, mirrorAttr
	switch io.Type {
	case fsdev.IOMount:
		io.OutObject, io.Mount.PosixLocks = mirrorRoot, true
	case fsdev.IOLseek:
		io.OutSize = offset + 1
	case fsdev.IOStatx:
		io.OutStatx = fsdev.Statx{
			Mask: mode, Attributes: 21, AttributesMask: 22, Btime: 23, BtimeNsec: 24, Attr: mirrorAttr,
		}
	case fsdev.IOGetlk:
		io.Lock.PID++
	case fsdev.IOIoctl:
		io.OutResult, io.OutSize = 31, uint64(size)
		for _, seg := range io.Iovs {
			copy(seg, bytes.Repeat([]byte("x"), len(seg)))
		}
	case fsdev.IOPoll:
		io.OutResult = int32(flags & 1)
	case fsdev.IOCopyFileRange:
		io.OutSize = length
	}
	io.Complete(0)
}

func (m *mirror) create(t *reactor.Thread, name string) (err error) {
	if m.dev, err = iochannel.RegisterDevice[struct{}](t, m, "mirror", nil, nil); err != nil {
		return err
	}
	m.f, err = fsdev.Register(t, name, nil, m)
	return err
}

// connectMirror is connect over a mirror, with a session.
func connectMirror(t *testing.T) (*hand, *mirror) {
	h := connect(t, loopback.Options{})
	h.c.Close()
	m := &mirror{}
	if err := m.create(h.t, "mirror0"); err != nil {
		t.Fatal(err)
	}
	null := h.disp
	null.Delete(h.t, nil, nil)
	var err error
	if h.disp, err = fusedispatcher.Create(h.t, fusedispatcher.Opts{FsdevName: "mirror0", MaxRequests: 256}); err != nil {
		t.Fatal(err)
	}
	if h.c, err = loopback.New(h.t, h.disp, loopback.Options{}); err != nil {
		t.Fatal(err)
	}
	r := h.ask(t, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return h.c.Init(loopback.InitOptions{
			Major: 7, Minor: 45, Flags: loopback.DefaultInitFlags | loopback.InitPosixLocks,
		}, fn, ctx)
	})
	if r.Errno != 0 || r.Init.Flags&loopback.InitPosixLocks == 0 {
		t.Fatalf("INIT: %v, flags %#x", r.Errno, r.Init.Flags)
	}
	return h, m
}

func TestNewerOperations(t *testing.T) {
	h, m := connectMirror(t)
	file := uint64(mirrorFile)
	lock := fsdev.Lock{Type: syscall.F_WRLCK, PID: 5, Start: 6, End: math.MaxInt64}
	held := lock
	held.PID++
	statx := fsdev.Statx{Mask: 44, Attributes: 21, AttributesMask: 22, Btime: 23, BtimeNsec: 24, Attr: mirrorAttr}
	type ask = func(fn loopback.ReplyFunc, ctx any) syscall.Errno
	for _, tt := range []struct {
		name string
		op   ask
		io   fsdev.IO
		want loopback.Reply // the fields that are compared
	}{
		{"getlk", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Getlk(file, 42, 43, &lock, fn, ctx) },
			fsdev.IO{Type: fsdev.IOGetlk, Handle: 42, Owner: 43, Lock: lock}, loopback.Reply{Lock: held}},
		{"setlk", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Setlk(file, 42, 43, &lock, false, fn, ctx)
		}, fsdev.IO{Type: fsdev.IOSetlk, Handle: 42, Owner: 43, Lock: lock}, loopback.Reply{}},
		{"setlkw", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Setlk(file, 42, 43, &lock, true, fn, ctx)
		}, fsdev.IO{Type: fsdev.IOSetlk, Handle: 42, Owner: 43, Lock: lock, Wait: true}, loopback.Reply{}},
		{"ioctl", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Ioctl(file, 42, 0x80086601, 43, nil, 4, fn, ctx)
		}, fsdev.IO{Type: fsdev.IOIoctl, Handle: 42, Flags: 0x80086601, Length: 43},
			loopback.Reply{Result: 31, Data: []byte("xxxx")}},
		{"ioctl with input", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Ioctl(file, 42, 0x40086602, 43, []byte("flag"), 0, fn, ctx)
		}, fsdev.IO{Type: fsdev.IOIoctl, Handle: 42, Flags: 0x40086602, Length: 43, Value: []byte("flag")},
			loopback.Reply{Result: 31, Data: []byte{}}},
		{"poll", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Poll(file, 42, 43, 5, true, fn, ctx) },
			fsdev.IO{Type: fsdev.IOPoll, Handle: 42, Owner: 43, Flags: 5, Wait: true}, loopback.Reply{Events: 1}},
		{"syncfs", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Syncfs(file, fn, ctx) },
			fsdev.IO{Type: fsdev.IOSyncfs}, loopback.Reply{}},
		{"tmpfile", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Tmpfile(file, 0o600, 2, fn, ctx) },
			fsdev.IO{Type: fsdev.IOTmpfile, Mode: 0o600, Flags: 2}, loopback.Reply{Handle: 99}},
		{"statx", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Statx(file, 42, 43, 44, fn, ctx) },
			fsdev.IO{Type: fsdev.IOStatx, Handle: 42, Flags: 43, Mode: 44}, loopback.Reply{Statx: statx}},
		{"lseek", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Lseek(file, 42, 43, 3, fn, ctx) },
			fsdev.IO{Type: fsdev.IOLseek, Handle: 42, Offset: 43, Flags: 3}, loopback.Reply{Offset: 44}},
		{"copy_file_range_64", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.CopyFileRange64(file, 42, 43, file, 45, 46, 1<<40, 0, fn, ctx)
		}, fsdev.IO{Type: fsdev.IOCopyFileRange, Handle: 42, Offset: 43, Length: 1 << 40}, loopback.Reply{Copied: 1 << 40}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := h.ask(t, tt.op)
			if r.Errno != 0 {
				t.Fatal(r.Errno)
			}
			tt.io.Object = mirrorFile
			got := loopback.Reply{
				Lock: r.Lock, Result: r.Result, Data: slices.Clone(r.Data), Events: r.Events, Statx: r.Statx, Offset: r.Offset,
				Copied: r.Copied, Handle: r.Handle,
			}
			if tt.name != "getlk" {
				got.Lock = fsdev.Lock{}
			}
			if tt.name != "statx" {
				got.Statx = fsdev.Statx{}
			}
			if diff := cmp.Diff(tt.want, got, unexported); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.io, m.last, unexported, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the module saw (-want +got):\n%s", diff)
			}
		})
	}
}

var unexported = cmpopts.IgnoreUnexported(loopback.Reply{}, fsdev.IO{})

// heard keeps notifications.
type heard struct{ list []loopback.Notification }

func keepNotification(ctx any, n *loopback.Notification) {
	h := ctx.(*heard)
	h.list = append(h.list, *n)
}

func TestNotifications(t *testing.T) {
	h, m := connectMirror(t)
	file := uint64(mirrorFile)
	var got heard
	h.c.OnNotify(keepNotification, &got)
	for _, n := range []fsdev.Notification{
		{Type: fsdev.NotifyInvalInode, Object: mirrorFile, Offset: 1, Length: 2},
		{Type: fsdev.NotifyInvalInode, Object: mirrorRoot},
		{Type: fsdev.NotifyInvalEntry, Object: mirrorRoot, Name: []byte("entry")},
		{Type: fsdev.NotifyDelete, Object: mirrorRoot, Child: mirrorFile, Name: []byte("gone")},
		{Type: fsdev.NotifyStore, Object: mirrorFile, Offset: 3, Data: []byte("data")},
		{Type: fsdev.NotifyPoll, Key: 4},
		{Type: fsdev.NotifyInvalNames},
	} {
		m.f.Notify(h.t, nil, &n)
	}
	var kept []byte
	errno := h.disp.Retrieve(mirrorFile, 5, 6, func(_ *reactor.Thread, _ any, errno syscall.Errno, data [][]byte) {
		if errno != 0 {
			t.Error(errno)
		}
		kept = slices.Concat(data...)
	}, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	h.PollThreads()
	want := []loopback.Notification{
		{Code: loopback.NotifyRetrieve, Node: file, Offset: 5, Length: 6, Unique: 1<<62 + 1},
		{Code: loopback.NotifyInvalInode, Node: file, Offset: 1, Length: 2},
		{Code: loopback.NotifyInvalInode, Node: loopback.RootID},
		{Code: loopback.NotifyInvalEntry, Node: loopback.RootID, Name: "entry"},
		{Code: loopback.NotifyDelete, Node: loopback.RootID, Child: file, Name: "gone"},
		{Code: loopback.NotifyStore, Node: file, Offset: 3, Length: 4, Data: []byte("data")},
		{Code: loopback.NotifyPoll, Key: 4},
		{Code: loopback.NotifyIncEpoch},
	}
	if diff := cmp.Diff(want, got.list); diff != "" {
		t.Fatalf("notifications (-want +got):\n%s", diff)
	}
	q := got.list[0]
	r := h.ask(t, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return h.c.NotifyReply(q.Unique, q.Node, uint64(q.Offset), []byte("cached"), fn, ctx)
	})
	if r.Errno != 0 || string(kept) != "cached" {
		t.Errorf("NOTIFY_REPLY: %v, %q arrived", r.Errno, kept)
	}

	// Nothing comes after the end, not even what is under way.
	got.list = nil
	m.f.Notify(h.t, nil, &fsdev.Notification{Type: fsdev.NotifyPoll})
	h.c.OnNotify(nil, nil)
	h.PollThreads()
	h.c.OnNotify(keepNotification, &got)
	m.f.Notify(h.t, nil, &fsdev.Notification{Type: fsdev.NotifyPoll})
	h.c.Close()
	h.PollThreads()
	if len(got.list) != 0 {
		t.Errorf("%d notifications after the end", len(got.list))
	}
}

func TestParseNotificationRefuses(t *testing.T) {
	h, m := connectMirror(t)
	var sent [][][]byte
	h.disp.SetNotify(func(_ *reactor.Thread, msg [][]byte, _ any) { sent = append(sent, msg) }, nil)
	for _, n := range []fsdev.Notification{
		{Type: fsdev.NotifyInvalInode, Object: mirrorFile},
		{Type: fsdev.NotifyInvalEntry, Object: mirrorRoot, Name: []byte("entry")},
		{Type: fsdev.NotifyDelete, Object: mirrorRoot, Child: mirrorFile, Name: []byte("gone")},
		{Type: fsdev.NotifyStore, Object: mirrorFile, Data: []byte("data")},
		{Type: fsdev.NotifyPoll},
	} {
		m.f.Notify(h.t, nil, &n)
	}
	h.PollThreads()
	for _, msg := range sent {
		whole := slices.Concat(msg...)
		refuse := func(what string, b []byte) {
			t.Helper()
			var n loopback.Notification
			if loopback.ParseNotification(&n, [][]byte{b}) {
				t.Errorf("notification %d %s is accepted", whole[4], what)
			}
		}
		var n loopback.Notification
		if !loopback.ParseNotification(&n, [][]byte{whole[:17], nil, whole[17:]}) {
			t.Errorf("notification %d is refused", whole[4])
		}
		for i := range whole {
			refuse("cut short", whole[:i])
			b := slices.Clone(whole[:i])
			if i >= 4 {
				b[0] = byte(i)
				refuse("that is short", b)
			}
		}
		refuse("with more behind it", append(slices.Clone(whole), 0))
		b := append(slices.Clone(whole), 0)
		b[0]++
		refuse("that is longer", b)
		b = slices.Clone(whole)
		b[8] = 2
		refuse("with a unique", b)
		b = slices.Clone(whole)
		b[4] = 9
		refuse("of another code", b)
	}
}

// The methods for plain goroutines do what those of a connection do.
func TestNewerOperationsOfAClient(t *testing.T) {
	m := &mirror{}
	c := serve(t, m.create, loopback.Options{})
	if _, errno := c.Init(loopback.InitOptions{Flags: loopback.DefaultInitFlags | loopback.InitPosixLocks}); errno != 0 {
		t.Fatal(errno)
	}
	lock := fsdev.Lock{Type: syscall.F_RDLCK, PID: 1}
	out := make([]byte, 4)
	file := uint64(mirrorFile)
	var errnos []syscall.Errno
	note := func(errno syscall.Errno) { errnos = append(errnos, errno) }
	got, errno := c.Getlk(file, 1, 2, lock)
	note(errno)
	note(c.Setlk(file, 1, 2, lock, true))
	result, errno := c.Ioctl(file, 1, 0x80086601, 0, nil, out)
	note(errno)
	events, errno := c.Poll(file, 1, 2, 5, false)
	note(errno)
	note(c.Syncfs(file))
	_, fh, errno := c.Tmpfile(file, 0o600, 2)
	note(errno)
	st, errno := c.Statx(file, 0, 0, 44)
	note(errno)
	n, errno := c.CopyFileRange64(file, 1, 0, file, 2, 0, 1<<33, 0)
	note(errno)
	note(c.NotifyReply(1, file, 0, nil))
	want := make([]syscall.Errno, 9)
	want[8] = syscall.ENOENT // nobody has asked
	if diff := cmp.Diff(want, errnos); diff != "" {
		t.Errorf("errnos (-want +got):\n%s", diff)
	}
	if got.PID != 2 || result != 31 || string(out) != "xxxx" || events != 1 || fh != 99 || st.Mask != 44 || n != 1<<33 {
		t.Errorf("%+v, %d, %q, %d, %d, %d, %d", got, result, out, events, fh, st.Mask, n)
	}
	heard := make(chan *loopback.Notification, 1)
	if errno := c.OnNotify(func(n *loopback.Notification) { heard <- n }); errno != 0 {
		t.Fatal(errno)
	}
	app.Call(c.a.Thread(), func(t *reactor.Thread) {
		m.f.Notify(t, nil, &fsdev.Notification{Type: fsdev.NotifyPoll, Key: 5})
	})
	if n := <-heard; n.Key != 5 {
		t.Errorf("%+v", n)
	}
	if errno := c.OnNotify(nil); errno != 0 {
		t.Fatal(errno)
	}
}
