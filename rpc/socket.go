package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Socket is a Unix socket with its lock that is listened at, but not served yet: clients that connect wait. It is for a
// process that gives up the right to make sockets before it serves one. Its methods may be called from any goroutine,
// one at a time.
//
// Not in SPDK.
type Socket struct {
	path     string
	listener *net.UnixListener
	lock     *os.File // nil if it is held until the process ends
	taken    bool     // a server has it
}

// Bind listens at path and takes path.lock, which tells others that it is in use; what a process that is gone has left
// behind is replaced. Of o only Mode, Owner and Group count. Errors are those of [Service.Listen].
//
// Not in SPDK, where listening and serving are one.
func Bind(path string, o ListenOptions) (*Socket, error) {
	s := &Socket{path: path}
	var err error
	switch {
	case path == "":
		return nil, fmt.Errorf("rpc: there is no path to listen at: %w", syscall.EINVAL)
	case len(path) >= len(syscall.RawSockaddrUnix{}.Path):
		err = syscall.ENAMETOOLONG
	default:
		err = s.listen(&o)
	}
	if err != nil {
		return nil, fmt.Errorf("rpc: listen at %s: %w", path, err)
	}
	return s, nil
}

// Path returns where the socket is.
func (s *Socket) Path() string { return s.path }

// Files returns the paths of the socket and of its lock, in the order in which they have to be removed.
func (s *Socket) Files() []string { return []string{s.path, s.lockPath()} }

func (s *Socket) lockPath() string { return s.path + ".lock" }

// FD returns the descriptor that is listened at, for those who filter the calls with it. It belongs to the socket.
func (s *Socket) FD() (int, error) {
	c, err := s.listener.SyscallConn()
	if err != nil {
		return -1, err
	}
	n := -1
	return n, errors.Join(c.Control(func(fd uintptr) { n = int(fd) }), err)
}

// Close gives up what no server has taken, files included. Doing so again is harmless.
func (s *Socket) Close() error {
	if s.taken {
		return nil
	}
	s.taken = true
	return errors.Join(s.endListening(), s.unlock())
}

// endListening has nobody connect any more.
func (s *Socket) endListening() error {
	if s.lock == nil {
		return s.listener.Close()
	}
	return errors.Join(remove(s.path), s.listener.Close())
}

// unlock removes the lock before it is given up, so that nobody locks a file that is about to go.
func (s *Socket) unlock() error {
	if s.lock == nil {
		return nil
	}
	return errors.Join(remove(s.lockPath()), s.lock.Close())
}

// Heirloom is a [Socket] on its way to a program that the process executes: it can be written as JSON.
type Heirloom struct {
	Path           string
	Listener, Lock int // descriptors
}

// Bequeath returns duplicates of the socket's descriptors that stay open when a program is executed, which gets the
// socket by [Heirloom.Inherit]. The socket itself can still be closed, as when nothing is executed after all.
func (s *Socket) Bequeath() (Heirloom, error) {
	h := Heirloom{Path: s.path}
	fd, err := s.FD()
	if err == nil {
		h.Listener, err = syscall.Dup(fd)
	}
	if err == nil {
		h.Lock, err = syscall.Dup(int(s.lock.Fd()))
	}
	if err != nil {
		return h, fmt.Errorf("rpc: hand on the socket: %w", err)
	}
	return h, nil
}

// Inherit is the other half of [Socket.Bequeath]. The files are none of the program's business, which may not see them:
// its lock is held until it ends, and before that somebody else removes [Socket.Files].
func (h Heirloom) Inherit() (*Socket, error) {
	syscall.CloseOnExec(h.Lock)
	f := os.NewFile(uintptr(h.Listener), h.Path)
	defer f.Close()
	l, err := net.FileListener(f) // of a duplicate
	if err != nil {
		return nil, fmt.Errorf("rpc: the socket that was handed on: %w", err)
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("rpc: what was handed on is no Unix socket: %w", syscall.EINVAL)
	}
	return &Socket{path: h.Path, listener: ul}, nil
}

// listen takes the lock, and the path.
func (s *Socket) listen(o *ListenOptions) (err error) {
	if err := s.takeLock(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.unlock()
		}
	}()
	// Whoever has the lock may remove the socket of one who is gone.
	switch st, err := os.Lstat(s.path); {
	case err == nil && st.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("there is a file, which is no socket: %w", syscall.EEXIST)
	case err == nil:
		if err := remove(s.path); err != nil {
			return err
		}
	}
	lc := net.ListenConfig{Control: o.restrict}
	l, err := lc.Listen(context.Background(), "unix", s.path)
	if err != nil {
		return err
	}
	s.listener = l.(*net.UnixListener)
	s.listener.SetUnlinkOnClose(false) // see release
	if err := o.setOwner(s.path); err != nil {
		s.listener.Close()
		os.Remove(s.path)
		return err
	}
	return nil
}

// restrict gives the socket its mode before it has a name, so that nobody gets in meanwhile. The umask still applies.
func (o *ListenOptions) restrict(_, _ string, c syscall.RawConn) error {
	if o.Mode == 0 {
		return nil
	}
	var chmod error
	if err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), uint32(o.Mode.Perm())) }); err != nil {
		return err
	}
	return chmod
}

func (o *ListenOptions) setOwner(path string) error {
	uid, gid := -1, -1
	if o.Owner != nil {
		uid = *o.Owner
	}
	if o.Group != nil {
		gid = *o.Group
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
	}
	if o.Mode != 0 {
		return os.Chmod(path, o.Mode.Perm())
	}
	return nil
}

// takeLock locks path.lock.
func (s *Socket) takeLock() error {
	name := s.lockPath()
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return fmt.Errorf("it is in use, so another has to be given: %w", syscall.EADDRINUSE)
			}
			return err
		}
		// Who had the lock may have removed the file after it was opened here.
		mine, err := f.Stat()
		if there, err2 := os.Lstat(name); err == nil && err2 == nil && os.SameFile(mine, there) {
			s.lock = f
			return nil
		}
		f.Close()
		if err != nil {
			return err
		}
	}
}

// remove removes a file that somebody may have cleaned away.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
