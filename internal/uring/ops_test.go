package uring_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// opTests has one test for every opcode that the package prepares. They run on every flavour of rings.
var opTests = []struct {
	name string
	op   uint8
	test func(t *testing.T, r *uring.Ring)
}{
	{"nop", uring.IORING_OP_NOP, testNop},
	{"read", uring.IORING_OP_READ, testRead},
	{"write", uring.IORING_OP_WRITE, testWrite},
	{"readv", uring.IORING_OP_READV, testReadv},
	{"writev", uring.IORING_OP_WRITEV, testWritev},
	{"read_fixed", uring.IORING_OP_READ_FIXED, testFixed},
	{"write_fixed", uring.IORING_OP_WRITE_FIXED, testFixed},
	{"fsync", uring.IORING_OP_FSYNC, testFsync},
	{"sync_file_range", uring.IORING_OP_SYNC_FILE_RANGE, testSyncFileRange},
	{"fallocate", uring.IORING_OP_FALLOCATE, testFallocate},
	{"ftruncate", uring.IORING_OP_FTRUNCATE, testFtruncate},
	{"fadvise", uring.IORING_OP_FADVISE, testFadvise},
	{"splice", uring.IORING_OP_SPLICE, testSplice},
	{"openat2", uring.IORING_OP_OPENAT2, testOpenat2},
	{"close", uring.IORING_OP_CLOSE, testOpenat2},
	{"statx", uring.IORING_OP_STATX, testStatx},
	{"unlinkat", uring.IORING_OP_UNLINKAT, testUnlinkat},
	{"renameat", uring.IORING_OP_RENAMEAT, testRenameat},
	{"mkdirat", uring.IORING_OP_MKDIRAT, testMkdirat},
	{"symlinkat", uring.IORING_OP_SYMLINKAT, testSymlinkat},
	{"linkat", uring.IORING_OP_LINKAT, testLinkat},
	{"getxattr", uring.IORING_OP_GETXATTR, testXattr},
	{"setxattr", uring.IORING_OP_SETXATTR, testXattr},
	{"fgetxattr", uring.IORING_OP_FGETXATTR, testFxattr},
	{"fsetxattr", uring.IORING_OP_FSETXATTR, testFxattr},
	{"async_cancel", uring.IORING_OP_ASYNC_CANCEL, testCancel},
	{"timeout", uring.IORING_OP_TIMEOUT, testTimeout},
	{"timeout_remove", uring.IORING_OP_TIMEOUT_REMOVE, testTimeoutRemove},
	{"link_timeout", uring.IORING_OP_LINK_TIMEOUT, testLinkTimeout},
	{"poll_add", uring.IORING_OP_POLL_ADD, testPoll},
	{"poll_remove", uring.IORING_OP_POLL_REMOVE, testPollRemove},
	{"msg_ring", uring.IORING_OP_MSG_RING, testMsgRing},
	{"files_update", uring.IORING_OP_FILES_UPDATE, testFilesUpdate},
	{"uring_cmd", uring.IORING_OP_URING_CMD, testUringCmd},
}

func TestOps(t *testing.T) {
	for _, o := range opTests {
		t.Run(o.name, func(t *testing.T) {
			onEvery(t, func(t *testing.T, r *uring.Ring) {
				skipUnless(t, r, opcodeReason(o.op))
				o.test(t, r)
				none(t, r)
			})
		})
	}
}

func testNop(t *testing.T, r *uring.Ring) {
	want(t, r, 0, func(s *uring.SQE) { s.PrepNop() })
}

func testRead(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "hello world")
	buf := make([]byte, 64)
	want(t, r, 5, func(s *uring.SQE) { s.PrepRead(fd, buf, 6) })
	if string(buf[:5]) != "world" {
		t.Errorf("read %q", buf[:5])
	}
	want(t, r, 0, func(s *uring.SQE) { s.PrepRead(fd, buf, 11) })
	want(t, r, 11, func(s *uring.SQE) { s.PrepRead(fd, buf, uring.CurrentPosition) })
	want(t, r, 0, func(s *uring.SQE) { s.PrepRead(fd, buf, uring.CurrentPosition) })
	want(t, r, -int32(unix.EBADF), func(s *uring.SQE) { s.PrepRead(-1, buf, 0) })
}

func testWrite(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "hello world")
	buf := []byte("there")
	want(t, r, 5, func(s *uring.SQE) { s.PrepWrite(fd, buf, 6) })
	if got := content(t, path); got != "hello there" {
		t.Errorf("the file is %q", got)
	}
}

func testReadv(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "hello world")
	a, b := make([]byte, 3), make([]byte, 4)
	iovs := []unix.Iovec{{Base: &a[0], Len: 3}, {Base: &b[0], Len: 4}}
	want(t, r, 7, func(s *uring.SQE) { s.PrepReadv(fd, iovs, 2, 0) })
	if string(a)+string(b) != "llo wor" {
		t.Errorf("read %q %q", a, b)
	}
}

func testWritev(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "hello world")
	a, b := []byte("JE"), []byte("LLY")
	iovs := []unix.Iovec{{Base: &a[0], Len: 2}, {Base: &b[0], Len: 3}}
	want(t, r, 5, func(s *uring.SQE) { s.PrepWritev(fd, iovs, 0, 0) })
	want(t, r, 5, func(s *uring.SQE) { s.PrepWritev(fd, iovs, 0, unix.RWF_APPEND) })
	if got := content(t, path); got != "JELLY worldJELLY" {
		t.Errorf("the file is %q", got)
	}
}

func testFixed(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "hello world")
	mem := make([]byte, 4096)
	if err := r.RegisterBuffers([][]byte{mem}); err != nil {
		t.Fatal(err)
	}
	want(t, r, 11, func(s *uring.SQE) { s.PrepReadFixed(fd, mem[100:200], 0, 0) })
	if string(mem[100:111]) != "hello world" {
		t.Errorf("read %q", mem[100:111])
	}
	want(t, r, 5, func(s *uring.SQE) { s.PrepWriteFixed(fd, mem[106:111], 0, 0) })
	if got := content(t, path); got != "world world" {
		t.Errorf("the file is %q", got)
	}
	want(t, r, -int32(unix.EFAULT), func(s *uring.SQE) { s.PrepReadFixed(fd, make([]byte, 10), 0, 0) })
	want(t, r, -int32(unix.EFAULT), func(s *uring.SQE) { s.PrepReadFixed(fd, mem, 0, 1) })
}

func testFsync(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "x")
	want(t, r, 0, func(s *uring.SQE) { s.PrepFsync(fd, 0) })
	want(t, r, 0, func(s *uring.SQE) { s.PrepFsync(fd, uring.IORING_FSYNC_DATASYNC) })
}

func testSyncFileRange(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "x")
	want(t, r, 0, func(s *uring.SQE) { s.PrepSyncFileRange(fd, 0, 1, unix.SYNC_FILE_RANGE_WRITE) })
}

func testFallocate(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "x")
	want(t, r, 0, func(s *uring.SQE) { s.PrepFallocate(fd, 0, 0, 10000) })
	if got := len(content(t, path)); got != 10000 {
		t.Errorf("the size is %d", got)
	}
	want(t, r, 0, func(s *uring.SQE) { s.PrepFallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 20000) })
	if got := len(content(t, path)); got != 10000 {
		t.Errorf("the size is %d", got)
	}
}

func testFtruncate(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "hello world")
	want(t, r, 0, func(s *uring.SQE) { s.PrepFtruncate(fd, 5) })
	if got := content(t, path); got != "hello" {
		t.Errorf("the file is %q", got)
	}
}

func testFadvise(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "hello world")
	want(t, r, 0, func(s *uring.SQE) { s.PrepFadvise(fd, 0, 0, unix.FADV_WILLNEED) })
	want(t, r, -int32(unix.EINVAL), func(s *uring.SQE) { s.PrepFadvise(fd, 0, 0, 99) })
}

func testSplice(t *testing.T, r *uring.Ring) {
	fd, _ := tempFile(t, "hello world")
	pr, pw := pipe(t, 0)
	want(t, r, 5, func(s *uring.SQE) { s.PrepSplice(fd, 6, pw, -1, 5, 0) })
	buf := make([]byte, 10)
	if n, err := unix.Read(pr, buf); err != nil || string(buf[:n]) != "world" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func testOpenat2(t *testing.T, r *uring.Ring) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	dirfd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dirfd)
	how := &unix.OpenHow{Flags: unix.O_CREAT | unix.O_RDWR | unix.O_CLOEXEC, Mode: 0o640, Resolve: unix.RESOLVE_BENEATH}
	fd := do(t, r, func(s *uring.SQE) { s.PrepOpenat2(dirfd, name("new"), how) })
	if fd < 0 {
		t.Fatal(unix.Errno(-fd))
	}
	if _, err := unix.Write(int(fd), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "x" {
		t.Errorf("the file is %q", got)
	}
	want(t, r, 0, func(s *uring.SQE) { s.PrepClose(int(fd)) })
	want(t, r, -int32(unix.EBADF), func(s *uring.SQE) { s.PrepClose(int(fd)) })
	want(t, r, -int32(unix.EXDEV), func(s *uring.SQE) { s.PrepOpenat2(dirfd, name("../x"), how) })

	// into the table of registered files
	if err := r.RegisterFilesSparse(4); err != nil {
		t.Fatal(err)
	}
	direct := &unix.OpenHow{Flags: unix.O_RDWR}
	want(t, r, 0, func(s *uring.SQE) { s.PrepOpenat2(dirfd, name("new"), direct); s.SetDirect(2) })
	i := do(t, r, func(s *uring.SQE) {
		s.PrepOpenat2(dirfd, name("new"), direct)
		s.SetDirect(uring.IORING_FILE_INDEX_ALLOC)
	})
	if i < 0 || i == 2 || i > 3 {
		t.Fatalf("direct descriptor %d", i)
	}
	buf := make([]byte, 4)
	for _, i := range []uint32{2, uint32(i)} {
		want(t, r, 1, func(s *uring.SQE) { s.PrepRead(int(i), buf, 0); s.Flags |= uring.IOSQE_FIXED_FILE })
		want(t, r, 0, func(s *uring.SQE) { s.PrepCloseDirect(i) })
		want(t, r, -int32(unix.EBADF), func(s *uring.SQE) { s.PrepRead(int(i), buf, 0); s.Flags |= uring.IOSQE_FIXED_FILE })
	}
}

func testStatx(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "hello world")
	st := &unix.Statx_t{}
	want(t, r, 0, func(s *uring.SQE) { s.PrepStatx(unix.AT_FDCWD, name(path), 0, unix.STATX_BASIC_STATS, st) })
	if st.Size != 11 {
		t.Errorf("the size is %d", st.Size)
	}
	*st = unix.Statx_t{}
	want(t, r, 0, func(s *uring.SQE) { s.PrepStatx(fd, name(""), unix.AT_EMPTY_PATH, unix.STATX_SIZE, st) })
	if st.Size != 11 {
		t.Errorf("the size is %d", st.Size)
	}
	want(t, r, -int32(unix.ENOENT), func(s *uring.SQE) { s.PrepStatx(unix.AT_FDCWD, name(path+"x"), 0, 0, st) })
}

func testUnlinkat(t *testing.T, r *uring.Ring) {
	_, path := tempFile(t, "")
	dir := filepath.Dir(path)
	want(t, r, 0, func(s *uring.SQE) { s.PrepUnlinkat(unix.AT_FDCWD, name(path), 0) })
	want(t, r, -int32(unix.EISDIR), func(s *uring.SQE) { s.PrepUnlinkat(unix.AT_FDCWD, name(dir), 0) })
	want(t, r, 0, func(s *uring.SQE) { s.PrepUnlinkat(unix.AT_FDCWD, name(dir), unix.AT_REMOVEDIR) })
	if exists(path) || exists(dir) {
		t.Error("still there")
	}
}

func testRenameat(t *testing.T, r *uring.Ring) {
	_, a := tempFile(t, "a")
	_, b := tempFile(t, "b")
	rename := func(flags uint32) func(s *uring.SQE) {
		return func(s *uring.SQE) { s.PrepRenameat(unix.AT_FDCWD, name(a), unix.AT_FDCWD, name(b), flags) }
	}
	want(t, r, -int32(unix.EEXIST), rename(unix.RENAME_NOREPLACE))
	want(t, r, 0, rename(unix.RENAME_EXCHANGE))
	if content(t, a) != "b" || content(t, b) != "a" {
		t.Error("not exchanged")
	}
	want(t, r, 0, rename(0))
	if exists(a) || content(t, b) != "b" {
		t.Error("not renamed")
	}
}

func testMkdirat(t *testing.T, r *uring.Ring) {
	dir := filepath.Join(t.TempDir(), "d")
	want(t, r, 0, func(s *uring.SQE) { s.PrepMkdirat(unix.AT_FDCWD, name(dir), 0o750) })
	want(t, r, -int32(unix.EEXIST), func(s *uring.SQE) { s.PrepMkdirat(unix.AT_FDCWD, name(dir), 0o750) })
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		t.Errorf("%v, %v", fi, err)
	}
}

func testSymlinkat(t *testing.T, r *uring.Ring) {
	link := filepath.Join(t.TempDir(), "l")
	want(t, r, 0, func(s *uring.SQE) { s.PrepSymlinkat(name("target"), unix.AT_FDCWD, name(link)) })
	if got, err := os.Readlink(link); got != "target" {
		t.Errorf("%q, %v", got, err)
	}
}

func testLinkat(t *testing.T, r *uring.Ring) {
	_, path := tempFile(t, "x")
	want(t, r, 0, func(s *uring.SQE) {
		s.PrepLinkat(unix.AT_FDCWD, name(path), unix.AT_FDCWD, name(path+"2"), 0)
	})
	if got := content(t, path+"2"); got != "x" {
		t.Errorf("the file is %q", got)
	}
}

// xattrs skips where there are no attributes.
func xattrs(t *testing.T, path string) {
	t.Helper()
	if err := unix.Setxattr(path, "user.probe", []byte("x"), 0); err == unix.EOPNOTSUPP {
		skip(t, noXattr)
	}
}

func testXattr(t *testing.T, r *uring.Ring) {
	_, path := tempFile(t, "x")
	xattrs(t, path)
	value, buf := []byte("value"), make([]byte, 20)
	want(t, r, 0, func(s *uring.SQE) { s.PrepSetxattr(name(path), name("user.a"), value, unix.XATTR_CREATE) })
	want(t, r, -int32(unix.EEXIST), func(s *uring.SQE) {
		s.PrepSetxattr(name(path), name("user.a"), value, unix.XATTR_CREATE)
	})
	want(t, r, 5, func(s *uring.SQE) { s.PrepGetxattr(name(path), name("user.a"), buf) })
	if string(buf[:5]) != "value" {
		t.Errorf("%q", buf)
	}
	want(t, r, 5, func(s *uring.SQE) { s.PrepGetxattr(name(path), name("user.a"), nil) })
}

func testFxattr(t *testing.T, r *uring.Ring) {
	fd, path := tempFile(t, "x")
	xattrs(t, path)
	value, buf := []byte("value"), make([]byte, 20)
	want(t, r, 0, func(s *uring.SQE) { s.PrepFsetxattr(fd, name("user.a"), value, 0) })
	want(t, r, 5, func(s *uring.SQE) { s.PrepFgetxattr(fd, name("user.a"), buf) })
	want(t, r, -int32(unix.ENODATA), func(s *uring.SQE) { s.PrepFgetxattr(fd, name("user.b"), buf) })
	want(t, r, -int32(unix.ERANGE), func(s *uring.SQE) { s.PrepFgetxattr(fd, name("user.a"), buf[:2]) })
}
