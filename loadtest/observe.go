package loadtest

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

// How the server is observed.
const (
	pollEvery    = time.Second // in a run that is not scaled
	minPollEvery = 100 * time.Millisecond
	pollTimeout  = 1900 * time.Millisecond // so that of polls that hang each second one is sent
	// lastPoll bounds the last reading of a run that was stopped, which must end within half a second.
	lastPoll       = 250 * time.Millisecond
	maxTransitions = 200
)

// An edge says which end of the measured time a poll is for.
type edge int

const (
	noEdge edge = iota
	beginEdge
	endEdge
)

// An observer polls the server during a run. One ordinary poll is under way at a time; whatever is due meanwhile is left
// out and counted. The polls at the edges of the measured time wait for nobody.
type observer struct {
	reader     *serverReader
	every      time.Duration
	warm, end  time.Duration
	clock      func() time.Duration
	statements *statementWatch
	abort      func(reason string)

	polling, edging         context.Context // of the ordinary polls, and of those at the edges
	stopPolling, stopEdging context.CancelFunc
	loop, wg                sync.WaitGroup
	begun, ended            bool // the polls at the edges were sent; set by the loop, read after it

	mu       sync.Mutex // guards all below
	busy     bool       // an ordinary poll is under way
	seen     seen
	measured *stretch // nil before the first reading of the measured time
	from, to time.Duration
	closed   bool // the last reading of the measured time is in
	watches  []*serverWatch
}

// newObserver makes the observer of a run; admin is nil when there is no admin listener.
func newObserver(cfg *Config, scn *Scenario, target, admin *url.URL, clock func() time.Duration, abort func(string)) *observer {
	transport := cfg.observer
	if transport == nil {
		transport = newObserverTransport()
	}
	o := &observer{
		reader: newServerReader(target, admin, transport), every: pollDistance(cfg.TimeScale), warm: scn.WarmUp, end: scn.Total(),
		clock: clock, statements: newStatementWatch(cfg.TopStatements), abort: abort,
	}
	for _, c := range scn.Checks {
		if c.Window > 0 && metrics[c.Metric].server != nil {
			o.watches = append(o.watches, newServerWatch(c, scn))
		}
	}
	return o
}

// pollDistance is the time between polls: a second, less in a run whose time is scaled down.
func pollDistance(scale float64) time.Duration {
	return min(pollEvery, max(minPollEvery, time.Duration(scale*float64(pollEvery))))
}

// prepare asks the server once before the run begins, which also opens the connections. Without a warm-up this is the
// reading at the start of the measured time.
func (o *observer) prepare(ctx context.Context) {
	o.polling, o.stopPolling = context.WithCancel(ctx)
	o.edging, o.stopEdging = context.WithCancel(context.WithoutCancel(ctx))
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	start := time.Now()
	r, err := o.reader.read(bounded)
	took := time.Since(start)
	if r != nil && !r.admin {
		if version, phase, err := o.reader.describe(bounded); err == nil {
			r.version, r.phase = version, phase
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.warm > 0 {
		o.seen.account(r, err, took)
		return
	}
	o.begun = true
	o.take(r, err, took, beginEdge)
	if o.seen.absent == "" {
		o.statements.begin(ctx)
	}
}

// start begins to poll; finish must be called.
func (o *observer) start() { o.loop.Go(o.run) }

func (o *observer) run() {
	tick := time.Duration(0)
	if o.begun {
		tick = o.every
	}
	for !o.gone() {
		next := tick
		if !o.begun {
			next = min(next, o.warm)
		} else if !o.ended {
			next = min(next, o.end)
		}
		timer := time.NewTimer(next - o.clock())
		select {
		case <-o.polling.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		switch {
		case !o.begun && next == o.warm:
			o.atBegin()
		case !o.ended && next == o.end:
			o.atEnd()
		default:
			o.tick()
		}
		if next == tick {
			tick += o.every
		}
		for late := o.clock() - o.every; tick < late; tick += o.every { // this machine stood still
			o.skip()
		}
	}
}

// gone tells whether there is nobody to ask.
func (o *observer) gone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen.absent != ""
}

func (o *observer) skip() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen.polls.Skipped++
}

func (o *observer) tick() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy {
		o.seen.polls.Skipped++
		return
	}
	o.busy = true
	o.wg.Go(func() {
		o.poll(o.polling, noEdge)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy = false
	})
}

// atBegin reads the counters and the statements at the start of the measured time.
func (o *observer) atBegin() {
	o.begun = true
	o.wg.Go(func() { o.poll(o.edging, beginEdge) })
	o.wg.Go(func() { o.statements.begin(o.edging) })
}

// atEnd reads them at its end.
func (o *observer) atEnd() {
	o.ended = true
	o.wg.Go(func() { o.poll(o.edging, endEdge) })
	o.wg.Go(func() { o.statements.end(o.edging) })
}

// poll reads once.
func (o *observer) poll(ctx context.Context, e edge) {
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	start := o.clock()
	r, err := o.reader.read(bounded)
	end := o.clock()
	if r != nil {
		r.at = start + (end-start)/2
	}
	if err != nil && ctx.Err() != nil {
		return // cut off by the end of the run
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take(r, err, end-start, e)
}

// take keeps what a poll brought. The caller holds mu.
func (o *observer) take(r *reading, err error, took time.Duration, e edge) {
	if !o.seen.account(r, err, took) {
		return
	}
	s := o.seen.step(r)
	if s == nil {
		return
	}
	for _, w := range o.watches {
		w.add(s, o.every, o.end, o.abort)
	}
	switch {
	case o.closed:
	case o.measured != nil && (e == endEdge || r.at <= o.end):
		o.measured.add(s)
		o.to, o.closed = r.at, e == endEdge
	case o.measured == nil && r.at >= o.warm && r.at < o.end:
		o.measured = newStretch()
		o.measured.see(r, 0)
		o.from, o.to = r.at, r.at
	}
}

// lately gives the statements per request and the hit rate of the last step, below 0 when unknown.
func (o *observer) lately() (perRequest, hitRate float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	perRequest, hitRate = -1, -1
	s := o.seen.lately
	if s == nil {
		return perRequest, hitRate
	}
	if requests := s.sum("route.", "requests"); requests > 0 {
		perRequest = ratio(s.sum("route.", "statements"), requests)
	}
	if asked := s.counts[keyHits] + s.counts[keyMisses] + s.counts[keyJoined]; asked > 0 {
		hitRate = percent(s.counts[keyHits], asked)
	}
	return perRequest, hitRate
}

// finish ends the observing when the run is over. A run that was stopped within the measured time has its last reading
// now, and takes no longer than lastPoll for it.
func (o *observer) finish(stopped bool) {
	o.stopPolling()
	o.loop.Wait()
	if stopped {
		cut := time.AfterFunc(lastPoll, o.stopEdging)
		defer cut.Stop()
	}
	if o.begun && !o.ended && !o.gone() {
		o.atEnd()
	}
	o.wg.Wait()
	o.stopEdging()
	o.reader.client.CloseIdleConnections()
	for _, w := range o.watches {
		w.finish(o.to+o.every/2, o.abort)
	}
}

// statementWatch calls Config.TopStatements at the ends of the measured time. begin and end are called once each, and
// may be at the same time.
type statementWatch struct {
	hook  func(context.Context) (func(context.Context) (*StatementWindow, error), error)
	begun chan struct{} // closed when begin is through

	later  func(context.Context) (*StatementWindow, error)
	window *StatementWindow
	err    error
}

// statementsTimeout bounds each call of the hook.
const statementsTimeout = 5 * time.Second

func newStatementWatch(hook func(context.Context) (func(context.Context) (*StatementWindow, error), error)) *statementWatch {
	return &statementWatch{hook: hook, begun: make(chan struct{})}
}

func (w *statementWatch) begin(ctx context.Context) {
	defer close(w.begun)
	if w.hook == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, statementsTimeout)
	defer cancel()
	later, err := w.hook(ctx)
	if w.err = err; err == nil {
		w.later = later
	}
}

func (w *statementWatch) end(ctx context.Context) {
	<-w.begun
	if w.later == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, statementsTimeout)
	defer cancel()
	w.window, w.err = w.later(ctx)
}

// result is what was watched, or why there is nothing.
func (w *statementWatch) result() (*StatementWindow, error) {
	select {
	case <-w.begun:
	default:
		return nil, nil // the measured time was not reached
	}
	if w.hook != nil && w.err == nil && w.window == nil {
		return nil, errors.New("the run ended before they were read again")
	}
	return w.window, w.err
}
