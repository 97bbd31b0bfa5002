package memfs

import "syscall"

// lockSet is several inodes that one operation writes to. They are locked in the order of their
// numbers, all or none.
type lockSet struct {
	nodes [4]*inode
	n     int
}

// want adds inodes that are not yet in the set. nil is no inode.
func (s *lockSet) want(nodes ...*inode) {
next:
	for _, n := range nodes {
		if n == nil || s.has(n) {
			continue next
		}
		i := s.n
		for ; i > 0 && s.nodes[i-1].ino > n.ino; i-- {
			s.nodes[i] = s.nodes[i-1]
		}
		s.nodes[i] = n
		s.n++
	}
}

func (s *lockSet) has(n *inode) bool {
	for _, m := range s.nodes[:s.n] {
		if m == n {
			return true
		}
	}
	return false
}

// lock locks the inodes of the set, or none. Errors: errBusy, ESTALE.
func (s *lockSet) lock(l *lane) syscall.Errno {
	for i, n := range s.nodes[:s.n] {
		if errno := n.lk.lock(); errno != 0 {
			for _, m := range s.nodes[:i] {
				l.unlock(m)
			}
			return errno
		}
	}
	return 0
}

// add locks one more inode and adds it to the set, whatever its number. Errors: errBusy, ESTALE.
func (s *lockSet) add(n *inode) syscall.Errno {
	if n == nil || s.has(n) {
		return 0
	}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	s.want(n)
	return 0
}

func (s *lockSet) unlock(l *lane) {
	for _, n := range s.nodes[:s.n] {
		l.unlock(n)
	}
}
