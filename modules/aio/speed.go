package aio

import (
	"slices"

	"golang.org/x/sys/unix"
)

// speed says what a file system makes one wait for.
type speed uint8

const (
	disk   speed = iota // data
	memory              // nothing
	remote              // everything
)

type deviceSpeed struct {
	dev uint64
	speed
}

// speedOf says how fast the file system of a file is, if that is known already.
func (a *Aio) speedOf(st *unix.Statx_t) (speed, bool) {
	dev := keyOf(st).dev
	for _, d := range *a.speeds.Load() {
		if d.dev == dev {
			return d.speed, true
		}
	}
	return remote, false
}

// learnSpeed is speedOf where one may wait.
func (a *Aio) learnSpeed(fd int, st *unix.Statx_t) speed {
	if sp, ok := a.speedOf(st); ok {
		return sp
	}
	sp := remote
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) == nil {
		sp = speedOfType(uint32(fs.Type))
	}
	if a.watch != nil {
		_ = a.watch.mark(fd) // what cannot be watched is not
	}
	for {
		old := a.speeds.Load()
		list := append(slices.Clone(*old), deviceSpeed{keyOf(st).dev, sp})
		if a.speeds.CompareAndSwap(old, &list) {
			return sp
		}
	}
}

// speedOfType knows file systems by their magic numbers. Those that it does not know may be anything.
func speedOfType(magic uint32) speed {
	switch magic {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return memory
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, unix.ISOFS_SUPER_MAGIC,
		unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, bcachefs, zfs:
		return disk
	}
	return remote
}

const (
	bcachefs = 0xca451a4e
	zfs      = 0x2fc12fc1
)
