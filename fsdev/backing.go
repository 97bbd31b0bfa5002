package fsdev

import "syscall"

// Backer is a [Device] whose open files are files of the host, so that who knows the host's kernel may have that read,
// write and map them by itself.
//
// Not in SPDK.
type Backer interface {
	Device
	// Backing calls use with ctx and a descriptor of the file that d has opened as h, and returns what use does. The
	// descriptor is the module's and good until use returns; its access mode means nothing. It does not wait. On any
	// thread that has a channel.
	//
	// Errors: EBADF (h is no open file of obj), ESTALE (obj), EOPNOTSUPP (this file is not for that).
	Backing(d *Desc, obj FileObject, h FileHandle, use BackingFunc, ctx any) syscall.Errno
}

// BackingFunc is lent a descriptor of the host. Not in SPDK.
type BackingFunc func(ctx any, fd int) syscall.Errno

// CanBack says whether the device is a [Backer]. Any goroutine.
//
// Not in SPDK.
func (d *Desc) CanBack() bool {
	_, ok := d.f.dev.(Backer)
	return ok
}

// Backing lends use the descriptor of an open file, see [Backer]; EOPNOTSUPP if the device is none. Like an operation,
// only while the descriptor is open.
//
// Not in SPDK.
func (d *Desc) Backing(obj FileObject, h FileHandle, use BackingFunc, ctx any) syscall.Errno {
	b, ok := d.f.dev.(Backer)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	return b.Backing(d, obj, h, use, ctx)
}
