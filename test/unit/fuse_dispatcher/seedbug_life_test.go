package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

// blocked sends a request that does not end by itself, on thread i.
func blocked(b *dispatchertest.Bed, i int) *dispatchertest.Reply {
	b.TB.Helper()
	b.FS.Do = b.FS.Hold
	return b.Start(i, FUSE_SETLKW, node, 16, Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}))
}

// A second INIT, as after a reboot, ended the process; a bad one got errors that no kernel expects,
// and a good one promised handles for NFS and left out what kernels from 7.28 on ask for.
func TestSeedBug22InitAgain(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	for _, tt := range []struct {
		in   []byte
		want syscall.Errno
	}{
		{nil, syscall.EPROTO},
		{Bytes(&InitIn{Major: 7, Minor: 45})[:15], syscall.EINVAL},
		{Bytes(&InitIn{Major: 6, Minor: 45}), syscall.EPROTO},
	} {
		b.Expect(b.Start(0, FUSE_INIT, 0, 80, tt.in), tt.want)
	}
	b.Init(dispatchertest.MaxMinor)
	w := blocked(b, 1)
	out := b.InitFlags(31, FUSE_EXPORT_SUPPORT|FUSE_MAX_PAGES|FUSE_INIT_EXT)
	b.Expect(w, syscall.EINTR)
	if out.Major != 7 || out.Minor != 45 || out.Flags&(FUSE_MAX_PAGES|FUSE_INIT_EXT|FUSE_EXPORT_SUPPORT) !=
		FUSE_MAX_PAGES|FUSE_INIT_EXT || out.MaxPages == 0 {
		t.Errorf("answered %+v", out)
	}
	if b.FS.Do = nil; b.Probe() != 0 || b.FS.Mounts != 1 {
		t.Errorf("afterwards requests get %v, %d mounts", b.Probe(), b.FS.Mounts)
	}
}

// A channel that was created while INIT visited the others ended the process, and one that could
// not get what it needs was used all the same.
func TestSeedBug23ChannelDuringInit(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		b := newBed(t, 3, fusedispatcher.Opts{})
		b.Chans[2].Put()
		b.Chans[2] = nil
		b.PollThreads()
		if refuse {
			b.FS.Refuse = func(on *reactor.Thread) bool { return on == b.Threads[1] }
		}
		r := b.StartInit(1)
		b.Poll(b.T) // the device is open, and no channel has been visited
		if b.Chans[2] = b.D.IOChannel(b.Threads[2]); b.Chans[2] == nil {
			t.Fatal("got no channel")
		}
		want, then := syscall.Errno(0), syscall.Errno(0)
		if refuse {
			want, then = syscall.ENOMEM, syscall.ENOTCONN
		}
		b.Expect(r, want)
		if got := b.Probe(); got != then {
			t.Errorf("refuse %v: afterwards requests get %v", refuse, got)
		}
	}
}

// A removal called a function at a place that the client's request had, not the dispatcher. (That
// the event is the right one, on the right thread, the bed checks.)
func TestSeedBug24RemovalReachesItsOwner(t *testing.T) {
	for _, session := range []bool{true, false} {
		b := newBed(t, 3, fusedispatcher.Opts{})
		if session {
			b.Init(dispatchertest.MaxMinor)
			blocked(b, 1)
		}
		b.RemoveFS()
		if (b.Events == 1) != session || b.Events > 1 {
			t.Errorf("session %v: %d events", session, b.Events)
		}
		b.FS = dispatchertest.NewFS(t, b.T, dispatchertest.FSName)
	}
}

// DESTROY, and an INIT that was undone, completed on the thread that had opened the device. (That
// it is the submitter's, the bed checks.)
func TestSeedBug25CompletionOnTheSubmittersThread(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.FS.Mount = fails(syscall.EIO)
	b.Expect(b.StartInit(1), syscall.EIO)
	b.FS.Mount = nil
	b.FS.Refuse = func(on *reactor.Thread) bool { return on == b.Threads[2] }
	b.Expect(b.StartInit(1), syscall.ENOMEM)
	b.FS.Refuse = nil
	b.Expect(b.StartInit(2), 0)
	b.Expect(b.StartDestroy(1), 0)
}

// A DESTROY during INIT closed the device under the channels; one that failed left half a session;
// and all a client still held was lost for ever, where there is UMOUNT to give it up.
func TestSeedBug26Destroy(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	var held *fsdev.IO
	b.FS.Mount = func(io *fsdev.IO) { held = io }
	first, destroy := b.StartInit(0), b.StartDestroy(1)
	b.ExpectNone(first)
	b.ExpectNone(destroy)
	b.FS.Mounted(held)
	b.Expect(first, 0)
	b.Expect(destroy, 0)
	if b.FS.Mounts != 0 {
		t.Errorf("%d mounts after INIT and DESTROY", b.FS.Mounts)
	}
	b.FS.Mount = nil
	b.Init(8)
	b.FS.Umount = func(io *fsdev.IO) {
		b.FS.Mounts--
		io.Complete(syscall.EIO)
	}
	for range 2 { // the second has nothing to do
		b.Expect(b.StartDestroy(1), 0)
		if got := b.Probe(); got != syscall.ENOTCONN || b.FS.Mounts != 0 {
			t.Errorf("after DESTROY requests get %v, %d mounts", got, b.FS.Mounts)
		}
	}
	b.RemoveFS() // nothing holds it
	b.FS = dispatchertest.NewFS(t, b.T, dispatchertest.FSName)
	b.Init(dispatchertest.MaxMinor)
	if got := b.Probe(); got != 0 {
		t.Errorf("after another INIT requests get %v", got)
	}
}

// DESTROY, removal and Delete put the device's channels with requests in flight.
func TestSeedBug27TeardownWaitsForRequests(t *testing.T) {
	for _, how := range []string{"DESTROY", "removal", "Delete"} {
		t.Run(how, func(t *testing.T) {
			b := newBed(t, 2, fusedispatcher.Opts{})
			b.Init(dispatchertest.MaxMinor)
			b.FS.Abort = fails(syscall.EALREADY)
			w := []*dispatchertest.Reply{blocked(b, 0), blocked(b, 1)}
			b.FS.Umount = func(io *fsdev.IO) {
				if w[0].Done+w[1].Done != 2 {
					t.Error("UMOUNT with requests in flight")
				}
				b.FS.Umounted(io)
			}
			var over func() bool
			switch how {
			case "DESTROY":
				r := b.StartDestroy(1)
				over = func() bool { return r.Done == 1 }
			case "removal":
				gone := b.StartRemoveFS()
				over = func() bool { return *gone }
			default:
				deleted := b.StartDelete(b.T)
				b.PutChannels()
				over = func() bool { return *deleted != nil }
			}
			if b.PollThreads(); over() {
				t.Error("over with requests in flight")
			}
			b.FS.Release(0)
			b.Expect(w[0], 0)
			b.Expect(w[1], 0)
			if !over() {
				t.Error("not over")
			}
			switch how {
			case "removal":
				b.FS = dispatchertest.NewFS(t, b.T, dispatchertest.FSName)
			case "Delete":
				b.Recreate()
			}
		})
	}
}

// Delete freed the dispatcher while channels were left, closed the device on any thread, kept the
// root, and handed its error on with the sign turned. (Where it calls back, the bed checks.)
func TestSeedBug28Delete(t *testing.T) {
	for on := range 3 {
		b := newBed(t, 3, fusedispatcher.Opts{})
		b.Init(dispatchertest.MaxMinor)
		w := blocked(b, 1)
		deleted := b.StartDelete(b.Threads[on])
		b.Expect(w, syscall.EINTR)
		if *deleted != nil {
			t.Error("deleted with channels left")
		}
		if b.FS.Mounts != 0 {
			t.Errorf("%d mounts", b.FS.Mounts)
		}
		if again := b.Delete(b.T); again == nil || *again != syscall.EALREADY {
			t.Errorf("a second Delete: %v", again)
		}
		b.FS.Do = nil
		if got := b.Probe(); got != syscall.ENOTCONN {
			t.Errorf("on the channels that are left requests get %v", got)
		}
		b.PutChannels()
		if b.PollThreads(); *deleted == nil || **deleted != 0 {
			t.Errorf("Delete: %v", *deleted)
		}
		b.Recreate()
	}
}

// A channel that was put after DESTROY ended the process.
func TestSeedBug29LateChannelPut(t *testing.T) {
	b := newBed(t, 3, fusedispatcher.Opts{})
	b.Init(dispatchertest.MaxMinor)
	b.Expect(b.StartDestroy(0), 0)
	for _, i := range []int{1, 2} {
		b.Chans[i].Put()
		b.PollThreads()
		if b.Chans[i] = b.D.IOChannel(b.Threads[i]); b.Chans[i] == nil { // and one that never had a session
			t.Fatal("got no channel")
		}
		b.Chans[i].Put()
		b.Chans[i] = nil
		b.PollThreads()
	}
	b.RemoveFS()
	b.FS = dispatchertest.NewFS(t, b.T, dispatchertest.FSName)
}

// INTERRUPT found only requests of its own channel, was answered, and needed room for that.
func TestSeedBug30Interrupt(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(dispatchertest.MaxMinor)
	for i := range 2 {
		for _, room := range []int{0, 16} {
			w := blocked(b, 1)
			if r := b.Do(i, FUSE_INTERRUPT, 0, room, u64(w.Hdr.Unique)); r.Errno != 0 || r.Len != 0 {
				t.Errorf("%v, reply of %d bytes", r.Errno, r.Len)
			}
			b.Expect(w, syscall.EINTR)
		}
	}
	if r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(77)); r.Errno != syscall.EAGAIN || r.Len != outHeader {
		t.Errorf("of an unknown request: %v, reply of %d bytes", r.Errno, r.Len)
	}
}

// Every file, and directory, was opened for direct IO, so that mmap(2) failed, although a
// write-back cache had been agreed on; a field of 32 bits was written as one of 64.
func TestSeedBug31OpenFlags(t *testing.T) {
	for _, tt := range []struct {
		cache     fusedispatcher.CachePolicy
		file, dir uint32
	}{
		{fusedispatcher.CacheAuto, 0, 0},
		{fusedispatcher.CacheAlways, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR},
		{fusedispatcher.CacheNone, FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, 0},
	} {
		b := newSession(t, fusedispatcher.Opts{Cache: tt.cache})
		for _, r := range []struct {
			flags uint32
			got   []byte
		}{
			{tt.file, b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{})).Payload()},
			{tt.dir, b.Do(0, FUSE_OPENDIR, node, 32, Bytes(&OpenIn{})).Payload()},
			{tt.file, b.Do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{}), cstr("name")).Payload()[128:]},
		} {
			if want := Bytes(&OpenOut{Fh: uint64(dispatchertest.Handle), OpenFlags: r.flags}); !bytes.Equal(r.got, want) {
				t.Errorf("%v: %x, want %x", tt.cache, r.got, want)
			}
		}
	}
}

// A client could forget the root, more often than it had looked up anything, and node 0 was the
// root too.
func TestSeedBug32Forgets(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.Quiet(FUSE_FORGET, 0, u64(math.MaxUint64))
	if io := b.FS.Calls[0]; io.Object != 0 || io.Nlookup != math.MaxUint64 {
		t.Errorf("the module saw object %#x, %d lookups", io.Object, io.Nlookup)
	}
	// What a module with files makes of it.
	m, err := memfs.Create(b.T, "mem0", memfs.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	restore := serve(b, fusedispatcher.Opts{FsdevName: "mem0", MaxRequests: 16})
	b.Init(dispatchertest.MaxMinor)
	r := b.Do(0, FUSE_CREATE, FUSE_ROOT_ID, 160, Bytes(&CreateIn{Flags: syscall.O_RDWR, Mode: 0o600}), cstr("name"))
	var e EntryOut
	copy(Bytes(&e), r.Payload())
	getattr := func(id uint64, want syscall.Errno) {
		t.Helper()
		if r := b.Do(0, FUSE_GETATTR, id, 120, Bytes(&GetattrIn{})); r.Errno != want {
			t.Errorf("GETATTR of %#x: %v, want %v", id, r.Errno, want)
		}
	}
	getattr(e.NodeID, 0)
	for _, id := range []uint64{FUSE_ROOT_ID, 0, e.NodeID, 0xdeadbeef} {
		b.Quiet(FUSE_FORGET, id, u64(math.MaxUint64))
		b.Quiet(FUSE_BATCH_FORGET, 0, Bytes(&BatchForgetIn{Count: 2}), dispatchertest.Forgets(id, math.MaxUint64, id, 1))
	}
	getattr(FUSE_ROOT_ID, 0)
	getattr(0, syscall.ESTALE)
	if r := b.Do(0, FUSE_LOOKUP, FUSE_ROOT_ID, 144, cstr("name")); r.Errno != 0 {
		t.Errorf("LOOKUP: %v", r.Errno)
	}
	restore()
	gone := false
	memfs.Delete(b.T, m, func(*reactor.Thread, any, error) { gone = true }, nil)
	if b.PollThreads(); !gone {
		t.Error("the file system does not go")
	}
}

// serve lets a bed have another dispatcher. The function returned deletes that and brings the
// first one back.
func serve(b *dispatchertest.Bed, o fusedispatcher.Opts) (restore func()) {
	b.TB.Helper()
	d, err := fusedispatcher.Create(b.T, o)
	if err != nil {
		b.TB.Fatal(err)
	}
	oldD, oldChans := b.D, b.Chans
	b.D, b.Chans = d, nil
	for _, t := range b.Threads {
		b.Chans = append(b.Chans, d.IOChannel(t))
	}
	return func() {
		b.TB.Helper()
		b.PutChannels()
		if errno := b.Delete(b.T); errno == nil || *errno != 0 {
			b.TB.Errorf("Delete: %v", errno)
		}
		b.D, b.Chans = oldD, oldChans
	}
}

// A request for which there was no memory was dropped: nobody was told to send it again.
func TestSeedBug33NoRequestIsDropped(t *testing.T) {
	const most = 8
	b := newSession(t, fusedispatcher.Opts{MaxRequests: most})
	b.FS.Do = b.FS.Hold
	var live []*dispatchertest.Reply
	for range most {
		live = append(live, b.Start(0, FUSE_STATFS, node, 96))
	}
	m := b.Message(FUSE_STATFS, node)
	r, errno := b.TrySend(0, [][]byte{m}, [][]byte{make([]byte, 96)})
	if b.PollThreads(); errno != syscall.ENOBUFS || r.Done != 0 {
		t.Errorf("one too many: %v, completed %d times", errno, r.Done)
	}
	b.FS.Release(0)
	for _, r := range live {
		b.Expect(r, 0)
	}
	b.FS.Do = nil
	b.Expect(b.Send(0, [][]byte{m}, [][]byte{make([]byte, 96)}), 0)
}

// All dispatchers took their requests from one pool, of the first one's size, and found in them
// what others had left.
func TestSeedBug34EveryDispatcherHasItsPool(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{MaxRequests: 8})
	fill := func(most int) (live []*dispatchertest.Reply) {
		t.Helper()
		b.FS.Do = b.FS.Hold
		for {
			r, errno := b.TrySend(0, [][]byte{b.Message(FUSE_STATFS, node)}, [][]byte{make([]byte, 96)})
			if errno != 0 {
				break
			}
			live = append(live, r)
		}
		if len(live) != most {
			t.Errorf("%d requests in flight, want %d", len(live), most)
		}
		return live
	}
	live := fill(8)
	restore := serve(b, fusedispatcher.Opts{FsdevName: dispatchertest.FSName, MaxRequests: 13})
	if b.D.MaxRequests() != 13 {
		t.Errorf("the second is to have %d", b.D.MaxRequests())
	}
	b.Init(dispatchertest.MaxMinor)
	live = append(live, fill(13)...)
	b.FS.Release(0)
	for _, r := range live {
		b.Expect(r, 0)
	}
	b.FS.Do = nil
	// A request that is used again has nothing of the one before.
	b.Do(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{Size: 5}), cstr("user.a"), []byte("value"))
	b.FS.Forget()
	b.Do(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{}), cstr("user.b"))
	if io := b.FS.Calls[0]; string(io.Name) != "user.b" || len(io.Value) != 0 {
		t.Errorf("name %q, value %q", io.Name, io.Value)
	}
	restore()
}

// Requests that raced with INIT saw a root that was NULL or a version that was 0. Here they are
// sent at every step of it.
func TestSeedBug35RequestsDuringInit(t *testing.T) {
	for at := 0; ; at++ {
		b := newBed(t, 3, fusedispatcher.Opts{})
		r := b.StartInit(1)
		step := 0
		var sent []*dispatchertest.Reply
		for r.Done == 0 {
			for _, on := range b.Threads {
				if step == at {
					for i := range b.Threads {
						// Of version 0, it would be shorter.
						sent = append(sent, b.Start(i, FUSE_GETATTR, FUSE_ROOT_ID, 120, Bytes(&GetattrIn{
							GetattrFlags: FUSE_GETATTR_FH, Fh: 42})))
					}
				}
				step++
				b.Poll(on)
			}
		}
		b.PollThreads()
		for _, s := range sent {
			if s.Done != 1 || s.Errno != 0 && s.Errno != syscall.ENOTCONN || s.Errno == 0 && s.Len != 120 {
				t.Errorf("step %d: completed %d times with %v, %d bytes", at, s.Done, s.Errno, s.Len)
			}
		}
		for i := range b.FS.Calls {
			if io := &b.FS.Calls[i]; io.Object != dispatchertest.Root || io.Handle != 42 {
				t.Errorf("step %d: the module saw object %#x, handle %d", at, io.Object, io.Handle)
			}
		}
		if step <= at {
			return
		}
	}
}

// lines hands on what is logged, a line at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// Every bad request was a line in the log. Here those that follow each other are 10, and the next
// one, later, says how many there have been.
func TestSeedBug36BadRequestsDoNotFillTheLog(t *testing.T) {
	const n = 5000
	log := make(lines, 5*n) // whatever is written, nobody waits
	b := newSession(t, fusedispatcher.Opts{Log: slog.New(slog.NewTextHandler(log, nil))})
	bad := func() { b.Do(0, FUSE_GETATTR, node, 120, make([]byte, 8)) }
	for range n {
		bad()
		b.Do(0, FUSE_ACCESS, node, 16, make([]byte, 8)) // what is not served is no fault
		b.Do(0, FUSE_GETLK, node, 40, Bytes(&LkIn{Lk: FileLock{Type: 99}}))
		b.Do(0, FUSE_BMAP, node, 24, make([]byte, 16))
	}
	for i := range 10 {
		if line := <-log; strings.Contains(line, "dropped_before=") || !strings.Contains(line, "opcode=GETATTR") {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	b.Advance(time.Hour)
	bad()
	if line, want := <-log, fmt.Sprintf("dropped_before=%d", n-10); !strings.Contains(line, want) {
		t.Errorf("after 10 lines there is %q, want %s", line, want)
	}
}

// Fields were read and written in other widths than they have, names in the log were those of
// other opcodes, and the version that was told was older than the opcodes served. That structures
// are as the kernel's, internal/fuseabi holds against linux/fuse.h.
func TestSeedBug37WidthsAndNames(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	const ones = math.MaxUint32
	// What is next to a field of 32 bits does not count.
	b.Do(0, FUSE_GETATTR, node, 120, join(u32(0), u32(ones), u64(42)))
	b.Do(0, FUSE_SETATTR, node, 120, Bytes(&SetattrIn{Valid: FATTR_UID, Padding: ones, UID: ones}))
	b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{Flags: syscall.O_RDWR}))
	b.Quiet(FUSE_FORGET, node, u64(1<<40))
	calls := b.FS.Calls
	if calls[0].Handle != 0 {
		t.Errorf("GETATTR without flags has handle %d", calls[0].Handle)
	}
	if calls[1].Flags != fsdev.SetAttrUID || calls[1].Attr.UID != ones {
		t.Errorf("SETATTR of the owner has mask %#x, owner %d", calls[1].Flags, calls[1].Attr.UID)
	}
	if calls[2].Flags != syscall.O_RDWR || calls[3].Nlookup != 1<<40 {
		t.Errorf("flags %#x, %d lookups", calls[2].Flags, calls[3].Nlookup)
	}
	// The unique has 64 bits, the error is a negative number of 32.
	b.Unique = math.MaxUint64 - 3
	b.FS.Do = fails(syscall.EIO)
	r := b.Do(0, FUSE_STATFS, node, 96)
	want := join(u32(outHeader), u32(^uint32(syscall.EIO)+1), u64(math.MaxUint64-1))
	if got := r.Out[0][:outHeader]; !bytes.Equal(got, want) {
		t.Errorf("header %x, want %x", got, want)
	}
	b.FS.Do = nil
	if got := b.Init(dispatchertest.MaxMinor).Minor; got < 45 { // COPY_FILE_RANGE_64
		t.Errorf("told version 7.%d", got)
	}
	for op, want := range map[uint32]string{FUSE_OPEN: "OPEN", FUSE_FORGET: "FORGET", 7: "UNKNOWN", 1 << 31: "UNKNOWN"} {
		if got := name(op); got != want {
			t.Errorf("opcode %d is called %s", op, got)
		}
	}
}

// Creating called back before it had returned, and the dispatcher could be used before it had all
// its options. Here there is nothing to call back: a dispatcher is whole when it is there, gives
// channels at once, and its device may come later.
func TestSeedBug38Create(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	events := 0
	restore := serve(b, fusedispatcher.Opts{FsdevName: "later", MaxRequests: 16, MaxWrite: 8192, EventCtx: &events,
		Event: func(_ *reactor.Thread, _ *fusedispatcher.Dispatcher, ctx any) { *ctx.(*int)++ }})
	if b.D.FsdevName() != "later" || b.D.MaxWrite() != 8192 || b.D.MaxRequests() != 16 {
		t.Errorf("serves %q, %d requests, writes of %d", b.D.FsdevName(), b.D.MaxRequests(), b.D.MaxWrite())
	}
	if slices.Contains(b.Chans, (*iochannel.Channel)(nil)) {
		t.Fatal("got no channel")
	}
	if got := b.Probe(); got != syscall.ENOTCONN {
		t.Errorf("before INIT requests get %v", got)
	}
	b.Expect(b.StartInit(1), syscall.ENODEV)
	first := b.FS
	b.FS = dispatchertest.NewFS(t, b.T, "later")
	if got := b.Init(dispatchertest.MaxMinor); got.MaxWrite != 8192 {
		t.Errorf("INIT: writes of %d", got.MaxWrite)
	}
	if got := b.Probe(); got != 0 {
		t.Errorf("after INIT requests get %v", got)
	}
	if b.RemoveFS(); events != 1 {
		t.Errorf("%d events", events)
	}
	restore()
	b.FS = first
}

// TestSeedBugsAreComplete wants one test for each number of our list.
func TestSeedBugsAreComplete(t *testing.T) {
	const last = 38
	files, err := filepath.Glob("seedbug*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[int]int{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func TestSeedBug(\d\d)[A-Z]\w+\(t `).FindAllSubmatch(text, -1) {
			n, err := strconv.Atoi(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			tests[n]++
		}
	}
	for n := 1; n <= max(last, len(tests)); n++ {
		if tests[n] != 1 || n > last {
			t.Errorf("bug %d of %d has %d tests", n, last, tests[n])
		}
	}
}
