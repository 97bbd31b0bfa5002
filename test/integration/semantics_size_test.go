package integration

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sizes are arguments of truncate.
var sizes = []int64{1234567, 567, 0, 1, 123, -1, -999999, 999999999999999, 1<<63 - 1}

func casesTruncate(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"truncate", &file, func(p string) error { return unix.Truncate(p, 123) }})
	casesCut(l, "truncate", func(size int64) error { return unix.Truncate("x", size) })
	for _, k := range kinds {
		if k.name == "block" || k.name == "char" {
			continue // the devices decide
		}
		l.node(k, "x", 0o644, 0)
		l.err("truncate "+k.name, unix.Truncate("x", 123))
		l.gone("x")
	}
}

func casesFtruncate(l *transcript) {
	l.everybody()
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY} {
		cut := func(size int64) func(fd int) error { return func(fd int) error { return unix.Ftruncate(fd, size) } }
		l.pathCases(openCall("ftruncate", &file, flags, cut(123)))
		casesCut(l, "ftruncate", func(size int64) error { return openCall("", nil, flags, cut(size)).call("x") })
	}
	for _, who := range callers { // the descriptor counts, not the mode
		l.as(who, func() {
			fd := l.open("x", rdwrCreate, 0)
			l.err(who.name+": ftruncate", unix.Ftruncate(fd, 0))
			l.err(who.name+": ftruncate", unix.Ftruncate(fd, 10))
			l.fstat("x", fd)
			l.close(fd)
		})
		l.gone("x")
	}
}

// casesCut: sizes that a call gives to x, as whom, and what times that moves.
func casesCut(l *transcript, name string, cut func(size int64) error) {
	for _, size := range sizes {
		l.create("x", "some text that was there before")
		l.err(fmt.Sprint(name, " ", size), cut(size))
		l.stat("x")
		if size < 1<<20 {
			l.content("x")
		}
		l.gone("x")
	}
	for _, mode := range []uint32{0o644, 0o444, 0o466, 0o622} {
		for _, who := range callers {
			l.node(file, "x", mode, 65534)
			l.errAs(who, fmt.Sprintf("%s of mode %o", name, mode), func() error { return cut(123) })
			l.stat("x")
			l.gone("x")
		}
	}
	some := func() { l.create("x", "text") }
	var cases []timed
	for _, size := range []int64{123, 2, 0, -1} {
		what := fmt.Sprint(name, " to ", size)
		cases = append(cases, timed{what, some, []string{"x", "."}, func() error { return cut(size) }, ""})
	}
	l.times(append(cases, timed{name + " of somebody's", some, []string{"x", "."}, func() (err error) {
		l.as(other, func() { err = cut(123) })
		return err
	}, ""}))
}

// casesFallocate: posix_fallocate(3) is fallocate(2) without flags.
func casesFallocate(l *transcript) {
	l.everybody()
	allocate := func(off, n int64) func(fd int) error {
		return func(fd int) error { return unix.Fallocate(fd, 0, off, n) }
	}
	for _, flags := range []int{unix.O_RDWR, unix.O_WRONLY, unix.O_RDONLY, unix.O_WRONLY | unix.O_APPEND} {
		l.pathCases(openCall("fallocate", &file, flags, allocate(0, 567)))
		for _, r := range [][2]int64{{0, 567}, {20000, 3456}, {0, 1}, {3, 4}, {0, 0}, {-1, 5}, {5, -1}, {1<<63 - 1, 1}} {
			l.create("x", "some text")
			l.err(fmt.Sprint("fallocate ", r), openCall("", nil, flags, allocate(r[0], r[1])).call("x"))
			l.stat("x")
			l.content("x")
			l.gone("x")
		}
	}
	for _, who := range callers {
		l.errAs(who, "fallocate", func() error {
			return openCall("", nil, rdwrCreate, allocate(0, 1)).call("x")
		})
		l.stat("x")
		l.gone("x")
	}
	some := func() { l.create("x", "text") }
	var cases []timed
	for _, n := range []int64{123, 2, 0} {
		cases = append(cases, timed{fmt.Sprint("fallocate ", n), some, []string{"x", "."}, func() error {
			return openCall("", nil, unix.O_RDWR, allocate(0, n)).call("x")
		}, ""})
	}
	l.times(cases)
}
