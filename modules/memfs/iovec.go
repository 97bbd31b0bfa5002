package memfs

// iovCursor walks through the bytes of a scatter list. The list may hold more bytes than the
// operation moves, and empty elements.
type iovCursor struct {
	iovs [][]byte
	off  int // into iovs[0]
}

// next returns the next adjacent bytes, at most max of them and at least one. The list must
// not be used up.
func (c *iovCursor) next(max int) []byte {
	for c.off == len(c.iovs[0]) {
		c.iovs = c.iovs[1:]
		c.off = 0
	}
	b := c.iovs[0][c.off:]
	if len(b) > max {
		b = b[:max]
	}
	c.off += len(b)
	return b
}

// fill copies src into the list.
func (c *iovCursor) fill(src []byte) {
	for len(src) > 0 {
		src = src[copy(c.next(len(src)), src):]
	}
}

// zero clears the next n bytes of the list.
func (c *iovCursor) zero(n uint64) {
	for n > 0 {
		b := c.next(int(min(n, 1<<30)))
		clear(b)
		n -= uint64(len(b))
	}
}

// drain fills dst from the list.
func (c *iovCursor) drain(dst []byte) {
	for len(dst) > 0 {
		dst = dst[copy(dst, c.next(len(dst))):]
	}
}

// iovSize returns the number of bytes in a scatter list, or limit if there are more.
func iovSize(iovs [][]byte, limit uint64) (n uint64) {
	for _, b := range iovs {
		if n += uint64(len(b)); n >= limit {
			return limit
		}
	}
	return n
}
