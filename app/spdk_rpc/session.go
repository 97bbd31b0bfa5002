package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

const (
	defaultSocket  = "/var/tmp/spdk.sock"
	defaultTimeout = 60.0 // seconds, as rpc.py has it
	retryInterval  = 200 * time.Millisecond
)

// connect connects to the application and returns a context that ends when the timeout is over.
func (p *program) connect(parent context.Context) (ctx context.Context, c *rpc.Client, end func(), err error) {
	limit := time.Duration(math.MaxInt64)
	if ns := p.timeout * float64(time.Second); ns < math.MaxInt64 {
		limit = time.Duration(ns)
	}
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(parent, limit)
		c, err := rpc.Dial(ctx, p.socket)
		if err == nil {
			return ctx, c, func() {
				cancel()
				c.Close()
			}, nil
		}
		cancel()
		if try >= p.retries || errors.Is(err, os.ErrPermission) {
			return nil, nil, nil, &failure{exitLost, fmt.Errorf("no connection, see -s: %w", errors.Unwrap(err))}
		}
		time.Sleep(retryInterval)
	}
}

// asFailure says how the program ends after err, an error of a client or of what a client is used for; other is for
// errors that do not tell.
func asFailure(what string, err error, other int) error {
	var refused *rpc.Error
	var network *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &failure{exitRefused, fmt.Errorf("%s: %w", what, err)}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{exitLost, fmt.Errorf("%s: no answer in time, see -t; it may still come to pass", what)}
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, rpc.ErrClosed):
		return &failure{exitLost, fmt.Errorf("%s: %w", what, err)}
	}
	return &failure{other, fmt.Errorf("%s: %w", what, err)}
}
