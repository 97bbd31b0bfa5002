package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
)

// Client calls the methods of a server. Any number of goroutines may use it at once.
//
// SPDK: struct spdk_jsonrpc_client
type Client struct {
	nc      net.Conn
	sending sync.Mutex

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]*pending
	err     error // why nothing more will come
	done    chan struct{}
}

// pending is a call, or a batch of them, that has not been answered.
type pending struct {
	calls    []*BatchCall
	ids      []uint64
	answered chan struct{}
}

// ErrClosed is the error of calls that were made, or not answered, when [Client.Close] was called.
var ErrClosed = errors.New("rpc: the client is closed")

// Dial connects to the Unix socket at path.
//
// SPDK: spdk_jsonrpc_client_connect
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("rpc: is there an application? %w", err)
	}
	return NewClient(nc), nil
}

// NewClient returns a client that talks over nc, which belongs to it.
func NewClient(nc net.Conn) *Client {
	c := &Client{nc: nc, waiting: map[uint64]*pending{}, done: make(chan struct{})}
	go c.read()
	return c
}

// Close ends the connection. Calls that have not been answered end with [ErrClosed].
//
// SPDK: spdk_jsonrpc_client_close
func (c *Client) Close() error {
	c.fail(ErrClosed)
	err := c.nc.Close()
	<-c.done
	return err
}

// BatchCall is a call of a batch.
type BatchCall struct {
	Method string
	Params any // what encoding/json can write; nil for none
	Result any // a pointer that encoding/json can read into, or nil
	Err    error
}

// Call calls a method and waits for its result, which is put into result, a pointer that encoding/json can read into
// (nil: it is dropped). params is what encoding/json can write, nil for none. The error is an [*Error] if the server
// sent it, or ctx's, in which case the method may run all the same.
//
// SPDK: spdk_jsonrpc_client_send_request, spdk_jsonrpc_client_get_response
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	call := &BatchCall{Method: method, Params: params, Result: result}
	if err := c.send(ctx, []*BatchCall{call}, false); err != nil {
		return err
	}
	return call.Err
}

// Batch makes calls with one request, and waits for all results. What is wrong with one of them is in its Err; the
// error returned is that of all.
//
// SPDK: spdk_jsonrpc_begin_batch, spdk_jsonrpc_end_batch
func (c *Client) Batch(ctx context.Context, calls []*BatchCall) error {
	if len(calls) == 0 {
		return nil
	}
	return c.send(ctx, calls, true)
}

type clientRequest struct {
	Version string          `json:"jsonrpc"`
	ID      uint64          `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

func (c *Client) send(ctx context.Context, calls []*BatchCall, batch bool) error {
	p := &pending{calls: calls, answered: make(chan struct{})}
	requests := make([]clientRequest, len(calls))
	for i, call := range calls {
		requests[i] = clientRequest{Version: "2.0", Method: call.Method}
		if call.Params == nil {
			continue
		}
		text, err := marshal(call.Params)
		if err != nil {
			return fmt.Errorf("rpc: parameters of %s: %w", call.Method, err)
		}
		requests[i].Params = text
	}
	if err := c.enlist(p, requests); err != nil {
		return err
	}
	defer c.delist(p)
	var text []byte
	var err error
	if batch {
		text, err = marshal(requests)
	} else {
		text, err = marshal(requests[0])
	}
	if err != nil {
		return err
	}
	c.sending.Lock()
	_, err = c.nc.Write(append(text, '\n'))
	c.sending.Unlock()
	if err != nil {
		// The server may have said why it does not want it.
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return c.err
		}
		return fmt.Errorf("rpc: %w", err)
	}
	select {
	case <-p.answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
	}
	select {
	case <-p.answered: // just before
		return nil
	default:
		return c.err
	}
}

// enlist numbers the requests.
func (c *Client) enlist(p *pending, requests []clientRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for i := range requests {
		c.lastID++
		requests[i].ID = c.lastID
		p.ids = append(p.ids, c.lastID)
		c.waiting[c.lastID] = p
	}
	return nil
}

func (c *Client) delist(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range p.ids {
		delete(c.waiting, id)
	}
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

type clientResponse struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *Error          `json:"error"`
}

// read takes responses until the connection ends, or makes no sense.
//
// SPDK: jsonrpc_parse_response
func (c *Client) read() {
	defer close(c.done)
	defer c.nc.Close()
	dec := json.NewDecoder(c.nc)
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if err == nil {
			err = c.take(raw)
		}
		if err != nil {
			c.fail(fmt.Errorf("rpc: connection lost: %w", err))
			return
		}
	}
}

// take hands out a response or a batch of them.
func (c *Client) take(raw json.RawMessage) error {
	list, isBatch := elements(raw)
	if !isBatch {
		list = []json.RawMessage{raw}
	}
	for _, text := range list {
		var r clientResponse
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("a response of another form: %w", err)
		}
		if r.Version != "2.0" || (r.Error == nil) == (r.Result == nil) {
			return errors.New("a response of another form")
		}
		id, err := strconv.ParseUint(string(r.ID), 10, 64)
		if err != nil {
			// It is not about any request, or about one that could not be read.
			if r.Error != nil {
				return r.Error
			}
			return fmt.Errorf("a response to request %s", r.ID)
		}
		if err := c.deliver(id, &r); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) deliver(id uint64, r *clientResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.waiting[id]
	if p == nil {
		if id == 0 || id > c.lastID {
			return fmt.Errorf("a response to request %d", id)
		}
		return nil // the caller did not wait for it
	}
	delete(c.waiting, id)
	// Its caller takes itself off the list, under the lock, before it goes on without an answer.
	call := p.calls[slices.Index(p.ids, id)]
	if r.Error != nil {
		call.Err = r.Error
	} else if call.Result != nil {
		if err := json.Unmarshal(r.Result, call.Result); err != nil {
			call.Err = fmt.Errorf("rpc: result of %s: %w", call.Method, err)
		}
	}
	for _, other := range p.ids {
		if c.waiting[other] == p {
			return nil
		}
	}
	close(p.answered)
	return nil
}
