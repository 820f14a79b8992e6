package memory

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	// suspectFrom and handOverFrom are percent of the limit: below the first no growth is
	// looked into, below the second none leads to a restart. What grows to less than half of
	// the limit is a process getting warm more often than a leak.
	suspectFrom, handOverFrom = 30, 50
	// worth is the share of the critical amount that a restart must give back. Without it, use
	// that is not ours, or that every fresh process has, would restart us for ever.
	worth = 0.05
	// suspectFor is how long growth is looked into after the last sign of it.
	suspectFor = 5 * time.Second
	// The collections that the monitor asks for are collectPause apart, up to collectRest
	// while they find nothing new, and so many times the duration of the last one.
	collectPause = 750 * time.Millisecond
	collectRest  = 3 * time.Second
	collectShare = 10
	// criticalShare is that share where a collection decides whether memory is critical:
	// while it is waited for, a leak goes on.
	criticalShare = 2
)

// look reads the memory and draws the conclusions. m.mu is held.
func (m *Monitor) look(collect bool) {
	before := m.State()
	if before.At.IsZero() {
		defer close(m.looked)
	}
	s := before
	var err error
	if s.Reading, err = m.read(); err != nil {
		m.lost(s, err)
		return
	}
	s.Err = nil
	if m.fresh == 0 {
		m.fresh, m.lowest = m.cfg.FreshBytes, s.Used
		if m.fresh == 0 {
			m.fresh = s.RSS
		}
	}
	if m.waits() {
		s.Level, m.lowest = OK, s.Used
		m.state.Store(&s)
		return
	}
	m.suspect(&s)
	if collect && m.suspecting() && s.Garbage > s.Limit/100 && m.mayCollect() {
		m.collectNow(&s)
	}
	s.Level = m.judge(&s, before.Level, collect)
	if len(m.checks) == 0 {
		s.RecentAverage = s.Percent()
	}
	m.lowest = min(m.lowest, s.Used)
	m.follow(&s)
	m.last = s.Reading
	if !s.RestartRequested {
		s.Reason = m.reason(&s)
		s.RestartRequested = s.Reason != ""
	}
	m.state.Store(&s)
	m.tell(&before, &s)
	if s.RestartRequested && !before.RestartRequested {
		close(m.handOver)
	}
}

// rhythm is the time until the next look.
func (m *Monitor) rhythm() time.Duration {
	if s := m.State(); s.Level >= Warning || s.Growth > 0 || m.suspecting() {
		return lookFast
	}
	return lookEvery
}

// lost keeps what was known, and says that it is known no more.
func (m *Monitor) lost(s State, err error) {
	if s.Err == nil {
		m.log.Error("memory cannot be read", "error", err)
	}
	s.Level, s.Err, s.At = Unknown, err, time.Now()
	m.state.Store(&s)
}

// suspect begins to look into growth when what was added since the last look would, going on
// like that, leave too little room. Most often it is garbage.
func (m *Monitor) suspect(s *State) {
	elapsed := s.At.Sub(m.last.At).Seconds()
	if m.last.Origin != s.Origin || elapsed <= 0 || s.Percent() < suspectFrom {
		return
	}
	added := float64(s.own() - m.last.own())
	if added > 0 && !m.fits(s.Used, added/elapsed, s.Limit) {
		m.suspectTill = s.At.Add(suspectFor)
	}
}

func (m *Monitor) suspecting() bool { return time.Now().Before(m.suspectTill) }

func (m *Monitor) mayCollect() bool { return time.Since(m.collected) >= m.collectGap }

func (m *Monitor) mustCollect() bool {
	return time.Since(m.collected) >= max(collectPause, criticalShare*m.collectCost)
}

// collectNow runs the collector, gives what it frees to the system, and reads again. The
// next one comes the later the more this one cost, and the less it left of news.
func (m *Monitor) collectNow(s *State) {
	start := time.Now()
	m.collect()
	m.collected = time.Now()
	if r, err := m.read(); err == nil {
		s.Reading = r
	}
	gap := collectPause
	if s.live() < m.collectLive+s.Limit/100 {
		gap = min(max(2*m.collectGap, collectPause), collectRest)
	}
	m.collectCost = m.collected.Sub(start)
	m.collectGap = max(gap, collectShare*m.collectCost)
	m.collectLive = s.live()
}

// judge finds the level. What is above the critical threshold may be garbage: only what a
// collection leaves counts.
func (m *Monitor) judge(s *State, before Level, collect bool) Level {
	now := m.level(before, s.Percent())
	if now != Critical || s.Garbage == 0 {
		return now
	}
	if collect && (before != Critical && m.mustCollect() || s.Garbage > s.Limit/100 && m.mayCollect()) {
		m.collectNow(s)
		return m.level(before, s.Percent())
	}
	if before != Critical && percent(s.Used-s.Garbage, s.Limit) < m.cfg.Critical {
		return Warning // of the moment; the next collection is near
	}
	return now
}

// follow adds the reading to the trends.
func (m *Monitor) follow(s *State) {
	s.Growth = 0
	for i := range m.trends {
		t := &m.trends[i]
		if s.Origin != m.last.Origin { // another limit has another use
			*t = trend{pace: t.pace}
		}
		t.add(s.At, s.live())
		s.Growth = max(s.Growth, t.growth(s.Limit))
	}
}

// level moves up at a threshold and down only clearly below it.
func (m *Monitor) level(before Level, used float64) Level {
	at := func(threshold float64, was Level) bool {
		if before >= was {
			// Of a threshold of a few percent, three points would be most of it.
			threshold -= min(hysteresis, threshold/4)
		}
		return used >= threshold
	}
	switch {
	case at(m.cfg.Critical, Critical):
		return Critical
	case at(m.cfg.Warning, Warning):
		return Warning
	}
	return OK
}

// fits tells whether this use, growing on until a restart is done, leaves room for a fresh process.
func (m *Monitor) fits(used int64, growth float64, limit int64) bool {
	return float64(used)+growth*m.cfg.HandOver.Seconds()+float64(m.fresh) <= float64(limit)
}

// reason says why the process shall be restarted now; "" is not now.
func (m *Monitor) reason(s *State) string {
	if !m.cfg.Restart || !m.helps(s) {
		return ""
	}
	use := fmt.Sprintf("%d of %d MB (%.1f %%, %s)", s.Used>>20, s.Limit>>20, s.Percent(), s.Origin)
	if s.Level == Critical {
		return fmt.Sprintf("memory in use is %s, critical from %v %% (--memory-critical)", use, m.cfg.Critical)
	}
	if s.Growth > 0 && s.Percent() >= handOverFrom && !m.fits(s.Used, s.Growth, s.Limit) {
		return fmt.Sprintf("memory in use is %s and grows by %.1f MB/s: a restart of up to %v and a fresh process of %d MB would no longer fit",
			use, s.Growth/(1<<20), m.cfg.HandOver, m.fresh>>20)
	}
	return ""
}

// helps tells whether a restart would give back enough to be worth it. In a cgroup, what came
// since the lowest use is taken for ours, buffers of the kernel included; on a machine, only
// our own pages are.
func (m *Monitor) helps(s *State) bool {
	back := s.RSS - m.fresh
	if s.Cgroup {
		back = max(back, s.Used-m.lowest)
	}
	return float64(back) >= worth*m.cfg.Critical/100*float64(s.Limit)
}

// tell logs what changed: one line for each crossing.
func (m *Monitor) tell(before, s *State) {
	line := func(log func(string, ...any), message string, more ...any) {
		log(message, append(s.attrs(), more...)...)
	}
	if before.Err != nil {
		line(m.log.Info, "memory can be read again")
	}
	switch {
	case s.Level == before.Level:
	case s.Level == Critical:
		restart := "requested"
		if !m.cfg.Restart {
			restart = "off (--memory-restart)"
		} else if !s.RestartRequested {
			restart = "would not help: most of it is not this process's own"
		}
		line(m.log.Error, "memory critical", slog.Float64("threshold_percent", m.cfg.Critical), slog.String("restart", restart))
	case s.Level == Warning && before.Level != Critical:
		line(m.log.Warn, "memory warning", slog.Float64("threshold_percent", m.cfg.Warning))
	case before.Level >= Warning:
		line(m.log.Info, "memory eased", slog.String("level", s.Level.String()))
	}
	if s.RestartRequested && !before.RestartRequested {
		line(m.log.Error, "restart requested", slog.String("reason", s.Reason))
	}
}
