package main

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const blockSize = 4096

// request is a FUSE request, formatted once and submitted again and again.
type request struct {
	s        *server
	in, out  [][]byte
	replyLen uint32 // of a right reply
}

// requestFunc formats a request for a file of the null device.
type requestFunc func(node, fh, unique uint64) *request

// server is a dispatcher on a null device, with a channel of the thread.
type server struct {
	clock
	disp *fusedispatcher.Dispatcher
	ch   *iochannel.Channel

	left     int // completions to come until the clock stops
	inFlight int
	took     time.Duration
}

// dispatch is a request to the null device, through dispatcher and fsdev, with depth requests
// in flight.
func dispatch(format requestFunc, depth int) func(e *env) (func(int) time.Duration, func()) {
	return func(e *env) (func(int) time.Duration, func()) {
		s := &server{}
		var dev *fsdev.Fsdev
		t := e.threads[0]
		e.on(t, func(t *reactor.Thread) {
			check(fsdev.Initialize(t, fsdev.Opts{}))
			var err error
			dev, err = null.Create(t, "null0")
			check(err)
			s.disp, err = fusedispatcher.Create(t, fusedispatcher.Opts{FsdevName: "null0"})
			check(err)
			s.ch = s.disp.IOChannel(t)
		})
		client, err := loopback.NewClient(t, s.disp, loopback.Options{})
		check(err)
		_, errno := client.Init(loopback.InitOptions{})
		checkErrno("INIT", errno)
		entry, errno := client.Lookup(loopback.RootID, "file")
		checkErrno("LOOKUP", errno)
		fh, errno := client.Open(entry.Node, syscall.O_RDWR)
		checkErrno("OPEN", errno)

		requests := make([]*request, depth)
		for i := range requests {
			requests[i] = format(entry.Node, fh, uint64(i+1)<<32)
			requests[i].s = s
		}
		run := func(n int) time.Duration {
			s.clock = newClock()
			e.on(t, func(*reactor.Thread) {
				s.left = n
				s.start = time.Now()
				for _, r := range requests {
					s.submit(r)
				}
			})
			return <-s.done
		}
		cleanup := func() {
			checkErrno("DESTROY", client.Destroy())
			checkErrno("close", client.Close())
			e.on(t, func(*reactor.Thread) { s.ch.Put() })
			wait(t, func(t *reactor.Thread, done func()) {
				s.disp.Delete(t, func(*reactor.Thread, any, syscall.Errno) { done() }, nil)
			})
			wait(t, func(t *reactor.Thread, done func()) {
				null.Delete(t, dev, func(*reactor.Thread, any, error) { done() }, nil)
			})
			wait(t, func(t *reactor.Thread, done func()) {
				fsdev.Finish(t, func(_ *reactor.Thread, _ any, err error) {
					check(err)
					done()
				}, nil)
			})
		}
		return run, cleanup
	}
}

func wait(t *reactor.Thread, fn func(t *reactor.Thread, done func())) {
	checkErrno("wait", app.CallAsync(t, fn))
}

func checkErrno(what string, errno syscall.Errno) {
	if errno != 0 {
		check(fmt.Errorf("%s: %w", what, errno))
	}
}

func (s *server) submit(r *request) {
	s.inFlight++
	must(s.disp.SubmitRequest(s.ch, r.in, r.out, replied, r))
}

// replied is the completion of a request, which submits it again until enough have been
// counted.
func replied(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*request)
	s := r.s
	if errno != 0 || replyLen != r.replyLen {
		panic(fmt.Sprintf("bench: reply of %d bytes, error %v; %d bytes expected", replyLen, errno, r.replyLen))
	}
	s.inFlight--
	s.left--
	if s.left > 0 {
		s.submit(r)
		return
	}
	if s.left == 0 {
		s.took = time.Since(s.start)
	}
	if s.inFlight == 0 {
		s.done <- s.took
	}
}

// Operation codes and sizes of linux/fuse.h.
const (
	opLookup  = 1
	opGetattr = 3
	opRead    = 15
	opWrite   = 16

	headerLen = 40
	replyHead = 16
	attrOut   = 16 + 88
	entryOut  = 40 + 88
	writeOut  = 8
)

var wire = binary.NativeEndian

// format builds a request of a header, arguments, and payload in a segment of its own.
func format(op uint32, node, unique uint64, args, payload []byte, reply int, data []byte) *request {
	b := make([]byte, 0, headerLen+len(args))
	b = wire.AppendUint32(b, uint32(headerLen+len(args)+len(payload)))
	b = wire.AppendUint32(b, op)
	b = wire.AppendUint64(b, unique)
	b = wire.AppendUint64(b, node)
	b = append(b, make([]byte, 16)...) // uid, gid, pid, extensions
	b = append(b, args...)
	r := &request{in: [][]byte{b}, out: [][]byte{make([]byte, replyHead+reply)}}
	if payload != nil {
		r.in = append(r.in, payload)
	}
	if data != nil {
		r.out = append(r.out, data)
	}
	r.replyLen = uint32(replyHead + reply + len(data))
	return r
}

func getattrRequest(node, _, unique uint64) *request {
	return format(opGetattr, node, unique, make([]byte, 16), nil, attrOut, nil)
}

func lookupRequest(_, _, unique uint64) *request {
	return format(opLookup, loopback.RootID, unique, []byte("file\x00"), nil, entryOut, nil)
}

// ioArgs is struct fuse_read_in, and fuse_write_in.
func ioArgs(fh uint64) []byte {
	b := wire.AppendUint64(nil, fh)
	b = wire.AppendUint64(b, 0) // offset
	b = wire.AppendUint32(b, blockSize)
	return append(b, make([]byte, 20)...) // flags, lock_owner, flags, padding
}

func readRequest(node, fh, unique uint64) *request {
	return format(opRead, node, unique, ioArgs(fh), nil, 0, make([]byte, blockSize))
}

func writeRequest(node, fh, unique uint64) *request {
	return format(opWrite, node, unique, ioArgs(fh), make([]byte, blockSize), writeOut, nil)
}
