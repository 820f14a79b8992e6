package oracletest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/network"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A script answers statements by their text, and remembers the calls.
type script struct {
	mu      sync.Mutex
	answers map[string]func(context.Context, *Call) (*Result, error)
	calls   []Call
	events  []string // commits and rollbacks
}

func (h *script) on(sql string, answer func(context.Context, *Call) (*Result, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answers == nil {
		h.answers = map[string]func(context.Context, *Call) (*Result, error){}
	}
	h.answers[sql] = answer
}

// rows answers a query with what is there already.
func (h *script) rows(sql string, columns []Column, rows ...[]Value) {
	h.on(sql, func(context.Context, *Call) (*Result, error) { return &Result{Columns: columns, Rows: rows}, nil })
}

func (h *script) Serve(ctx context.Context, c *Call) (*Result, error) {
	h.mu.Lock()
	h.calls = append(h.calls, *c)
	answer := h.answers[c.SQL]
	h.mu.Unlock()
	if answer == nil {
		return nil, &Error{Code: 942, Message: "table or view does not exist", Pos: 14}
	}
	return answer(ctx, c)
}

func (h *script) Commit(s *Session) error { h.event("commit", s); return nil }
func (h *script) Rollback(s *Session)     { h.event("rollback", s) }

func (h *script) event(what string, s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, fmt.Sprint(what, " ", s.ID))
}

func (h *script) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

func (h *script) lastCall(t testing.TB) Call {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) == 0 {
		t.Fatal("the handler was not asked")
	}
	return h.calls[len(h.calls)-1]
}

// start runs a server that ends with the test.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Logf == nil {
		cfg.Logf = t.Logf
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Sessions != 0 || st.SessionsOpened != st.SessionsClosed {
			t.Errorf("after Close: %+v", st)
		}
	})
	return s
}

// open connects go-ora with n connections at most. Options are name=value.
func open(t testing.TB, s *Server, n int, options ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("oracle", "oracle://tomehub:secret@"+s.DSN()+"?"+strings.Join(options, "&"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// code is the ORA code of an error, 0 for others.
func code(err error) int {
	var e *network.OracleError
	if errors.As(err, &e) {
		return e.ErrCode
	}
	return 0
}

func wantCode(t testing.TB, err error, want int) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("got %v, want ORA-%05d", err, want)
	}
}

// await polls until a state is reached that another goroutine brings about in its own time.
func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// blocked is an answer that waits for its context to end; entered says that it began.
func blocked(entered chan<- struct{}) func(context.Context, *Call) (*Result, error) {
	return func(ctx context.Context, _ *Call) (*Result, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
}
