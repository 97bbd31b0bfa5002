package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// credentials is what the process is and may do.
type credentials struct {
	uid, gid int
	switches bool // it may act as somebody else
}

func (c *credentials) init() {
	c.uid, c.gid = unix.Geteuid(), unix.Getegid()
	caps, ok := getCaps()
	const need = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	c.switches = ok && caps[0].Effective&need == need
}

// threadCreds is what the thread of a worker is: that of the process, except for the time of a call.
type threadCreds struct {
	proc  *credentials
	caps  [2]unix.CapUserData
	umask int // -1 if the thread shares that of the process
	group bool
	off   bool // the thread acts as somebody else
}

// init makes the calling thread ready. It shares its umask with no other thread from now on, and has no supplementary
// groups: those of the process are nobody's who asks for anything.
func (t *threadCreds) init(c *credentials) {
	t.proc = c
	t.caps, _ = getCaps()
	t.umask = -1
	if unix.Unshare(unix.CLONE_FS) == nil {
		t.umask = 0
		unix.Umask(0)
	}
	if c.switches {
		_ = unix.Setgroups(nil) // this thread only; without the right to do it, it stays as it is
	}
}

func getCaps() (caps [2]unix.CapUserData, ok bool) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return caps, unix.Capget(&hdr, &caps[0]) == nil
}

// become makes the thread act as the creator of a file, until restore, which is to be called in any case. It returns
// the permissions to ask for: some of the umask may be left to apply.
//
// Errors: EPERM, if the system refuses the creator's user or group.
func (t *threadCreds) become(io *fsdev.IO) (perm uint32, errno syscall.Errno) {
	perm = io.Mode & 0o7777
	if umask := int(io.Umask & 0o777); t.umask < 0 {
		perm &^= io.Umask & 0o777 // the process's applies too, which it may only have made stricter
	} else if t.umask != umask {
		unix.Umask(umask)
		t.umask = umask
	}
	c := t.proc
	if !c.switches {
		return perm, 0
	}
	if io.HasGroup {
		if unix.Setgroups([]int{int(io.Group)}) != nil {
			return 0, syscall.EPERM
		}
		t.group = true
	}
	uid, gid := int(io.UID), int(io.GID)
	if uid == c.uid && gid == c.gid {
		return perm, 0
	}
	t.off = true
	_ = unix.Setfsgid(gid)
	_ = unix.Setfsuid(uid)
	// These calls do not say that they have failed, and what they return is who one was.
	if is, _ := unix.SetfsgidRetGid(-1); uint32(is) != io.GID {
		return 0, syscall.EPERM
	}
	if is, _ := unix.SetfsuidRetUid(-1); uint32(is) != io.UID {
		return 0, syscall.EPERM
	}
	if c.uid == 0 && uid != 0 {
		// The kernel has taken the capabilities that concern files away, CAP_FSETID among them, which is as it should
		// be. Whether the caller may write to the directory was for his kernel to say.
		caps := t.caps
		caps[0].Effective &^= fsCaps & (1<<32 - 1)
		caps[0].Effective |= caps[0].Permitted & (1 << unix.CAP_DAC_OVERRIDE)
		caps[1].Effective &^= fsCaps >> 32
		t.setCaps(&caps)
	}
	return perm, 0
}

// fsCaps are the capabilities that go when the user that accesses files changes from root to another.
// See capabilities(7).
const fsCaps = capMacOverride | 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH |
	1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_LINUX_IMMUTABLE | 1<<unix.CAP_MKNOD

const capMacOverride = 1 << 32

func (t *threadCreds) setCaps(caps *[2]unix.CapUserData) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_ = unix.Capset(&hdr, &caps[0])
}

// restore ends what become has begun.
func (t *threadCreds) restore() {
	if t.off {
		t.off = false
		_ = unix.Setfsuid(t.proc.uid)
		_ = unix.Setfsgid(t.proc.gid)
		caps := t.caps
		t.setCaps(&caps)
	}
	if t.group {
		t.group = false
		_ = unix.Setgroups(nil)
	}
}

// mayMknod gives the thread, which acts as somebody else, the right to make devices, if the process has it.
func (t *threadCreds) mayMknod() {
	if t.off && t.proc.uid == 0 {
		caps, ok := getCaps()
		if ok {
			caps[0].Effective |= caps[0].Permitted & (1 << unix.CAP_MKNOD)
			t.setCaps(&caps)
		}
	}
}
