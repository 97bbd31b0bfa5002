package fuseabi

// FUSE_NAME_OFFSET and FUSE_NAME_OFFSET_DIRENTPLUS are where the name begins in a directory
// entry. linux/fuse.h
const (
	FUSE_NAME_OFFSET            = 24
	FUSE_NAME_OFFSET_DIRENTPLUS = 152
)

// RecAlign rounds n up to a multiple of 8, to which records and extensions are aligned.
//
// linux/fuse.h, FUSE_REC_ALIGN
func RecAlign(n int) int { return (n + 7) &^ 7 }

// DirentAlign rounds n up to a multiple of 8, to which directory entries are aligned.
//
// linux/fuse.h, FUSE_DIRENT_ALIGN
func DirentAlign(n int) int { return RecAlign(n) }

// DirentSize returns the bytes that a READDIR entry with a name of namelen bytes takes.
//
// linux/fuse.h, FUSE_DIRENT_SIZE
func DirentSize(namelen int) int { return DirentAlign(FUSE_NAME_OFFSET + namelen) }

// DirentplusSize returns the bytes that a READDIRPLUS entry with a name of namelen bytes takes.
//
// linux/fuse.h, FUSE_DIRENTPLUS_SIZE
func DirentplusSize(namelen int) int {
	return DirentAlign(FUSE_NAME_OFFSET_DIRENTPLUS + namelen)
}
