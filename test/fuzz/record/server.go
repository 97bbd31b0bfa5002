package main

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	device  = "mem0"
	bufSize = 1<<20 + 1<<16 // of a request or a reply: what the dispatcher is told, and a little
)

// server reads requests from the kernel, notes them and has the dispatcher answer them, all on one goroutine.
type server struct {
	fd   int
	t    *reactor.Thread
	d    *fusedispatcher.Dispatcher
	ch   *iochannel.Channel
	seen *shapes
	reqs chan []byte
	err  error
}

// answer is a request on its way.
type answer struct {
	s   *server
	out [1][]byte
}

// newServer mounts a new memfs.
func newServer(dir string, policy fusedispatcher.CachePolicy, seen *shapes) (*server, error) {
	s := &server{seen: seen, reqs: make(chan []byte)}
	fw, err := reactor.NewFramework(reactor.Options{})
	if err != nil {
		return nil, err
	}
	if s.t, err = fw.CreateThread("record", nil); err != nil {
		return nil, err
	}
	if err := fsdev.Initialize(s.t, fsdev.Opts{}); err != nil {
		return nil, err
	}
	if _, err := memfs.Create(s.t, device, memfs.Opts{Size: 256 << 20}); err != nil {
		return nil, err
	}
	if s.d, err = fusedispatcher.Create(s.t, fusedispatcher.Opts{FsdevName: device, Cache: policy}); err != nil {
		return nil, err
	}
	s.ch = s.d.IOChannel(s.t)
	if s.fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("/dev/fuse: %w", err)
	}
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", s.fd)
	if err := unix.Mount("record", dir, "fuse.record", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return nil, fmt.Errorf("mount on %s, which takes root: %w", dir, err)
	}
	go s.read()
	return s, nil
}

// read reads until the file system is unmounted.
func (s *server) read() {
	defer close(s.reqs)
	buf := make([]byte, bufSize)
	for {
		n, err := unix.Read(s.fd, buf)
		switch err {
		case nil:
			s.reqs <- append([]byte(nil), buf[:n]...)
		case unix.EINTR, unix.EAGAIN, unix.ENOENT: // the last: it was interrupted before it was read
		default:
			return
		}
	}
}

// run serves until the file system is unmounted and the workload has ended.
func (s *server) run(done <-chan error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for reqs := s.reqs; reqs != nil || done != nil; {
		select {
		case req, ok := <-reqs:
			if !ok {
				reqs = nil
				continue
			}
			s.seen.note(req)
			a := &answer{s: s}
			a.out[0] = make([]byte, bufSize)
			if errno := s.d.SubmitRequest(s.ch, [][]byte{req}, a.out[:], answered, a); errno != 0 {
				s.err = fmt.Errorf("submit: %w", errno)
			}
		case err := <-done:
			if done = nil; err != nil {
				s.err = err
			}
		case <-tick.C:
		}
		for s.t.Poll(0, 0) {
		}
	}
	_ = unix.Close(s.fd)
}

func answered(ctx any, _ syscall.Errno, n uint32) {
	a := ctx.(*answer)
	if n == 0 {
		return
	}
	// ENOENT: nobody waits for it any more. What else there may be shows in the workload.
	_, _ = unix.Write(a.s.fd, a.out[0][:n])
}
