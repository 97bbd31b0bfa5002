package uring

import "golang.org/x/sys/unix"

// ReadsInline says whether reads of a file are tried at submission, which for cached data is all they need. Otherwise
// each is handed to a worker of the kernel, which costs ten times what a cached pread(2) does: so it is on tmpfs, whose
// data are always in memory, and for such files a caller does better to read by itself. It reads a byte, from a
// descriptor that was opened for reading; files whose every read blocks (terminals) are not worth asking about.
func ReadsInline(fd int) bool {
	for {
		_, err := unix.Preadv2(fd, [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT)
		if err != unix.EINTR {
			return err == nil || err == unix.EAGAIN
		}
	}
}
