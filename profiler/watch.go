package profiler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// The time between two snapshots of a watch.
const (
	DefaultInterval = 10 * time.Second
	MinInterval     = 500 * time.Millisecond // below it the snapshots would be the load
	MaxInterval     = time.Hour
)

// WatchConfig says how a source is watched.
type WatchConfig struct {
	Options                // Duration bounds the whole watch here, and 0 does not; Lifetime is refused
	Interval time.Duration // between two snapshots, MinInterval to MaxInterval
	Rank     func() Rank   // asked before each report is made; nil means Options.Rank
}

// Validate reports every fault at once, each by the name of its flag.
func (c WatchConfig) Validate() error {
	faults := []error{c.validateView()}
	if c.Interval < MinInterval || c.Interval > MaxInterval {
		faults = append(faults, fmt.Errorf("--interval %v is not within %v and %v", c.Interval, MinInterval, MaxInterval))
	}
	if c.Duration != 0 && c.Duration < c.Interval {
		faults = append(faults, fmt.Errorf("--duration %v is shorter than one --interval of %v", c.Duration, c.Interval))
	}
	if c.Lifetime {
		faults = append(faults, errors.New("--lifetime is one snapshot, and --watch takes many"))
	}
	return errors.Join(faults...)
}

// An Interval is what a watch saw last.
type Interval struct {
	// Profile is the difference from the snapshot before. It is nil for the very first snapshot, after a restart, and when the
	// snapshot could not be taken; the interval after that reaches back to the last one that could.
	Profile *Profile
	Err     error // why there is no Profile; ErrRestarted is no failure but a new beginning
	At      time.Time
	Sums    Sums
}

// Sums are over a whole watch.
type Sums struct {
	Began    time.Time // of our clock
	Reported int       // intervals with a Profile
	Failed   int       // snapshots that could not be taken
	Restarts int       // of the server, each a new beginning
	Window   Micros    // that the reported intervals cover
	Total    Counters  // in them
}

// Watch takes a snapshot each interval and hands over its difference from the one before, until ctx ends or
// WatchConfig.Duration is over: then it returns nil. A first snapshot that cannot be taken ends it with that error; a later
// one is shown and counted, and the watch goes on, because a server that restarts is what somebody watches for.
//
// It calls show from its own goroutine, once for the first snapshot and once each interval, and holds no more than two
// snapshots: it may run for weeks.
func Watch(ctx context.Context, src Source, cfg WatchConfig, show func(Interval)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := errors.Join(cfg.rank().knownTo(src.Kind()), cfg.intervalLongEnough(src.Kind())); err != nil {
		return err
	}
	w := &watch{src: src, cfg: cfg, show: show, due: time.Now()}
	w.sums.Began = w.due
	if err := w.begin(ctx); err != nil {
		if ctx.Err() != nil { // somebody gave up on it
			return nil
		}
		return fmt.Errorf("take the first snapshot: %w", err)
	}
	w.show(Interval{At: time.Now(), Sums: w.sums})
	for {
		wait, more := w.next()
		if !more {
			return nil
		}
		activity, interrupted := watchSessions(ctx, src, wait)
		if interrupted {
			return nil
		}
		i := w.interval(ctx, activity)
		if ctx.Err() != nil {
			return nil
		}
		i.At, i.Sums = time.Now(), w.sums
		w.show(i)
	}
}

// intervalLongEnough is longEnough in the words of a watch.
func (c WatchConfig) intervalLongEnough(kind Kind) error {
	if kind == Oracle && c.Interval < MinOracleWindow && !c.Force {
		return fmt.Errorf("%w: --interval is %v and wants at least %v; --force takes it all the same", ErrShort, c.Interval, MinOracleWindow)
	}
	return nil
}

// watch is one call of Watch.
type watch struct {
	src   Source
	cfg   WatchConfig
	show  func(Interval)
	sums  Sums
	base  taken     // what the next snapshot is compared with
	whole int       // statements in the last snapshot that left none out
	due   time.Time // when the latest snapshot was to be taken
}

// begin takes a snapshot that leaves nothing out, as the new baseline.
func (w *watch) begin(ctx context.Context) error {
	s, err := take(ctx, w.src, nil)
	if err != nil {
		return err
	}
	w.base, w.whole = s, len(s.Statements)
	return nil
}

// next is how long to wait for the next snapshot: it is due an interval after the last was, so that neither what a snapshot takes nor
// a late timer stretches the pace; but a whole interval from now when the last took longer than that. The last one is due when Duration
// ends, unless what is left of it is too short to tell anything.
func (w *watch) next() (wait time.Duration, more bool) {
	now, last := time.Now(), w.due
	if w.due = last.Add(w.cfg.Interval); !w.due.After(now) {
		w.due = now.Add(w.cfg.Interval)
	}
	if end := w.sums.Began.Add(w.cfg.Duration); w.cfg.Duration != 0 && w.due.After(end) {
		least := MinInterval
		if w.src.Kind() == Oracle && !w.cfg.Force {
			least = MinOracleWindow
		}
		if w.due = end; end.Sub(last) < least || !end.After(now) {
			return 0, false
		}
	}
	return w.due.Sub(now), true
}

// interval takes the next snapshot and makes it the baseline.
func (w *watch) interval(ctx context.Context, activity *Activity) Interval {
	opt := w.cfg.Options
	if w.cfg.Rank != nil {
		opt.Rank = w.cfg.Rank()
	}
	since := &w.base.Snapshot
	if w.stale() {
		since = nil
	}
	after, err := take(ctx, w.src, since)
	if err != nil {
		w.sums.Failed++
		return Interval{Err: fmt.Errorf("take a snapshot: %w", err)}
	}
	p, err := difference(w.base.Snapshot, after.Snapshot, after.at.Sub(w.base.at), opt)
	if err != nil {
		return w.again(ctx, after, err)
	}
	p.AskedUS = micros(w.cfg.Interval)
	p.SnapshotsUS = [2]Micros{micros(w.base.took), micros(after.took)}
	if p.Activity = activity; activity == nil {
		p.Activity = past(ctx, w.src, p.From, p.To)
	}
	w.move(after)
	if err := p.complete(ctx, w.src); err != nil { // the numbers are there all the same
		p.Warnings = append(slices.Clip(p.Warnings), err.Error())
		p.Findings = p.find()
	}
	w.sums.Reported++
	w.sums.Window += p.WindowUS
	w.sums.Total = w.sums.Total.plus(p.Total)
	return Interval{Profile: p}
}

// again begins anew from a snapshot that cannot be compared with the one before: the server restarted, or the view that may be read
// is another. One that left statements out is no baseline.
func (w *watch) again(ctx context.Context, after taken, why error) Interval {
	if errors.Is(why, ErrRestarted) {
		w.sums.Restarts++
	}
	if after.Since.IsZero() {
		w.base, w.whole = after, len(after.Statements)
	} else if err := w.begin(ctx); err != nil {
		w.sums.Failed++
		return Interval{Err: fmt.Errorf("%w; take a new first snapshot: %w", why, err)}
	}
	return Interval{Err: why}
}

// move makes after the baseline. What a filtered snapshot left out did nothing, so that its counters still hold; unless it is gone: then
// it is NEW when it comes again.
func (w *watch) move(after taken) {
	if after.Since.IsZero() {
		w.base, w.whole = after, len(after.Statements)
		return
	}
	gone := make(map[string]bool, len(after.Gone))
	for _, id := range after.Gone {
		gone[id] = true
	}
	at := make(map[key]int, len(w.base.Statements))
	merged := slices.DeleteFunc(slices.Clone(w.base.Statements), func(s Statement) bool { return gone[s.SQLID] })
	for i := range merged {
		at[merged[i].key()] = i
	}
	for _, s := range after.Statements {
		if i, known := at[s.key()]; known {
			merged[i] = s
		} else {
			merged = append(merged, s)
		}
	}
	after.Statements = merged
	after.Since, after.Gone = time.Time{}, nil
	w.base = after
}

// staleBeyond is by how many statements a merged baseline may outgrow the last whole snapshot.
const staleBeyond = 10_000

// stale tells whether the baseline has come to hold so many statements that aged out of the source meanwhile, that a whole snapshot
// is worth its cost. Without it an application that sends literals would fill our memory.
func (w *watch) stale() bool {
	return len(w.base.Statements) > w.whole+max(staleBeyond, w.whole/2) || len(w.base.Statements) > MaxStatements
}

// By returns the same profile ordered by another rank. What is known about the statements besides their counters is there for those
// that were shown before.
func (p *Profile) By(r Rank) *Profile {
	q := *p
	q.Rank, q.active = r, slices.Clone(p.active)
	q.rank()
	return &q
}

// Table returns the report's table of the statements from to to of Statements: as many as a screen has room for.
func (p *Profile) Table(from, to int) reports.Table {
	q := *p
	q.Statements = p.Statements[from:to]
	return q.table()
}

// Running returns how many sessions worked at a time on average: as sampled, or else by the statements' own time.
func (p *Profile) Running() float64 {
	if aas, ok := p.Activity.AAS(""); ok {
		return aas
	}
	return p.Total.Elapsed.Seconds() / p.WindowUS.Seconds()
}

// PerSecond returns the executions of all statements per second.
func (p *Profile) PerSecond() float64 { return p.rate(p.Total.Executions) }
