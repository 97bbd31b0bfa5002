package iochannel_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestChannelsAreTraced records the references that there were after each get and before each put, as SPDK does.
func TestChannelsAreTraced(t *testing.T) {
	const get, put = reactor.TpointThreadIOChannelGet, reactor.TpointThreadIOChannelPut
	for _, on := range []bool{false, true} {
		tr := &reactortest.Tracer{}
		if on {
			tr.Enable(get, put)
		}
		h := reactortest.NewReactors(t, []int{3}, reactor.Options{StallThreshold: -1, Tracer: tr})
		th := h.Thread(nil)
		th.SendMsg(func(th *reactor.Thread, _ any) {
			d := newDevice(t, th, nil)
			a, b := d.Get(th), d.Get(th)
			b.Put()
			a.Put()
			d.unregister(t, th)
			if d.Get(th) != nil {
				t.Error("got a channel of a device that is unregistered")
			}
		}, nil)
		h.PollReactors()
		type row struct {
			Core int
			TP   reactor.Tpoint
			Refs uint64
		}
		var got, want []row
		for _, e := range tr.Entries {
			got = append(got, row{e.Core, e.Tpoint, e.Args[0]})
			if e.Object == 0 || e.Object != tr.Entries[0].Object {
				t.Errorf("object %#x", e.Object)
			}
		}
		if on {
			want = []row{{3, get, 1}, {3, get, 2}, {3, put, 2}, {3, put, 1}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("on %v: %s", on, diff)
		}
	}
}
