package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
)

// Socket is a Unix socket that is listened at, but not served yet: clients that connect wait. It is for a process that
// gives up the right to make sockets before it serves one, see [Manager.Confine]. Its methods may be called from any
// goroutine.
type Socket struct {
	addr Address

	mu sync.Mutex
	l  *net.UnixListener // nil: somebody has it, or it was closed
}

// Bind listens at the address of a Unix socket. Errors are those of [Manager.Start], and EINVAL for a port: whoever
// takes over a process that holds one can make it connect to other ports of the machine, even if connect(2) is
// forbidden (shutdown(2) makes a socket of it that sendmsg(2) with MSG_FASTOPEN, or an io_uring, connects).
func Bind(addr Address) (*Socket, error) {
	if addr.path == "" {
		return nil, fmt.Errorf("metrics: %v: a process that locks itself up may have no port, as it could reach others "+
			"with it: use unix:PATH: %w", addr, syscall.EINVAL)
	}
	l, err := addr.listenUnix()
	if err != nil {
		return nil, err
	}
	return &Socket{addr: addr, l: l.(*net.UnixListener)}, nil
}

// Address returns where it listens.
func (s *Socket) Address() Address { return s.addr }

// File returns the path that is left when the program that has inherited the socket ends.
func (s *Socket) File() string { return s.addr.path }

// FD returns the descriptor that is listened at, for those who filter the calls with it. It belongs to the socket.
func (s *Socket) FD() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l == nil {
		return -1, net.ErrClosed
	}
	c, err := s.l.SyscallConn()
	if err != nil {
		return -1, err
	}
	n := -1
	return n, errors.Join(c.Control(func(fd uintptr) { n = int(fd) }), err)
}

// Close gives up what no server has taken, and removes the path unless the socket was inherited. Doing so again is
// harmless.
func (s *Socket) Close() error {
	if l := s.take(); l != nil {
		return l.Close()
	}
	return nil
}

// take returns the listener, once.
func (s *Socket) take() *net.UnixListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.l
	s.l = nil
	return l
}

// Heirloom is a [Socket] on its way to a program that the process executes: it can be written as JSON.
type Heirloom struct {
	Path     string
	Mode     fs.FileMode
	Listener int // a descriptor
}

// Bequeath returns a duplicate of the socket's descriptor that stays open when a program is executed, which gets the
// socket by [Heirloom.Inherit]. The socket itself can still be closed, as when nothing is executed after all.
func (s *Socket) Bequeath() (Heirloom, error) {
	h := Heirloom{Path: s.addr.path, Mode: s.addr.mode}
	fd, err := s.FD()
	if err == nil {
		h.Listener, err = syscall.Dup(fd)
	}
	if err != nil {
		return h, fmt.Errorf("metrics: hand on the socket: %w", err)
	}
	return h, nil
}

// Inherit is the other half of [Socket.Bequeath]. The path is none of the program's business, which may not see it:
// somebody else removes it.
func (h Heirloom) Inherit() (*Socket, error) {
	f := os.NewFile(uintptr(h.Listener), h.Path)
	defer f.Close()
	l, err := net.FileListener(f) // of a duplicate
	if err != nil {
		return nil, fmt.Errorf("metrics: the socket that was handed on: %w", err)
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("metrics: what was handed on is no Unix socket: %w", syscall.EINVAL)
	}
	ul.SetUnlinkOnClose(false)
	return &Socket{addr: Address{path: h.Path, mode: h.Mode}, l: ul}, nil
}
