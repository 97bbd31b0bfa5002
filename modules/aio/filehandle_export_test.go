package aio

// ShedFDs closes all descriptors of nodes that can be.
func ShedFDs(a *Aio) {
	for range 2 {
		for a.shed() {
		}
	}
}

// KeptFDs counts the nodes that are in the cache of descriptors.
func KeptFDs(a *Aio) (n int) {
	for i := range a.fds.shards {
		s := &a.fds.shards[i]
		s.mu.Lock()
		n += len(s.nodes) - len(s.free)
		s.mu.Unlock()
	}
	return n
}
