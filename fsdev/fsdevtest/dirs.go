package fsdevtest

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

var dirCases = []testCase{
	{"ReaddirStopsAnywhere", onlyFull, nil, testReaddirStops},
	{"ReaddirTypes", onlyFull, nil, testReaddirTypes},
	{"ReaddirWhileItChanges", onlyFull, nil, testReaddirChanges},
	{"ReaddirOfALargeDirectory", onlyFull, nil, testReaddirLarge},
	{"ReaddirOfARemovedDirectory", onlyFull, nil, testReaddirRemoved},
}

func isDots(name string) bool { return name == "." || name == ".." }

// entries reads a directory to its end, as many at a time as it gives; the dots are left out.
// It counts no references, for it reads without plus.
func (c *client) entries(dir fsdev.FileObject, h fsdev.FileHandle, off uint64) []entry {
	c.Helper()
	return c.pages(dir, h, off, false, 1<<20)
}

// pages reads the rest of a directory, so many entries at a time.
func (c *client) pages(dir fsdev.FileObject, h fsdev.FileHandle, off uint64, plus bool, room int) (all []entry) {
	c.Helper()
	for range 1 << 12 {
		r := c.readdir(dir, h, off, plus, room).ok()
		for _, e := range r.entries {
			if !isDots(e.name) {
				all = append(all, e)
			}
		}
		if len(r.entries) == 0 {
			if r.refused != nil && room > 0 {
				c.Fatalf("READDIR refuses %q, which is the first", r.refused.name)
			}
			return all
		}
		off = r.entries[len(r.entries)-1].next
	}
	c.Fatal("READDIR never comes to the end")
	return nil
}

func names(entries []entry) (list []string) {
	for _, e := range entries {
		list = append(list, e.name)
	}
	return list
}

// testReaddirStops stops at every entry and goes on from there.
func testReaddirStops(w *world) {
	c := w.open(0)
	dir := c.mkdir(c.root, "dir").ok().obj
	for i := range 9 {
		c.create(dir, fmt.Sprint("file", i)).ok()
		c.mkdir(dir, fmt.Sprint("dir", i)).ok()
	}
	h := c.opendir(dir).ok().h
	all := names(c.entries(dir, h, 0))
	if len(all) != 18 {
		w.Fatalf("READDIR gives %q", all)
	}
	for _, plus := range []bool{false, true} {
		for room := 1; room < 24; room++ {
			if got := names(c.pages(dir, h, 0, plus, room)); !slices.Equal(got, all) {
				w.Errorf("%d at a time (plus %v): %q, want %q", room, plus, got, all)
			}
		}
		// From each entry on, in any order, and as often as one likes.
		var whole []entry
		off := uint64(0)
		for {
			r := c.readdir(dir, h, off, plus, 1).ok()
			if len(r.entries) == 0 {
				break
			}
			off = r.entries[0].next
			whole = append(whole, r.entries[0])
		}
		for i := len(whole) - 1; i >= 0; i-- {
			got := names(c.readdir(dir, h, whole[i].next, plus, 100).ok().entries)
			if want := names(whole[i+1:]); !slices.Equal(got, want) {
				w.Errorf("after %q (plus %v): %q, want %q", whole[i].name, plus, got, want)
			}
		}
		if r := c.readdir(dir, h, 0, plus, 0).ok(); r.refused == nil || r.refused.name != whole[0].name {
			w.Errorf("without room for an entry READDIR offers %+v, want %q", r.refused, whole[0].name)
		}
	}
	// Another handle has a place of its own, and so has another thread.
	h2 := c.opendir(dir).ok().h
	first := c.readdir(dir, h, 0, false, 5).ok().entries
	if got := names(c.on(1).entries(dir, h2, 0)); !slices.Equal(got, all) {
		w.Errorf("by another handle: %q, want %q", got, all)
	}
	if rest := c.entries(dir, h, first[4].next); len(rest) < 13 {
		w.Errorf("after another handle was read to its end, %q are left", names(rest))
	}
}

// testReaddirTypes wants the number and type of every entry.
func testReaddirTypes(w *world) {
	c := w.open(0)
	want := map[string]fsdev.Attr{
		"file": c.create(c.root, "file").ok().attr,
		"dir":  c.mkdir(c.root, "dir").ok().attr,
	}
	if !w.o.lacks(fsdev.IOSymlink) {
		want["link"] = c.symlink(c.root, "link", "file").ok().attr
	}
	if !w.o.lacks(fsdev.IOMknod) {
		want["fifo"] = c.mknod(c.root, "fifo", syscall.S_IFIFO|0o600, 0).ok().attr
	}
	h := c.opendir(c.root).ok().h
	for _, plus := range []bool{false, true} {
		seen := 0
		for _, e := range c.pages(c.root, h, 0, plus, 100) {
			seen++
			a := want[e.name]
			if e.attr.Ino != a.Ino || e.attr.Mode&syscall.S_IFMT != a.Mode&syscall.S_IFMT {
				w.Errorf("READDIR (plus %v) says of %q %d and %#o, want %d and %#o", plus, e.name, e.attr.Ino, e.attr.Mode,
					a.Ino, a.Mode)
			}
			if plus && (e.obj == 0 || e.attr.Mode != a.Mode || e.obj != c.lookup(c.root, e.name).ok().obj) {
				w.Errorf("READDIRPLUS says of %q %d and %#o", e.name, e.obj, e.attr.Mode)
			}
		}
		if seen != len(want) {
			w.Errorf("READDIR (plus %v) gives %d entries, want %d", plus, seen, len(want))
		}
	}
}

// testReaddirChanges removes what has been read and adds more. What stays all the while is given
// exactly once.
func testReaddirChanges(w *world) {
	c := w.open(0)
	for _, room := range []int{1, 2, 3, 7} {
		dir := c.mkdir(c.root, fmt.Sprint("dir", room)).ok().obj
		const files = 40
		for i := range files {
			c.create(dir, fmt.Sprint("file", i)).ok()
		}
		h := c.opendir(dir).ok().h
		seen := map[string]int{}
		off := uint64(0)
		for n := 0; ; n++ {
			r := c.readdir(dir, h, off, n%2 == 1, room).ok()
			if len(r.entries) == 0 {
				break
			}
			for _, e := range r.entries {
				off = e.next
				seen[e.name]++
				if !isDots(e.name) && e.name[0] == 'f' {
					c.unlink(dir, e.name).ok()
				}
			}
			if n < files {
				c.create(dir, fmt.Sprint("more", n)).ok()
			}
		}
		for i := range files {
			if n := seen[fmt.Sprint("file", i)]; n != 1 {
				w.Errorf("%d at a time: file%d is given %d times", room, i, n)
			}
		}
		for name, n := range seen {
			if n > 1 {
				w.Errorf("%d at a time: %q is given %d times", room, name, n)
			}
		}
	}
}

func testReaddirLarge(w *world) {
	c := w.open(0)
	const files = 3000
	var want []string
	for i := range files {
		name := fmt.Sprintf("file with a longer name, number %d", i)
		f := c.create(c.root, name).ok()
		c.release(f.obj, f.h).ok()
		want = append(want, name)
	}
	slices.Sort(want)
	if got := c.list(c.root); !slices.Equal(got, want) {
		w.Errorf("READDIR gives %d names, want %d", len(got), files)
	}
	h := c.opendir(c.root).ok().h
	got := names(c.pages(c.root, h, 0, true, 100))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.Errorf("READDIRPLUS, 100 at a time, gives %d names, want %d", len(got), files)
	}
}

func testReaddirRemoved(w *world) {
	c := w.open(0)
	d := c.mkdir(c.root, "dir").ok()
	h := c.opendir(d.obj).ok().h
	c.rmdir(c.root, "dir").ok()
	for _, plus := range []bool{false, true} {
		r := c.readdir(d.obj, h, 0, plus, 100).want(0, syscall.ENOENT)
		for _, e := range r.entries {
			if !isDots(e.name) {
				w.Errorf("a directory that was removed has %q", e.name)
			}
		}
	}
	c.releasedir(d.obj, h).ok()
	c.forget(d.obj, 1).ok()
	c.gone(d.obj)
}
