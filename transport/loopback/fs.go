package loopback

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

// FS walks paths over a [Client]. Paths are separated by slashes and start at the root of the
// file system; "", "." and "/" are the root itself. Symbolic links are not followed. Errors
// are *fs.PathError with the errno inside.
//
// The references that a walk takes are given back before the method returns, so an FS leaves
// nothing behind but what it was asked for. Any number of goroutines may use one.
type FS struct {
	c       *Client
	maxIO   int
	dirSize int
}

// NewFS returns an FS over c. maxWrite is the longest WRITE and READ that it sends, in bytes,
// for which [InitReply.MaxWrite] is right.
func NewFS(c *Client, maxWrite uint32) *FS {
	return &FS{c: c, maxIO: max(int(maxWrite), 4096), dirSize: 32 << 10}
}

func pathErr(op, path string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: errno}
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// forget gives back the reference of a walk. The root has none to give.
func (f *FS) forget(node uint64) {
	if node != RootID && node != 0 {
		f.c.Forget(node, 1)
	}
}

// walk resolves the elements of a path. The node it returns holds a reference, unless it is
// the root.
func (f *FS) walk(elems []string) (Entry, syscall.Errno) {
	e := Entry{Node: RootID}
	if len(elems) == 0 {
		a, errno := f.c.Getattr(RootID, 0)
		e.Attr = a
		return e, errno
	}
	for _, name := range elems {
		next, errno := f.c.Lookup(e.Node, name)
		f.forget(e.Node)
		if errno == 0 && next.Node == 0 {
			errno = syscall.ENOENT
		}
		if errno != 0 {
			return Entry{}, errno
		}
		e = next
	}
	return e, 0
}

// parent resolves all but the last element, and returns that as name.
func (f *FS) parent(path string) (node uint64, name string, errno syscall.Errno) {
	elems := split(path)
	if len(elems) == 0 {
		return 0, "", syscall.EINVAL
	}
	last := len(elems) - 1
	if last == 0 {
		return RootID, elems[0], 0
	}
	e, errno := f.walk(elems[:last])
	return e.Node, elems[last], errno
}

// Stat returns the attributes of a file.
func (f *FS) Stat(path string) (fsdev.Attr, error) {
	e, errno := f.walk(split(path))
	f.forget(e.Node)
	return e.Attr, pathErr("stat", path, errno)
}

// MkdirAll makes a directory and those above it that are missing.
func (f *FS) MkdirAll(path string, mode uint32) error {
	node := uint64(RootID)
	for _, name := range split(path) {
		e, errno := f.c.Lookup(node, name)
		if errno == syscall.ENOENT || errno == 0 && e.Node == 0 {
			e, errno = f.c.Mkdir(node, name, mode)
		}
		if errno == 0 && e.Attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			f.forget(e.Node)
			errno = syscall.ENOTDIR
		}
		f.forget(node)
		if errno != 0 {
			return pathErr("mkdir", path, errno)
		}
		node = e.Node
	}
	f.forget(node)
	return nil
}

// File is an open file of an [FS]. Close it.
type File struct {
	fs       *FS
	path     string
	node, fh uint64
}

// Open opens a file; flags are O_*. With O_CREAT a file that is missing is made, with the
// permissions mode.
func (f *FS) Open(path string, flags int, mode uint32) (*File, error) {
	parent, name, errno := f.parent(path)
	if errno != 0 {
		return nil, pathErr("open", path, errno)
	}
	defer f.forget(parent)
	e, errno := f.c.Lookup(parent, name)
	missing := errno == syscall.ENOENT || errno == 0 && e.Node == 0
	var fh uint64
	switch {
	case missing && flags&syscall.O_CREAT != 0:
		e, fh, errno = f.c.Create(parent, name, syscall.S_IFREG|mode, uint32(flags))
	case missing:
		errno = syscall.ENOENT
	case errno == 0 && flags&syscall.O_CREAT != 0 && flags&syscall.O_EXCL != 0:
		errno = syscall.EEXIST
	case errno == 0:
		fh, errno = f.c.Open(e.Node, uint32(flags&^(syscall.O_CREAT|syscall.O_EXCL)))
		if errno == 0 && flags&syscall.O_TRUNC != 0 {
			_, errno = f.c.Setattr(e.Node, fh, fsdev.Attr{}, fsdev.SetAttrSize)
			if errno != 0 {
				f.c.Release(e.Node, fh)
			}
		}
	}
	if errno != 0 {
		if !missing {
			f.forget(e.Node)
		}
		return nil, pathErr("open", path, errno)
	}
	return &File{fs: f, path: path, node: e.Node, fh: fh}, nil
}

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		chunk := p[done:min(len(p), done+f.fs.maxIO)]
		n, errno := f.fs.c.Read(f.node, f.fh, uint64(off)+uint64(done), chunk)
		done += n
		if errno != 0 {
			return done, pathErr("read", f.path, errno)
		}
		if n < len(chunk) {
			return done, io.EOF
		}
	}
	return done, nil
}

// WriteAt implements [io.WriterAt].
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		chunk := p[done:min(len(p), done+f.fs.maxIO)]
		n, errno := f.fs.c.Write(f.node, f.fh, uint64(off)+uint64(done), chunk)
		done += n
		if errno != 0 {
			return done, pathErr("write", f.path, errno)
		}
		if n == 0 {
			return done, &fs.PathError{Op: "write", Path: f.path, Err: io.ErrShortWrite}
		}
	}
	return done, nil
}

// Close flushes and releases the file.
func (f *File) Close() error {
	flush := f.fs.c.Flush(f.node, f.fh, 0)
	if flush == syscall.ENOSYS {
		flush = 0 // nothing to flush, says the file system
	}
	rel := f.fs.c.Release(f.node, f.fh)
	f.fs.forget(f.node)
	return errors.Join(pathErr("close", f.path, flush), pathErr("close", f.path, rel))
}

// WriteFile makes data the whole contents of a file, which is made if it is missing.
func (f *FS) WriteFile(path string, data []byte, mode uint32) error {
	file, err := f.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, 0)
	return errors.Join(err, file.Close())
}

// ReadFile returns the whole contents of a file.
func (f *FS) ReadFile(path string) ([]byte, error) {
	file, err := f.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	a, errno := f.c.Getattr(file.node, file.fh)
	if errno != 0 {
		return nil, errors.Join(pathErr("stat", path, errno), file.Close())
	}
	data := make([]byte, a.Size)
	n, err := file.ReadAt(data, 0)
	if err == io.EOF {
		err = nil
	}
	return data[:n], errors.Join(err, file.Close())
}

// DirEntry is one name of a directory.
type DirEntry struct {
	Name string
	Attr fsdev.Attr
}

// ModTime returns the time of the last change of the contents.
func (e *DirEntry) ModTime() time.Time {
	return time.Unix(int64(e.Attr.Mtime), int64(e.Attr.MtimeNsec))
}

// ReadDir returns a directory's entries sorted by name, without "." and "..".
func (f *FS) ReadDir(path string) ([]DirEntry, error) {
	e, errno := f.walk(split(path))
	if errno != 0 {
		return nil, pathErr("readdir", path, errno)
	}
	defer f.forget(e.Node)
	fh, errno := f.c.Opendir(e.Node, syscall.O_RDONLY|syscall.O_DIRECTORY)
	if errno != 0 {
		return nil, pathErr("readdir", path, errno)
	}
	defer f.c.Releasedir(e.Node, fh)
	var list []DirEntry
	for off := uint64(0); ; {
		got, errno := f.c.Readdir(e.Node, fh, off, true, f.dirSize)
		if errno != 0 {
			return nil, pathErr("readdir", path, errno)
		}
		if len(got) == 0 {
			break
		}
		for i := range got {
			d := &got[i]
			off = d.Next
			if name := string(d.Name); name != "." && name != ".." {
				f.forget(d.Entry.Node)
				list = append(list, DirEntry{Name: name, Attr: d.Entry.Attr})
			}
		}
	}
	slices.SortFunc(list, func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Rename moves a file, in place of what has the new name.
func (f *FS) Rename(oldPath, newPath string) error {
	oldParent, oldName, errno := f.parent(oldPath)
	if errno != 0 {
		return pathErr("rename", oldPath, errno)
	}
	defer f.forget(oldParent)
	newParent, newName, errno := f.parent(newPath)
	if errno != 0 {
		return pathErr("rename", newPath, errno)
	}
	defer f.forget(newParent)
	return pathErr("rename", oldPath, f.c.Rename(oldParent, oldName, newParent, newName, 0))
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(path string) error {
	parent, name, errno := f.parent(path)
	if errno != 0 {
		return pathErr("remove", path, errno)
	}
	defer f.forget(parent)
	errno = f.c.Unlink(parent, name)
	if errno == syscall.EISDIR || errno == syscall.EPERM {
		errno = f.c.Rmdir(parent, name)
	}
	return pathErr("remove", path, errno)
}
