package fusedev

import "github.com/spdk-go/spdk-go/reactor"

var bindingKey = reactor.NewExtKey()

// binding is what keeps a thread on its reactor: the rings that several mounts may have there.
type binding struct {
	rings int
	was   bool // the thread was bound before there was a ring
}

// IsHolding implements [reactor.ThreadExt]: what a ring holds, its channel does.
func (b *binding) IsHolding() bool { return false }

// Holding implements [reactor.ThreadExt].
func (b *binding) Holding() string { return "" }

// bind keeps a thread on its reactor for one ring more. On t.
func bind(t *reactor.Thread) {
	b, _ := t.Ext(bindingKey).(*binding)
	if b == nil {
		b = &binding{}
		t.SetExt(bindingKey, b)
	}
	if b.rings == 0 {
		b.was = t.IsBound()
		t.Bind(true)
	}
	b.rings++
}

// unbind is for one ring less. The last one leaves the thread as the first has found it. On t.
func unbind(t *reactor.Thread) {
	b := t.Ext(bindingKey).(*binding)
	if b.rings--; b.rings == 0 {
		t.Bind(b.was)
	}
}
