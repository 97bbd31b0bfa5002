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
	// prefix, see session.setArgSizes.
	argSize   uint16
	replySize uint16 // room that the reply needs behind its header
	names     uint8  // names that follow the arguments
	noReply   bool
	control   bool // INIT, DESTROY: need no session
	handler   func(r *request)
}

// opcodes is filled by init: handlers refer to the table through what they call.
var opcodes [numOpcodes]opcode

var unknownOpcode = opcode{name: "UNKNOWN", handler: notSupported}

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
		FUSE_STATFS:          {name: "STATFS", replySize: 80, handler: doStatfs},
		FUSE_RELEASE:         {name: "RELEASE", argSize: 24, handler: doRelease},
		FUSE_FSYNC:           {name: "FSYNC", argSize: 16, handler: doFsync},
		FUSE_SETXATTR:        {name: "SETXATTR", argSize: 16, names: 1, handler: doSetxattr},
		FUSE_GETXATTR:        {name: "GETXATTR", argSize: 8, names: 1, handler: doGetxattr},
		FUSE_LISTXATTR:       {name: "LISTXATTR", argSize: 8, handler: doListxattr},
		FUSE_REMOVEXATTR:     {name: "REMOVEXATTR", names: 1, handler: doRemovexattr},
		FUSE_FLUSH:           {name: "FLUSH", argSize: 24, handler: doFlush},
		FUSE_INIT:            {name: "INIT", control: true, handler: doInit},
		FUSE_OPENDIR:         {name: "OPENDIR", argSize: 8, replySize: openOutSize, handler: doOpendir},
		FUSE_READDIR:         {name: "READDIR", argSize: 40, handler: doReaddir},
		FUSE_RELEASEDIR:      {name: "RELEASEDIR", argSize: 24, handler: doReleasedir},
		FUSE_FSYNCDIR:        {name: "FSYNCDIR", argSize: 16, handler: doFsyncdir},
		FUSE_GETLK:           {name: "GETLK", handler: notSupported},
		FUSE_SETLK:           {name: "SETLK", argSize: 48, handler: doSetlk},
		FUSE_SETLKW:          {name: "SETLKW", argSize: 48, handler: doSetlkw},
		FUSE_ACCESS:          {name: "ACCESS", handler: notSupported},
		FUSE_CREATE:          {name: "CREATE", argSize: 16, names: 1, replySize: entryOutSize + openOutSize, handler: doCreate},
		FUSE_INTERRUPT:       {name: "INTERRUPT", argSize: 8, handler: doInterrupt},
		FUSE_BMAP:            {name: "BMAP", handler: notSupported},
		FUSE_DESTROY:         {name: "DESTROY", control: true, handler: doDestroy},
		FUSE_IOCTL:           {name: "IOCTL", handler: notSupported},
		FUSE_POLL:            {name: "POLL", handler: notSupported},
		FUSE_NOTIFY_REPLY:    {name: "NOTIFY_REPLY", noReply: true, handler: doNotifyReply},
		FUSE_BATCH_FORGET:    {name: "BATCH_FORGET", argSize: 8, noReply: true, handler: doBatchForget},
		FUSE_FALLOCATE:       {name: "FALLOCATE", argSize: 32, handler: doFallocate},
		FUSE_READDIRPLUS:     {name: "READDIRPLUS", argSize: 40, handler: doReaddirplus},
		FUSE_RENAME2:         {name: "RENAME2", argSize: 16, names: 2, handler: doRename2},
		FUSE_LSEEK:           {name: "LSEEK", handler: notSupported},
		FUSE_COPY_FILE_RANGE: {name: "COPY_FILE_RANGE", argSize: 56, replySize: 8, handler: doCopyFileRange},
		FUSE_SETUPMAPPING:    {name: "SETUPMAPPING", handler: notSupported},
		FUSE_REMOVEMAPPING:   {name: "REMOVEMAPPING", handler: notSupported},
		FUSE_SYNCFS:          {name: "SYNCFS", handler: notSupported},
		FUSE_TMPFILE:         {name: "TMPFILE", handler: notSupported},
		FUSE_STATX:           {name: "STATX", handler: notSupported},

		FUSE_COPY_FILE_RANGE_64: {name: "COPY_FILE_RANGE_64", handler: notSupported},
	}
	for i := range opcodes {
		if opcodes[i].handler == nil {
			opcodes[i] = unknownOpcode
		}
		if opcodes[i].argSize > maxArg {
			panic(fmt.Sprintf("fuse_dispatcher: arguments of %s do not fit a request", opcodes[i].name))
		}
		if outHeaderSize+opcodes[i].replySize > maxReply {
			panic(fmt.Sprintf("fuse_dispatcher: reply of %s does not fit a request", opcodes[i].name))
		}
	}
}

// setArgSizes fixes how many bytes of arguments the client sends, which depends on the
// minor version of its protocol.
func (s *session) setArgSizes() {
	for i := range opcodes {
		s.argSize[i] = opcodes[i].argSize
	}
	if s.minor < 7 {
		s.argSize[FUSE_FLUSH] = 16
	}
	if s.minor < 9 {
		s.argSize[FUSE_GETATTR] = 0
		s.argSize[FUSE_READ] = CompatReadInSize
		s.argSize[FUSE_READDIR] = CompatReadInSize
		s.argSize[FUSE_WRITE] = FUSE_COMPAT_WRITE_IN_SIZE
		s.argSize[FUSE_SETLK] = CompatLkInSize
		s.argSize[FUSE_SETLKW] = CompatLkInSize
	}
	if s.minor < 12 {
		s.argSize[FUSE_MKNOD] = FUSE_COMPAT_MKNOD_IN_SIZE
		s.argSize[FUSE_CREATE] = 8
	}
	if s.flags&FUSE_SETXATTR_EXT == 0 {
		s.argSize[FUSE_SETXATTR] = FUSE_COMPAT_SETXATTR_IN_SIZE
	}
}

// OpcodeName returns an opcode's name without its prefix, "UNKNOWN" for what is none.
//
// SPDK: fuse_ll_ops
func OpcodeName(op uint32) string {
	if op < numOpcodes {
		return opcodes[op].name
	}
	return unknownOpcode.name
}
