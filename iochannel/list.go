package iochannel

import (
	"fmt"
	"sort"
	"sync/atomic"
)

// channelList has a device's channels in order of thread id. It is changed under the device's
// lock and read without: a thread's channels come and go in its place, and a new place is
// appended behind those that readers of the list know of, or makes a new list.
type channelList []place

// place is that of a thread.
type place struct {
	id uint64                  // of the thread; does not change
	ch atomic.Pointer[Channel] // nil while the thread has none
}

// minPlaces is how many places a list has room for at least.
const minPlaces = 8

// search returns the index of the first place with that id or a higher one.
func (l channelList) search(id uint64) int {
	return sort.Search(len(l), func(i int) bool { return l[i].id >= id })
}

// add appends a place; there is room.
func (l *channelList) add(id uint64, ch *Channel) {
	n := len(*l)
	*l = (*l)[:n+1]
	p := &(*l)[n]
	p.id = id
	p.ch.Store(ch)
}

// rebuilt returns a list of the channels there are, live of them, and of ch if that is not nil,
// with as much room again.
func (l channelList) rebuilt(live int, ch *Channel) *channelList {
	list := make(channelList, 0, max(minPlaces, 2*live))
	for i := range l {
		old := l[i].ch.Load()
		if old == nil {
			continue
		}
		if ch != nil && ch.t.ID() < l[i].id {
			list.add(ch.t.ID(), ch)
			ch = nil
		}
		list.add(l[i].id, old)
	}
	if ch != nil {
		list.add(ch.t.ID(), ch)
	}
	return &list
}

// addChannel makes ch known to the device, whose lock the caller holds.
func (d *Device) addChannel(ch *Channel) {
	id := ch.t.ID()
	list := *d.channels.Load()
	i := list.search(id)
	switch {
	case i < len(list) && list[i].id == id:
		list[i].ch.Store(ch)
		d.vacant--
	case i == len(list) && i < cap(list):
		longer := list
		longer.add(id, ch)
		d.channels.Store(&longer)
	default:
		d.channels.Store(list.rebuilt(len(list)-d.vacant+1, ch))
		d.vacant = 0
	}
}

// removeChannel undoes addChannel. A list of which more than half is vacant is left behind.
func (d *Device) removeChannel(ch *Channel) {
	list := *d.channels.Load()
	i := list.search(ch.t.ID())
	if i == len(list) || list[i].ch.Load() != ch {
		panic(fmt.Sprintf("iochannel: device %q does not know its channel on thread %q", d.name, ch.t.Name()))
	}
	list[i].ch.Store(nil)
	d.vacant++
	if len(list) > minPlaces && d.vacant > len(list)/2 {
		d.channels.Store(list.rebuilt(len(list)-d.vacant, nil))
		d.vacant = 0
	}
}
