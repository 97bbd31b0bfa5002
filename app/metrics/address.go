package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Address is where metrics are served: a Unix socket, or a port that only this machine reaches.
type Address struct {
	path string      // of a Unix socket; "": TCP
	mode fs.FileMode // its permission bits
	tcp  netip.AddrPort
}

// defaultMode lets the owner and the group of a socket in, as far as the umask does.
const defaultMode = 0o660

// ParseAddress reads unix:PATH, which may be followed by ,mode=OCTAL with the permission bits of the socket, 660 as far
// as the umask lets them if they are left out; or ADDRESS:PORT with an address of the loopback interface in digits,
// such as 127.0.0.1:9464 or [::1]:9464. Port 0 has the kernel choose one. Errors wrap EINVAL.
func ParseAddress(text string) (Address, error) {
	rest, isUnix := strings.CutPrefix(text, "unix:")
	if !isUnix {
		tcp, err := netip.ParseAddrPort(text)
		switch {
		case err != nil:
			return Address{}, fmt.Errorf("%q is not unix:PATH, 127.0.0.1:PORT or [::1]:PORT: %w", text, syscall.EINVAL)
		case !tcp.Addr().IsLoopback():
			return Address{}, fmt.Errorf("%s can be reached from other machines, and whoever reaches metrics may read them: "+
				"use 127.0.0.1, [::1] or unix:PATH, and a proxy or tunnel that knows its users: %w", text, syscall.EINVAL)
		}
		return Address{tcp: tcp}, nil
	}
	path, option, hasOption := strings.Cut(rest, ",")
	a := Address{mode: defaultMode}
	if hasOption {
		digits, ok := strings.CutPrefix(option, "mode=")
		n, err := strconv.ParseUint(digits, 8, 32)
		if !ok || err != nil || n == 0 || n > 0o777 {
			return Address{}, fmt.Errorf("%q is not mode= and permission bits from 1 to 777: %w", option, syscall.EINVAL)
		}
		a.mode = fs.FileMode(n)
	}
	if path == "" {
		return Address{}, fmt.Errorf("the path of the socket is empty: %w", syscall.EINVAL)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Address{}, err
	}
	a.path = abs
	return a, nil
}

// String returns what [ParseAddress] reads.
func (a Address) String() string {
	switch {
	case a.path == "":
		return a.tcp.String()
	case a.mode == defaultMode:
		return "unix:" + a.path
	}
	return fmt.Sprintf("unix:%s,mode=%o", a.path, a.mode)
}

// URL returns where a browser finds the page, "" for a Unix socket.
func (a Address) URL() string {
	if a.path != "" {
		return ""
	}
	return "http://" + a.tcp.String() + "/"
}

// listen takes the address. Errors wrap EADDRINUSE if somebody else has it, EEXIST if there is another file than a
// socket, and what the kernel says.
func (a *Address) listen() (net.Listener, error) {
	if a.path != "" {
		return a.listenUnix()
	}
	l, err := net.Listen("tcp", a.tcp.String())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	a.tcp = l.Addr().(*net.TCPAddr).AddrPort()
	return l, nil
}

func (a *Address) listenUnix() (net.Listener, error) {
	if err := a.removeDead(); err != nil {
		return nil, fmt.Errorf("metrics: %s: %w", a.path, err)
	}
	// The socket gets its mode before it has a name, so that nobody gets in meanwhile.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), uint32(a.mode.Perm())) })
		return errors.Join(err, chmod)
	}}
	l, err := lc.Listen(context.Background(), "unix", a.path)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if a.mode != defaultMode { // who asks for bits gets them, whatever the umask is
		if err := os.Chmod(a.path, a.mode.Perm()); err != nil {
			l.Close()
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return l, nil
}

// removeDead removes a socket that nobody listens to.
func (a *Address) removeDead() error {
	st, err := os.Lstat(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is a file, which is no socket: %w", syscall.EEXIST)
	}
	c, err := net.Dial("unix", a.path)
	if err == nil {
		c.Close()
		return fmt.Errorf("somebody serves it: %w", syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(a.path)
}
