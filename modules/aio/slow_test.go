package aio_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const (
	throttleDir = "/sys/fs/cgroup/blkio"
	// slowIOPS is how many requests a second a slow disk takes.
	slowIOPS = 20
	// stallThreshold is that of reactors by default.
	stallThreshold = 100 * time.Millisecond
)

// limit has the disk take no more than so many reads, and writes, a second; 0 is no limit.
func (d *disk) limit(iops int) (err error) {
	d.Helper()
	var st unix.Stat_t
	must(d, unix.Stat(d.dev, &st))
	for _, what := range []string{"read", "write"} {
		file := filepath.Join(throttleDir, "blkio.throttle."+what+"_iops_device")
		limit := fmt.Appendf(nil, "%d:%d %d", unix.Major(st.Rdev), unix.Minor(st.Rdev), iops)
		err = errors.Join(err, os.WriteFile(file, limit, 0))
	}
	return err
}

// coldAgain mounts the disk anew, with nothing of it in memory.
func (d *disk) coldAgain() {
	d.Helper()
	must(d, unix.Unmount(d.dir, 0))
	dev, err := unix.Open(d.dev, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(d, err)
	must(d, unix.IoctlSetInt(dev, unix.BLKFLSBUF, 0))
	unix.Close(dev)
	d.mount()
}

// slowDown has whatever reads the disk wait for its turn, until the function that it returns is called: others read,
// too, and there are not many turns a second.
func (d *disk) slowDown() (end func()) {
	d.Helper()
	must(d, d.limit(slowIOPS))
	var stop atomic.Bool
	var others sync.WaitGroup
	for i := range 2 {
		fd, err := unix.Open(d.dev, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		must(d, err)
		others.Go(func() {
			defer unix.Close(fd)
			page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return
			}
			defer func() { _ = unix.Munmap(page) }()
			for !stop.Load() {
				if _, err := unix.Pread(fd, page, int64(i)*4096); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(2 * time.Second / slowIOPS) // until the first are waiting
	return func() {
		stop.Store(true)
		must(d, d.limit(0))
		others.Wait()
	}
}

// slowRig is a rig whose directory is on a slow disk.
type slowRig struct {
	*rig
	longest time.Duration // that a round waited
}

// voluntary returns how often the calling thread has gone to sleep by itself.
func voluntary(tb testing.TB) int64 {
	tb.Helper()
	var u unix.Rusage
	must(tb, unix.Getrusage(unix.RUSAGE_THREAD, &u))
	return u.Nvcsw
}

// do is rig.do that takes the time of the rounds: what counts is one in which the thread went to sleep, not one in
// which others had the CPU.
func (r *slowRig) do(op opFunc) *answer {
	r.Helper()
	a := r.start(op)
	begin := time.Now()
	for !a.done {
		sleeps, start := voluntary(r), time.Now()
		r.t.Poll(0, 0)
		if took := time.Since(start); voluntary(r) != sleeps {
			r.longest = max(r.longest, took)
		}
		if time.Since(begin) > patience {
			r.Fatalf("nothing has come of it after %v", patience)
		}
	}
	return a
}

func (r *slowRig) ok(op opFunc) *answer {
	r.Helper()
	a := r.do(op)
	if a.r.Errno != 0 {
		r.Fatal(a.r.Errno)
	}
	return a
}

// file is what an operation is tried on: a directory that nobody has read yet, with a file, a long link and an empty
// directory in it.
type slowPlace struct{ dir, file, link, fh uint64 }

// need is what of a place is known before, and so has been read.
type need int

const (
	needDir  need = iota // and not what is in it
	needFile             // and not what is in it, nor its attributes
	needOpen             // the file is open
	needLink
)

// slowOps are the operations of the module, with what they need already there but not in memory.
var slowOps = []struct {
	name string
	has  need
	call func(r *slowRig, p *slowPlace) opFunc
}{
	{"GETATTR", needFile, func(r *slowRig, p *slowPlace) opFunc { return r.getattr(p.file, 0) }},
	{"LOOKUP", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.lookup(p.dir, "sub") }},
	{"LOOKUP of nothing", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return refused(r.lookup(p.dir, "nothing"), syscall.ENOENT)
	}},
	{"OPEN", needFile, func(r *slowRig, p *slowPlace) opFunc { return r.open(p.file, syscall.O_RDWR) }},
	{"OPEN, O_TRUNC", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return r.open(p.file, syscall.O_RDWR|syscall.O_TRUNC)
	}},
	{"READ", needOpen, func(r *slowRig, p *slowPlace) opFunc { return r.read(p.file, p.fh, 8192, make([]byte, 4096)) }},
	{"WRITE of a part", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return r.write(p.file, p.fh, 12000, []byte("part of a block"))
	}},
	{"WRITE of a block", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return r.write(p.file, p.fh, 1<<20, make([]byte, 4096))
	}},
	{"FSYNC", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		r.ok(r.write(p.file, p.fh, 0, make([]byte, 4096)))
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Fsync(p.file, p.fh, false, fn, ctx) }
	}},
	{"FLUSH", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Flush(p.file, p.fh, 1, fn, ctx) }
	}},
	{"RELEASE", needOpen, func(r *slowRig, p *slowPlace) opFunc { return r.release(p.file, p.fh) }},
	{"FALLOCATE", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Fallocate(p.file, p.fh, 0, 0, 256<<10, fn, ctx)
		}
	}},
	{"LSEEK", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Lseek(p.file, p.fh, 0, unix.SEEK_HOLE, fn, ctx)
		}
	}},
	{"COPY_FILE_RANGE", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.CopyFileRange(p.file, p.fh, 0, p.file, p.fh, 128<<10, 4096, 0, fn, ctx)
		}
	}},
	{"STATX", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Statx(p.file, p.fh, 0, unix.STATX_BASIC_STATS, fn, ctx)
		}
	}},
	{"IOCTL", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return refused(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Ioctl(p.file, p.fh, unix.FS_IOC_GETFLAGS, 0, nil, 4, fn, ctx)
		}, 0)
	}},
	{"FLOCK", needOpen, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Flock(p.file, p.fh, 1, unix.LOCK_EX, fn, ctx)
		}
	}},
	{"SETATTR, mode", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setattr(p.file, 0, &fsdev.Attr{Mode: 0o600}, fsdev.SetAttrMode, fn, ctx)
		}
	}},
	{"SETATTR, size", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setattr(p.file, 0, &fsdev.Attr{Size: 5000}, fsdev.SetAttrSize, fn, ctx)
		}
	}},
	{"READLINK", needLink, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Readlink(p.link, fn, ctx) }
	}},
	{"SYMLINK", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Symlink(p.dir, "new", strings.Repeat("x", 200), fn, ctx)
		}
	}},
	{"MKNOD", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Mknod(p.dir, "new", syscall.S_IFIFO|0o600, 0, fn, ctx)
		}
	}},
	{"MKDIR", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.mkdir(p.dir, "new") }},
	{"CREATE", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.create(p.dir, "new", syscall.O_RDWR) }},
	{"TMPFILE", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Tmpfile(p.dir, 0o600, syscall.O_RDWR, fn, ctx)
		}
	}},
	{"LINK", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Link(p.file, p.dir, "new", fn, ctx) }
	}},
	{"UNLINK", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.unlink(p.dir, "file") }},
	{"RMDIR", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Rmdir(p.dir, "sub", fn, ctx) }
	}},
	{"RENAME", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Rename(p.dir, "file", p.dir, "new", 0, fn, ctx)
		}
	}},
	{"OPENDIR", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(p.dir, 0, fn, ctx) }
	}},
	{"READDIR", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.readdir(p, false) }},
	{"READDIRPLUS", needDir, func(r *slowRig, p *slowPlace) opFunc { return r.readdir(p, true) }},
	{"FSYNCDIR", needDir, func(r *slowRig, p *slowPlace) opFunc {
		fh := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(p.dir, 0, fn, ctx) }).r.Handle
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Fsyncdir(p.dir, fh, false, fn, ctx) }
	}},
	{"SETXATTR", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setxattr(p.file, "user.new", make([]byte, 100), 0, fn, ctx)
		}
	}},
	{"GETXATTR", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Getxattr(p.file, "user.long", make([]byte, 4096), fn, ctx)
		}
	}},
	{"LISTXATTR", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Listxattr(p.file, make([]byte, 4096), fn, ctx)
		}
	}},
	{"REMOVEXATTR", needFile, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Removexattr(p.file, "user.long", fn, ctx)
		}
	}},
	{"STATFS", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Statfs(p.dir, fn, ctx) }
	}},
	{"SYNCFS", needDir, func(r *slowRig, p *slowPlace) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Syncfs(p.dir, fn, ctx) }
	}},
	{"FORGET", needFile, func(r *slowRig, p *slowPlace) opFunc { return r.forget(p.file, 1) }},
}

// refused makes the one errno that is wanted of an operation none.
func refused(op opFunc, want syscall.Errno) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return op(func(ctx any, rep *loopback.Reply) {
			if rep.Errno == want {
				rep.Errno = 0
			}
			fn(ctx, rep)
		}, ctx)
	}
}

func (r *slowRig) readdir(p *slowPlace, plus bool) opFunc {
	fh := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(p.dir, 0, fn, ctx) }).r.Handle
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Readdir(p.dir, fh, 0, plus, make([]byte, 4096), fn, ctx)
	}
}

// makeSlowPlace makes what an operation is tried on.
func makeSlowPlace(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, make([]byte, 64<<10), 0o644))
	must(t, unix.Setxattr(file, "user.long", make([]byte, 700), 0))
	must(t, os.Symlink(strings.Repeat("y", 300), filepath.Join(dir, "link")))
}

// TestSlowDisk has each operation need what is not in memory, on a disk that takes its time: no round of the thread
// waits for it, nor does what is in memory.
func TestSlowDisk(t *testing.T) {
	if testing.Short() {
		skip(t, slow)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := newDisk(t, 64<<20, 64<<20)
	if err := d.limit(0); err != nil {
		skip(t, needsThrottle)
	}
	t.Cleanup(func() { must(t, d.limit(0)) })
	for i := range slowOps {
		makeSlowPlace(t, filepath.Join(d.dir, fmt.Sprint(i)))
	}
	must(t, os.WriteFile(filepath.Join(d.dir, "hot"), make([]byte, 4096), 0o644))
	var waited []string
	for i, op := range slowOps {
		t.Run(op.name, func(t *testing.T) {
			d.coldAgain()
			took := runSlowOp(t, d, i)
			if took > time.Second/slowIOPS/2 {
				waited = append(waited, op.name)
			}
		})
	}
	if len(waited) < 25 && !t.Failed() {
		t.Errorf("only %d had to wait for the disk: %q", len(waited), waited)
	}
}

// runSlowOp makes the call in its place, which nobody has read since the disk was mounted.
func runSlowOp(t *testing.T, d *disk, i int) (took time.Duration) {
	op := &slowOps[i]
	r := &slowRig{rig: newRig(t, aio.Opts{Root: d.dir, Xattr: true, Devices: true})}
	hot := r.ok(r.lookup(root, "hot")).r.Entry.Node
	hotFh := r.ok(r.open(hot, syscall.O_RDONLY)).r.Handle
	readHot := r.read(hot, hotFh, 0, make([]byte, 4096))
	r.ok(readHot)
	p := &slowPlace{dir: r.ok(r.lookup(root, fmt.Sprint(i))).r.Entry.Node}
	switch op.has {
	case needFile, needOpen:
		p.file = r.ok(r.lookup(p.dir, "file")).r.Entry.Node
	case needLink:
		p.link = r.ok(r.lookup(p.dir, "link")).r.Entry.Node
	}
	if op.has == needOpen {
		p.fh = r.ok(r.open(p.file, syscall.O_RDWR)).r.Handle
	}
	call := op.call(r, p)
	// What names, attributes and so on are read with gets past the limit, so the workers are held up, too.
	aio.SetHook(r.a, func(fsdev.IOType) { time.Sleep(time.Second / slowIOPS) })
	if op.has == needOpen {
		end := d.slowDown()
		defer end()
	}
	r.longest = 0
	begin := time.Now()
	a := r.start(call)
	for !a.done {
		if b := r.do(readHot); b.r.Errno != 0 {
			t.Errorf("a read from the cache meanwhile: %v", b.r.Errno)
		}
		if time.Since(begin) > patience {
			t.Fatalf("nothing has come of it after %v", patience)
		}
	}
	took = time.Since(begin)
	if a.r.Errno != 0 {
		t.Error(a.r.Errno)
	}
	if r.longest > stallThreshold {
		t.Errorf("a round waited for %v", r.longest)
	}
	t.Logf("%v, a round waited for %v at most", took.Round(time.Microsecond), r.longest)
	return took
}
