package aio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// makers are the operations that make a name in the root.
func (r *rig) makers(file uint64) map[string]func(name string) opFunc {
	return map[string]func(name string) opFunc{
		"MKDIR": func(name string) opFunc { return r.mkdir(root, name) },
		"MKNOD": func(name string) opFunc {
			return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Mknod(root, name, unix.S_IFIFO|0o644, 0, fn, ctx)
			}
		},
		"SYMLINK": func(name string) opFunc {
			return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Symlink(root, name, "target", fn, ctx)
			}
		},
		"LINK": func(name string) opFunc {
			return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Link(file, root, name, fn, ctx) }
		},
		"CREATE": func(name string) opFunc { return r.create(root, name, syscall.O_RDWR) },
	}
}

// TestNothingIsMadeInVain makes files with next to no descriptors left, while somebody else takes what there is and
// gives it back: what fails is not there.
func TestNothingIsMadeInVain(t *testing.T) {
	for _, handles := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer} {
		for _, rivals := range []int{0, 1} {
			t.Run(fmt.Sprintf("%v/%d rivals", handles, rivals), func(t *testing.T) {
				r := newRig(t, aio.Opts{Workers: 1, InodeFileHandles: handles, NodeFDs: 16})
				must(t, os.WriteFile(filepath.Join(r.dir, "file"), nil, 0o644))
				file := r.ok(r.lookup(root, "file")).r.Entry.Node
				errnos := map[syscall.Errno]int{}
				n := 0
				for free := range uint64(5) {
					for op, make := range r.makers(file) {
						restore := fewDescriptors(t, free)
						stop := takeDescriptors(rivals)
						for range 20 / (1 + 3*rivals) {
							n++
							name := fmt.Sprint("new", n)
							a := r.do(make(name))
							errnos[a.r.Errno]++
							_, err := os.Lstat(filepath.Join(r.dir, name))
							switch {
							case a.r.Errno != 0 && a.r.Errno != syscall.EMFILE:
								t.Errorf("%s with %d descriptors: %v", op, free, a.r.Errno)
							case (a.r.Errno == 0) != (err == nil):
								t.Errorf("%s with %d descriptors: %v, and of the file: %v", op, free, a.r.Errno, err)
							case a.r.Handle != 0:
								r.ok(r.release(a.r.Entry.Node, a.r.Handle))
							}
							if a.r.Errno == 0 {
								r.ok(r.forget(a.r.Entry.Node, 1))
							}
						}
						stop()
						restore()
					}
				}
				t.Log(errnos)
				if errnos[0] == 0 || errnos[syscall.EMFILE] == 0 && handles == aio.FileHandlesNever {
					t.Error("there were always enough of them, or never")
				}
				if st, err := os.Stat(filepath.Join(r.dir, "file")); err != nil || st.Size() != 0 {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// takeDescriptors has n goroutines open and close files.
func takeDescriptors(n int) (stop func()) {
	var quit atomic.Bool
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for !quit.Load() {
				if fd, err := unix.Dup(0); err == nil {
					_ = unix.Close(fd)
				}
				runtime.Gosched()
			}
		})
	}
	return func() { quit.Store(true); all.Wait() }
}

// TestCreateWithoutHandles makes files when no more can be open.
func TestCreateWithoutHandles(t *testing.T) {
	r := newRig(t, aio.Opts{Handles: 1})
	e := r.ok(r.create(root, "first", syscall.O_RDWR)).r
	r.want(syscall.ENFILE, r.create(root, "second", syscall.O_RDWR))
	if _, err := os.Lstat(filepath.Join(r.dir, "second")); err == nil {
		t.Error("what was not to be opened is there")
	}
	must(t, os.WriteFile(filepath.Join(r.dir, "third"), nil, 0o644))
	r.want(syscall.ENFILE, r.create(root, "third", syscall.O_RDWR))
	if _, err := os.Lstat(filepath.Join(r.dir, "third")); err != nil {
		t.Error("what was there before is gone")
	}
	r.ok(r.release(e.Entry.Node, e.Handle))
	r.ok(r.create(root, "second", syscall.O_RDWR))
}
