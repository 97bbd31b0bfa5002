package memfs

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// hotOps are the operations that must not allocate, on a file system that is warm.
func hotOps(r *rig) map[string]func() syscall.Errno {
	r.fs.now = time.Now
	var attr fsdev.Attr
	var st fsdev.Statx
	d := r.mkdir(r.root, "d")
	f := r.node(r.mkfile(d, "file"))
	for i := range 100 {
		r.mkfile(d, fmt.Sprint(i))
	}
	r.put1(f.obj, 0, make([]byte, 4<<20))
	r.must(r.setxattr(f, []byte("user.x"), []byte("value"), 0))
	name := []byte("file")
	page := [][]byte{make([]byte, 1000), make([]byte, 3096)}
	mega := [][]byte{make([]byte, 1<<20)}
	hole := r.node(r.mkfile(d, "hole"))
	r.must(r.setattr(hole, &fsdev.Attr{Size: 1 << 40}, fsdev.SetAttrSize, &attr))
	var c discarder
	i := uint64(0)
	desc := r.desc
	xname := []byte("user.x")
	return map[string]func() syscall.Errno{
		"lookup": func() syscall.Errno {
			obj, errno := r.lookup(d, name, &attr)
			r.forget(obj, 1)
			return errno
		},
		"lookup-none": func() syscall.Errno {
			_, errno := r.lookup(d, xname, &attr)
			return errno - syscall.ENOENT
		},
		"getattr": func() syscall.Errno {
			n, _ := r.get(f.obj)
			return r.getattr(n, &attr)
		},
		"statx": func() syscall.Errno {
			n, _ := r.get(f.obj)
			return r.statx(n, 0, unix.STATX_ALL, &st)
		},
		"setattr": func() syscall.Errno {
			return r.setattr(f, &fsdev.Attr{Mode: 0o600}, fsdev.SetAttrMode, &attr)
		},
		"read4k": func() syscall.Errno {
			i += 7919 * pageSize
			n, _ := r.get(f.obj)
			_, errno := r.read(n, nil, i%(4<<20), 4096, page)
			return errno
		},
		"write4k": func() syscall.Errno {
			i += 7919 * pageSize
			n, _ := r.get(f.obj)
			_, errno := r.write(n, i%(4<<20), 4096, page, writeMode{})
			return errno
		},
		"read1M": func() syscall.Errno {
			i += 1 << 20
			_, errno := r.read(f, nil, i%(4<<20), 1<<20, mega)
			return errno
		},
		"write1M": func() syscall.Errno {
			i += 1 << 20
			_, errno := r.write(f, i%(4<<20), 1<<20, mega, writeMode{})
			return errno
		},
		"read-hole": func() syscall.Errno {
			i += 7919 * pageSize
			_, errno := r.read(hole, nil, i%(1<<40), 4096, page)
			return errno
		},
		"seek-hole": func() syscall.Errno {
			_, errno := r.seek(f, 0, unix.SEEK_HOLE)
			return errno
		},
		"seek-data": func() syscall.Errno {
			_, errno := r.seek(hole, 0, unix.SEEK_DATA)
			return errno - syscall.ENXIO
		},
		"getxattr": func() syscall.Errno {
			_, errno := r.getxattr(f, xname, page, 4096)
			return errno
		},
		"readdir100": func() syscall.Errno { return r.readdir(r.node(d), 0, false, &c) },
		"readdirplus100": func() syscall.Errno {
			return r.readdir(r.node(d), 0, true, &c)
		},
		"copy4k": func() syscall.Errno {
			_, errno := r.copyFileRange(f, 0, f, 1<<20, 4096, 0)
			return errno
		},
		"handle": func() syscall.Errno {
			_, errno := r.handleOf(desc, f, 0)
			return errno
		},
	}
}

// discarder takes all entries.
type discarder struct{}

func (*discarder) Emit([]byte, fsdev.FileObject, *fsdev.Attr, uint64) bool { return true }

func TestHotOperationsDoNotAllocate(t *testing.T) {
	r := newRig(t, Opts{})
	for name, op := range hotOps(r) {
		if n := testing.AllocsPerRun(100, func() { r.must(op()) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkHot(b *testing.B) {
	for _, name := range []string{"lookup", "getattr", "setattr", "read4k", "write4k", "read1M", "write1M", "read-hole",
		"seek-hole", "seek-data", "getxattr", "readdir100", "readdirplus100", "copy4k"} {
		b.Run(name, func(b *testing.B) {
			op := hotOps(newRig(b, Opts{}))[name]
			switch name {
			case "read4k", "write4k", "copy4k":
				b.SetBytes(4096)
			case "read1M", "write1M":
				b.SetBytes(1 << 20)
			}
			b.ReportAllocs()
			for b.Loop() {
				if errno := op(); errno != 0 {
					b.Fatal(errno)
				}
			}
		})
	}
}

// BenchmarkSequentialWrite writes 64 MiB files, in new memory and in memory that was used before, and
// compares with copying as much between two slices.
func BenchmarkSequentialWrite(b *testing.B) {
	const total, request = 64 << 20, 1 << 20
	src := bytes.Repeat([]byte{1}, request)
	iovs := [][]byte{src}
	for _, huge := range []bool{true, false} {
		for _, fresh := range []bool{true, false} {
			b.Run(fmt.Sprintf("huge=%v/fresh=%v", huge, fresh), func(b *testing.B) {
				r := newRig(b, Opts{Size: 1 << 30, NoHugePages: !huge})
				f := r.node(r.mkfile(r.root, "f"))
				b.SetBytes(total)
				for b.Loop() {
					for off := uint64(0); off < total; off += request {
						if _, errno := r.write(f, off, request, iovs, writeMode{}); errno != 0 {
							b.Fatal(errno)
						}
					}
					b.StopTimer()
					r.must(r.setattr(f, &fsdev.Attr{}, fsdev.SetAttrSize, &r.attr))
					if fresh {
						r.fs.arena.disown(&r.cache)
						r.fs.arena.trim(1 << 20)
					}
					b.StartTimer()
				}
			})
		}
	}
	b.Run("memcpy", func(b *testing.B) {
		dst := bytes.Repeat([]byte{1}, total)
		b.SetBytes(total)
		for b.Loop() {
			for off := 0; off < total; off += request {
				copy(dst[off:], src)
			}
		}
	})
}

// BenchmarkCreateUnlink makes and removes a file of one page in a directory of 1000.
func BenchmarkCreateUnlink(b *testing.B) {
	r := newRig(b, Opts{})
	r.fs.now = time.Now
	for i := range 1000 {
		r.mkfile(r.root, fmt.Sprint(i))
	}
	c := creation{typ: syscall.S_IFREG, perm: 0o644}
	iovs := [][]byte{make([]byte, 4096)}
	b.ReportAllocs()
	for b.Loop() {
		obj, h, errno := r.createOpen(r.desc, r.root, []byte("file"), &c, syscall.O_RDWR, &r.attr)
		r.must(errno)
		n := r.node(obj)
		_, errno = r.write(n, 0, 4096, iovs, writeMode{})
		r.must(errno)
		r.must(r.release(r.desc, n, h))
		r.must(r.remove(r.root, []byte("file"), false))
		r.forget(obj, 1)
	}
}

// BenchmarkParallel runs lanes on all CPUs: on one file, and on one each.
func BenchmarkParallel(b *testing.B) {
	for _, shared := range []bool{true, false} {
		for _, op := range []string{"getattr", "read4k", "write4k"} {
			b.Run(fmt.Sprintf("%s/shared=%v", op, shared), func(b *testing.B) {
				r := newRig(b, Opts{})
				r.fs.now = time.Now
				var files [64]*inode
				for i := range files {
					files[i] = r.node(r.mkfile(r.root, fmt.Sprint(i)))
					r.put1(files[i].obj, 0, make([]byte, 64<<10))
				}
				var next atomic.Int32
				b.RunParallel(func(pb *testing.PB) {
					l := new(lane)
					r.fs.initLane(l)
					defer l.close()
					f := files[0]
					if !shared {
						f = files[next.Add(1)]
					}
					iovs := [][]byte{make([]byte, 4096)}
					var attr fsdev.Attr
					run := func() (errno syscall.Errno) {
						switch op {
						case "getattr":
							errno = l.getattr(f, &attr)
						case "read4k":
							_, errno = l.read(f, nil, 8192, 4096, iovs)
						default:
							_, errno = l.write(f, 8192, 4096, iovs, writeMode{})
						}
						return errno
					}
					for pb.Next() {
						insistently(l, run)
					}
				})
			})
		}
	}
}
