package pool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// fakeDriver opens connections that do nothing but count, so that ageing can
// be tested with synctest's clock, which a real database does not follow.
type fakeDriver struct {
	mu        sync.Mutex // guards all below
	open, low int        // connections open now; fewest ever after the start
	started   bool
	refuse    error // what Connect gives instead of a connection
}

func (d *fakeDriver) Driver() driver.Driver { return nil }

func (d *fakeDriver) Connect(context.Context) (driver.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	d.open++
	return &fakeConn{driver: d, valid: true}, nil
}

func (d *fakeDriver) setRefuse(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

func (d *fakeDriver) counts() (open, low int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, d.low
}

type fakeConn struct {
	driver *fakeDriver
	valid  bool
	closed bool
	inTx   bool
}

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not here") }
func (c *fakeConn) Begin() (driver.Tx, error)           { return nil, errors.New("not here") }
func (c *fakeConn) IsValid() bool                       { return c.valid }
func (c *fakeConn) Close() error {
	c.driver.mu.Lock()
	defer c.driver.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.driver.open--
		if c.driver.started {
			c.driver.low = min(c.driver.low, c.driver.open)
		}
	}
	return nil
}

// BeginTx gives the transaction only after its context has ended, as a driver
// may, and takes its time over the roll-back.
func (c *fakeConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	<-ctx.Done()
	c.inTx = true
	return c, nil
}

func (c *fakeConn) Commit() error { return errors.New("not here") }

func (c *fakeConn) Rollback() error {
	<-time.After(10 * time.Millisecond)
	c.inTx = false
	return nil
}

func (c *fakeConn) ResetSession(context.Context) error { return nil }

// newFakeLinks opens links of that size on a fake driver, with a keeper that ends with the test.
func newFakeLinks(t *testing.T, size, warm int, recycle time.Duration) (*links, *fakeDriver, *strings.Builder) {
	t.Helper()
	d := &fakeDriver{}
	source := &connector{base: d}
	log := &strings.Builder{}
	ctx, cancel := context.WithCancel(t.Context())
	l := &links{
		name: "reader", size: size, min: warm, recycle: recycle, source: source, db: sql.OpenDB(source),
		gate: gate.New(size, 64), log: slog.New(slog.NewTextHandler(log, nil)), ctx: ctx, wake: make(chan struct{}, 1),
	}
	l.db.SetMaxIdleConns(-1)
	if err := l.warm(ctx); err != nil {
		t.Fatal(err)
	}
	d.low, d.started = d.open, true
	var keeper sync.WaitGroup
	keeper.Go(l.keep)
	t.Cleanup(func() {
		cancel()
		keeper.Wait()
		d.started = false
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if open, _ := d.counts(); open != 0 {
			t.Errorf("%d connections open after close", open)
		}
	})
	return l, d, log
}

func TestWarmMinimumWhenAllExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 5, 5, time.Hour)
		l.mu.Lock()
		for _, k := range l.free {
			k.expires = time.Now().Add(time.Minute)
		}
		l.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		open, low := d.counts()
		if open != 5 || low != 5 {
			t.Errorf("open %d, fewest %d: want 5 all the time", open, low)
		}
		if got := l.recycled.Load(); got != 5 {
			t.Errorf("recycled %d, want 5", got)
		}
	})
}

func TestRecycleJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := newFakeLinks(t, 200, 200, time.Hour)
		lowest, highest := time.Duration(1<<62), time.Duration(0)
		l.mu.Lock()
		for _, k := range l.free {
			age := time.Until(k.expires)
			lowest, highest = min(lowest, age), max(highest, age)
		}
		l.mu.Unlock()
		if lowest < 54*time.Minute || highest > 66*time.Minute {
			t.Errorf("ages %v to %v, want within 54m to 66m", lowest, highest)
		}
		if highest-lowest < 8*time.Minute {
			t.Errorf("ages %v to %v hardly differ", lowest, highest)
		}
		time.Sleep(53 * time.Minute)
		if got := l.recycled.Load(); got != 0 {
			t.Errorf("%d recycled before their time", got)
		}
		time.Sleep(14 * time.Minute)
		synctest.Wait()
		if got := l.recycled.Load(); got != 200 {
			t.Errorf("%d of 200 recycled after 67m", got)
		}
	})
}

func TestRecycleWhileAlwaysBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 2, 2, time.Minute)
		end := time.Now().Add(5 * time.Minute)
		var wg sync.WaitGroup
		for range 6 { // three for each connection: the keeper never finds one idle
			wg.Go(func() {
				for time.Now().Before(end) {
					k, _, err := l.borrow(t.Context(), 0)
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Second)
					if age := time.Since(k.expires); age > time.Second {
						t.Errorf("in use %v after its time", age)
					}
					l.giveBack(k)
				}
			})
		}
		wg.Wait()
		open, low := d.counts()
		if open != 2 || low != 2 {
			t.Errorf("open %d, fewest %d, want 2", open, low)
		}
		if got := l.recycled.Load(); got < 8 || got > 12 {
			t.Errorf("recycled %d in 5 minutes, want 8 to 12", got)
		}
	})
}

func TestRecycleKeepsOldWhenNoneCanBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, log := newFakeLinks(t, 3, 3, time.Hour)
		d.setRefuse(errors.New("no more files"))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if open, low := d.counts(); open != 3 || low != 3 {
			t.Errorf("open %d, fewest %d while none can be opened, want 3", open, low)
		}
		if !strings.Contains(log.String(), "connection not replaced") || !strings.Contains(log.String(), "no more files") {
			t.Errorf("log: %s", log)
		}
		if n := strings.Count(log.String(), "\n"); n > 100 {
			t.Errorf("%d lines logged in 3 hours", n)
		}
		d.setRefuse(nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := l.recycled.Load(); got != 3 {
			t.Errorf("recycled %d once it works again, want 3", got)
		}
	})
}

func TestBrokenConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 3, 3, 0)
		k, _, err := l.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		k.raw.Conn.(*fakeConn).valid = false
		l.giveBack(k)
		if open, low := d.counts(); open != 3 || low != 3 || l.recycled.Load() != 1 {
			t.Errorf("open %d, fewest %d, recycled %d", open, low, l.recycled.Load())
		}

		// None can be opened: the broken one goes all the same, and the keeper makes good later.
		d.setRefuse(errors.New("no more files"))
		if k, _, err = l.borrow(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		k.raw.Conn.(*fakeConn).valid = false
		l.giveBack(k)
		if open, _ := d.counts(); open != 2 {
			t.Errorf("open %d, want 2", open)
		}
		d.setRefuse(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if open, _ := d.counts(); open != 3 {
			t.Errorf("open %d a minute later, want 3", open)
		}
	})
}

func TestBorrowOpensUpToSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 4, 1, 0)
		var held []*link
		for range 4 {
			k, _, err := l.borrow(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, k)
		}
		if _, _, err := l.borrow(t.Context(), time.Second); !errors.Is(err, ErrExhausted) {
			t.Errorf("fifth: %v", err)
		}
		for _, k := range held {
			l.giveBack(k)
		}
		if open, _ := d.counts(); open != 4 {
			t.Errorf("open %d, want 4: what burst once stays warm", open)
		}
		d.setRefuse(errors.New("no more files"))
		for range 4 {
			k, _, err := l.borrow(t.Context(), 0)
			if err != nil {
				t.Fatalf("a warm connection needs no opening: %v", err)
			}
			k.broken = true
			l.giveBack(k)
		}
		if _, _, err := l.borrow(t.Context(), 0); err == nil || err.Error() != "open reader connection: no more files" {
			t.Errorf("none to be had: %v", err)
		}
		if g := l.gate.Snapshot(); g.InUse != 0 {
			t.Errorf("%d in use after a failed opening", g.InUse)
		}
	})
}

func TestCloseWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d, _ := newFakeLinks(t, 2, 2, 0)
		k, _, err := l.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if open, _ := d.counts(); open != 1 {
			t.Errorf("open %d, want the one in use", open)
		}
		l.giveBack(k)
		if open, _ := d.counts(); open != 0 {
			t.Errorf("open %d after it was given back", open)
		}
		if _, _, err := l.borrow(t.Context(), 0); !errors.Is(err, ErrClosed) {
			t.Errorf("borrow: %v", err)
		}
	})
}

// database/sql rolls a transaction back in a goroutine of its own when its
// context ends; nobody may get the connection before that is over.
func TestBeginThatCameTooLate(t *testing.T) { // in real time: database/sql waits for the roll-back with a lock, which stops synctest's clock
	l, _, _ := newFakeLinks(t, 1, 1, 0)
	ps := &Pools{cfg: Config{Timeout: time.Minute}, ctx: l.ctx}
	p := &Pool{name: "write", gate: gate.New(2, 8), links: l, pools: ps}
	for range 5 {
		c, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if _, err := c.Begin(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("begin: %v", err)
		}
		cancel()
		k, _, err := l.borrow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if k.raw.Conn.(*fakeConn).inTx {
			t.Fatal("the connection still is in the old transaction")
		}
		l.giveBack(k)
		c.Release()
	}
}
