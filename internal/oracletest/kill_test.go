package oracletest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

func TestFaultKillSessions(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 2)
	entered := make(chan struct{}, 1)
	slow := blocked(entered)
	h.on("SELECT slow FROM t", func(ctx context.Context, c *Call) (*Result, error) {
		if c.Session.ID == 1 {
			return slow(ctx, c)
		}
		return &Result{Columns: []Column{{Name: "SLOW"}}}, nil
	})
	wantOne(t, db)
	var wg sync.WaitGroup
	wg.Go(func() { // go-ora calls ORA-00028 a bad connection, and database/sql asks again on another
		rows, err := db.QueryContext(t.Context(), "SELECT slow FROM t")
		if err != nil {
			t.Errorf("the running call got %v", err)
			return
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})
	<-entered
	if n := s.KillSessions(); n < 1 {
		t.Errorf("%d killed", n)
	}
	wg.Wait()
	await(t, "the killed session ends", func() bool { return s.Stats().SessionsClosed == 1 })
	if st := s.Stats(); st.Errors[28] != 1 {
		t.Errorf("counted %+v", st)
	}
	wantOne(t, db)
	s.KillSessions() // now idle: the next call finds out
	if err := one(t.Context(), db); err != nil && code(err) != 28 {
		t.Error(err)
	}
	wantOne(t, db)
}

func TestFaultDropSessions(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	wantOne(t, db)
	if n := s.DropSessions(); n != 1 {
		t.Errorf("%d dropped", n)
	}
	await(t, "the session ends", func() bool { return s.Stats().Sessions == 0 })
	_ = one(t.Context(), db) // the pool finds the connection dead
	wantOne(t, db)
}

func TestFaultSessionLimit(t *testing.T) {
	s := start(t, Config{MaxSessions: 1})
	db := open(t, s, 2)
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	wantCode(t, one(t.Context(), db), 20)
	s.SessionLimit(0)
	wantOne(t, db)
}

func TestBreakEndsACall(t *testing.T) {
	if raceDetector {
		t.Skip("go-ora 2.8.24 races with itself when a context ends (network/session.go: breakConn)")
	}
	for _, byMarker := range []bool{false, true} {
		h := &script{}
		s := start(t, Config{Handler: h})
		s.ErrorsByMarker(byMarker)
		db := open(t, s, 1)
		entered := make(chan struct{}, 1)
		h.on("SELECT slow FROM t", blocked(entered))
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-entered; cancel() }()
			_, err := db.QueryContext(ctx, "SELECT slow FROM t")
			wantCode(t, err, 1013)
			cancel()
			wantOne(t, db)
		}
		if st := s.Stats(); st.Breaks != 20 || st.SessionsOpened != 1 {
			t.Errorf("%+v", st)
		}
	}
}

func TestFaultDeafToBreaks(t *testing.T) {
	if raceDetector {
		t.Skip("go-ora 2.8.24 races with itself when a context ends (network/session.go: breakConn)")
	}
	h := &script{}
	s := start(t, Config{Handler: h})
	s.DeafToBreaks(true)
	db := open(t, s, 1)
	entered, leave := make(chan struct{}), make(chan struct{})
	h.on("SELECT slow FROM t", func(ctx context.Context, _ *Call) (*Result, error) {
		close(entered)
		select {
		case <-ctx.Done():
		case <-leave:
		}
		return &Result{Columns: []Column{{Name: "SLOW"}}}, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		rows, err := db.QueryContext(ctx, "SELECT slow FROM t")
		if err == nil {
			err = rows.Close()
		}
		done <- err
	}()
	<-entered
	packets := s.Stats().PacketsIn
	cancel()
	await(t, "the break arrives", func() bool { return s.Stats().PacketsIn > packets })
	select {
	case err := <-done:
		t.Errorf("the call ended with %v while the server was deaf", err)
	default:
	}
	close(leave)
	if err := <-done; code(err) == 1013 {
		t.Errorf("a deaf server answered the break: %v", err)
	}
}

func TestTCPS(t *testing.T) {
	s := start(t, Config{TLS: certificate(t)})
	wantOne(t, open(t, s, 1, "SSL=true", "SSL VERIFY=false"))
	if err := one(t.Context(), open(t, s, 1, "SSL=true")); err == nil {
		t.Error("an unknown authority was trusted")
	}
}

// certificate makes one that nobody trusts.
func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Close ends a call that runs, and its handler sees it.
func TestCloseEndsHandlers(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	entered := make(chan struct{}, 1)
	h.on("SELECT slow FROM t", blocked(entered))
	done := make(chan error, 1)
	go func() {
		_, err := db.QueryContext(t.Context(), "SELECT slow FROM t")
		done <- err
	}()
	<-entered
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the call ended well")
	}
}

// Breaks at the edge of a call: whichever comes first, no later call gets another's answer. A break that comes too late
// may take the next call with it, as ORA-01013.
func TestLateBreaksNeverShiftAnswers(t *testing.T) {
	if raceDetector {
		t.Skip("go-ora 2.8.24 races with itself when a context ends (network/session.go: breakConn)")
	}
	const q = "SELECT :n FROM DUAL"
	entered := make(chan struct{}, 1)
	s := start(t, Config{Handler: HandlerFunc(func(_ context.Context, c *Call) (*Result, error) {
		select {
		case entered <- struct{}{}:
		default:
		}
		return &Result{Columns: []Column{{Name: "N", Type: Number}}, Rows: [][]Value{c.Rows[0]}}, nil
	})})
	db := open(t, s, 1)
	ask := func(ctx context.Context, n int) {
		t.Helper()
		var got int
		if err := db.QueryRowContext(ctx, q, n).Scan(&got); err == nil && got != n {
			t.Fatalf("asked %d, got %d", n, got)
		}
	}
	for i := range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); <-entered; cancel() }()
		ask(ctx, 2*i)
		select { // the query may have been cut off before it came to the handler
		case entered <- struct{}{}:
		case <-done:
		}
		<-done
		select {
		case <-entered:
		default:
		}
		ask(t.Context(), 2*i+1)
	}
	if s.Stats().Breaks == 0 {
		t.Error("no break came in time")
	}
}
