package aio

import (
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/uring"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// SetHook has fn called by workers before each job.
func SetHook(a *Aio, fn func(t fsdev.IOType)) {
	a.pool.hook = func(j *job) { fn(j.io.Type) }
	a.writer.hook = a.pool.hook
}

// Counts returns how many nodes and handles there are.
func Counts(a *Aio) (nodes, handles int) { return a.objects.Len(), a.handles.Len() }

// TableLen counts the nodes in the table.
func TableLen(a *Aio) (n int) {
	for i := range a.nodes.shards {
		s := &a.nodes.shards[i]
		s.mu.Lock()
		n += s.count
		s.mu.Unlock()
	}
	return n
}

// DoneHere returns how many jobs a thread has done itself.
func DoneHere(a *Aio, t *reactor.Thread) int {
	ch := a.iodev.Get(t)
	defer ch.Put()
	return iochannel.Ctx[channel](ch).here
}

// SwitchesUsers says whether files are made as who asks for them.
func SwitchesUsers(a *Aio) bool { return a.creds.switches }

// RingOf returns the ring of a thread's channel, nil if it has none.
func RingOf(ch *iochannel.Channel) *uring.Ring { return iochannel.Ctx[channel](ch).ring.r }

// Written returns how many jobs the writer has run for fn.
func Written(a *Aio, fn func()) (n int) {
	old := a.writer.hook
	defer func() { a.writer.hook = old }()
	a.writer.hook = func(*job) { n++ }
	fn()
	return n
}
