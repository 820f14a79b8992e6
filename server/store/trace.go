package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/trace"
)

// RequestStats counts what one request did in the database.
type RequestStats struct {
	Statements    atomic.Int64
	Rows          atomic.Int64 // returned or changed
	AcquireWaitNs atomic.Int64 // waited for slots and for physical connections, also in vain, in nanoseconds
	Stale         atomic.Bool  // answered from a cache past its time, because the database could not be asked
}

// Request is what the store knows of the request that a statement runs for.
type Request struct {
	Stats *RequestStats // where its statements are counted, or nil
	ID    string        // under which slow ones are logged, or ""
}

type requestKey struct{}

// RequestKey is the key under which a context carries its *Request.
var RequestKey any = requestKey{}

// WithRequest returns a context in which statements are counted in stats, and
// under which slow ones are logged with requestID. Either may be left zero.
func WithRequest(ctx context.Context, stats *RequestStats, requestID string) context.Context {
	return context.WithValue(ctx, RequestKey, &Request{Stats: stats, ID: requestID})
}

func requestOf(ctx context.Context) *Request {
	r, _ := ctx.Value(RequestKey).(*Request)
	return r
}

// MarkStale records with the request of ctx, if there is one, that a part of its answer is stale.
func MarkStale(ctx context.Context) {
	if r := requestOf(ctx); r != nil && r.Stats != nil {
		r.Stats.Stale.Store(true)
	}
}

// tracer measures statements.
type tracer struct {
	logger *slog.Logger
	slow   time.Duration // statements that take at least this long, waits not counted, are logged; 0: none

	executed func(context.Context, Execution) // Options.Executed
}

// Attribute for the text that a user searched for, which only debug logs show.
type queryText string

// end records one execution of st and logs it when it was slow. elapsed is without waited.
func (t *tracer) end(ctx context.Context, st *statement, elapsed, waited time.Duration, rows int64, err error, text queryText) {
	st.record(elapsed, waited, rows, err != nil)
	r := requestOf(ctx)
	if r != nil && r.Stats != nil {
		r.Stats.Statements.Add(1)
		r.Stats.Rows.Add(rows)
		r.Stats.AcquireWaitNs.Add(int64(waited))
	}
	slow := t.slow > 0 && elapsed >= t.slow
	if t.executed != nil {
		t.executed(ctx, Execution{Statement: st.name, Elapsed: elapsed, Waited: waited, Rows: rows, Failed: err != nil, Slow: slow})
	}
	if !slow {
		return
	}
	attrs := []slog.Attr{
		slog.String("statement", st.name),
		slog.Float64("elapsed_ms", ms(elapsed)),
		slog.Int64("rows", rows),
		slog.Float64("acquire_wait_ms", ms(waited)),
	}
	if r != nil && r.ID != "" {
		attrs = append(attrs, slog.String("request_id", r.ID))
	}
	if id := trace.From(ctx).TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	t.logger.LogAttrs(ctx, slog.LevelWarn, "slow statement", attrs...)
	if text != "" && t.logger.Enabled(ctx, slog.LevelDebug) {
		t.logger.LogAttrs(ctx, slog.LevelDebug, "slow statement's query", append(attrs, slog.String("query", string(text)))...)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// querier is what runs a statement: a held connection or a transaction on one.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*pool.Rows, error)
}

// waits tells how long a connection has been waited for so far. It is nil within
// a transaction, which has its connection before its first statement.
type waits func() time.Duration

func (w waits) soFar() time.Duration {
	if w == nil {
		return 0
	}
	return w()
}

// addWait counts a wait for a connection that is in no execution of st.
func addWait(ctx context.Context, st *statement, waited time.Duration) {
	st.acquired.Add(int64(waited))
	if r := requestOf(ctx); r != nil && r.Stats != nil {
		r.Stats.AcquireWaitNs.Add(int64(waited))
	}
}

// acquire takes a slot to run st. A wait in vain is counted, too: it is
// what a request that was refused has spent its time on.
func acquire(ctx context.Context, take func(context.Context) (*pool.Conn, error), st *statement) (*pool.Conn, error) {
	conn, err := take(ctx)
	if err == nil {
		return conn, nil
	}
	var refused *pool.AcquireError
	if errors.As(err, &refused) {
		addWait(ctx, st, refused.Waited)
	}
	return nil, fmt.Errorf("run %s: %w", st.name, err)
}

// begun tells whether it is too late to shed what runs in ctx for a slow pool: a request that
// has statements behind it, and work that is no client's.
func begun(ctx context.Context) bool {
	r := requestOf(ctx)
	return r == nil || r.Stats == nil || r.Stats.Statements.Load() > 0
}

// read acquires a read connection for one statement and calls each for every row of it.
func (s *core) read(ctx context.Context, st *statement, text queryText, each func(*pool.Rows) error, args ...any) error {
	take := s.pools.Read().Acquire
	if begun(ctx) {
		take = s.pools.Read().AcquireStarted
	}
	conn, err := acquire(ctx, take, st)
	if err != nil {
		return err
	}
	defer conn.Release()
	return s.trace.query(ctx, conn, conn.Waited, st, text, each, args...)
}

// write runs do in one transaction and commits it; any error undoes all of it.
// The wait for the writer is counted with first, the transaction's first statement;
// a slow pool sheds no write, before which a whole book has been read.
func (s *core) write(ctx context.Context, first *statement, do func(*pool.Tx) error) error {
	return s.writeIn(ctx, (*pool.Conn).Begin, first, do)
}

// writeIn is write in a transaction that begin begins.
func (s *core) writeIn(ctx context.Context, begin func(*pool.Conn, context.Context) (*pool.Tx, error), first *statement, do func(*pool.Tx) error) error {
	conn, err := acquire(ctx, s.pools.Write().AcquireStarted, first)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := begin(conn, ctx)
	addWait(ctx, first, conn.Waited())
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // nothing after Commit
	if err := do(tx); err != nil {
		if errors.Is(err, errNothingToDo) {
			return nil
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// query runs st on q and calls each for every row. All of wait is st's, but
// what of it passes in here is no part of the time that st ran.
func (t *tracer) query(ctx context.Context, q querier, wait waits, st *statement, text queryText, each func(*pool.Rows) error, args ...any) (err error) {
	start, before := time.Now(), wait.soFar()
	var n int64
	defer func() {
		waited := wait.soFar()
		t.end(ctx, st, time.Since(start)-(waited-before), waited, n, err, text)
	}()
	rows, err := q.Query(ctx, st.text, args...)
	if err != nil {
		return fmt.Errorf("run %s: %w", st.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		n++
		if err := each(rows); err != nil {
			return fmt.Errorf("run %s: %w", st.name, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("run %s: %w", st.name, err)
	}
	return nil
}

// exec runs st in a transaction, for the rows it changes.
func (t *tracer) exec(ctx context.Context, tx *pool.Tx, st *statement, args ...any) (err error) {
	start := time.Now()
	var n int64
	defer func() { t.end(ctx, st, time.Since(start), 0, n, err, "") }()
	res, err := tx.Exec(ctx, st.text, args...)
	if err != nil {
		return fmt.Errorf("run %s: %w", st.name, err)
	}
	n, err = res.RowsAffected()
	if err != nil {
		return fmt.Errorf("run %s: %w", st.name, err)
	}
	return nil
}

// batch records the rows that one prepared statement changed as one execution
// of st, as a database with array binds would count them.
func (t *tracer) batch(ctx context.Context, st *statement, do func(rows *int64) error) error {
	start := time.Now()
	var rows int64
	err := do(&rows)
	if rows > 0 || err != nil {
		t.end(ctx, st, time.Since(start), 0, rows, err, "")
	}
	return err
}
