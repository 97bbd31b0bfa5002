package aio_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// mover is the hostile process of TestEscape: it changes the export, and takes care not to leave it by its own traps.
type mover struct {
	rnd           *rand.Rand
	above         string
	export, limbo int // descriptors
}

// move moves things about until it is killed.
func move(above string) {
	m := &mover{rnd: rand.New(rand.NewPCG(*escapeSeed, 0)), above: above}
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	var err1, err2 error
	m.export, err1 = unix.Open(filepath.Join(above, "export"), flags, 0)
	m.limbo, err2 = unix.Open(filepath.Join(above, "limbo"), flags, 0)
	if err1 != nil || err2 != nil {
		os.Exit(1)
	}
	for {
		m.step()
		time.Sleep(20 * time.Microsecond) // the client wants a CPU too
	}
}

// dir opens a directory of the export, not by way of any link.
func (m *mover) dir() int {
	path := "."
	for range m.rnd.IntN(4) {
		path = filepath.Join(path, m.name())
	}
	fd, err := unix.Openat2(m.export, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		fd, _ = unix.Dup(m.export)
	}
	return fd
}

func (m *mover) name() string { return names[m.rnd.IntN(len(names))] }

// step does one thing, or fails to.
func (m *mover) step() {
	a, b := m.dir(), m.dir()
	defer unix.Close(a)
	defer unix.Close(b)
	name, name2 := m.name(), m.name()
	switch m.rnd.IntN(10) {
	case 0:
		_ = unix.Unlinkat(a, name, 0)
	case 1:
		_ = unix.Unlinkat(a, name, unix.AT_REMOVEDIR)
	case 2, 3:
		_ = unix.Mkdirat(a, name, 0o777)
	case 4:
		m.trap(a, name)
	case 5: // a trap takes the place of what is there, in one step
		tmp := "trap" + name
		m.trap(m.limbo, tmp)
		_ = unix.Renameat2(m.limbo, tmp, a, name, unix.RENAME_EXCHANGE)
		_ = unix.Unlinkat(m.limbo, tmp, 0)
	case 6:
		_ = unix.Renameat2(a, name, b, name2, uint(m.rnd.IntN(2))*unix.RENAME_EXCHANGE)
	case 7: // out
		_ = unix.Renameat2(a, name, m.limbo, name2, unix.RENAME_NOREPLACE)
	case 8: // and back
		_ = unix.Renameat2(m.limbo, name, b, name2, unix.RENAME_NOREPLACE)
	case 9:
		if fd, err := unix.Openat(a, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o666); err == nil {
			_, _ = unix.Write(fd, []byte("inside"))
			unix.Close(fd)
		}
	}
}

// trap makes something that leads elsewhere, or is none of a client's business to open.
func (m *mover) trap(dir int, name string) {
	links := []string{"..", "../..", "../secret", "../../secret", "/", m.above, filepath.Join(m.above, "secret"),
		filepath.Join(m.above, "outside"), "/proc/self/root", "/proc/self/cwd", "/proc/self/fd/3", "/proc/1/root", "a", "."}
	switch i := m.rnd.IntN(len(links) + 3); {
	case i < len(links):
		_ = unix.Symlinkat(links[i], dir, name)
	case i == len(links):
		_ = unix.Mknodat(dir, name, unix.S_IFIFO|0o666, 0)
	case i == len(links)+1:
		_ = unix.Mknodat(dir, name, unix.S_IFSOCK|0o666, 0)
	default:
		_ = unix.Mknodat(dir, name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	}
}
