package main

import "fmt"

// A poller's number is its own only within its thread.
func pollerID(thread, poller uint64) string {
	return fmt.Sprintf("%s poller %d", threadID(thread), poller)
}

func pollersTab() *tab {
	return &tab{
		name: "pollers", title: "Pollers",
		columns: []column{
			{name: "name", title: "Poller", wide: true},
			{name: "type", title: "Type"},
			{name: "thread", title: "Thread", wide: true},
			{name: "runs", title: "Runs", number: true},
			{name: "busy", title: "Busy runs", number: true, rank: 1},
			{name: "share", title: "Busy %", number: true, rank: 2},
			{name: "period", title: "Period µs", number: true, rank: 3},
			{name: "state", title: "State", rank: 4},
		},
		rows:    pollerRows,
		details: pollerDetails,
	}
}

// eachPoller calls fn with all pollers of a sample.
func (s *sample) eachPoller(fn func(t *threadPollers, kind string, p *pollerStat)) {
	for i := range s.pollers {
		t := &s.pollers[i]
		for _, kind := range []struct {
			name string
			list []pollerStat
		}{{"Active", t.Active}, {"Timed", t.Timed}, {"Paused", t.Paused}} {
			for j := range kind.list {
				fn(t, kind.name, &kind.list[j])
			}
		}
	}
}

// previousPollers are those of the earlier sample.
func (s *span) previousPollers() map[string]pollerStat {
	all := map[string]pollerStat{}
	s.prev.eachPoller(func(t *threadPollers, _ string, p *pollerStat) { all[pollerID(t.ID, p.ID)] = *p })
	return all
}

func pollerRows(s *span, _ history) []row {
	previous := s.previousPollers()
	var rows []row
	s.cur.eachPoller(func(t *threadPollers, kind string, p *pollerStat) {
		id := pollerID(t.ID, p.ID)
		old := previous[id]
		runs, busy := since(old.Runs, p.Runs), since(old.Busy, p.Busy)
		period := nothing()
		if p.Period > 0 {
			us := s.micros(p.Period)
			period = number(us, fmt.Sprintf("%.0f", us))
		}
		part := nothing()
		if runs > 0 {
			// A poller that is always busy is no cause for alarm, while one that never is may be.
			part = number(percent(float64(busy), float64(runs)), percentage(percent(float64(busy), float64(runs))))
		}
		rows = append(rows, row{id, []cell{
			text(p.Name), text(kind), text(t.Name), whole(runs), whole(busy), part, period, text(p.State),
		}})
	})
	return rows
}

func pollerDetails(s *span, id string) (title string, lines []string) {
	previous := s.previousPollers()
	title, lines = "Poller", []string{"It has ended."}
	s.cur.eachPoller(func(t *threadPollers, kind string, p *pollerStat) {
		if pollerID(t.ID, p.ID) != id {
			return
		}
		old := previous[id]
		runs, busy := since(old.Runs, p.Runs), since(old.Busy, p.Busy)
		period := noValue
		if p.Period > 0 {
			period = duration(s.micros(p.Period))
		}
		perSecond := noValue
		if seconds := s.seconds(); seconds > 0 {
			perSecond = count(float64(runs) / seconds)
		}
		title = "Poller " + printable(p.Name)
		lines = pairs(
			"Number", fmt.Sprint(p.ID),
			"Type", kind,
			"State", printable(p.State),
			"Thread", fmt.Sprintf("%s (%d)", printable(t.Name), t.ID),
			"Period", period,
			"Runs", fmt.Sprint(runs),
			"Busy runs", fmt.Sprintf("%d (%s %%)", busy, percentage(percent(float64(busy), float64(runs)))),
			"Runs per second", perSecond,
			"Runs since the start", fmt.Sprint(p.Runs),
		)
	})
	return title, lines
}
