package fusedev

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/reactor"
)

// Defaults and limits of [Options].
const (
	DefaultMaxWrite   = 1 << 20 // bytes; the most a stock kernel sends (256 pages)
	DefaultSlots      = 128
	DefaultBigBuffers = 32
	DefaultLockWaits  = 1024

	minMaxWrite   = 4096 // the kernel sends no less
	maxMaxWrite   = 16 << 20
	minSlots      = 4
	maxSlots      = 1 << 16
	minBigBuffers = 4 // one to read into, two free to go on, one that works
	maxBigBuffers = 1 << 12
	maxLockWaits  = 1 << 16
)

const (
	pageSize = 4096
	// smallSize is the size of a slot's own buffers. Nearly every request and reply without
	// payload fits, and so do READ and WRITE of a page.
	smallSize = 8192
	// lockSize is the size of the buffers of a slot that is only for SETLKW, 88 bytes.
	lockSize = 256
	// ownRequests is how many requests a queue makes itself at a time, see control.
	ownRequests = 1
	// headerRoom is what a request or reply needs beyond its payload.
	headerRoom = 4096
	// maxXattr is XATTR_SIZE_MAX of linux/limits.h: SETXATTR is as long, whatever max_write is.
	maxXattr = 64 << 10
)

// Options say what to mount where, and how. Dispatcher, Threads and Mountpoint must be given.
type Options struct {
	// Dispatcher serves the requests. Its MaxWrite should be this one's.
	Dispatcher *fusedispatcher.Dispatcher
	// Threads get a queue each; there should be one per reactor. They must run, and go on running until the session
	// is done.
	Threads []*reactor.Thread
	// Mountpoint is an existing directory.
	Mountpoint string
	// FsName is the source shown in /proc/mounts; "" means "spdk-go".
	FsName string
	// Subtype makes the file system's type "fuse.Subtype"; "" means "spdk".
	Subtype string

	// AllowOther lets users in other than the one who mounts. Root lets everybody in unless OwnerOnly
	// is set; for another user /etc/fuse.conf must say user_allow_other.
	AllowOther bool
	// OwnerOnly keeps everybody out but the user who mounts, root included.
	OwnerOnly bool
	// NoDefaultPermissions leaves it to the file system to check permissions, which the kernel does else.
	NoDefaultPermissions bool
	// ReadOnly refuses changes in the kernel.
	ReadOnly bool
	// Suid honours set-user-ID bits, and Dev device files. Only root may set them.
	Suid, Dev bool
	// Replace unmounts first, lazily, what a server that has died left on the mountpoint. Anything else that is
	// mounted there stays, and makes Mount fail with EBUSY.
	Replace bool

	// MaxWrite is the most payload of a request or reply, in bytes; 0 means [DefaultMaxWrite].
	// It is rounded up to whole pages. The kernel may use less.
	MaxWrite uint32
	// Slots is how many requests a queue carries at once; 0 means [DefaultSlots].
	Slots int
	// BigBuffers is how many buffers of MaxWrite bytes and a little a queue has; 0 means [DefaultBigBuffers].
	BigBuffers int
	// LockWaits is how many more requests of a queue can wait for a lock (fcntl F_SETLKW, flock without LOCK_NB), for
	// as long as they like; 0 means [DefaultLockWaits]. One more gets ENOLCK.
	LockWaits int

	// Poll passes poll(2) and epoll(7) of the file system's users on to its module. This process must then open no
	// file of it with package os, nor register one with an epoll by other means: see the package comment.
	Poll bool

	// NoPassthrough keeps the kernel from reading, writing and mapping the files of modules that export the host's
	// (aio) by itself: see the package comment.
	NoPassthrough bool

	// Ring says whether requests come by io_uring: see the package comment.
	Ring RingMode

	// Host mounts and unmounts in the place of this process, if that has locked itself up; nil means that it does so
	// itself.
	Host *RemoteHost

	// Log receives what cannot be returned, at most 10 lines at once and one a second; nil means slog.Default. It is
	// never called from a reactor.
	Log *slog.Logger

	maxRequests int // the dispatcher's
}

// RingMode says whether the kernel and the transport use FUSE over io_uring (Linux 6.14).
type RingMode uint8

const (
	// RingAuto uses it if the kernel offers it.
	RingAuto RingMode = iota
	// RingOff does not.
	RingOff
	// RingOn does, or Mount fails with an error that says why.
	RingOn
)

var ringModes = [...]string{RingAuto: "auto", RingOff: "off", RingOn: "on"}

func (m RingMode) String() string {
	if int(m) < len(ringModes) {
		return ringModes[m]
	}
	return fmt.Sprintf("RingMode(%d)", uint8(m))
}

// ParseRingMode returns the mode of that name.
func ParseRingMode(s string) (RingMode, error) {
	if i := slices.Index(ringModes[:], s); i >= 0 {
		return RingMode(i), nil
	}
	return 0, fmt.Errorf("fusedev: %q is no way to use io_uring: take auto, on or off: %w", s, unix.EINVAL)
}

func (o *Options) host() host {
	if o.Host != nil {
		return o.Host
	}
	return localHost{}
}

// setDefaults fills in what is zero and checks the rest.
func (o *Options) setDefaults() error {
	if o.Dispatcher == nil {
		return fmt.Errorf("fusedev: no dispatcher given: %w", unix.EINVAL)
	}
	if len(o.Threads) == 0 {
		return fmt.Errorf("fusedev: no threads given: %w", unix.EINVAL)
	}
	for i, t := range o.Threads {
		if t == nil {
			return fmt.Errorf("fusedev: thread %d is nil: %w", i, unix.EINVAL)
		}
	}
	if o.Mountpoint == "" {
		return fmt.Errorf("fusedev: no mountpoint given: %w", unix.EINVAL)
	}
	if o.FsName == "" {
		o.FsName = "spdk-go"
	}
	if o.Subtype == "" {
		o.Subtype = "spdk"
	}
	if strings.ContainsAny(o.Subtype, ",\\. \t\n/") {
		return fmt.Errorf("fusedev: subtype %q has a character that is not allowed: use letters and digits: %w",
			o.Subtype, unix.EINVAL)
	}
	if o.AllowOther && o.OwnerOnly {
		return fmt.Errorf("fusedev: AllowOther and OwnerOnly contradict each other: %w", unix.EINVAL)
	}
	if o.MaxWrite == 0 {
		o.MaxWrite = DefaultMaxWrite
	}
	if o.Slots == 0 {
		o.Slots = DefaultSlots
	}
	if o.BigBuffers == 0 {
		o.BigBuffers = DefaultBigBuffers
	}
	if o.LockWaits == 0 {
		o.LockWaits = DefaultLockWaits
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ring > RingOn {
		return fmt.Errorf("fusedev: %v: %w", o.Ring, unix.EINVAL)
	}
	err := errors.Join(
		inRange("MaxWrite", int(o.MaxWrite), minMaxWrite, maxMaxWrite),
		inRange("Slots", o.Slots, minSlots, maxSlots),
		inRange("BigBuffers", o.BigBuffers, minBigBuffers, maxBigBuffers),
		inRange("LockWaits", o.LockWaits, 1, maxLockWaits))
	o.MaxWrite = uint32(roundUp(int(o.MaxWrite), pageSize))
	return err
}

// checkRoom sees to it that the dispatcher takes all that a queue can have in flight: else
// requests that wait for locks could keep out those that unlock.
func (o *Options) checkRoom() error {
	o.maxRequests = o.Dispatcher.MaxRequests()
	if have, need := o.maxRequests, o.ownSlots(); have < need {
		return fmt.Errorf("fusedev: the dispatcher's MaxRequests is %d, but %d slots and %d lock waits need %d: %w",
			have, o.Slots, o.LockWaits, need, unix.EINVAL)
	}
	return nil
}

// ownSlots is how many requests a queue can have in flight without a ring.
func (o *Options) ownSlots() int { return o.Slots + o.LockWaits + ownRequests }

func inRange(name string, v, low, high int) error {
	if v < low || v > high {
		return fmt.Errorf("fusedev: %s is %d, not in [%d, %d]: %w", name, v, low, high, unix.EINVAL)
	}
	return nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// bigSize is the size of a large buffer: a request or reply with the largest payload.
func (o *Options) bigSize() int {
	return roundUp(max(int(o.MaxWrite), maxXattr)+headerRoom, pageSize)
}

// queueBytes is the memory of one queue. The formula is in the package comment.
func (o *Options) queueBytes() int {
	n := o.Slots*2*smallSize + o.LockWaits*2*lockSize + o.BigBuffers*o.bigSize()
	return roundUp(n, pageSize)
}

// The kernel refuses to read into less.
const _ = uint(minMaxWrite + headerRoom - fuseabi.FUSE_MIN_READ_BUFFER)

// mountFlags returns the flags for mount(2).
func (o *Options) mountFlags() uintptr {
	var flags uintptr
	if !o.Suid {
		flags |= unix.MS_NOSUID
	}
	if !o.Dev {
		flags |= unix.MS_NODEV
	}
	if o.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	return flags
}

// kernelOptions returns the data argument of mount(2) for root (linux, Documentation/filesystems/fuse/fuse.rst).
// max_read keeps READ within a large buffer, whatever the kernel's read-ahead wants.
func (o *Options) kernelOptions(fd, uid, gid int) string {
	opts := []string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", unix.S_IFDIR),
		fmt.Sprintf("user_id=%d", uid),
		fmt.Sprintf("group_id=%d", gid),
	}
	return strings.Join(append(opts, o.commonOptions(!o.OwnerOnly)...), ",")
}

// helperOptions returns the -o argument of fusermount3(1), which adds fd, rootmode, user_id and group_id itself.
func (o *Options) helperOptions(root bool) string {
	opts := []string{"fsname=" + escapeOption(o.FsName), "subtype=" + escapeOption(o.Subtype)}
	if o.ReadOnly {
		opts = append(opts, "ro")
	}
	if o.Suid {
		opts = append(opts, "suid")
	}
	if o.Dev {
		opts = append(opts, "dev")
	}
	return strings.Join(append(opts, o.commonOptions(!o.OwnerOnly && (root || o.AllowOther))...), ",")
}

func (o *Options) commonOptions(allowOther bool) []string {
	var opts []string
	if !o.NoDefaultPermissions {
		opts = append(opts, "default_permissions")
	}
	if allowOther {
		opts = append(opts, "allow_other")
	}
	return append(opts, fmt.Sprintf("max_read=%d", o.MaxWrite))
}

// escapeOption protects commas and backslashes from the option parser of fusermount3(1).
func escapeOption(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s)
}
