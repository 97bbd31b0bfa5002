package aio

import (
	"encoding/binary"
	"hash/maphash"
	"testing"

	"golang.org/x/sys/unix"
)

// eventOf makes an event with a record for each type.
func eventOf(mask uint64, handle, name string, types ...uint8) []byte {
	ne := binary.NativeEndian
	var recs []byte
	for _, typ := range types {
		body := make([]byte, fsidSize)
		body = ne.AppendUint32(body, uint32(len(handle)))
		body = ne.AppendUint32(body, 1)
		body = append(body, handle...)
		if typ == unix.FAN_EVENT_INFO_TYPE_DFID_NAME {
			body = append(append(body, name...), 0)
		}
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		recs = append(recs, typ, 0)
		recs = ne.AppendUint16(recs, uint16(recordSize+len(body)))
		recs = append(recs, body...)
	}
	b := ne.AppendUint32(nil, uint32(eventSize+len(recs)))
	b = append(b, unix.FANOTIFY_METADATA_VERSION, 0)
	b = ne.AppendUint16(b, eventSize)
	b = ne.AppendUint64(b, mask)
	b = ne.AppendUint32(b, 0xffffffff)
	b = ne.AppendUint32(b, 77)
	return append(b, recs...)
}

// TestEvents takes events apart, and what is not quite one.
func TestEvents(t *testing.T) {
	seed := maphash.MakeSeed()
	const fid, dfid = unix.FAN_EVENT_INFO_TYPE_FID, unix.FAN_EVENT_INFO_TYPE_DFID_NAME
	one := eventOf(unix.FAN_CREATE, "handle", "name", dfid, fid)
	two := append(eventOf(unix.FAN_Q_OVERFLOW, "", ""), one...)
	var e event
	rest, ok := e.next(seed, two)
	if !ok || e.mask != unix.FAN_Q_OVERFLOW || e.file != 0 || e.dir != 0 {
		t.Errorf("an overflow: %+v, %v", e, ok)
	}
	rest, ok = e.next(seed, rest)
	want := fidHash(seed, 1, []byte("handle"))
	if !ok || len(rest) != 0 || e.file != want || e.dir != want || string(e.name) != "name" || e.pid != 77 {
		t.Errorf("a new name: %+v, %v, %d bytes are left", e, ok, len(rest))
	}
	if _, ok := e.next(seed, rest); ok {
		t.Error("an event of nothing")
	}
	for n := range one {
		if _, ok := e.next(seed, one[:n]); ok {
			t.Errorf("%d of %d bytes are an event", n, len(one))
		}
	}
	one[4]++
	if _, ok := e.next(seed, one); ok {
		t.Error("an event of another version")
	}
}

// FuzzEvents wants whatever is read to be taken apart without a panic, and to come to an end.
func FuzzEvents(f *testing.F) {
	f.Add(eventOf(unix.FAN_CREATE, "handle", "name", unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_FID))
	f.Add(eventOf(unix.FAN_Q_OVERFLOW, "", ""))
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, buf []byte) {
		var e event
		for ok := true; ok; {
			n := len(buf)
			if buf, ok = e.next(seed, buf); ok && len(buf) >= n {
				t.Fatal("no progress")
			}
		}
	})
}

// BenchmarkEventElsewhere is an event about what no client knows, which is what most are on a busy file system.
func BenchmarkEventElsewhere(b *testing.B) {
	w := &watcher{seed: maphash.MakeSeed(), pid: 1}
	w.nodes.init()
	one := eventOf(unix.FAN_CREATE, "a handle", "a name of some length",
		unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_FID)
	b.ReportAllocs()
	for b.Loop() {
		x := batch{w: w}
		x.addAll(one)
	}
}
