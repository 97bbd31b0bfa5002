package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// What a client of an older minor version sends and expects. linux/fuse.h, the change log
var oldSizes = []struct {
	op     uint32
	before uint32 // the minor version that changed it
	in     int    // bytes of arguments before
	out    int    // bytes of reply before, behind the header
}{
	{FUSE_STATFS, 4, -1, 48},
	{FUSE_FLUSH, 7, 16, -1},
	{FUSE_RELEASE, 8, 16, -1},
	{FUSE_RELEASEDIR, 8, 16, -1},
	{FUSE_GETATTR, 9, 0, 96},
	{FUSE_SETATTR, 9, -1, 96},
	{FUSE_LOOKUP, 9, -1, 120},
	{FUSE_SYMLINK, 9, -1, 120},
	{FUSE_MKDIR, 9, -1, 120},
	{FUSE_LINK, 9, -1, 120},
	{FUSE_MKNOD, 9, 8, 120},
	{FUSE_MKNOD, 12, 8, -1},
	{FUSE_CREATE, 9, 8, 136},
	{FUSE_CREATE, 12, 8, -1},
	{FUSE_READ, 9, 24, -1},
	{FUSE_READDIR, 9, 24, -1},
	{FUSE_WRITE, 9, 24, -1},
	{FUSE_GETLK, 9, 40, -1},
	{FUSE_SETLK, 9, 40, -1},
	{FUSE_SETLKW, 9, 40, -1},
	{FUSE_TMPFILE, 9, -1, 136}, // as CREATE, though there is none so old
}

// Every minor version is served with the sizes it knows, and needs no more room than those.
func TestEveryMinorVersionHasItsSizes(t *testing.T) {
	for minor := range uint32(46) {
		t.Run(fmt.Sprint("7.", minor), func(t *testing.T) {
			b := newBed(t, 1, fusedispatcher.Opts{})
			b.FS.Do = func(io *fsdev.IO) {
				fill(io)
				io.Complete(0)
			}
			b.Init(minor)
			for i := range handlerCases {
				c := handlerCases[i]
				reply := c.Reply
				for _, old := range oldSizes {
					if old.op != c.Op || minor >= old.before {
						continue
					}
					if old.in >= 0 {
						c.Args = c.Args[:old.in]
					}
					switch {
					case old.out == 136:
						reply = join(reply[:120], reply[128:])
					case old.out >= 0:
						reply = reply[:old.out]
					}
					if old.out >= 0 {
						c.Room = 16 + old.out
					}
				}
				if c.Op == FUSE_SETXATTR && minor < 6 { // no flags in INIT
					c.Args = c.Args[:8]
				}
				isLock := c.Op == FUSE_GETLK || c.Op == FUSE_SETLK || c.Op == FUSE_SETLKW
				if minor < 6 && isLock || minor < 9 && c.IO.Type == fsdev.IOFlock {
					continue // there is no agreement on locks; they do not say flock
				}
				b.FS.Calls = nil
				r := b.Do(0, c.Op, node, c.Room, c.Parts()...)
				if r.Errno != 0 || len(b.FS.Calls) != 1 {
					t.Errorf("%s: %v", c.Name(), r.Errno)
					continue
				}
				if !bytes.Equal(reply, r.Payload()) {
					t.Errorf("%s: reply (-want +got):\n%s", c.Name(), cmp.Diff(reply, r.Payload()))
				}
				want := c.IO
				switch {
				case c.Op == FUSE_GETATTR && minor < 9:
					want.Handle = 0
				case c.Op == FUSE_MKNOD && minor < 12, c.Op == FUSE_CREATE && minor < 12:
					want.Umask = 0
					if c.Op == FUSE_CREATE {
						want.Mode = 1 // it is in the first 8 bytes
					}
				case (c.Op == FUSE_READ || c.Op == FUSE_WRITE) && minor < 9:
					want.Flags = 0
				case c.Op == FUSE_FLUSH && minor < 7:
					want.Owner = 0
				case c.Op == FUSE_POLL && minor < 21:
					want.Flags = 0x145
				}
				if diff := cmp.Diff(want, b.FS.Calls[0], ignoreInternals, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: the module saw (-want +got):\n%s", c.Name(), diff)
				}
			}
		})
	}
}

func TestInitReplySizes(t *testing.T) {
	for minor := range uint32(50) {
		b := newBed(t, 1, fusedispatcher.Opts{})
		in := Bytes(&InitIn{Major: 7, Minor: minor, MaxReadahead: 4096})
		size, room := 64, 64
		if minor < 36 {
			size = 16
		}
		if minor < 6 {
			size = 8
		}
		switch {
		case minor < 5:
			room = 8
		case minor < 23:
			room = 24
		}
		for short := range size {
			if minor >= 36 && short >= 16 {
				break // without flags2
			}
			r := b.Do(0, FUSE_INIT, 0, 80, in[:short])
			if r.Errno == 0 {
				t.Fatalf("7.%d: INIT of %d bytes was accepted", minor, short)
			}
		}
		for r := range 16 + room {
			if rep := b.Do(0, FUSE_INIT, 0, r, in[:size]); rep.Errno != syscall.EINVAL {
				t.Fatalf("7.%d: INIT with room for %d: %v", minor, r, rep.Errno)
			}
		}
		r := b.Do(0, FUSE_INIT, 0, 16+room, in[:size])
		if r.Errno != 0 || len(r.Payload()) != room {
			t.Errorf("7.%d: %v, reply of %d bytes", minor, r.Errno, len(r.Payload()))
		}
	}
}

func TestInitVersions(t *testing.T) {
	for _, tt := range []struct {
		major, minor uint32
		want         syscall.Errno
		session      bool
	}{
		{0, 0, syscall.EPROTO, false},
		{6, 45, syscall.EPROTO, false},
		{7, 0, 0, true},
		{7, 99, 0, true},
		{8, 0, 0, false},
		{8, 45, 0, false},
		{1<<32 - 1, 1<<32 - 1, 0, false},
	} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		r := b.Do(0, FUSE_INIT, 0, 80, Bytes(&InitIn{Major: tt.major, Minor: tt.minor}))
		if r.Errno != tt.want {
			t.Errorf("%d.%d: %v", tt.major, tt.minor, r.Errno)
		}
		if tt.want == 0 {
			var out InitOut
			if copy(Bytes(&out), r.Payload()); out.Major != 7 || out.Minor != 45 {
				t.Errorf("%d.%d: answered %d.%d", tt.major, tt.minor, out.Major, out.Minor)
			}
		}
		if got := b.Do(0, FUSE_STATFS, 1, 96).Errno; (got == 0) != tt.session {
			t.Errorf("%d.%d: afterwards STATFS says %v", tt.major, tt.minor, got)
		}
	}
}

const (
	always1 = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
		FUSE_MAX_PAGES | FUSE_ASYNC_DIO | FUSE_SETXATTR_EXT | FUSE_HAS_IOCTL_DIR
	always = always1 | FUSE_INIT_EXT | FUSE_NO_EXPORT_SUPPORT
)

func TestInitFlags(t *testing.T) {
	const all = 1<<63 - 1
	everything := fsdev.MountOpts{MaxWrite: 1 << 20, WritebackCache: true, NoOpen: true, KillPriv: true}
	acl := fsdev.MountOpts{PosixACL: true}
	const auto = always | FUSE_AUTO_INVAL_DATA | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS
	for _, tt := range []struct {
		name    string
		cache   fusedispatcher.CachePolicy
		offered uint64
		module  fsdev.MountOpts
		want    uint64
	}{
		{"auto", fusedispatcher.CacheAuto, all, fsdev.MountOpts{},
			always | FUSE_AUTO_INVAL_DATA | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS},
		{"auto, an able module", fusedispatcher.CacheAuto, all, everything,
			always | FUSE_AUTO_INVAL_DATA | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS | FUSE_HANDLE_KILLPRIV_V2},
		{"none", fusedispatcher.CacheNone, all, everything,
			always | FUSE_DIRECT_IO_ALLOW_MMAP | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS | FUSE_HANDLE_KILLPRIV_V2},
		{"none, no second word", fusedispatcher.CacheNone, all &^ FUSE_INIT_EXT, everything,
			always1 | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS | FUSE_HANDLE_KILLPRIV_V2},
		{"always", fusedispatcher.CacheAlways, all, everything, always | FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS |
			FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT | FUSE_HANDLE_KILLPRIV_V2},
		{"always, a module that needs opens", fusedispatcher.CacheAlways, all, fsdev.MountOpts{WritebackCache: true},
			always | FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS},
		{"always, a module that forbids write-back", fusedispatcher.CacheAlways, all, fsdev.MountOpts{},
			always | FUSE_CACHE_SYMLINKS | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS},
		{"byte-range locks", fusedispatcher.CacheAuto, all, fsdev.MountOpts{PosixLocks: true}, auto | FUSE_POSIX_LOCKS},
		{"access control lists", fusedispatcher.CacheAuto, all, acl, auto | FUSE_POSIX_ACL | FUSE_DONT_MASK},
		{"access control lists of a client that masks", fusedispatcher.CacheAuto, all &^ FUSE_DONT_MASK, acl, auto},
		{"a client without access control lists", fusedispatcher.CacheAuto, all &^ FUSE_POSIX_ACL, acl, auto},
		{"security contexts", fusedispatcher.CacheAuto, all, fsdev.MountOpts{SecurityCtx: true}, auto | FUSE_SECURITY_CTX},
		{"groups", fusedispatcher.CacheAuto, all, fsdev.MountOpts{SuppGroup: true}, auto | FUSE_CREATE_SUPP_GROUP},
		{"submounts", fusedispatcher.CacheAuto, all, fsdev.MountOpts{Submounts: true}, auto | FUSE_SUBMOUNTS},
		{"nothing offered", fusedispatcher.CacheAlways, 0, everything, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, 1, fusedispatcher.Opts{Cache: tt.cache})
			var asked fsdev.MountOpts
			b.FS.Mount = func(io *fsdev.IO) {
				asked = io.Mount
				io.Mount = tt.module
				b.FS.Mounted(io)
			}
			out := b.InitFlags(45, tt.offered)
			if got := uint64(out.Flags) | uint64(out.Flags2)<<32; got != tt.want {
				t.Errorf("flags %#x, want %#x: more %#x, missing %#x", got, tt.want, got&^tt.want, tt.want&^got)
			}
			wish := tt.cache == fusedispatcher.CacheAlways && tt.offered&FUSE_WRITEBACK_CACHE != 0
			if diff := cmp.Diff(fsdev.MountOpts{MaxWrite: 1 << 20, WritebackCache: wish}, asked); diff != "" {
				t.Errorf("the module was asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInitLimits(t *testing.T) {
	for _, tt := range []struct {
		name      string
		transport uint32 // MaxWrite
		module    uint32
		readahead uint32
		maxPages  bool
		want      InitOut
	}{
		{"defaults", 0, 1 << 30, 128 << 10, true,
			InitOut{MaxReadahead: 128 << 10, MaxWrite: 1 << 20, MaxPages: 256}},
		{"the module narrows", 0, 64 << 10, 1 << 30, true,
			InitOut{MaxReadahead: 1 << 20, MaxWrite: 64 << 10, MaxPages: 16}},
		{"the transport narrows", 10000, 64 << 10, 0, true, InitOut{MaxWrite: 10000, MaxPages: 3}},
		{"never less than the kernel assumes", 100, 0, 0, true, InitOut{MaxWrite: 4096, MaxPages: 1}},
		{"pages are not asked for", 0, 64 << 10, 0, false, InitOut{MaxWrite: 64 << 10}},
		{"more pages than there are numbers", 1 << 28, 1 << 28, 0, true, InitOut{MaxWrite: 1 << 28, MaxPages: 1<<16 - 1}},
		{"all there is", 1<<32 - 1, 1<<32 - 1, 0, true, InitOut{MaxWrite: 1<<32 - 1, MaxPages: 1<<16 - 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, 1, fusedispatcher.Opts{MaxWrite: tt.transport})
			b.FS.Mount = func(io *fsdev.IO) {
				io.Mount.MaxWrite = tt.module
				b.FS.Mounted(io)
			}
			in := InitIn{Major: 7, Minor: 45, MaxReadahead: tt.readahead}
			if tt.maxPages {
				in.Flags = FUSE_MAX_PAGES
			}
			var out InitOut
			copy(Bytes(&out), b.Do(0, FUSE_INIT, 0, 80, Bytes(&in)).Payload())
			want := tt.want
			want.Major, want.Minor, want.MaxBackground, want.CongestionThreshold, want.TimeGran = 7, 45, 128, 96, 1
			if tt.maxPages {
				want.Flags = FUSE_MAX_PAGES
			}
			if diff := cmp.Diff(want, out, cmpopts.IgnoreUnexported(InitOut{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A Flags2 without FUSE_INIT_EXT, or beyond a short request, means nothing.
func TestInitWithoutSecondFlagWord(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{Cache: fusedispatcher.CacheNone})
	in := Bytes(&InitIn{Major: 7, Minor: 45, Flags: FUSE_INIT_EXT, Flags2: 1<<32 - 1})
	var out InitOut
	copy(Bytes(&out), b.Do(0, FUSE_INIT, 0, 80, in[:16]).Payload())
	if out.Flags2 != 0 || out.Flags != FUSE_INIT_EXT {
		t.Errorf("flags %#x, second word %#x", out.Flags, out.Flags2)
	}
}

func TestCachePolicies(t *testing.T) {
	hour24 := uint64(24 * 3600)
	for _, tt := range []struct {
		cache     fusedispatcher.CachePolicy
		name      string
		open, dir uint32
		valid     uint64
		negative  bool
	}{
		{fusedispatcher.CacheAuto, "auto", 0, 0, 1, false},
		{fusedispatcher.CacheNone, "none", FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, 0, 0, false},
		{fusedispatcher.CacheAlways, "always", FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, hour24, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := fusedispatcher.ParseCachePolicy(tt.name); p != tt.cache || err != nil || p.String() != tt.name {
				t.Errorf("parsed as %v, %v", p, err)
			}
			b := newSession(t, fusedispatcher.Opts{Cache: tt.cache})
			var open, opendir, create OpenOut
			copy(Bytes(&open), b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{})).Payload())
			copy(Bytes(&opendir), b.Do(0, FUSE_OPENDIR, node, 32, Bytes(&OpenIn{})).Payload())
			copy(Bytes(&create), b.Do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{}), cstr("n")).Payload()[128:])
			want := []OpenOut{
				{Fh: uint64(fakeHandle), OpenFlags: tt.open},
				{Fh: uint64(fakeHandle), OpenFlags: tt.dir},
				{Fh: uint64(fakeHandle), OpenFlags: tt.open},
			}
			got := []OpenOut{open, opendir, create}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(OpenOut{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var e EntryOut
			copy(Bytes(&e), b.Do(0, FUSE_LOOKUP, node, 144, cstr("n")).Payload())
			var a AttrOut
			copy(Bytes(&a), b.Do(0, FUSE_GETATTR, node, 120, Bytes(&GetattrIn{})).Payload())
			if e.EntryValid != tt.valid || e.AttrValid != tt.valid || a.AttrValid != tt.valid {
				t.Errorf("valid for %d, %d, %d s", e.EntryValid, e.AttrValid, a.AttrValid)
			}
			b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ENOENT) }
			r := b.Do(0, FUSE_LOOKUP, node, 144, cstr("n"))
			if !tt.negative {
				if r.Errno != syscall.ENOENT {
					t.Errorf("a name that does not exist: %v", r.Errno)
				}
				return
			}
			if want := Bytes(&EntryOut{EntryValid: tt.valid}); r.Errno != 0 || !bytes.Equal(want, r.Payload()) {
				t.Errorf("a name that does not exist: %v, %x", r.Errno, r.Payload())
			}
		})
	}
	if _, err := fusedispatcher.ParseCachePolicy("sometimes"); err == nil {
		t.Error("an unknown policy was parsed")
	}
}

// TestTimeouts has what is said about timeouts take the place of what the policy says, and a module the last word.
func TestTimeouts(t *testing.T) {
	type valid struct{ name, nameNsec, attr, attrNsec uint64 }
	for _, tt := range []struct {
		what     string
		opts     fusedispatcher.Opts
		module   uint32 // milliseconds
		want     valid
		negative bool
	}{
		{what: "names", opts: fusedispatcher.Opts{EntryTimeout: 2500 * time.Millisecond}, want: valid{2, 500_000_000, 1, 0}},
		{what: "attributes", opts: fusedispatcher.Opts{AttrTimeout: time.Hour}, want: valid{1, 0, 3600, 0}},
		{what: "neither", opts: fusedispatcher.Opts{EntryTimeout: -1, AttrTimeout: -1}},
		{what: "a policy without any", opts: fusedispatcher.Opts{Cache: fusedispatcher.CacheNone, EntryTimeout: 1,
			AttrTimeout: 2}, want: valid{0, 1, 0, 2}},
		{what: "names that do not exist", opts: fusedispatcher.Opts{Cache: fusedispatcher.CacheAlways,
			EntryTimeout: 1500 * time.Millisecond, AttrTimeout: -1}, want: valid{1, 500_000_000, 0, 0},
			negative: true},
		{what: "the module", opts: fusedispatcher.Opts{EntryTimeout: -1, AttrTimeout: time.Hour}, module: 7001,
			want: valid{7, 1_000_000, 7, 1_000_000}},
	} {
		b := newSession(t, tt.opts)
		b.FS.Do = func(io *fsdev.IO) {
			fill(io)
			io.OutAttr.ValidMS = tt.module
			io.Complete(0)
		}
		var e EntryOut
		copy(Bytes(&e), b.Do(0, FUSE_LOOKUP, node, 144, cstr("n")).Payload())
		var a AttrOut
		copy(Bytes(&a), b.Do(0, FUSE_GETATTR, node, 120, Bytes(&GetattrIn{})).Payload())
		got := valid{e.EntryValid, uint64(e.EntryValidNsec), e.AttrValid, uint64(e.AttrValidNsec)}
		if got != tt.want || a.AttrValid != tt.want.attr || uint64(a.AttrValidNsec) != tt.want.attrNsec {
			t.Errorf("%s: LOOKUP says %+v, GETATTR %d.%09d, want %+v", tt.what, got, a.AttrValid, a.AttrValidNsec, tt.want)
		}
		if tt.negative {
			b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ENOENT) }
			r := b.Do(0, FUSE_LOOKUP, node, 144, cstr("n"))
			want := Bytes(&EntryOut{EntryValid: tt.want.name, EntryValidNsec: uint32(tt.want.nameNsec)})
			if !bytes.Equal(want, r.Payload()) {
				t.Errorf("%s: %v, %x, want %x", tt.what, r.Errno, r.Payload(), want)
			}
		}
	}
}

func TestOpensAreRefusedWhenNotNeeded(t *testing.T) {
	for _, offered := range []uint64{FUSE_NO_OPEN_SUPPORT, FUSE_NO_OPENDIR_SUPPORT,
		FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT, 0} {
		b := newBed(t, 1, fusedispatcher.Opts{Cache: fusedispatcher.CacheAlways})
		b.FS.Mount = func(io *fsdev.IO) {
			io.Mount.NoOpen = true
			b.FS.Mounted(io)
		}
		b.InitFlags(45, offered)
		open := b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{})).Errno
		opendir := b.Do(0, FUSE_OPENDIR, node, 32, Bytes(&OpenIn{})).Errno
		if (open == syscall.ENOSYS) != (offered&FUSE_NO_OPEN_SUPPORT != 0) ||
			(opendir == syscall.ENOSYS) != (offered&FUSE_NO_OPENDIR_SUPPORT != 0) {
			t.Errorf("offered %#x: OPEN %v, OPENDIR %v", offered, open, opendir)
		}
	}
}

// With a write-back cache the client's kernel appends, and reads what it has not cached.
func TestWritebackCacheChangesOpenFlags(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{Cache: fusedispatcher.CacheAlways})
	for _, tt := range []struct{ in, want uint32 }{
		{syscall.O_RDONLY, syscall.O_RDONLY},
		{syscall.O_WRONLY, syscall.O_RDWR},
		{syscall.O_WRONLY | syscall.O_APPEND, syscall.O_RDWR},
		{syscall.O_RDWR | syscall.O_APPEND | syscall.O_TRUNC, syscall.O_RDWR | syscall.O_TRUNC},
	} {
		b.FS.Calls = nil
		b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{Flags: tt.in}))
		b.Do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{Flags: tt.in}), cstr("n"))
		b.Do(0, FUSE_WRITE, node, 24, Bytes(&WriteIn{Flags: tt.in}))
		for _, io := range b.FS.Calls {
			if io.Flags != tt.want {
				t.Errorf("%v with %#o: the module saw %#o, want %#o", io.Type, tt.in, io.Flags, tt.want)
			}
		}
	}
}

// What has nothing to do need not be sent: the client takes ENOSYS for success, once and for all.
func TestSyncsAreRefusedWhenNotNeeded(t *testing.T) {
	for _, noSync := range []bool{true, false} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		b.FS.Mount = func(io *fsdev.IO) {
			io.Mount.NoSync = noSync
			b.FS.Mounted(io)
		}
		b.Init(45)
		want, calls := syscall.Errno(0), 3
		if noSync {
			want, calls = syscall.ENOSYS, 0
		}
		for _, r := range []*reply{
			b.Do(0, FUSE_FLUSH, node, 16, Bytes(&FlushIn{})),
			b.Do(0, FUSE_FSYNC, node, 16, Bytes(&FsyncIn{})),
			b.Do(0, FUSE_FSYNCDIR, node, 16, Bytes(&FsyncIn{})),
		} {
			if r.Errno != want {
				t.Errorf("opcode %d: %v, want %v", r.Hdr.Opcode, r.Errno, want)
			}
		}
		if len(b.FS.Calls) != calls {
			t.Errorf("the module saw %d calls, want %d", len(b.FS.Calls), calls)
		}
	}
}
