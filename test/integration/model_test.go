package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var modelSeed = flag.Uint64("seed", 0, "seed of the model test; 0 draws one")

func init() { helpers["model"] = modelHelper }

// modelWorkers is how many walks go on at once, each in a tree of its own.
const modelWorkers = 4

// runModel makes random system calls on the file system under test and the same ones on a tmpfs, and compares every
// result. The seed is printed; pass it with -seed to see a failure again.
func runModel(t *testing.T, c *client) {
	seed, steps := *modelSeed, 1500
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	if c.long {
		steps = 6000
	}
	t.Logf("seed %d", seed)
	c.helper(t, "model", c.dir, tmpfsDir(t), strconv.FormatUint(seed, 10), strconv.Itoa(steps))
}

func modelHelper(args []string) error {
	seed, err1 := strconv.ParseUint(args[2], 10, 64)
	steps, err2 := strconv.Atoi(args[3])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, modelWorkers)
	for i := range modelWorkers {
		wg.Go(func() {
			m := &model{rng: rand.New(rand.NewPCG(seed, uint64(i)))}
			for side := range m.roots {
				m.roots[side] = filepath.Join(args[side], fmt.Sprint("w", i))
				if err := unix.Mkdir(m.roots[side], 0o755); err != nil {
					errs[i] = err
					return
				}
			}
			if err := m.walk(steps); err != nil {
				errs[i] = fmt.Errorf("seed %d, worker %d: %w\nlast steps:\n%s", seed, i, err, strings.Join(m.history, "\n"))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// model is one random walk on two file systems: side 0 is under test, side 1 is right.
type model struct {
	rng     *rand.Rand
	roots   [2]string
	open    []*modelFile
	history []string // the last steps
}

// modelFile is a file that is open on both sides.
type modelFile struct {
	fds   [2]int
	flags int
}

// walk makes the steps and compares the trees at the end.
func (m *model) walk(steps int) error {
	for i := range steps {
		what, results := m.step()
		m.history = append(m.history, fmt.Sprintf("%d: %s = %.200s", i, what, results[1]))
		m.history = m.history[max(0, len(m.history)-25):]
		if results[0] != results[1] {
			return fmt.Errorf("step %d: %s\ngot  %.2000s\nwant %.2000s", i, what, results[0], results[1])
		}
	}
	for _, f := range m.open {
		for _, fd := range f.fds {
			_ = unix.Close(fd)
		}
	}
	var trees [2]string
	for side, root := range m.roots {
		var b strings.Builder
		if err := dumpTree(&b, root, ""); err != nil {
			return err
		}
		trees[side] = b.String()
	}
	if trees[0] != trees[1] {
		return fmt.Errorf("the trees differ at the end\ngot:\n%s\nwant:\n%s", trees[0], trees[1])
	}
	return nil
}

// dumpTree writes down everything in a tree that can be compared.
func dumpTree(b *strings.Builder, root, rel string) error {
	var st unix.Stat_t
	path := filepath.Join(root, rel)
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	fmt.Fprintf(b, "%s %s", rel, attrs(&st))
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, " %s\n", digest(text))
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		fmt.Fprintf(b, " -> %s %v\n", target, err)
	case unix.S_IFDIR:
		b.WriteByte('\n')
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := dumpTree(b, root, filepath.Join(rel, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// path draws a name. There are so few that walks meet their own traces all the time.
func (m *model) path() string {
	const names = "abcde"
	p := []string{""}
	for range 1 + m.rng.IntN(3) {
		p = append(p, names[m.rng.IntN(len(names)):][:1])
	}
	return strings.Join(p, "/")
}

// offset and size favour edges of pages.
func (m *model) offset() int64 {
	off := int64(m.rng.IntN(300000))
	if m.rng.IntN(3) == 0 {
		off &^= 4095
	}
	return off
}

func (m *model) size() int {
	switch m.rng.IntN(4) {
	case 0:
		return m.rng.IntN(100)
	case 1:
		return 4096 * m.rng.IntN(20)
	case 2:
		return m.rng.IntN(200000)
	}
	return m.rng.IntN(10000)
}

// both makes one call on either side and returns what it saw.
func (m *model) both(call func(side int, root string) string) (results [2]string) {
	for side, root := range m.roots {
		results[side] = call(side, root)
	}
	return results
}

// step draws a call and makes it on both sides.
func (m *model) step() (what string, results [2]string) {
	if len(m.open) > 0 && m.rng.IntN(2) == 0 {
		return m.stepFile()
	}
	return m.stepName()
}

// errs is both for calls that return an error only.
func (m *model) errs(call func(root string) error) [2]string {
	return m.both(func(_ int, root string) string { return errName(call(root)) })
}

// stepName makes a call that takes names.
func (m *model) stepName() (what string, results [2]string) {
	a, b := m.path(), m.path()
	switch m.rng.IntN(20) {
	case 0, 1, 2, 3:
		return m.stepOpen(a)
	case 4:
		mode := uint32(m.rng.IntN(0o10000))
		return fmt.Sprintf("mkdir %s %o", a, mode), m.errs(func(r string) error { return unix.Mkdir(r+a, mode) })
	case 5, 6:
		return "mkdir " + a, m.errs(func(r string) error { return unix.Mkdir(r+a, 0o755) })
	case 7:
		return "rmdir " + a, m.errs(func(r string) error { return unix.Rmdir(r + a) })
	case 8:
		return "unlink " + a, m.errs(func(r string) error { return unix.Unlink(r + a) })
	case 9, 10:
		return "rename " + a + " " + b, m.errs(func(r string) error { return unix.Rename(r+a, r+b) })
	case 11:
		flags := uint(1 + m.rng.IntN(2)) // RENAME_NOREPLACE or RENAME_EXCHANGE
		return fmt.Sprintf("renameat2 %s %s %d", a, b, flags), m.errs(func(r string) error {
			return unix.Renameat2(unix.AT_FDCWD, r+a, unix.AT_FDCWD, r+b, flags)
		})
	case 12:
		return "link " + a + " " + b, m.errs(func(r string) error { return unix.Link(r+a, r+b) })
	case 13:
		return "symlink " + b, m.errs(func(r string) error { return unix.Symlink("."+a, r+b) })
	case 14:
		return "readlink " + a, m.both(func(_ int, r string) string {
			target, err := os.Readlink(r + a)
			return target + errName(err)
		})
	case 15:
		return "list " + a, m.both(func(_ int, r string) string {
			entries, err := os.ReadDir(r + a)
			return fmt.Sprint(entries, errName(err))
		})
	case 16:
		size := m.offset()
		return fmt.Sprintf("truncate %s %d", a, size), m.errs(func(r string) error { return unix.Truncate(r+a, size) })
	case 17:
		// No set-ID bits: a kernel that has been lent the file before takes them away from root, too.
		mode := uint32(m.rng.IntN(0o2000)) | 0o700
		return fmt.Sprintf("chmod %s %o", a, mode), m.errs(func(r string) error { return unix.Chmod(r+a, mode) })
	case 18:
		return m.stepXattr(a)
	}
	return "lstat " + a, m.both(func(_ int, r string) string {
		var st unix.Stat_t
		err := unix.Lstat(r+a, &st)
		return attrs(&st) + errName(err)
	})
}

func (m *model) stepOpen(a string) (what string, results [2]string) {
	flags := []int{
		unix.O_RDWR | unix.O_CREAT, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC,
		unix.O_RDWR, unix.O_RDWR | unix.O_APPEND, unix.O_RDONLY, unix.O_WRONLY | unix.O_CREAT, unix.O_RDWR | unix.O_TRUNC,
	}[m.rng.IntN(8)]
	f := &modelFile{flags: flags}
	results = m.both(func(side int, r string) string {
		var err error
		f.fds[side], err = unix.Open(r+a, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		return errName(err)
	})
	if results == [2]string{"ok", "ok"} {
		m.open = append(m.open, f)
		if len(m.open) > 8 {
			for _, fd := range m.open[0].fds {
				_ = unix.Close(fd)
			}
			m.open = m.open[1:]
		}
	}
	return fmt.Sprintf("open %s %#x", a, flags), results
}

func (m *model) stepXattr(a string) (what string, results [2]string) {
	key := "user." + string(rune('a'+m.rng.IntN(4)))
	value := bytes.Repeat([]byte{'v'}, m.rng.IntN(300))
	switch m.rng.IntN(4) {
	case 0:
		return "getxattr " + a + " " + key, m.both(func(_ int, r string) string {
			buf := make([]byte, 200)
			n, err := unix.Lgetxattr(r+a, key, buf)
			return fmt.Sprint(n, errName(err), string(buf))
		})
	case 1:
		return "listxattr " + a, m.both(func(_ int, r string) string {
			buf := make([]byte, 1000)
			n, err := unix.Llistxattr(r+a, buf)
			keys := strings.Split(string(buf), "\x00")
			slices.Sort(keys)
			return fmt.Sprint(n, errName(err), keys)
		})
	case 2:
		return "removexattr " + a + " " + key, m.errs(func(r string) error { return unix.Lremovexattr(r+a, key) })
	}
	flags := m.rng.IntN(3)
	return fmt.Sprintf("setxattr %s %s %d %d", a, key, len(value), flags),
		m.errs(func(r string) error { return unix.Lsetxattr(r+a, key, value, flags) })
}

// stepFile makes a call on an open file.
func (m *model) stepFile() (what string, results [2]string) {
	i := m.rng.IntN(len(m.open))
	f, off, size := m.open[i], m.offset(), m.size()
	call := func(fn func(fd int) error) [2]string {
		return m.both(func(side int, _ string) string { return errName(fn(f.fds[side])) })
	}
	switch m.rng.IntN(14) {
	case 0, 1, 2:
		buf := pattern(make([]byte, size), m.rng.Uint64(), 0)
		return fmt.Sprintf("pwrite #%d %d at %d", i, size, off), m.both(func(side int, _ string) string {
			n, err := unix.Pwrite(f.fds[side], buf, off)
			return fmt.Sprint(n, errName(err))
		})
	case 3, 4, 5:
		return fmt.Sprintf("pread #%d %d at %d", i, size, off), m.both(func(side int, _ string) string {
			buf := make([]byte, size)
			n, err := unix.Pread(f.fds[side], buf, off)
			return fmt.Sprint(n, errName(err), digest(buf[:max(0, n)]))
		})
	case 6:
		return fmt.Sprintf("ftruncate #%d %d", i, off), call(func(fd int) error { return unix.Ftruncate(fd, off) })
	case 7:
		mode := []uint32{
			0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE,
		}[m.rng.IntN(3)]
		return fmt.Sprintf("fallocate #%d %d %d %d", i, mode, off, size),
			call(func(fd int) error { return unix.Fallocate(fd, mode, off, int64(size)) })
	case 8:
		o, to := m.rng.IntN(len(m.open)), m.offset()
		what := fmt.Sprintf("copy_file_range #%d %d to #%d %d, %d", i, off, o, to, size)
		return what, m.both(func(side int, _ string) string {
			from, to := off, to
			n, err := copyAll(f.fds[side], &from, m.open[o].fds[side], &to, size)
			return fmt.Sprint(n, errName(err), from, to)
		})
	case 9:
		m.open = slices.Delete(m.open, i, i+1)
		return fmt.Sprintf("close #%d", i), call(unix.Close)
	case 10:
		return fmt.Sprintf("fsync #%d", i), call(unix.Fsync)
	case 11:
		return m.stepMmap(i, off)
	case 12:
		buf := pattern(make([]byte, size), m.rng.Uint64(), 0)
		return fmt.Sprintf("write #%d %d", i, size), m.both(func(side int, _ string) string {
			n, err := unix.Write(f.fds[side], buf)
			return fmt.Sprint(n, errName(err))
		})
	}
	return fmt.Sprintf("fstat #%d", i), m.both(func(side int, _ string) string {
		var st unix.Stat_t
		err := unix.Fstat(f.fds[side], &st)
		return attrs(&st) + errName(err)
	})
}

// copyAll repeats copy_file_range, which may copy less than it was asked to.
func copyAll(from int, off *int64, to int, offTo *int64, size int) (total int, err error) {
	for total < size {
		n, err := unix.CopyFileRange(from, off, to, offTo, size-total, 0)
		if n <= 0 || err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// stepMmap changes a page of an open file through a shared mapping.
func (m *model) stepMmap(i int, off int64) (what string, results [2]string) {
	f, fill := m.open[i], byte(m.rng.IntN(256))
	off &^= 4095
	return fmt.Sprintf("mmap #%d at %d", i, off), m.both(func(side int, _ string) string {
		var st unix.Stat_t
		if err := unix.Fstat(f.fds[side], &st); err != nil {
			return errName(err)
		}
		if off >= st.Size || f.flags&unix.O_ACCMODE != unix.O_RDWR {
			return "not now"
		}
		page, err := unix.Mmap(f.fds[side], off, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return errName(err)
		}
		n := min(4096, st.Size-off)
		before := digest(page[:n])
		for j := range page[:n/2] {
			page[j] ^= fill
		}
		return before + errName(unix.Munmap(page))
	})
}
