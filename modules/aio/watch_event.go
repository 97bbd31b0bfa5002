package aio

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"golang.org/x/sys/unix"
)

// What read(2) returns from fanotify: events, each with records that say which files it is about.
// linux/fanotify.h
const (
	eventSize  = 24 // struct fanotify_event_metadata
	recordSize = 4  // struct fanotify_event_info_header
	fsidSize   = 8
	fidSize    = 8 // struct file_handle without its data
)

// event is something that has happened on the host.
type event struct {
	mask uint64
	pid  int32 // who did it: a process; 0 if it is in another name space
	// Hashes of the handles of the file that it is about, and of the directory that has or had its name; 0 if unknown.
	file, dir uint64
	name      []byte // in the buffer
}

// next takes an event off the front of what was read, and says whether there was one.
func (e *event) next(seed maphash.Seed, buf []byte) (rest []byte, ok bool) {
	*e = event{}
	if len(buf) < eventSize {
		return nil, false
	}
	ne := binary.NativeEndian
	size := int(ne.Uint32(buf))
	meta := int(ne.Uint16(buf[6:]))
	if buf[4] != unix.FANOTIFY_METADATA_VERSION || size < meta || size > len(buf) || meta < eventSize {
		return nil, false
	}
	e.mask = ne.Uint64(buf[8:])
	e.pid = int32(ne.Uint32(buf[20:]))
	for recs := buf[meta:size]; len(recs) >= recordSize; {
		n := int(ne.Uint16(recs[2:]))
		if n < recordSize || n > len(recs) {
			break
		}
		e.record(seed, recs[0], recs[recordSize:n])
		recs = recs[n:]
	}
	return buf[size:], true
}

// record takes one record.
func (e *event) record(seed maphash.Seed, typ uint8, body []byte) {
	if len(body) < fsidSize+fidSize {
		return
	}
	fid := body[fsidSize:]
	n := uint64(binary.NativeEndian.Uint32(fid))
	if n == 0 || n > uint64(len(fid)-fidSize) {
		return
	}
	hash := fidHash(seed, int32(binary.NativeEndian.Uint32(fid[4:])), fid[fidSize:fidSize+n])
	switch typ {
	case unix.FAN_EVENT_INFO_TYPE_FID:
		e.file = hash
	case unix.FAN_EVENT_INFO_TYPE_DFID_NAME:
		name := fid[fidSize+n:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		e.dir, e.name = hash, name
	}
}

// fidHash stands for a file handle. That two handles have the same is unlikely, and costs a client what it has cached
// of a file.
func fidHash(seed maphash.Seed, typ int32, handle []byte) uint64 {
	h := maphash.Bytes(seed, handle) + uint64(uint32(typ))*0x9e3779b97f4a7c15
	if h == 0 {
		return 1
	}
	return h
}
