package fusedev

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// RemoteHost is a process that mounts and unmounts for this one, which cannot or should not: see [ServeHost]. Its
// methods may be called from any goroutine that is not a reactor's.
//
// Each call is a socket pair of its own, one end of which the other process is sent: nothing waits for another call,
// and who closes it does not want the answer any more.
type RemoteHost struct {
	sock int
}

// NewRemoteHost returns the host at the other end of a socket (AF_UNIX, SOCK_SEQPACKET), which belongs to it from now
// on. It stays open as long as the process lives: its end is what tells the other process that this one is gone.
func NewRemoteHost(sock int) *RemoteHost { return &RemoteHost{sock: sock} }

// hostRequest is what is asked.
type hostRequest struct {
	Op      string
	Path    string   `json:",omitempty"`
	Options *Options `json:",omitempty"` // what a mount needs of them
	Flag    bool     `json:",omitempty"` // prepare: replace; mount: force the helper
	Flags   int      `json:",omitempty"` // unmount
}

// hostReply is what comes back, maybe with a descriptor.
type hostReply struct {
	Error string        `json:",omitempty"`
	Errno syscall.Errno `json:",omitempty"` // what Error wraps
	Path  string        `json:",omitempty"`
	OK    bool          `json:",omitempty"`
	Entry *wireEntry    `json:",omitempty"`
	Users []string      `json:",omitempty"`
	CPUs  int           `json:",omitempty"`
}

// wireEntry is a mountEntry on the wire.
type wireEntry struct {
	Major, Minor               uint32
	Mountpoint, FsType, Source string
}

func (w *wireEntry) entry() mountEntry {
	return mountEntry{major: w.Major, minor: w.Minor, mountpoint: w.Mountpoint, fsType: w.FsType, source: w.Source}
}

// remoteError is an error of the other process.
type remoteError struct {
	text  string
	errno syscall.Errno
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// maxHostMessage is more than any request or reply has.
const maxHostMessage = 64 << 10

// ask sends a request and waits for the reply. fd is -1 if it came without one.
func (h *RemoteHost) ask(ctx context.Context, req *hostRequest) (r hostReply, fd int, err error) {
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return r, -1, fmt.Errorf("fusedev: socketpair: %w", err)
	}
	defer unix.Close(socks[0])
	text, err := json.Marshal(req)
	if err == nil {
		err = sendWithFD(h.sock, text, socks[1])
	}
	unix.Close(socks[1])
	if err != nil {
		return r, -1, fmt.Errorf("fusedev: the process that mounts does not listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = unix.Shutdown(socks[0], unix.SHUT_RDWR) })()
	text, fd, err = receiveWithFD(socks[0])
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil && len(text) == 0:
		err = fmt.Errorf("the process that mounts has gone: %w", unix.EPIPE)
	case err == nil:
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Error == "" {
		return r, fd, nil
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	if err != nil {
		return r, -1, fmt.Errorf("fusedev: %s %s: %w", req.Op, req.Path, err)
	}
	return r, -1, &remoteError{r.Error, r.Errno}
}

// sendWithFD sends a message, with a descriptor unless that is -1.
func sendWithFD(sock int, text []byte, fd int) error {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	for {
		err := unix.Sendmsg(sock, text, rights, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// receiveWithFD receives one message, empty when the other end is closed.
func receiveWithFD(sock int) (text []byte, fd int, err error) {
	buf, oob := make([]byte, maxHostMessage), make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	for {
		n, oobn, _, _, err = unix.Recvmsg(sock, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, -1, err
	}
	fd = -1
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, -1, err
	}
	for i := range msgs {
		if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil && len(fds) == 1 {
			fd = fds[0]
		}
	}
	return buf[:n], fd, nil
}

// mountOptions returns what the other process needs to know.
func mountOptions(o *Options) *Options {
	return &Options{FsName: o.FsName, Subtype: o.Subtype, AllowOther: o.AllowOther, OwnerOnly: o.OwnerOnly,
		NoDefaultPermissions: o.NoDefaultPermissions, ReadOnly: o.ReadOnly, Suid: o.Suid, Dev: o.Dev,
		MaxWrite: o.MaxWrite}
}

func (h *RemoteHost) prepare(path string, replace bool) (string, error) {
	r, _, err := h.ask(context.Background(), &hostRequest{Op: "prepare", Path: path, Flag: replace})
	return r.Path, err
}

func (h *RemoteHost) mount(ctx context.Context, path string, o *Options, forceHelper bool) (int, error) {
	_, fd, err := h.ask(ctx, &hostRequest{Op: "mount", Path: path, Options: mountOptions(o), Flag: forceHelper})
	return needFD(fd, err)
}

func needFD(fd int, err error) (int, error) {
	if err == nil && fd < 0 {
		err = fmt.Errorf("fusedev: no descriptor came: are all in use (ulimit -n)? %w", unix.EMFILE)
	}
	return fd, err
}

func (h *RemoteHost) openDevice() (int, error) {
	_, fd, err := h.ask(context.Background(), &hostRequest{Op: "device"})
	return needFD(fd, err)
}

func (h *RemoteHost) possibleCPUs() (int, error) {
	r, _, err := h.ask(context.Background(), &hostRequest{Op: "cpus"})
	return r.CPUs, err
}

func (h *RemoteHost) find(path string) (mountEntry, bool, error) {
	r, _, err := h.ask(context.Background(), &hostRequest{Op: "find", Path: path})
	if err != nil || r.Entry == nil {
		return mountEntry{}, false, err
	}
	return r.Entry.entry(), true, nil
}

func (h *RemoteHost) openProbe(name string) {
	_, _, _ = h.ask(context.Background(), &hostRequest{Op: "probe", Path: name})
}

func (h *RemoteHost) unmount(path string, flags int) error {
	_, _, err := h.ask(context.Background(), &hostRequest{Op: "unmount", Path: path, Flags: flags})
	return err
}

func (h *RemoteHost) abort(path string, _ uint32) bool {
	r, _, err := h.ask(context.Background(), &hostRequest{Op: "abort", Path: path})
	return err == nil && r.OK
}

// Users returns what [HostOptions.Users] of the other process says of a mountpoint.
func (h *RemoteHost) Users(path string) []string {
	r, _, err := h.ask(context.Background(), &hostRequest{Op: "users", Path: path})
	if err != nil {
		return nil
	}
	return r.Users
}

// End has the other process call [HostOptions.End] and waits for that.
func (h *RemoteHost) End() error {
	_, _, err := h.ask(context.Background(), &hostRequest{Op: "end"})
	return err
}
