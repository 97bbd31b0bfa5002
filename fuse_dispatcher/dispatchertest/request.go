package dispatchertest

import (
	"bytes"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Request returns what io asks for, without payload: the fields that its operation has. What is
// empty is nil.
func Request(io *fsdev.IO) fsdev.IO {
	r := fsdev.IO{Type: io.Type, Object: io.Object}
	switch io.Type {
	case fsdev.IOLookup, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORemovexattr:
		r.Name = clone(io.Name)
	case fsdev.IOForget:
		r.Nlookup = io.Nlookup
	case fsdev.IOGetattr, fsdev.IORelease, fsdev.IOReleasedir:
		r.Handle = io.Handle
	case fsdev.IOSetattr:
		r.Handle, r.Attr, r.Flags = io.Handle, io.Attr, io.Flags
	case fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir:
		r.Name = clone(io.Name)
		creator(&r, io)
		switch io.Type {
		case fsdev.IOSymlink:
			r.Name2 = clone(io.Name2)
		case fsdev.IOMknod:
			r.Mode, r.Rdev = io.Mode, io.Rdev
		default:
			r.Mode = io.Mode
		}
	case fsdev.IORename:
		r.Name, r.Object2, r.Name2, r.Flags = clone(io.Name), io.Object2, clone(io.Name2), io.Flags
	case fsdev.IOLink:
		r.Object2, r.Name = io.Object2, clone(io.Name)
	case fsdev.IOFopen, fsdev.IOOpendir:
		r.Flags = io.Flags
	case fsdev.IOCreate:
		r.Name, r.Mode, r.Flags = clone(io.Name), io.Mode, io.Flags
		creator(&r, io)
	case fsdev.IORead, fsdev.IOWrite:
		r.Handle, r.Offset, r.Size, r.Flags = io.Handle, io.Offset, io.Size, io.Flags
	case fsdev.IOFsync, fsdev.IOFsyncdir:
		r.Handle, r.Datasync = io.Handle, io.Datasync
	case fsdev.IOFlush:
		r.Handle, r.Owner = io.Handle, io.Owner
	case fsdev.IOSetxattr:
		r.Name, r.Value, r.Flags = clone(io.Name), clone(io.Value), io.Flags
	case fsdev.IOGetxattr:
		r.Name, r.Size = clone(io.Name), io.Size
	case fsdev.IOListxattr:
		r.Size = io.Size
	case fsdev.IOReaddir:
		r.Handle, r.Offset, r.Plus = io.Handle, io.Offset, io.Plus
	case fsdev.IOFlock:
		r.Handle, r.Flags, r.Owner = io.Handle, io.Flags, io.Owner
	case fsdev.IOFallocate:
		r.Handle, r.Mode, r.Offset, r.Length = io.Handle, io.Mode, io.Offset, io.Length
	case fsdev.IOCopyFileRange:
		r.Handle, r.Offset, r.Length, r.Flags = io.Handle, io.Offset, io.Length, io.Flags
		r.Object2, r.Handle2, r.Offset2 = io.Object2, io.Handle2, io.Offset2
	case fsdev.IOLseek:
		r.Handle, r.Offset, r.Flags = io.Handle, io.Offset, io.Flags
	case fsdev.IOStatx:
		r.Handle, r.Flags, r.Mode = io.Handle, io.Flags, io.Mode
	case fsdev.IOTmpfile:
		r.Mode, r.Flags = io.Mode, io.Flags
		creator(&r, io)
	case fsdev.IOGetlk:
		r.Handle, r.Owner, r.Lock = io.Handle, io.Owner, io.Lock
	case fsdev.IOSetlk:
		r.Handle, r.Owner, r.Lock, r.Wait = io.Handle, io.Owner, io.Lock, io.Wait
	case fsdev.IOIoctl:
		r.Handle, r.Flags, r.Length, r.Value, r.Size = io.Handle, io.Flags, io.Length, clone(io.Value), io.Size
	case fsdev.IOPoll:
		r.Handle, r.Flags, r.Owner, r.Wait = io.Handle, io.Flags, io.Owner, io.Wait
	}
	return r
}

// creator copies what io says of who creates a file.
func creator(r, io *fsdev.IO) {
	r.UID, r.GID, r.Umask, r.HasGroup = io.UID, io.GID, io.Umask, io.HasGroup
	if io.HasGroup {
		r.Group = io.Group
	}
	for _, x := range io.Security {
		r.Security = append(r.Security, fsdev.Xattr{Name: clone(x.Name), Value: clone(x.Value)})
	}
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}
