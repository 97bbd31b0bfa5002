package reactor

// timerHeap has the timed pollers of a thread, the first due at index 0. It is a binary heap;
// container/heap costs an interface call for each comparison.
type timerHeap []*Poller

func (p *Poller) before(q *Poller) bool {
	return p.nextRun < q.nextRun || p.nextRun == q.nextRun && p.order < q.order
}

func (h *timerHeap) push(p *Poller) {
	*h = append(*h, p)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !p.before(s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = p
}

func (h *timerHeap) pop() *Poller {
	s := *h
	first, p := s[0], s[len(s)-1]
	s[len(s)-1] = nil
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return first
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if down+1 < len(s) && s[down+1].before(s[down]) {
			down++
		}
		if !s[down].before(p) {
			break
		}
		s[i] = s[down]
		i = down
	}
	s[i] = p
	return first
}
