package memfs

import (
	"bytes"
	"slices"
	"sort"
	"sync/atomic"
	"syscall"
)

const (
	// maxName is the longest name of a directory entry in bytes.
	maxName = 255

	// direntSize is what an entry adds to the size of its directory, as in tmpfs.
	direntSize = 20

	// A directory's cookies are the sequence numbers of its entries: reading goes on with
	// the first entry whose number is larger. "." and ".." have the first two.
	cookieDot    = 1
	cookieDotDot = 2

	chunkEntries = 256 // most entries in a chunk
	mapWorthKeep = 1024
)

// dirent is a name in a directory.
type dirent struct {
	name string
	seq  uint64 // cookie; larger than that of every entry made before
	node *inode
}

// directory holds the entries of a directory: by name in a map, and in the order in which they
// were made in a list of chunks. Both are guarded by the inode's lock. New entries have the
// largest sequence number, so the list only grows at its end; an entry is found in it by two
// binary searches.
type directory struct {
	// parent is the directory that has this one's name, itself for the root, nil once it
	// is removed. It changes only while this inode is locked, but may be read at any time:
	// what was read is confirmed under the lock, or used under fileSystem.renameLk.
	parent atomic.Pointer[inode]

	names   map[string]*dirent
	chunks  []*dirChunk
	lastSeq uint64 // of the newest entry, less cookieDotDot
	peak    int    // most names since the map was made
}

// dirChunk is a part of the ordered list. It is never empty.
type dirChunk struct {
	first   uint64 // no larger than the number of the first entry, larger than all before it
	entries []*dirent
}

// add makes an entry. There is none of that name.
func (d *directory) add(name string, n *inode) {
	d.lastSeq++
	e := &dirent{name: name, seq: d.lastSeq + cookieDotDot, node: n}
	d.names[name] = e
	d.peak = max(d.peak, len(d.names))
	if k := len(d.chunks); k > 0 && len(d.chunks[k-1].entries) < chunkEntries {
		c := d.chunks[k-1]
		c.entries = append(c.entries, e)
		return
	}
	c := &dirChunk{first: e.seq, entries: []*dirent{e}}
	d.chunks = append(d.chunks, c)
}

// remove takes an entry out of the directory.
func (d *directory) remove(e *dirent) {
	delete(d.names, e.name)
	if len(d.names) == 0 && d.peak > mapWorthKeep {
		// maps do not shrink
		d.names = make(map[string]*dirent)
		d.peak = 0
	}
	i := d.chunkOf(e.seq)
	c := d.chunks[i]
	j := c.after(e.seq - 1)
	c.entries = slices.Delete(c.entries, j, j+1)
	switch {
	case len(c.entries) == 0:
		d.chunks = slices.Delete(d.chunks, i, i+1)
	case len(c.entries) <= chunkEntries/4:
		d.merge(i)
	}
}

// merge joins chunk i with a neighbour if both are nearly empty, so that chunks stay at least
// 1/8 full on average.
func (d *directory) merge(i int) {
	if i+1 == len(d.chunks) {
		i--
	}
	if i < 0 || len(d.chunks[i].entries)+len(d.chunks[i+1].entries) > chunkEntries/2 {
		return
	}
	d.chunks[i].entries = append(d.chunks[i].entries, d.chunks[i+1].entries...)
	d.chunks = slices.Delete(d.chunks, i+1, i+2)
}

// chunkOf returns the index of the chunk that holds the entry with number seq if there is one.
// It is 0 at least.
func (d *directory) chunkOf(seq uint64) int {
	return max(0, sort.Search(len(d.chunks), func(i int) bool { return d.chunks[i].first > seq })-1)
}

// after returns the index of the first entry whose number is larger than seq.
func (c *dirChunk) after(seq uint64) int {
	return sort.Search(len(c.entries), func(i int) bool { return c.entries[i].seq > seq })
}

// checkName returns the errno of a name that no entry can have: ENAMETOOLONG, EINVAL, and dots
// for "." and "..", which every directory has already.
func checkName(name []byte, dots syscall.Errno) syscall.Errno {
	switch {
	case len(name) > maxName:
		return syscall.ENAMETOOLONG
	case len(name) == 0:
		return syscall.EINVAL
	case isDots(name):
		return dots
	case bytes.IndexByte(name, '/') >= 0, bytes.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	return 0
}

// isDots says whether name is "." or "..".
func isDots(name []byte) bool {
	return len(name) == 1 && name[0] == '.' || len(name) == 2 && name[0] == '.' && name[1] == '.'
}

// wantLinked returns ENOENT for a directory that was removed. The caller has it locked.
func (n *inode) wantLinked() syscall.Errno {
	if n.nlink == 0 {
		return syscall.ENOENT
	}
	return 0
}

// changed stamps a directory whose entries changed. The caller has it locked.
func (n *inode) changed(now stamp) { n.mtime, n.ctime = now, now }
