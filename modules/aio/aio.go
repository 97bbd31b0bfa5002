package aio

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Opts are the options of an export. The zero value of each field but Root means its default.
//
// SPDK: struct spdk_fsdev_aio_opts
type Opts struct {
	// Root is the directory to export. Symbolic links in the path are followed, once.
	Root string
	// At is where Root is found, for a process whose root directory is not the operator's. "": at Root.
	At string
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool
	// Xattr allows extended attributes. Without it they are ENOSYS.
	Xattr bool
	// Writeback lets clients that can cache writes do so. SPDK's default is true.
	Writeback bool
	// Devices lets clients make device files, which they cannot open here.
	Devices bool
	// MaxWrite is the longest WRITE in bytes. Default: 1 MiB; SPDK's is 128 KiB.
	MaxWrite uint32
	// Workers is how many threads there are for what may wait. Default: 4, or one per CPU if there are more.
	Workers int
	// Handles is how many files and directories can be open at a time, by all clients. Default: 1 Mi.
	Handles int
	// Locks is how many locks, of flock(2) and byte ranges of fcntl(2), all files can have together, each of up to some
	// 200 bytes of Go heap. Default: 256 Ki.
	Locks int
	// Proc is a descriptor of /proc/self/fd, for a process that cannot open that any more, as after chroot(2). The
	// export uses a duplicate. 0: it is opened.
	Proc int
	// Notify watches the host for changes, and tells clients what they must not have in their caches any more. It
	// needs CAP_SYS_ADMIN and cannot go with Writeback or InodeFileHandles.
	Notify bool
	// AnnounceSubmounts tells clients where other file systems are mounted below the root, if they want to know, so that
	// they can make mounts of them, with device numbers of their own: inode numbers may occur twice otherwise.
	AnnounceSubmounts bool
	// InodeFileHandles holds files that clients know by the names that the file system has for them, so that their
	// number is not bounded by that of descriptors; it needs CAP_DAC_READ_SEARCH. Such a file whose last link is removed
	// while nobody has it open is gone for clients that know it too: ESTALE.
	InodeFileHandles FileHandles
	// NodeFDs is how many descriptors of such files are kept at most, for those that were used last. Default: a quarter
	// of RLIMIT_NOFILE, 16 Ki at most.
	NodeFDs int
	// Patience is how long a call of a worker may last before [Delete] no longer waits for it. Default: 10 s.
	Patience time.Duration
	// NoRing leaves data that has to be waited for to the workers too, as where there is no io_uring.
	NoRing bool
	// NoKillPriv leaves it to clients to take set-user-ID bits and security.capability from files that change. The
	// kernel then asks for the latter before each write that it caches, if Xattr.
	NoKillPriv bool
	// TranslateUID and TranslateGID say what the users and groups of clients, the guests, are on the host, and the other
	// way round, as virtiofsd's options of these names do. An ID without a rule stays as it is. The rules are:
	//
	//	map:GUEST:HOST:COUNT            the COUNT IDs from GUEST on are those from HOST on, in both directions
	//	guest:GUEST:HOST:COUNT          likewise, but only from guest to host
	//	host:HOST:GUEST:COUNT           likewise, but only from host to guest
	//	squash-guest:GUEST:HOST:COUNT   the COUNT IDs of guests from GUEST on are all HOST
	//	squash-host:HOST:GUEST:COUNT    the COUNT IDs of the host from HOST on are all GUEST
	//	forbid-guest:GUEST:COUNT        guests may not use the COUNT IDs from GUEST on: EPERM
	TranslateUID, TranslateGID []string
	// XattrMap says what extended attributes of clients are called on the host, and which of them there are, in the form
	// of virtiofsd's option of this name: rules like :prefix:all:trusted.:user.virtiofs.: of which the first one that
	// matches counts. It stands for Xattr, too. "": the names are the same.
	XattrMap string
	// PosixACL lets clients use access control lists, which the host's file system keeps and obeys. It stands for
	// Xattr, too.
	PosixACL bool
	// SecurityLabel gives files the attributes of name space security that a client's security module wants them to have
	// from the beginning, under the names of XattrMap. It stands for Xattr, too.
	SecurityLabel bool
	// DirectIO passes O_DIRECT on to the host, for clients that do not cache writes: such a file's data go around the
	// host's cache, and offsets and lengths that the host's disk does not take are EINVAL. Without it, O_DIRECT concerns
	// the client's cache alone.
	DirectIO bool
	// SkipRW completes READ and WRITE without touching data or file, to measure everything else: what is read is
	// whatever the memory for it held before.
	SkipRW bool
	// NoOpen lets a client that caches everything read, write and list files that it has not opened, with a descriptor
	// for each file that it has read or written, until it forgets the file.
	NoOpen bool
}

func (o *Opts) setDefaults() error {
	if o.Root == "" {
		return fmt.Errorf("aio: no root directory is given: %w", syscall.EINVAL)
	}
	if o.XattrMap != "" || o.PosixACL || o.SecurityLabel {
		o.Xattr = true
	}
	if o.MaxWrite == 0 {
		o.MaxWrite = 1 << 20
	}
	if o.Workers == 0 {
		o.Workers = max(4, runtime.NumCPU())
	}
	if o.Handles == 0 {
		o.Handles = 1 << 20
	}
	if o.Locks == 0 {
		o.Locks = 1 << 18
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Notify && o.Writeback {
		return fmt.Errorf("aio: notify and writeback: a client that caches writes goes by its own sizes and times, "+
			"whatever it is told: %w", syscall.EINVAL)
	}
	if o.Notify && o.InodeFileHandles != FileHandlesNever {
		return fmt.Errorf("aio: notify and inode file handles: what is watched has a descriptor: %w", syscall.EINVAL)
	}
	if o.Workers < 0 || o.Workers > 1024 || o.Handles < 0 || o.Handles > math.MaxInt32 || o.Locks < 0 {
		return fmt.Errorf("aio: %d workers, %d handles, %d locks: %w", o.Workers, o.Handles, o.Locks, syscall.EINVAL)
	}
	if o.Patience < 0 {
		return fmt.Errorf("aio: a patience of %v: %w", o.Patience, syscall.EINVAL)
	}
	if o.InodeFileHandles > FileHandlesMandatory || o.NodeFDs < 0 || o.NodeFDs > math.MaxInt32 {
		return fmt.Errorf("aio: file handles %v, %d descriptors of nodes: %w", o.InodeFileHandles, o.NodeFDs, syscall.EINVAL)
	}
	return nil
}

// Check says what is wrong with options that have a form of their own, before [Create] does. Any goroutine.
//
// Errors wrap EINVAL.
//
// Not in SPDK.
func (o *Opts) Check() error {
	if _, err := parseIDMaps(o.TranslateUID, o.TranslateGID); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	m, err := o.xattrMap()
	if err == nil && o.PosixACL {
		err = m.checkACLs()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	return nil
}

func (o *Opts) xattrMap() (m xattrMap, err error) {
	if o.XattrMap == "" {
		return nil, nil
	}
	if m, err = parseXattrMap(o.XattrMap); err != nil {
		err = fmt.Errorf("xattr map: %w", err)
	}
	return m, err
}

// maxNodes bounds the files that clients can know at a time; descriptors run out first.
const maxNodes = 1 << 28

// Aio is an exported directory made by [Create]. Its methods implement [fsdev.Device] and are called by package
// fsdev.
//
// SPDK: struct aio_fsdev
type Aio struct {
	o     Opts
	iodev *iochannel.Device
	fsdev *fsdev.Fsdev

	root    *node
	proc    int // of /proc/self/fd, to open again what a descriptor stands for
	objects *fsdev.HandleTable[node]
	handles *fsdev.HandleTable[handle]
	nodes   nodeTable
	clients atomic.Pointer[[]*client]
	speeds  atomic.Pointer[[]deviceSpeed]
	mounts  atomic.Pointer[[]*mount]
	fds     fdCache
	pool    pool
	writer  pool // see startWrite
	creds   credentials
	umask   uint32  // of the process
	ids     *idMaps // nil: they are the host's
	xattrs  xattrMap
	nobody  client // whose the handles are that no client has opened
	locks   *locks.Device
	watch   *watcher // nil unless Opts.Notify
	workers int      // Opts.Workers as it was given, which is what a configuration has
}

// Create exports a directory and registers it with fsdev under name. On the app thread.
//
// Errors wrap EINVAL (options, an empty name), EEXIST (the name is taken) and what open(2) returns for the root, such
// as ENOENT and ENOTDIR.
//
// Not in SPDK's libraries: spdk_fsdev_aio_create of its module.
func Create(t *reactor.Thread, name string, o Opts) (*Aio, error) {
	asked := o.Workers
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	a := &Aio{
		o:       o,
		workers: asked,
		objects: fsdev.NewHandleTable[node](maxNodes),
		handles: fsdev.NewHandleTable[handle](o.Handles),
		locks:   locks.NewDevice(o.Locks, maxWaiters),
	}
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("aio: create %q: %w", name, err)
	}
	a.ids, _ = parseIDMaps(o.TranslateUID, o.TranslateGID)
	a.xattrs, _ = o.xattrMap()
	a.clients.Store(new([]*client))
	a.speeds.Store(new([]deviceSpeed))
	a.mounts.Store(new([]*mount))
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("aio: create %q: %w", name, err)
	}
	var err error
	a.iodev, err = iochannel.RegisterDevice(t, a, "aio_"+name, a.createChannel, destroyChannel)
	if err == nil {
		a.pool.start(a, o.Workers)
		a.writer.start(a, 1)
		if a.fsdev, err = fsdev.Register(t, name, module{}, a); err != nil {
			a.iodev.Unregister(t, nil, nil)
		}
	}
	if err != nil {
		a.watch.stop()
		a.pool.stop()
		a.writer.stop()
		a.close()
		return nil, fmt.Errorf("aio: create %q: %w", name, err)
	}
	a.watch.start(t)
	return a, nil
}

// open opens what the export needs all the time.
func (a *Aio) open() error {
	a.creds.init()
	a.umask = processUmask()
	proc, err := a.o.openProc()
	if err != nil {
		return fmt.Errorf("open /proc/self/fd, which files are opened through (mount proc on /proc): %w", err)
	}
	a.proc = proc
	fd, err := unix.Open(cmp.Or(a.o.At, a.o.Root), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(proc)
		return fmt.Errorf("open the root directory %q: %w", a.o.Root, err)
	}
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, statxMask, &st); err != nil {
		_ = unix.Close(proc)
		_ = unix.Close(fd)
		return fmt.Errorf("the attributes of the root directory %q: %w", a.o.Root, err)
	}
	if a.o.Notify {
		if a.watch, err = newWatcher(a, fd); err != nil {
			_ = unix.Close(proc)
			_ = unix.Close(fd)
			return err
		}
	}
	return a.openRoot(fd, &st)
}

// openRoot makes the root's node of fd, which it takes. It has its descriptor as long as the export exists.
func (a *Aio) openRoot(fd int, st *unix.Statx_t) error {
	mode := a.o.InodeFileHandles
	a.o.InodeFileHandles = FileHandlesNever
	a.root, _, _ = a.adopt(fd, st, a.learnSpeed(fd, st), true)
	a.o.InodeFileHandles = mode
	if mode == FileHandlesNever {
		return nil
	}
	a.fds.init(cmp.Or(a.o.NodeFDs, defaultNodeFDs()))
	m, errno := openMount(a.proc, fd, st)
	switch errno {
	case 0:
		m.refs.Store(1) // the root
		a.mounts.Store(&[]*mount{m})
		return nil
	case syscall.EPERM:
		if mode == FileHandlesPrefer {
			return nil
		}
		a.close()
		return fmt.Errorf("inode file handles are mandatory, and to open files by them takes CAP_DAC_READ_SEARCH: %w", errno)
	case syscall.EOPNOTSUPP, syscall.EOVERFLOW:
		if mode == FileHandlesPrefer {
			return nil
		}
		a.close()
		return fmt.Errorf("inode file handles are mandatory, and the file system of %q has none: %w", a.o.Root, errno)
	}
	a.close()
	return fmt.Errorf("open the root directory %q for inode file handles: %w", a.o.Root, errno)
}

func (o *Opts) openProc() (int, error) {
	if o.Proc > 0 {
		return unix.FcntlInt(uintptr(o.Proc), unix.F_DUPFD_CLOEXEC, 0)
	}
	return unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// close closes everything. Nobody uses the export any more.
func (a *Aio) close() {
	a.handles.Range(func(id uint64, h *handle) { _ = unix.Close(h.fd) })
	a.objects.Range(func(_ uint64, n *node) {
		if n.pin() {
			_ = unix.Close(n.fd)
		}
		if h := n.data.Load(); h != nil {
			_ = unix.Close(h.fd)
		}
	})
	for _, m := range *a.mounts.Load() {
		if m.fd >= 0 {
			_ = unix.Close(m.fd)
		}
	}
	_ = unix.Close(a.proc)
}

// Fsdev returns the device under which the export is registered. Any goroutine.
//
// Not in SPDK.
func (a *Aio) Fsdev() *fsdev.Fsdev { return a.fsdev }

// IOChannel implements [fsdev.Device].
//
// Not in SPDK.
func (a *Aio) IOChannel(t *reactor.Thread) *iochannel.Channel { return a.iodev.Get(t) }

// createParams are those of SPDK's RPC, and after them those that it does not know, if they are not the default.
type createParams struct {
	Name      string `json:"name"`
	Root      string `json:"root_path"`
	Xattr     bool   `json:"enable_xattr"`
	Writeback bool   `json:"enable_writeback_cache"`
	MaxWrite  uint32 `json:"max_write"`
	SkipRW    bool   `json:"skip_rw"`
	NoOpen    bool   `json:"no_open,omitempty"`
	ReadOnly  bool   `json:"read_only,omitempty"`
	Devices   bool   `json:"allow_devices,omitempty"`
	Workers   int    `json:"workers,omitempty"`

	NoKillPriv   bool     `json:"no_killpriv,omitempty"`
	TranslateUID []string `json:"translate_uid,omitempty"`
	TranslateGID []string `json:"translate_gid,omitempty"`
	XattrMap     string   `json:"xattrmap,omitempty"`
	PosixACL     bool     `json:"posix_acl,omitempty"`
	Label        bool     `json:"security_label,omitempty"`
	DirectIO     bool     `json:"allow_direct_io,omitempty"`
	Notify       bool     `json:"notify,omitempty"`
	Submounts    bool     `json:"announce_submounts,omitempty"`
	Handles      string   `json:"inode_file_handles,omitempty"`
	NodeFDs      int      `json:"node_fds,omitempty"`
}

// ConfigJSON implements [fsdev.DeviceConfig].
//
// Not in SPDK: fsdev_aio_write_config_json, which writes what was negotiated instead of what was configured.
func (a *Aio) ConfigJSON(f *fsdev.Fsdev) []fsdev.ConfigCall {
	return []fsdev.ConfigCall{{Method: "fsdev_aio_create", Params: createParams{
		Name: f.Name(), Root: a.o.Root, Xattr: a.o.Xattr, Writeback: a.o.Writeback, MaxWrite: a.o.MaxWrite,
		ReadOnly: a.o.ReadOnly, Devices: a.o.Devices, Workers: a.workers,
		NoKillPriv: a.o.NoKillPriv, Notify: a.o.Notify,
		TranslateUID: a.o.TranslateUID, TranslateGID: a.o.TranslateGID,
		XattrMap: a.o.XattrMap, PosixACL: a.o.PosixACL, Label: a.o.SecurityLabel, DirectIO: a.o.DirectIO,
		SkipRW: a.o.SkipRW, NoOpen: a.o.NoOpen, Submounts: a.o.AnnounceSubmounts,
		Handles: a.o.InodeFileHandles.param(), NodeFDs: a.o.NodeFDs,
	}}}
}

// module is the registration of this package with fsdev.
type module struct{}

func (module) Name() string               { return "aio" }
func (module) Init(*reactor.Thread) error { return nil }
func (module) Fini(*reactor.Thread)       {}

func init() { fsdev.RegisterModule(module{}) }
