package profiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The plan's defaults, and the bounds of what may be asked.
const (
	DefaultDuration = 300 * time.Second
	DefaultTop      = 20
	MaxDuration     = 24 * time.Hour
	// MinOracleWindow is the shortest window on Oracle that tells the truth: its counters move when an execution ends, or
	// every 5 s while it runs.
	MinOracleWindow = 6 * time.Second
	MaxTop          = 10_000
)

// Options say what to measure and what to show.
type Options struct {
	Duration time.Duration // of the window, above 0 and at most MaxDuration; Between ignores it
	Top      int           // statements to show, 1 to MaxTop
	Rank     Rank          // order of the statements; empty means ByElapsed
	FullText bool          // SQL whole in the table, on one line; else its first 60 characters
	Force    bool          // take a window on Oracle that is shorter than MinOracleWindow
	Variants bool          // tell statements apart that differ in their literals alone; else they are one
	Lifetime bool          // one snapshot, and its counters since each statement was first seen: not a window at all
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
	ErrShort     = errors.New("the window is too short for Oracle, whose counters move every 5 s only")
)

// A Profile is what the statements of one source did within a window.
type Profile struct {
	Kind        Kind       `json:"kind,omitempty"`
	Source      string     `json:"source"`
	View        string     `json:"view,omitempty"`
	Lifetime    bool       `json:"lifetime,omitempty"` // since each statement was first seen, not of a window
	Partial     bool       `json:"partial,omitempty"`  // the second snapshot left out what did nothing, so that Vanished is unknown
	Server      string     `json:"server"`
	Phase       string     `json:"phase,omitempty"`
	StartedAt   time.Time  `json:"started_at"`
	From        time.Time  `json:"from"` // by the server's clock
	To          time.Time  `json:"to"`
	WindowUS    Micros     `json:"window_us"`
	AskedUS     Micros     `json:"asked_us,omitempty"`    // Options.Duration, when Run took the snapshots
	Interrupted bool       `json:"interrupted"`           // the window is shorter than asked because ctx ended
	SnapshotsUS [2]Micros  `json:"snapshots_us,omitzero"` // what taking each snapshot took; 0 when they were loaded
	Rank        Rank       `json:"rank"`
	Top         int        `json:"top"`
	Known       int        `json:"statements_known"`    // in the second snapshot
	Active      int        `json:"statements_active"`   // with any work within the window
	Vanished    int        `json:"statements_vanished"` // only in the first snapshot; what they did since is unknown
	VanishedEx  []string   `json:"vanished,omitempty"`  // the names of some of them
	Total       Counters   `json:"total"`               // over all active statements but PL/SQL blocks
	Blocks      int        `json:"plsql_blocks,omitempty"`
	Coverage    float64    `json:"coverage,omitempty"` // Total's time over the database's own DB time; 0: that is unknown
	Statements  []Row      `json:"statements"`         // the first Top by Rank
	Instances   []Instance `json:"instances,omitempty"`
	Time        *TimeModel `json:"time_model,omitempty"` // within the window; nil when unknown
	Activity    *Activity  `json:"activity,omitempty"`
	Own         Counters   `json:"own,omitzero"`       // what the profiler's own statements did within the window; not in Total
	Warnings    []string   `json:"warnings,omitempty"` // what could not be read, and what to ask for
	Findings    []Finding  `json:"findings"`

	active   []Row // all of them, ranked
	fullText bool
	apart    bool // Options.Variants
}

// Run takes a snapshot, waits for Options.Duration, takes another and returns the difference. When ctx ends while it waits,
// it takes the second snapshot at once and reports the shorter window; when ctx ends before the first snapshot is there, it
// returns ctx's error. The window is measured by our own monotonic clock, so that nobody who sets a clock bends the rates.
// While it waits it samples the sessions each second, where the source can; afterwards it asks about the statements shown.
func Run(ctx context.Context, src Source, opt Options) (*Profile, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if err := opt.rank().knownTo(src.Kind()); err != nil {
		return nil, err
	}
	if opt.Lifetime {
		return lifetime(ctx, src, opt)
	}
	if err := opt.CheckWindow(src.Kind(), opt.Duration); err != nil {
		return nil, err
	}
	before, err := take(ctx, src, nil)
	if err != nil {
		return nil, fmt.Errorf("take the first snapshot: %w", err)
	}
	activity, interrupted := watchSessions(ctx, src, opt.Duration)
	// The interrupt ends the wait, not the profile; the source bounds its own time.
	ctx = context.WithoutCancel(ctx)
	after, err := take(ctx, src, &before.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("take the second snapshot, %v after the first: %w", time.Since(before.at).Round(time.Millisecond), err)
	}
	p, err := difference(before.Snapshot, after.Snapshot, after.at.Sub(before.at), opt)
	if err != nil {
		return nil, err
	}
	p.AskedUS, p.Interrupted = micros(opt.Duration), interrupted
	p.SnapshotsUS = [2]Micros{micros(before.took), micros(after.took)}
	if p.Activity = activity; activity == nil {
		p.Activity = past(ctx, src, p.From, p.To)
	}
	return p, p.complete(ctx, src)
}

// lifetime reports one snapshot as it is.
func lifetime(ctx context.Context, src Source, opt Options) (*Profile, error) {
	s, err := take(ctx, src, nil)
	if err != nil {
		return nil, fmt.Errorf("take the snapshot: %w", err)
	}
	p := whole(s.Snapshot, opt)
	p.SnapshotsUS = [2]Micros{0, micros(s.took)}
	return p, p.complete(ctx, src)
}

// whole is the profile of all that one snapshot counts.
func whole(s Snapshot, opt Options) *Profile {
	p := newProfile(s, opt)
	p.Lifetime, p.From, p.WindowUS = true, s.StartedAt, max(1, micros(s.Now.Sub(s.StartedAt)))
	p.Time, p.Own = s.Time, s.Own
	p.subtract(nil, &s)
	for i := range p.active { // nothing is new: there is no earlier snapshot
		p.active[i].mark(New, false)
	}
	return p
}

// complete asks the source about the statements that are shown, and then draws the conclusions.
func (p *Profile) complete(ctx context.Context, src Source) error {
	p.rank()
	if d, ok := src.(Describer); ok && len(p.Statements) > 0 {
		details, warnings, err := d.Describe(ctx, p.Statements)
		if err != nil {
			return fmt.Errorf("read about the first %d statements: %w", len(p.Statements), err)
		}
		p.describe(details)
		p.Warnings = append(p.Warnings, warnings...)
	}
	p.Findings = p.find()
	return nil
}

// describe puts the details to their statements.
func (p *Profile) describe(details map[string]Detail) {
	for i := range p.Statements {
		r := &p.Statements[i]
		if d, ok := details[r.SQLID]; ok && r.SQLID != "" {
			r.Detail = &d
			r.SQL = cmp.Or(d.Text, r.SQL)
			if name, _ := split("", r.SQL); r.Name == "" {
				r.Name = name
			}
			r.mark(Block, isBlock(d.Command, r.SQL, r.Signature, r.Counters.PLSQL))
			p.active[i] = *r // Statements are the first of active
		}
	}
	p.sum() // what is a block is known better now
	copy(p.Statements, p.active)
}

// Between returns the difference of two saved snapshots of one server, the earlier one first. Its window is by the server's
// clock. Options.Duration has no meaning here; with Options.Lifetime it is the second one as it is.
func Between(before, after Snapshot, opt Options) (*Profile, error) {
	if err := opt.validateView(); err != nil {
		return nil, err
	}
	for _, s := range []Snapshot{before, after} {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("compare snapshots: %w: %w", ErrNotSnapshot, err)
		}
	}
	if err := opt.rank().knownTo(after.Kind); err != nil {
		return nil, err
	}
	if opt.Lifetime {
		return whole(after, opt).finish(after.Details), nil
	}
	window := after.Now.Sub(before.Now)
	p, err := difference(before, after, window, opt)
	if err != nil {
		return nil, err
	}
	if err := opt.CheckWindow(after.Kind, window); err != nil {
		return nil, fmt.Errorf("compare snapshots: %w", err)
	}
	return p.finish(after.Details), nil
}

// finish ranks, with what the snapshot itself knows of its statements, and draws the conclusions.
func (p *Profile) finish(details map[string]Detail) *Profile {
	p.rank()
	p.describe(details)
	p.Findings = p.find()
	return p
}

// CheckWindow refuses, with an ErrShort, a window that is too short for what the kind of source counts.
func (o Options) CheckWindow(kind Kind, window time.Duration) error {
	if kind == Oracle && window < MinOracleWindow && !o.Force {
		return fmt.Errorf("%w: it is %v, and --duration wants at least %v; --force takes it all the same", ErrShort, window, MinOracleWindow)
	}
	return nil
}

// taken is a snapshot with the moment of our clock that it stands for.
type taken struct {
	Snapshot
	at   time.Time
	took time.Duration
}

func take(ctx context.Context, src Source, since *Snapshot) (taken, error) {
	start := time.Now()
	s, err := src.Snapshot(ctx, since)
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
	case before.Kind != after.Kind:
		return nil, errors.New("compare snapshots: one is of a tomehub, the other of an Oracle database")
	case before.View != after.View:
		return nil, fmt.Errorf("compare snapshots: the first is of %s, the second of %s", before.View, after.View)
	case !before.StartedAt.Equal(after.StartedAt) || !sameInstances(before.Instances, after.Instances):
		return nil, fmt.Errorf("compare snapshots: %w: the first is of %s, the second of %s",
			ErrRestarted, before.started(), after.started())
	case !before.Since.IsZero():
		return nil, errors.New("compare snapshots: the first leaves out statements that did nothing before it, so that nobody knows what they did since; --save takes a whole one")
	case window <= 0:
		return nil, fmt.Errorf("compare snapshots: %w: the first is of %s, the second of %s", ErrNoWindow, stamp(before.Now), stamp(after.Now))
	}
	p := newProfile(after, opt)
	p.From, p.WindowUS, p.Partial = before.Now, max(1, micros(window)), !after.Since.IsZero()
	if before.Time != nil && after.Time != nil {
		p.Time = after.Time.minus(before.Time)
	}
	p.Own = after.Own.minus(before.Own)
	if p.Own.fell() {
		p.Own = after.Own
	}
	p.subtract(before.Statements, &after)
	return p, nil
}

func newProfile(s Snapshot, opt Options) *Profile {
	return &Profile{
		Kind: s.Kind, Source: s.Source, View: s.View, Server: s.Server, Phase: s.Phase, Instances: s.Instances, StartedAt: s.StartedAt, To: s.Now,
		Rank: opt.rank(), Top: opt.Top, Known: len(s.Statements), Warnings: s.Warnings, fullText: opt.FullText, apart: opt.Variants,
	}
}

func (t *TimeModel) minus(o *TimeModel) *TimeModel {
	// A counter of the model that fell says nothing of the window.
	return &TimeModel{
		DBTime: max(0, t.DBTime-o.DBTime), DBCPU: max(0, t.DBCPU-o.DBCPU),
		Parse: max(0, t.Parse-o.Parse), HardParse: max(0, t.HardParse-o.HardParse),
	}
}

func micros(d time.Duration) Micros { return Micros(d.Microseconds()) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") }

// started tells when what the snapshot counts began: of a cluster each instance for itself.
func (s *Snapshot) started() string {
	if len(s.Instances) < 2 {
		return "a server started at " + stamp(s.StartedAt)
	}
	each := make([]string, len(s.Instances))
	for i, x := range s.Instances {
		each[i] = fmt.Sprintf("%d at %s", x.ID, stamp(x.StartedAt))
	}
	return "instances started: " + strings.Join(each, ", ")
}

// sameInstances tells whether the same instances of a database are there, none of them restarted.
func sameInstances(a, b []Instance) bool {
	return slices.EqualFunc(a, b, func(x, y Instance) bool { return x.ID == y.ID && x.StartedAt.Equal(y.StartedAt) })
}
