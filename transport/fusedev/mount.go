package fusedev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

const (
	devFuse    = "/dev/fuse"
	helperName = "fusermount3"
)

// openDevice opens /dev/fuse for non-blocking use.
func openDevice() (int, error) {
	fd, err := unix.Open(devFuse, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, deviceError(err)
	}
	return fd, nil
}

func deviceError(err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		hint = ": load the module (modprobe fuse); a container needs --device /dev/fuse"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": it is usually mode 0666; a container needs --device /dev/fuse"
	}
	return fmt.Errorf("fusedev: open %s: %w%s", devFuse, err, hint)
}

// cloneDevice returns another descriptor of fd's session, with a queue of requests in work of its own. Where
// /dev/fuse cannot be opened, as after a mount by fusermount3, it is a duplicate of fd, which serves as well but
// shares fd's lock in the kernel.
func cloneDevice(h host, fd int) (int, error) {
	clone, err := h.openDevice()
	if err == nil {
		err = unix.IoctlSetPointerInt(clone, fuseabi.FUSE_DEV_IOC_CLONE, fd)
		if err == nil {
			return clone, nil
		}
		unix.Close(clone)
	}
	clone, dupErr := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if dupErr != nil {
		return -1, fmt.Errorf("fusedev: clone %s: %w", devFuse, errors.Join(err, dupErr))
	}
	return clone, nil
}

// resolveMountpoint makes path absolute and free of symbolic links, since that is how the kernel will list it, without
// looking at the mountpoint itself, which may be dead.
func resolveMountpoint(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("fusedev: mountpoint %s: %w", path, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return resolved, nil
	}
	if isDead(err) {
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err == nil {
			return filepath.Join(dir, filepath.Base(abs)), nil
		}
	}
	return "", mountpointError(path, err)
}

// isDead says whether a file system that answers err has lost its server.
func isDead(err error) bool {
	return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
}

func mountpointError(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("fusedev: mountpoint %s does not exist: create the directory first: %w", path, unix.ENOENT)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("fusedev: what is mounted on mountpoint %s does not answer: unmount it (umount -l %s): %w",
			path, path, unix.EBUSY)
	case isDead(err):
		return fmt.Errorf("fusedev: mountpoint %s holds the mount of a server that has died: unmount it (umount -l %s, "+
			"or fusermount3 -uz %s), or let it be replaced: %w", path, path, path, unix.ENOTCONN)
	}
	return fmt.Errorf("fusedev: mountpoint %s: %w", path, err)
}

// statTimeout is how long a file system that is mounted already may take to say that it lives.
const statTimeout = 2 * time.Second

// statFresh is stat(2) without the kernel's cache, out of which a dead FUSE mount is still answered for a while. A
// server that hangs gets [statTimeout] to answer; then the result is EBUSY.
func statFresh(path string) (mode uint16, err error) {
	type result struct {
		st  unix.Statx_t
		err error
	}
	answer := make(chan result, 1)
	go func() {
		var r result
		r.err = unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &r.st)
		answer <- r
	}()
	select {
	case r := <-answer:
		return r.st.Mode, r.err
	case <-time.After(statTimeout):
		return 0, unix.EBUSY
	}
}

// prepareMountpoint checks that path is a directory to mount on, and removes a dead mount from it if it may.
func prepareMountpoint(path string, replace bool) error {
	mode, err := statFresh(path)
	// Dead mounts can lie on one another.
	for range 16 {
		if !replace || !isDead(err) {
			break
		}
		if err = unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("fusedev: replace the dead mount on %s: %w", path, err)
		}
		mode, err = statFresh(path)
	}
	if err != nil {
		return mountpointError(path, err)
	}
	if mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("fusedev: mountpoint %s is not a directory: %w", path, unix.ENOTDIR)
	}
	if m, ok, err := findMount(path); err == nil && ok && m.isFuse() {
		return fmt.Errorf("fusedev: %s (%s) is mounted on %s already: unmount it first: %w",
			m.source, m.fsType, path, unix.EBUSY)
	}
	return nil
}

// mountDevice mounts on path and returns the descriptor of the new session.
func mountDevice(ctx context.Context, path string, o *Options, forceHelper bool) (int, error) {
	if os.Geteuid() == 0 && !forceHelper {
		fd, err := mountDirect(path, o)
		if !errors.Is(err, unix.EPERM) {
			return fd, err
		}
		fd, helperErr := mountHelper(ctx, path, o)
		if helperErr != nil {
			return -1, errors.Join(err, helperErr)
		}
		return fd, nil
	}
	return mountHelper(ctx, path, o)
}

func mountDirect(path string, o *Options) (int, error) {
	fd, err := openDevice()
	if err != nil {
		return -1, err
	}
	data := o.kernelOptions(fd, os.Getuid(), os.Getgid())
	err = unix.Mount(o.FsName, path, "fuse."+o.Subtype, o.mountFlags(), data)
	if err != nil {
		unix.Close(fd)
		return -1, mountError(path, data, err)
	}
	return fd, nil
}

func mountError(path, data string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM):
		hint = ": it needs CAP_SYS_ADMIN in the user namespace (a container: --cap-add SYS_ADMIN, and an AppArmor or " +
			"seccomp profile that allows mount)"
	case errors.Is(err, unix.ENODEV):
		hint = ": the kernel has no fuse: load the module (modprobe fuse)"
	case errors.Is(err, unix.EBUSY):
		hint = ": the mountpoint is busy: unmount what is mounted there"
	case errors.Is(err, unix.EINVAL):
		hint = ": the kernel refuses the options " + data
	case errors.Is(err, unix.ENOSPC):
		hint = ": there are too many mounts (sysctl fs.mount-max)"
	}
	return fmt.Errorf("fusedev: mount on %s: %w%s", path, err, hint)
}

// mountHelper mounts with the set-user-ID program fusermount3, which sends the descriptor over a socket.
func mountHelper(ctx context.Context, path string, o *Options) (int, error) {
	prog, err := exec.LookPath(helperName)
	if err != nil {
		return -1, fmt.Errorf("fusedev: mount on %s: mounting without CAP_SYS_ADMIN needs %s: install the fuse3 "+
			"package: %w", path, helperName, err)
	}
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("fusedev: socketpair: %w", err)
	}
	defer unix.Close(socks[0])
	theirs := os.NewFile(uintptr(socks[1]), "fusermount3 socket")

	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, prog, "-o", o.helperOptions(os.Geteuid() == 0), "--", path)
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		theirs.Close()
		return -1, fmt.Errorf("fusedev: start %s: %w", prog, err)
	}
	// Its death must be the end of the file for us.
	theirs.Close()

	fd, recvErr := receiveFD(socks[0])
	err = cmd.Wait()
	if recvErr != nil || err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return -1, helperError(ctx, path, stderr.String(), errors.Join(recvErr, err))
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		_ = unmount(path, unix.MNT_DETACH)
		return -1, fmt.Errorf("fusedev: make %s non-blocking: %w", devFuse, err)
	}
	return fd, nil
}

// helperError makes an errno of what fusermount3 says, as far as callers care to tell them apart.
func helperError(ctx context.Context, path, stderr string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fusedev: mount on %s: %w", path, ctx.Err())
	}
	said := strings.TrimSpace(stderr)
	errno, hint := unix.EIO, ""
	switch {
	case strings.Contains(said, "user_allow_other"):
		errno, hint = unix.EPERM, ": add user_allow_other to /etc/fuse.conf, or do without AllowOther"
	case strings.Contains(said, "Operation not permitted"):
		errno, hint = unix.EPERM, ": is fusermount3 set-user-ID root, and mount(2) allowed here?"
	case strings.Contains(said, "open "+devFuse):
		errno, hint = unix.EACCES, ": the device should be mode 0666, or the user in its group"
	case strings.Contains(said, "Permission denied"), strings.Contains(said, "no write access"):
		errno, hint = unix.EACCES, ": the mountpoint must belong to the user who mounts"
	case strings.Contains(said, "not found"), strings.Contains(said, "No such"):
		errno, hint = unix.ENODEV, ": load the module (modprobe fuse)"
	case strings.Contains(said, "too many FUSE"):
		errno, hint = unix.ENOSPC, ": raise mount_max in /etc/fuse.conf"
	}
	if said == "" {
		said = err.Error()
	}
	return fmt.Errorf("fusedev: mount on %s: %s%s: %w", path, said, hint, errno)
}

// receiveFD waits for one descriptor on a socket.
func receiveFD(sock int) (int, error) {
	var data [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, flags, _, err := unix.Recvmsg(sock, data[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("receive the descriptor: %w", err)
		}
		if n == 0 && oobn == 0 {
			return -1, fmt.Errorf("%s sent no descriptor", helperName)
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return -1, fmt.Errorf("the descriptor was cut off: are all descriptors in use (ulimit -n)? %w", unix.EMFILE)
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return -1, fmt.Errorf("parse the control message: %w", err)
		}
		for i := range msgs {
			if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil && len(fds) == 1 {
				return fds[0], nil
			}
		}
		return -1, fmt.Errorf("the message of %s holds no descriptor", helperName)
	}
}

// unmount removes the topmost mount from path, with umount2(2) or, for users who may not, with fusermount3.
func unmount(path string, flags int) error {
	err := unix.Unmount(path, flags|unix.UMOUNT_NOFOLLOW)
	if err != unix.EPERM || os.Geteuid() == 0 {
		return err
	}
	prog, lookErr := exec.LookPath(helperName)
	if lookErr != nil {
		return fmt.Errorf("%w (and %w)", err, lookErr)
	}
	args := []string{"-u", "--", path}
	if flags&unix.MNT_DETACH != 0 {
		args = append([]string{"-z"}, args...)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(prog, args...)
	cmd.Stderr = &stderr
	if runErr := cmd.Run(); runErr != nil {
		said := strings.TrimSpace(stderr.String())
		if strings.Contains(said, "busy") {
			return unix.EBUSY
		}
		return fmt.Errorf("%s: %s: %w", helperName, said, syscall.EPERM)
	}
	return nil
}
