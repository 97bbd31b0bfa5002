package fusedispatcher

import (
	"errors"
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// What the client's kernel is told. linux/fuse.h, struct fuse_init_out
const (
	maxBackground       = 128     // asynchronous requests in flight
	congestionThreshold = 96      // from where on the client slows down
	maxReadahead        = 1 << 20 // bytes
	timeGran            = 1       // ns
	pageSize            = 4096
	initOutSize         = 64
	// minMaxWrite is what the client's kernel assumes at least.
	minMaxWrite = 4096
)

// initParams are what the client says in INIT, and what it is told.
type initParams struct {
	minor        uint32
	maxReadahead uint32
	flags        uint64
	reply        InitOut
	backing      Backing // nil: no files are registered
}

// alwaysWant are the INIT flags that do not depend on the cache policy or the module.
//
// FUSE_NO_EXPORT_SUPPORT is the truth: a node that the client has forgotten cannot be found again
// by its number, so handles of name_to_handle_at(2), which NFS keeps, would go stale at whim.
// What is not here is not done: FUSE_EXPORT_SUPPORT and FUSE_FILE_OPS; FUSE_HAS_RESEND, since no
// request is lost; FUSE_SPLICE_*, which concern /dev/fuse alone;
// FUSE_HAS_INODE_DAX and FUSE_ALLOW_IDMAP, of which modules know nothing;
// FUSE_HANDLE_KILLPRIV, whose second version says more; FUSE_REQUEST_TIMEOUT, which would abort a
// session with a slow disk.
const alwaysWant = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
	FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_ASYNC_DIO | FUSE_INIT_EXT | FUSE_SETXATTR_EXT |
	FUSE_HAS_IOCTL_DIR | FUSE_NO_EXPORT_SUPPORT

// doInit parses INIT, whose size depends on the protocol's version, and hands it over.
func doInit(r *request) {
	var in InitIn
	buf := Bytes(&in)
	n := min(len(buf), r.in.left)
	r.in.read(buf[:n])
	switch {
	case n < CompatInitInSize || in.Major < 7:
		r.fail(syscall.EPROTO)
		return
	case r.out.left < outHeaderSize+initReplySize(in.Minor):
		r.fail(syscall.EINVAL)
		return
	case in.Major > 7:
		// The client comes again with the version that it is told.
		r.replyInit(&initParams{reply: InitOut{Major: FUSE_KERNEL_VERSION, Minor: FUSE_KERNEL_MINOR_VERSION}})
		return
	case in.Minor >= 6 && n < Compat36InitInSize:
		r.fail(syscall.EINVAL)
		return
	}
	p := initParams{minor: min(in.Minor, FUSE_KERNEL_MINOR_VERSION)}
	if in.Minor >= 6 {
		p.maxReadahead = in.MaxReadahead
		p.flags = uint64(in.Flags)
		if p.flags&FUSE_INIT_EXT != 0 {
			p.flags |= uint64(in.Flags2) << 32
		}
	}
	r.enqueueRequest(&controlOp{run: runInit, init: p})
}

// runInit ends a session that exists, as after a reboot of the client, and begins another.
func runInit(op *controlOp) {
	if op.d.control.deleted {
		op.reply(syscall.ENODEV)
		return
	}
	op.tearDown(openFsdev)
}

func openFsdev(op *controlOp) {
	d := op.d
	desc, err := fsdev.Open(d.ctl, d.opts.FsdevName, onFsdevEvent, d)
	if err != nil {
		errno := syscall.EIO
		errors.As(err, &errno)
		op.reply(errno)
		return
	}
	d.control.desc = desc
	if d.control.ch = desc.IOChannel(d.ctl); d.control.ch == nil {
		op.rollBack(syscall.ENOMEM)
		return
	}
	d.openDesc.Store(desc)
	iochannel.ForEachChannel(d.ctl, d.dev, visitGet, op, gotChannels)
}

// rollBack undoes what has been done of an INIT and replies errno.
func (op *controlOp) rollBack(errno syscall.Errno) {
	op.errno = errno
	op.tearDown(rolledBack)
}

func rolledBack(op *controlOp) { op.reply(op.errno) }

// visitGet gets a channel its fsdev channel, unless its creation has.
func visitGet(it *iochannel.Iter) {
	op := it.Ctx().(*controlOp)
	c := iochannel.Ctx[channel](it.Channel())
	if c.fsdevCh == nil {
		if c.fsdevCh = op.d.control.desc.IOChannel(it.Channel().Thread()); c.fsdevCh == nil {
			it.Continue(syscall.ENOMEM)
			return
		}
	}
	it.Continue(0)
}

func gotChannels(t *reactor.Thread, ctx any, status syscall.Errno) {
	op := ctx.(*controlOp)
	if status != 0 {
		op.rollBack(status)
		return
	}
	mount(t, op)
}

func mount(t *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	c := &op.d.control
	op.init.backing = op.backs()
	opts := fsdev.MountOpts{
		MaxWrite: op.d.opts.MaxWrite,
		// The client's kernel has no use for both.
		WritebackCache: op.init.backing == nil && op.d.opts.Cache.rules().want&op.init.flags&FUSE_WRITEBACK_CACHE != 0,
	}
	if c.desc.Mount(c.ch, 0, &opts, mounted, op) != 0 {
		t.Defer(mount, op) // no IO is free; some will be
	}
}

func mounted(ctx any, _ *iochannel.Channel, errno syscall.Errno, opts *fsdev.MountOpts, root fsdev.FileObject) {
	op := ctx.(*controlOp)
	if errno != 0 {
		op.rollBack(errno)
		return
	}
	d := op.d
	d.control.mounted = true
	s := d.newSession(&op.init, opts)
	s.desc, s.root = d.control.desc, root
	d.sess.Store(s)
	s.desc.SetNotify(onNotify, d)
	s.desc.SetNotifyBacklog(notifyBacklog, d)
	op.reply(0)
}

// newSession settles what the client offers, the policy wants and the module can do.
func (d *Dispatcher) newSession(p *initParams, opts *fsdev.MountOpts) *session {
	s := &session{arch: d.opts.Arch, minor: p.minor, rules: d.opts.Cache.rules()}
	s.entryValid = s.rules.valid.or(d.opts.EntryTimeout)
	s.attrValid = s.rules.valid.or(d.opts.AttrTimeout)
	want := s.rules.want | alwaysWant
	if !opts.WritebackCache {
		want &^= FUSE_WRITEBACK_CACHE
	}
	if !opts.NoOpen {
		want &^= FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT
	}
	if opts.KillPriv {
		want |= FUSE_HANDLE_KILLPRIV_V2
	}
	if opts.PosixLocks {
		want |= FUSE_POSIX_LOCKS
	}
	// Only together: the umask of a client's kernel would spoil what an ACL grants by default.
	const acl = FUSE_POSIX_ACL | FUSE_DONT_MASK
	if opts.PosixACL && p.flags&acl == acl {
		want |= acl
	}
	if opts.SecurityCtx {
		want |= FUSE_SECURITY_CTX
	}
	if opts.SuppGroup {
		want |= FUSE_CREATE_SUPP_GROUP
	}
	if p.backing != nil {
		want = want&^(FUSE_WRITEBACK_CACHE|FUSE_NO_OPEN_SUPPORT) | FUSE_PASSTHROUGH // it is agreed on at open
		s.backing, s.backed = p.backing, newBackedFiles()
	}
	if opts.Submounts {
		want |= FUSE_SUBMOUNTS
	}
	if d.opts.Mapper != nil {
		want |= FUSE_MAP_ALIGNMENT
	}
	s.flags = want & p.flags
	s.noOpen = s.flags&FUSE_NO_OPEN_SUPPORT != 0
	s.noOpendir = s.flags&FUSE_NO_OPENDIR_SUPPORT != 0
	s.posixACL = s.flags&FUSE_POSIX_ACL != 0
	s.dontMask = s.flags&FUSE_DONT_MASK != 0
	s.securityCtx = s.flags&FUSE_SECURITY_CTX != 0
	s.suppGroup = s.flags&FUSE_CREATE_SUPP_GROUP != 0
	s.submounts = s.flags&FUSE_SUBMOUNTS != 0
	s.posixLocks = s.flags&FUSE_POSIX_LOCKS != 0
	s.noFsync = opts.NoSync
	// Closing a file gives up the locks of the process, and FLUSH is what says so.
	s.noFlush = opts.NoSync && !s.posixLocks
	if !s.noOpen {
		// Both travel with the OPEN and RELEASE that the client would leave out.
		s.flags |= (FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS) & p.flags
	}
	s.writeback = s.flags&FUSE_WRITEBACK_CACHE != 0
	s.killPriv = s.flags&FUSE_HANDLE_KILLPRIV_V2 != 0
	s.setSizes()

	maxWrite := max(minMaxWrite, min(opts.MaxWrite, d.opts.MaxWrite))
	p.reply = InitOut{
		Major:               FUSE_KERNEL_VERSION,
		Minor:               FUSE_KERNEL_MINOR_VERSION,
		MaxReadahead:        min(p.maxReadahead, maxReadahead),
		Flags:               uint32(s.flags),
		Flags2:              uint32(s.flags >> 32),
		MaxBackground:       maxBackground,
		CongestionThreshold: congestionThreshold,
		MaxWrite:            maxWrite,
		TimeGran:            timeGran,
	}
	if s.flags&FUSE_MAX_PAGES != 0 {
		p.reply.MaxPages = uint16(min((uint64(maxWrite)+pageSize-1)/pageSize, math.MaxUint16))
	}
	if s.flags&FUSE_MAP_ALIGNMENT != 0 {
		p.reply.MapAlignment = d.opts.Mapper.MapAlignment()
	}
	if s.flags&FUSE_PASSTHROUGH != 0 {
		p.reply.MaxStackDepth = maxStackDepth
	}
	return s
}

// initReplySize is how much of InitOut a client of that minor version knows.
func initReplySize(minor uint32) int {
	switch {
	case minor < 5:
		return FUSE_COMPAT_INIT_OUT_SIZE
	case minor < 23:
		return FUSE_COMPAT_22_INIT_OUT_SIZE
	}
	return initOutSize
}

func (r *request) replyInit(p *initParams) {
	*payload[InitOut](r, 0) = p.reply
	r.succeed(initReplySize(p.minor))
}
