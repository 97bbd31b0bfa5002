package aio_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

var (
	escapeTime = flag.Duration("escape.time", 0, "how long TestEscape tries; 0 means half a second with -short, else 4")
	escapeSeed = flag.Uint64("escape.seed", 0, "seed of TestEscape; 0 draws one")
)

// secretText is what no client may see, and secretName what it may not hear of.
const (
	secretText = "TOP SECRET"
	secretName = "outside-only"
)

// moverEnv makes the test binary the hostile process: the export, and its seed.
const moverEnv = "AIO_TEST_MOVER"

// TestEscape has a client do whatever it can think of, several things at a time, while processes of the host move
// directories out and back, and put symbolic links, magic links, FIFOs, devices and mounts of file systems in the place
// of files and directories. Nothing from outside may be seen, nothing there may change, and nothing may hang. The
// client follows a seed, and so does each process; how they meet is the scheduler's choice.
func TestEscape(t *testing.T) {
	if dir := os.Getenv(moverEnv); dir != "" {
		move(dir)
	}
	d := *escapeTime
	switch {
	case d == 0 && testing.Short():
		d = time.Second / 2
	case d == 0:
		d = 4 * time.Second
	}
	seed := *escapeSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run again with -escape.seed %d", seed)
	w := newEscape(t, seed)
	before := w.outside()
	for i := range 2 {
		w.startMover(seed + 1 + uint64(i))
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		w.round()
	}
	w.stopMovers()
	if diff := diffMaps(before, w.outside()); diff != "" {
		t.Errorf("outside of the export: %s", diff)
	}
	t.Logf("%d requests, %d of them successful, %d looked at what was read", w.sent, w.worked, w.looked)
	if w.worked < w.sent/20 || w.looked == 0 {
		t.Error("hardly anything has worked, which proves nothing")
	}
}

// escape is the client, and what it knows.
type escape struct {
	*rig
	rnd    *rand.Rand
	above  string          // has the export, the limbo and what is outside
	taboo  map[uint64]bool // inodes of what is outside
	nodes  []uint64
	opened []openFile
	movers []*exec.Cmd

	sent, worked, looked int
}

type openFile struct {
	node, fh uint64
	isDir    bool
}

func newEscape(t *testing.T, seed uint64) *escape {
	above := tempDir(t, "")
	export := filepath.Join(above, "export")
	for _, dir := range []string{"export/a/b/c", "export/d", "limbo", "outside/" + secretName} {
		must(t, os.MkdirAll(filepath.Join(above, dir), 0o777))
	}
	for _, file := range []string{"a", "secret", "outside/b", "outside/" + secretName + "/c"} {
		must(t, os.WriteFile(filepath.Join(above, file), []byte(secretText), 0o600))
	}
	must(t, unix.Mkfifo(filepath.Join(above, "outside/fifo"), 0o666))
	w := &escape{rig: newRig(t, aio.Opts{Root: export, Xattr: true, Devices: true}), above: above,
		rnd: rand.New(rand.NewPCG(seed, 0)), nodes: []uint64{root}, taboo: map[uint64]bool{}}
	for _, path := range []string{"", "a", "secret", "limbo", "outside", "outside/b", "outside/fifo",
		"outside/" + secretName, "outside/" + secretName + "/c", "..", "../..", "/", "/proc"} {
		if path != "" && path[0] == '/' {
			w.taboo[inode(t, path)] = true
			continue
		}
		w.taboo[inode(t, filepath.Join(above, path))] = true
	}
	return w
}

// outside returns what there is outside of the export, but for what the host has moved there, with all that can change.
func (w *escape) outside() map[string]string {
	w.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(w.above, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.above, path)
		if err != nil {
			return err
		}
		if rel == "export" || rel == "limbo" {
			return fs.SkipDir
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		text := []byte(nil)
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			text, err = os.ReadFile(path)
		}
		found[rel] = fmt.Sprintf("mode %o, owner %d:%d, links %d, changed %v, %q", st.Mode, st.Uid, st.Gid, st.Nlink,
			st.Ctim, text)
		return err
	})
	must(w, err)
	return found
}

func diffMaps(before, after map[string]string) string {
	for name, was := range before {
		if is := after[name]; is != was {
			return fmt.Sprintf("%s was %s, is %s", name, was, is)
		}
	}
	if len(before) != len(after) {
		return fmt.Sprintf("there is something new among %v", maps.Keys(after))
	}
	return ""
}

// names are few, so that everybody meets.
var names = []string{"a", "b", "c", "d"}

// clientNames are what the client tries beside those.
var clientNames = []string{".", "..", "../secret", "../outside/b", "/etc/passwd", "a/../../secret", "", "self"}

func (w *escape) name() string {
	if w.rnd.IntN(6) == 0 {
		return clientNames[w.rnd.IntN(len(clientNames))]
	}
	return names[w.rnd.IntN(len(names))]
}

func (w *escape) node() uint64 {
	if w.rnd.IntN(3) == 0 {
		return root
	}
	return w.nodes[w.rnd.IntN(len(w.nodes))]
}

// sent is a request and what has to be known of its reply.
type sent struct {
	a    *answer
	kind string
	node uint64
	fh   uint64
}

// round sends some requests at once and looks at the replies.
func (w *escape) round() {
	w.Helper()
	var all []sent
	for range 1 + w.rnd.IntN(8) {
		kind, node, fh, op := w.request()
		all = append(all, sent{w.start(op), kind, node, fh})
		w.sent++
	}
	for _, p := range all {
		w.until(func() bool { return p.a.done })
	}
	for _, p := range all {
		w.check(p)
	}
	for len(w.opened) > 40 {
		f := w.opened[0]
		w.opened = w.opened[1:]
		w.do(w.closing(f))
	}
	if len(w.nodes) > 200 { // forget some: the others stay for good
		for _, node := range w.nodes[100:] {
			w.ok(w.forget(node, 1))
		}
		w.nodes = w.nodes[:100]
	}
}

func (w *escape) closing(f openFile) opFunc {
	if f.isDir {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return w.c.Releasedir(f.node, f.fh, fn, ctx) }
	}
	return w.release(f.node, f.fh)
}

// request makes up a request.
func (w *escape) request() (kind string, node, fh uint64, op opFunc) {
	node = w.node()
	name, name2, other := w.name(), w.name(), w.node()
	flags := []uint32{syscall.O_RDONLY, syscall.O_RDWR, syscall.O_RDWR | syscall.O_TRUNC, syscall.O_WRONLY}[w.rnd.IntN(4)]
	if len(w.opened) > 0 && w.rnd.IntN(4) == 0 {
		f := w.opened[w.rnd.IntN(len(w.opened))]
		buf := make([]byte, 4096)
		switch {
		case f.isDir:
			plus := w.rnd.IntN(2) == 0
			kind = map[bool]string{false: "readdir", true: "readdirplus"}[plus]
			return kind, f.node, f.fh, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return w.c.Readdir(f.node, f.fh, 0, plus, buf, fn, ctx)
			}
		case w.rnd.IntN(2) == 0:
			return "read", f.node, f.fh, w.read(f.node, f.fh, 0, buf)
		}
		return "write", f.node, f.fh, w.write(f.node, f.fh, 0, []byte("mine"))
	}
	c := w.c
	switch w.rnd.IntN(16) {
	case 0, 1, 2:
		return "entry", node, 0, w.lookup(node, name)
	case 3:
		return "entry", node, 0, w.lookup(node, []string{"..", secretName, "secret", "outside"}[w.rnd.IntN(4)])
	case 4:
		return "create", node, 0, w.create(node, name, flags|syscall.O_CREAT)
	case 5:
		return "open", node, 0, w.open(node, flags)
	case 6:
		return "opendir", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return c.Opendir(node, 0, fn, ctx) }
	case 7:
		return "entry", node, 0, w.mkdir(node, name)
	case 8:
		targets := []string{"../secret", "/proc/self/root", "..", filepath.Join(w.above, "secret"), "../../outside"}
		target := targets[w.rnd.IntN(len(targets))]
		return "entry", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return c.Symlink(node, name, target, fn, ctx)
		}
	case 9:
		typ := []uint32{syscall.S_IFIFO, syscall.S_IFSOCK, syscall.S_IFCHR, syscall.S_IFREG}[w.rnd.IntN(4)]
		return "entry", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return c.Mknod(node, name, typ|0o666, 0x103, fn, ctx)
		}
	case 10:
		return "", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return c.Rename(node, name, other, name2, uint32(w.rnd.IntN(3)), fn, ctx)
		}
	case 11:
		return "entry", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return c.Link(node, other, name, fn, ctx)
		}
	case 12:
		return "", node, 0, w.unlink(node, name)
	case 13:
		return "", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return c.Rmdir(node, name, fn, ctx) }
	case 14:
		attr := fsdev.Attr{Mode: 0o777, UID: 1, GID: 1, Size: 3, Mtime: 1}
		masks := []uint32{fsdev.SetAttrMode, fsdev.SetAttrUID, fsdev.SetAttrSize, fsdev.SetAttrMtime}
		mask := masks[w.rnd.IntN(len(masks))]
		return "attr", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return c.Setattr(node, 0, &attr, mask, fn, ctx)
		}
	}
	return "", node, 0, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return c.Setxattr(node, "user.mine", []byte("mine"), 0, fn, ctx)
	}
}

// check looks at a reply.
func (w *escape) check(p sent) {
	w.Helper()
	rep := &p.a.r
	if rep.Errno != 0 {
		if rep.Errno == syscall.EPROTO {
			w.Errorf("a reply to %q is malformed", p.kind)
		}
		return
	}
	w.worked++
	switch p.kind {
	case "entry", "create":
		w.checkIno(p.kind, rep.Entry.Attr.Ino)
		w.nodes = append(w.nodes, rep.Entry.Node)
		if p.kind == "create" {
			w.checkType(rep.Entry.Attr.Mode)
			w.opened = append(w.opened, openFile{rep.Entry.Node, rep.Handle, false})
		}
	case "attr":
		w.checkIno(p.kind, rep.Entry.Attr.Ino)
	case "open":
		a := w.ok(w.getattr(p.node, rep.Handle))
		w.checkIno(p.kind, a.r.Entry.Attr.Ino)
		w.checkType(a.r.Entry.Attr.Mode)
		w.opened = append(w.opened, openFile{p.node, rep.Handle, false})
	case "opendir":
		w.opened = append(w.opened, openFile{p.node, rep.Handle, true})
	case "read":
		w.looked++
		if bytes.Contains(p.a.data, []byte(secretText)) {
			w.Errorf("node %#x has the secret", p.node)
		}
	case "readdir", "readdirplus":
		w.looked++
		if bytes.Contains(p.a.data, []byte(secretName)) {
			w.Errorf("node %#x lists what is outside", p.node)
		}
		plus := p.kind == "readdirplus"
		loopback.ParseDirents(p.a.data, plus, func(e *loopback.Dirent) bool {
			if plus && e.Entry.Node != 0 {
				w.checkIno(p.kind, e.Entry.Attr.Ino)
				w.nodes = append(w.nodes, e.Entry.Node)
			}
			return true
		})
	}
}

func (w *escape) checkIno(kind string, ino uint64) {
	w.Helper()
	if w.taboo[ino] {
		w.Errorf("%s leads to inode %d, which is outside", kind, ino)
	}
}

func (w *escape) checkType(mode uint32) {
	w.Helper()
	if mode&syscall.S_IFMT != syscall.S_IFREG {
		w.Errorf("a file of mode %#o is open", mode)
	}
}

func (w *escape) startMover(seed uint64) {
	w.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestEscape$", "-escape.seed", strconv.FormatUint(seed, 10))
	cmd.Env = append(os.Environ(), moverEnv+"="+w.above)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	must(w, cmd.Start())
	w.movers = append(w.movers, cmd)
	w.Cleanup(func() { _ = cmd.Process.Kill() })
}

func (w *escape) stopMovers() {
	for _, cmd := range w.movers {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
