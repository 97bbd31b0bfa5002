package fusedispatcher

// cursor walks over a vector of segments, which may be of any length including 0.
type cursor struct {
	seg  []byte   // the current segment
	off  int      // in seg
	left int      // bytes that may still be taken
	next [][]byte // the segments after seg
}

// set puts the cursor at the beginning of segs.
func (c *cursor) set(segs [][]byte) {
	c.off = 0
	if len(segs) == 0 {
		c.left = 0
		return
	}
	c.seg, c.next = segs[0], segs[1:]
	left := len(c.seg)
	for _, s := range c.next {
		left += len(s)
	}
	c.left = left
}

// reset lets go of the segments.
func (c *cursor) reset() { c.seg, c.next = nil, nil }

// read fills dst and reports whether there was enough.
func (c *cursor) read(dst []byte) bool {
	if len(dst) > c.left {
		return false
	}
	c.left -= len(dst)
	if seg := c.seg[c.off:]; len(dst) <= len(seg) {
		switch len(dst) { // moved without a call: the header, and the arguments of most requests
		case 8:
			*(*[8]byte)(dst) = [8]byte(seg)
		case 16:
			*(*[16]byte)(dst) = [16]byte(seg)
		case 40:
			*(*[40]byte)(dst) = [40]byte(seg)
		default:
			copy(dst, seg)
		}
		c.off += len(dst)
		return true
	}
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
	if c.off == len(c.seg) {
		c.advance()
	}
	return c.seg[c.off:]
}

// advance goes on to the next segment that is not empty.
func (c *cursor) advance() {
	c.off = 0
	for {
		c.seg, c.next = c.next[0], c.next[1:]
		if len(c.seg) > 0 {
			return
		}
	}
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

// slices appends to dst the n bytes that come after skip others as segments, without copying
// them. There must be enough. The cursor stays where it is.
func (c *cursor) slices(dst [][]byte, skip, n int) [][]byte {
	seg, next := c.seg[c.off:], c.next
	for n > 0 {
		if skip < len(seg) {
			size := min(n, len(seg)-skip)
			dst = append(dst, seg[skip:skip+size:skip+size])
			if n -= size; n == 0 {
				break
			}
			skip = len(seg)
		}
		skip -= len(seg)
		seg, next = next[0], next[1:]
	}
	return dst
}
