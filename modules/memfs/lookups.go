package memfs

import "github.com/spdk-go/spdk-go/fsdev"

// The lookups that clients hold on an inode are counted together with the epoch in which they
// were made: when the last client unmounts the epoch moves on, and every older count is as
// good as zero without anybody having to visit every inode. A count other than zero, whatever
// its epoch, has one reference to the inode.

func (fs *fileSystem) epoch() uint64 { return fs.mounts.Load() >> 32 & epochMask }

// addLookup counts a lookup. The caller sees to it that n has a reference all the while.
func (l *lane) addLookup(n *inode) {
	if n == l.fs.root {
		return
	}
	for {
		v := n.lookups.Load()
		epoch := l.fs.epoch()
		next := epoch<<lookupBits | 1
		if v>>lookupBits == epoch {
			next = v + 1
		}
		first := v&lookupMask == 0
		if first {
			n.refs.Add(1)
		}
		if n.lookups.CompareAndSwap(v, next) {
			return
		}
		if first {
			n.refs.Add(-1)
		}
	}
}

// forget is FORGET: it drops k lookups, or as many as there are. The root has any number.
func (l *lane) forget(obj fsdev.FileObject, k uint64) {
	n := l.fs.objects.Get(uint64(obj))
	if n == nil || n == l.fs.root {
		return
	}
	for {
		v := n.lookups.Load()
		count := v & lookupMask
		if count == 0 {
			return
		}
		if v>>lookupBits != l.fs.epoch() {
			k = count
		}
		if k = min(k, count); n.lookups.CompareAndSwap(v, v-k) {
			if k == count {
				l.put(n)
			}
			return
		}
	}
}

// dropStaleLookups drops the lookups of earlier epochs, for a file that nobody can look up any
// more.
func (l *lane) dropStaleLookups(n *inode) {
	for {
		v := n.lookups.Load()
		if v&lookupMask == 0 || v>>lookupBits == l.fs.epoch() {
			return
		}
		if n.lookups.CompareAndSwap(v, 0) {
			l.put(n)
			return
		}
	}
}
