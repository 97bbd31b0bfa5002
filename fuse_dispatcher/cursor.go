package fusedispatcher

// cursor walks over a vector of segments, which may be of any length including 0.
type cursor struct {
	segs [][]byte
	off  int // in segs[0]
	left int // bytes that may still be taken
}

func newCursor(segs [][]byte) cursor {
	c := cursor{segs: segs}
	if len(segs) == 1 {
		c.left = len(segs[0])
		return c
	}
	for _, s := range segs {
		c.left += len(s)
	}
	return c
}

// read fills dst and reports whether there was enough.
func (c *cursor) read(dst []byte) bool {
	if len(dst) > c.left {
		return false
	}
	c.left -= len(dst)
	for len(dst) > 0 {
		n := copy(dst, c.chunk())
		c.off += n
		dst = dst[n:]
	}
	return true
}

// write copies src, for which there must be room.
func (c *cursor) write(src []byte) {
	c.left -= len(src)
	for len(src) > 0 {
		n := copy(c.chunk(), src)
		c.off += n
		src = src[n:]
	}
}

// chunk returns the rest of the current segment, or the next that is not empty. There must
// be one.
func (c *cursor) chunk() []byte {
	for c.off == len(c.segs[0]) {
		c.segs = c.segs[1:]
		c.off = 0
	}
	return c.segs[0][c.off:]
}

// skip passes over n bytes, of which there must be enough.
func (c *cursor) skip(n int) {
	c.left -= n
	for n > 0 {
		step := min(n, len(c.chunk()))
		c.off += step
		n -= step
	}
}

// slices appends to dst the next n bytes as segments, without copying them. There must be
// enough.
func (c *cursor) slices(dst [][]byte, n int) [][]byte {
	c.left -= n
	for n > 0 {
		chunk := c.chunk()
		chunk = chunk[:min(n, len(chunk)):min(n, len(chunk))]
		dst = append(dst, chunk)
		c.off += len(chunk)
		n -= len(chunk)
	}
	return dst
}
