package aio

import (
	"bytes"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxXattr     = 64 << 10 // a value, or all names of a file
	maxXattrName = 255
)

var xattrSpaces = []string{"user.", "trusted.", "security."}

// hostXattr returns what the host calls an attribute of a client. It refuses names that are none, that clients may not
// use, or of a name space that is not passed on. Errors: ERANGE, EINVAL, EPERM, EOPNOTSUPP.
func (a *Aio) hostXattr(name []byte) (string, syscall.Errno) {
	switch {
	case len(name) == 0 || len(name) > maxXattrName:
		return "", syscall.ERANGE
	case bytes.IndexByte(name, 0) >= 0:
		return "", syscall.EINVAL
	}
	host, errno := a.xattrs.host(string(name))
	switch {
	case errno != 0:
	case len(host) > maxXattrName:
		errno = syscall.ERANGE
	case slices.Contains(xattrSpaces, host):
		errno = syscall.EINVAL // nothing follows
	case !a.passesXattr(host):
		errno = syscall.EOPNOTSUPP
	}
	return host, errno
}

// passesXattr says whether attributes of the host of that name can be known to clients.
func (a *Aio) passesXattr(host string) bool {
	for _, space := range xattrSpaces {
		if len(host) > len(space) && strings.HasPrefix(host, space) {
			return true
		}
	}
	return a.o.PosixACL && isACL(host)
}

// path returns the path of a node's descriptor: the calls that take descriptors refuse O_PATH.
func (w *worker) path(n *node) string {
	w.fdName(n.fd)
	name := string(w.num[:bytes.IndexByte(w.num[:], 0)])
	if w.inProc {
		return name
	}
	return "/proc/self/fd/" + name
}

func (w *worker) buffer() []byte {
	if w.buf == nil {
		w.buf = make([]byte, maxXattr)
	}
	return w.buf
}

func runSetxattr(w *worker, j *job) syscall.Errno {
	io := j.io
	name, errno := w.a.hostXattr(io.Name)
	if errno != 0 {
		return errno
	}
	if len(io.Value) > maxXattr {
		return syscall.E2BIG
	}
	value := io.Value
	if w.a.ids != nil && isACL(name) {
		value = append(w.buffer()[:0], value...)
		if errno := w.a.ids.hostACL(value); errno != 0 {
			return errno
		}
	}
	return errnoOf(unix.Setxattr(w.path(j.n), name, value, int(io.Flags)))
}

func runRemovexattr(w *worker, j *job) syscall.Errno {
	name, errno := w.a.hostXattr(j.io.Name)
	if errno != 0 {
		return errno
	}
	return errnoOf(unix.Removexattr(w.path(j.n), name))
}

func runGetxattr(w *worker, j *job) syscall.Errno {
	name, errno := w.a.hostXattr(j.io.Name)
	if errno != 0 {
		return errno
	}
	buf := w.buffer()
	n, err := unix.Getxattr(w.path(j.n), name, buf)
	if err != nil {
		return errnoOf(err)
	}
	if w.a.ids != nil && isACL(name) {
		w.a.ids.guestACL(buf[:n])
	}
	return j.answer(buf[:n])
}

func runListxattr(w *worker, j *job) syscall.Errno {
	buf := w.buffer()
	n, err := unix.Listxattr(w.path(j.n), buf)
	if err != nil {
		return errnoOf(err)
	}
	kept := 0
	for rest := buf[:n]; len(rest) > 0; {
		size := bytes.IndexByte(rest, 0) + 1
		if size == 0 {
			break
		}
		host := string(rest[:size-1])
		rest = rest[size:]
		if !w.a.passesXattr(host) {
			continue
		}
		if name := w.a.xattrs.guest(host); name != "" { // no longer than the host's
			kept += copy(buf[kept:], name)
			buf[kept] = 0
			kept++
		}
	}
	return j.answer(buf[:kept])
}

// answer gives a client a value, or its size if it has asked for that. Errors: ERANGE.
func (j *job) answer(value []byte) syscall.Errno {
	io := j.io
	io.OutSize = uint64(len(value))
	if io.Size == 0 {
		return 0
	}
	if len(value) > int(io.Size) {
		return syscall.ERANGE
	}
	for _, b := range io.Iovs {
		value = value[copy(b, value):]
	}
	return 0
}
