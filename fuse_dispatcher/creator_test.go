package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// newCreatorSession makes a session with a module of those abilities.
func newCreatorSession(t *testing.T, minor uint32, opts fsdev.MountOpts) *bed {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.FS.Mount = func(io *fsdev.IO) {
		io.Mount = opts
		b.FS.Mounted(io)
	}
	b.Init(minor)
	return b
}

// creatorCases are the requests that create files, up to where extensions begin.
var creatorCases = []struct {
	op    uint32
	parts [][]byte
}{
	{FUSE_MKNOD, [][]byte{Bytes(&MknodIn{Mode: 1, Umask: 0o7027}), cstr("name")}},
	{FUSE_MKDIR, [][]byte{Bytes(&MkdirIn{Mode: 1, Umask: 0o7027}), cstr("name")}},
	{FUSE_CREATE, [][]byte{Bytes(&CreateIn{Mode: 1, Umask: 0o7027}), cstr("name")}},
	{FUSE_TMPFILE, [][]byte{Bytes(&CreateIn{Mode: 1, Umask: 0o7027}), cstr("/")}},
	{FUSE_SYMLINK, [][]byte{cstr("name"), cstr("target")}},
}

// The umask reaches the module only if the client's kernel has not applied it.
func TestUmask(t *testing.T) {
	for _, acl := range []bool{true, false} {
		b := newCreatorSession(t, 45, fsdev.MountOpts{PosixACL: acl})
		for _, c := range creatorCases {
			b.FS.Calls = nil
			b.Do(0, c.op, node, 200, c.parts...)
			want := uint32(0)
			if acl && c.op != FUSE_SYMLINK {
				want = 0o027
			}
			if got := b.FS.Calls[0].Umask; got != want {
				t.Errorf("access control lists %v, opcode %d: umask %#o, want %#o", acl, c.op, got, want)
			}
		}
	}
}

func pad8(b []byte) []byte { return append(b, make([]byte, RecAlign(len(b))-len(b))...) }

// secctx makes one security context.
func secctx(name, value string) []byte {
	return pad8(join(Bytes(&Secctx{Size: uint32(len(value))}), cstr(name), []byte(value)))
}

// ext makes an extension.
func ext(typ uint32, body ...[]byte) []byte {
	b := join(body...)
	return join(Bytes(&ExtHeader{Size: uint32(8 + len(b)), Type: typ}), b)
}

func groups(n uint32, ids ...uint32) []byte {
	b := u32(n)
	for _, id := range ids {
		b = append(b, u32(id)...)
	}
	return pad8(b)
}

// createWith sends a request that creates a file, with extensions.
func createWith(b *bed, i int, e []byte, cutAt func(m []byte) [][]byte) *reply {
	b.TB.Helper()
	c := creatorCases[i]
	b.Unique += 2
	m := message(InHeader{Opcode: c.op, Unique: b.Unique, NodeID: node, UID: 1001, GID: 1002,
		TotalExtlen: uint16(len(e) / 8)}, append(append([][]byte{}, c.parts...), e)...)
	in := [][]byte{m}
	if cutAt != nil {
		in = cutAt(m)
	}
	return b.Finish(b.Send(0, in, [][]byte{make([]byte, 200)}))
}

var selinux = fsdev.Xattr{Name: []byte("security.selinux"), Value: []byte("system_u:object_r:tmp_t:s0\x00")}

func TestExtensions(t *testing.T) {
	sel := secctx(string(selinux.Name), string(selinux.Value))
	long := "security." + strings.Repeat("n", 255-9)
	big := strings.Repeat("v", 65536)
	many := bytes.Repeat(secctx("security.a", ""), 31)
	for _, tt := range []struct {
		name  string
		ext   []byte
		errno syscall.Errno
		want  fsdev.Creator
	}{
		{"none", nil, 0, fsdev.Creator{}},
		{"no context", ext(0), 0, fsdev.Creator{}},
		{"a context", ext(1, sel), 0, fsdev.Creator{Security: []fsdev.Xattr{selinux}}},
		{"a context and a group", join(ext(1, sel), ext(FUSE_EXT_GROUPS, groups(1, 77))), 0,
			fsdev.Creator{Security: []fsdev.Xattr{selinux}, HasGroup: true, Group: 77}},
		{"a group", ext(FUSE_EXT_GROUPS, groups(1, 77)), 0, fsdev.Creator{HasGroup: true, Group: 77}},
		{"group 0", ext(FUSE_EXT_GROUPS, groups(1, 0)), 0, fsdev.Creator{HasGroup: true}},
		{"no group", ext(FUSE_EXT_GROUPS, groups(0)), 0, fsdev.Creator{}},
		{"an empty value", ext(1, secctx("security.a", "")), 0,
			fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.a")}}}},
		{"two contexts", ext(2, secctx("security.a", "1"), secctx("security.b", "23456789")), 0,
			fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.a"), Value: []byte("1")},
				{Name: []byte("security.b"), Value: []byte("23456789")}}}},
		{"the longest name", ext(1, secctx(long, "v")), 0,
			fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte(long), Value: []byte("v")}}}},
		{"the largest value", ext(1, secctx("security.a", big)), 0,
			fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.a"), Value: []byte(big)}}}},
		{"fewer than there are", ext(1, secctx("security.a", ""), secctx("security.b", "")), 0,
			fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.a")}}}},

		{"more than there are", ext(2, sel), syscall.EINVAL, fsdev.Creator{}},
		{"the most there can be", ext(31, many), 0, fsdev.Creator{
			Security: repeat(fsdev.Xattr{Name: []byte("security.a")}, 31)}},
		{"a name too long", ext(1, secctx(long+"n", "v")), syscall.EINVAL, fsdev.Creator{}},
		{"a value too large", ext(1, secctx("security.a", big+"v")), syscall.E2BIG, fsdev.Creator{}},
		{"another namespace", ext(1, secctx("trusted.a", "v")), syscall.EINVAL, fsdev.Creator{}},
		{"no name in the namespace", ext(1, secctx("security.", "v")), syscall.EINVAL, fsdev.Creator{}},
		{"no name", ext(1, secctx("", "v")), syscall.EINVAL, fsdev.Creator{}},
		{"an unterminated name", ext(1, Bytes(&Secctx{}), []byte("security")), syscall.EINVAL, fsdev.Creator{}},
		{"half a context", ext(1, []byte{1, 2, 3, 4}), syscall.EINVAL, fsdev.Creator{}},
		{"a value that is not there", ext(1, Bytes(&Secctx{Size: 8}), pad8(cstr("security.a"))), syscall.EINVAL,
			fsdev.Creator{}},
		{"a value of 4 GiB", ext(1, Bytes(&Secctx{Size: 1<<32 - 1}), pad8(cstr("security.a"))), syscall.E2BIG,
			fsdev.Creator{}},
		{"two lists of contexts", join(ext(1, sel), ext(1, sel)), syscall.EINVAL, fsdev.Creator{}},
		{"two lists of groups", join(ext(32, groups(1, 7)), ext(32, groups(1, 8))), syscall.EINVAL, fsdev.Creator{}},
		{"two groups", ext(FUSE_EXT_GROUPS, groups(2, 7, 8)), syscall.EINVAL, fsdev.Creator{}},
		{"4 Gi groups", ext(FUSE_EXT_GROUPS, groups(1<<32-1, 7)), syscall.EINVAL, fsdev.Creator{}},
		{"a group that is not there", pad8(join(Bytes(&ExtHeader{Size: 12, Type: 32}), u32(1))), syscall.EINVAL,
			fsdev.Creator{}},
		{"no number of groups", ext(FUSE_EXT_GROUPS), syscall.EINVAL, fsdev.Creator{}},
		{"unknown", ext(33), syscall.EINVAL, fsdev.Creator{}},
		{"unknown, of 4 Gi", ext(1<<32 - 1), syscall.EINVAL, fsdev.Creator{}},
		{"longer than the request", Bytes(&ExtHeader{Size: 16}), syscall.EINVAL, fsdev.Creator{}},
		{"4 GiB long", Bytes(&ExtHeader{Size: 1<<32 - 1}), syscall.EINVAL, fsdev.Creator{}},
		{"shorter than its header", Bytes(&ExtHeader{Size: 7}), syscall.EINVAL, fsdev.Creator{}},
		{"of no size", Bytes(&ExtHeader{}), syscall.EINVAL, fsdev.Creator{}},
		{"more than there is room", make([]byte, 65536+1032), syscall.E2BIG, fsdev.Creator{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.UID, tt.want.GID = 1001, 1002
			b := newCreatorSession(t, 45, fsdev.MountOpts{SecurityCtx: true, SuppGroup: true})
			check := func(what string, r *reply) {
				t.Helper()
				if r.Errno != tt.errno {
					t.Fatalf("%s: answer %v, want %v", what, r.Errno, tt.errno)
				}
				if tt.errno != 0 {
					if len(b.FS.Calls) != 0 {
						t.Fatalf("%s: the module saw it", what)
					}
					return
				}
				io := &b.FS.Calls[0]
				got := fsdev.Creator{UID: io.UID, GID: io.GID, Umask: io.Umask, Group: io.Group, HasGroup: io.HasGroup,
					Security: io.Security}
				if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%s: the module saw (-want +got):\n%s", what, diff)
				}
				b.FS.Calls = nil
			}
			for i, c := range creatorCases {
				check(fmt.Sprint("opcode ", c.op), createWith(b, i, tt.ext, nil))
			}
			if len(tt.ext) < 200 {
				for at := range 40 + 16 + 5 + len(tt.ext) + 1 {
					check(fmt.Sprint("cut at ", at), createWith(b, 2, tt.ext, func(m []byte) [][]byte { return cut(m, at) }))
				}
				check("each byte", createWith(b, 2, tt.ext, bytesEach))
			}
		})
	}
}

func repeat[T any](v T, n int) (list []T) {
	for range n {
		list = append(list, v)
	}
	return list
}

// Before 7.38 a request does not say where its extension begins: it is what is left.
func TestExtensionOfAnOlderClient(t *testing.T) {
	sel := ext(1, secctx(string(selinux.Name), string(selinux.Value)))
	for minor := uint32(36); minor <= 45; minor++ {
		b := newCreatorSession(t, minor, fsdev.MountOpts{SecurityCtx: true})
		m := b.Message(FUSE_MKDIR, node, Bytes(&MkdirIn{}), cstr("name"), sel)
		b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, 200)}))
		want := []fsdev.Xattr{selinux}
		if minor >= 38 {
			want = nil // TotalExtlen is 0
		}
		if diff := cmp.Diff(want, b.FS.Calls[0].Security); diff != "" {
			t.Errorf("7.%d (-want +got):\n%s", minor, diff)
		}
	}
}

// TotalExtlen beyond the request is refused; what stands between names and extensions is skipped.
func TestTotalExtlen(t *testing.T) {
	b := newCreatorSession(t, 45, fsdev.MountOpts{SuppGroup: true})
	for _, tt := range []struct {
		units uint16
		want  syscall.Errno
		group bool
	}{
		{0, 0, false}, {1, syscall.EINVAL, false}, {2, 0, true}, {3, syscall.EINVAL, false}, {4, syscall.EINVAL, false},
		{1<<16 - 1, syscall.EINVAL, false},
	} {
		b.FS.Calls = nil
		m := message(InHeader{Opcode: FUSE_MKDIR, Unique: 2, NodeID: node, TotalExtlen: tt.units},
			Bytes(&MkdirIn{}), cstr("name"), make([]byte, 11), ext(FUSE_EXT_GROUPS, groups(1, 7)))
		r := b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, 200)}))
		if r.Errno != tt.want || tt.want == 0 && b.FS.Calls[0].HasGroup != tt.group {
			t.Errorf("%d units: %v, %d calls", tt.units, r.Errno, len(b.FS.Calls))
		}
	}
}

// What has not been agreed on is not looked at if nothing has, and refused else.
func TestExtensionsWithoutAgreement(t *testing.T) {
	sel, grp := ext(1, secctx("security.a", "v")), ext(FUSE_EXT_GROUPS, groups(1, 7))
	for _, tt := range []struct {
		opts fsdev.MountOpts
		ext  []byte
		want syscall.Errno
	}{
		{fsdev.MountOpts{}, sel, 0},
		{fsdev.MountOpts{}, grp, 0},
		{fsdev.MountOpts{}, []byte("nonsense"), 0},
		{fsdev.MountOpts{SecurityCtx: true}, grp, syscall.EINVAL},
		{fsdev.MountOpts{SuppGroup: true}, sel, syscall.EINVAL},
		{fsdev.MountOpts{SuppGroup: true}, grp, 0},
	} {
		b := newCreatorSession(t, 45, tt.opts)
		r := createWith(b, 0, tt.ext, nil)
		if r.Errno != tt.want {
			t.Errorf("%+v: %v, want %v", tt.opts, r.Errno, tt.want)
		}
		if !tt.opts.SuppGroup && r.Errno == 0 && (b.FS.Calls[0].HasGroup || b.FS.Calls[0].Security != nil) {
			t.Errorf("%+v: the module saw it", tt.opts)
		}
	}
}

// The client changes its memory while the module works: names and values stay what they were.
func TestExtensionsAreReadOnce(t *testing.T) {
	b := newCreatorSession(t, 45, fsdev.MountOpts{SecurityCtx: true})
	b.FS.Do = b.FS.Hold
	e := ext(1, secctx("security.a", "value"))
	m := message(InHeader{Opcode: FUSE_MKDIR, Unique: 2, NodeID: node, TotalExtlen: uint16(len(e) / 8)},
		Bytes(&MkdirIn{}), cstr("name"), e)
	r := b.Send(0, [][]byte{m}, [][]byte{make([]byte, 200)})
	for i := range m {
		m[i] = 'x'
	}
	if x := b.FS.Pending[0].Security[0]; string(x.Name) != "security.a" || string(x.Value) != "value" {
		t.Errorf("%q = %q", x.Name, x.Value)
	}
	b.FS.Release(0)
	b.Finish(r)
}

// Random damage to good extensions is refused or understood, and nothing else.
func TestDamagedExtensions(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	b := newCreatorSession(t, 45, fsdev.MountOpts{SecurityCtx: true, SuppGroup: true})
	b.FS.Do = func(io *fsdev.IO) {
		for _, x := range io.Security {
			if len(x.Name) < 10 || len(x.Name) > 255 || bytes.IndexByte(x.Name, 0) >= 0 || len(x.Value) > 65536 {
				t.Errorf("seed %d: the module saw %q with %d bytes", seed, x.Name, len(x.Value))
			}
		}
		fill(io)
		io.Complete(0)
	}
	good := join(ext(2, secctx("security.a", "value"), secctx("security.bcd", "another value")), ext(32, groups(1, 7)))
	for range 20_000 {
		e := bytes.Clone(good)
		for range 1 + rng.IntN(3) {
			e[rng.IntN(len(e))] = []byte{0, 1, 7, 8, 16, 0x20, 0x7f, 0xff, byte(rng.Uint32())}[rng.IntN(9)]
		}
		e = e[:rng.IntN(len(e)/8+1)*8]
		r := createWith(b, rng.IntN(len(creatorCases)), e, nil)
		if r.Errno != 0 && r.Errno != syscall.EINVAL && r.Errno != syscall.E2BIG {
			t.Fatalf("seed %d: %v", seed, r.Errno)
		}
		b.FS.Calls = nil
	}
}

// Who may not keep the set-group-ID bit loses it with setting an access control list.
func TestSetxattrOfAnACLClearsSgid(t *testing.T) {
	const sgid = syscall.S_ISGID
	for _, tt := range []struct {
		name    string
		acl     bool
		flags   uint32
		mode    uint32
		errnos  map[fsdev.IOType]syscall.Errno
		want    syscall.Errno
		calls   []fsdev.IOType
		newMode uint32
	}{
		{"said", true, FUSE_SETXATTR_ACL_KILL_SGID, syscall.S_IFREG | sgid | 0o4754, nil, 0,
			[]fsdev.IOType{fsdev.IOSetxattr, fsdev.IOGetattr, fsdev.IOSetattr}, 0o4754},
		{"said, there is none", true, FUSE_SETXATTR_ACL_KILL_SGID, syscall.S_IFREG | 0o754, nil, 0,
			[]fsdev.IOType{fsdev.IOSetxattr, fsdev.IOGetattr}, 0},
		{"not said", true, 0, syscall.S_IFREG | sgid | 0o754, nil, 0, []fsdev.IOType{fsdev.IOSetxattr}, 0},
		{"not agreed on", false, FUSE_SETXATTR_ACL_KILL_SGID, sgid, nil, 0, []fsdev.IOType{fsdev.IOSetxattr}, 0},
		{"not set", true, FUSE_SETXATTR_ACL_KILL_SGID, sgid, map[fsdev.IOType]syscall.Errno{fsdev.IOSetxattr: syscall.EPERM},
			syscall.EPERM, []fsdev.IOType{fsdev.IOSetxattr}, 0},
		{"no mode", true, FUSE_SETXATTR_ACL_KILL_SGID, sgid, map[fsdev.IOType]syscall.Errno{fsdev.IOGetattr: syscall.EIO},
			syscall.EIO, []fsdev.IOType{fsdev.IOSetxattr, fsdev.IOGetattr}, 0},
		{"not cleared", true, FUSE_SETXATTR_ACL_KILL_SGID, sgid, map[fsdev.IOType]syscall.Errno{fsdev.IOSetattr: syscall.EIO},
			syscall.EIO, []fsdev.IOType{fsdev.IOSetxattr, fsdev.IOGetattr, fsdev.IOSetattr}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newCreatorSession(t, 45, fsdev.MountOpts{PosixACL: tt.acl})
			b.FS.Do = func(io *fsdev.IO) {
				fill(io)
				io.OutAttr.Mode = tt.mode
				io.Complete(tt.errnos[io.Type])
			}
			r := b.Do(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{Size: 1, SetxattrFlags: tt.flags}),
				cstr("system.posix_acl_access"), []byte("v"))
			if r.Errno != tt.want || r.Len != 16 {
				t.Errorf("answer %v of %d bytes, want %v", r.Errno, r.Len, tt.want)
			}
			var calls []fsdev.IOType
			for i := range b.FS.Calls {
				io := &b.FS.Calls[i]
				calls = append(calls, io.Type)
				if io.Type == fsdev.IOSetattr && (io.Attr.Mode != tt.newMode || io.Flags != fsdev.SetAttrMode) {
					t.Errorf("mode %#o, mask %#x", io.Attr.Mode, io.Flags)
				}
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// The bit is cleared even if there is no IO for that at the moment.
func TestSetxattrOfAnACLOutlastsAnEmptyPool(t *testing.T) {
	b := newCreatorSession(t, 45, fsdev.MountOpts{PosixACL: true})
	b.FS.Do = b.FS.Hold
	r := b.Start(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{SetxattrFlags: FUSE_SETXATTR_ACL_KILL_SGID}),
		cstr("system.posix_acl_access"))
	release := b.Exhaust()
	b.FS.Do = func(io *fsdev.IO) {
		fill(io)
		io.OutAttr.Mode |= syscall.S_ISGID
		io.Complete(0)
	}
	b.FS.Release(0) // its IO, the only one, is free after its completion
	b.Expect(r, 0)
	release()
	if n := len(b.FS.Calls); b.FS.Calls[n-1].Type != fsdev.IOSetattr {
		t.Errorf("the last call was %v", b.FS.Calls[n-1].Type)
	}
}

// A teardown that came too late for the first operation aborts the next.
func TestTeardownAbortsWhatSettingAnACLDoesNext(t *testing.T) {
	b := newCreatorSession(t, 45, fsdev.MountOpts{PosixACL: true})
	b.FS.Do = b.FS.Hold
	b.FS.Abort = func(io *fsdev.IO) { io.Complete(syscall.EALREADY) }
	r := b.Start(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{SetxattrFlags: FUSE_SETXATTR_ACL_KILL_SGID}),
		cstr("system.posix_acl_access"))
	d := b.StartDestroy(0)
	b.ExpectNone(r)
	b.FS.Abort = nil
	b.FS.Release(0)
	b.Expect(r, syscall.EINTR)
	b.Expect(d, 0)
}
