package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

const (
	// askTime is how long an application may take to answer everything. Its reactors may be busy.
	askTime = 10 * time.Second
	// maxAnswer is the longest answer, that of a server of ours.
	maxAnswer = 32 << 20
)

// target is an application that comes and goes.
type target struct {
	socket  string
	limit   int64 // of an answer; 0: maxAnswer
	c       *rpc.Client
	methods map[string]bool
}

// errTooLong ends the connection to what does not stop to answer.
var errTooLong = errors.New("the answer does not end")

// limitedConn is a connection that fails when too much comes in after the last request.
type limitedConn struct {
	net.Conn
	limit int64
	left  atomic.Int64
}

func (c *limitedConn) Write(p []byte) (int, error) {
	c.left.Store(c.limit)
	return c.Conn.Write(p)
}

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left.Add(-int64(n)) < 0 {
		return 0, errTooLong
	}
	return n, err
}

// errNotStarted is for an application that waits for framework_start_init.
var errNotStarted = errors.New("the application has not been started: framework_start_init is waited for")

// sample asks the application everything, after it has connected if it has to.
func (t *target) sample(parent context.Context) (*sample, error) {
	ctx, cancel := context.WithTimeout(parent, askTime)
	defer cancel()
	if t.c == nil {
		var d net.Dialer
		nc, err := d.DialContext(ctx, "unix", t.socket)
		if err != nil {
			return nil, err
		}
		t.c, t.methods = rpc.NewClient(&limitedConn{Conn: nc, limit: cmp.Or(t.limit, maxAnswer)}), nil
	}
	s, err := t.take(ctx)
	var refused *rpc.Error
	switch {
	case err == nil, errors.Is(err, errNotStarted):
	case errors.As(err, &refused):
		t.methods = nil // other methods may be there next time
	default:
		t.close()
	}
	return s, err
}

func (t *target) take(ctx context.Context) (*sample, error) {
	if !t.methods["thread_get_stats"] {
		methods, err := askMethods(ctx, t.c)
		if err != nil {
			return nil, err
		}
		if !methods["thread_get_stats"] && methods["framework_start_init"] {
			return nil, errNotStarted
		}
		t.methods = methods
	}
	return take(ctx, t.c, t.methods)
}

// measure switches the histograms of a device on or off.
func (t *target) measure(parent context.Context, fsdev string, on bool) error {
	return t.call(parent, "fsdev_enable_histogram", map[string]any{"name": fsdev, "enable": on})
}

// call calls a method that changes something.
func (t *target) call(parent context.Context, method string, params any) error {
	if t.c == nil {
		return errors.New("there is no connection")
	}
	ctx, cancel := context.WithTimeout(parent, askTime)
	defer cancel()
	return t.c.Call(ctx, method, params, nil)
}

func (t *target) close() {
	if t.c != nil {
		t.c.Close()
		t.c = nil
	}
}
