package aio_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// host is a shell on the host, another process than the export's.
type host struct {
	testing.TB
	in  io.Writer
	out *bufio.Reader
}

func newHost(tb testing.TB, dir string) *host {
	tb.Helper()
	cmd := exec.Command("sh", "-e")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	must(tb, err)
	out, err := cmd.StdoutPipe()
	must(tb, err)
	must(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the host's shell: %v", err)
		}
	})
	return &host{tb, in, bufio.NewReader(out)}
}

// run runs commands in the exported directory.
func (h *host) run(commands string) {
	h.Helper()
	_, err := fmt.Fprintf(h.in, "%s\necho done\n", commands)
	must(h, err)
	if line, err := h.out.ReadString('\n'); line != "done\n" {
		h.Fatalf("%s: %q, %v", commands, line, err)
	}
}

// watchRig is a rig that is told of changes.
type watchRig struct {
	*rig
	host *host
	told []loopback.Notification

	flushes uint64 // the node of a directory
	flushed int    // in it
}

func newWatchRig(tb testing.TB, o aio.Opts) *watchRig {
	tb.Helper()
	needWatch(tb)
	if o.Root == "" {
		o.Root = tempDir(tb, "")
	}
	must(tb, os.Mkdir(filepath.Join(o.Root, "flush"), 0o755))
	o.Notify = true
	w := &watchRig{rig: newRig(tb, o)}
	aio.SetFresh(w.a, 0)
	w.ok(w.c.Destroy)
	w.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return w.c.Init(loopback.InitOptions{Major: 7, Minor: 45}, fn, ctx) // that knows all notifications
	})
	w.host = newHost(tb, w.dir)
	w.flushes = w.ok(w.lookup(root, "flush")).r.Entry.Node
	w.c.OnNotify(func(_ any, n *loopback.Notification) { w.told = append(w.told, *n) }, nil)
	return w
}

func invalName(dir uint64, name string) loopback.Notification {
	return loopback.Notification{Code: loopback.NotifyInvalEntry, Node: dir, Name: name}
}

func invalAttr(node uint64) loopback.Notification {
	return loopback.Notification{Code: loopback.NotifyInvalInode, Node: node, Offset: -1}
}

func invalData(node uint64) loopback.Notification {
	return loopback.Notification{Code: loopback.NotifyInvalInode, Node: node}
}

// flush makes a change that nothing else is about, waits for what is told of it, and returns what was told before,
// each thing once. What follows is told later, since events come in order.
func (w *watchRig) flush() (list []loopback.Notification) {
	w.Helper()
	w.flushed++
	name := fmt.Sprint("name", w.flushed)
	w.host.run(": > flush/" + name)
	end := -1
	w.until(func() bool {
		end = slices.IndexFunc(w.told, func(n loopback.Notification) bool {
			return n.Node == w.flushes && n.Name == name
		})
		return end >= 0
	})
	for _, n := range w.told[:end] {
		same := func(o loopback.Notification) bool { return cmp.Equal(n, o) }
		if n.Node != w.flushes && !slices.ContainsFunc(list, same) { // what it has not heard of already
			list = append(list, n)
		}
	}
	w.told = slices.Delete(w.told, 0, end+1)
	return slices.DeleteFunc(list, func(n loopback.Notification) bool { // what may be told at once, or not
		return cmp.Equal(n, invalAttr(n.Node)) && slices.ContainsFunc(list, func(o loopback.Notification) bool {
			return cmp.Equal(o, invalData(n.Node))
		})
	})
}

// TestHostChanges has the host do something to files that a client knows, and wants it to be told.
func TestHostChanges(t *testing.T) {
	const file, dir, link = "FILE", "DIR", "LINK" // the nodes of file, dir and link
	type told = func(node map[string]uint64) []loopback.Notification
	for _, p := range places {
		for _, tt := range []struct {
			name, commands string
			want           told
		}{
			{"content", "printf more >> file", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalData(n[file])}
			}},
			{"truncate", "truncate -s 100 file", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalData(n[file])}
			}},
			{"mode", "chmod 600 file", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(n[file])}
			}},
			{"times", "touch -d 2001-01-01 file", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalData(n[file])} // touch opens it to write
			}},
			{"mode of a directory", "chmod 700 dir", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(n[dir])}
			}},
			{"mode of the root", "chmod 711 .", func(map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(root)}
			}},
			{"owner of a symbolic link", "chown -h 1:1 link", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(n[link])}
			}},
			{"new directory", "mkdir new", func(map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalName(root, "new"), invalData(root)}
			}},
			{"new name", "ln file dir/second", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(n[file]), invalName(n[dir], "second"), invalData(n[dir])}
			}},
			{"unlink", "rm file", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{
					invalAttr(n[file]), {Code: loopback.NotifyDelete, Node: root, Child: n[file], Name: "file"}, invalData(root)}
			}},
			{"unlink of one of two names", "rm twice", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalAttr(n["TWICE"]), invalName(root, "twice"), invalData(root)}
			}},
			{"rmdir", "rmdir dir", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{
					{Code: loopback.NotifyDelete, Node: root, Child: n[dir], Name: "dir"}, invalData(root)}
			}},
			{"rename", "mv file dir/moved", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{
					invalName(root, "file"), invalData(root), invalName(n[dir], "moved"), invalData(n[dir]), invalAttr(n[file])}
			}},
			{"rename over another", "mv -f file twice", func(n map[string]uint64) []loopback.Notification {
				return []loopback.Notification{invalName(root, "file"), invalData(root), invalName(root, "twice"),
					invalAttr(n[file]), invalAttr(n["TWICE"])}
			}},
			{"what nobody knows", "echo x > dir/sub/unknown; chmod 600 dir/sub/unknown; rm dir/sub/unknown",
				func(map[string]uint64) []loopback.Notification { return nil }},
		} {
			t.Run(p.name+"/"+tt.name, func(t *testing.T) {
				top := tempDir(t, p.dir)
				setUp := newHost(t, top)
				setUp.run("echo text > file; mkdir dir; ln -s file link; echo x > twice; ln twice thrice")
				if strings.Contains(tt.commands, "sub") {
					setUp.run("mkdir dir/sub")
				}
				w := newWatchRig(t, aio.Opts{Root: top})
				node := make(map[string]uint64)
				for _, name := range []string{"file", "dir", "link", "twice"} {
					node[strings.ToUpper(name)] = w.ok(w.lookup(root, name)).r.Entry.Node
				}
				w.flush()
				w.host.run(tt.commands)
				if diff := cmp.Diff(tt.want(node), w.flush()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// needWatch skips the test where file systems cannot be watched.
func needWatch(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, noWatch)
	}
}
