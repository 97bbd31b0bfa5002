package fusedev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// HostOptions say what [ServeHost] does for the process at the other end.
type HostOptions struct {
	// Mountpoints are the directories that it may have mounted and unmounted, absolute.
	Mountpoints []string
	// Users returns who uses a mountpoint, for [RemoteHost.Users]; nil: nobody is known.
	Users func(path string) []string
	// End is called for [RemoteHost.End]; may be nil.
	End func()
	// Left is told of each mount that the process has left behind, when it is gone and the mount detached; may be nil.
	Left func(path string)
}

// ServeHost mounts and unmounts for the process at the other end of a socket, a [RemoteHost], until that is gone. It
// trusts that process with nothing: only the mountpoints of o can be mounted on, never with set-user-ID bits or
// devices, and only what was mounted here can be unmounted and aborted. What is left then is detached.
func ServeHost(sock int, o HostOptions) error {
	s := &hostServer{o: o, prepared: map[string]bool{}, mounts: map[string]uint32{}}
	for {
		text, call, err := receiveWithFD(sock)
		if err != nil || len(text) == 0 {
			s.calls.Wait()
			s.clean()
			return err
		}
		if call < 0 {
			continue // there is nobody to answer
		}
		s.calls.Go(func() { s.serve(text, call) })
	}
}

type hostServer struct {
	o     HostOptions
	host  localHost
	calls sync.WaitGroup

	mu       sync.Mutex
	prepared map[string]bool   // mountpoints, as the kernel lists them
	mounts   map[string]uint32 // connections, by mountpoint
}

// serve answers one call and closes it.
func (s *hostServer) serve(text []byte, call int) {
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { // nothing comes but the end
		_, _, _ = receiveWithFD(call)
		cancel()
	})
	var req hostRequest
	var r hostReply
	fd := -1
	err := json.Unmarshal(text, &req)
	if err == nil {
		fd, err = s.do(ctx, &req, &r)
	}
	if err != nil {
		r = hostReply{Error: err.Error()}
		if !errors.As(err, &r.Errno) {
			r.Errno = unix.EIO
		}
	}
	if text, err = json.Marshal(&r); err == nil {
		_ = sendWithFD(call, text, fd)
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	_ = unix.Shutdown(call, unix.SHUT_RDWR)
	watch.Wait()
	unix.Close(call)
}

// do does what is asked. The descriptor that it returns, if it is not -1, goes with the reply.
func (s *hostServer) do(ctx context.Context, req *hostRequest, r *hostReply) (fd int, err error) {
	fd = -1
	dir := req.Path
	if req.Op == "probe" {
		dir = filepath.Dir(req.Path)
	}
	if dir != "" && !s.allowed(dir) {
		return fd, fmt.Errorf("fusedev: %s of %q is not allowed: %w", req.Op, req.Path, unix.EPERM)
	}
	switch req.Op {
	case "prepare":
		r.Path, err = s.prepare(req)
	case "mount":
		fd, err = s.mount(ctx, req)
	case "device":
		fd, err = s.host.openDevice()
	case "cpus":
		r.CPUs, err = s.host.possibleCPUs()
	case "probe":
		if filepath.Base(req.Path) == probeName {
			s.host.openProbe(req.Path)
		}
	case "find":
		m, ok, err := s.host.find(req.Path)
		if ok {
			r.Entry = &wireEntry{m.major, m.minor, m.mountpoint, m.fsType, m.source}
		}
		return fd, err
	case "unmount":
		const known = unix.MNT_DETACH | unix.MNT_FORCE
		if _, ok := s.mounted(req.Path); !ok {
			return fd, fmt.Errorf("fusedev: %s is not mounted: %w", req.Path, unix.EINVAL)
		}
		err = s.host.unmount(req.Path, req.Flags&known)
	case "abort":
		if connection, ok := s.mounted(req.Path); ok {
			r.OK = s.host.abort(req.Path, connection)
		}
	case "users":
		if s.o.Users != nil {
			r.Users = s.o.Users(req.Path)
		}
	case "end":
		if s.o.End != nil {
			s.o.End()
		}
	default:
		err = fmt.Errorf("fusedev: %q is nothing that can be done: %w", req.Op, unix.EINVAL)
	}
	return fd, err
}

// allowed says whether path is a mountpoint, by the name that was given for it or the one that prepare has returned.
func (s *hostServer) allowed(path string) bool {
	if slices.Contains(s.o.Mountpoints, path) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prepared[path]
}

func (s *hostServer) prepare(req *hostRequest) (string, error) {
	path, err := s.host.prepare(req.Path, req.Flag)
	if err == nil {
		s.mu.Lock()
		s.prepared[path] = true
		s.mu.Unlock()
	}
	return path, err
}

func (s *hostServer) mount(ctx context.Context, req *hostRequest) (int, error) {
	o := req.Options
	if o == nil || req.Path == "" || o.Suid || o.Dev {
		return -1, fmt.Errorf("fusedev: mount on %q, with options that are not allowed: %w", req.Path, syscall.EPERM)
	}
	fd, err := s.host.mount(ctx, req.Path, mountOptions(o), req.Flag)
	if err != nil {
		return -1, err
	}
	if m, ok, err := s.host.find(req.Path); err == nil && ok && m.isFuse() {
		s.mu.Lock()
		s.mounts[req.Path] = m.connection()
		s.mu.Unlock()
	}
	return fd, nil
}

// mounted returns the connection of what was mounted here on path, if that is what is there.
func (s *hostServer) mounted(path string) (connection uint32, ok bool) {
	s.mu.Lock()
	connection, ok = s.mounts[path]
	s.mu.Unlock()
	if !ok {
		return 0, false
	}
	m, ok, err := s.host.find(path)
	return connection, err == nil && ok && m.isFuse() && m.connection() == connection
}

// clean detaches what nobody serves any more.
func (s *hostServer) clean() {
	for path := range s.mounts {
		if _, ok := s.mounted(path); ok && s.host.unmount(path, unix.MNT_DETACH) == nil && s.o.Left != nil {
			s.o.Left(path)
		}
	}
}
