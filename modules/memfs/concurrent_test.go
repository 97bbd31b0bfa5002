package memfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// workers is how many lanes the concurrency tests use.
const workers = 4

// together runs fn on several lanes at once. They end with their lanes closed.
func (r *rig) together(fn func(k int, w *worker)) {
	r.Helper()
	seed := newRand(r.TB).Int63()
	r.fs.now = time.Now // the rig's clock is for one
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			w := &worker{rig: r, lane: new(lane), rnd: rand.New(rand.NewSource(seed + int64(k)))}
			r.fs.initLane(w.lane)
			w.lane.client = r.client
			fn(k, w)
			w.lane.close()
		})
	}
	wg.Wait()
}

// worker stands for a reactor.
type worker struct {
	rig  *rig
	lane *lane
	rnd  *rand.Rand
	attr fsdev.Attr
}

// do repeats op until nobody is in its way and fails the test if its errno is not among allowed.
func (w *worker) do(what string, op func() syscall.Errno, allowed ...syscall.Errno) syscall.Errno {
	errno := insistently(w.lane, op)
	for _, a := range allowed {
		if errno == a {
			return errno
		}
	}
	if errno != 0 {
		w.rig.Errorf("%s: unexpected errno %d: %v", what, int(errno), errno)
	}
	return errno
}

func rounds(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// TestConcurrentAppends has every lane append records to one file: none may be lost or torn.
func TestConcurrentAppends(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	n := rounds(3000)
	const record = 37 // across page boundaries now and then
	r.together(func(k int, w *worker) {
		rec := bytes.Repeat([]byte{byte('a' + k)}, record)
		iovs := [][]byte{rec[:10], rec[10:]}
		for i := range n {
			binary.LittleEndian.PutUint32(rec[1:], uint32(i))
			w.do("append", func() syscall.Errno {
				done, errno := w.lane.write(f, 0, record, iovs, writeMode{end: true})
				if errno == 0 && done != record {
					t.Errorf("appended %d bytes", done)
				}
				return errno
			})
		}
	})
	data := r.get1(f.obj, 0, 1<<30>>6)
	if len(data) != workers*n*record {
		t.Fatalf("%d bytes, want %d", len(data), workers*n*record)
	}
	next := make([]uint32, workers)
	for ; len(data) > 0; data = data[record:] {
		k := data[0] - 'a'
		if i := binary.LittleEndian.Uint32(data[1:]); i != next[k] {
			t.Fatalf("lane %d: record %d follows %d", k, i, next[k]-1)
		}
		next[k]++
		if bytes.Count(data[5:record], data[:1]) != record-5 {
			t.Fatalf("torn record %q", data[:record])
		}
	}
}

// TestConcurrentWritesAreAtomic has lanes write whole blocks of one byte over each other: a read never
// sees a mixture.
func TestConcurrentWritesAreAtomic(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	const block = 3 * pageSize
	r.put1(f.obj, 1000, make([]byte, block))
	n := rounds(3000)
	r.together(func(k int, w *worker) {
		b := make([]byte, block)
		for i := range n {
			if k%2 == 0 {
				for j := range b {
					b[j] = byte(k*100 + i%100)
				}
				w.do("write", func() syscall.Errno {
					_, errno := w.lane.write(f, 1000, block, [][]byte{b}, writeMode{})
					return errno
				})
				continue
			}
			w.do("read", func() syscall.Errno {
				_, errno := w.lane.read(f, nil, 1000, block, [][]byte{b[:5000], b[5000:]})
				return errno
			})
			if bytes.Count(b, b[:1]) != block {
				t.Error("a read saw two writes at once")
				return
			}
		}
	})
}

// TestConcurrentNamespace has lanes do everything they can with few names in few directories. The tree must
// be sound afterwards and everything free when it is removed.
func TestConcurrentNamespace(t *testing.T) {
	r := newRig(t, Opts{Size: 16 << 20, Inodes: 300})
	dirs := make([]fsdev.FileObject, 6)
	dirs[0] = r.root
	for i := range dirs[1:] {
		dirs[i+1] = r.mkdir(dirs[i/2], fmt.Sprintf("dir%d", i))
	}
	n := rounds(20000)
	var moves atomic.Int64
	r.together(func(k int, w *worker) {
		l := w.lane
		name := func() []byte {
			if w.rnd.Intn(4) == 0 {
				return fmt.Appendf(nil, "dir%d", w.rnd.Intn(len(dirs)-1))
			}
			return fmt.Appendf(nil, "n%d", w.rnd.Intn(12))
		}
		dir := func() fsdev.FileObject { return dirs[w.rnd.Intn(len(dirs))] }
		buf := make([]byte, 20000)
		for range n {
			d, nm := dir(), name()
			switch w.rnd.Intn(10) {
			case 0, 1:
				var obj fsdev.FileObject
				var h fsdev.FileHandle
				if w.do("create", func() (errno syscall.Errno) {
					c := creation{typ: syscall.S_IFREG, perm: 0o644}
					obj, h, errno = l.createOpen(r.desc, d, nm, &c, uint32(w.rnd.Intn(2))*syscall.O_TRUNC, &w.attr)
					return errno
				}, syscall.EISDIR, syscall.ENOSPC, syscall.ENOENT, syscall.ENXIO) != 0 {
					break
				}
				in := l.fs.objects.Get(uint64(obj))
				w.do("write", func() syscall.Errno {
					_, errno := l.write(in, uint64(w.rnd.Intn(100000)), uint64(len(buf)), [][]byte{buf}, writeMode{})
					return errno
				}, syscall.ENOSPC)
				w.do("release", func() syscall.Errno { return l.release(r.desc, in, h) })
				l.forget(obj, 1)
			case 2:
				var obj fsdev.FileObject
				if w.do("lookup", func() (errno syscall.Errno) {
					obj, errno = l.lookup(d, nm, &w.attr)
					return errno
				}, syscall.ENOENT) == 0 {
					l.forget(obj, 1)
				}
			case 3, 4:
				w.do("unlink", func() syscall.Errno { return l.remove(d, nm, false) }, syscall.ENOENT, syscall.EISDIR)
			case 5, 6:
				d2, nm2 := dir(), name()
				flags := []uint32{0, 0, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE, unix.RENAME_WHITEOUT}[w.rnd.Intn(5)]
				if w.do("rename", func() syscall.Errno { return l.rename(d, nm, d2, nm2, flags) },
					syscall.ENOENT, syscall.EEXIST, syscall.EISDIR, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EINVAL,
					syscall.ENOSPC) == 0 {
					moves.Add(1)
				}
			case 7:
				plus := w.rnd.Intn(2) == 0
				c := collector{room: w.rnd.Intn(20)}
				in := l.fs.objects.Get(uint64(d))
				w.do("readdir", func() syscall.Errno { return l.readdir(in, uint64(w.rnd.Intn(50)), plus, &c) }, syscall.ENOENT)
				for _, e := range c.got {
					if plus && e.obj != 0 {
						l.forget(e.obj, 1)
					}
				}
			case 8:
				var obj fsdev.FileObject
				if w.do("lookup dots", func() (errno syscall.Errno) {
					obj, errno = l.lookup(d, []byte(".."), &w.attr)
					return errno
				}, syscall.ENOENT) == 0 {
					l.forget(obj, 1)
				}
			case 9:
				var obj fsdev.FileObject
				if w.do("lookup", func() (errno syscall.Errno) {
					obj, errno = l.lookup(d, nm, &w.attr)
					return errno
				}, syscall.ENOENT) != 0 {
					break
				}
				if w.do("link", func() (errno syscall.Errno) {
					_, errno = l.link(obj, dir(), name(), &w.attr)
					return errno
				}, syscall.EEXIST, syscall.EPERM, syscall.ENOENT, syscall.ENOSPC) == 0 {
					l.forget(obj, 1)
				}
				l.forget(obj, 1)
			}
		}
	})
	t.Logf("%d renames", moves.Load())
	r.checkTree()
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestConcurrentDirectoryMoves has lanes move directories below each other: none may get lost in a
// loop.
func TestConcurrentDirectoryMoves(t *testing.T) {
	r := newRig(t, Opts{})
	dirs := []fsdev.FileObject{r.root}
	for i := range 8 {
		dirs = append(dirs, r.mkdir(r.root, fmt.Sprint(i)))
	}
	r.together(func(k int, w *worker) {
		for range rounds(20000) {
			i := w.rnd.Intn(8)
			name := fmt.Append(nil, i)
			from, to := dirs[w.rnd.Intn(9)], dirs[w.rnd.Intn(9)]
			var flags uint32
			if w.rnd.Intn(4) == 0 {
				flags = unix.RENAME_EXCHANGE
			}
			w.do("rename", func() syscall.Errno { return w.lane.rename(from, name, to, name, flags) },
				syscall.ENOENT, syscall.EINVAL, syscall.ENOTEMPTY)
		}
	})
	r.checkTree()
	for range dirs[1:] { // all are still below the root, or were replaced while empty
		r.removeAll(r.root)
	}
	r.umount(r.desc)
	r.checkEmpty()
}

// TestConcurrentSpace has lanes fill and empty a file system that is too small for them: the count of pages
// stays exact, nobody gets another's memory, and all of it comes back.
func TestConcurrentSpace(t *testing.T) {
	r := newRig(t, Opts{Size: 2 << 20})
	files := make([]*inode, workers)
	for k := range files {
		files[k] = r.node(r.mkfile(r.root, fmt.Sprint(k)))
	}
	r.together(func(k int, w *worker) {
		f := files[k]
		b := make([]byte, 300000)
		for range rounds(1500) {
			mark := byte(1 + w.rnd.Intn(255))
			for i := range b {
				b[i] = mark
			}
			off := uint64(w.rnd.Intn(1 << 20))
			var done uint64
			w.do("write", func() (errno syscall.Errno) {
				done, errno = w.lane.write(f, off, uint64(len(b)), [][]byte{b}, writeMode{})
				return errno
			}, syscall.ENOSPC)
			clear(b)
			if done > 0 {
				got, _ := w.lane.read(f, nil, off, done, [][]byte{b})
				if got != done || bytes.Count(b[:done], []byte{mark}) != int(done) {
					t.Errorf("lane %d read back something else", k)
					return
				}
			}
			if w.rnd.Intn(3) == 0 {
				size := uint64(w.rnd.Intn(1 << 20))
				w.do("truncate", func() syscall.Errno {
					return w.lane.setattr(f, &fsdev.Attr{Size: size}, fsdev.SetAttrSize, &w.attr)
				})
			}
			if used := r.fs.used.Load(); used < 0 || used > r.fs.pages {
				t.Errorf("%d of %d pages are charged", used, r.fs.pages)
			}
		}
	})
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestConcurrentFlock has lanes pass an exclusive lock around: one at a time has it.
func TestConcurrentFlock(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	var holders atomic.Int32
	var granted [workers]atomic.Int32
	r.together(func(k int, w *worker) {
		l := w.lane
		done := func() {
			for q := l.locks.TakeWoken(); q != nil; {
				next := q.Next()
				l.put(f)
				granted[q.IO.(*fsdev.IO).Unique].Add(1)
				q = next
			}
		}
		for range rounds(5000) {
			before := granted[k].Load()
			req, errno := l.flock(r.desc, f, nil, uint64(k), syscall.LOCK_EX, &fsdev.IO{Unique: uint64(k)})
			if errno == errWait {
				if w.rnd.Intn(3) == 0 && l.locks.Abort(req) {
					l.put(f)
					done()
					continue
				}
				for granted[k].Load() == before {
					done()
					runtime.Gosched()
				}
			}
			if n := holders.Add(1); n != 1 {
				t.Errorf("%d lanes have the lock", n)
			}
			holders.Add(-1)
			if _, errno := l.flock(r.desc, f, nil, uint64(k), syscall.LOCK_UN, nil); errno != 0 {
				t.Errorf("unlock: %v", errno)
			}
			done()
		}
	})
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}
