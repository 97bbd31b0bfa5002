package fuzz

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"syscall"
)

// rootID is what clients call the root. linux/fuse.h, FUSE_ROOT_ID
const rootID = 1

// rootHandle is what memfs calls the root, the first file that there is. Clients are not told, but may guess.
const rootHandle = 1 << 32

// model is what a file system with these contents would be like.
type model struct {
	root  *node
	byID  map[uint64]*node // that live, by what clients call them
	gone  map[uint64]bool  // what clients called nodes that are no more
	inos  map[uint64]*node
	nodes int // that live
	links int // second and further names of files

	maxPages  uint64
	maxNodes  int
	sure      uint64 // pages that are taken
	vague     uint64 // pages that may be taken
	handles   map[uint64]*handle
	oldFh     map[uint64]bool
	maxOpen   int
	waits     []*wait // for locks, in the order of their coming
	maxWaits  int
	nextEntry uint64
}

// node is a file of any type.
type node struct {
	m    *model
	id   uint64 // 0: no client knows it
	ino  uint64 // 0: nobody has seen it
	typ  uint32
	perm uint32
	uid  uint32
	gid  uint32
	rdev uint32

	nlink    int // of a directory: 2 and one for each directory in it, 0 if it is removed
	linkable bool
	lookups  [maxClients]uint64
	open     int // handles
	waiting  int // requests for locks
	dead     bool

	atime, mtime, ctime when
	btime               when

	parent *node // of a directory that is not removed
	kids   map[string]*entry
	past   map[uint64]uint64 // cookies that were told: which entry each belongs to, if it has gone, too

	target string
	xattrs map[string]string

	size  uint64
	pages map[uint64]*page
	sure  uint64
	vague uint64

	flocks map[flockKey]bool // exclusive
	ranges map[owner][]lockRange
	ties   map[owner]uint64 // the handle through which an owner locked last
}

// entry is a name in a directory.
type entry struct {
	n      *node
	seq    uint64 // grows with every entry that is made
	cookie uint64 // 0: not told yet
}

// handle is an open file.
type handle struct {
	fh     uint64
	n      *node
	client int
	flags  uint32
}

func newModel(pages uint64, nodes, open, waits int) *model {
	m := &model{
		byID: map[uint64]*node{}, gone: map[uint64]bool{}, inos: map[uint64]*node{},
		handles: map[uint64]*handle{}, oldFh: map[uint64]bool{},
		maxPages: pages, maxNodes: nodes, maxOpen: open, maxWaits: waits, nextEntry: 3,
	}
	m.root = m.newNode(syscall.S_IFDIR, 0o1777, 0, 0, when{anyTime})
	m.root.parent = m.root
	m.root.id = rootID
	m.byID[rootID] = m.root
	m.byID[rootHandle] = m.root
	return m
}

// newNode makes a node that has one name.
func (m *model) newNode(typ, perm, uid, gid uint32, now when) *node {
	n := &node{m: m, typ: typ, perm: perm & 0o7777, uid: uid, gid: gid, nlink: 1,
		atime: slices.Clone(now), mtime: slices.Clone(now), ctime: slices.Clone(now), btime: slices.Clone(now)}
	switch typ {
	case syscall.S_IFDIR:
		n.nlink = 2
		n.kids = map[string]*entry{}
		n.past = map[uint64]uint64{}
	case syscall.S_IFREG:
		n.pages = map[uint64]*page{}
	}
	m.nodes++
	return n
}

func (n *node) isDir() bool { return n.typ == syscall.S_IFDIR }

// add gives n a name in d.
func (d *node) add(name string, n *node) {
	d.m.nextEntry++
	d.kids[name] = &entry{n: n, seq: d.m.nextEntry}
	if n.isDir() {
		n.parent = d
		d.nlink++
	}
}

// remove takes a name out of d, and nothing else.
func (d *node) remove(name string) {
	if d.kids[name].n.isDir() {
		d.nlink--
	}
	delete(d.kids, name)
}

// unlinked accounts for a name that n has lost for good.
func (n *node) unlinked() {
	switch {
	case n.isDir():
		n.nlink, n.parent = 0, nil
	case n.nlink > 1:
		n.m.links--
		n.nlink--
	default:
		n.nlink = 0
	}
	n.settle()
}

// settle ends n if nothing refers to it any more.
func (n *node) settle() {
	if n.dead || n == n.m.root || n.nlink > 0 || n.lookups != [maxClients]uint64{} || n.open > 0 || n.waiting > 0 {
		return
	}
	n.dead = true
	m := n.m
	m.nodes--
	m.sure -= n.sure + xattrPages(n.xattrs) + targetPages(n.target)
	m.vague -= n.vague
	if n.id != 0 {
		delete(m.byID, n.id)
		m.gone[n.id] = true
	}
	delete(m.inos, n.ino)
}

// maxClients is how many there can be.
const maxClients = 4

// forget drops lookups of a client.
func (n *node) forget(client int, k uint64) {
	if n == n.m.root {
		return
	}
	n.lookups[client] -= min(k, n.lookups[client])
	n.settle()
}

// forgetAll drops all lookups of a client that has gone.
func (m *model) forgetAll(client int) {
	for _, n := range slices.Collect(maps.Values(m.byID)) {
		n.forget(client, math.MaxUint64)
	}
}

// isBelow says whether d is top or has it above it.
func (d *node) isBelow(top *node) bool {
	for {
		if d == top {
			return true
		}
		if d.parent == nil || d.parent == d {
			return false
		}
		d = d.parent
	}
}

// listing returns the entries of d that a READDIR after the one with the number seq lists.
func (d *node) listing(seq uint64) []string {
	var names []string
	for name, e := range d.kids {
		if e.seq > seq {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(int64(d.kids[a].seq - d.kids[b].seq)) })
	return names
}

func (n *node) String() string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprintf("%#x(%o)", n.id, n.typ|n.perm)
}

// close ends a handle.
func (h *handle) close() {
	delete(h.n.m.handles, h.fh)
	h.n.open--
	h.n.endHandle(h)
	h.n.settle()
}

// free returns the least and the most pages that are free.
func (m *model) free() (least, most uint64) {
	return m.maxPages - min(m.maxPages, m.sure+m.vague), m.maxPages - m.sure
}

// take changes how many pages are taken for sure.
func (m *model) take(before, after uint64) { m.sure = m.sure - before + after }

// room says whether there may be, and whether there must be, room for so many more pages.
func (m *model) room(pages uint64) (may, must bool) {
	least, most := m.free()
	return pages <= most, pages <= least
}
