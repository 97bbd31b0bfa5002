package fusedispatcher_test

import (
	"slices"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// The rig of package dispatchertest, by the short names that the tests here use.
type (
	bed   = dispatchertest.Bed
	reply = dispatchertest.Reply
)

const (
	fakeRoot   = dispatchertest.Root
	fakeFile   = dispatchertest.File
	fakeHandle = dispatchertest.Handle
	fakeTarget = dispatchertest.FillTarget
	node       = dispatchertest.Node
	fsName     = dispatchertest.FSName
	outHeader  = SizeofOutHeader
)

var (
	newBed       = dispatchertest.New
	newSession   = dispatchertest.NewSession
	newFakeFS    = dispatchertest.NewFS
	handlerCases = dispatchertest.Cases()
	fakeAttr     = dispatchertest.FillAttr
	fakeStatfs   = dispatchertest.FillStatfs
	fill         = dispatchertest.Fill
	pattern      = dispatchertest.Pattern
	message      = dispatchertest.Message
	cut          = dispatchertest.Cut
	bytesEach    = dispatchertest.BytesEach
	forgets      = dispatchertest.Forgets
	dirent       = dispatchertest.ListEntry
	direntplus   = dispatchertest.ListEntryPlus
	entryOf      = dispatchertest.EntryOf
	u32          = dispatchertest.U32
	u64          = dispatchertest.U64
	cstr         = dispatchertest.CString
	initIn       = Bytes(&InitIn{Major: 7, Minor: dispatchertest.MaxMinor})
)

var ignoreInternals = cmpopts.IgnoreUnexported(fsdev.IO{})

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }
