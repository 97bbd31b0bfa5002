package integration

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

func sectionReadWrite(l *transcript) {
	fd := l.open("f", rdwrCreate, 0o600)
	l.pread("empty", fd, 100, 0)
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB: more than one request
	l.pwrite("big", fd, big, 0)
	l.fstat("big", fd)
	l.pread("big", fd, len(big)+10, 0)
	l.pread("across the end", fd, 100, int64(len(big)-10))
	l.pread("at the end", fd, 100, int64(len(big)))
	l.pread("behind the end", fd, 100, 1<<40)
	l.pread("odd", fd, 70001, 4095)
	l.pwrite("odd", fd, strings.Repeat("x", 70001), 4095)
	l.content("f")
	l.pwrite("nothing", fd, "", 10)
	l.pwrite("negative", fd, "x", -1)
	l.pread("negative", fd, 1, -1)
	l.close(fd)
	l.pread("closed", fd, 1, 0)

	fd = l.open("sparse", rdwrCreate, 0o600)
	l.pwrite("far", fd, "end", 1<<32)
	l.fstat("far", fd)
	l.pread("hole", fd, 100, 1<<31)
	l.pread("edge", fd, 100, 1<<32-50)
	var st unix.Stat_t
	l.err("fstat", unix.Fstat(fd, &st))
	l.printf("sparse: %v", st.Blocks*512 < 1<<20)
	l.pwrite("too far", fd, "x", 1<<63-1)
	off, err := unix.Seek(fd, -3, unix.SEEK_END)
	l.printf("seek: %d %s", off, errName(err))
	l.close(fd)

	fd = l.open("vector", rdwrCreate, 0o600)
	n, err := unix.Writev(fd, [][]byte{[]byte("one"), nil, []byte("two"), bytes.Repeat([]byte("3"), 5000)})
	l.printf("writev: %d %s", n, errName(err))
	a, b := make([]byte, 4), make([]byte, 6000)
	n, err = unix.Preadv(fd, [][]byte{a, b}, 1)
	l.printf("preadv: %d %s %q %s", n, errName(err), a, digest(b[:max(0, n-4)]))
	l.err("fsync", unix.Fsync(fd))
	l.err("fdatasync", unix.Fdatasync(fd))
	l.err("sync_file_range", unix.SyncFileRange(fd, 0, 100, unix.SYNC_FILE_RANGE_WRITE))
	other, err := unix.Dup(fd)
	l.err("dup", err)
	l.close(fd)
	l.pread("duplicate", other, 6, 0)
	l.close(other)
}

func sectionTruncate(l *transcript) {
	fd := l.open("f", rdwrCreate, 0o600)
	l.pwrite("start", fd, strings.Repeat("a", 10000), 0)
	for _, size := range []int64{5000, 4096, 4095, 9000, 0, 1, 1 << 33, 3} {
		l.err(fmt.Sprint("ftruncate ", size), unix.Ftruncate(fd, size))
		l.fstat("f", fd)
		l.pread("f", fd, 10000, 0)
	}
	l.err("truncate", unix.Truncate("f", 7))
	l.content("f")
	l.err("negative", unix.Ftruncate(fd, -1))
	l.close(fd)
	fd = l.open("f", unix.O_RDONLY, 0)
	l.err("read-only", unix.Ftruncate(fd, 1))
	l.close(fd)
	l.err("directory", unix.Truncate(".", 1))
	l.err("missing", unix.Truncate("missing", 1))
}

func sectionAppend(l *transcript) {
	a := l.open("f", rdwrCreate|unix.O_APPEND, 0o600)
	b := l.open("f", unix.O_WRONLY|unix.O_APPEND, 0)
	for i := range 5 {
		n, err := unix.Write(a, fmt.Appendf(nil, "a%d", i))
		l.printf("write: %d %s", n, errName(err))
		n, err = unix.Write(b, fmt.Appendf(nil, "b%d", i))
		l.printf("write: %d %s", n, errName(err))
	}
	l.pwrite("ignores the offset", a, "p", 0)
	l.content("f")
	l.err("ftruncate", unix.Ftruncate(b, 3))
	n, err := unix.Write(a, []byte("end"))
	l.printf("write: %d %s", n, errName(err))
	l.content("f")
	l.close(a)
	l.close(b)
}

func sectionFallocate(l *transcript) {
	fd := l.open("f", rdwrCreate, 0o600)
	fallocate := func(mode uint32, off, length int64) {
		l.err(fmt.Sprintf("fallocate %#x %d %d", mode, off, length), unix.Fallocate(fd, mode, off, length))
		l.fstat("f", fd)
	}
	l.pwrite("f", fd, strings.Repeat("abcdefgh", 4096), 0)
	fallocate(0, 0, 100)
	fallocate(0, 1000, 50000)
	fallocate(unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20)
	fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 8192)
	l.content("f")
	fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 100, 50)
	fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 16000, 5000)
	fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 50990, 1<<30)
	l.content("f")
	fallocate(unix.FALLOC_FL_PUNCH_HOLE, 0, 100)
	fallocate(0, -1, 100)
	fallocate(0, 0, 0)
	fallocate(0, 0, -1)
	fallocate(0, 1<<62, 1<<62)
	l.close(fd)
	fd = l.open("f", unix.O_RDONLY, 0)
	l.err("read-only", unix.Fallocate(fd, 0, 0, 10))
	l.close(fd)
	fd = l.open(".", unix.O_RDONLY, 0)
	l.err("directory", unix.Fallocate(fd, 0, 0, 10))
	l.close(fd)
}

func sectionCopyRange(l *transcript) {
	l.create("a", strings.Repeat("0123456789abcdef", 20000))
	a, b := l.open("a", unix.O_RDWR, 0), l.open("b", rdwrCreate, 0o600)
	copyRange := func(from int, off int64, to int, offTo int64, size int) {
		n, err := unix.CopyFileRange(from, &off, to, &offTo, size, 0)
		l.printf("copy_file_range %d: %d %s, then at %d and %d", size, n, errName(err), off, offTo)
	}
	copyRange(a, 0, b, 0, 320000)
	l.content("b")
	copyRange(a, 5, b, 100001, 7777)
	copyRange(a, 319990, b, 0, 100)
	copyRange(a, 320000, b, 0, 100)
	copyRange(a, 1<<40, b, 0, 100)
	copyRange(a, 0, b, 400000, 10)
	l.content("b")
	copyRange(a, 0, a, 200000, 1000)
	copyRange(a, 0, a, 500, 1000)
	copyRange(a, 0, b, 0, 0)
	l.content("a")
	ro := l.open("b", unix.O_RDONLY, 0)
	copyRange(a, 0, ro, 0, 10)
	app := l.open("b", unix.O_WRONLY|unix.O_APPEND, 0)
	copyRange(a, 0, app, 0, 10)
	wo := l.open("a", unix.O_WRONLY, 0)
	copyRange(wo, 0, b, 0, 10)
	for _, fd := range []int{a, b, ro, app, wo} {
		l.close(fd)
	}
	l.content("b")
}

// sectionMmap: shared mappings and system calls see each other's changes.
func sectionMmap(l *transcript) {
	page := unix.Getpagesize()
	fd := l.open("f", rdwrCreate, 0o600)
	l.pwrite("f", fd, strings.Repeat("a", 3*page+100), 0)
	shared, err := unix.Mmap(fd, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	l.err("mmap shared", err)
	if err != nil {
		return
	}
	private, err := unix.Mmap(fd, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	l.err("mmap private", err)
	l.printf("tail of the last page: %q", shared[3*page+98:3*page+103])
	copy(shared[page-5:], "0123456789")
	copy(private[2*page:], "private")
	l.pread("what was written through the mapping", fd, 20, int64(page-10))
	l.pread("what was written privately", fd, 10, int64(2*page))
	l.pwrite("beside the mapping", fd, "BESIDE", int64(2*page+10))
	l.printf("through the mapping: %q", shared[2*page+8:2*page+18])
	l.err("msync", unix.Msync(shared, unix.MS_SYNC))
	l.err("fsync", unix.Fsync(fd))
	l.content("f")
	l.err("ftruncate", unix.Ftruncate(fd, int64(page+10)))
	l.printf("cut: %q", shared[page:page+14])
	l.printf("behind the end: %s", touch(shared, 3*page))
	l.err("ftruncate", unix.Ftruncate(fd, int64(4*page)))
	l.printf("grown: %q %s", shared[page:page+14], touch(shared, 3*page))
	shared[4*page-1] = 'z'
	l.err("munmap", unix.Munmap(private))
	l.err("munmap", unix.Munmap(shared))
	l.close(fd)
	l.content("f")

	// written by mmap only, then read by a fresh descriptor
	fd = l.open("g", rdwrCreate, 0o600)
	const size = 5 << 20
	l.err("ftruncate", unix.Ftruncate(fd, size))
	shared, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	l.err("mmap", err)
	for i := range shared {
		shared[i] = byte(i * 7 >> 3)
	}
	l.err("munmap", unix.Munmap(shared))
	l.close(fd)
	l.content("g")
	fd = l.open("g", unix.O_RDONLY, 0)
	_, err = unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	l.err("shared and writable of a read-only descriptor", err)
	ro, err := unix.Mmap(fd, int64(page), page, unix.PROT_READ, unix.MAP_SHARED)
	l.err("read-only", err)
	l.close(fd)
	l.err("unlink", unix.Unlink("g"))
	l.printf("after unlink: %s", digest(ro))
	l.err("munmap", unix.Munmap(ro))
}

// touch reads a byte of a mapping and says whether that is allowed.
func touch(mapping []byte, at int) (result string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			result = "SIGBUS"
		}
	}()
	return fmt.Sprintf("%q", mapping[at])
}
