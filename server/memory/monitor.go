package memory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Config holds the thresholds. Start from DefaultConfig.
type Config struct {
	Interval          time.Duration // between checks that are logged (debug) and averaged; 100 ms to 10 min
	Warning, Critical float64       // percent of the limit; Warning below Critical, which is below 100

	// Restart asks for a restart at the hand-over point; without it the monitor only tells the level.
	Restart bool
	// HandOver is how long a restart takes at most: until a fresh process serves and the last
	// request of this one is answered. At most 24 hours.
	HandOver time.Duration
	// FreshBytes is what a fresh process takes before it serves; 0 is what this one took at
	// its first look.
	FreshBytes int64

	// Alone, when set, is closed once the process that this one has taken over from is gone. Until
	// then that one's memory counts against the same limit, though it is about to be given back:
	// it is shown, and nothing is concluded from it.
	Alone <-chan struct{}
}

// DefaultConfig has the plan's thresholds.
func DefaultConfig() Config {
	return Config{Interval: 30 * time.Second, Warning: 70, Critical: 85, Restart: true, HandOver: 30 * time.Second}
}

// The bounds of thresholds, percent.
const (
	MinPercent = 0.01
	MaxPercent = 99
)

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Interval < 100*time.Millisecond || c.Interval > 10*time.Minute {
		fault("--memory-interval is %v: want 100ms to 10m", c.Interval)
	}
	for _, p := range []struct {
		setting string
		value   float64
	}{{"--memory-warning", c.Warning}, {"--memory-critical", c.Critical}} {
		if !(p.value >= MinPercent && p.value <= MaxPercent) { // NaN too
			fault("%s is %v: want %v to %v percent of the limit", p.setting, p.value, MinPercent, MaxPercent)
		}
	}
	if c.Warning >= c.Critical {
		fault("--memory-warning is %v, not below --memory-critical %v", c.Warning, c.Critical)
	}
	if c.HandOver < 0 || c.HandOver > 24*time.Hour {
		fault("HandOver is %v: want 0s to 24h", c.HandOver)
	}
	if c.FreshBytes < 0 {
		fault("FreshBytes is %d: want 0 or more", c.FreshBytes)
	}
	return errors.Join(faults...)
}

// waits tells whether the process before this one still counts.
func (m *Monitor) waits() bool {
	if m.cfg.Alone == nil {
		return false
	}
	select {
	case <-m.cfg.Alone:
		return false
	default:
		return true
	}
}

const (
	// lookEvery is the rhythm of looking. Interval alone would be blind: in its 30 s a leak of
	// 1.5 % of the limit per second takes 45 %.
	lookEvery = time.Second
	// lookFast is that of looking while memory is short or seems to grow.
	lookFast = 250 * time.Millisecond
	// FreshFor is how old the answer of Look may be.
	FreshFor = 250 * time.Millisecond
	// hysteresis is by how many points use must fall below a threshold to be beyond it no more.
	hysteresis = 3
	// averaged is the number of checks in State.RecentAverage.
	averaged = 10
)

// State is what the monitor knows.
type State struct {
	Reading
	Level         Level
	Err           error   // why the memory could not be read; Level is Unknown then
	RecentAverage float64 // percent, over the last ten checks
	Growth        float64 // bytes per second that lasts; 0 when there is none

	Warning, Critical float64 // percent: the settings
	RestartEnabled    bool
	RestartRequested  bool   // once true it stays true
	Reason            string // of the request
}

// A Monitor watches the memory while Run runs.
type Monitor struct {
	cfg     Config
	log     *slog.Logger
	read    func() (Reading, error)
	collect func()

	state    atomic.Pointer[State]
	handOver chan struct{} // closed when a restart is requested
	looked   chan struct{} // closed after the first look

	mu          sync.Mutex // guards all below; held during a look
	trends      []trend
	checks      []float64 // percent at the last checks
	nextCheck   time.Time
	fresh       int64         // bytes that a fresh process takes
	lowest      int64         // Used, so far
	last        Reading       // at the look before
	suspectTill time.Time     // until when growth is looked into
	collected   time.Time     // the end of the last collection that was asked for
	collectCost time.Duration // how long it took
	collectGap  time.Duration // until the next one may be
	collectLive int64         // what it left
}

// New makes a monitor of what reader sees; a nil logger logs nothing. It has not looked yet:
// until Run or Look does, the level is Unknown.
func New(cfg Config, reader *Reader, logger *slog.Logger) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure memory monitor: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	m := &Monitor{cfg: cfg, log: logger, read: reader.Read, collect: debug.FreeOSMemory, handOver: make(chan struct{}), looked: make(chan struct{})}
	for _, p := range paces {
		m.trends = append(m.trends, trend{pace: p})
	}
	m.state.Store(m.newState())
	return m, nil
}

func (m *Monitor) newState() *State {
	return &State{Warning: m.cfg.Warning, Critical: m.cfg.Critical, RestartEnabled: m.cfg.Restart}
}

// Run looks until ctx ends and returns nil then.
func (m *Monitor) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		m.mu.Lock()
		m.look(true)
		m.check()
		pause := min(m.cfg.Interval, m.rhythm())
		m.mu.Unlock()
		timer.Reset(pause)
	}
}

// HandOver is closed when the process shall be replaced by a fresh one.
func (m *Monitor) HandOver() <-chan struct{} { return m.handOver }

// State is the last look, at most a second old while Run runs.
func (m *Monitor) State() State { return *m.state.Load() }

// Look is a look at most FreshFor old. It waits for nobody and never runs the collector:
// while another look is under way the one before it is the answer. Only the very first,
// before which nothing is known, is waited for.
func (m *Monitor) Look() State {
	now := m.State()
	if time.Since(now.At) < FreshFor {
		return now
	}
	if !m.mu.TryLock() {
		<-m.looked
		return m.State()
	}
	defer m.mu.Unlock()
	if time.Since(m.State().At) >= FreshFor { // nobody looked meanwhile
		m.look(false)
	}
	return m.State()
}

// check logs the state, and adds it to the average, once in an interval.
func (m *Monitor) check() {
	now := time.Now()
	if now.Before(m.nextCheck) {
		return
	}
	m.nextCheck = now.Add(m.cfg.Interval)
	s := m.State()
	if s.Err != nil {
		return
	}
	if m.checks = append(m.checks, s.Percent()); len(m.checks) > averaged {
		m.checks = m.checks[1:]
	}
	s.RecentAverage = 0
	for _, p := range m.checks {
		s.RecentAverage += p / float64(len(m.checks))
	}
	m.state.Store(&s)
	m.log.Debug("memory checked", append(s.attrs(), slog.String("level", s.Level.String()))...)
}

func (s *State) attrs() []any {
	return []any{
		slog.Float64("used_percent", round(s.Percent())),
		slog.Int64("used_mb", s.Used>>20), slog.Int64("limit_mb", s.Limit>>20),
		slog.String("limit_origin", s.Origin),
		slog.Int64("rss_mb", s.RSS>>20), slog.Float64("growth_mb_per_s", round(s.Growth/(1<<20))),
	}
}

// round keeps a logged figure readable.
func round(v float64) float64 { return math.Round(100*v) / 100 }
