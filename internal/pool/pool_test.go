package pool

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestString(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		if got := openTest(t, change).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(func(c *Config) {}, "Database pools: read 5-50, write 2-10, timeout=30s") // the plan's line for phase C
	f(func(c *Config) { c.Single, c.Read = true, Bounds{Min: 5, Size: 40} }, "Database pool: min=5, max=40, timeout=30s")
	f(func(c *Config) { c.Timeout = 90 * time.Second }, "Database pools: read 5-50, write 2-10, timeout=90s")         // seconds, as the setting
	f(func(c *Config) { c.Timeout = 250 * time.Millisecond }, "Database pools: read 5-50, write 2-10, timeout=0.25s") // the lab's scaled times
}

func TestAcquireErrorNamesItsBound(t *testing.T) {
	ps := openTest(t, func(c *Config) {
		c.Read = Bounds{Size: 1, Queue: 1, SizeSetting: "DB_POOL_READ_SIZE"}
		c.Timeout = 20 * time.Millisecond
	})
	held := acquire(t, ps.Read())

	_, err := ps.Read().Acquire(t.Context())
	var ae *AcquireError
	if !errors.As(err, &ae) || !errors.Is(err, ErrExhausted) {
		t.Fatalf("timeout: %v", err)
	}
	want := AcquireError{Pool: "read", Reason: ReasonTimeout, Setting: "DB_POOL_READ_SIZE", Size: 1, Queue: 1, Waited: ae.Waited, cause: ErrExhausted}
	if *ae != want || ae.Waited < 20*time.Millisecond {
		t.Errorf("got %+v", *ae)
	}
	ae.Waited = 30 * time.Second
	if got, want := ae.Error(), "wait for one of 1 read connections (DB_POOL_READ_SIZE) for 30s: pool exhausted"; got != want {
		t.Errorf("got %q", got)
	}

	ps.cfg.Timeout = time.Hour
	ctx, leave := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := ps.Read().Acquire(ctx)
		done <- err
	}()
	await(t, "a waiter", func() bool { return ps.Stats()[0].Waiting == 1 })
	_, err = ps.Read().Acquire(t.Context())
	if got, want := err.Error(), "wait for one of 1 read connections (DB_POOL_READ_SIZE): 1 callers wait already: pool exhausted"; got != want || !errors.Is(err, ErrExhausted) {
		t.Errorf("queue full: %q", got)
	}
	gone := errors.New("client went away")
	leave(gone)
	if err := <-done; !errors.As(err, &ae) || ae.Reason != ReasonCancelled || !errors.Is(err, gone) || errors.Is(err, ErrExhausted) {
		t.Errorf("cancelled: %v", err)
	}
	held.Release()
	acquire(t, ps.Read()).Release()
}

// What cannot be served in time is refused at once, unless work has been put into it.
func TestAcquireShedsWhatWouldWaitTooLong(t *testing.T) {
	ps := openTest(t, func(c *Config) {
		c.Read = Bounds{Size: 1, Queue: 8, SizeSetting: "DB_POOL_READ_SIZE", MaxWait: time.Microsecond, MaxWaitSetting: "DB_POOL_SHED_WAIT"}
	})
	held := acquire(t, ps.Read())
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 2)
	wait := func(take func(context.Context) (*Conn, error)) {
		before := ps.Stats()[0].Waiting
		go func() {
			c, err := take(ctx)
			if err == nil {
				c.Release()
			}
			done <- err
		}()
		await(t, "a waiter", func() bool { return ps.Stats()[0].Waiting == before+1 })
	}
	wait(ps.Read().Acquire) // the first in line
	_, err := ps.Read().Acquire(t.Context())
	var ae *AcquireError
	if !errors.As(err, &ae) || !errors.Is(err, ErrExhausted) {
		t.Fatalf("got %v", err)
	}
	want := AcquireError{Pool: "read", Reason: ReasonShed, Setting: "DB_POOL_SHED_WAIT", Size: 1, Queue: 8, MaxWait: time.Microsecond, Predicted: ae.Predicted, cause: ErrExhausted}
	if *ae != want || ae.Predicted <= ae.MaxWait {
		t.Errorf("got %+v", *ae)
	}
	ae.MaxWait, ae.Predicted = 500*time.Millisecond, 640*time.Millisecond
	if got, want := ae.Error(), "wait for one of 1 read connections: it would take about 640ms, more than 500ms (DB_POOL_SHED_WAIT): pool exhausted"; got != want {
		t.Errorf("got %q", got)
	}
	wait(ps.Read().AcquireStarted)
	if s := ps.Stats()[0]; s.Shed != 1 || s.Waiting != 2 {
		t.Errorf("%+v", s)
	}
	leave()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	held.Release()
}

func TestBusy(t *testing.T) {
	ps := openTest(t, nil)
	c := acquire(t, ps.Read())
	if ps.Read().Busy() {
		t.Error("busy with a slot and no statement")
	}
	rows, err := c.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if !ps.Read().Busy() || ps.Write().Busy() {
		t.Error("a statement makes its own pool busy, and no other")
	}
	if err := rows.Close(); err != nil || ps.Read().Busy() {
		t.Errorf("busy after its end: %v", err)
	}
}

func TestAcquireCancelled(t *testing.T) {
	ps := openTest(t, nil)
	gone := errors.New("client went away")
	ctx, leave := context.WithCancelCause(t.Context())
	leave(gone)
	_, err := ps.Read().Acquire(ctx)
	if !errors.Is(err, gone) || errors.Is(err, ErrExhausted) {
		t.Errorf("got %v", err)
	}
	if got, want := err.Error(), "wait for one of 50 read connections (DB_POOL_READ_SIZE) for 0s: client went away"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestConnLifeCycle(t *testing.T) {
	ps := openTest(t, nil)
	c := acquire(t, ps.Read())
	rows, err := c.Query(t.Context(), "SELECT 1 UNION ALL SELECT 2")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, ErrBusy) {
		t.Errorf("second statement while rows are open: %v", err)
	}
	if err := errors.Join(rows.Close(), rows.Close()); err != nil {
		t.Error(err)
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("closed rows: %v", rows.Err())
	}
	if got := ask[int](t, c, "SELECT 3"); got != 3 {
		t.Errorf("got %d", got)
	}
	if _, err := c.Query(t.Context(), "SELEC"); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("got %v", err)
	}

	// A fault at the second row is no end of the rows.
	if rows, err = c.Query(t.Context(), "SELECT abs(column1) FROM (VALUES(1),(-9223372036854775808))"); err != nil || !rows.Next() {
		t.Fatal(err)
	}
	if rows.Next() || rows.Err() == nil || !strings.Contains(rows.Err().Error(), "integer overflow") {
		t.Errorf("fault in the rows: %v", rows.Err())
	}

	// Rows left open end with the release, and say so.
	if rows, err = c.Query(t.Context(), "SELECT 1 UNION ALL SELECT 2"); err != nil || !rows.Next() {
		t.Fatal(err)
	}
	c.Release()
	c.Release()
	if rows.Next() || !errors.Is(rows.Err(), ErrReleased) {
		t.Errorf("rows after release: %v", rows.Err())
	}
	var v int
	if err := rows.Scan(&v); !errors.Is(err, ErrReleased) {
		t.Errorf("scan after release: %v", err)
	}
	_, err1 := c.Query(t.Context(), "SELECT 1")
	_, err2 := c.Exec(t.Context(), "SELECT 1")
	_, err3 := c.Begin(t.Context())
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrReleased) {
			t.Errorf("use after release: %v", err)
		}
	}
	if s := ps.Stats()[0]; s.InUse != 0 || s.PhysicalInUse != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPanicKeepsSlots(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read.Size, c.Read.Min = 2, 1 })
	for range 10 {
		func() {
			defer func() { _ = recover() }()
			c := acquire(t, ps.Read())
			defer c.Release()
			rows, err := c.Query(t.Context(), "SELECT 1 UNION ALL SELECT 2")
			if err != nil || !rows.Next() {
				t.Error(err)
			}
			panic("holder")
		}()
		func() {
			defer func() { _ = recover() }()
			c := acquire(t, ps.Write())
			defer c.Release()
			if _, err := c.Begin(t.Context()); err != nil {
				t.Error(err)
			}
			panic("holder in a transaction")
		}()
	}
	exec(t, ps, "CREATE TABLE t(a)") // the writer's lock is free
}

func TestSinglePoolSharesSlots(t *testing.T) {
	ps := openTest(t, func(c *Config) {
		c.Single, c.Read, c.Timeout = true, Bounds{Min: 1, Size: 2, SizeSetting: "DB_POOL_SIZE"}, 10*time.Millisecond
	})
	r, w := acquire(t, ps.Read()), acquire(t, ps.Write())
	for _, p := range []*Pool{ps.Read(), ps.Write()} {
		if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrExhausted) || !strings.Contains(err.Error(), "2 main connections (DB_POOL_SIZE)") {
			t.Errorf("third: %v", err)
		}
	}
	if _, err := w.Exec(t.Context(), "CREATE TABLE t(a)"); err != nil {
		t.Error(err)
	}
	if _, err := r.Exec(t.Context(), "INSERT INTO t VALUES(1)"); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a reader wrote: %v", err)
	}
	stats := ps.Stats()
	if len(stats) != 1 || stats[0].Name != "main" || stats[0].InUse != 2 || stats[0].TimedOut != 2 || stats[0].Physical != 3 {
		t.Errorf("%+v", stats)
	}
}

func TestClosed(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read.Size, c.Read.Min = 1, 1 })
	c := acquire(t, ps.Read())
	w := acquire(t, ps.Write())
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiter := make(chan error)
	go func() {
		_, err := ps.Read().Acquire(t.Context())
		waiter <- err
	}()
	await(t, "a waiter", func() bool { return ps.Stats()[0].Waiting == 1 })
	if err := errors.Join(ps.Close(), ps.Close()); err != nil {
		t.Error(err)
	}
	if err := <-waiter; !errors.Is(err, ErrClosed) {
		t.Errorf("waiter: %v", err)
	}
	if _, err := ps.Read().Acquire(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("acquire: %v", err)
	}
	if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, ErrClosed) {
		t.Errorf("query: %v", err)
	}
	// What is under way may finish.
	if _, err := tx.Exec(t.Context(), "CREATE TABLE t(a)"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	c.Release()
	w.Release()
}

func TestStatsJSON(t *testing.T) {
	s := Stats{
		Name: "read", Min: 5, Size: 50, Queue: 400, InUse: 3, Idle: 47, Waiting: 2, Acquired: 9, Waits: 4, TimedOut: 1, QueueFull: 1, Shed: 2, Cancelled: 1,
		WaitTotal: 1500 * time.Microsecond, WaitMax: time.Millisecond, Recycled: 6, Opened: 11, Physical: 5, PhysicalOpen: 5, PhysicalInUse: 1,
		PhysicalWaiting: 1, PhysicalWaits: 7, PhysicalWaitTotal: 2 * time.Second, PhysicalWaitMax: time.Second,
	}
	got, err := json.Marshal([]Stats{s})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"read","min":5,"size":50,"queue":400,"in_use":3,"idle":47,"waiting":2,"acquired":9,"waits":4,"timed_out":1,"queue_full":1,"shed":2,"cancelled":1,` +
		`"wait_total_ms":1.5,"wait_max_ms":1,"recycled":6,"opened":11,"physical":5,"physical_open":5,"physical_in_use":1,"physical_waiting":1,` +
		`"physical_waits":7,"physical_wait_total_ms":2000,"physical_wait_max_ms":1000}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestStatementsBorrowInOrder(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read = Bounds{Min: 1, Size: 20} })
	links := ps.read.links
	var held []*link
	for range links.size { // all physical readers are out
		k, _, err := links.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, k)
	}
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			c := acquire(t, ps.Read())
			defer c.Release()
			rows, err := c.Query(t.Context(), "SELECT 1")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			rows.Close()
		})
		await(t, "one more waiting", func() bool { return ps.Stats()[0].PhysicalWaiting == i+1 })
	}
	if s := ps.Stats()[0]; s.InUse != 10 || s.Waiting != 0 || s.PhysicalInUse != links.size || s.PhysicalWaiting != 10 {
		t.Errorf("%+v", s)
	}
	links.giveBack(held[0]) // one serves them all, in turn
	wg.Wait()
	for _, k := range held[1:] {
		links.giveBack(k)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, order); diff != "" {
		t.Error(diff)
	}
	if s := ps.Stats()[0]; s.PhysicalWaits != 10 || s.PhysicalWaitMax <= 0 || s.PhysicalWaitTotal < s.PhysicalWaitMax {
		t.Errorf("%+v", s)
	}
}
