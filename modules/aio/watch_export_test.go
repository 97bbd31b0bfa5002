package aio

// SetFresh says for how long nodes are new to an export that watches the host, in ticks.
func SetFresh(a *Aio, ticks uint64) { a.watch.fresh.Store(ticks) }

// WatchCounts is what the watcher of an export has done.
type WatchCounts struct{ Events, Sent, Overflows, Resyncs uint64 }

// Watched returns what the watcher of an export has done.
func Watched(a *Aio) WatchCounts {
	c := &a.watch.counts
	return WatchCounts{c.events.Load(), c.sent.Load(), c.overflows.Load(), c.resyncs.Load()}
}

// WatchedNodes counts the nodes of which changes are told.
func WatchedNodes(a *Aio) (n int) {
	for i := range a.watch.nodes.shards {
		s := &a.watch.nodes.shards[i]
		s.mu.Lock()
		for _, x := range s.m {
			for ; x != nil; x = x.watched.same {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
