package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// minLandlock is the first version that can allow renames from one directory to another (Linux 5.19).
const minLandlock = 2

// Rights, by the version that has brought them. linux/landlock.h
const (
	readRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	runRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | readRights

	// fileRights are the ones that make sense for what is not a directory.
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// fsRights returns all rights that a version knows.
func fsRights(abi int) uint64 {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_REFER<<1 - 1)
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// ruleset returns what a version can restrict.
func ruleset(abi int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: fsRights(abi)}
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// grant is what may be done at and below a path.
type grant struct {
	path   string
	rights uint64
	need   bool // it must be there
}

// grants lists what the process may do, executing program included.
func (o *Options) grants(program string) ([]grant, error) {
	// Renaming a device takes the right to make one; that clients make none is for the server to see to.
	const exported = 1<<63 - 1 - unix.LANDLOCK_ACCESS_FS_EXECUTE - unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	var list []grant
	for _, e := range o.Exports {
		rights := uint64(exported)
		if e.ReadOnly {
			rights = readRights
		}
		if o.passes() {
			rights |= unix.LANDLOCK_ACCESS_FS_EXECUTE
		}
		list = append(list, grant{e.Path, rights, true})
	}
	for _, path := range append(slices.Clone(readable), "/proc/self") {
		list = append(list, grant{path, readRights, false})
	}
	list = append(list, grant{program, runRights, true})
	libs, err := libraries(program)
	for _, path := range libs {
		list = append(list, grant{path, runRights, false})
	}
	return list, err
}

// libraries returns where a program's loader and its libraries are, if it has any: built with cgo, as for the race
// detector.
func libraries(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer f.Close()
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return nil, nil
	}
	return []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}, nil
}

// useLandlock restricts the calling thread, and what it executes, if the kernel can.
func (o *Options) useLandlock(program string) error {
	abi := landlockABI()
	if abi < minLandlock || o.FileHandles {
		return nil
	}
	list, err := o.grants(program)
	if err != nil {
		return err
	}
	attr := ruleset(abi)
	set, err := createRuleset(&attr)
	if err != nil {
		return fmt.Errorf("sandbox: landlock_create_ruleset: %w", err)
	}
	defer unix.Close(set)
	for _, g := range list {
		if err := g.add(set, attr.Handled_access_fs); err != nil {
			return fmt.Errorf("sandbox: landlock_add_rule for %s: %w", g.path, err)
		}
	}
	if err := restrictSelf(set); err != nil {
		return fmt.Errorf("sandbox: landlock_restrict_self: %w", err)
	}
	return nil
}

func (g *grant) add(set int, handled uint64) error {
	fd, err := unix.Open(g.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		if !g.need && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			return nil
		}
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := g.rights & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	return addRule(set, &unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)})
}
