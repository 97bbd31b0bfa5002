package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// notifyCase is what a module tells, and what the client must be sent.
type notifyCase struct {
	name  string
	n     fsdev.Notification
	minor uint32 // that knows it first
	code  int32
	want  []byte // behind the header
}

var notifyCases = []notifyCase{
	{"inode", fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: fakeFile, Offset: 4096, Length: 8192}, 12,
		FUSE_NOTIFY_INVAL_INODE, Bytes(&NotifyInvalInodeOut{Ino: node, Off: 4096, Len: 8192})},
	{"the root", fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: fakeRoot}, 12,
		FUSE_NOTIFY_INVAL_INODE, Bytes(&NotifyInvalInodeOut{Ino: FUSE_ROOT_ID})},
	{"attributes only", fsdev.Notification{Type: fsdev.NotifyInvalInode, Object: fakeFile, Offset: fsdev.NoData}, 12,
		FUSE_NOTIFY_INVAL_INODE, Bytes(&NotifyInvalInodeOut{Ino: node, Off: -1})},
	{"entry", fsdev.Notification{Type: fsdev.NotifyInvalEntry, Object: fakeRoot, Name: []byte("name")}, 12,
		FUSE_NOTIFY_INVAL_ENTRY, join(Bytes(&NotifyInvalEntryOut{Parent: FUSE_ROOT_ID, Namelen: 4}), cstr("name"))},
	{"delete", fsdev.Notification{Type: fsdev.NotifyDelete, Object: fakeRoot, Child: fakeFile, Name: []byte("name")}, 18,
		FUSE_NOTIFY_DELETE, join(Bytes(&NotifyDeleteOut{Parent: FUSE_ROOT_ID, Child: node, Namelen: 4}), cstr("name"))},
	{"store", fsdev.Notification{Type: fsdev.NotifyStore, Object: fakeFile, Offset: 4096, Data: []byte("data")}, 15,
		FUSE_NOTIFY_STORE, join(Bytes(&NotifyStoreOut{NodeID: node, Offset: 4096, Size: 4}), []byte("data"))},
	{"poll", fsdev.Notification{Type: fsdev.NotifyPoll, Key: 77}, 11,
		FUSE_NOTIFY_POLL, Bytes(&NotifyPollWakeupOut{Kh: 77})},
	{"names", fsdev.Notification{Type: fsdev.NotifyInvalNames}, 44, FUSE_NOTIFY_INC_EPOCH, nil},
}

// ear collects what a dispatcher sends.
type ear struct {
	b    *bed
	sent [][][]byte
}

func hear(t *reactor.Thread, msg [][]byte, ctx any) {
	e := ctx.(*ear)
	if cur := e.b.Current(); t != e.b.T || cur != nil && cur != t {
		e.b.TB.Errorf("a notification on thread %s", t.Name())
	}
	e.sent = append(e.sent, msg)
}

// newListener makes a bed whose notifications are collected.
func newListener(tb testing.TB, threads int) (*bed, *ear) {
	e := &ear{}
	b := newBed(tb, threads, fusedispatcher.Opts{Notify: hear, NotifyCtx: e})
	e.b = b
	return b, e
}

// take returns the notifications sent since.
func (e *ear) take() [][][]byte {
	e.b.PollThreads()
	sent := e.sent
	e.sent = nil
	return sent
}

func TestNotifications(t *testing.T) {
	for _, c := range notifyCases {
		t.Run(c.name, func(t *testing.T) {
			b, e := newListener(t, 2)
			b.Init(45)
			b.FS.Fsdev.Notify(b.Threads[1], nil, &c.n)
			sent := e.take()
			if len(sent) != 1 {
				t.Fatalf("%d messages", len(sent))
			}
			want := join(Bytes(&OutHeader{Len: uint32(16 + len(c.want)), Error: c.code}), c.want)
			if diff := cmp.Diff(want, slices.Concat(sent[0]...)); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if d := c.n.Data; d != nil && &sent[0][1][0] != &d[0] {
				t.Error("the data were copied")
			}
		})
	}
}

// A client gets only what its version of the protocol knows.
func TestNotificationsByMinorVersion(t *testing.T) {
	for minor := range uint32(46) {
		b, e := newListener(t, 1)
		b.Init(minor)
		for _, c := range notifyCases {
			b.FS.Fsdev.Notify(b.T, nil, &c.n)
			if got := len(e.take()) == 1; got != (minor >= c.minor) {
				t.Errorf("7.%d, %s: sent %v", minor, c.name, got)
			}
		}
		errno := b.D.Retrieve(fakeFile, 0, 1, func(*reactor.Thread, any, syscall.Errno, [][]byte) {}, nil)
		if (errno == syscall.ENOSYS) != (minor < 15) || errno != 0 && errno != syscall.ENOSYS {
			t.Errorf("7.%d: Retrieve says %v", minor, errno)
		}
	}
}

// slowEar is an ear of a transport that keeps messages back.
type slowEar struct {
	ear
	backlog int
}

func (e *slowEar) NotifyBacklog() int { return e.backlog }

func hearSlowly(t *reactor.Thread, msg [][]byte, ctx any) { hear(t, msg, &ctx.(*slowEar).ear) }

// A module that has much to tell finds out how much of it is still on its way.
func TestNotifyBacklog(t *testing.T) {
	e := &slowEar{}
	b := newBed(t, 2, fusedispatcher.Opts{Notify: hearSlowly, NotifyCtx: e})
	e.b = b
	var desc *fsdev.Desc
	b.FS.Mount = func(io *fsdev.IO) {
		desc = io.Desc()
		b.FS.Mounted(io)
	}
	b.Init(45)
	want := func(when string, n int) {
		t.Helper()
		if got := desc.NotifyBacklog(); got != n {
			t.Errorf("%s: a backlog of %d, want %d", when, got, n)
		}
	}
	want("at first", 0)
	for range 3 {
		b.FS.Fsdev.Notify(b.Threads[1], nil, &notifyCases[0].n)
	}
	want("sent", 3)
	if got := len(e.take()); got != 3 {
		t.Fatalf("%d messages", got)
	}
	want("taken by the transport", 0)
	e.backlog = 7
	want("kept by the transport", 7)
	b.D.SetNotify(hear, &e.ear)
	want("of a transport that keeps none", 0)
	b.D.SetNotify(nil, nil)
	want("without a transport", 0)
}

func TestNotificationsNeedASessionAndAListener(t *testing.T) {
	b, e := newListener(t, 2)
	n := &notifyCases[0].n
	tell := func(when string, want int) {
		t.Helper()
		b.FS.Fsdev.Notify(b.T, nil, n)
		if got := len(e.take()); got != want {
			t.Errorf("%s: %d messages, want %d", when, got, want)
		}
	}
	retrieve := func() syscall.Errno {
		return b.D.Retrieve(fakeFile, 0, 1, func(*reactor.Thread, any, syscall.Errno, [][]byte) {}, nil)
	}
	tell("before INIT", 0)
	b.Init(45)
	tell("after INIT", 1)
	// What is under way when the session ends is not delivered.
	b.FS.Fsdev.Notify(b.T, nil, n)
	b.Expect(b.StartDestroy(1), 0)
	if e.take(); retrieve() != syscall.ENOTCONN {
		t.Error("a question without a session")
	}
	tell("after DESTROY", 0)
	b.Init(45)
	tell("after another INIT", 1)
	b.D.SetNotify(nil, nil)
	tell("nobody listens", 0)
	if retrieve() != syscall.ENOTCONN {
		t.Error("a question that nobody sends")
	}
	other := &ear{b: b}
	b.D.SetNotify(hear, other)
	tell("somebody else listens", 0)
	if len(other.take()) != 1 {
		t.Error("the new listener heard nothing")
	}
}

// A failed INIT leaves nobody listening to the module.
func TestNotificationsDuringAFailedInit(t *testing.T) {
	b, e := newListener(t, 1)
	b.FS.Mount = func(io *fsdev.IO) {
		b.FS.Fsdev.Notify(b.T, nil, &notifyCases[0].n)
		io.Complete(syscall.EIO)
	}
	b.Expect(b.StartInit(0), syscall.EIO)
	if n := len(e.take()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// answerTo is what came of a question.
type answerTo struct {
	n     int
	errno syscall.Errno
	data  []byte
	segs  [][]byte
}

func answered(_ *reactor.Thread, ctx any, errno syscall.Errno, data [][]byte) {
	a := ctx.(*answerTo)
	a.n++
	a.errno, a.data, a.segs = errno, slices.Concat(data...), slices.Clone(data)
}

// ask asks the client for 100 bytes at 50, and returns the question.
func (e *ear) ask(a *answerTo) NotifyRetrieveOut {
	e.b.TB.Helper()
	e.take()
	if errno := e.b.D.Retrieve(fakeFile, 50, 100, answered, a); errno != 0 {
		e.b.TB.Fatal(errno)
	}
	sent := e.take()
	if len(sent) != 1 {
		e.b.TB.Fatalf("%d messages", len(sent))
	}
	var hdr OutHeader
	var out NotifyRetrieveOut
	m := slices.Concat(sent[0]...)
	copy(Bytes(&hdr), m)
	copy(Bytes(&out), m[16:])
	if hdr.Error != FUSE_NOTIFY_RETRIEVE || int(hdr.Len) != 16+40-8 || hdr.Unique != 0 {
		e.b.TB.Fatalf("header %+v", hdr)
	}
	return out
}

// notifyReply makes the client's answer.
func notifyReply(q *NotifyRetrieveOut, in NotifyRetrieveIn, data []byte) []byte {
	return message(InHeader{Opcode: FUSE_NOTIFY_REPLY, Unique: q.NotifyUnique, NodeID: q.NodeID}, Bytes(&in), data)
}

func TestRetrieve(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(q *NotifyRetrieveOut, in *NotifyRetrieveIn) // of the answer
		data   int
		errno  syscall.Errno // of the question
		done   syscall.Errno // of the request that answers
	}{
		{"all", nil, 100, 0, 0},
		{"some", func(_ *NotifyRetrieveOut, in *NotifyRetrieveIn) { in.Size = 60 }, 60, 0, 0},
		{"nothing", func(_ *NotifyRetrieveOut, in *NotifyRetrieveIn) { in.Size = 0 }, 0, 0, 0},
		{"less than it says", nil, 99, syscall.EIO, syscall.EIO},
		{"more than asked for", func(_ *NotifyRetrieveOut, in *NotifyRetrieveIn) { in.Size = 101 }, 101,
			syscall.EIO, syscall.EIO},
		{"4 GiB", func(_ *NotifyRetrieveOut, in *NotifyRetrieveIn) { in.Size = 1<<32 - 1 }, 100, syscall.EIO, syscall.EIO},
		{"another place", func(_ *NotifyRetrieveOut, in *NotifyRetrieveIn) { in.Offset = 51 }, 100, syscall.EIO, syscall.EIO},
		{"another file", func(q *NotifyRetrieveOut, _ *NotifyRetrieveIn) { q.NodeID++ }, 100, syscall.EIO, syscall.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for from := range 2 {
				b, e := newListener(t, 2)
				b.Init(45)
				for at := range 40 + 40 + 60 {
					var a answerTo
					q := e.ask(&a)
					if q.NodeID != node || q.Offset != 50 || q.Size != 100 {
						t.Fatalf("question %+v", &q)
					}
					in := NotifyRetrieveIn{Offset: 50, Size: 100}
					if tt.change != nil {
						tt.change(&q, &in)
					}
					m := notifyReply(&q, in, pattern(tt.data))
					segs := cut(m, min(at, len(m)))
					r := b.Finish(b.Send(from, segs, nil))
					want := pattern(tt.data)
					if tt.errno != 0 {
						want = nil
					}
					if a.n != 1 || a.errno != tt.errno || r.Errno != tt.done || !bytes.Equal(a.data, want) {
						t.Fatalf("answered %d times with %v and %d bytes; the request: %v", a.n, a.errno, len(a.data), r.Errno)
					}
					if tt.errno == 0 && at == 80 && tt.data > 0 {
						sameMemory(t, a.segs, [][]byte{m[80:]})
					}
				}
			}
		})
	}
}

// Answers that nobody waits for are taken and forgotten, and an answer counts once.
func TestNotifyReplyWithoutAQuestion(t *testing.T) {
	b, e := newListener(t, 1)
	b.Init(45)
	var a answerTo
	q := e.ask(&a)
	wrong := q
	wrong.NotifyUnique++
	good := NotifyRetrieveIn{Offset: 50, Size: 100}
	for i, tt := range []struct {
		q    *NotifyRetrieveOut
		want syscall.Errno
		n    int
	}{{&wrong, syscall.ENOENT, 0}, {&q, 0, 1}, {&q, syscall.ENOENT, 1}} {
		r := b.Finish(b.Send(0, [][]byte{notifyReply(tt.q, good, pattern(100))}, [][]byte{make([]byte, 16)}))
		if r.Errno != tt.want || r.Len != 0 || a.n != tt.n {
			t.Errorf("%d: %v, reply of %d bytes; answered %d times", i, r.Errno, r.Len, a.n)
		}
	}
}

func TestRetrieveRefuses(t *testing.T) {
	b, _ := newListener(t, 1)
	b.Init(45)
	for _, tt := range []struct {
		offset uint64
		size   uint32
		want   syscall.Errno
	}{{0, 0, syscall.EINVAL}, {math.MaxUint64, 1, syscall.EINVAL}, {math.MaxUint64 - 1, 1, 0}, {0, 1<<32 - 1, 0}} {
		if errno := b.D.Retrieve(fakeFile, tt.offset, tt.size, answered, &answerTo{}); errno != tt.want {
			t.Errorf("%d bytes at %d: %v", tt.size, tt.offset, errno)
		}
	}
	var list []*answerTo
	for {
		a := &answerTo{}
		if errno := b.D.Retrieve(fakeFile, 0, 1, answered, a); errno != 0 {
			if errno != syscall.ENOBUFS || len(list) != 64-2 {
				t.Errorf("%v after %d more", errno, len(list))
			}
			break
		}
		list = append(list, a)
	}
	// The session's end answers them all, and before it is over.
	b.FS.Umount = func(io *fsdev.IO) {
		for i, a := range list {
			if a.n != 1 || a.errno != syscall.ENOTCONN {
				t.Errorf("question %d: answered %d times with %v", i, a.n, a.errno)
			}
		}
		b.FS.Umounted(io)
	}
	b.Expect(b.StartDestroy(0), 0)
}

// What the client or the transport refuses is not waited for; of other notifications nobody
// cares.
func TestNotifyRefused(t *testing.T) {
	b, e := newListener(t, 2)
	b.Init(45)
	var a answerTo
	if errno := b.D.Retrieve(fakeFile, 50, 100, answered, &a); errno != 0 {
		t.Fatal(errno)
	}
	for _, c := range notifyCases {
		b.FS.Fsdev.Notify(b.T, nil, &c.n)
	}
	sent := e.take()
	for range 2 {
		for _, msg := range sent {
			b.D.NotifyRefused(msg, syscall.ENOENT)
		}
	}
	b.PollThreads()
	if a.n != 1 || a.errno != syscall.ENOENT {
		t.Errorf("answered %d times with %v", a.n, a.errno)
	}
}

// An answer that is on its way when the session ends is waited for, as any request is.
func TestTeardownWaitsForNotifyReply(t *testing.T) {
	for rounds := range 6 {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			b, e := newListener(t, 2)
			b.Init(45)
			var a answerTo
			q := e.ask(&a)
			r := b.Send(1, [][]byte{notifyReply(&q, NotifyRetrieveIn{Offset: 50, Size: 100}, pattern(100))}, nil)
			for range rounds {
				b.PollOnce()
			}
			d := b.StartDestroy(0)
			b.Expect(d, 0)
			if r.Done != 1 || a.n != 1 {
				t.Errorf("the request completed %d times, the question %d times", r.Done, a.n)
			}
		})
	}
}

// An INTERRUPT that names what is no request of the client's ends nothing.
func TestInterruptDoesNotFindNotifyReply(t *testing.T) {
	b, e := newListener(t, 2)
	b.Init(45)
	var a answerTo
	q := e.ask(&a)
	r := b.Send(1, [][]byte{notifyReply(&q, NotifyRetrieveIn{Offset: 50, Size: 100}, pattern(100))}, nil)
	if i := b.Do(1, FUSE_INTERRUPT, 0, 16, u64(q.NotifyUnique)); i.Errno != syscall.EAGAIN {
		t.Errorf("INTERRUPT: %v", i.Errno)
	}
	b.Expect(r, 0)
}
