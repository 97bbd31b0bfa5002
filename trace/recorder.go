package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
)

// Recorder follows the rings of a process that runs, and makes a trace file of all that it saw there. It is for one
// goroutine at a time.
//
// SPDK: struct aggr_trace_record_ctx
type Recorder struct {
	f     *File
	dir   string
	rings []recording
}

// recording is what came from one ring.
type recording struct {
	core  int
	next  uint64
	count uint64
	tmp   *os.File // has the entries; its name is gone already
}

// NewRecorder begins with what the rings of f have. What it sees is kept in files in dir until [Recorder.Finish].
//
// SPDK: app/trace_record
func NewRecorder(f *File, dir string) *Recorder {
	r := &Recorder{f: f, dir: dir}
	for _, core := range f.Cores() {
		r.rings = append(r.rings, recording{core: core})
	}
	return r
}

// Poll takes what has come since the last call. It returns how many entries that were, and how many were overwritten
// before they could be taken; in the first call these are those that were there before.
//
// SPDK: lcore_trace_record
func (r *Recorder) Poll() (taken, missed uint64, err error) {
	for i := range r.rings {
		rec := &r.rings[i]
		raw, err := r.f.readRing(rec.core, rec.next)
		if err != nil {
			return taken, missed, err
		}
		if rec.next != 0 || !raw.isRing() {
			missed += raw.missed
		}
		if !raw.isRing() && rec.next != 0 {
			continue // a file that was recorded: everything has been taken
		}
		rec.next = raw.end
		if len(raw.entries) == 0 {
			continue
		}
		if err := rec.add(r.dir, raw.entries); err != nil {
			return taken, missed, err
		}
		taken += uint64(len(raw.entries))
	}
	return taken, missed, nil
}

func (rec *recording) add(dir string, entries [][entrySize]byte) (err error) {
	if rec.tmp == nil {
		if rec.tmp, err = os.CreateTemp(dir, ".spdk_trace-"); err != nil {
			return err
		}
		if err := os.Remove(rec.tmp.Name()); err != nil {
			return err
		}
	}
	b := make([]byte, 0, len(entries)*entrySize)
	for i := range entries {
		b = append(b, entries[i][:]...)
	}
	rec.count += uint64(len(entries))
	_, err = rec.tmp.Write(b)
	return err
}

// Count returns how many entries of a core have been taken.
//
// SPDK: the summary of app/trace_record
func (r *Recorder) Count(core int) uint64 {
	for i := range r.rings {
		if r.rings[i].core == core {
			return r.rings[i].count
		}
	}
	return 0
}

// Finish writes everything to a new file. Errors wrap EEXIST if there is one of that name, or are what the kernel says;
// then there is no file.
//
// SPDK: trace_files_aggregate
func (r *Recorder) Finish(path string) error {
	if err := r.f.Reload(); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(r.write(out), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Close gives up what was taken.
func (r *Recorder) Close() error {
	var errs []error
	for i := range r.rings {
		if tmp := r.rings[i].tmp; tmp != nil {
			errs = append(errs, tmp.Close())
		}
	}
	return errors.Join(errs...)
}

// write writes the sections as they are, and behind them what came from the rings.
func (r *Recorder) write(out *os.File) error {
	offsets := r.f.sections[sectionLcoreOffsets]
	head, err := r.f.read(0, offsets+sectionHeaderSize+uint64(r.f.rings.len()*8))
	if err != nil {
		return err
	}
	for _, at := range r.f.sections {
		if at > offsets {
			return corrupt("a section is behind the places of the rings")
		}
	}
	at := uint64(len(head))
	clear(head[offsets+sectionHeaderSize:])
	for i := range r.rings {
		if rec := &r.rings[i]; rec.count > 0 {
			binary.LittleEndian.PutUint64(head[offsets+sectionHeaderSize+uint64(rec.core)*8:], at)
			at += historySize(rec.length())
		}
	}
	binary.LittleEndian.PutUint64(head[fileSizeAt:], at)
	if _, err := out.Write(head); err != nil {
		return err
	}
	for i := range r.rings {
		if err := r.writeRing(out, &r.rings[i]); err != nil {
			return err
		}
	}
	return out.Truncate(int64(at))
}

// length is how many entries the file gets: so many that nobody takes them for a ring, see [history.isRing].
func (rec *recording) length() uint64 {
	n := rec.count
	for bits.OnesCount64(n) == 1 {
		n++
	}
	return n
}

func (r *Recorder) writeRing(out *os.File, rec *recording) error {
	if rec.count == 0 {
		return nil
	}
	at := r.f.ringAt(rec.core)
	head, err := r.f.read(at, historyHeaderSize)
	if err != nil {
		return err
	}
	counts, err := r.f.read(at+historyHeaderSize, min(binary.LittleEndian.Uint64(head[historyTpointsAt:]), maxTpoint)*8)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(head[historyEntriesAt:], rec.length())
	binary.LittleEndian.PutUint64(head[historyTpointsAt:], maxTpoint)
	binary.LittleEndian.PutUint64(head[historyNextAt:], rec.count)
	head = append(append(head, counts...), make([]byte, maxTpoint*8-len(counts))...)
	if _, err := out.Write(head); err != nil {
		return err
	}
	if _, err := rec.tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(out, rec.tmp); err != nil {
		return err
	}
	_, err = out.Write(make([]byte, (rec.length()-rec.count)*entrySize))
	return err
}
