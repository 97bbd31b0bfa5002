// Package fsdev_test has the tests of SPDK's suite fsdev/fsdev.c.
package fsdev_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// What the tests pass through the layer.
const (
	unique     = 0xBEADBEAD
	object     = fsdev.FileObject(0xDEADDEAD)
	handle     = fsdev.FileHandle(0xBEABBEAB)
	dataSize   = 22
	numLookups = 11
)

var (
	fname  = []byte("ut_test.file")
	lname  = []byte("ut_test.file.link")
	aname  = []byte("xattr1.name")
	avalue = []byte("xattr1.val")
	iovs   = [][]byte{make([]byte, 10), make([]byte, 20)}
	attr   = fsdev.Attr{
		Ino: 1, Size: 2, Blocks: 3, Atime: 4, Mtime: 5, Ctime: 6, AtimeNsec: 7, MtimeNsec: 8, CtimeNsec: 9, Mode: 10,
		Nlink: 11, UID: 12, GID: 13, Rdev: 14, Blksize: 15, ValidMS: 16,
	}
	statfs = fsdev.Statfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}
	mount  = fsdev.MountOpts{MaxWrite: 1<<32 - 1, WritebackCache: true}
	by     = fsdev.Creator{UID: 0x1111, GID: 0x2222}
)

// utModule is the module of the tests.
type utModule struct{}

func (utModule) Name() string               { return "ut_fsdev_module" }
func (utModule) Init(*reactor.Thread) error { return nil }
func (utModule) Fini(*reactor.Thread)       {}

func init() { fsdev.RegisterModule(utModule{}) }

// utChannel is a module's channel.
type utChannel struct{}

// utDevice completes what it is given at once, with a status, and keeps a record.
type utDevice struct {
	tb        testing.TB
	ioDev     *iochannel.Device
	f         *fsdev.Fsdev
	status    syscall.Errno
	result    func(io *fsdev.IO) // fills in the results
	gets      int                // calls of IOChannel
	created   int                // channels
	destroyed int
	destructs int
	keeps     fsdev.IOType // of what is not completed, MOUNT for none
	kept      *fsdev.IO

	calls []fsdev.IO // of SubmitRequest: the requests
	chs   []*iochannel.Channel
}

func (d *utDevice) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	if d.keeps != fsdev.IOMount && io.Type == d.keeps {
		d.kept = io
		return
	}
	d.calls = append(d.calls, request(io))
	d.chs = append(d.chs, ch)
	if io.Channel() != ch || io.Thread() != ch.Thread() {
		d.tb.Error("the IO belongs to another channel")
	}
	if d.result != nil {
		d.result(io)
	}
	io.Complete(d.status)
}

// request returns what a module can read of io.
func request(io *fsdev.IO) fsdev.IO {
	return fsdev.IO{
		Type: io.Type, Plus: io.Plus, Datasync: io.Datasync, Wait: io.Wait, HasGroup: io.HasGroup, Unique: io.Unique,
		Object: io.Object, Handle: io.Handle, Offset: io.Offset, Size: io.Size, Flags: io.Flags, Mode: io.Mode, Rdev: io.Rdev,
		Umask: io.Umask, UID: io.UID, GID: io.GID, Group: io.Group, Object2: io.Object2, Handle2: io.Handle2,
		Offset2: io.Offset2, Length: io.Length, Nlookup: io.Nlookup, Owner: io.Owner, Name: io.Name, Name2: io.Name2,
		Value: io.Value, Iovs: io.Iovs, Target: io.Target, Attr: io.Attr, Mount: io.Mount,
	}
}

func (d *utDevice) IOChannel(t *reactor.Thread) *iochannel.Channel {
	d.gets++
	return d.ioDev.Get(t)
}

func (d *utDevice) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	d.destructs++
	d.ioDev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

// suite is the layer on a thread that is polled by hand, and a device.
type suite struct {
	*reactortest.Harness
	tb  testing.TB
	t   *reactor.Thread
	dev *utDevice
}

func newSuite(tb testing.TB) *suite {
	tb.Helper()
	s := &suite{Harness: reactortest.New(tb, 1), tb: tb}
	s.t = s.Threads[0]
	if err := fsdev.Initialize(s.t, fsdev.Opts{}); err != nil {
		tb.Fatal(err)
	}
	d := &utDevice{tb: tb}
	var err error
	d.ioDev, err = iochannel.RegisterDevice(s.t, d, "ut_fsdev", func(*iochannel.Channel, *utChannel) syscall.Errno {
		d.created++
		return 0
	}, func(*iochannel.Channel, *utChannel) { d.destroyed++ })
	if err != nil {
		tb.Fatal(err)
	}
	if d.f, err = fsdev.Register(s.t, "utfsdev0", utModule{}, d); err != nil {
		tb.Fatal(err)
	}
	s.dev = d
	tb.Cleanup(s.end)
	return s
}

// end unregisters the device, which is destructed once, and finishes the layer.
func (s *suite) end() {
	gone := 0
	s.dev.f.Unregister(s.t, func(_ *reactor.Thread, ctx any, err error) {
		if ctx != s || err != nil {
			s.tb.Errorf("unregistered with %v: %v", ctx, err)
		}
		gone++
	}, s)
	s.PollThread(0)
	if gone != 1 || s.dev.destructs != 1 {
		s.tb.Errorf("destructed %d times, called back %d times", s.dev.destructs, gone)
	}
	finished := 0
	fsdev.Finish(s.t, func(_ *reactor.Thread, _ any, err error) {
		finished++
		if err != nil {
			s.tb.Error(err)
		}
	}, nil)
	s.PollThread(0)
	if finished != 1 {
		s.tb.Errorf("finished %d times", finished)
	}
}

func (s *suite) open() *fsdev.Desc {
	s.tb.Helper()
	d, err := fsdev.Open(s.t, "utfsdev0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {
		s.tb.Error("an event")
	}, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	return d
}

// outcome is what a completion was called with.
type outcome struct {
	Errno  syscall.Errno
	Object fsdev.FileObject
	Handle fsdev.FileHandle
	Attr   fsdev.Attr
	N      uint64
	Target string
	Statfs fsdev.Statfs
	Mount  fsdev.MountOpts
}

// completions is the context of the operation.
type completions struct {
	tb  testing.TB
	ch  *iochannel.Channel
	got []outcome
}

func (c *completions) add(ch *iochannel.Channel, o outcome) {
	if ch != c.ch {
		c.tb.Error("completed on another channel")
	}
	c.got = append(c.got, o)
}

func statusDone(ctx any, ch *iochannel.Channel, errno syscall.Errno) {
	ctx.(*completions).add(ch, outcome{Errno: errno})
}

func entryDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Object: obj, Attr: *a})
}

func attrDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, a *fsdev.Attr) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Attr: *a})
}

func sizeDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, n uint64) {
	ctx.(*completions).add(ch, outcome{Errno: errno, N: n})
}

func openDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Handle: h})
}

func createDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr,
	h fsdev.FileHandle) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Object: obj, Attr: *a, Handle: h})
}

func mountDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, o *fsdev.MountOpts, root fsdev.FileObject) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Mount: *o, Object: root})
}

func readlinkDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, target []byte) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Target: string(target)})
}

func statfsDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	ctx.(*completions).add(ch, outcome{Errno: errno, Statfs: *st})
}

// call is how an operation is called.
type call func(d *fsdev.Desc, ch *iochannel.Channel, c *completions) syscall.Errno

// check has an operation performed once with status. The module must see want, on its channel,
// in exactly one request; the client must get got after a poll, or the status alone if that is
// an errno.
func check(t *testing.T, status syscall.Errno, want fsdev.IO, fill func(io *fsdev.IO), got outcome, do call) {
	t.Helper()
	s := newSuite(t)
	desc := s.open()
	ch := desc.IOChannel(s.t)
	s.dev.status, s.dev.result = status, fill
	c := &completions{tb: t, ch: ch}
	if errno := do(desc, ch, c); errno != 0 {
		t.Fatalf("the call returns %v", errno)
	}
	if len(c.got) != 0 {
		t.Error("completed from inside the call")
	}
	s.t.Poll(0, 0)
	want.Unique = unique
	if diff := cmp.Diff([]fsdev.IO{want}, s.dev.calls, cmpopts.IgnoreUnexported(fsdev.IO{})); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if len(s.dev.chs) != 1 || s.dev.chs[0] != s.dev.ioDev.Get(s.t) {
		t.Error("the module got another channel")
	}
	s.dev.chs[0].Put()
	if status != 0 {
		got = outcome{Errno: status}
	}
	if diff := cmp.Diff([]outcome{got}, c.got); diff != "" {
		t.Errorf("completions (-want +got):\n%s", diff)
	}
	ch.Put()
	s.PollThread(0)
	desc.Close()
}

// both checks an operation that succeeds and that fails.
func both(t *testing.T, want fsdev.IO, fill func(io *fsdev.IO), got outcome, do call) {
	t.Helper()
	check(t, 0, want, fill, got, do)
	check(t, syscall.EBUSY, want, fill, got, do)
}
