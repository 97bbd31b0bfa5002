package fusedispatcher

import (
	"bytes"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Requests that create files may carry extensions behind their names: records of a header, which
// says how long they are and what they hold, and the content.
//
//	ExtHeader{Size, n <= FUSE_MAX_NR_SECCTX}  n security contexts: Secctx{Size}, name, NUL, Size bytes,
//	                                          padding to a multiple of 8
//	ExtHeader{Size, FUSE_EXT_GROUPS}          SuppGroups{1}, group ID, padding
//
// Since 7.38 TotalExtlen of the request's header says how much of the request's end they are;
// before, there could only be security contexts, and they were what is left.

const (
	// maxExt is the most that the extensions of a request may take: a value of the largest size
	// with its name, and a little.
	maxExt = maxXattr + 1024
	// keptExt is the size up to which a request keeps its memory for extensions.
	keptExt = 4096
)

// securityPrefix is how a security context's name has to begin.
var securityPrefix = []byte("security.")

// creator returns who creates a file and what else it shall have from the beginning.
func (r *request) creator(umask uint32) (by fsdev.Creator, errno syscall.Errno) {
	by.UID, by.GID = r.hdr.UID, r.hdr.GID
	if r.sess.dontMask {
		by.Umask = umask & 0o777
	}
	if r.sess.securityCtx || r.sess.suppGroup {
		errno = r.readExtensions(&by)
	}
	return by, errno
}

// readExtensions copies the extensions into the request and takes them apart.
func (r *request) readExtensions(by *fsdev.Creator) syscall.Errno {
	n := r.in.left
	if r.sess.minor >= 38 {
		n = int(r.hdr.TotalExtlen) * 8
		if n > r.in.left {
			return syscall.EINVAL
		}
		r.in.skip(r.in.left - n)
	}
	switch {
	case n == 0:
		return 0
	case n > maxExt:
		return syscall.E2BIG
	case n > cap(r.ext):
		r.ext = make([]byte, n)
	}
	buf := r.ext[:n]
	r.in.read(buf)
	seen := [2]bool{}
	for len(buf) > 0 {
		var h ExtHeader
		if copy(Bytes(&h), buf) < len(Bytes(&h)) || int64(h.Size) < int64(len(Bytes(&h))) || int64(h.Size) > int64(len(buf)) {
			return syscall.EINVAL
		}
		body := buf[len(Bytes(&h)):h.Size]
		buf = buf[min(RecAlign(int(h.Size)), len(buf)):]
		kind := 0
		var errno syscall.Errno
		switch {
		case h.Type <= FUSE_MAX_NR_SECCTX && r.sess.securityCtx:
			errno = r.readSecurity(by, int(h.Type), body)
		case h.Type == FUSE_EXT_GROUPS && r.sess.suppGroup:
			kind = 1
			errno = readGroups(by, body)
		default:
			errno = syscall.EINVAL // has not been agreed on
		}
		if errno != 0 {
			return errno
		}
		if seen[kind] {
			return syscall.EINVAL
		}
		seen[kind] = true
	}
	return 0
}

// readSecurity takes n security contexts.
func (r *request) readSecurity(by *fsdev.Creator, n int, body []byte) syscall.Errno {
	r.security = r.security[:0]
	for range n {
		var c Secctx
		if copy(Bytes(&c), body) < len(Bytes(&c)) {
			return syscall.EINVAL
		}
		rest := body[len(Bytes(&c)):]
		end := bytes.IndexByte(rest, 0)
		if end < 0 || end > maxName || !bytes.HasPrefix(rest[:end], securityPrefix) ||
			end == len(securityPrefix) {
			return syscall.EINVAL
		}
		name, rest := rest[:end:end], rest[end+1:]
		switch {
		case c.Size > maxXattr:
			return syscall.E2BIG
		case int(c.Size) > len(rest):
			return syscall.EINVAL
		}
		r.security = append(r.security, fsdev.Xattr{Name: name, Value: rest[:c.Size:c.Size]})
		body = body[min(RecAlign(len(Bytes(&c))+end+1+int(c.Size)), len(body)):]
	}
	by.Security = r.security
	return 0
}

// readGroups takes the group that the creator is in and the directory belongs to. There is only
// one such.
func readGroups(by *fsdev.Creator, body []byte) syscall.Errno {
	var in SuppGroups
	n := copy(Bytes(&in), body)
	if n < len(Bytes(&in)) || in.NrGroups > 1 {
		return syscall.EINVAL
	}
	if in.NrGroups == 0 {
		return 0
	}
	if copy(Bytes(&by.Group), body[n:]) < 4 {
		return syscall.EINVAL
	}
	by.HasGroup = true
	return 0
}
