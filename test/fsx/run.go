package fsx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/test/shrink"
)

// Failure is where a file is not what it should be.
type Failure struct {
	Step int // index of the operation
	Op   Op
	Err  error
}

// Error says it in one line.
func (f *Failure) Error() string { return fmt.Sprintf("step %d: %v: %v", f.Step, f.Op, f.Err) }

// Run makes a new file at path, carries out ops and removes the file. What the file system does not support, which a
// file system may say of ranges that are zeroed, collapsed and inserted, is not asked for again. It returns the first
// failure, or nil,.
func Run(path string, ops []Op) *Failure { return run(path, ops, nil) }

// run calls after, if there is one, behind each operation.
func run(path string, ops []Op, after func(step int)) *Failure {
	f := &file{path: path}
	if err := f.open(unix.O_CREAT | unix.O_TRUNC); err != nil {
		return &Failure{Err: err}
	}
	defer os.Remove(path)
	defer f.close()
	for i, op := range ops {
		err := f.do(op)
		if err == nil {
			err = f.checkSize()
		}
		if err != nil {
			return &Failure{Step: i, Op: op, Err: err}
		}
		if after != nil {
			after(i)
		}
	}
	if err := f.reopen(); err != nil {
		return &Failure{Step: len(ops), Err: err}
	}
	return nil
}

// Shrink returns the shortest part of ops that it finds within a while that fails too, or nil if ops does not fail
// again.
func Shrink(path string, ops []Op, budget time.Duration) []Op {
	end := time.Now().Add(budget)
	f := Run(path, ops)
	if f == nil {
		return nil
	}
	ops = ops[:min(f.Step+1, len(ops))]
	return shrink.List(ops, end, func(part []Op) bool { return Run(path, part) != nil })
}

// file is a file and what has to be in it.
type file struct {
	path   string
	fd     int
	append int // a second descriptor, with O_APPEND
	want   []byte
	cannot [kinds]bool // what the file system does not support
}

func (f *file) open(flags int) (err error) {
	if f.fd, err = unix.Open(f.path, unix.O_RDWR|unix.O_CLOEXEC|flags, 0o600); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if f.append, err = unix.Open(f.path, unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0); err != nil {
		_ = unix.Close(f.fd)
		return fmt.Errorf("open O_APPEND: %w", err)
	}
	return nil
}

func (f *file) close() error { return errors.Join(unix.Close(f.fd), unix.Close(f.append)) }

// reopen wants all of the file to be there when it is opened again.
func (f *file) reopen() error {
	if err := f.close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if err := f.open(0); err != nil {
		return err
	}
	return f.read(0, int64(len(f.want)))
}

func (f *file) checkSize() error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if st.Size != int64(len(f.want)) {
		return fmt.Errorf("the size is %#x, not %#x", st.Size, len(f.want))
	}
	return nil
}

// do carries out one operation.
func (f *file) do(op Op) error {
	size := int64(len(f.want))
	inside := op.Off // an offset at which the file has bytes, if it has any
	if size > 0 {
		inside %= size
	} else {
		inside = 0
	}
	room := min(op.Len, MaxSize-op.Off)
	switch op.Kind {
	case Read:
		return f.read(inside, op.Len)
	case Write:
		return f.write(op.Off, fill(op.Fill, room))
	case Append:
		return f.appendTo(fill(op.Fill, min(op.Len, MaxSize-size)))
	case MapRead:
		return f.mapped(inside, min(op.Len, size-inside), nil)
	case MapWrite:
		if size < op.Off+room {
			if err := f.truncate(op.Off + room); err != nil {
				return err
			}
		}
		return f.mapped(op.Off, room, fill(op.Fill, room))
	case Truncate:
		return f.truncate(op.Off)
	case Allocate, AllocateKeep, Punch, Zero, ZeroKeep, Collapse, Insert:
		return f.fallocate(op, room)
	case Copy:
		return f.copyRange(inside, op.To, min(op.Len, size-inside, MaxSize-op.To))
	case Seek:
		return f.seek(inside)
	case Sync:
		if op.Fill&1 == 0 {
			return wrap("fdatasync", unix.Fdatasync(f.fd))
		}
		return wrap("fsync", unix.Fsync(f.fd))
	case Drop:
		return wrap("fadvise", errors.Join(unix.Fsync(f.fd), unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED)))
	}
	return f.reopen()
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// fill returns n bytes that depend on a seed and on where they are, none of them zero.
func fill(seed uint64, n int64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := 0; i < len(b); i += 8 {
		x := rng.Uint64() | 0x0101010101010101
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(x >> (8 * (j - i)))
		}
	}
	return b
}

// extend makes the wanted content at least n bytes long.
func (f *file) extend(n int64) {
	if more := n - int64(len(f.want)); more > 0 {
		f.want = append(f.want, make([]byte, more)...)
	}
}

// same compares what was seen at an offset with what should be there.
func (f *file) same(got []byte, off int64) error {
	want := f.want[off:min(off+int64(len(got)), int64(len(f.want)))]
	if bytes.Equal(got, want) {
		return nil
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d bytes at %#x, not %d", len(got), off, len(want))
	}
	first, wrong := -1, 0
	for i := range got {
		if got[i] != want[i] {
			wrong++
			if first < 0 {
				first = i
			}
		}
	}
	return fmt.Errorf("%d of %d bytes at %#x are wrong, the first at %#x: %#x, not %#x", wrong, len(got), off,
		off+int64(first), got[first:min(first+8, len(got))], want[first:min(first+8, len(want))])
}

func (f *file) read(off, n int64) error {
	b := make([]byte, n)
	got, err := unix.Pread(f.fd, b, off)
	if err != nil {
		return fmt.Errorf("pread: %w", err)
	}
	if want := min(n, int64(len(f.want))-off); int64(got) != want {
		return fmt.Errorf("pread: %d bytes, not %d", got, want)
	}
	return f.same(b[:got], off)
}

func (f *file) write(off int64, b []byte) error {
	n, err := unix.Pwrite(f.fd, b, off)
	if err != nil || n != len(b) {
		return fmt.Errorf("pwrite: %d bytes of %d, %w", n, len(b), err)
	}
	if n > 0 {
		f.extend(off + int64(n))
		copy(f.want[off:], b)
	}
	return nil
}

func (f *file) appendTo(b []byte) error {
	n, err := unix.Write(f.append, b)
	if err != nil || n != len(b) {
		return fmt.Errorf("write: %d bytes of %d, %w", n, len(b), err)
	}
	f.want = append(f.want, b...)
	return nil
}

func (f *file) truncate(size int64) error {
	if err := unix.Ftruncate(f.fd, size); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	f.extend(size)
	f.want = f.want[:size]
	return nil
}

// mapped reads n bytes through a shared mapping, and overwrites them with b unless that is nil.
func (f *file) mapped(off, n int64, b []byte) (err error) {
	if n <= 0 {
		return nil
	}
	start := off &^ (blockSize - 1)
	m, err := unix.Mmap(f.fd, start, int(off-start+n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { err = errors.Join(err, wrap("munmap", unix.Munmap(m))) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("mapping of %#x bytes at %#x: %v", n, off, what)
		}
	}()
	if err := f.same(m[off-start:], off); err != nil {
		return fmt.Errorf("mapping: %w", err)
	}
	if b != nil {
		copy(m[off-start:], b)
		copy(f.want[off:], b)
	}
	return nil
}

// fallocate is all that fallocate(2) does, in at most room bytes.
func (f *file) fallocate(op Op, room int64) error {
	off, n, size := op.Off, room, int64(len(f.want))
	var mode uint32
	after := f.want // what the file is to be afterwards
	zeros := func(from, to int64) {
		after = slices.Clone(after)
		clear(after[min(from, int64(len(after))):min(to, int64(len(after)))])
	}
	switch op.Kind {
	case AllocateKeep:
		mode = unix.FALLOC_FL_KEEP_SIZE
	case Punch:
		mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
		zeros(off, off+n)
	case ZeroKeep:
		mode = unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE
		zeros(off, off+n)
	case Zero:
		mode = unix.FALLOC_FL_ZERO_RANGE
		zeros(off, off+n)
	case Collapse:
		off, n = off&^(blockSize-1), n&^(blockSize-1)
		if n == 0 || off+n >= size {
			return nil
		}
		mode = unix.FALLOC_FL_COLLAPSE_RANGE
		after = slices.Delete(slices.Clone(after), int(off), int(off+n))
	case Insert:
		off, n = off&^(blockSize-1), min(n, MaxSize-size)&^(blockSize-1)
		if n <= 0 || off >= size {
			return nil
		}
		mode = unix.FALLOC_FL_INSERT_RANGE
		after = slices.Insert(slices.Clone(after), int(off), make([]byte, n)...)
	}
	if n <= 0 || f.cannot[op.Kind] {
		return nil
	}
	err := unix.Fallocate(f.fd, mode, off, n)
	switch {
	case err == unix.EOPNOTSUPP && op.Kind >= Zero:
		f.cannot[op.Kind] = true
		return nil
	case err != nil:
		return fmt.Errorf("fallocate %#x at %#x, %#x bytes: %w", mode, off, n, err)
	}
	f.want = after
	if op.Kind == Allocate || op.Kind == Zero {
		f.extend(off + n)
	}
	return nil
}

// copyRange copies n bytes within the file, unless the ranges overlap.
func (f *file) copyRange(from, to, n int64) error {
	if n <= 0 || from < to+n && to < from+n {
		return nil
	}
	for n > 0 {
		src, dst := from, to
		done, err := unix.CopyFileRange(f.fd, &src, f.fd, &dst, int(n), 0)
		if err != nil || done <= 0 {
			return fmt.Errorf("copy_file_range: %d of %d bytes, %w", done, n, err)
		}
		if src != from+int64(done) || dst != to+int64(done) {
			return fmt.Errorf("copy_file_range of %d bytes: offsets %#x and %#x became %#x and %#x", done, from, to, src, dst)
		}
		f.extend(to + int64(done))
		copy(f.want[to:], f.want[from:from+int64(done)])
		from, to, n = src, dst, n-int64(done)
	}
	return nil
}

// seek wants what is said to be a hole to be zero. The file is synced before: holes are the server's to know.
func (f *file) seek(off int64) error {
	size := int64(len(f.want))
	if size == 0 {
		return nil
	}
	if err := unix.Fsync(f.fd); err != nil {
		return fmt.Errorf("fsync: %w", err)
	}
	data, err := unix.Seek(f.fd, off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO:
		data = size
	case err != nil:
		return fmt.Errorf("SEEK_DATA: %w", err)
	case data < off || data >= size:
		return fmt.Errorf("SEEK_DATA from %#x: %#x, the size is %#x", off, data, size)
	}
	for i, b := range f.want[off:data] {
		if b != 0 {
			return fmt.Errorf("SEEK_DATA from %#x: %#x, but there are data at %#x", off, data, off+int64(i))
		}
	}
	hole, err := unix.Seek(f.fd, off, unix.SEEK_HOLE)
	if err != nil || hole < off || hole > size {
		return fmt.Errorf("SEEK_HOLE from %#x: %#x, the size is %#x, %w", off, hole, size, err)
	}
	if hole < size && f.want[hole] != 0 {
		return fmt.Errorf("SEEK_HOLE from %#x: %#x, but there are data", off, hole)
	}
	return nil
}
