package fusedev

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// host is where the mountpoints are: what a session needs of the mount namespace and the rights of whoever started it.
// That is this process, or, if it has locked itself up, another one ([RemoteHost]).
type host interface {
	// prepare makes a mountpoint ready and returns it as the kernel will list it.
	prepare(path string, replace bool) (string, error)
	// mount mounts on what prepare has returned.
	mount(ctx context.Context, path string, o *Options, forceHelper bool) (fd int, err error)
	openDevice() (int, error)
	// possibleCPUs is how many CPUs the kernel can ever have, which is how many lists of requests it has.
	possibleCPUs() (int, error)
	find(path string) (mountEntry, bool, error)
	// openProbe opens a file of the file system, polls and closes it.
	openProbe(name string)
	unmount(path string, flags int) error
	// abort ends a connection, and says whether it could.
	abort(path string, connection uint32) bool
}

// localHost is this process.
type localHost struct{}

func (localHost) prepare(path string, replace bool) (string, error) {
	resolved, err := resolveMountpoint(path)
	if err != nil {
		return "", err
	}
	return resolved, prepareMountpoint(resolved, replace)
}

func (localHost) mount(ctx context.Context, path string, o *Options, forceHelper bool) (int, error) {
	return mountDevice(ctx, path, o, forceHelper)
}

func (localHost) openDevice() (int, error) { return openDevice() }

func (localHost) possibleCPUs() (int, error) { return readPossibleCPUs(possibleFile) }

func (localHost) find(path string) (mountEntry, bool, error) { return findMount(path) }

func (localHost) openProbe(name string) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	unix.Close(fd)
}

func (localHost) unmount(path string, flags int) error { return unmount(path, flags) }

func (localHost) abort(_ string, connection uint32) bool {
	return os.WriteFile(fmt.Sprintf("/sys/fs/fuse/connections/%d/abort", connection), []byte("1"), 0) == nil
}
