package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A scriptedGuard lets everything through until it is told otherwise, and remembers what ended how.
type scriptedGuard struct {
	mu      sync.Mutex // guards all below
	refusal error
	ends    []Verdict
	cut     context.CancelCauseFunc // of the statement begun last
}

func (g *scriptedGuard) Ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal
}

func (g *scriptedGuard) Begin(ctx context.Context) (context.Context, func(error), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusal != nil {
		return nil, nil, g.refusal
	}
	ctx, g.cut = context.WithCancelCause(ctx)
	return ctx, func(err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ends = append(g.ends, Judge(err))
		g.cut(nil)
	}, nil
}

func (g *scriptedGuard) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusal = err
}

// guarded opens pools with a guard, and with what a statement shall meet.
func guarded(t *testing.T, intercept func(context.Context, string) error) (*Pools, *scriptedGuard) {
	t.Helper()
	g := &scriptedGuard{}
	ps := openTest(t, func(cfg *Config) { cfg.Guard, cfg.Intercept = g, intercept })
	return ps, g
}

// drainQuery runs one statement to its end.
func drainQuery(t *testing.T, ctx context.Context, p *Pool, statement string) error {
	t.Helper()
	c, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	rows, err := c.Query(ctx, statement)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

func TestGuardIsToldHowStatementsEnd(t *testing.T) {
	broken := errors.New("read tcp: connection reset by peer")
	hanging := make(chan struct{})
	ps, g := guarded(t, func(ctx context.Context, statement string) error {
		switch {
		case strings.HasPrefix(statement, "SELECT 'reset'"):
			return broken
		case strings.HasPrefix(statement, "SELECT 'hang'"):
			close(hanging)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	if err := drainQuery(t, t.Context(), ps.Read(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := drainQuery(t, t.Context(), ps.Read(), "SELECT no_such_column"); err == nil {
		t.Fatal("no error")
	}
	if err := drainQuery(t, t.Context(), ps.Read(), "SELECT 'reset'"); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	leaving, leave := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- drainQuery(t, leaving, ps.Read(), "SELECT 'hang'") }()
	<-hanging
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	want := []Verdict{Answered, Answered, Failed, NothingLearned}
	if !slices.Equal(g.ends, want) {
		t.Errorf("ends %v, want %v", g.ends, want)
	}
}

func TestGuardRefusesBeforeTheQueue(t *testing.T) {
	ps, g := guarded(t, nil)
	refusal := fmt.Errorf("open: %w", ErrUnavailable)
	c, err := ps.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	g.set(refusal)
	for _, p := range []*Pool{ps.Read(), ps.Write()} {
		if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("acquire: %v", err)
		}
	}
	// Who holds a slot already is refused, too, and gives the connection back.
	for range 20 {
		if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("query: %v", err)
		}
		if _, err := c.Begin(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("begin: %v", err)
		}
	}
	g.set(nil)
	if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestGuardCutsAStatement(t *testing.T) {
	begun := make(chan struct{})
	ps, g := guarded(t, func(ctx context.Context, statement string) error {
		if strings.HasPrefix(statement, "SELECT 'hang'") {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	done := make(chan error)
	go func() { done <- drainQuery(t, t.Context(), ps.Read(), "SELECT 'hang'") }()
	<-begun
	cause := fmt.Errorf("opened: %w", ErrUnavailable)
	g.mu.Lock()
	cut := g.cut
	g.mu.Unlock()
	cut(cause)
	if err := <-done; !errors.Is(err, ErrUnavailable) {
		t.Errorf("a statement that was cut says %v", err)
	}
}

func TestWhatIsLongByNatureIsNotJudged(t *testing.T) {
	ps, g := guarded(t, nil)
	if err := drainQuery(t, WithoutQueryTimeout(t.Context()), ps.Read(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	c, err := ps.Write().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if len(g.ends) != 0 {
		t.Errorf("judged %v", g.ends)
	}
}

func TestJudge(t *testing.T) {
	f := func(err error, want Verdict) {
		t.Helper()
		if got := Judge(err); got != want {
			t.Errorf("Judge(%v) is %d, want %d", err, got, want)
		}
	}
	f(nil, Answered)
	f(context.Canceled, NothingLearned)                                        // the client left
	f(context.DeadlineExceeded, NothingLearned)                                // the request's bound, mostly spent waiting
	f(fmt.Errorf("%w: %w", ErrQueryTimeout, context.DeadlineExceeded), Failed) // the statement's own bound
	f(&AcquireError{cause: ErrExhausted}, NothingLearned)                      // overload is no fault of the database
	f(ErrUnavailable, NothingLearned)
	f(ErrReleased, NothingLearned)
	f(driver.ErrBadConn, Failed)
	f(errors.New("broken pipe"), Failed)
}
