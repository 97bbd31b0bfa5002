package trace

// The layout of a trace file is SPDK's, byte for byte (include/spdk/trace.h), so that its spdk_trace reads our files
// and ours reads SPDK's. Numbers are little-endian.
const (
	entrySize    = 32 // struct spdk_trace_entry
	entryArgs    = 24 // where its arguments begin
	inlineArgs   = entrySize - entryArgs
	bufferArgs   = 10 // where they go on in an entry that continues another, struct spdk_trace_entry_buffer
	moreArgs     = entrySize - bufferArgs
	continuation = maxTpoint // the tpoint_id of such an entry

	maxTpoint    = 20 * 64 // SPDK_TRACE_MAX_TPOINT_ID
	maxCores     = 1024    // SPDK_TRACE_MAX_LCORE
	maxOwnerType = 256     // SPDK_TRACE_MAX_OWNER_TYPE
	maxObject    = 256     // SPDK_TRACE_MAX_OBJECT
	maxArgs      = 8       // SPDK_TRACE_MAX_ARGS_COUNT
	maxRelations = 16      // SPDK_TRACE_MAX_RELATIONS

	// MaxArgsSize is how many bytes the arguments of a tracepoint can have together. SPDK has no limit.
	MaxArgsSize = inlineArgs + 8*moreArgs
)

// The head of the file, struct spdk_trace_file.
const (
	fileSizeAt        = 0
	numSectionsAt     = 8
	sectionOffsetsAt  = 16
	fileHeaderSize    = sectionOffsetsAt + numSections*8
	sectionHeaderSize = 128
)

// Sections, enum spdk_trace_section_type.
const (
	sectionMain = iota
	sectionOwner
	sectionTpointMask
	sectionOwnerType
	sectionObject
	sectionTpoint
	sectionLcoreOffsets
	numSections
)

const (
	mainSectionSize = 512
	mainRateAt      = 0
	mainClearAt     = 8

	ownerHeadSize        = 9 // struct spdk_trace_owner: tsc, type
	ownerDescriptionSize = 119
	ownerSize            = ownerHeadSize + ownerDescriptionSize

	typeSize = 2 // struct spdk_trace_owner_type and struct spdk_trace_object: type, id_prefix
)

// A tracepoint's description, struct spdk_trace_tpoint.
const (
	tpointNameSize  = 24
	tpointIDAt      = 24
	tpointOwnerAt   = 26
	tpointObjectAt  = 27
	tpointNewAt     = 28
	tpointNumArgsAt = 29
	tpointArgsAt    = 30
	argNameSize     = 14
	argTypeAt       = 14
	argSizeAt       = 15
	argSize         = 16
	tpointRelAt     = tpointArgsAt + maxArgs*argSize
	tpointSize      = tpointRelAt + 2*maxRelations
)

// The ring of a core, struct spdk_trace_history.
const (
	historyCoreAt     = 0
	historyNameAt     = 4
	historyNameSize   = 16
	historyEntriesAt  = 24
	historyTpointsAt  = 32
	historyNextAt     = 40
	historyHeaderSize = 48

	historyAlign = 4096 // so that cores share no page
)

// historySize is the room that a ring takes up.
func historySize(entries uint64) uint64 {
	return historyHeaderSize + maxTpoint*8 + entries*entrySize
}
