package memfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// lie is a well-formed request for one opcode of which only a nodeid or an fh is wrong.
type lie struct {
	op    uint32
	dir   bool // on a directory
	node2 bool // there is a second nodeid
	fhs   int  // how many handles it takes
	// args adds arguments and names.
	args func(r *wireCall, fh, node2, fh2 uint64)
	// same is what it is answered whatever it says; silent: there is no answer.
	same   syscall.Errno
	silent bool
}

func anyName(r *wireCall) { r.addName("name") }

var wholeFile = FileLock{End: 1<<63 - 1, Type: syscall.F_WRLCK}

// lies are all opcodes that take nodeids or handles.
var lies = []lie{
	{op: FUSE_LOOKUP, args: func(r *wireCall, _, _, _ uint64) { anyName(r) }},
	{op: FUSE_FORGET, silent: true, args: func(r *wireCall, _, _, _ uint64) { r.add(Bytes(&ForgetIn{Nlookup: 1})) }},
	{op: FUSE_BATCH_FORGET, silent: true, args: func(r *wireCall, a, b, c uint64) {
		r.add(Bytes(&BatchForgetIn{Count: 3}))
		for _, node := range []uint64{a, b, c} {
			r.add(Bytes(&ForgetOne{NodeID: node, Nlookup: 1 << 60}))
		}
	}},
	{op: FUSE_GETATTR, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&GetattrIn{GetattrFlags: FUSE_GETATTR_FH, Fh: fh}))
	}},
	{op: FUSE_STATX, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&StatxIn{GetattrFlags: FUSE_GETATTR_FH, Fh: fh, SxMask: 0x7ff}))
	}},
	{op: FUSE_SETATTR, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&SetattrIn{Valid: FATTR_FH | FATTR_SIZE | FATTR_MODE, Fh: fh, Size: 0, Mode: 0}))
	}},
	{op: FUSE_READLINK, args: func(*wireCall, uint64, uint64, uint64) {}},
	{op: FUSE_SYMLINK, args: func(r *wireCall, _, _, _ uint64) { anyName(r); r.addName("target") }},
	{op: FUSE_MKNOD, args: func(r *wireCall, _, _, _ uint64) {
		r.add(Bytes(&MknodIn{Mode: syscall.S_IFREG | 0o600}))
		anyName(r)
	}},
	{op: FUSE_MKDIR, args: func(r *wireCall, _, _, _ uint64) { r.add(Bytes(&MkdirIn{Mode: 0o700})); anyName(r) }},
	{op: FUSE_UNLINK, args: func(r *wireCall, _, _, _ uint64) { anyName(r) }},
	{op: FUSE_RMDIR, args: func(r *wireCall, _, _, _ uint64) { anyName(r) }},
	{op: FUSE_RENAME, dir: true, node2: true, args: func(r *wireCall, _, node, _ uint64) {
		r.add(Bytes(&RenameIn{Newdir: node}))
		anyName(r)
		anyName(r)
	}},
	{op: FUSE_RENAME2, dir: true, node2: true, args: func(r *wireCall, _, node, _ uint64) {
		r.add(Bytes(&Rename2In{Newdir: node, Flags: 2}))
		anyName(r)
		anyName(r)
	}},
	{op: FUSE_LINK, dir: true, node2: true, args: func(r *wireCall, _, node, _ uint64) {
		r.add(Bytes(&LinkIn{OldNodeID: node}))
		anyName(r)
	}},
	{op: FUSE_OPEN, args: func(r *wireCall, _, _, _ uint64) {
		r.add(Bytes(&OpenIn{Flags: syscall.O_TRUNC | syscall.O_RDWR}))
	}},
	{op: FUSE_OPENDIR, args: func(r *wireCall, _, _, _ uint64) { r.add(Bytes(&OpenIn{})) }},
	{op: FUSE_CREATE, args: func(r *wireCall, _, _, _ uint64) {
		r.add(Bytes(&CreateIn{Flags: syscall.O_RDWR | syscall.O_TRUNC, Mode: 0o600}))
		anyName(r)
	}},
	{op: FUSE_TMPFILE, args: func(r *wireCall, _, _, _ uint64) {
		r.add(Bytes(&CreateIn{Flags: syscall.O_RDWR, Mode: 0o600}))
		r.addName("/")
	}},
	{op: FUSE_READ, fhs: 1, args: readArgs},
	{op: FUSE_WRITE, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&WriteIn{Fh: fh, Size: 16, Flags: syscall.O_RDWR}))
		r.add(make([]byte, 16))
	}},
	{op: FUSE_STATFS, args: func(*wireCall, uint64, uint64, uint64) {}},
	{op: FUSE_SYNCFS, args: func(r *wireCall, _, _, _ uint64) { r.add(make([]byte, 8)) }},
	{op: FUSE_RELEASE, fhs: 1, args: releaseArgs},
	{op: FUSE_RELEASEDIR, dir: true, fhs: 1, args: releaseArgs},
	{op: FUSE_FLUSH, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) { r.add(Bytes(&FlushIn{Fh: fh, LockOwner: 77})) }},
	{op: FUSE_SETXATTR, args: func(r *wireCall, _, _, _ uint64) {
		r.add(Bytes(&SetxattrIn{Size: 4})[:FUSE_COMPAT_SETXATTR_IN_SIZE])
		r.addName("user.name")
		r.add([]byte("evil"))
	}},
	{op: FUSE_GETXATTR, args: func(r *wireCall, _, _, _ uint64) { r.add(Bytes(&GetxattrIn{})); r.addName("user.name") }},
	{op: FUSE_LISTXATTR, args: func(r *wireCall, _, _, _ uint64) { r.add(Bytes(&GetxattrIn{Size: 100})) }},
	{op: FUSE_REMOVEXATTR, args: func(r *wireCall, _, _, _ uint64) { r.addName("user.name") }},
	{op: FUSE_READDIR, dir: true, fhs: 1, args: readArgs},
	{op: FUSE_READDIRPLUS, dir: true, fhs: 1, args: readArgs},
	{op: FUSE_GETLK, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&LkIn{Fh: fh, Owner: 77, Lk: wholeFile}))
	}},
	{op: FUSE_SETLK, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&LkIn{Fh: fh, Owner: 77, Lk: FileLock{End: 1<<63 - 1, Type: syscall.F_UNLCK}}))
	}},
	{op: FUSE_SETLKW, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&LkIn{Fh: fh, Owner: 77, Lk: wholeFile}))
	}},
	{op: FUSE_SETLK, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) { // flock(2)
		r.add(Bytes(&LkIn{Fh: fh, Owner: 77, LkFlags: FUSE_LK_FLOCK, Lk: FileLock{Type: syscall.F_UNLCK}}))
	}},
	{op: FUSE_SETLKW, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&LkIn{Fh: fh, Owner: 77, LkFlags: FUSE_LK_FLOCK, Lk: FileLock{Type: syscall.F_WRLCK}}))
	}},
	{op: FUSE_IOCTL, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&IoctlIn{Fh: fh, Cmd: 0x80086601, OutSize: 4})) // FS_IOC_GETFLAGS
	}},
	{op: FUSE_POLL, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&PollIn{Fh: fh, Kh: 5, Flags: FUSE_POLL_SCHEDULE_NOTIFY, Events: 1}))
	}},
	{op: FUSE_FALLOCATE, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&FallocateIn{Fh: fh, Length: 1 << 12}))
	}},
	{op: FUSE_LSEEK, fhs: 1, args: func(r *wireCall, fh, _, _ uint64) { r.add(Bytes(&LseekIn{Fh: fh, Whence: 3})) }},
	{op: FUSE_COPY_FILE_RANGE, node2: true, fhs: 2, args: copyArgs},
	{op: FUSE_COPY_FILE_RANGE_64, node2: true, fhs: 2, args: copyArgs},
	// What the dispatcher does not hand on, since memfs has nothing to sync and cannot be mapped.
	{op: FUSE_FSYNC, fhs: 1, same: syscall.ENOSYS, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&FsyncIn{Fh: fh}))
	}},
	{op: FUSE_FSYNCDIR, dir: true, fhs: 1, same: syscall.ENOSYS, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&FsyncIn{Fh: fh}))
	}},
	{op: FUSE_SETUPMAPPING, fhs: 1, same: syscall.ENOSYS, args: func(r *wireCall, fh, _, _ uint64) {
		r.add(Bytes(&SetupmappingIn{Fh: fh, Len: 4096}))
	}},
}

func readArgs(r *wireCall, fh, _, _ uint64) { r.add(Bytes(&ReadIn{Fh: fh, Size: 200})) }

func releaseArgs(r *wireCall, fh, _, _ uint64) { r.add(Bytes(&ReleaseIn{Fh: fh, LockOwner: 77})) }

func copyArgs(r *wireCall, fh, node2, fh2 uint64) {
	r.add(Bytes(&CopyFileRangeIn{FhIn: fh, NodeIDOut: node2, FhOut: fh2, Len: 100}))
}

// attacker is a client that has some files of its own, and otherwise sends what it has no right to.
type attacker struct {
	*wire
	rng    *rand.Rand
	victim *neighbour
	root   uint64
	files  []*attackerFile
	dirFh  uint64 // of root
	step   int

	deadNodes, deadFhs []uint64

	nodes map[uint64]bool   // that are alive, whoever's they are
	own   map[uint64]uint64 // handles that are open here, and of what
}

type attackerFile struct {
	node, fh uint64
	name     string
}

const kept = 4096 // stale numbers of a kind

func keep(rng *rand.Rand, list []uint64, v uint64) []uint64 {
	if len(list) < kept {
		return append(list, v)
	}
	list[rng.IntN(kept)] = v
	return list
}

// honest does what makes stale numbers: opens and closes, makes and removes files, begins a new session.
func (a *attacker) honest() {
	a.step++
	switch n := a.rng.IntN(100); {
	case n == 0: // all handles are those of a session that was
		for _, fh := range slices.Sorted(maps.Keys(a.own)) {
			a.deadFhs = keep(a.rng, a.deadFhs, fh)
		}
		if n = a.rng.IntN(2); n == 0 {
			a.must(FUSE_DESTROY, 0)
		}
		a.init(0)
		for _, f := range a.files {
			f.fh = 0
		}
		a.dirFh = 0
	case n < 40 && len(a.files) < 16:
		f := &attackerFile{name: fmt.Sprint("a", a.step)}
		f.node, f.fh = a.create(a.root, f.name)
		a.files = append(a.files, f)
	case n < 60 && len(a.files) > 4: // gone
		i := a.rng.IntN(len(a.files))
		f := a.files[i]
		a.files = slices.Delete(a.files, i, i+1)
		a.must(FUSE_UNLINK, a.root, wireName(f.name))
		a.close(f)
		a.forget(f.node, 1)
		a.deadNodes = keep(a.rng, a.deadNodes, f.node)
	case n < 80:
		if f := a.files[a.rng.IntN(len(a.files))]; f.fh == 0 {
			f.fh = a.open(f.node)
		} else {
			a.close(f)
		}
	default:
		if a.dirFh == 0 {
			a.dirFh = a.opendir(a.root)
		} else {
			a.must(FUSE_RELEASEDIR, a.root, Bytes(&ReleaseIn{Fh: a.dirFh}))
			a.deadFhs = keep(a.rng, a.deadFhs, a.dirFh)
			a.dirFh = 0
		}
	}
}

func (a *attacker) close(f *attackerFile) {
	if f.fh != 0 {
		a.release(f.node, f.fh)
		a.deadFhs = keep(a.rng, a.deadFhs, f.fh)
		f.fh = 0
	}
}

// look notes what is valid at the moment.
func (a *attacker) look() {
	clear(a.nodes)
	clear(a.own)
	a.nodes[FUSE_ROOT_ID] = true
	a.nodes[uint64(a.w.fs.root.obj)] = true
	a.nodes[a.root] = true
	for _, f := range a.files {
		a.nodes[f.node] = true
		if f.fh != 0 {
			a.own[f.fh] = f.node
		}
	}
	if a.dirFh != 0 {
		a.own[a.dirFh] = a.root
	}
	b := a.victim
	for _, node := range b.dirs {
		a.nodes[node] = true
	}
	for _, f := range b.files {
		a.nodes[f.node] = true
	}
	for _, f := range b.open {
		a.nodes[f.node] = true
	}
}

// stranger returns a file of the other client.
func (a *attacker) stranger() *neighbourFile {
	b := a.victim
	if len(b.open) > 0 && a.rng.IntN(3) > 0 {
		return b.open[a.rng.IntN(len(b.open))]
	}
	return b.any()
}

// invent returns any number, most likely one that looks good.
func (a *attacker) invent() uint64 {
	r := a.rng
	switch r.IntN(8) {
	case 0:
		return r.Uint64()
	case 1:
		return uint64(r.IntN(2048))
	case 2: // another generation of what there is
		like := a.files[r.IntN(len(a.files))]
		return [...]uint64{like.node, like.fh}[r.IntN(2)] + uint64(1+r.IntN(4))<<32
	case 3:
		return a.stranger().node - uint64(1+r.IntN(4))<<32
	case 4: // of the first generations of the first slots
		return uint64(r.IntN(64))<<32 | uint64(r.IntN(1024))
	case 5: // one bit is wrong
		return a.stranger().node ^ 1<<r.IntN(64)
	case 6:
		return a.stranger().fh ^ 1<<r.IntN(64)
	}
	return ^uint64(r.IntN(2))
}

// badNode returns a nodeid that is none, or is no more.
func (a *attacker) badNode() uint64 {
	for {
		var v uint64
		switch a.rng.IntN(4) {
		case 0, 1:
			if len(a.deadNodes) == 0 {
				continue
			}
			v = a.deadNodes[a.rng.IntN(len(a.deadNodes))]
		case 2:
			v = a.files[a.rng.IntN(len(a.files))].fh
		default:
			v = a.invent()
		}
		if !a.nodes[v] {
			return v
		}
	}
}

// badFh returns an fh that this client must not use on node: none, no more, another file's or the other client's.
func (a *attacker) badFh(node uint64) uint64 {
	for {
		var v uint64
		switch a.rng.IntN(6) {
		case 0, 1:
			if len(a.deadFhs) == 0 {
				continue
			}
			v = a.deadFhs[a.rng.IntN(len(a.deadFhs))]
		case 2:
			v = a.files[a.rng.IntN(len(a.files))].fh
		case 3:
			v = a.stranger().fh
		case 4:
			v = node
		default:
			v = a.invent()
		}
		if of, ok := a.own[v]; v != 0 && (!ok || of != node) {
			return v
		}
	}
}

// goodNode returns a node that is alive, its own or the other's, and an fh that is right for it.
func (a *attacker) goodNode(dir bool) (node, fh uint64) {
	switch n := a.rng.IntN(3); {
	case dir && n == 0:
		return a.victim.dirs[a.rng.IntN(len(a.victim.dirs))], 0
	case dir:
		return a.root, a.dirFh
	case n == 0:
		return a.stranger().node, 0
	}
	f := a.files[a.rng.IntN(len(a.files))]
	return f.node, f.fh
}

// attack sends one request that must not succeed.
func (a *attacker) attack() {
	l := &lies[a.rng.IntN(len(lies))]
	r := a.get()
	var fh, node2, fh2 uint64
	node, right := a.goodNode(l.dir)
	places := 1 + l.fhs
	if l.node2 {
		places++
		node2, fh2 = a.goodNode(l.dir)
	}
	fh = right
	switch place := a.rng.IntN(places); {
	case l.silent: // also what the other client has looked up: a name keeps a file, and so does a handle
		node, fh, node2, fh2 = a.badNode(), a.badNode(), a.stranger().node, a.victim.dirs[a.rng.IntN(4)]
	case place == 0:
		node, r.want = a.badNode(), syscall.ESTALE
		if l.fhs > 0 && a.rng.IntN(2) == 0 {
			fh = a.badFh(node)
		}
	case place == 1 && l.node2:
		node2, r.want = a.badNode(), syscall.ESTALE
	case place == places-1 && l.fhs == 2:
		fh2, r.want = a.badFh(node2), syscall.EBADF
	default:
		fh, r.want = a.badFh(node), syscall.EBADF
	}
	if l.same != 0 {
		r.want = l.same
	}
	// A victim's handle with its own file is as good as any other number.
	if r.want == syscall.EBADF && l.fhs == 1 && !l.dir && a.rng.IntN(4) == 0 {
		if f := a.stranger(); f.fh != 0 {
			node, fh = f.node, f.fh
		}
	}
	l.args(r, fh, node2, fh2)
	r.node, r.fh = node, fh
	r.check = attacked
	r.send(l.op, node)
}

func attacked(r *wireCall) {
	if r.errno != r.want || r.want != 0 && r.len != 16 {
		r.c.w.tb.Fatalf("%s of node %#x with fh %#x: %v and %d bytes, want %v",
			fusedispatcher.OpcodeName(r.op), r.node, r.fh, r.errno, r.len, r.want)
	}
}

func newAttacker(c *wire, rng *rand.Rand, victim *neighbour) *attacker {
	a := &attacker{
		wire: c, rng: rng, victim: victim, nodes: map[uint64]bool{}, own: map[uint64]uint64{},
		deadNodes: make([]uint64, 0, kept), deadFhs: make([]uint64, 0, kept),
	}
	a.root = c.mkdir(FUSE_ROOT_ID, "attacker")
	f := &attackerFile{name: "first"}
	f.node, f.fh = c.create(a.root, f.name)
	a.files = append(a.files, f)
	return a
}

// checkTables holds the tables of the file system to what the two clients have.
func (a *attacker) checkTables() {
	fs, b, tb := a.w.fs, a.victim, a.w.tb
	handles := len(a.own) + len(b.open) + 1 // that of the locked file
	inodes := 2 + len(a.files) + len(b.dirs) + len(b.files) + b.unnamed()
	switch {
	case fs.handles.Len() != handles:
		tb.Errorf("%d handles, want %d", fs.handles.Len(), handles)
	case fs.objects.Len() != inodes || fs.inodes.Load() != int64(inodes):
		tb.Errorf("%d objects, %d inodes, want %d", fs.objects.Len(), fs.inodes.Load(), inodes)
	case fs.used.Load() != b.pages():
		tb.Errorf("%d pages, want %d", fs.used.Load(), b.pages())
	case fs.locks.Waits() != 0 || len(*fs.clients.Load()) != 2:
		tb.Errorf("%d requests wait for locks, %d clients", fs.locks.Waits(), len(*fs.clients.Load()))
	}
}

// TestInventedHandles has one client send nodeids and handles that it invents, that are stale or the other client's,
// to every opcode that takes some. It gets ESTALE for each nodeid and EBADF for each handle; it costs no memory; and
// the other client, which works all the while, notices nothing: its files are what it has made them, its handles
// and locks its own.
func TestInventedHandles(t *testing.T) {
	total := 1_000_000
	if testing.Short() || raceEnabled {
		total = 100_000
	}
	rng := newPCG(t)
	w := newWired(t, Opts{Size: 64 << 20, Inodes: 1000, Handles: 1000})
	b := newNeighbour(w.clients[1], rng)
	a := newAttacker(w.clients[0], rng, b)
	const slack = 512 << 10 // how much the files of the two clients may differ
	warm := total / 5
	var before uint64
	begin := time.Now()
	for sent := 0; sent < total; {
		a.honest()
		a.settle()
		b.step()
		a.look()
		for range wireQueue {
			a.attack()
		}
		sent += wireQueue
		if sent >= warm && before == 0 {
			before = heap()
		}
		a.settle()
	}
	took := time.Since(begin)
	after := heap()
	a.look()
	a.checkTables()
	b.checkTree()
	t.Logf("%d requests in %v, %d of the other client; heap %d KiB after a fifth, %d at the end; %d handles, %d objects",
		total, took, b.steps, before>>10, after>>10, w.fs.handles.Len(), w.fs.objects.Len())
	if after > before+slack {
		t.Errorf("the heap has grown from %d to %d bytes", before, after)
	}
	if n := w.lines.n.Load(); n != 0 {
		t.Errorf("%d lines of log", n)
	}
	// The locks are still held.
	f := a.open(b.locked.node)
	lk := LkIn{Fh: f, Owner: 77, Lk: FileLock{Start: 15, End: 15, Type: syscall.F_WRLCK}}
	if r := a.must(FUSE_GETLK, b.locked.node, Bytes(&lk)); Overlay[LkOut](r.out[0][16:]).Lk.PID != 1234 {
		t.Errorf("the byte-range lock of the other client is gone")
	}
	lk.LkFlags, lk.Lk = FUSE_LK_FLOCK, FileLock{Type: syscall.F_RDLCK}
	if r := a.call(FUSE_SETLK, b.locked.node, Bytes(&lk)); r.errno != syscall.EAGAIN {
		t.Errorf("a lock that is in the way of the other client's: %v", r.errno)
	}
	a.release(b.locked.node, f)
}

// TestGuessedObjects pins what a client can and cannot do to another whose objects it guesses, see the package's
// comment.
func TestGuessedObjects(t *testing.T) {
	w := newWired(t, Opts{Size: 4 << 20, Inodes: 100})
	guesser, c := w.clients[0], w.clients[1]
	forgetAll := Bytes(&ForgetIn{Nlookup: 1 << 40})
	data := []byte("what nobody else can name")

	named, fh := c.create(FUSE_ROOT_ID, "named")
	c.write(named, fh, 0, data)
	c.release(named, fh)
	guesser.must(FUSE_FORGET, named, forgetAll)
	if got := c.read(named, 0, 100); string(got) != string(data) {
		t.Errorf("a file with a name: %q", got)
	}

	opened, fh := c.create(FUSE_ROOT_ID, "opened")
	c.write(opened, fh, 0, data)
	c.must(FUSE_UNLINK, FUSE_ROOT_ID, wireName("opened"))
	guesser.must(FUSE_FORGET, opened, forgetAll)
	if got := c.read(opened, fh, 100); string(got) != string(data) {
		t.Errorf("a file with a handle: %q", got)
	}

	known, fh := c.create(FUSE_ROOT_ID, "known")
	c.write(known, fh, 0, data)
	c.release(known, fh)
	c.must(FUSE_UNLINK, FUSE_ROOT_ID, wireName("known"))
	if got := guesser.read(known, 0, 100); string(got) != string(data) {
		t.Errorf("a file that is known by its lookup: %q", got)
	}
	guesser.must(FUSE_FORGET, known, forgetAll)
	if got := c.read(known, 0, 100); string(got) != string(data) {
		t.Errorf("a file that another has forgotten: %q", got)
	}
	c.must(FUSE_FORGET, known, forgetAll)
	if r := c.call(FUSE_GETATTR, known, Bytes(&GetattrIn{})); r.errno != syscall.ESTALE {
		t.Errorf("a file that its client has forgotten: %v", r.errno)
	}
}
