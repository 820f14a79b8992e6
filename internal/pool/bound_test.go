package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// waitingPool is two slots in front of one physical connection, which is taken and returned beside it.
func waitingPool(t *testing.T, queryTimeout time.Duration) (*Pool, *link) {
	t.Helper()
	l, _, _ := newFakeLinks(t, 1, 1, 0)
	cfg := Config{Timeout: time.Minute, QueryTimeout: queryTimeout}
	ps := &Pools{cfg: cfg, statement: newStatementBound(cfg), ctx: l.ctx}
	k, _, err := l.borrow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return &Pool{name: "read", gate: gate.New(2, 8), links: l, pools: ps}, k
}

// errRan is what the fake connection says of a statement that reached it.
const errRan = "not here"

func TestWaitedCountsThePhysicalConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, k := waitingPool(t, 0)
		c := acquire(t, p)
		if got := c.Waited(); got != 0 {
			t.Errorf("waited %v for a free slot", got)
		}
		time.AfterFunc(3*time.Second, func() { p.links.giveBack(k) })
		if _, err := c.Exec(t.Context(), "x"); err == nil || err.Error() != errRan {
			t.Errorf("exec: %v", err)
		}
		if got := c.Waited(); got != 3*time.Second {
			t.Errorf("waited %v, want 3s", got)
		}
		if _, err := c.Exec(t.Context(), "x"); err == nil || err.Error() != errRan {
			t.Errorf("exec: %v", err)
		}
		if got := c.Waited(); got != 3*time.Second {
			t.Errorf("waited %v after a statement that had not to wait, want 3s", got)
		}

		k, _, err := p.links.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer p.links.giveBack(k)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Begin(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("begin: %v", err)
		}
		if got := c.Waited(); got != 4*time.Second {
			t.Errorf("waited %v, want 4s: a wait in vain counts as well", got)
		}
	})
}

func TestWaitedCountsTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 2, 1, 0)
		k, waited, err := l.borrow(t.Context(), 0)
		if err != nil || waited != 0 {
			t.Fatalf("waited %v, %v", waited, err)
		}
		defer l.giveBack(k)
		l.source.base = slowConnector{d}
		k, waited, err = l.borrow(t.Context(), 0)
		if err != nil || waited != time.Second {
			t.Fatalf("waited %v, %v, want 1s", waited, err)
		}
		l.giveBack(k)
	})
}

// slowConnector takes a second to connect.
type slowConnector struct{ *fakeDriver }

func (d slowConnector) Connect(ctx context.Context) (driver.Conn, error) {
	<-time.After(time.Second)
	return d.fakeDriver.Connect(ctx)
}

// Queueing does not make a statement slow: its bound begins when it has a connection.
func TestQueryTimeoutStartsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, k := waitingPool(t, time.Second)
		c := acquire(t, p)
		time.AfterFunc(10*time.Second, func() { p.links.giveBack(k) })
		if _, err := c.Exec(t.Context(), "x"); err == nil || err.Error() != errRan {
			t.Errorf("after 10 s in line: %v", err)
		}

		k, _, err := p.links.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer p.links.giveBack(k)
		_, err = c.Exec(t.Context(), "x")
		if !errors.Is(err, ErrExhausted) || errors.Is(err, ErrQueryTimeout) {
			t.Errorf("a minute in line: %v, want that DB_POOL_TIMEOUT was hit", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = c.Exec(ctx, "x")
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrQueryTimeout) {
			t.Errorf("the caller's deadline in line: %v", err)
		}
	})
}

// The caller's own deadline is told from the statement's bound when it comes first.
func TestQueryTimeoutIsNotTheCallersDeadline(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.QueryTimeout = time.Minute })
	c := acquire(t, ps.Read())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Query(ctx, endless); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrQueryTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutQueryTimeout(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.QueryTimeout = time.Nanosecond })
	c := acquire(t, ps.Write())
	ctx := WithoutQueryTimeout(t.Context())
	if _, err := c.Exec(t.Context(), "CREATE TABLE a(b)"); !errors.Is(err, ErrQueryTimeout) {
		t.Errorf("bounded: %v", err)
	}
	if _, err := c.Exec(ctx, "CREATE TABLE a(b)"); err != nil {
		t.Errorf("unbounded: %v", err)
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "INSERT INTO a VALUES (1)"); !errors.Is(err, ErrQueryTimeout) {
		t.Errorf("bounded in a transaction: %v", err)
	}
	st, err := tx.Prepare(ctx, "INSERT INTO a VALUES (1)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Exec(context.WithoutCancel(ctx)); err != nil {
		t.Errorf("unbounded in a transaction: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := c.Query(ctx, endless); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrQueryTimeout) {
		t.Errorf("its own deadline: %v", err)
	}
}
