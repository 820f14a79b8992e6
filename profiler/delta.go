package profiler

import "math"

// State tells what is special about a statement's difference.
type State string

// The states; most statements have none.
const (
	New     State = "NEW"     // not in the first snapshot, so that all it counts was counted in the window
	Reset   State = "RESET"   // a counter fell: it began anew within the window, and what came before that is lost
	Running State = "RUNNING" // time passed in it and no execution ended; it has no average
)

// Counters are what one statement, or all, did within the window.
type Counters struct {
	Executions  int64  `json:"executions"`
	Rows        int64  `json:"rows"`
	Errors      int64  `json:"errors"`
	Elapsed     Micros `json:"elapsed_us"`
	AcquireWait Micros `json:"acquire_wait_us"`
}

// A Row is one statement's work within the window.
type Row struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
	Counters
	// Max is the longest execution of the window, or 0 when it is unknown: the counter is the longest ever, so it tells
	// about the window only when it rose there.
	Max    Micros  `json:"max_us,omitempty"`
	Share  float64 `json:"elapsed_share"` // of the time of all statements in the window, 0 to 1
	States []State `json:"states,omitempty"`
}

// Avg returns the seconds per execution. Without an execution that ended there is none.
func (c Counters) Avg() (seconds float64, ok bool) { return c.per(c.Elapsed.Seconds()) }

// RowsPer returns the rows per execution.
func (c Counters) RowsPer() (float64, bool) { return c.per(float64(c.Rows)) }

// WaitPer returns the seconds that an execution waited for its connection, on average.
func (c Counters) WaitPer() (seconds float64, ok bool) { return c.per(c.AcquireWait.Seconds()) }

func (c Counters) per(v float64) (float64, bool) {
	if c.Executions == 0 {
		return 0, false
	}
	return v / float64(c.Executions), true
}

func (s Statement) counters() Counters {
	return Counters{s.Executions, s.Rows, s.Errors, s.Elapsed, s.AcquireWait}
}

func (c Counters) minus(o Counters) Counters {
	return Counters{c.Executions - o.Executions, c.Rows - o.Rows, c.Errors - o.Errors, c.Elapsed - o.Elapsed, c.AcquireWait - o.AcquireWait}
}

// plus stays at the largest value instead of running over: counters of a broken source may be anything.
func (c Counters) plus(o Counters) Counters {
	return Counters{
		sum(c.Executions, o.Executions), sum(c.Rows, o.Rows), sum(c.Errors, o.Errors),
		sum(c.Elapsed, o.Elapsed), sum(c.AcquireWait, o.AcquireWait),
	}
}

func sum[T ~int64](a, b T) T {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func (c Counters) fell() bool {
	return min(c.Executions, c.Rows, c.Errors, int64(c.Elapsed), int64(c.AcquireWait)) < 0
}

// subtract fills the active rows, the totals and what vanished.
func (p *Profile) subtract(before, after []Statement) {
	earlier := make(map[key]*Statement, len(before))
	for i := range before {
		earlier[before[i].key()] = &before[i]
	}
	for _, s := range after {
		row := s.since(earlier[s.key()])
		delete(earlier, s.key())
		if row.Counters == (Counters{}) {
			continue
		}
		p.Total = p.Total.plus(row.Counters)
		p.active = append(p.active, row)
	}
	p.Active, p.Vanished = len(p.active), len(earlier)
	for i := range before { // in their order, not the map's
		if s := &before[i]; earlier[s.key()] != nil && len(p.VanishedEx) < 10 {
			p.VanishedEx = append(p.VanishedEx, label(s.Name, s.SQL))
		}
	}
	for i := range p.active {
		if p.Total.Elapsed > 0 {
			p.active[i].Share = float64(p.active[i].Elapsed) / float64(p.Total.Elapsed)
		}
	}
}

// since is what happened to s after old, which is nil when there was no old one.
func (s Statement) since(old *Statement) Row {
	row := Row{Name: s.Name, SQL: s.SQL}
	switch {
	case old == nil:
		row.Counters, row.Max = s.counters(), s.Max
		row.States = append(row.States, New)
	case s.counters().minus(old.counters()).fell() || s.Max < old.Max:
		row.Counters, row.Max = s.counters(), s.Max
		row.States = append(row.States, Reset)
	default:
		row.Counters = s.counters().minus(old.counters())
		if s.Max > old.Max {
			row.Max = s.Max
		}
	}
	if row.Executions == 0 && row.Elapsed > 0 {
		row.States = append(row.States, Running)
	}
	return row
}
