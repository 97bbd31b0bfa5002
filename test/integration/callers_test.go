package integration

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// caller is a user that a case acts as. The first of his groups is the effective one.
type caller struct {
	name   string
	uid    int
	groups []int
}

// Most files of the cases belong to user and group 65534.
var (
	root   = caller{"root", 0, []int{0}}
	owner  = caller{"owner", 65534, []int{65534}}
	member = caller{"member", 65533, []int{65534}}
	guest  = caller{"guest", 65532, []int{65532, 65534}} // has the group as a supplementary one
	mover  = caller{"mover", 65534, []int{65532, 65531}} // the owner, with groups that the file does not have
	other  = caller{"other", 65533, []int{65533}}

	callers = []caller{root, owner, member, guest, mover, other}
)

// as makes calls as somebody else, as far as files are concerned. It is the calling thread that changes its user, with
// system calls that do not say whether they have succeeded.
func (l *transcript) as(who caller, calls func()) {
	if who.uid == 0 {
		calls()
		return
	}
	groups, err := unix.Getgroups()
	l.failure("getgroups", err)
	become := func(uid, gid int, groups []int) {
		l.failure("setgroups", unix.Setgroups(groups))
		l.failure("setfsgid", unix.Setfsgid(gid))
		l.failure("setfsuid", unix.Setfsuid(uid))
		if is, _ := unix.SetfsuidRetUid(-1); is != uid {
			l.printf("setfsuid: is %d, not %d", is, uid)
		}
	}
	become(who.uid, who.groups[0], who.groups[1:])
	calls()
	become(0, 0, groups)
}

// errAs makes a call as somebody else and writes down how it ended.
func (l *transcript) errAs(who caller, what string, call func() error) {
	l.as(who, func() { l.err(who.name+": "+what, call()) })
}

// kind is a type of file.
type kind struct {
	name string
	make func(name string) error
}

var kinds = []kind{
	{"file", func(name string) error { return unix.Mknod(name, unix.S_IFREG|0o644, 0) }},
	{"dir", func(name string) error { return unix.Mkdir(name, 0o755) }},
	{"fifo", func(name string) error { return unix.Mkfifo(name, 0o644) }},
	{"block", func(name string) error { return unix.Mknod(name, unix.S_IFBLK|0o644, int(unix.Mkdev(1, 2))) }},
	{"char", func(name string) error { return unix.Mknod(name, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 2))) }},
	{"socket", func(name string) error { return unix.Mknod(name, unix.S_IFSOCK|0o644, 0) }},
	{"symlink", func(name string) error { return unix.Symlink("test", name) }},
}

// file and dir are the kinds most cases need.
var file, dir = kinds[0], kinds[1]

// linkable are the kinds that can have several names, and that no path leads through.
var linkable = []kind{kinds[0], kinds[2], kinds[3], kinds[4], kinds[5]}

func (k kind) isLink() bool { return k.name == "symlink" }
func (k kind) isDir() bool  { return k.name == "dir" }

// node makes a file of a kind that belongs to user and group id.
func (l *transcript) node(k kind, name string, mode uint32, id int) {
	l.failure("make "+k.name, k.make(name))
	l.failure("lchown", unix.Lchown(name, id, id))
	if !k.isLink() {
		l.failure("chmod", unix.Chmod(name, mode))
	}
}

// gone removes whatever has one of the names.
func (l *transcript) gone(names ...string) {
	for _, name := range names {
		l.failure("remove", os.RemoveAll(name))
	}
}

// identity names files by letters in the order in which they are first met, so that it can be written down which is
// which.
type identity map[uint64]string

func (id identity) of(name string) string {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return errName(err)
	}
	if id[st.Ino] == "" {
		id[st.Ino] = fmt.Sprint("#", len(id))
	}
	return fmt.Sprintf("%s mode=%o nlink=%d uid=%d gid=%d", id[st.Ino], st.Mode, st.Nlink, st.Uid, st.Gid)
}
