package memfs

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// TestPlace pins the mode and group of new files: what the kernel does to them in inode_init_owner and
// mode_strip_sgid, and the umask where it is still to be applied.
func TestPlace(t *testing.T) {
	const file, dir = syscall.S_IFREG, syscall.S_IFDIR
	for _, tt := range []struct {
		what    string
		dirPerm uint32
		c       creation
		perm    uint32
		gid     uint32
	}{
		{"plain", 0o755, creation{typ: file, perm: 0o6777, uid: 1, gid: 2}, 0o6777, 2},
		{"umask", 0o755, creation{typ: file, perm: 0o6777, umask: 0o27, uid: 1, gid: 2}, 0o6750, 2},
		{"umask of a directory", 0o755, creation{typ: dir, perm: 0o777, umask: 0o77}, 0o700, 0},
		{"a umask of more", 0o755, creation{typ: file, perm: 0o4777, umask: 0o7077, uid: 1}, 0o4700, 0},
		{"group of the directory", 0o2755, creation{typ: file, perm: 0o644, uid: 1, gid: 2}, 0o644, 77},
		{"program of a stranger", 0o2755, creation{typ: file, perm: 0o6775, uid: 1, gid: 2}, 0o4775, 77},
		{"before the umask", 0o2755, creation{typ: file, perm: 0o6775, umask: 0o77, uid: 1, gid: 2}, 0o4700, 77},
		{"program of the group", 0o2755, creation{typ: file, perm: 0o6775, uid: 1, gid: 77}, 0o6775, 77},
		{"program of a member", 0o2755, creation{typ: file, perm: 0o6775, uid: 1, gid: 2, group: 77, hasGroup: true},
			0o6775, 77},
		{"of another group", 0o2755, creation{typ: file, perm: 0o6775, uid: 1, gid: 2, group: 3, hasGroup: true},
			0o4775, 77},
		{"a group that is none", 0o2755, creation{typ: file, perm: 0o6775, uid: 1, gid: 2, group: 77}, 0o4775, 77},
		{"program of root", 0o2755, creation{typ: file, perm: 0o6775}, 0o6775, 77},
		{"no program", 0o2755, creation{typ: file, perm: 0o2664, uid: 1, gid: 2}, 0o2664, 77},
		{"directory", 0o2755, creation{typ: dir, perm: 0o755, umask: 0o22, uid: 1, gid: 2}, 0o2755, 77},
		{"fifo", 0o2755, creation{typ: syscall.S_IFIFO, perm: 0o2775, uid: 1, gid: 2}, 0o775, 77},
	} {
		r := newRig(t, Opts{RootMode: tt.dirPerm, RootGID: 77})
		_, errno := r.create(r.root, []byte("x"), &tt.c, &r.attr)
		r.must(errno)
		if perm := r.attr.Mode & 0o7777; perm != tt.perm || r.attr.GID != tt.gid {
			t.Errorf("%s: %#o of group %d, want %#o of %d", tt.what, perm, r.attr.GID, tt.perm, tt.gid)
		}
	}
}

func TestSecurityFromTheBeginning(t *testing.T) {
	s := newStack(t, 1, Opts{})
	d, ch := s.desc, s.ch[0]
	label := []byte("system_u:object_r:tmp_t")
	by := &fsdev.Creator{UID: 1, GID: 2, Security: []fsdev.Xattr{
		{Name: []byte("security.selinux"), Value: label}, {Name: []byte("security.other")},
	}}
	names := []string{"create", "mkdir", "mknod", "symlink"}
	for _, name := range names {
		var r, x result
		b := []byte(name)
		var errno syscall.Errno
		switch name {
		case "create":
			errno = d.Create(ch, 0, s.root, b, 0o600, syscall.O_RDWR, by, onCreate, &r)
		case "mkdir":
			errno = d.Mkdir(ch, 0, s.root, b, 0o700, by, onEntry, &r)
		case "mknod":
			errno = d.Mknod(ch, 0, s.root, b, 0o600, 0, by, onEntry, &r)
		case "symlink":
			errno = d.Symlink(ch, 0, s.root, b, b, by, onEntry, &r)
		}
		s.must(&r, errno)
		got := make([]byte, 100)
		s.must(&x, d.Getxattr(ch, 0, r.obj, []byte("security.selinux"), [][]byte{got}, 100, onSize, &x))
		if !bytes.Equal(got[:x.n], label) {
			t.Errorf("%s: label %q", name, got[:x.n])
		}
		x = result{}
		s.must(&x, d.Listxattr(ch, 0, r.obj, nil, 0, onSize, &x))
		if x.n != uint64(len("security.selinux")+len("security.other")+2) {
			t.Errorf("%s: a list of %d bytes", name, x.n)
		}
	}
	// who creates a file that is there does not label it anew
	by.Security[0].Value = []byte("other")
	var r, x result
	s.must(&r, d.Create(ch, 0, s.root, []byte("mknod"), 0o600, syscall.O_RDWR, by, onCreate, &r))
	s.must(&x, d.Getxattr(ch, 0, r.obj, []byte("security.selinux"), nil, 0, onSize, &x))
	if x.n != uint64(len(label)) {
		t.Errorf("the file has a label of %d bytes, want its first one of %d", x.n, len(label))
	}
	// the label counts: one page each
	if st := s.m.Statfs(); st.Blocks-st.Bfree != uint64(len(names)) {
		t.Errorf("%d pages used", st.Blocks-st.Bfree)
	}
}

func TestSecurityErrnos(t *testing.T) {
	long := bytes.Repeat([]byte("v"), maxXattrValue+1)
	x := func(name string, value []byte) fsdev.Xattr { return fsdev.Xattr{Name: []byte(name), Value: value} }
	var many []fsdev.Xattr
	for i := range maxXattrList/256 + 1 {
		many = append(many, x("security."+strings.Repeat("n", 241)+fmt.Sprintf("%05d", i), nil))
	}
	r := newRig(t, Opts{Size: 4 * pageSize})
	for _, tt := range []struct {
		what string
		x    []fsdev.Xattr
		want syscall.Errno
	}{
		{"no name", []fsdev.Xattr{x("", nil)}, syscall.ERANGE},
		{"another name space", []fsdev.Xattr{x("user.x", nil)}, syscall.EOPNOTSUPP},
		{"twice", []fsdev.Xattr{x("security.x", nil), x("security.x", nil)}, syscall.EINVAL},
		{"too long", []fsdev.Xattr{x("security.x", long)}, syscall.E2BIG},
		{"no room", []fsdev.Xattr{x("security.x", long[:5*pageSize])}, syscall.ENOSPC},
		{"too many", many, syscall.ENOSPC},
	} {
		c := creation{typ: syscall.S_IFREG, security: tt.x}
		_, errno := r.create(r.root, []byte("x"), &c, &r.attr)
		r.want(tt.what, errno, tt.want)
		_, _, errno = r.createOpen(r.desc, r.root, []byte("x"), &c, syscall.O_RDWR, &r.attr)
		r.want(tt.what+", CREATE", errno, tt.want)
	}
	// nothing is left of a file that could not be made, or that is gone
	c := creation{typ: syscall.S_IFREG, security: []fsdev.Xattr{x("security.x", long[:2*pageSize])}}
	obj, errno := r.create(r.root, []byte("x"), &c, &r.attr)
	r.must(errno)
	r.must(r.remove(r.root, []byte("x"), false))
	r.forget(obj, 1)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestFailureLeavesNoTrace checks that the times of files that an operation could not change stay as they are.
func TestFailureLeavesNoTrace(t *testing.T) {
	r := newRig(t, Opts{Size: 4 * pageSize, Handles: 1})
	f := r.mkfile(r.root, "f")
	if _, errno := r.fopen(r.desc, r.node(f), syscall.O_RDWR); errno != 0 {
		t.Fatal(errno)
	}
	before := [2]fsdev.Attr{r.stat(r.root), r.stat(f)}
	_, _, errno := r.createOpen(r.desc, r.root, []byte("n"), &creation{typ: syscall.S_IFREG}, 0, &r.attr)
	r.want("create without a handle to spare", errno, syscall.ENFILE)
	r.want("allocate more than there is", r.fallocate(r.node(f), 0, 0, 5*pageSize), syscall.ENOSPC)
	r.want("and clear it", r.fallocate(r.node(f), unix.FALLOC_FL_ZERO_RANGE, 0, 5*pageSize), syscall.ENOSPC)
	if after := [2]fsdev.Attr{r.stat(r.root), r.stat(f)}; after != before {
		t.Errorf("directory and file have become\n%+v, were\n%+v", after, before)
	}
}
