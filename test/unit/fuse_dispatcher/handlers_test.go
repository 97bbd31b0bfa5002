package fusedispatcher_test

import (
	"testing"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// One test per handler, of every class of input: see classes.

func TestLookup(t *testing.T)          { run(t, FUSE_LOOKUP) }
func TestForget(t *testing.T)          { run(t, FUSE_FORGET) }
func TestGetattr(t *testing.T)         { run(t, FUSE_GETATTR) }
func TestSetattr(t *testing.T)         { run(t, FUSE_SETATTR) }
func TestReadlink(t *testing.T)        { run(t, FUSE_READLINK) }
func TestSymlink(t *testing.T)         { run(t, FUSE_SYMLINK) }
func TestMknod(t *testing.T)           { run(t, FUSE_MKNOD) }
func TestMkdir(t *testing.T)           { run(t, FUSE_MKDIR) }
func TestUnlink(t *testing.T)          { run(t, FUSE_UNLINK) }
func TestRmdir(t *testing.T)           { run(t, FUSE_RMDIR) }
func TestRename(t *testing.T)          { run(t, FUSE_RENAME) }
func TestLink(t *testing.T)            { run(t, FUSE_LINK) }
func TestOpen(t *testing.T)            { run(t, FUSE_OPEN) }
func TestRead(t *testing.T)            { run(t, FUSE_READ) }
func TestWrite(t *testing.T)           { run(t, FUSE_WRITE) }
func TestStatfs(t *testing.T)          { run(t, FUSE_STATFS) }
func TestRelease(t *testing.T)         { run(t, FUSE_RELEASE) }
func TestFsync(t *testing.T)           { run(t, FUSE_FSYNC) }
func TestSetxattr(t *testing.T)        { run(t, FUSE_SETXATTR) }
func TestGetxattr(t *testing.T)        { run(t, FUSE_GETXATTR) }
func TestListxattr(t *testing.T)       { run(t, FUSE_LISTXATTR) }
func TestRemovexattr(t *testing.T)     { run(t, FUSE_REMOVEXATTR) }
func TestFlush(t *testing.T)           { run(t, FUSE_FLUSH) }
func TestInit(t *testing.T)            { run(t, FUSE_INIT) }
func TestOpendir(t *testing.T)         { run(t, FUSE_OPENDIR) }
func TestReaddir(t *testing.T)         { run(t, FUSE_READDIR) }
func TestReleasedir(t *testing.T)      { run(t, FUSE_RELEASEDIR) }
func TestFsyncdir(t *testing.T)        { run(t, FUSE_FSYNCDIR) }
func TestGetlk(t *testing.T)           { run(t, FUSE_GETLK) }
func TestSetlk(t *testing.T)           { run(t, FUSE_SETLK) }
func TestSetlkw(t *testing.T)          { run(t, FUSE_SETLKW) }
func TestAccess(t *testing.T)          { run(t, FUSE_ACCESS) }
func TestCreate(t *testing.T)          { run(t, FUSE_CREATE) }
func TestInterrupt(t *testing.T)       { run(t, FUSE_INTERRUPT) }
func TestBmap(t *testing.T)            { run(t, FUSE_BMAP) }
func TestDestroy(t *testing.T)         { run(t, FUSE_DESTROY) }
func TestIoctl(t *testing.T)           { run(t, FUSE_IOCTL) }
func TestPoll(t *testing.T)            { run(t, FUSE_POLL) }
func TestNotifyReply(t *testing.T)     { run(t, FUSE_NOTIFY_REPLY) }
func TestBatchForget(t *testing.T)     { run(t, FUSE_BATCH_FORGET) }
func TestFallocate(t *testing.T)       { run(t, FUSE_FALLOCATE) }
func TestReaddirplus(t *testing.T)     { run(t, FUSE_READDIRPLUS) }
func TestRename2(t *testing.T)         { run(t, FUSE_RENAME2) }
func TestLseek(t *testing.T)           { run(t, FUSE_LSEEK) }
func TestCopyFileRange(t *testing.T)   { run(t, FUSE_COPY_FILE_RANGE) }
func TestSetupmapping(t *testing.T)    { run(t, FUSE_SETUPMAPPING) }
func TestRemovemapping(t *testing.T)   { run(t, FUSE_REMOVEMAPPING) }
func TestSyncfs(t *testing.T)          { run(t, FUSE_SYNCFS) }
func TestTmpfile(t *testing.T)         { run(t, FUSE_TMPFILE) }
func TestStatx(t *testing.T)           { run(t, FUSE_STATX) }
func TestCopyFileRange64(t *testing.T) { run(t, FUSE_COPY_FILE_RANGE_64) }

// What has no handler is refused, and in the same manner.
func TestUnknown(t *testing.T) { run(t, 7) }

func TestCuseInit(t *testing.T) { run(t, CUSE_INIT) }
