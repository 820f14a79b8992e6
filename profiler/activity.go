package profiler

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Sample is what the sessions of a database do at one moment. Idle ones, background processes and our own are not in it.
type Sample struct {
	At     time.Time
	Active []ActiveSession
}

// An ActiveSession runs, or waits for something that is not idle.
type ActiveSession struct {
	Instance int32
	SID      int64
	// Class is "CPU" for a session that does not wait, else the wait class: "User I/O", "Concurrency", "Application", …
	Class     string
	Event     string // empty on CPU
	SQLID     string
	Module    string // of now, unlike Detail.Module
	Action    string
	WaitedUS  Micros // so far, in this one wait
	BlockedBy int64  // SID of the session that holds what this one waits for; 0: none is known
}

// OnCPU is the class of sessions that do not wait.
const OnCPU = "CPU"

// A Historian is asked about the sessions' past once, after the window, instead of being sampled within it.
type Historian interface {
	// KeepsHistory tells whether it may be asked.
	KeepsHistory() bool
	// History returns one sample for each second between two moments of the source's clock, the earlier one included.
	History(ctx context.Context, from, to time.Time) ([]Sample, error)
}

// past returns the activity between two moments, from a source that keeps a history; nil from any other.
func past(ctx context.Context, src Source, from, to time.Time) *Activity {
	h, ok := src.(Historian)
	if !ok || !h.KeepsHistory() {
		return nil
	}
	acc := newAccumulator(to.Sub(from))
	acc.sum.Origin = "v$active_session_history"
	samples, err := h.History(ctx, from, to)
	for _, s := range samples {
		acc.add(s, nil)
	}
	a := acc.activity()
	if err != nil {
		a.Missing = err.Error()
	}
	return a
}

// Activity is what was sampled within the window, summed: divided by Samples these are average active sessions.
type Activity struct {
	Origin  string            `json:"origin"` // "v$session" or "v$active_session_history"
	Samples int               `json:"samples"`
	Failed  int               `json:"failed,omitempty"` // samples that could not be taken
	Classes map[string]int    `json:"classes"`          // sessions by class
	Events  map[string]int    `json:"events,omitempty"`
	ClassOf map[string]string `json:"class_of,omitempty"` // of each event
	SQL     map[string]int    `json:"sql,omitempty"`      // by SQLID
	Modules map[string]int    `json:"modules,omitempty"`  // by module and action, "tomehub search"
	Blocked map[string]int    `json:"blocked,omitempty"`  // sessions that waited for another's, by SQLID of the waiting
	Locks   []Lock            `json:"locks,omitempty"`    // who waited for whom, most samples first
	Longest map[string]int64  `json:"longest,omitempty"`  // longest single wait seen, in microseconds, by class
	Series  []ActivityPoint   `json:"series,omitempty"`   // at most maxSeries, each of several samples when there were more
	Err     string            `json:"error,omitempty"`    // of the first that failed
	Missing string            `json:"missing,omitempty"`  // why there is none, with the grant to ask for
}

// An ActivityPoint is the average active sessions by class within one part of the window.
type ActivityPoint struct {
	At      time.Time          `json:"at"`
	Classes map[string]float64 `json:"classes"`
}

// maxSeries bounds the points of an Activity's series.
const maxSeries = 600

// sampleEvery is the time between two samples.
const sampleEvery = time.Second

// watchSessions waits for the duration, or until ctx ends, and samples the sessions meanwhile when the source can.
func watchSessions(ctx context.Context, src Source, d time.Duration) (a *Activity, interrupted bool) {
	end := time.NewTimer(d)
	defer end.Stop()
	sampler, ok := src.(Sampler)
	if h, keeps := src.(Historian); keeps && h.KeepsHistory() {
		ok = false
	}
	if !ok {
		select {
		case <-end.C:
		case <-ctx.Done():
			interrupted = true
		}
		return nil, interrupted
	}
	acc := newAccumulator(d)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return acc.activity(), false
		case <-ctx.Done():
			return acc.activity(), true
		case <-tick.C:
			acc.add(sampler.Sample(ctx))
		}
	}
}

// accumulator sums samples; each point of the series takes the samples of every seconds.
type accumulator struct {
	sum   Activity
	every int            // samples per point
	part  map[string]int // sessions by class since the last point
	n     int            // samples since the last point
	began time.Time
	locks map[lock]int // samples
}

func newAccumulator(d time.Duration) *accumulator {
	n := int(d / sampleEvery)
	return &accumulator{
		every: max(1, (n+maxSeries-1)/maxSeries), part: map[string]int{}, locks: map[lock]int{},
		sum: Activity{
			Origin: "v$session", Classes: map[string]int{}, Events: map[string]int{}, ClassOf: map[string]string{}, SQL: map[string]int{}, Modules: map[string]int{},
			Blocked: map[string]int{}, Longest: map[string]int64{},
		},
	}
}

func (a *accumulator) add(s Sample, err error) {
	if errors.Is(err, ErrGrant) {
		a.sum.Missing = err.Error()
		return
	}
	if err != nil {
		if a.sum.Failed++; a.sum.Err == "" {
			a.sum.Err = err.Error()
		}
		return
	}
	if a.n == 0 {
		a.began = s.At
	}
	a.n++
	a.sum.Samples++
	for _, x := range s.Active {
		a.part[x.Class]++
		a.sum.Classes[x.Class]++
		a.sum.Longest[x.Class] = max(a.sum.Longest[x.Class], int64(x.WaitedUS))
		for _, c := range []struct {
			counts map[string]int
			name   string
		}{{a.sum.Events, x.Event}, {a.sum.SQL, x.SQLID}, {a.sum.Modules, strings.TrimSpace(x.Module + " " + x.Action)}} {
			if _, known := c.counts[c.name]; c.name != "" && (known || len(c.counts) < maxNames) {
				c.counts[c.name]++
			}
		}
		if _, told := a.sum.Events[x.Event]; told {
			a.sum.ClassOf[x.Event] = x.Class
		}
		if x.BlockedBy != 0 {
			if _, told := a.sum.Blocked[x.SQLID]; told || len(a.sum.Blocked) < maxNames {
				a.sum.Blocked[x.SQLID]++
			}
		}
	}
	a.addLocks(s.Active)
	if a.n == a.every {
		a.point()
	}
}

// maxNames bounds how many events, statements and modules are told apart.
const maxNames = 1000

func (a *accumulator) point() {
	if a.n == 0 {
		return
	}
	p := ActivityPoint{At: a.began, Classes: make(map[string]float64, len(a.part))}
	for class, sessions := range a.part {
		p.Classes[class] = float64(sessions) / float64(a.n)
	}
	a.sum.Series = append(a.sum.Series, p)
	clear(a.part)
	a.n = 0
}

func (a *accumulator) activity() *Activity {
	a.point()
	a.sum.Locks = strongest(a.locks)
	return &a.sum
}

// AAS returns the average active sessions: of one class, or of all when class is empty. ok is false without a sample.
func (a *Activity) AAS(class string) (sessions float64, ok bool) {
	if a == nil || a.Samples == 0 {
		return 0, false
	}
	n := 0
	for c, count := range a.Classes {
		if class == "" || class == c {
			n += count
		}
	}
	return float64(n) / float64(a.Samples), true
}
