package fusedev

import (
	"sync"

	"github.com/spdk-go/spdk-go/reactor"
)

// binding is what keeps a thread on its reactor.
type binding struct {
	rings int
	was   bool // it was bound before there was a ring
}

// bindings are those of all threads with rings, which mounts may share.
var bindings = struct {
	sync.Mutex
	of map[*reactor.Thread]*binding
}{of: map[*reactor.Thread]*binding{}}

// bind keeps a thread on its reactor for one ring more.
func bind(t *reactor.Thread) {
	bindings.Lock()
	defer bindings.Unlock()
	b := bindings.of[t]
	if b == nil {
		b = &binding{was: t.IsBound()}
		bindings.of[t] = b
		t.Bind(true)
	}
	b.rings++
}

// unbind is for one ring less. The last one leaves the thread as the first has found it.
func unbind(t *reactor.Thread) {
	bindings.Lock()
	defer bindings.Unlock()
	b := bindings.of[t]
	if b.rings--; b.rings == 0 {
		delete(bindings.of, t)
		t.Bind(b.was)
	}
}
