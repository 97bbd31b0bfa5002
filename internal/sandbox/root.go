package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// newRoot is where the new root directory is put together, in a mount namespace of our own. Any directory would do that
// every system has; what it hides has been cloned before.
const newRoot = "/proc"

// mounted is something of the host that has a place in the new root.
type mounted struct {
	from, to string
	readOnly bool
	exec     bool // programs in it can be executed, or mapped
	need     bool // it must be there
	tree     int  // the clone, not attached to anything yet
}

// changeRoot gives the calling process, and who shares its root and working directory, the root directory of a mode.
// pid is the process whose entry /proc shall have.
func (o *Options) changeRoot(pid int) error {
	if o.Mode == Chroot {
		if err := errors.Join(unix.Chroot(o.Exports[0].Path), unix.Chdir("/")); err != nil {
			return fmt.Errorf("sandbox: chroot to %s: %w", o.Exports[0].Path, err)
		}
		return nil
	}
	// The host's mounts shall appear here, and ours not there.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("sandbox: make / a slave of the host's: %w", err)
	}
	list := o.mounts(pid)
	for i := range list {
		if err := list[i].clone(); err != nil {
			return err
		}
	}
	own := len(list) == 0 || list[0].to != "/" // else an export is the root
	if err := buildRoot(list, own); err != nil {
		return err
	}
	return enterRoot(own)
}

// mounts lists what the new root has, the outer before the inner.
func (o *Options) mounts(pid int) []mounted {
	var list []mounted
	byPath := func(a, b Export) int { return cmp.Compare(a.Path, b.Path) }
	for _, e := range slices.SortedFunc(slices.Values(o.Exports), byPath) {
		// What lies in another export is there with that, and has to stay writable through it.
		if !slices.ContainsFunc(list, func(m mounted) bool { return isBelow(e.Path, m.to) && (!m.readOnly || e.ReadOnly) }) {
			list = append(list, mounted{from: e.Path, to: e.Path, readOnly: e.ReadOnly, exec: o.passes(), need: true})
		}
	}
	if len(list) > 0 && list[0].to == "/" {
		return list // it has all the others
	}
	list = append(list, mounted{from: fmt.Sprintf("/proc/%d", pid), to: "/proc/self", need: true})
	for _, path := range readable {
		list = append(list, mounted{from: path, to: path, readOnly: true})
	}
	return list
}

func isBelow(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

func (m *mounted) clone() error {
	m.tree = -1
	tree, err := unix.OpenTree(unix.AT_FDCWD, m.from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil && !m.need {
		return nil // the system does without it, and so do we
	}
	if err != nil {
		return fmt.Errorf("sandbox: open_tree of %s: %w", m.from, err)
	}
	m.tree = tree
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if !m.exec {
		attr.Attr_set |= unix.MOUNT_ATTR_NOEXEC
	}
	if m.readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("sandbox: mount_setattr of %s: %w", m.from, err)
	}
	return nil
}

// buildRoot puts the mounts together at newRoot, in a file system of our own or on the first of them.
func buildRoot(list []mounted, own bool) error {
	if own {
		err := unix.Mount("sandbox", newRoot, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=1m")
		if err != nil {
			return fmt.Errorf("sandbox: mount a tmpfs: %w", err)
		}
	}
	for _, m := range list {
		if m.tree < 0 {
			continue
		}
		at := filepath.Join(newRoot, m.to)
		if m.to != "/" {
			if err := makePlace(at, m.tree); err != nil {
				return fmt.Errorf("sandbox: make a place for %s: %w", m.to, err)
			}
		}
		if err := unix.MoveMount(m.tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("sandbox: move_mount of %s: %w", m.to, err)
		}
		unix.Close(m.tree)
	}
	return nil
}

// makePlace makes what a tree can be mounted on, if it is not there as a part of another tree.
func makePlace(at string, tree int) error {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	for i := len(newRoot) + 1; i < len(at); i++ {
		if at[i] == '/' {
			if err := unix.Mkdir(at[:i], 0o755); err != nil && err != unix.EEXIST {
				return err
			}
		}
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = unix.Mkdir(at, 0o755)
	} else {
		err = unix.Mknod(at, unix.S_IFREG|0o444, 0)
	}
	if err == unix.EEXIST {
		err = nil
	}
	return err
}

// enterRoot makes newRoot the root directory, of everybody in the namespace, and lets go of the old one.
func enterRoot(own bool) error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"chdir", func() error { return unix.Chdir(newRoot) }},
		{"pivot_root", func() error { return unix.PivotRoot(".", ".") }}, // the old root now lies on the new one
		{"umount of the old root", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		{"chdir", func() error { return unix.Chdir("/") }},
		{"mount_setattr of the root", func() error {
			if !own {
				return nil
			}
			return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("sandbox: %s: %w", step.what, err)
		}
	}
	return nil
}
