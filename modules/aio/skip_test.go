package aio_test

import "testing"

// reason is why a test cannot run here.
type reason string

const (
	needsLoop   reason = "there are no loop devices or no losetup and mkfs.ext4: install util-linux and e2fsprogs"
	needsRoot   reason = "this user may not mount or act as others: run as root"
	needsCap    reason = "this user may not open files by their handles, CAP_DAC_READ_SEARCH: run as root"
	needsTmpfs  reason = "there is no tmpfs on /dev/shm: mount one"
	needsDirect reason = "the file system of the directory for temporary files has no O_DIRECT of blocks: set TMPDIR " +
		"to one of ext4 or xfs"
	noSlowWrites reason = "the file system of the directory for temporary files has RWF_NOWAIT for writes: set TMPDIR " +
		"to one of ext4"
	needsThrottle reason = "disks cannot be slowed down: run as root where the cgroup blkio is on " + throttleDir
	noWatch       reason = "this user may not watch a file system, or fanotify cannot: run as root"
	slow          reason = "it compares times: not with -short"
	needsFlags    reason = "files in the directory for temporary ones have no flags: set TMPDIR to ext4, xfs or btrfs"
)

func skip(tb testing.TB, why reason) {
	tb.Helper()
	tb.Skip(string(why))
}
