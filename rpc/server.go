package rpc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultSocket is where SPDK's tools look for an application. SPDK: SPDK_DEFAULT_RPC_ADDR
	DefaultSocket = "/var/tmp/spdk.sock"

	maxConns    = 64       // SPDK: SPDK_JSONRPC_MAX_CONNS
	maxResponse = 32 << 20 // bytes; SPDK: SPDK_JSONRPC_SEND_BUF_SIZE_MAX
)

// ListenOptions refine [Service.Listen]. The zero value leaves the socket to the umask and the process's owner, as SPDK
// does.
type ListenOptions struct {
	// Mode is the permission bits of the socket, 0 for what the umask leaves. Who may write to it may connect.
	Mode fs.FileMode
	// Owner and Group own the socket if they are not nil.
	Owner, Group *int
	// Paused has the server begin as after [Server.Pause].
	Paused bool
	// RequestTimeout is how long the rest of a request may take to come, and a response to be taken, before the
	// connection is closed. 0 means a minute.
	RequestTimeout time.Duration
	// Trace, if not nil, is called with everything that is said, by plain goroutines, one call at a time for a
	// server.
	//
	// SPDK: log_file and log_level of struct spdk_rpc_opts
	Trace func(direction Direction, text []byte)
}

// Direction says who speaks in ListenOptions.Trace.
type Direction string

// The directions.
const (
	ToServer   Direction = "request"
	FromServer Direction = "response"
)

// Server serves a socket.
//
// SPDK: struct spdk_rpc_server, struct spdk_jsonrpc_server
type Server struct {
	svc     *Service
	o       ListenOptions
	socket  *Socket
	slots   chan struct{} // a connection has one
	closing chan struct{}
	work    sync.WaitGroup
	traceMu sync.Mutex

	mu     sync.Mutex
	open   sync.Cond // when it is no longer paused, or ends
	paused bool
	ended  bool
	conns  []*conn
}

// Listen serves a Unix socket at path. A file path.lock tells others that it is in use; what a process that is gone has
// left behind is replaced.
//
// Errors wrap EADDRINUSE if the path is served, by this process or another, EEXIST if there is something else than a
// socket, ENAMETOOLONG, ESHUTDOWN after Close, and what the kernel says.
//
// SPDK: spdk_rpc_initialize, spdk_rpc_server_listen, spdk_jsonrpc_server_listen
func (s *Service) Listen(path string, o ListenOptions) (*Server, error) {
	s.mu.Lock()
	err := s.mayServe(path)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	socket, err := Bind(path, o)
	if err != nil {
		return nil, err
	}
	srv, err := s.Serve(socket, o)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return srv, nil
}

// mayServe returns what speaks against a server at path.
func (s *Service) mayServe(path string) error {
	switch {
	case s.closed:
		return fmt.Errorf("rpc: listen at %s: %w", path, syscall.ESHUTDOWN)
	case s.servers[path] != nil:
		return fmt.Errorf("rpc: listen at %s: it is served already: %w", path, syscall.EADDRINUSE)
	}
	return nil
}

// Serve serves a socket that is listened at, which belongs to the server from then on. Mode, Owner and Group of o have
// had their time. Errors wrap ESHUTDOWN after Close, and EINVAL if the socket has been served or closed.
//
// Not in SPDK, see [Bind].
func (s *Service) Serve(socket *Socket, o ListenOptions) (*Server, error) {
	if o.RequestTimeout == 0 {
		o.RequestTimeout = time.Minute
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayServe(socket.path); err != nil {
		return nil, err
	}
	if socket.taken {
		return nil, fmt.Errorf("rpc: the socket %s is gone: %w", socket.path, syscall.EINVAL)
	}
	socket.taken = true
	srv := &Server{
		svc:     s,
		o:       o,
		socket:  socket,
		paused:  o.Paused,
		slots:   make(chan struct{}, maxConns),
		closing: make(chan struct{}),
	}
	srv.open.L = &srv.mu
	s.servers[socket.path] = srv
	srv.work.Add(1)
	go srv.accept()
	return srv, nil
}

// Path returns where the socket is.
func (srv *Server) Path() string { return srv.socket.path }

// accept takes connections for as long as there is room.
func (srv *Server) accept() {
	defer srv.work.Done()
	for {
		select {
		case srv.slots <- struct{}{}:
		case <-srv.closing:
			return
		}
		nc, err := srv.socket.listener.AcceptUnix()
		if err != nil {
			<-srv.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Most likely there is no descriptor left.
			srv.svc.log.Warn("rpc: accept", "socket", srv.Path(), "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-srv.closing:
			}
			continue
		}
		srv.serve(nc)
	}
}

func (srv *Server) serve(nc *net.UnixConn) {
	c := newConn(srv, nc)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.ended {
		nc.Close()
		return
	}
	srv.conns = append(srv.conns, c)
	srv.work.Add(2)
	go c.read()
	go c.write()
}

// forget gives the place of a connection that has ended to another.
func (srv *Server) forget(c *conn) {
	srv.mu.Lock()
	srv.conns = slices.DeleteFunc(srv.conns, func(o *conn) bool { return o == c })
	srv.mu.Unlock()
	<-srv.slots
}

// Pause has requests wait, those that come from now on. Connections are accepted.
//
// SPDK: spdk_rpc_server_pause
func (srv *Server) Pause() { srv.setPaused(true) }

// Resume ends a Pause.
//
// SPDK: spdk_rpc_server_resume
func (srv *Server) Resume() { srv.setPaused(false) }

func (srv *Server) setPaused(on bool) {
	srv.mu.Lock()
	srv.paused = on
	srv.mu.Unlock()
	srv.open.Broadcast()
}

// waitOpen waits while the server is paused. It returns false if the server ends.
func (srv *Server) waitOpen() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for srv.paused && !srv.ended {
		srv.open.Wait()
	}
	return !srv.ended
}

// Close ends the server and its connections: handlers that run return, what has been answered is sent, what has not is
// dropped. The socket and its lock are removed. It waits. Doing so again is harmless.
//
// SPDK: spdk_rpc_server_close, spdk_rpc_server_finish, spdk_jsonrpc_server_shutdown
func (srv *Server) Close() error {
	srv.svc.mu.Lock()
	known := srv.svc.servers[srv.Path()] == srv
	if known {
		delete(srv.svc.servers, srv.Path())
	}
	srv.svc.mu.Unlock()
	if !known {
		return nil
	}
	return srv.end()
}

func (srv *Server) end() error {
	srv.mu.Lock()
	srv.ended = true
	conns := slices.Clone(srv.conns)
	srv.mu.Unlock()
	srv.open.Broadcast()
	close(srv.closing)
	err := srv.socket.endListening()
	for _, c := range conns {
		c.end()
	}
	srv.work.Wait()
	return errors.Join(err, srv.socket.unlock())
}

func (srv *Server) trace(d Direction, text []byte) {
	if srv.o.Trace == nil {
		return
	}
	srv.traceMu.Lock()
	defer srv.traceMu.Unlock()
	srv.o.Trace(d, text)
}
