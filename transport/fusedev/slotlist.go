package fusedev

// slotList is a queue of slots, linked by next.
type slotList struct{ first, last *slot }

func (l *slotList) isEmpty() bool { return l.first == nil }

func (l *slotList) push(sl *slot) {
	sl.next = nil
	if l.first == nil {
		l.first = sl
	} else {
		l.last.next = sl
	}
	l.last = sl
}

func (l *slotList) pop() *slot {
	sl := l.first
	l.first = sl.next
	sl.next = nil
	return sl
}

func (l *slotList) pushFirst(sl *slot) {
	if sl.next = l.first; l.first == nil {
		l.last = sl
	}
	l.first = sl
}
