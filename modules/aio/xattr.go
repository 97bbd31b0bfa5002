package aio

import (
	"bytes"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const maxXattr = 64 << 10 // a value, or all names of a file

var xattrSpaces = []string{"user.", "trusted.", "security."}

// checkXattr refuses names that are none, or of a name space that is not passed on.
func checkXattr(name []byte) syscall.Errno {
	switch {
	case len(name) == 0 || len(name) > 255:
		return syscall.ERANGE
	case bytes.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	case slices.Contains(xattrSpaces, string(name)):
		return syscall.EINVAL // nothing follows
	case !passesXattr(string(name)):
		return syscall.EOPNOTSUPP
	}
	return 0
}

func passesXattr(name string) bool {
	for _, space := range xattrSpaces {
		if len(name) > len(space) && strings.HasPrefix(name, space) {
			return true
		}
	}
	return false
}

// path returns the path of a node's descriptor: the calls that take descriptors refuse O_PATH.
func (w *worker) path(n *node) string {
	w.fdName(n.fd)
	return "/proc/self/fd/" + string(w.num[:bytes.IndexByte(w.num[:], 0)])
}

func (w *worker) buffer() []byte {
	if w.buf == nil {
		w.buf = make([]byte, maxXattr)
	}
	return w.buf
}

func runSetxattr(w *worker, j *job) syscall.Errno {
	io := j.io
	if errno := checkXattr(io.Name); errno != 0 {
		return errno
	}
	if len(io.Value) > maxXattr {
		return syscall.E2BIG
	}
	return errnoOf(unix.Setxattr(w.path(j.n), string(io.Name), io.Value, int(io.Flags)))
}

func runRemovexattr(w *worker, j *job) syscall.Errno {
	if errno := checkXattr(j.io.Name); errno != 0 {
		return errno
	}
	return errnoOf(unix.Removexattr(w.path(j.n), string(j.io.Name)))
}

func runGetxattr(w *worker, j *job) syscall.Errno {
	if errno := checkXattr(j.io.Name); errno != 0 {
		return errno
	}
	buf := w.buffer()
	n, err := unix.Getxattr(w.path(j.n), string(j.io.Name), buf)
	if err != nil {
		return errnoOf(err)
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
		if passesXattr(string(rest[:size-1])) {
			kept += copy(buf[kept:], rest[:size])
		}
		rest = rest[size:]
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
