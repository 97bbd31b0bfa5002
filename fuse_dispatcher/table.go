package fusedispatcher

import (
	"fmt"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// numOpcodes is the length of the table; opcodes from there on are unknown.
const numOpcodes = FUSE_COPY_FILE_RANGE_64 + 1

// opcode says how requests of one opcode are parsed and who handles them.
type opcode struct {
	name string
	// argSize is the size of the argument structure, of which an older client sends a
	// prefix, see oldArgs.
	argSize   uint16
	replySize uint16 // room that the reply needs behind its header
	names     uint8  // names that follow the arguments
	slash     bool   // the name may hold a slash: it is an extended attribute's, or stands for none
	noReply   bool   // never a reply
	mayReply  bool   // a reply, if there is room, but usually none
	control   bool   // INIT, DESTROY: need no session
	mayEnd    bool   // with EINTR, when the client's program gets a signal
	handler   func(r *request)
}

// opcodes is filled by init: handlers refer to the table through what they call. Its first
// entry is that of every opcode from numOpcodes on.
var opcodes [numOpcodes]opcode

func init() {
	opcodes = [numOpcodes]opcode{
		FUSE_LOOKUP:          {name: "LOOKUP", names: 1, replySize: entryOutSize, handler: doLookup},
		FUSE_FORGET:          {name: "FORGET", argSize: 8, noReply: true, handler: doForget},
		FUSE_GETATTR:         {name: "GETATTR", argSize: 16, replySize: attrOutSize, handler: doGetattr},
		FUSE_SETATTR:         {name: "SETATTR", argSize: 88, replySize: attrOutSize, handler: doSetattr},
		FUSE_READLINK:        {name: "READLINK", handler: doReadlink},
		FUSE_SYMLINK:         {name: "SYMLINK", names: 1, replySize: entryOutSize, handler: doSymlink},
		FUSE_MKNOD:           {name: "MKNOD", argSize: 16, names: 1, replySize: entryOutSize, handler: doMknod},
		FUSE_MKDIR:           {name: "MKDIR", argSize: 8, names: 1, replySize: entryOutSize, handler: doMkdir},
		FUSE_UNLINK:          {name: "UNLINK", names: 1, handler: doUnlink},
		FUSE_RMDIR:           {name: "RMDIR", names: 1, handler: doRmdir},
		FUSE_RENAME:          {name: "RENAME", argSize: 8, names: 2, handler: doRename},
		FUSE_LINK:            {name: "LINK", argSize: 8, names: 1, replySize: entryOutSize, handler: doLink},
		FUSE_OPEN:            {name: "OPEN", argSize: 8, replySize: openOutSize, handler: doOpen},
		FUSE_READ:            {name: "READ", argSize: 40, handler: doRead},
		FUSE_WRITE:           {name: "WRITE", argSize: 40, replySize: 8, handler: doWrite},
		FUSE_STATFS:          {name: "STATFS", replySize: statfsOutSize, handler: doStatfs},
		FUSE_RELEASE:         {name: "RELEASE", argSize: 24, handler: doRelease},
		FUSE_FSYNC:           {name: "FSYNC", argSize: 16, handler: doFsync},
		FUSE_SETXATTR:        {name: "SETXATTR", argSize: 16, names: 1, slash: true, handler: doSetxattr},
		FUSE_GETXATTR:        {name: "GETXATTR", argSize: 8, names: 1, slash: true, handler: doGetxattr},
		FUSE_LISTXATTR:       {name: "LISTXATTR", argSize: 8, handler: doListxattr},
		FUSE_REMOVEXATTR:     {name: "REMOVEXATTR", names: 1, slash: true, handler: doRemovexattr},
		FUSE_FLUSH:           {name: "FLUSH", argSize: 24, handler: doFlush},
		FUSE_INIT:            {name: "INIT", control: true, handler: doInit},
		FUSE_OPENDIR:         {name: "OPENDIR", argSize: 8, replySize: openOutSize, handler: doOpendir},
		FUSE_READDIR:         {name: "READDIR", argSize: 40, handler: doReaddir},
		FUSE_RELEASEDIR:      {name: "RELEASEDIR", argSize: 24, handler: doReleasedir},
		FUSE_FSYNCDIR:        {name: "FSYNCDIR", argSize: 16, handler: doFsyncdir},
		FUSE_GETLK:           {name: "GETLK", argSize: 48, replySize: 24, handler: doGetlk},
		FUSE_SETLK:           {name: "SETLK", argSize: 48, handler: doSetlk},
		FUSE_SETLKW:          {name: "SETLKW", argSize: 48, mayEnd: true, handler: doSetlkw},
		FUSE_ACCESS:          {name: "ACCESS", handler: notSupported},
		FUSE_CREATE:          {name: "CREATE", argSize: 16, names: 1, replySize: createOutSize, handler: doCreate},
		FUSE_INTERRUPT:       {name: "INTERRUPT", argSize: 8, mayReply: true, handler: doInterrupt},
		FUSE_BMAP:            {name: "BMAP", handler: notSupported},
		FUSE_DESTROY:         {name: "DESTROY", control: true, handler: doDestroy},
		FUSE_IOCTL:           {name: "IOCTL", argSize: 32, replySize: ioctlOutSize, mayEnd: true, handler: doIoctl},
		FUSE_POLL:            {name: "POLL", argSize: 24, replySize: 8, handler: doPoll},
		FUSE_NOTIFY_REPLY:    {name: "NOTIFY_REPLY", argSize: 40, noReply: true, handler: doNotifyReply},
		FUSE_BATCH_FORGET:    {name: "BATCH_FORGET", argSize: 8, noReply: true, handler: doBatchForget},
		FUSE_FALLOCATE:       {name: "FALLOCATE", argSize: 32, handler: doFallocate},
		FUSE_READDIRPLUS:     {name: "READDIRPLUS", argSize: 40, handler: doReaddirplus},
		FUSE_RENAME2:         {name: "RENAME2", argSize: 16, names: 2, handler: doRename2},
		FUSE_LSEEK:           {name: "LSEEK", argSize: 24, replySize: 8, handler: doLseek},
		FUSE_COPY_FILE_RANGE: {name: "COPY_FILE_RANGE", argSize: 56, replySize: 8, handler: doCopyFileRange},
		FUSE_SETUPMAPPING:    {name: "SETUPMAPPING", argSize: 40, handler: doSetupmapping},
		FUSE_REMOVEMAPPING:   {name: "REMOVEMAPPING", argSize: 4, handler: doRemovemapping},
		FUSE_SYNCFS:          {name: "SYNCFS", argSize: 8, handler: doSyncfs},
		FUSE_TMPFILE: {name: "TMPFILE", argSize: 16, names: 1, slash: true, replySize: createOutSize,
			handler: doTmpfile},
		FUSE_STATX: {name: "STATX", argSize: 24, replySize: statxOutSize, handler: doStatx},

		FUSE_COPY_FILE_RANGE_64: {name: "COPY_FILE_RANGE_64", argSize: 56, replySize: 8, handler: doCopyFileRange64},
	}
	for i := range opcodes {
		if opcodes[i].handler == nil {
			opcodes[i] = opcode{name: "UNKNOWN", handler: notSupported}
		}
		if opcodes[i].argSize > maxArg {
			panic(fmt.Sprintf("fuse_dispatcher: arguments of %s do not fit a request", opcodes[i].name))
		}
		if outHeaderSize+opcodes[i].replySize > maxReply {
			panic(fmt.Sprintf("fuse_dispatcher: reply of %s does not fit a request", opcodes[i].name))
		}
	}
}

// tableIndex returns where in the table an opcode is.
func tableIndex(op uint32) uint32 {
	if op >= numOpcodes {
		return 0
	}
	return op
}

// sizes are what a client of some minor version sends and expects for an opcode.
type sizes struct {
	arg  uint16 // bytes of the argument structure
	room uint16 // bytes that the reply needs, with its header; 0 if there need not be one
}

// oldArgs are the argument structures that have grown: what they were before a minor version. A
// newer client sends more, and of an older one the rest counts as 0.
//
// This is all there is in the change log of linux/fuse.h. The others that grew (SETATTR in 7.9 and
// 7.23, ATTR in 7.32, OPEN and CREATE in 7.33, the header in 7.38) filled what had been padding or
// unused, and INIT takes care of itself. So nothing changed between 7.12 and what flags say: the
// size of SETXATTR goes by FUSE_SETXATTR_EXT.
var oldArgs = [...]struct {
	op     uint32
	before uint32 // minor version
	size   uint16
}{
	{FUSE_FLUSH, 7, 16},   // without LockOwner
	{FUSE_RELEASE, 8, 16}, // without LockOwner
	{FUSE_RELEASEDIR, 8, 16},
	{FUSE_GETATTR, 9, 0},             // there were none
	{FUSE_READ, 9, CompatReadInSize}, // without LockOwner and Flags
	{FUSE_READDIR, 9, CompatReadInSize},
	{FUSE_WRITE, 9, FUSE_COMPAT_WRITE_IN_SIZE},
	{FUSE_GETLK, 9, CompatLkInSize}, // without LkFlags
	{FUSE_SETLK, 9, CompatLkInSize},
	{FUSE_SETLKW, 9, CompatLkInSize},
	{FUSE_MKNOD, 12, FUSE_COMPAT_MKNOD_IN_SIZE}, // without Umask
	{FUSE_CREATE, 12, 8},                        // an OpenIn
}

// oldReplies are the replies that have grown, by their newest size.
var oldReplies = [...]struct {
	size   uint16
	before uint32 // minor version
	less   uint16 // bytes that there were less
}{
	{statfsOutSize, 4, statfsOutSize - FUSE_COMPAT_STATFS_SIZE},
	{entryOutSize, 9, entryOutSize - FUSE_COMPAT_ENTRY_OUT_SIZE}, // without Attr.Blksize
	{createOutSize, 9, entryOutSize - FUSE_COMPAT_ENTRY_OUT_SIZE},
	{attrOutSize, 9, attrOutSize - FUSE_COMPAT_ATTR_OUT_SIZE},
}

// setSizes settles the sizes, which depend on the minor version of the client's protocol.
func (s *session) setSizes() {
	for i := range opcodes {
		op := &opcodes[i]
		s.sizes[i] = sizes{arg: op.argSize, room: outHeaderSize + op.replySize}
		for _, old := range oldReplies {
			if op.replySize == old.size && s.minor < old.before {
				s.sizes[i].room -= old.less
			}
		}
		if op.noReply || op.mayReply {
			s.sizes[i].room = 0
		}
	}
	for _, old := range oldArgs {
		if s.minor < old.before {
			s.sizes[old.op].arg = old.size
		}
	}
	if s.flags&FUSE_SETXATTR_EXT == 0 {
		s.sizes[FUSE_SETXATTR].arg = FUSE_COMPAT_SETXATTR_IN_SIZE
	}
}

// OpcodeName returns an opcode's name without its prefix, "UNKNOWN" for what is none.
//
// SPDK: fuse_ll_ops
func OpcodeName(op uint32) string {
	return opcodes[tableIndex(op)].name
}
