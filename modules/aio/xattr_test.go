package aio_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

func (c *client) setxattr(obj fsdev.FileObject, name string, value []byte, want syscall.Errno) {
	c.Helper()
	c.want("SETXATTR of "+name, want, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Setxattr(c.ch, 0, obj, []byte(name), value, 0,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }, nil)
	})
}

func (c *client) getxattr(obj fsdev.FileObject, name string, want syscall.Errno) (value []byte) {
	c.Helper()
	buf := make([]byte, 4096)
	c.want("GETXATTR of "+name, want, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Getxattr(c.ch, 0, obj, []byte(name), [][]byte{buf}, uint32(len(buf)),
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
				if errno == 0 {
					value = buf[:n]
				}
				done(errno)
			}, nil)
	})
	return value
}

func (c *client) removexattr(obj fsdev.FileObject, name string, want syscall.Errno) {
	c.Helper()
	c.want("REMOVEXATTR of "+name, want, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Removexattr(c.ch, 0, obj, []byte(name),
			func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }, nil)
	})
}

// listxattr returns the names of a file's attributes, sorted, without those that a security module has put there.
func (c *client) listxattr(obj fsdev.FileObject) (names []string) {
	c.Helper()
	buf := make([]byte, 4096)
	c.want("LISTXATTR", 0, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Listxattr(c.ch, 0, obj, [][]byte{buf}, uint32(len(buf)),
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
				if buf = buf[:n]; n > 0 {
					names = strings.Split(string(buf[:n-1]), "\x00")
				}
				done(errno)
			}, nil)
	})
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return name == "security.selinux" })
}

// TestMappedXattrs keeps a client's trusted attributes under another name on the host.
func TestMappedXattrs(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, nil, 0o644))
	for _, name := range []string{"user.hosts", "trusted.hosts"} {
		if err := unix.Setxattr(path, name, []byte("h"), 0); errors.Is(err, unix.EPERM) {
			skip(t, needsRoot)
		} else {
			must(t, err)
		}
	}
	r := newRig(t, aio.Opts{Root: dir, XattrMap: ":unsupported:client:security.:: :map:trusted.:user.guest.:"})
	c := direct(t, r)
	obj := c.lookup("file")
	c.setxattr(obj, "trusted.x", []byte("value"), 0)
	buf := make([]byte, 100)
	if n, err := unix.Getxattr(path, "user.guest.trusted.x", buf); err != nil || string(buf[:n]) != "value" {
		t.Errorf("on the host: %q, %v", buf[:max(n, 0)], err)
	}
	if got := c.getxattr(obj, "trusted.x", 0); string(got) != "value" {
		t.Errorf("%q", got)
	}
	c.getxattr(obj, "trusted.hosts", syscall.ENODATA)
	c.setxattr(obj, "user.guest.trusted.y", nil, syscall.EPERM)
	c.getxattr(obj, "user.guest.trusted.x", syscall.EPERM)
	c.removexattr(obj, "user.guest.trusted.x", syscall.EPERM)
	c.setxattr(obj, "security.x", nil, syscall.EOPNOTSUPP)
	c.setxattr(obj, "system.posix_acl_access", nil, syscall.EOPNOTSUPP)       // no map makes a way to these
	c.setxattr(obj, "trusted."+strings.Repeat("n", 247), nil, syscall.ERANGE) // too long with what comes before it
	c.setxattr(obj, "user.x", []byte("value"), 0)
	want := []string{"trusted.x", "user.hosts", "user.x"}
	if got := c.listxattr(obj); !slices.Equal(got, want) {
		t.Errorf("LISTXATTR: %q, want %q", got, want)
	}
	c.removexattr(obj, "trusted.x", 0)
	if _, err := unix.Getxattr(path, "user.guest.trusted.x", nil); err != unix.ENODATA {
		t.Errorf("removed, on the host: %v", err)
	}
}

// aclOf makes an access control list of entries "u:ID:PERM" and so on.
func aclOf(entries ...string) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		tag, rest, _ := strings.Cut(e, ":")
		var id uint64
		var perm uint16
		id = 0xffffffff
		if n, _ := fmt.Sscanf(rest, "%d:%d", &id, &perm); n != 2 {
			_, _ = fmt.Sscanf(rest, ":%d", &perm)
		}
		tags := map[string]uint16{"U": 0x01, "u": 0x02, "G": 0x04, "g": 0x08, "m": 0x10, "o": 0x20}
		list = binary.LittleEndian.AppendUint16(list, tags[tag])
		list = binary.LittleEndian.AppendUint16(list, perm)
		list = binary.LittleEndian.AppendUint32(list, uint32(id))
	}
	return list
}

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// TestACLs wants the lists of directories to be given to what is made in them, in the place of the umask, and chmod to
// change them.
func TestACLs(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			dir := tempDir(t, p.dir)
			r := newRig(t, aio.Opts{Root: dir, PosixACL: true})
			c := direct(t, r)
			if !c.opts.PosixACL {
				t.Fatal("MOUNT does not say so")
			}
			host := func(name, list string, want []byte) {
				t.Helper()
				buf := make([]byte, 1024)
				n, err := unix.Getxattr(filepath.Join(dir, name), list, buf)
				if got := buf[:max(n, 0)]; err != nil || !slices.Equal(got, want) {
					t.Errorf("%s of %q is %x, %v; want %x", list, name, got, err, want)
				}
			}
			mode := func(name string, want uint32) {
				t.Helper()
				var st unix.Stat_t
				must(t, unix.Stat(filepath.Join(dir, name), &st))
				if got := st.Mode & 0o7777; got != want {
					t.Errorf("the mode of %s is %#o, want %#o", name, got, want)
				}
			}
			by := &fsdev.Creator{UID: 1000, GID: 1000, Umask: 0o077}
			if !aio.SwitchesUsers(r.a) {
				by.UID, by.GID = uint32(os.Geteuid()), uint32(os.Getegid())
			}
			must(t, errnoErr(c.create("masked", 0o666, by)))
			mode("masked", 0o600)
			c.setxattr(c.root, aclDefault, aclOf("U::7", "u:55:7", "G::5", "m::7", "o::5"), 0)
			host("", aclDefault, aclOf("U::7", "u:55:7", "G::5", "m::7", "o::5"))
			must(t, errnoErr(c.create("file", 0o666, by)))
			mode("file", 0o664) // not masked; the group bits are the list's mask
			host("file", aclAccess, aclOf("U::6", "u:55:7", "G::5", "m::6", "o::4"))
			c.want("MKDIR", 0, func(done func(syscall.Errno)) syscall.Errno {
				return c.desc.Mkdir(c.ch, 0, c.root, []byte("dir"), 0o777, by, func(_ any, _ *iochannel.Channel,
					errno syscall.Errno, _ fsdev.FileObject, _ *fsdev.Attr) {
					done(errno)
				}, nil)
			})
			host("dir", aclDefault, aclOf("U::7", "u:55:7", "G::5", "m::7", "o::5"))

			obj := c.lookup("file")
			c.setattr(obj, fsdev.Attr{Mode: 0o640}, fsdev.SetAttrMode, 0)
			want := aclOf("U::6", "u:55:7", "G::5", "m::4", "o::0")
			if got := c.getxattr(obj, aclAccess, 0); !slices.Equal(got, want) {
				t.Errorf("after chmod: %x, want %x", got, want)
			}
			if got := c.listxattr(obj); !slices.Contains(got, aclAccess) {
				t.Errorf("LISTXATTR: %q", got)
			}
			c.setxattr(obj, aclAccess, aclOf("U::7", "G::0", "o::1"), 0) // no more than a mode has
			mode("file", 0o701)
			c.setxattr(obj, aclAccess, []byte{2, 0, 0, 0, 1}, syscall.EINVAL)
			c.setxattr(obj, "system.other", nil, syscall.EOPNOTSUPP)
			c.removexattr(c.root, aclDefault, 0)
			must(t, errnoErr(c.create("again", 0o666, by)))
			mode("again", 0o600)
		})
	}
}

func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// TestTranslatedACLs wants the users and groups in lists to be translated, too.
func TestTranslatedACLs(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, nil, 0o644))
	r := newRig(t, aio.Opts{Root: dir, PosixACL: true,
		TranslateUID: []string{"map:0:100000:1000", "forbid-guest:5000:1"}, TranslateGID: []string{"map:0:200000:1000"}})
	c := direct(t, r)
	obj := c.lookup("file")
	list := aclOf("U::6", "u:55:7", "G::5", "g:66:4", "m::7", "o::0")
	sent := slices.Clone(list)
	c.setxattr(obj, aclAccess, list, 0)
	if !slices.Equal(list, sent) {
		t.Error("the client's list has been changed")
	}
	buf := make([]byte, 1024)
	n, err := unix.Getxattr(path, aclAccess, buf)
	want := aclOf("U::6", "u:100055:7", "G::5", "g:200066:4", "m::7", "o::0")
	if err != nil || !slices.Equal(buf[:n], want) {
		t.Errorf("on the host: %x, %v; want %x", buf[:max(n, 0)], err, want)
	}
	if got := c.getxattr(obj, aclAccess, 0); !slices.Equal(got, list) {
		t.Errorf("%x, want %x", got, list)
	}
	c.setxattr(obj, aclAccess, aclOf("U::6", "u:5000:7", "G::5", "m::7", "o::0"), syscall.EPERM)
	c.setxattr(obj, aclAccess, []byte{2}, syscall.EINVAL)
}
