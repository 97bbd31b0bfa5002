package rpc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	maxUnanswered = 1024 // requests of a connection
	closeWait     = time.Second
)

// conn is a connection: a goroutine reads requests and has them run, another one writes the answers.
//
// SPDK: struct spdk_jsonrpc_server_conn
type conn struct {
	srv       *Server
	nc        *net.UnixConn
	places    chan struct{}          // a request that is not answered has one
	answers   atomic.Pointer[answer] // to be written, the latest first
	wake      chan struct{}          // has room: there may be answers, or the reader has ended
	readEnded chan struct{}
	broken    bool // the writer's: nobody takes what is written
}

func newConn(srv *Server, nc *net.UnixConn) *conn {
	return &conn{
		srv:       srv,
		nc:        nc,
		places:    make(chan struct{}, maxUnanswered),
		wake:      make(chan struct{}, 1),
		readEnded: make(chan struct{}),
	}
}

// read serves requests until there are no more.
func (c *conn) read() {
	defer c.srv.work.Done()
	defer func() {
		close(c.readEnded)
		c.signal()
	}()
	var f framer
	buf := make([]byte, 32<<10)
	for {
		n, err := c.nc.Read(buf)
		for b := buf[:n]; len(b) > 0; {
			wasPartial := f.partial()
			var request []byte
			var bad *Error
			if request, b, bad = f.next(b); bad != nil {
				c.refuse(bad)
				return
			}
			if request == nil {
				if f.partial() && !wasPartial {
					c.setReadDeadline(time.Now().Add(c.srv.o.RequestTimeout))
				}
				break
			}
			c.setReadDeadline(time.Time{})
			c.srv.trace(ToServer, request)
			if !c.serve(request) {
				return
			}
		}
		switch {
		case err == nil:
			continue
		case f.partial() && err == io.EOF:
			c.refuse(errorf(ParseError, "Parse error: a request without an end"))
		case f.partial() && errors.Is(err, os.ErrDeadlineExceeded):
			c.refuse(errorf(ParseError, "Parse error: a request of more than %v", c.srv.o.RequestTimeout))
		}
		return
	}
}

// serve runs a request or batch. It returns false if the server ends.
func (c *conn) serve(request []byte) bool {
	if !c.srv.waitOpen() {
		return false
	}
	select {
	case c.places <- struct{}{}:
	case <-c.srv.closing:
		return false
	}
	c.srv.svc.serve(request, c)
	return !isClosed(c.srv.closing)
}

// refuse answers bytes that are no request.
func (c *conn) refuse(err *Error) {
	select {
	case c.places <- struct{}{}:
	case <-c.srv.closing:
		return
	}
	a := &answer{to: c}
	a.add(c.srv.svc, "", nil).finish(nil, err)
}

// push has an answer written. It never waits.
func (c *conn) push(a *answer) {
	for {
		a.next = c.answers.Load()
		if c.answers.CompareAndSwap(a.next, a) {
			break
		}
	}
	c.signal()
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns the answers that are to be written, the earliest first.
func (c *conn) take() (first *answer) {
	for a := c.answers.Swap(nil); a != nil; {
		next := a.next
		a.next, first = first, a
		a = next
	}
	return first
}

// write sends answers until everything that was read has been answered, and then closes the connection. The connection
// keeps its place among the server's until then, since what has not been answered uses memory.
func (c *conn) write() {
	defer c.srv.work.Done()
	defer c.srv.forget(c)
	defer c.nc.Close()
	for {
		select {
		case <-c.wake:
		case <-c.srv.closing:
			<-c.readEnded
			c.flush()
			return
		}
		c.flush()
		if isClosed(c.readEnded) && len(c.places) == 0 {
			return
		}
	}
}

// flush sends the answers that there are.
func (c *conn) flush() {
	for a := c.take(); a != nil; a = a.next {
		if !c.broken && !c.send(a) {
			c.broken = true
			c.nc.Close() // the reader ends too
		}
		<-c.places
	}
}

// send returns false if nobody takes what there is to say.
func (c *conn) send(a *answer) bool {
	text := a.encode()
	if text == nil {
		return true
	}
	c.srv.trace(FromServer, text)
	c.nc.SetWriteDeadline(time.Now().Add(c.srv.o.RequestTimeout))
	if isClosed(c.srv.closing) {
		c.nc.SetWriteDeadline(time.Now().Add(closeWait))
	}
	_, err := c.nc.Write(text)
	return err == nil
}

// setReadDeadline is overruled by the end of the server.
func (c *conn) setReadDeadline(at time.Time) {
	c.nc.SetReadDeadline(at)
	if isClosed(c.srv.closing) {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// end has the connection end soon; the server is closing.
func (c *conn) end() {
	c.nc.SetReadDeadline(time.Unix(1, 0))
	c.nc.SetWriteDeadline(time.Now().Add(closeWait))
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
