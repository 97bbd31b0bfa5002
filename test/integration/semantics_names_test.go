package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// sections of the semantics workload, by subject.
var sections = []section{
	{name: "open", run: sectionOpen},
	{name: "readwrite", run: sectionReadWrite},
	{name: "truncate", run: sectionTruncate},
	{name: "append", run: sectionAppend},
	{name: "rename", run: sectionRename},
	{name: "renameflags", run: sectionRenameFlags},
	{name: "link", run: sectionLink},
	{name: "unlinked", run: sectionUnlinked},
	{name: "symlink", run: sectionSymlink},
	{name: "directory", run: sectionDirectory},
	{name: "readdir", run: sectionReaddir},
	{name: "names", run: sectionNames},
	{name: "attributes", run: sectionAttributes},
	{name: "times", run: sectionTimes},
	{name: "ownership", run: sectionOwnership},
	{name: "mknod", run: sectionMknod},
	{name: "xattr", run: sectionXattr},
	{name: "fallocate", run: sectionFallocate},
	{name: "copyrange", run: sectionCopyRange},
	{name: "mmap", run: sectionMmap},
	{name: "statfs", run: sectionStatfs},
	{name: "cwd", run: sectionCwd},

	// by many callers and on all kinds of files: what pjdfstest checks, directory by directory, and more
	{name: "cases-chmod", run: casesChmod, cases: true},
	{name: "cases-chown", run: casesChown, cases: true},
	{name: "cases-ftruncate", run: casesFtruncate, cases: true},
	{name: "cases-link", run: casesLink, cases: true},
	{name: "cases-mkdir", run: casesMkdir, cases: true},
	{name: "cases-mkfifo", run: casesMkfifo, cases: true},
	{name: "cases-mknod", run: casesMknod, cases: true},
	{name: "cases-open", run: casesOpen, cases: true},
	{name: "cases-posix_fallocate", run: casesFallocate, cases: true},
	{name: "cases-rename", run: casesRename, cases: true},
	{name: "cases-rmdir", run: casesRmdir, cases: true},
	{name: "cases-symlink", run: casesSymlink, cases: true},
	{name: "cases-truncate", run: casesTruncate, cases: true},
	{name: "cases-unlink", run: casesUnlink, cases: true},
	{name: "cases-utimensat", run: casesUtimensat, cases: true},
}

const rdwrCreate = unix.O_RDWR | unix.O_CREAT

func sectionOpen(l *transcript) {
	fd := l.open("f", rdwrCreate|unix.O_EXCL, 0o640)
	l.stat("f")
	l.open("f", rdwrCreate|unix.O_EXCL, 0o640)
	l.pwrite("f", fd, "hello", 0)
	l.close(fd)
	fd = l.open("f", unix.O_RDONLY, 0)
	l.pwrite("read-only", fd, "x", 0)
	l.pread("read-only", fd, 10, 1)
	l.close(fd)
	fd = l.open("f", unix.O_WRONLY, 0)
	l.pread("write-only", fd, 10, 0)
	l.close(fd)
	fd = l.open("f", unix.O_RDWR|unix.O_TRUNC, 0)
	l.fstat("after O_TRUNC", fd)
	l.close(fd)
	l.close(l.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0))
	l.open("f", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	l.open(".", unix.O_RDWR, 0)
	l.open(".", rdwrCreate, 0o600)
	l.open("missing", unix.O_RDONLY, 0)
	l.open("missing/f", rdwrCreate, 0o600)
	l.open("f/g", rdwrCreate, 0o600)
	l.err("symlink", unix.Symlink("f", "s"))
	l.open("s", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	l.close(l.open("s", unix.O_RDONLY, 0))
	l.err("symlink", unix.Symlink("through", "t"))
	l.close(l.open("t", rdwrCreate, 0o600))
	l.stat("through")
	l.close(l.open("zero", rdwrCreate, 0)) // mode 0 does not hinder the creator
	l.stat("zero")
	l.close(l.open("wide", rdwrCreate, 0o7777))
	l.stat("wide")
	fd = l.open("f", unix.O_PATH, 0)
	l.pread("O_PATH", fd, 1, 0)
	l.fstat("O_PATH", fd)
	l.close(fd)
}

func sectionRename(l *transcript) {
	rename := func(from, to string) { l.err(fmt.Sprintf("rename %s %.20s", from, to), unix.Rename(from, to)) }
	for _, d := range []string{"d", "d/sub", "empty", "full", "full/x"} {
		l.err("mkdir", unix.Mkdir(d, 0o755))
	}
	l.create("f", "f")
	l.create("g", "g")
	open := l.open("f", unix.O_RDWR, 0)
	victim := l.open("g", unix.O_RDWR, 0)
	rename("f", "g")
	l.content("g")
	l.pwrite("renamed", open, "F2", 0)
	l.content("g")
	l.fstat("replaced", victim)
	l.pread("replaced", victim, 10, 0)
	l.close(open)
	l.close(victim)
	rename("missing", "x")
	rename("g", "empty")
	rename("d", "g")
	rename("d", "full")
	rename("d", "d/sub/x")
	rename("d/sub", "d")
	rename("d", "empty")
	l.stat(".")
	l.stat("empty")
	rename("g", "empty/sub/g")
	l.content("empty/sub/g")
	rename("empty/sub/g", "empty/sub/g")
	rename("empty/sub/g", "nowhere/g")
	rename("empty/sub/g", strings.Repeat("n", 256))
	rename("empty/sub/g", strings.Repeat("n", 255))
	rename(".", "dot")
	rename("empty/..", "dot")
	l.err("link", unix.Link(strings.Repeat("n", 255), "same"))
	rename("same", strings.Repeat("n", 255)) // both are one file: nothing happens
	l.list(".")
	rename("full/x", "x")
	l.stat("full")
	l.stat(".")
	rename("same", "x")
	rename("x", "same")
	l.err("symlink", unix.Symlink("missing", "s"))
	rename("s", "s2")
	rename("s2", "same")
	l.list(".")
}

func sectionRenameFlags(l *transcript) {
	rename := func(from, to string, flags uint) {
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
		l.err(fmt.Sprintf("renameat2 %s %s %d", from, to, flags), err)
	}
	l.create("a", "A")
	l.create("b", "B")
	l.err("mkdir", unix.Mkdir("d", 0o755))
	l.err("mkdir", unix.Mkdir("d/e", 0o755))
	l.err("mkdir", unix.Mkdir("d/e/f", 0o755))
	rename("a", "b", unix.RENAME_NOREPLACE)
	rename("a", "c", unix.RENAME_NOREPLACE)
	rename("c", "b", unix.RENAME_EXCHANGE)
	l.content("c")
	l.content("b")
	rename("c", "missing", unix.RENAME_EXCHANGE)
	rename("missing", "c", unix.RENAME_EXCHANGE)
	rename("b", "d/e", unix.RENAME_EXCHANGE)
	l.list(".")
	l.list("d")
	l.stat(".")
	l.stat("d")
	l.content("d/e")
	l.stat("b/f")
	rename("d", "d/e", unix.RENAME_EXCHANGE)
	rename("b", "b/f", unix.RENAME_EXCHANGE)
	rename("c", "c", unix.RENAME_EXCHANGE)
	rename("c", "c", unix.RENAME_NOREPLACE)
	rename("c", "d/e", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE)
	rename("c", "d/e", 1<<10)
}

func sectionLink(l *transcript) {
	l.create("a", "A")
	l.err("link", unix.Link("a", "b"))
	l.stat("a")
	l.create("b", "longer")
	l.content("a")
	l.err("exists", unix.Link("a", "b"))
	l.err("missing", unix.Link("missing", "c"))
	l.err("mkdir", unix.Mkdir("d", 0o755))
	l.err("directory", unix.Link("d", "e"))
	l.err("deeper", unix.Link("a", "d/c"))
	l.stat("d/c")
	l.err("unlink", unix.Unlink("a"))
	l.stat("b")
	l.content("d/c")
	l.err("symlink", unix.Symlink("b", "s"))
	l.err("link to a link", unix.Link("s", "s2"))
	l.stat("s2")
	for i := range 300 {
		if err := unix.Link("b", fmt.Sprintf("d/l%d", i)); err != nil {
			l.err("many", err)
		}
	}
	l.stat("b")
	fd := l.open("b", unix.O_RDONLY, 0)
	l.err("linkat of a descriptor", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, "again",
		unix.AT_SYMLINK_FOLLOW))
	l.stat("again")
	l.close(fd)
}

func sectionUnlinked(l *transcript) {
	fd := l.open("f", rdwrCreate, 0o600)
	l.pwrite("f", fd, "still here", 0)
	l.err("unlink", unix.Unlink("f"))
	l.stat("f")
	l.fstat("unlinked", fd)
	l.pread("unlinked", fd, 20, 0)
	l.pwrite("unlinked", fd, "there", 6)
	l.err("ftruncate", unix.Ftruncate(fd, 8))
	l.pread("unlinked", fd, 20, 0)
	l.err("fchmod", unix.Fchmod(fd, 0o444))
	l.err("fsync", unix.Fsync(fd))
	l.fstat("unlinked", fd)
	l.err("linkat", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, "back",
		unix.AT_SYMLINK_FOLLOW))
	l.create("f", "new")
	l.pread("old", fd, 20, 0)
	l.content("f")
	l.close(fd)
	l.err("mkdir", unix.Mkdir("d", 0o755))
	dir := l.open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	l.err("rmdir", unix.Rmdir("d"))
	l.fstat("removed", dir)
	_, err := unix.Openat(dir, "x", rdwrCreate, 0o600)
	l.err("create in a removed directory", err)
	l.err("mkdir in a removed directory", unix.Mkdirat(dir, "x", 0o755))
	buf := make([]byte, 4096)
	n, err := unix.Getdents(dir, buf)
	l.printf("getdents: %v %s", n > 0, errName(err))
	l.close(dir)
	l.list(".")
}

func sectionSymlink(l *transcript) {
	long := strings.Repeat("0123456789abcde/", 255) + "0123456789abcde" // PATH_MAX less one
	for i, target := range []string{"f", "/abs/olute", "../up", "loop4", long, long[:100], "\xff\x01 \n"} {
		name := fmt.Sprintf("loop%d", i+1)
		l.err("symlink", unix.Symlink(target, name))
		buf := make([]byte, 5000)
		n, err := unix.Readlink(name, buf)
		l.printf("readlink: %d %s %v", n, errName(err), err == nil && string(buf[:n]) == target)
		l.stat(name)
	}
	l.err("too long", unix.Symlink(long+"x", "x"))
	l.err("empty", unix.Symlink("", "x"))
	l.err("exists", unix.Symlink("f", "loop1"))
	l.open("loop4", unix.O_RDONLY, 0)
	l.create("f", "f")
	l.content("loop1")
	buf := make([]byte, 2)
	n, err := unix.Readlink("loop2", buf)
	l.printf("short buffer: %d %s %q", n, errName(err), buf)
	_, err = unix.Readlink("f", buf)
	l.err("readlink of a file", err)
	l.err("unlink", unix.Unlink("loop1"))
	l.stat("f")
	l.err("lchown", unix.Lchown("loop2", 5, 6))
	l.stat("loop2")
}

func sectionDirectory(l *transcript) {
	l.err("mkdir", unix.Mkdir("d", 0o777))
	l.stat("d")
	l.err("exists", unix.Mkdir("d", 0o777))
	l.err("missing parent", unix.Mkdir("x/y", 0o777))
	l.err("mkdir", unix.Mkdir("d/e", 0o1777))
	l.stat("d/e")
	l.stat("d")
	l.err("not empty", unix.Rmdir("d"))
	l.create("f", "")
	l.err("rmdir of a file", unix.Rmdir("f"))
	l.err("unlink of a directory", unix.Unlink("d"))
	l.err("unlink of a missing file", unix.Unlink("missing"))
	l.err("rmdir of a missing directory", unix.Rmdir("missing"))
	l.err("rmdir dot", unix.Rmdir("d/."))
	l.err("rmdir dot dot", unix.Rmdir("d/e/.."))
	l.err("below a file", unix.Mkdir("f/d", 0o755))
	l.err("rmdir", unix.Rmdir("d/e"))
	l.stat("d")
	l.err("rmdir", unix.Rmdir("d"))
	l.err("rmdir again", unix.Rmdir("d"))
	deep := strings.Repeat("d/", 200)
	l.err("mkdir -p", os.MkdirAll(deep, 0o755))
	l.create(deep+"f", "deep")
	l.content(deep + "f")
	l.err("rm -r", os.RemoveAll("d"))
	l.list(".")
}

func sectionReaddir(l *transcript) {
	const n = 3000
	for i := range n {
		l.create(fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%200)), "")
	}
	fd := l.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	all, err := readNames(fd, 700, -1)
	l.printf("small buffers: %d names, %d different, %s", len(all), countDistinct(all), errName(err))
	_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	l.err("rewind", err)
	some, err := readNames(fd, 4096, 500)
	l.printf("%v %s", len(some) >= 500, errName(err))
	for i := range n { // while it is read: what stays is seen exactly once
		if i%2 == 0 {
			if err := unix.Unlink(fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%200))); err != nil {
				l.err("unlink", err)
			}
		}
	}
	rest, err := readNames(fd, 4096, -1)
	seen := map[string]int{}
	for _, name := range append(some, rest...) {
		seen[name]++
	}
	missing, twice := 0, 0
	for i := 1; i < n; i += 2 {
		switch seen[fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%200))] {
		case 0:
			missing++
		case 1:
		default:
			twice++
		}
	}
	l.printf("while removing: %s, %d missing, %d twice", errName(err), missing, twice)
	_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	l.err("rewind", err)
	l.create("new", "")
	again, err := readNames(fd, 1<<16, -1)
	l.printf("after rewind: %d names, new: %v, %s", len(again), slices.Contains(again, "new"), errName(err))
	l.close(fd)
	l.list("missing")
	_, err = unix.Getdents(0, make([]byte, 100))
	l.err("getdents of a file", err)
}

// readNames reads at least limit names (all if limit is negative) with a buffer of size bytes.
func readNames(fd, size, limit int) ([]string, error) {
	var names []string
	buf := make([]byte, size)
	for limit < 0 || len(names) < limit {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	return names, nil
}

func countDistinct(names []string) int {
	slices.Sort(names)
	return len(slices.Compact(slices.Clone(names)))
}

func sectionNames(l *transcript) {
	for _, name := range []string{
		"plain", strings.Repeat("x", 255), strings.Repeat("x", 256), "with space", "new\nline", "\xff\xfe", "ümlaut", "...",
		" ", "-", "a\\b", strings.Repeat("é", 127), strings.Repeat("é", 128),
	} {
		l.close(l.open(name, rdwrCreate|unix.O_EXCL, 0o600))
		l.stat(name)
	}
	l.list(".")
	l.open("", rdwrCreate, 0o600)
	l.open("trailing/", rdwrCreate, 0o600)
	l.err("mkdir", unix.Mkdir("trailing/", 0o755))
	l.stat("trailing/./../trailing")
	l.stat("plain/")
	l.stat(strings.Repeat("y/", 2100))
}

// sectionStatfs counts what a new file takes. The tmpfs that it is compared with is everybody's, so it counts again if
// somebody else seems to have been at work in between.
func sectionStatfs(l *transcript) {
	var before, after unix.Statfs_t
	var space, files bool
	for range 20 {
		l.failure("statfs", unix.Statfs(".", &before))
		fd, err := unix.Open("f", rdwrCreate, 0o600)
		l.failure("open", err)
		_, err = unix.Pwrite(fd, make([]byte, 1<<24), 0)
		l.failure("pwrite", err)
		l.failure("fsync", unix.Fsync(fd))
		l.failure("fstatfs", unix.Fstatfs(fd, &after))
		l.failure("close", unix.Close(fd))
		l.failure("unlink", unix.Unlink("f"))
		used := int64(before.Bfree)*before.Bsize - int64(after.Bfree)*after.Bsize
		space, files = used >= 1<<24 && used < 1<<25, before.Ffree == after.Ffree+1
		if space && files {
			break
		}
	}
	l.printf("plausible: %v %v %v", before.Bsize >= 512, before.Blocks >= before.Bfree, before.Bfree >= before.Bavail)
	l.printf("longest name: %d", before.Namelen)
	l.printf("a file of 16 MiB takes 16 MiB: %v, and is one file: %v", space, files)
}

func sectionCwd(l *transcript) {
	l.err("mkdir", os.MkdirAll("a/b/c", 0o755))
	l.err("chdir", unix.Chdir("a/b/c"))
	l.err("rename", unix.Rename("../../../a", "../../../z"))
	wd, err := os.Readlink("/proc/self/cwd")
	l.printf("cwd: %v %s", strings.HasSuffix(wd, "/z/b/c"), errName(err))
	l.create("f", "here")
	l.content("../../../z/b/c/f")
	l.stat("../../..")
	l.err("chdir", unix.Chdir("../../.."))
	l.err("rm -r", os.RemoveAll("z"))
	l.err("mkdir", unix.Mkdir("gone", 0o755))
	l.err("chdir", unix.Chdir("gone"))
	l.err("rmdir", unix.Rmdir("../gone"))
	l.open("f", rdwrCreate, 0o600)
	l.list(".")
	l.err("chdir", unix.Chdir(".."))
}
