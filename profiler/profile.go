package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The plan's defaults, and the bounds of what may be asked.
const (
	DefaultDuration = 300 * time.Second
	DefaultTop      = 20
	MaxDuration     = 24 * time.Hour
	MaxTop          = 10_000
)

// Options say what to measure and what to show.
type Options struct {
	Duration time.Duration // of the window, above 0 and at most MaxDuration; Between ignores it
	Top      int           // statements to show, 1 to MaxTop
	Rank     Rank          // order of the statements; empty means ByElapsed
	FullText bool          // SQL whole in the table, on one line; else its first 60 characters
}

// Validate reports every fault at once, each by the name of its flag. A fault is one of usage.
func (o Options) Validate() error {
	var faults []error
	if o.Duration <= 0 || o.Duration > MaxDuration {
		faults = append(faults, fmt.Errorf("--duration %v is not above 0s and at most %v", o.Duration, MaxDuration))
	}
	return errors.Join(append(faults, o.validateView())...)
}

// validateView checks what also concerns a profile of saved snapshots.
func (o Options) validateView() error {
	var faults []error
	if o.Top < 1 || o.Top > MaxTop {
		faults = append(faults, fmt.Errorf("--top %d is not within 1 and %d", o.Top, MaxTop))
	}
	if _, err := ParseRank(string(o.rank())); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (o Options) rank() Rank {
	if o.Rank == "" {
		return ByElapsed
	}
	return o.Rank
}

// Errors that a caller may branch on.
var (
	ErrRestarted = errors.New("the server was restarted within the window, and its counters began anew")
	ErrNoWindow  = errors.New("no time passed between the two snapshots")
)

// A Profile is what the statements of one source did within a window.
type Profile struct {
	Source      string    `json:"source"`
	Server      string    `json:"server"`
	Phase       string    `json:"phase,omitempty"`
	StartedAt   time.Time `json:"started_at"`
	From        time.Time `json:"from"` // by the server's clock
	To          time.Time `json:"to"`
	WindowUS    Micros    `json:"window_us"`
	AskedUS     Micros    `json:"asked_us,omitempty"`    // Options.Duration, when Run took the snapshots
	Interrupted bool      `json:"interrupted"`           // the window is shorter than asked because ctx ended
	SnapshotsUS [2]Micros `json:"snapshots_us,omitzero"` // what taking each snapshot took; 0 when they were loaded
	Rank        Rank      `json:"rank"`
	Top         int       `json:"top"`
	Known       int       `json:"statements_known"`    // in the second snapshot
	Active      int       `json:"statements_active"`   // with any work within the window
	Vanished    int       `json:"statements_vanished"` // only in the first snapshot; what they did since is unknown
	VanishedEx  []string  `json:"vanished,omitempty"`  // the names of some of them
	Total       Counters  `json:"total"`               // over all active statements
	Statements  []Row     `json:"statements"`          // the first Top by Rank
	Findings    []Finding `json:"findings"`

	active   []Row // all of them, ranked
	fullText bool
}

// Run takes a snapshot, waits for Options.Duration, takes another and returns the difference. When ctx ends while it waits,
// it takes the second snapshot at once and reports the shorter window; when ctx ends before the first snapshot is there, it
// returns ctx's error. The window is measured by our own monotonic clock, so that nobody who sets a clock bends the rates.
func Run(ctx context.Context, src Source, opt Options) (*Profile, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	before, err := take(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("take the first snapshot: %w", err)
	}
	wait := time.NewTimer(opt.Duration)
	defer wait.Stop()
	interrupted := false
	select {
	case <-wait.C:
	case <-ctx.Done():
		interrupted = true
	}
	// The interrupt ends the wait, not the profile; the source bounds its own time.
	after, err := take(context.WithoutCancel(ctx), src)
	if err != nil {
		return nil, fmt.Errorf("take the second snapshot, %v after the first: %w", time.Since(before.at).Round(time.Millisecond), err)
	}
	p, err := difference(before.Snapshot, after.Snapshot, after.at.Sub(before.at), opt)
	if err != nil {
		return nil, err
	}
	p.AskedUS, p.Interrupted = micros(opt.Duration), interrupted
	p.SnapshotsUS = [2]Micros{micros(before.took), micros(after.took)}
	return p, nil
}

// Between returns the difference of two saved snapshots of one server, the earlier one first. Its window is by the server's
// clock. Options.Duration has no meaning here.
func Between(before, after Snapshot, opt Options) (*Profile, error) {
	if err := opt.validateView(); err != nil {
		return nil, err
	}
	for _, s := range []Snapshot{before, after} {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("compare snapshots: %w: %w", ErrNotSnapshot, err)
		}
	}
	return difference(before, after, after.Now.Sub(before.Now), opt)
}

// taken is a snapshot with the moment of our clock that it stands for.
type taken struct {
	Snapshot
	at   time.Time
	took time.Duration
}

func take(ctx context.Context, src Source) (taken, error) {
	start := time.Now()
	s, err := src.Snapshot(ctx)
	if err != nil {
		return taken{}, err
	}
	took := time.Since(start)
	return taken{Snapshot: s, at: start.Add(took / 2), took: took}, nil
}

func difference(before, after Snapshot, window time.Duration, opt Options) (*Profile, error) {
	switch {
	case before.Source != after.Source && before.Source != "" && after.Source != "":
		return nil, fmt.Errorf("compare snapshots: the first is of %s, the second of %s", before.Source, after.Source)
	case !before.StartedAt.Equal(after.StartedAt):
		return nil, fmt.Errorf("compare snapshots: %w: the first is of a server started at %s, the second of one started at %s",
			ErrRestarted, stamp(before.StartedAt), stamp(after.StartedAt))
	case window <= 0:
		return nil, fmt.Errorf("compare snapshots: %w: the first is of %s, the second of %s", ErrNoWindow, stamp(before.Now), stamp(after.Now))
	}
	p := &Profile{
		Source: after.Source, Server: after.Server, Phase: after.Phase, StartedAt: after.StartedAt,
		From: before.Now, To: after.Now, WindowUS: max(1, micros(window)),
		Rank: opt.rank(), Top: opt.Top, Known: len(after.Statements), fullText: opt.FullText,
	}
	p.subtract(before.Statements, after.Statements)
	p.rank()
	p.Findings = p.find()
	return p, nil
}

func micros(d time.Duration) Micros { return Micros(d.Microseconds()) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") }
