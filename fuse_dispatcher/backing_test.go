package fusedispatcher_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// fakeBacking is a transport that registers descriptors: number 100 is the first.
type fakeBacking struct {
	check  syscall.Errno
	errno  syscall.Errno // of every registration
	checks int
	next   int32
	log    []string
	during func() // called in OpenBacking
}

func (f *fakeBacking) CheckBacking() syscall.Errno {
	f.checks++
	return f.check
}

func (f *fakeBacking) OpenBacking(fd int) (int32, syscall.Errno) {
	if f.errno != 0 {
		f.log = append(f.log, fmt.Sprintf("refuse fd %d", fd))
		return 0, f.errno
	}
	f.next++
	id := 99 + f.next
	f.log = append(f.log, fmt.Sprintf("open fd %d as %d", fd, id))
	if during := f.during; during != nil {
		f.during = nil
		during()
	}
	return id, 0
}

func (f *fakeBacking) CloseBacking(id int32, waits bool) {
	f.log = append(f.log, fmt.Sprintf("close %d, waits %t", id, waits))
}

// backedBed is a session whose client's kernel registers files; the handle is the descriptor.
type backedBed struct {
	*bed
	fake   *fakeBacking
	handle fsdev.FileHandle // the last one
}

func newBackedBed(t *testing.T, threads int, cache fusedispatcher.CachePolicy) *backedBed {
	b := &backedBed{bed: newBed(t, threads, fusedispatcher.Opts{Cache: cache}), fake: &fakeBacking{}}
	b.FS.Back = func(_ fsdev.FileObject, h fsdev.FileHandle) (int, syscall.Errno) { return int(h), 0 }
	b.FS.Do = func(io *fsdev.IO) {
		fill(io)
		if io.Type == fsdev.IOFopen || io.Type == fsdev.IOCreate {
			b.handle++
			io.OutHandle = b.handle
		}
		io.Complete(0)
	}
	b.D.SetBacking(b.fake)
	b.Init(45)
	return b
}

// open opens a node on thread i and returns what the client is told.
func (b *backedBed) open(i int, node uint64) (out OpenOut) {
	b.TB.Helper()
	r := b.Do(i, FUSE_OPEN, node, 32, Bytes(&OpenIn{}))
	if r.Errno != 0 {
		b.TB.Fatalf("OPEN: %v", r.Errno)
	}
	copy(Bytes(&out), r.Payload())
	return out
}

func (b *backedBed) release(i int, node, fh uint64) {
	b.TB.Helper()
	b.Do(i, FUSE_RELEASE, node, 16, Bytes(&ReleaseIn{Fh: fh}))
}

func (b *backedBed) wantLog(want ...string) {
	b.TB.Helper()
	if diff := cmp.Diff(want, b.fake.log, cmpopts.EquateEmpty()); diff != "" {
		b.TB.Errorf("registrations (-want +got):\n%s", diff)
	}
	b.fake.log = nil
}

func (b *backedBed) want(got OpenOut, fh uint64, id int32, flags uint32) {
	b.TB.Helper()
	want := OpenOut{Fh: fh, BackingID: id, OpenFlags: flags}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(OpenOut{})); diff != "" {
		b.TB.Errorf("OPEN (-want +got):\n%s", diff)
	}
}

// Who may have files registered: nobody whose transport has not said that it can, whatever the client says.
func TestPassthroughIsAgreedOn(t *testing.T) {
	const all = 1<<63 - 1
	for _, tt := range []struct {
		name    string
		cache   fusedispatcher.CachePolicy
		offered uint64
		backing *fakeBacking
		module  fsdev.MountOpts
		want    bool
		checks  int
	}{
		{"auto", fusedispatcher.CacheAuto, all, &fakeBacking{}, fsdev.MountOpts{}, true, 1},
		{"always", fusedispatcher.CacheAlways, all, &fakeBacking{}, fsdev.MountOpts{}, true, 1},
		{"a module that caches writes", fusedispatcher.CacheAlways, all, &fakeBacking{},
			fsdev.MountOpts{WritebackCache: true}, true, 1},
		{"a module without opens", fusedispatcher.CacheAlways, all, &fakeBacking{}, fsdev.MountOpts{NoOpen: true}, true, 1},
		{"none", fusedispatcher.CacheNone, all, &fakeBacking{}, fsdev.MountOpts{}, false, 0},
		{"a client that cannot", fusedispatcher.CacheAuto, all &^ FUSE_PASSTHROUGH, &fakeBacking{},
			fsdev.MountOpts{}, false, 0},
		{"a client without the second word", fusedispatcher.CacheAuto, all &^ FUSE_INIT_EXT, &fakeBacking{},
			fsdev.MountOpts{}, false, 0},
		{"a transport that may not", fusedispatcher.CacheAuto, all, &fakeBacking{check: syscall.EPERM},
			fsdev.MountOpts{}, false, 1},
		{"a transport that cannot", fusedispatcher.CacheAlways, all, nil, fsdev.MountOpts{}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, 1, fusedispatcher.Opts{Cache: tt.cache})
			if tt.backing != nil {
				b.D.SetBacking(tt.backing)
			}
			var asked fsdev.MountOpts
			b.FS.Mount = func(io *fsdev.IO) {
				asked = io.Mount
				io.Mount = tt.module
				b.FS.Mounted(io)
			}
			out := b.InitFlags(45, tt.offered)
			flags := uint64(out.Flags) | uint64(out.Flags2)<<32
			if got := flags&FUSE_PASSTHROUGH != 0; got != tt.want || (out.MaxStackDepth != 0) != tt.want {
				t.Errorf("passthrough %t with a stack depth of %d, want %t", got, out.MaxStackDepth, tt.want)
			}
			if tt.want && (flags&(FUSE_WRITEBACK_CACHE|FUSE_NO_OPEN_SUPPORT) != 0 || asked.WritebackCache) {
				t.Errorf("flags %#x beside passthrough; the module was asked for %+v", flags, asked)
			}
			if tt.backing != nil && tt.backing.checks != tt.checks {
				t.Errorf("%d checks, want %d", tt.backing.checks, tt.checks)
			}
			if tt.want {
				return
			}
			// No reply says that a file is registered, and no descriptor is asked for.
			b.FS.Back = func(fsdev.FileObject, fsdev.FileHandle) (int, syscall.Errno) {
				t.Error("a descriptor was asked for")
				return -1, syscall.EBADF
			}
			r := b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{}))
			if r.Errno != 0 {
				return // the client may leave out opens
			}
			var open OpenOut
			copy(Bytes(&open), r.Payload())
			if open.BackingID != 0 || open.OpenFlags&FOPEN_PASSTHROUGH != 0 {
				t.Errorf("OPEN: number %d, flags %#x", open.BackingID, open.OpenFlags)
			}
		})
	}
}

// The opens of a file share one registration, from the first to the last.
func TestPassthroughIsOneForAllOpensOfAFile(t *testing.T) {
	b := newBackedBed(t, 2, fusedispatcher.CacheAlways)
	b.want(b.open(0, node), 1, 100, FOPEN_PASSTHROUGH)
	b.want(b.open(1, node), 2, 100, FOPEN_PASSTHROUGH)
	b.want(b.open(0, node+1), 3, 101, FOPEN_PASSTHROUGH)
	b.wantLog("open fd 1 as 100", "open fd 3 as 101")
	b.release(1, node, 1)
	b.wantLog()
	b.release(1, node+1, 3)
	b.wantLog("close 101, waits false") // the handle that it came from is still open
	b.release(0, node, 2)
	b.wantLog("close 100, waits true") // that one is closed
	b.want(b.open(1, node), 4, 102, FOPEN_PASSTHROUGH)
	b.release(1, node, 4)
	b.wantLog("open fd 4 as 102", "close 102, waits false")
}

func TestPassthroughOfCreatedFiles(t *testing.T) {
	b := newBackedBed(t, 1, fusedispatcher.CacheAuto)
	r := b.Do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{}), cstr("n"))
	var out OpenOut
	copy(Bytes(&out), r.Payload()[128:])
	b.want(out, 1, 100, FOPEN_PASSTHROUGH)
	var e EntryOut
	copy(Bytes(&e), r.Payload())
	b.want(b.open(0, e.NodeID), 2, 100, FOPEN_PASSTHROUGH) // it is the file that was created
	b.release(0, e.NodeID, 2)
	b.release(0, e.NodeID, 1)
	b.wantLog("open fd 1 as 100", "close 100, waits false")
}

// A file that was opened without passthrough stays so until nobody has it open: the client's kernel fails an open that
// is otherwise.
func TestPassthroughIsNotMixedWithCachedIO(t *testing.T) {
	b := newBackedBed(t, 1, fusedispatcher.CacheAuto)
	b.fake.errno = syscall.ENOMEM
	b.want(b.open(0, node), 1, 0, 0)
	b.fake.errno = 0
	b.want(b.open(0, node), 2, 0, 0)
	b.want(b.open(0, node+1), 3, 100, FOPEN_PASSTHROUGH)
	b.release(0, node, 1)
	b.want(b.open(0, node), 4, 0, 0)
	b.release(0, node, 2)
	b.release(0, node, 4)
	b.wantLog("refuse fd 1", "open fd 3 as 100")
	b.want(b.open(0, node), 5, 101, FOPEN_PASSTHROUGH)
	b.FS.Back = nil // what the module does not lend is not asked for again either
	b.want(b.open(0, node+2), 6, 0, 0)
	b.release(0, node+2, 6)
	b.release(0, node, 5)
	b.release(0, node+1, 3)
	b.wantLog("open fd 5 as 101", "close 101, waits false", "close 100, waits false")
}

// Of two threads that open a file at once the second gives its registration back.
func TestPassthroughOfOpensAtOnce(t *testing.T) {
	b := newBackedBed(t, 2, fusedispatcher.CacheAuto)
	var second OpenOut
	b.fake.during = func() {
		r := b.Start(1, FUSE_OPEN, node, 32, Bytes(&OpenIn{}))
		for r.Done == 0 {
			b.Poll(b.Threads[1])
		}
		copy(Bytes(&second), r.Payload())
	}
	first := b.open(0, node)
	b.want(second, 2, 101, FOPEN_PASSTHROUGH)
	b.want(first, 1, 101, FOPEN_PASSTHROUGH)
	b.wantLog("open fd 1 as 100", "open fd 2 as 101", "close 100, waits false")
	b.release(0, node, 2)
	b.release(0, node, 1)
	b.wantLog("close 101, waits true")
}

// A client that releases what it has not opened, or never releases, breaks nothing.
func TestPassthroughOfRudeClients(t *testing.T) {
	b := newBackedBed(t, 1, fusedispatcher.CacheAuto)
	b.release(0, node, 77)
	b.open(0, node)
	b.open(0, node)
	b.release(0, node, 1)
	b.release(0, node, 1)
	b.release(0, node, 1)
	b.wantLog("open fd 1 as 100", "close 100, waits false")
	b.open(0, node)
	b.open(0, node+1)
	b.wantLog("open fd 3 as 101", "open fd 4 as 102")
	b.Init(45) // a new session
	if len(b.fake.log) != 2 {
		t.Errorf("the end of the session: %v", b.fake.log)
	}
	b.fake.log = nil
	b.want(b.open(0, node), 5, 103, FOPEN_PASSTHROUGH)
	b.D.SetBacking(nil) // is for the next session
	b.want(b.open(0, node), 6, 103, FOPEN_PASSTHROUGH)
	b.Init(45)
	b.wantLog("open fd 5 as 103", "close 103, waits true")
	b.want(b.open(0, node), 7, 0, 0)
}
