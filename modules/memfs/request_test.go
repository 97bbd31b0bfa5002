package memfs

import (
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

// hotRequests are the requests that must not allocate anywhere between their submission and completion.
func hotRequests(s *stack) map[string]func(r *result) syscall.Errno {
	s.m.fs.now = time.Now
	var f, w result
	s.must(&f, s.desc.Create(s.ch[0], 0, s.root, []byte("f"), 0o600, syscall.O_RDWR, &fsdev.Creator{}, onCreate, &f))
	data := make([]byte, 64<<10)
	s.must(&w, s.desc.Write(s.ch[0], 0, f.obj, f.h, 64<<10, 0, 0, [][]byte{data}, onSize, &w))
	d, ch, name, iovs := s.desc, s.ch[0], []byte("f"), [][]byte{data[:4096]}
	return map[string]func(r *result) syscall.Errno{
		"lookup":  func(r *result) syscall.Errno { return d.Lookup(ch, 0, s.root, name, onEntry, r) },
		"forget":  func(r *result) syscall.Errno { return d.Forget(ch, 0, f.obj, 1, onStatus, r) },
		"getattr": func(r *result) syscall.Errno { return d.Getattr(ch, 0, f.obj, f.h, onAttr, r) },
		"setattr": func(r *result) syscall.Errno {
			return d.Setattr(ch, 0, f.obj, 0, &fsdev.Attr{Mode: 0o600}, fsdev.SetAttrMode, onAttr, r)
		},
		"read4k":  func(r *result) syscall.Errno { return d.Read(ch, 0, f.obj, f.h, 4096, 8192, 0, iovs, onSize, r) },
		"write4k": func(r *result) syscall.Errno { return d.Write(ch, 0, f.obj, f.h, 4096, 8192, 0, iovs, onSize, r) },
		"statfs":  func(r *result) syscall.Errno { return d.Statfs(ch, 0, s.root, onStatfs, r) },
	}
}

func TestHotRequestsDoNotAllocate(t *testing.T) {
	s := newStack(t, 1, Opts{})
	for name, submit := range hotRequests(s) {
		r := new(result)
		if n := testing.AllocsPerRun(100, func() {
			*r = result{}
			s.must(r, submit(r))
		}); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// BenchmarkRequest is a request through fsdev, from its submission to its completion.
func BenchmarkRequest(b *testing.B) {
	for _, name := range []string{"lookup", "getattr", "read4k", "write4k"} {
		b.Run(name, func(b *testing.B) {
			s := newStack(b, 1, Opts{})
			submit := hotRequests(s)[name]
			b.ReportAllocs()
			r := new(result)
			for b.Loop() {
				*r = result{}
				s.must(r, submit(r))
			}
		})
	}
}

func TestReadOnlyHandles(t *testing.T) {
	s := newStack(t, 1, Opts{})
	d, ch := s.desc, s.ch[0]
	b := [][]byte{make([]byte, 4)}
	var f, g, r result
	s.must(&f, d.Create(ch, 0, s.root, []byte("f"), 0o600, syscall.O_RDONLY, &fsdev.Creator{}, onCreate, &f))
	s.must(&g, d.Create(ch, 0, s.root, []byte("g"), 0o600, syscall.O_WRONLY, &fsdev.Creator{}, onCreate, &g))
	s.want("write", &r, d.Write(ch, 0, f.obj, f.h, 4, 0, 0, b, onSize, &r), syscall.EBADF)
	r = result{}
	s.want("fallocate", &r, d.Fallocate(ch, 0, f.obj, f.h, 0, 0, 4, onStatus, &r), syscall.EBADF)
	r = result{}
	s.want("copy to", &r, d.CopyFileRange(ch, 0, g.obj, g.h, 0, f.obj, f.h, 0, 4, 0, onSize, &r), syscall.EBADF)
	r = result{}
	s.must(&r, d.Read(ch, 0, g.obj, g.h, 4, 0, 0, b, onSize, &r)) // for a page cache
	for _, id := range []fsdev.FileHandle{1, f.h, g.h + 1<<32} {
		r = result{}
		s.want("handle", &r, d.Getattr(ch, 0, g.obj, id, onAttr, &r), syscall.EBADF)
	}
}
