package fuzz

import "math"

// source is the byte string that says what happens. Where it has ended everything is 0.
type source struct{ data []byte }

func (s *source) byte() int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b)
}

// n returns a number below k, which is at most 256.
func (s *source) n(k int) int { return s.byte() % k }

// word returns a number of 16 bits.
func (s *source) word() uint64 { return uint64(s.byte())<<8 | uint64(s.byte()) }

// one returns one of the list.
func one[T any](s *source, list ...T) T { return list[s.n(len(list))] }

// offset returns a place in a file of some size: mostly near its beginning, its end or the edge of a page, at times
// where only sparse files have bytes, or none.
func (s *source) offset(size uint64) uint64 {
	switch s.n(16) {
	case 0, 1:
		return 0
	case 2:
		return size / 16 * uint64(s.n(16))
	case 3, 4:
		return size
	case 5:
		return size + uint64(s.n(32)) - 16
	case 6, 7, 8:
		return uint64(s.n(32)) * pageSize
	case 9, 10:
		return uint64(s.n(32))*pageSize + uint64(s.n(16)) - 8
	case 11:
		return 1<<21 + uint64(s.n(16))*pageSize - 8*pageSize // the border of a leaf
	case 12:
		return uint64(1)<<(s.n(32)+30) + s.word() // far out
	case 13:
		return math.MaxInt64 - uint64(s.n(64))*pageSize/8
	case 14:
		return uint64(math.MaxInt64) + uint64(s.n(64))
	}
	return s.word()
}

// size returns a number of bytes.
func (s *source) size() uint64 {
	switch s.n(8) {
	case 0:
		return uint64(s.n(8))
	case 1, 2:
		return uint64(s.n(256))
	case 3:
		return pageSize
	case 4:
		return uint64(s.n(16)) * pageSize
	case 5:
		return uint64(s.n(24))*pageSize + uint64(s.n(16))
	}
	return s.word()
}

// length is size, and sometimes much more.
func (s *source) length() uint64 {
	switch s.n(8) {
	case 0:
		return uint64(1)<<(s.n(44)+20) - uint64(s.n(2))
	case 1:
		return uint64(s.n(255)) << 14
	}
	return s.size()
}
