package aio

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// The host's file system keeps access control lists and applies them when files are made, the umask of who makes them
// included. Only the users and groups in them are ours to translate. linux/posix_acl_xattr.h

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"

	aclHeader = 4 // the version
	aclEntry  = 8 // tag, permissions, ID
	aclUser   = 0x02
	aclGroup  = 0x08
)

func isACL(name string) bool { return name == aclAccess || name == aclDefault }

// checkACLs returns an error if a map hides the lists, or shows something else in their place.
func (m xattrMap) checkACLs() error {
	if m == nil {
		return nil
	}
	for _, name := range []string{aclAccess, aclDefault} {
		if host, errno := m.host(name); errno != 0 || host != name || m.guest(name) != name {
			return fmt.Errorf("the xattr map changes %s, where ACLs are: begin it with "+
				":ok:all:system.posix_acl_:system.posix_acl_:, or leave ACLs out", name)
		}
	}
	return nil
}

// translateACL translates the IDs of a list in place. What is none is left for the host to refuse. Errors: EPERM.
func translateACL(list []byte, uid, gid func(uint32) (uint32, syscall.Errno)) syscall.Errno {
	for at := aclHeader; at+aclEntry <= len(list); at += aclEntry {
		translate := uid
		switch binary.LittleEndian.Uint16(list[at:]) {
		case aclUser:
		case aclGroup:
			translate = gid
		default:
			continue
		}
		id, errno := translate(binary.LittleEndian.Uint32(list[at+4:]))
		if errno != 0 {
			return errno
		}
		binary.LittleEndian.PutUint32(list[at+4:], id)
	}
	return 0
}

func (m *idMaps) hostACL(list []byte) syscall.Errno {
	return translateACL(list, m.uid.host, m.gid.host)
}

func (m *idMaps) guestACL(list []byte) {
	guest := func(m *idMap) func(uint32) (uint32, syscall.Errno) {
		return func(id uint32) (uint32, syscall.Errno) { return m.guest(id), 0 }
	}
	translateACL(list, guest(&m.uid), guest(&m.gid)) // cannot fail
}
