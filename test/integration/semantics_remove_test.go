package integration

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

func casesUnlink(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"unlink", &file, unix.Unlink})
	casesRemove(l, "unlink", unix.Unlink)
	l.create("x", "Hello, World!")
	fd := l.open("x", unix.O_RDWR, 0)
	l.err("unlink", unix.Unlink("x"))
	l.fstat("what is open", fd)
	l.pread("what is open", fd, 13, 0)
	l.pwrite("what is open", fd, "Bye", 0)
	l.pread("what is open", fd, 13, 0)
	l.close(fd)
}

func casesRmdir(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"rmdir", &dir, unix.Rmdir})
	casesRemove(l, "rmdir", unix.Rmdir)
	for _, k := range kinds {
		l.node(dir, "d", 0o755, 0)
		l.node(k, "d/x", 0o755, 0)
		l.err("rmdir with a "+k.name+" in it", unix.Rmdir("d"))
		l.stat("d/x")
		l.err("rmdir dot", unix.Rmdir("d/."))
		l.err("rmdir dot dot", unix.Rmdir("d/x/.."))
		l.gone("d")
	}
}

// casesRemove: who may take what out of which directory, with a sticky bit and without, and what times that moves.
func casesRemove(l *transcript, name string, remove func(path string) error) {
	for _, mode := range []uint32{0o755, 0o775, 0o777, 0o1777} {
		some := []kind{kinds[0], kinds[1], kinds[6]}
		if mode == 0o1777 {
			some = kinds
		}
		for _, dirID := range []int{65534, 0, 65533} {
			for _, id := range []int{65534, 0, 65533} {
				for _, who := range []caller{root, owner, guest, other} {
					l.node(dir, "d", mode, dirID)
					for _, k := range some {
						l.node(k, "d/"+k.name, 0o755, id)
					}
					l.printf("directory of %d, mode %o, files of %d", dirID, mode, id)
					l.as(who, func() {
						for _, k := range some {
							l.err(who.name+": "+name+" "+k.name, remove("d/"+k.name))
						}
					})
					l.list("d")
					l.gone("d")
				}
			}
		}
	}
	var cases []timed
	for _, k := range kinds {
		prepare := func() {
			l.node(dir, "d", 0o755, 0)
			l.node(k, "d/x", 0o755, 0)
			if !k.isDir() && !k.isLink() {
				l.failure("link", unix.Link("d/x", "again"))
			}
		}
		call := func() error { return remove("d/x") }
		cases = append(cases,
			timed{name + " " + k.name, prepare, []string{"d", "d/x", "."}, call, ""},
			timed{name + " somebody's " + k.name, prepare, []string{"d", "d/x", "."}, func() (err error) {
				l.as(other, func() { err = call() })
				return err
			}, ""})
	}
	l.times(cases)
}

func casesLink(l *transcript) {
	l.everybody()
	l.node(file, "source", 0o666, 65534)
	l.pathCases(pathCall{"link from", &file, func(p string) error {
		err := unix.Link(p, "linked")
		return errOr(err, unix.Unlink("linked"))
	}})
	l.pathCases(pathCall{"link to", nil, func(p string) error { return unix.Link("source", p) }})
	for _, k := range kinds {
		id := identity{}
		show := func() {
			for _, name := range []string{"x", "y", "z"} {
				l.printf("%s: %s", name, id.of(name))
			}
		}
		l.node(k, "x", 0o644, 0)
		l.err("link "+k.name, unix.Link("x", "y"))
		show()
		l.err("link the second", unix.Link("y", "z"))
		show()
		l.err("chmod", unix.Chmod("y", 0o201))
		l.err("chown", unix.Lchown("y", 65534, 65533))
		show()
		l.err("exists", unix.Link("x", "z"))
		l.err("unlink", unix.Unlink("x"))
		show()
		l.err("link from what is gone", unix.Link("x", "w"))
		l.err("unlink", unix.Unlink("z"))
		show()
		l.gone("x", "y", "z")
		l.node(k, "x", 0o644, 0)
		l.err("link to where a "+k.name+" is", unix.Link("source", "x"))
		l.gone("x")
		for _, mode := range []uint32{0o644, 0o666, 0o4777} {
			for _, who := range callers {
				l.node(k, "x", mode, 65534)
				l.errAs(who, fmt.Sprintf("link %s of mode %o", k.name, mode), func() error { return unix.Link("x", "y") })
				l.printf("%s", identity{}.of("y"))
				l.gone("x", "y")
			}
		}
	}
	var cases []timed
	for _, k := range kinds {
		prepare := func() { l.node(k, "x", 0o644, 65534) }
		cases = append(cases,
			timed{"link " + k.name, prepare, []string{"x", "."}, func() error { return unix.Link("x", "y") }, ""},
			timed{"link into somebody's directory", prepare, []string{"x", "."}, func() (err error) {
				l.as(owner, func() { err = unix.Link("x", "y") })
				return err
			}, ""})
	}
	l.times(cases)
}

func casesRename(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"rename from", &file, func(p string) error {
		err := unix.Rename(p, "renamed")
		return errOr(err, unix.Unlink("renamed"))
	}})
	l.pathCases(pathCall{"rename to", nil, func(p string) error {
		l.gone("source")
		l.create("source", "")
		return unix.Rename("source", p)
	}})
	l.gone("source")
	for _, from := range kinds {
		for _, to := range slices.Concat(kinds, []kind{{name: "nothing"}}) {
			id := identity{}
			l.node(from, "x", 0o644, 65534)
			if to.make != nil {
				l.node(to, "y", 0o755, 0)
			}
			l.printf("%s %s", id.of("x"), id.of("y"))
			l.err("rename "+from.name+" to "+to.name, unix.Rename("x", "y"))
			l.printf("%s %s", id.of("x"), id.of("y"))
			if to.make != nil && !to.isDir() && !to.isLink() {
				l.err("link", unix.Link("y", "z"))
				l.err("rename to its own second name", unix.Rename("y", "z"))
				l.printf("%s %s", id.of("y"), id.of("z"))
			}
			l.gone("x", "y", "z")
		}
		l.node(dir, "d", 0o755, 0)
		l.node(dir, "full", 0o755, 0)
		l.node(from, "full/x", 0o755, 0)
		l.err("rename to a directory with a "+from.name, unix.Rename("d", "full"))
		l.err("rename below itself", unix.Rename("full", "full/x"))
		l.err("rename below itself", unix.Rename("full", "full/x/y"))
		l.err("rename dot", unix.Rename("full/x/.", "y"))
		l.err("rename dot dot", unix.Rename("full/x/..", "y"))
		id := identity{}
		l.printf("%s %s %s", id.of("d"), id.of("full"), id.of("full/x/.."))
		l.err("move", unix.Rename("full/x", "d/y"))
		l.printf("%s %s %s", id.of("d"), id.of("full"), id.of("d/y/.."))
		l.gone("d", "full")
	}
	casesMove(l)
	casesRenameTimes(l)
}

// casesMove: who may move what out of which directory into which, with sticky bits and without. One of the two is
// always the owner's own.
func casesMove(l *transcript) {
	for _, sticky := range []string{"from", "to"} {
		for _, mode := range []uint32{0o1777, 0o755} {
			for _, dirID := range []int{65534, 0, 65533} {
				for _, id := range []int{65534, 0, 65533} {
					for _, k := range []kind{kinds[0], kinds[1], kinds[6]} {
						l.move(sticky, mode, dirID, id, k, false)
						l.move(sticky, mode, dirID, id, k, true)
					}
				}
			}
		}
	}
}

// move is one case of casesMove: over says whether there is a file already where it is moved to.
func (l *transcript) move(sticky string, mode uint32, dirID, id int, k kind, over bool) {
	own := map[string]string{"from": "to", "to": "from"}[sticky]
	fromID, toID := id, 65534 // of the file that is moved, and of the one it replaces
	if sticky == "to" {
		fromID, toID = 65534, id
	}
	for _, who := range []caller{owner, other} {
		l.node(dir, sticky, mode, dirID)
		l.node(dir, own, 0o777, 65534)
		l.node(k, "from/x", 0o755, fromID)
		if over {
			l.node(k, "to/y", 0o755, toID)
		}
		id := identity{}
		before := fmt.Sprintf("%s of mode %o of %d, %s, %s", sticky, mode, dirID, id.of("from/x"), id.of("to/y"))
		l.errAs(who, "rename "+k.name, func() error { return unix.Rename("from/x", "to/y") })
		l.printf("%s: %s %s", before, id.of("from/x"), id.of("to/y"))
		l.errAs(who, "rename in place", func() error { return unix.Rename("from/x", "from/z") })
		l.gone("from", "to")
	}
}

// casesRenameTimes: what renames move the times of.
func casesRenameTimes(l *transcript) {
	var cases []timed
	for _, k := range kinds {
		prepare := func() {
			l.node(dir, "from", 0o755, 0)
			l.node(dir, "to", 0o755, 0)
			l.node(k, "from/x", 0o755, 0)
		}
		replace := func() {
			prepare()
			l.node(k, "to/y", 0o755, 0)
			if !k.isDir() {
				l.failure("link", unix.Link("to/y", "again"))
			}
		}
		rename := func() error { return unix.Rename("from/x", "to/y") }
		cases = append(cases,
			timed{"rename " + k.name, prepare, []string{"from/x", "from", "to"}, rename, ""},
			timed{"rename over " + k.name, replace, []string{"from/x", "from", "to", "to/y"}, rename, ""},
			timed{"rename somebody's " + k.name, prepare, []string{"from/x", "from", "to"}, func() (err error) {
				l.as(other, func() { err = rename() })
				return err
			}, ""})
	}
	l.times(cases)
}
