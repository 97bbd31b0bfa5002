package locks

import (
	"sync/atomic"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// laneShare is how many locks a lane takes at a time from those that there may be, so that lanes do not meet there for
// each. maxLanes is for how many lanes that is reckoned.
const (
	laneShare = 64
	maxLanes  = 256
)

// Device is what the files of one file system share: how many locks there may be, and who waits for whom.
type Device struct {
	maxLocks int64
	maxWaits int64
	share    int64 // what a lane takes in advance

	graph   waitGraph
	clients atomic.Uint64 // numbers that have been given out

	_     [64]byte
	used  atomic.Int64 // locks that are held, or that a lane has taken in advance
	_     [64]byte
	waits atomic.Int64 // requests that wait
}

// NewDevice returns a device of maxLocks locks at most, of both kinds and in all its files, on which maxWaits requests
// can wait.
func NewDevice(maxLocks, maxWaits int) *Device {
	d := &Device{
		maxLocks: int64(maxLocks),
		maxWaits: int64(maxWaits),
		share:    min(laneShare, int64(maxLocks)/(4*maxLanes)),
	}
	d.graph.init()
	return d
}

// Waits returns how many requests wait. Any goroutine.
func (d *Device) Waits() int64 { return d.waits.Load() }

// Used returns how many locks are held, or kept back by lanes that have not been closed. Any goroutine.
func (d *Device) Used() int64 { return d.used.Load() }

// Client is whose locks are.
type Client struct {
	num uint64 // that no other client of the device has

	mu   sys.Spin
	ties *tie // of locks that belong to no handle
}

// NewClient returns a client of d. Any goroutine.
func (d *Device) NewClient() *Client { return &Client{num: d.clients.Add(1)} }

// Handle is a part of an open file, of the module's, and belongs to one file and one client. Its zero value is good.
type Handle struct {
	closed atomic.Bool
	ties   int // that it will end; guarded by the table's lock
}

// File is a part of a file, of the module's. Its zero value is a file without locks.
type File struct {
	table atomic.Pointer[table] // nil: none yet
}

// IsUsed says whether there was ever a lock on the file.
func (f *File) IsUsed() bool { return f.table.Load() != nil }

// tableOf returns the table of a file and makes it if there is none yet.
func (d *Device) tableOf(f *File, node any) *table {
	if t := f.table.Load(); t != nil {
		return t
	}
	f.table.CompareAndSwap(nil, &table{d: d, node: node})
	return f.table.Load()
}

// tie ties a lock, or the waiting for one, to what ends it: a handle, or else its client. All but the links is guarded
// by the table's lock.
type tie struct {
	table  *table   // fixed
	req    *Request // what is tied, or
	owner  *owner   // the locks of this one, fixed
	tied   bool
	client *Client
	h      *Handle // nil: the client. Otherwise counts the tie.

	prev *tie // links of client.ties, guarded by client.mu
	next *tie
}

func (k *tie) bind(c *Client, h *Handle) {
	k.tied, k.client, k.h = true, c, h
	if h != nil {
		h.ties++
		return
	}
	c.mu.Lock()
	k.next = c.ties
	if k.next != nil {
		k.next.prev = k
	}
	c.ties = k
	c.mu.Unlock()
}

func (k *tie) unbind() {
	if !k.tied {
		return
	}
	k.tied = false
	if k.h != nil {
		k.h.ties--
		k.h = nil
		return
	}
	c := k.client
	k.client = nil
	c.mu.Lock()
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		c.ties = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	}
	k.prev, k.next = nil, nil
	c.mu.Unlock()
}
