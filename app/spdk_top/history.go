package main

// historyLength is how many samples a graph goes back.
const historyLength = 120

// history remembers what was drawn, for graphs.
type history map[string][]float64

// add remembers the newest value of something.
func (h history) add(id string, value float64) {
	values := append(h[id], value)
	if len(values) > historyLength {
		values = values[len(values)-historyLength:]
	}
	h[id] = values
}

// keep forgets what is no longer there.
func (h history) keep(ids map[string]bool) {
	for id := range h {
		if !ids[id] {
			delete(h, id)
		}
	}
}

// record remembers what the graphs of the tabs show of a span.
func (h history) record(s *span) {
	if s.fresh() || s.total {
		return
	}
	ids := map[string]bool{}
	for _, t := range allTabs() {
		if t.graphed == "" {
			continue
		}
		at, err := columnNamed(t.columns, t.graphed)
		if err != nil {
			continue // a test wants the column to be there
		}
		for _, r := range t.rows(s, nil) {
			if !ids[r.id] { // an application may name two things alike
				h.add(r.id, max(r.cells[at].num, 0))
			}
			ids[r.id] = true
		}
	}
	h.keep(ids)
}

// relative scales values to the largest of them.
func relative(values []float64) []float64 {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	scaled := make([]float64, len(values))
	for i, v := range values {
		scaled[i] = percent(v, top)
	}
	return scaled
}
