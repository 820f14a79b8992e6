// Package breaker keeps calls away from a part that does not answer, and lets a few through
// from time to time to see whether it does again.
//
// It adds to sony/gobreaker what a database needs: a call that hangs is a failure while it
// hangs, not when it ends, which may be in half a minute or never; and calls that hang when
// the breaker opens are cut, because what they hold is wanted for the probes.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Outcome is what a call has told of the part behind the breaker. The zero Outcome is Ignored,
// so that a call nobody judged neither opens nor closes anything.
type Outcome int

const (
	Ignored Outcome = iota // nothing learned: the caller left, or the fault was its own
	Success
	Failure
)

// Config says when a breaker opens and closes. Zero values mean the defaults.
type Config struct {
	Name string // in errors, logs and statistics; required

	Failures int           // this many failures without a success between them open it; default 5
	Ratio    float64       // so does this part of the calls of Window, 0 to 1; default 0.5
	MinCalls int           // of which there must be this many; default 20
	Window   time.Duration // default 10 s, in tenths

	// Slow is how long a call may take before it is a failure, and again for every half of Slow
	// that it goes on, so that a few calls that hang are enough. Default 0: time does not matter.
	Slow time.Duration

	OpenFor time.Duration // how long it is open before probes are let through; default 3 s
	Probes  int           // this many successes in a row close it, and as many run at once; default 2

	// Classify says what the error of a call tells of the part behind; nil takes every error
	// for a failure, except the end of the caller's context.
	Classify func(error) Outcome
	Setting  string // named in refusals, such as "--breaker"
	Sentinel error  // matched by its refusals, beside *OpenError; may be nil
	Logger   *slog.Logger
}

// State is closed, open or half-open.
type State string

// The states of a breaker.
const (
	Closed   State = "closed"    // every call goes through
	Open     State = "open"      // none does
	HalfOpen State = "half-open" // Config.Probes calls do
)

// OpenError refuses a call.
type OpenError struct {
	Name       string
	Setting    string        // turns the breaker off or moves it; may be empty
	RetryAfter time.Duration // until probes are let through; at least a moment

	sentinel error
}

// Unwrap returns Config.Sentinel.
func (e *OpenError) Unwrap() error { return e.sentinel }

func (e *OpenError) Error() string {
	msg := fmt.Sprintf("circuit breaker of the %s is open: it failed repeatedly and is asked again in %v", e.Name, e.RetryAfter.Round(time.Millisecond))
	if e.Setting != "" {
		msg += " (" + e.Setting + ")"
	}
	return msg
}

// Breaker is a circuit breaker. It is safe for concurrent use.
type Breaker struct {
	cfg Config
	cb  *gobreaker.TwoStepCircuitBreaker[struct{}]
	log *slog.Logger

	counts   counts
	openedAt atomic.Int64 // of the last opening, in nanoseconds after began
	began    time.Time
	lastErr  atomic.Pointer[string]

	mu      sync.Mutex // guards hanging
	hanging map[*watched]struct{}
}

// counts are lifetime totals.
type counts struct {
	successes, failures, ignored, rejected, slow, cut atomic.Int64
	opened, reopened, halfOpened, closed              atomic.Int64
}

var (
	errFailed  = errors.New("failed")
	errIgnored = errors.New("ignored")
)

// New checks cfg, reporting every fault at once, and returns a closed breaker.
func New(cfg Config) (*Breaker, error) {
	if cfg.Name == "" {
		return nil, errors.New("make circuit breaker: no name given")
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("make circuit breaker of the %s: %w", cfg.Name, err)
	}
	cfg = cfg.withDefaults()
	b := &Breaker{cfg: cfg, log: cfg.Logger, began: time.Now(), hanging: map[*watched]struct{}{}}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: cfg.Name, MaxRequests: uint32(cfg.Probes),
		Interval: cfg.Window, BucketPeriod: cfg.Window / 10, Timeout: cfg.OpenFor,
		ReadyToTrip:   b.readyToTrip,
		OnStateChange: b.changed,
		IsExcluded:    func(err error) bool { return err == errIgnored },
	})
	return b, nil
}

func (cfg Config) validate() error {
	var faults []error
	for _, n := range []struct {
		what  string
		value int
	}{{"failures in a row", cfg.Failures}, {"least calls", cfg.MinCalls}, {"probes", cfg.Probes}} {
		if n.value < 0 || n.value > 1_000_000 {
			faults = append(faults, fmt.Errorf("%s is %d: want 1 to 1000000", n.what, n.value))
		}
	}
	if cfg.Ratio < 0 || cfg.Ratio > 1 {
		faults = append(faults, fmt.Errorf("failure ratio is %v: want more than 0, at most 1", cfg.Ratio))
	}
	for _, d := range []struct {
		what  string
		value time.Duration
	}{{"window", cfg.Window}, {"slow call", cfg.Slow}, {"open time", cfg.OpenFor}} {
		if d.value < 0 || d.value > 0 && d.value < time.Millisecond {
			faults = append(faults, fmt.Errorf("%s is %v: want at least 1ms", d.what, d.value))
		}
	}
	return errors.Join(faults...)
}

func (cfg Config) withDefaults() Config {
	defaultTo(&cfg.Failures, 5)
	defaultTo(&cfg.Ratio, 0.5)
	defaultTo(&cfg.MinCalls, 20)
	defaultTo(&cfg.Window, 10*time.Second)
	defaultTo(&cfg.OpenFor, 3*time.Second)
	defaultTo(&cfg.Probes, 2)
	if cfg.Classify == nil {
		cfg.Classify = func(err error) Outcome {
			switch {
			case err == nil:
				return Success
			case errors.Is(err, context.Canceled):
				return Ignored
			}
			return Failure
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (b *Breaker) readyToTrip(c gobreaker.Counts) bool {
	if int(c.ConsecutiveFailures) >= b.cfg.Failures {
		return true
	}
	judged := c.TotalSuccesses + c.TotalFailures
	return int(judged) >= b.cfg.MinCalls && float64(c.TotalFailures) >= b.cfg.Ratio*float64(judged)
}

// changed runs under gobreaker's lock, so it must not ask the breaker anything.
func (b *Breaker) changed(_ string, from, to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		b.counts.opened.Add(1)
		b.openedAt.Store(int64(time.Since(b.began)))
		attrs := []any{"breaker", b.cfg.Name, "from", from.String(), "open_ms", b.cfg.OpenFor.Milliseconds()}
		if last := b.lastErr.Load(); last != nil {
			attrs = append(attrs, "error", *last)
		}
		if from == gobreaker.StateClosed { // a probe that fails is no news
			b.log.Error("circuit breaker opened", attrs...)
		} else {
			b.counts.reopened.Add(1)
		}
		b.cutHanging()
	case gobreaker.StateHalfOpen:
		b.counts.halfOpened.Add(1)
	case gobreaker.StateClosed:
		b.counts.closed.Add(1)
		b.log.Info("circuit breaker closed", "breaker", b.cfg.Name)
	}
}

// Ready returns an *OpenError while the breaker is open, so that nobody queues for what will be
// refused. Nil promises nothing: half open, only some of the calls go through.
func (b *Breaker) Ready() error {
	if b.cb.State() != gobreaker.StateOpen {
		return nil
	}
	b.counts.rejected.Add(1)
	return b.refusal()
}

func (b *Breaker) refusal() *OpenError {
	opened := time.Duration(b.openedAt.Load())
	left := b.cfg.OpenFor - (time.Since(b.began) - opened)
	return &OpenError{Name: b.cfg.Name, Setting: b.cfg.Setting, RetryAfter: max(left, 10*time.Millisecond), sentinel: b.cfg.Sentinel}
}

// Allow lets a call through, or refuses it with an *OpenError. Of a call let through, done must
// be called when it is over. Config.Slow does not hold for it.
func (b *Breaker) Allow() (done func(Outcome), err error) {
	finish, err := b.cb.Allow()
	if err != nil {
		b.counts.rejected.Add(1)
		return nil, b.refusal()
	}
	return func(o Outcome) { b.judge(finish, o, nil) }, nil
}

// judge counts the outcome of one call.
func (b *Breaker) judge(finish func(error), o Outcome, cause error) {
	switch o {
	case Success:
		b.counts.successes.Add(1)
		finish(nil)
	case Failure:
		b.counts.failures.Add(1)
		if cause != nil {
			text := cause.Error()
			b.lastErr.Store(&text)
		}
		finish(errFailed)
	default:
		b.counts.ignored.Add(1)
		finish(errIgnored)
	}
}

// State returns the present state.
func (b *Breaker) State() State {
	switch b.cb.State() {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	}
	return Closed
}

// Stats is the state of a breaker and its lifetime counts.
type Stats struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// RetryAfterMS is the time until probes are let through; 0 unless open.
	RetryAfterMS int64 `json:"retry_after_ms"`
	// Of the present window, or since the last change of state.
	ConsecutiveFailures int `json:"consecutive_failures"`
	WindowCalls         int `json:"window_calls"`
	WindowFailures      int `json:"window_failures"`
	// Since the start.
	Successes int64 `json:"successes"`
	Failures  int64 `json:"failures"`
	Ignored   int64 `json:"ignored"`
	Rejected  int64 `json:"rejected"`
	Slow      int64 `json:"slow"` // calls that ran into Config.Slow
	Cut       int64 `json:"cut"`  // of those, cut because the breaker opened
	// Transitions, by the state they led to.
	Opened     int64  `json:"opened"`
	Reopened   int64  `json:"reopened"` // of those opened, from half-open
	HalfOpened int64  `json:"half_opened"`
	Closed     int64  `json:"closed"`
	LastError  string `json:"last_error,omitempty"` // for operators: it may name hosts
}

// Stats returns the state and the counts. They are read one by one.
func (b *Breaker) Stats() Stats {
	c := b.cb.Counts()
	s := Stats{
		Name: b.cfg.Name, State: b.State(),
		ConsecutiveFailures: int(c.ConsecutiveFailures),
		WindowCalls:         int(c.TotalSuccesses + c.TotalFailures), WindowFailures: int(c.TotalFailures),
		Successes: b.counts.successes.Load(), Failures: b.counts.failures.Load(), Ignored: b.counts.ignored.Load(),
		Rejected: b.counts.rejected.Load(), Slow: b.counts.slow.Load(), Cut: b.counts.cut.Load(),
		Opened: b.counts.opened.Load(), Reopened: b.counts.reopened.Load(), HalfOpened: b.counts.halfOpened.Load(), Closed: b.counts.closed.Load(),
	}
	if s.State == Open {
		s.RetryAfterMS = b.refusal().RetryAfter.Milliseconds()
	}
	if last := b.lastErr.Load(); last != nil {
		s.LastError = *last
	}
	return s
}
