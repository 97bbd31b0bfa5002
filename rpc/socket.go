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

// listen takes the lock, and the path.
func (srv *Server) listen() (err error) {
	if err := srv.takeLock(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			srv.unlock()
		}
	}()
	// Whoever has the lock may remove the socket of one who is gone.
	switch st, err := os.Lstat(srv.path); {
	case err == nil && st.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("there is a file, which is no socket: %w", syscall.EEXIST)
	case err == nil:
		if err := remove(srv.path); err != nil {
			return err
		}
	}
	lc := net.ListenConfig{Control: srv.restrict}
	l, err := lc.Listen(context.Background(), "unix", srv.path)
	if err != nil {
		return err
	}
	srv.listener = l.(*net.UnixListener)
	srv.listener.SetUnlinkOnClose(false) // see end
	if err := srv.setOwner(); err != nil {
		srv.listener.Close()
		os.Remove(srv.path)
		return err
	}
	return nil
}

// restrict gives the socket its mode before it has a name, so that nobody gets in meanwhile. The umask still applies.
func (srv *Server) restrict(_, _ string, c syscall.RawConn) error {
	if srv.o.Mode == 0 {
		return nil
	}
	var chmod error
	if err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), uint32(srv.o.Mode.Perm())) }); err != nil {
		return err
	}
	return chmod
}

func (srv *Server) setOwner() error {
	uid, gid := -1, -1
	if srv.o.Owner != nil {
		uid = *srv.o.Owner
	}
	if srv.o.Group != nil {
		gid = *srv.o.Group
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(srv.path, uid, gid); err != nil {
			return err
		}
	}
	if srv.o.Mode != 0 {
		return os.Chmod(srv.path, srv.o.Mode.Perm())
	}
	return nil
}

// takeLock locks path.lock.
func (srv *Server) takeLock() error {
	name := srv.path + ".lock"
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
			srv.lock = f
			return nil
		}
		f.Close()
		if err != nil {
			return err
		}
	}
}

// unlock removes the lock before it is given up, so that nobody locks a file that is about to go.
func (srv *Server) unlock() error {
	return errors.Join(remove(srv.lock.Name()), srv.lock.Close())
}

// remove removes a file that somebody may have cleaned away.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
