package memfs

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestReaddir(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	f := r.mkfile(d, "f")
	sub := r.mkdir(d, "sub")
	want := []entry{
		{".", 0, r.node(d).ino, syscall.S_IFDIR, 1},
		{"..", 0, rootIno, syscall.S_IFDIR, 2},
		{"f", 0, r.node(f).ino, syscall.S_IFREG, 3},
		{"sub", 0, r.node(sub).ino, syscall.S_IFDIR, 4},
	}
	for room := 1; room < 6; room++ {
		if diff := cmp.Diff(want, r.list(d, room), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("room for %d (-want +got):\n%s", room, diff)
		}
	}
	c := collector{room: 9}
	r.want("readdir of a file", r.readdir(r.node(f), 0, false, &c), syscall.ENOTDIR)
	r.must(r.readdir(r.node(d), 1<<63, false, &c))
	if len(c.got) != 0 {
		t.Errorf("beyond the end: %v", c.got)
	}
}

func TestReaddirPlusCountsLookups(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f")
	g := r.mkfile(r.root, "g")
	r.forget(f, 1)
	r.forget(g, 1)
	c := collector{room: 3} // dots and f; g is offered and not taken
	r.must(r.readdir(r.node(r.root), 0, true, &c))
	if len(c.got) != 3 || c.got[0].obj != 0 || c.got[1].obj != 0 || c.got[2].obj != f {
		t.Errorf("entries %+v", c.got)
	}
	r.must(r.remove(r.root, []byte("f"), false))
	r.must(r.remove(r.root, []byte("g"), false))
	r.stat(f)
	_, errno := r.get(g)
	r.want("the entry that was not taken", errno, syscall.ESTALE)
	r.forget(f, 1)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestCookiesAreStable reads directories in small steps while entries come and go: those that were
// there all the time must be told exactly once.
func TestCookiesAreStable(t *testing.T) {
	rnd := newRand(t)
	for range 20 {
		r := newRig(t, Opts{})
		var stays, comes []string
		for i := range rnd.Intn(2000) {
			name := fmt.Sprintf("%d", i)
			r.mkfile(r.root, name)
			if rnd.Intn(3) == 0 {
				stays = append(stays, name)
			} else {
				comes = append(comes, name)
			}
		}
		told := map[string]int{}
		last := uint64(0)
		for step := 0; ; step++ {
			c := collector{room: 1 + rnd.Intn(50)}
			r.must(r.readdir(r.node(r.root), last, false, &c))
			if len(c.got) == 0 {
				break
			}
			for _, e := range c.got {
				if e.cookie <= last {
					t.Fatalf("cookie %d after %d", e.cookie, last)
				}
				last = e.cookie
				told[e.name]++
			}
			for range rnd.Intn(60) {
				switch k := rnd.Intn(len(comes) + 1); {
				case k == len(comes):
					if step < 100 {
						name := fmt.Sprintf("new%d", r.fs.lastIno.Load())
						r.mkfile(r.root, name)
						comes = append(comes, name)
					}
				case rnd.Intn(2) == 0:
					r.must(r.remove(r.root, []byte(comes[k]), false))
					comes = slices.Delete(comes, k, k+1)
				default:
					name := fmt.Sprintf("moved%d", r.now)
					r.must(r.rename(r.root, []byte(comes[k]), r.root, []byte(name), 0))
					r.now++
					comes[k] = name
				}
			}
		}
		for _, name := range append(stays, ".", "..") {
			if told[name] != 1 {
				t.Errorf("%q was told %d times", name, told[name])
			}
		}
		for name, n := range told {
			if n > 1 {
				t.Errorf("%q was told %d times", name, n)
			}
		}
		r.checkTree()
	}
}

// TestBigDirectory makes and removes very many entries in the ways of rm -rf: in order of reading, and
// always from the start. Anything quadratic would run for hours.
func TestBigDirectory(t *testing.T) {
	n := 300_000
	if testing.Short() {
		n = 50_000
	}
	r := newRig(t, Opts{Inodes: uint64(n) + 10})
	d := r.mkdir(r.root, "d")
	c := creation{typ: syscall.S_IFREG, perm: 0o644}
	name := make([]byte, 0, 20)
	for i := range n {
		name = fmt.Appendf(name[:0], "entry-%d", i)
		obj, errno := r.create(d, name, &c, &r.attr)
		r.must(errno)
		r.forget(obj, 1)
	}
	left := n
	for from := uint64(0); left > 0; {
		e := collector{room: 102}
		r.must(r.readdir(r.node(d), from, false, &e))
		for _, e := range e.got {
			if e.name != "." && e.name != ".." {
				r.must(r.remove(d, []byte(e.name), false))
				left--
			}
		}
		if left > n/2 {
			from = e.got[len(e.got)-1].cookie
		} else {
			from = 0
		}
		if len(e.got) == 0 {
			t.Fatalf("%d entries are lost", left)
		}
	}
	r.must(r.remove(r.root, []byte("d"), true))
	r.umount(r.desc)
	r.checkEmpty()
}

// TestDirectoryModel compares directories with a map over many random operations.
func TestDirectoryModel(t *testing.T) {
	rnd := newRand(t)
	r := newRig(t, Opts{})
	dirs := []fsdev.FileObject{r.root, r.mkdir(r.root, "d")}
	want := []map[string]fsdev.FileObject{{"d": dirs[1]}, {}}
	pick := func() (int, string) { return rnd.Intn(2), fmt.Sprint(rnd.Intn(600)) }
	for range 20000 {
		k, name := pick()
		has := want[k][name]
		switch rnd.Intn(5) {
		case 0, 1:
			obj, errno := r.mknod(dirs[k], []byte(name), &creation{perm: 0o600}, &r.attr)
			if has != 0 {
				r.want("mknod", errno, syscall.EEXIST)
				break
			}
			r.must(errno)
			want[k][name] = obj
		case 2:
			errno := r.remove(dirs[k], []byte(name), false)
			if has == 0 {
				r.want("unlink", errno, syscall.ENOENT)
				break
			}
			r.must(errno)
			delete(want[k], name)
		case 3:
			j, to := pick()
			errno := r.rename(dirs[k], []byte(name), dirs[j], []byte(to), 0)
			if has == 0 {
				r.want("rename", errno, syscall.ENOENT)
				break
			}
			r.must(errno)
			delete(want[k], name)
			want[j][to] = has
		case 4:
			obj, errno := r.lookup1(dirs[k], name)
			if obj != has || (errno == 0) != (has != 0) {
				t.Fatalf("lookup of %q: %#x (%v), want %#x", name, obj, errno, has)
			}
		}
	}
	r.checkTree()
	for k, d := range dirs {
		names := r.names(d)
		if len(names) != len(want[k]) {
			t.Errorf("directory %d has %d entries, want %d", k, len(names), len(want[k]))
		}
		for _, name := range names {
			if want[k][name] == 0 {
				t.Errorf("directory %d has %q", k, name)
			}
		}
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}
