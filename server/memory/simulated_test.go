package memory

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A simulated process: a heap with a collector that paces itself as Go's does, and bytes
// outside of it. Rates and sizes are MB of a limit of 256.
type simulated struct {
	live    func(at time.Duration) float64 // reachable heap
	outside func(at time.Duration) float64 // of the process, not of its heap; nil is none
	others  func(at time.Duration) float64 // of other processes; nil is none
	churn   float64                        // garbage made per second
	lazy    bool                           // its collector waits to be asked
	cost    time.Duration                  // of a collection that is asked for
	machine bool                           // no cgroup: the limit is the machine's
	err     error

	start, now     time.Time
	dead           float64 // garbage made since the last collection
	marked         float64 // live at the last collection
	natural, asked int     // collections
	peak           float64
}

const (
	simLimit   = 256.0
	simBase    = 20.0 // of a process that has just started
	simMemory  = 0.75 * simLimit
	simStep    = 10 * time.Millisecond
	simMinHeap = 4.0
)

func at(f func(time.Duration) float64, d time.Duration) float64 {
	if f == nil {
		return 0
	}
	return f(d)
}

func (p *simulated) rss(d time.Duration) float64 {
	return simBase + p.live(d) + p.dead + at(p.outside, d)
}

func (p *simulated) advance() time.Duration {
	for ; !p.now.After(time.Now()); p.now = p.now.Add(simStep) {
		d := p.now.Sub(p.start)
		p.dead += p.churn * simStep.Seconds()
		if !p.lazy && (p.live(d)+p.dead >= max(simMinHeap, 2*p.marked) || p.rss(d) >= simMemory && p.live(d)+p.dead > p.marked+2) {
			p.dead, p.marked = 0, p.live(d)
			p.natural++
		}
		p.peak = max(p.peak, p.rss(d)+at(p.others, d))
	}
	return time.Since(p.start)
}

func (p *simulated) read() (Reading, error) {
	if p.err != nil {
		return Reading{}, p.err
	}
	d := p.advance()
	r := Reading{
		At: time.Now(), Limit: simLimit * mib, Used: int64((p.rss(d) + at(p.others, d)) * mib), RSS: int64(p.rss(d) * mib), Origin: "cgroup v2 /sim", Cgroup: true,
		Garbage: int64(max(0, p.live(d)+p.dead-p.marked) * mib),
	}
	if p.machine {
		r.Origin, r.Cgroup = "machine", false
	}
	return r, nil
}

func (p *simulated) collect() {
	time.Sleep(p.cost)
	p.dead, p.marked = 0, p.live(p.advance())
	p.asked++
}

func constant(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

// leak grows by share of the limit per second from a moment on.
func leak(from, share float64, after time.Duration) func(time.Duration) float64 {
	return func(d time.Duration) float64 { return from + simLimit*share*max(0, (d-after).Seconds()) }
}

// watch runs a monitor over p until it asks for a restart, at most d.
func watch(t *testing.T, p *simulated, cfg Config, d time.Duration) (s State, after time.Duration, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		m := simMonitor(t, p, cfg, slog.New(slog.NewTextHandler(&lines, nil)))
		ctx, stop := context.WithTimeout(t.Context(), d)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		select {
		case <-m.HandOver():
		case <-ctx.Done():
		}
		s, after = m.State(), time.Since(p.start)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		log = lines.String()
	})
	return s, after, log
}

func simMonitor(t *testing.T, p *simulated, cfg Config, log *slog.Logger) *Monitor {
	t.Helper()
	m, err := New(cfg, newReaderAt(nil, Machine{}), log)
	if err != nil {
		t.Fatal(err)
	}
	p.start, p.now = time.Now(), time.Now()
	m.read, m.collect = p.read, p.collect
	return m
}
