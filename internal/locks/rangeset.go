package locks

import "slices"

// byteRange is a byte-range lock: the bytes [start, end] of a file are owner's.
type byteRange struct {
	start     uint64
	end       uint64
	reach     uint64 // the largest end of this and of all before it
	owner     *owner
	pid       uint32 // of the process, for who asks
	exclusive bool
}

// rangeSet is the byte-range locks of a file in the order of their first bytes. Those of one owner neither
// overlap nor, if they are of one kind, touch.
type rangeSet struct {
	all []byteRange
}

// reaching returns the index of the first range that ends at pos or later: those before it do not matter from
// pos on.
func (s *rangeSet) reaching(pos uint64) int {
	lo, hi := 0, len(s.all)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s.all[mid].reach < pos {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// conflict returns the first lock of others than o in [start, end] that excludes a lock of the given kind, nil
// if there is none.
func (s *rangeSet) conflict(o *owner, start, end uint64, exclusive bool) *byteRange {
	for i := s.reaching(start); i < len(s.all) && s.all[i].start <= end; i++ {
		b := &s.all[i]
		if b.end >= start && b.owner != o && (exclusive || b.exclusive) {
			return b
		}
	}
	return nil
}

// joins says whether b, which has the same owner as a lock of the given kind at [start, end] and is not far
// from it, becomes a part of it.
func (b *byteRange) joins(lock, exclusive bool) bool { return lock && b.exclusive == exclusive }

// isBeside says whether b touches [start, end] at most.
func (b *byteRange) isBeside(start, end uint64) bool { return b.end < start || b.start > end }

// growth returns how many ranges more there will be after assign.
func (s *rangeSet) growth(o *owner, start, end uint64, lock, exclusive bool) (n int) {
	if lock {
		n = 1
	}
	for i := s.reaching(max(start, 1) - 1); i < len(s.all) && s.all[i].start <= end+1; i++ {
		b := &s.all[i]
		switch {
		case b.owner != o || b.end+1 < start:
		case b.joins(lock, exclusive):
			n--
		case !b.isBeside(start, end):
			n--
			if b.start < start {
				n++
			}
			if b.end > end {
				n++
			}
		}
	}
	return n
}

// assign gives o a lock of the given kind on [start, end], or takes away what o has there if lock is not set.
// It says whether others may now get what they could not before. There is room for two ranges more.
func (s *rangeSet) assign(o *owner, start, end uint64, lock, exclusive bool, pid uint32) (loosened bool) {
	before := len(s.all)
	added := byteRange{start: start, end: end, owner: o, pid: pid, exclusive: exclusive}
	var rest byteRange // what is left behind the end
	lo := s.reaching(max(start, 1) - 1)
	kept, i := lo, lo
	for ; i < len(s.all) && s.all[i].start <= end+1; i++ {
		b := &s.all[i]
		switch {
		case b.owner != o || b.end+1 < start:
		case b.joins(lock, exclusive):
			added.start = min(added.start, b.start)
			added.end = max(added.end, b.end)
			continue
		case !b.isBeside(start, end):
			loosened = loosened || !lock || b.exclusive
			if b.end > end {
				rest = *b
				rest.start = end + 1
			}
			if b.start >= start {
				continue
			}
			b.end = start - 1
		}
		if kept < i {
			s.all[kept] = *b
		}
		kept++
	}
	s.all = slices.Delete(s.all, kept, i)
	if lock {
		s.insert(added)
	}
	if rest.owner != nil {
		s.insert(rest)
	}
	s.settle(lo, kept+2)
	o.pieces += len(s.all) - before
	return loosened
}

// insert puts b where it belongs, behind others that begin there.
func (s *rangeSet) insert(b byteRange) {
	lo, hi := 0, len(s.all)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s.all[mid].start <= b.start {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	s.all = slices.Insert(s.all, lo, b)
}

// settle sets the reach of the ranges from index i on. Those up to index last have changed.
func (s *rangeSet) settle(i, last int) {
	reach := uint64(0)
	if i > 0 {
		reach = s.all[i-1].reach
	}
	for ; i < len(s.all); i++ {
		reach = max(reach, s.all[i].end)
		if i > last && s.all[i].reach == reach {
			break
		}
		s.all[i].reach = reach
	}
}

// removeAll takes away all that o has.
func (s *rangeSet) removeAll(o *owner) {
	s.all = slices.DeleteFunc(s.all, func(b byteRange) bool { return b.owner == o })
	s.settle(0, len(s.all))
	o.pieces = 0
}

// removeTied takes away what ends with h, everything if h is nil.
func (s *rangeSet) removeTied(h *Handle) {
	s.all = slices.DeleteFunc(s.all, func(b byteRange) bool {
		gone := h == nil || b.owner.tie.h == h
		if gone {
			b.owner.pieces--
		}
		return gone
	})
	s.settle(0, len(s.all))
}
