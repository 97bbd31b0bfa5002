package fusedispatcher_test

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Sizes that a client may say, where there is more or less to them than that.

var pattern = dispatchertest.Pattern

// readSizes: the room is the limit, not what the client says.
var readSizes = []sizeCase{
	{name: "none", parts: one(Bytes(&ReadIn{})), room: 50},
	{name: "less than the room", parts: one(Bytes(&ReadIn{Size: 49})), room: 50, asked: 49, reply: 49},
	{name: "one beyond the room", parts: one(Bytes(&ReadIn{Size: 51})), room: 50, asked: 50, reply: 50},
	{name: "4 GiB", parts: one(Bytes(&ReadIn{Size: math.MaxUint32})), room: 50, asked: 50, reply: 50},
	{name: "no room", parts: one(Bytes(&ReadIn{Size: math.MaxUint32}))},
}

// writeSizes: data that are not there are not written.
var writeSizes = []sizeCase{
	{name: "none", parts: [][]byte{Bytes(&WriteIn{})}, room: 8, reply: 8},
	{name: "less than there is", parts: [][]byte{Bytes(&WriteIn{Size: 49}), pattern(50)}, room: 8, asked: 49, reply: 8},
	{name: "one beyond", parts: [][]byte{Bytes(&WriteIn{Size: 51}), pattern(50)}, room: 8, errno: syscall.EINVAL},
	{name: "4 GiB", parts: [][]byte{Bytes(&WriteIn{Size: math.MaxUint32}), pattern(50)}, room: 8, errno: syscall.EINVAL},
}

// setxattrSizes: 64 KiB is what setxattr(2) takes.
var setxattrSizes = []sizeCase{
	setxattrSize("none", 0, 0, 0),
	setxattrSize("less than there is", 4, 5, 0),
	setxattrSize("one beyond", 6, 5, syscall.EINVAL),
	setxattrSize("largest", 65536, 65536, 0),
	setxattrSize("too large", 65537, 65537, syscall.E2BIG),
	setxattrSize("4 GiB", math.MaxUint32, 5, syscall.E2BIG),
}

func setxattrSize(name string, says uint32, has int, errno syscall.Errno) sizeCase {
	return sizeCase{name: name, errno: errno, asked: uint64(says),
		parts: [][]byte{Bytes(&SetxattrIn{Size: says}), cstr("user.a"), pattern(has)}}
}

// xattrSizes: 0 asks for the size, and no room must not be taken for that.
func xattrSizes(name []byte) []sizeCase {
	get := func(n uint32) [][]byte { return [][]byte{Bytes(&GetxattrIn{Size: n}), name} }
	return []sizeCase{
		{name: "a question", parts: get(0), room: 8, reply: 8},
		{name: "a question without room", parts: get(0), room: 7, errno: syscall.EINVAL},
		{name: "one beyond the room", parts: get(10), room: 9, asked: 9, reply: 9},
		{name: "4 GiB", parts: get(math.MaxUint32), room: 9, asked: 9, reply: 9},
		{name: "no room", parts: get(9), errno: syscall.ERANGE},
	}
}

// readdirSizes are for a first entry of so many bytes.
func readdirSizes(entry int) []sizeCase {
	list := func(n int) [][]byte { return one(Bytes(&ReadIn{Size: uint32(n)})) }
	return []sizeCase{
		{name: "one entry", parts: list(entry), room: 4096, reply: entry},
		{name: "room for one entry", parts: list(math.MaxUint32), room: entry, reply: entry},
	}
}

var ioctlSizes = []sizeCase{
	ioctlSize("exactly", IoctlIn{Cmd: 0x801c581f, OutSize: 28}, 0, 0),
	ioctlSize("less output", IoctlIn{Cmd: 0x801c581f, OutSize: 27}, 0, syscall.EINVAL),
	ioctlSize("output of 4 GiB", IoctlIn{Cmd: 0x801c581f, OutSize: math.MaxUint32}, 0, syscall.EINVAL),
	ioctlSize("input that is not there", IoctlIn{Cmd: 0x401c5820, InSize: 28}, 27, syscall.EINVAL),
	ioctlSize("input of 4 GiB", IoctlIn{Cmd: 0x401c5820, InSize: math.MaxUint32}, 28, syscall.EINVAL),
}

func ioctlSize(name string, in IoctlIn, has int, errno syscall.Errno) sizeCase {
	return sizeCase{name: name, parts: [][]byte{Bytes(&in), pattern(has)}, room: 16 + 28, errno: errno,
		asked: uint64(in.OutSize), reply: 16 + int(in.OutSize)}
}

// batchForgetSizes: the list ends where it or the request does.
var batchForgetSizes = []sizeCase{
	{name: "none", parts: [][]byte{Bytes(&BatchForgetIn{})}},
	{name: "fewer than there are", parts: [][]byte{Bytes(&BatchForgetIn{Count: 1}), dispatchertest.Forgets(10, 1, 11, 2)},
		asked: 1},
	{name: "4 Gi", parts: [][]byte{Bytes(&BatchForgetIn{Count: math.MaxUint32}), dispatchertest.Forgets(10, 1, 11, 2),
		u64(12)}, asked: 3},
}

var removemappingSizes = []sizeCase{
	{name: "none", parts: one(Bytes(&RemovemappingIn{}))},
	{name: "one beyond", parts: [][]byte{Bytes(&RemovemappingIn{Count: 2}), make([]byte, 31)}, errno: syscall.EINVAL},
	{name: "4 Gi", parts: [][]byte{Bytes(&RemovemappingIn{Count: math.MaxUint32}), make([]byte, 32)},
		errno: syscall.EINVAL},
}

// copySizes: copying less than asked for is allowed, and more than the reply can say is not.
func copySizes(limit uint64) []sizeCase {
	list := func(n uint64, flags uint64) [][]byte { return one(Bytes(&CopyFileRangeIn{Len: n, Flags: flags})) }
	return []sizeCase{
		{name: "the most", parts: list(limit, 0), room: 8, asked: limit, reply: 8},
		{name: "one beyond", parts: list(limit+1, 0), room: 8, asked: limit, reply: 8},
		{name: "all there is", parts: list(math.MaxUint64, 0), room: 8, asked: limit, reply: 8},
		{name: "unknown flags", parts: list(1, 1), room: 8, errno: syscall.EINVAL},
	}
}

func one(part []byte) [][]byte { return [][]byte{part} }
