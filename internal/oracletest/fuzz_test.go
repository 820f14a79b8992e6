package oracletest

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"testing"
	"time"
)

// recorded is what go-ora sends from its first packet on.
func recorded(f testing.TB) []byte {
	f.Helper()
	s, err := Start(Config{Handler: &script{}})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	sent := make(chan []byte)
	go func() {
		var b bytes.Buffer
		defer func() { sent <- b.Bytes() }()
		from, err := listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
		_, _ = io.Copy(io.MultiWriter(to, &b), from)
		_ = to.Close()
	}()
	db, err := sql.Open("oracle", "oracle://tomehub:secret@"+listener.Addr().String()+"/FREEPDB1")
	if err != nil {
		f.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	_, _ = db.ExecContext(f.Context(), "INSERT INTO t VALUES (:a, :b, :c)", 1, "two", time.Unix(3, 0))
	_, _ = db.ExecContext(f.Context(), "INSERT INTO t VALUES (:a)", []string{"x", "y"})
	_ = db.Close()
	_ = listener.Close()
	return <-sent
}

// offline is a connection that is logged in, its client's messages being b.
func offline(b []byte) *conn {
	h := HandlerFunc(func(_ context.Context, c *Call) (*Result, error) {
		if parseStatement(c.SQL).kind == query {
			return &Result{Columns: everyType, Rows: make([][]Value, 0)}, nil
		}
		return &Result{Affected: int64(len(c.Rows))}, nil
	})
	s := &Server{cfg: Config{Handler: h}, conns: map[*conn]bool{}}
	s.cfg.fill()
	s.counters.stats = newStats()
	s.faults.maxCursors = 10
	c := &conn{srv: s, nc: nowhere{}, in: newInbox(), cursors: map[int]*cursor{}, budget: -1, version: ttcVersion, counted: true}
	c.r = *overBytes(b)
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.sess = &Session{ID: 1, Values: map[string]any{}, Settings: map[string]string{}}
	c.cursors[1] = &cursor{id: 1, statement: parseStatement("SELECT c FROM t WHERE a = :a"), binds: []bind{{wire: wireNumber}}, columns: everyType}
	return c
}

// nowhere is a connection that takes everything.
type nowhere struct{ net.Conn }

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Close() error                { return nil }

// FuzzExecute feeds messages of a client that is logged in: none may panic the server or keep it busy.
func FuzzExecute(f *testing.F) {
	for _, p := range packetsOf(recorded(f)) {
		if p.kind == packetData && len(p.body) > 2 {
			f.Add(p.body[2:])
		}
	}
	var w writer
	w.put(17, 0x69, 0, 1)
	w.ub(1, 1)
	w.put(3, 0x93, 0)
	f.Add(w.b)
	w.reset()
	w.put(3, 0x4E, 0)
	w.ub(1, 5, 0, 0)
	w.put(7, 2, 0xC1, 2)
	f.Add(w.b)
	w.reset()
	w.put(3, 0x60, 0, 1)
	w.ub(40)
	w.put(0)
	w.ub(0, 0, 0)
	w.put(1, 0, 1)
	w.ub(lobCreateTemp)
	w.put(0)
	w.ub(0, 1, 0x70)
	w.put(1)
	w.zeros(6 + locatorSize)
	w.ub(charsetUTF8, 10)
	f.Add(w.b)
	f.Fuzz(func(_ *testing.T, b []byte) { _ = offline(b).loop() })
}

// FuzzPacket feeds a whole connection: CONNECT, the negotiations, the login.
func FuzzPacket(f *testing.F) {
	whole := recorded(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{0, 58, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		s := &Server{cfg: Config{}, conns: map[*conn]bool{}}
		s.cfg.fill()
		s.counters.stats = newStats()
		s.ctx, s.cancel = context.WithCancel(context.Background())
		defer s.cancel()
		s.serve(&replay{Reader: bytes.NewReader(b)})
	})
}

// A client that goes on sending after its session has ended does not hold the server back.
func TestFloodedSessionEnds(t *testing.T) {
	s := start(t, Config{})
	connect := packetsOf(recorded(t))[0]
	b := appendPacket(nil, connect.kind, false, connect.body)
	for range 2 * maxQueued / sdu {
		b = appendPacket(b, packetData, true, make([]byte, sdu))
	}
	s.serve(&replay{Reader: bytes.NewReader(b)})
	if n := s.Stats().PacketsIn; n < maxQueued/sdu {
		t.Errorf("%d packets were read; the queue was never full", n)
	}
}

// replay is a connection whose client said everything at once, and left.
type replay struct {
	nowhere
	*bytes.Reader
}

func (r *replay) Read(b []byte) (int, error)  { return r.Reader.Read(b) }
func (r *replay) Write(b []byte) (int, error) { return len(b), nil }

func packetsOf(b []byte) (all []packet) {
	r := bytes.NewReader(b)
	for wide := false; ; {
		p, err := readPacket(r, wide)
		if err != nil {
			return all
		}
		all = append(all, p)
		wide = true
	}
}

// FuzzStatement: the walk over SQL ends, whatever the text.
func FuzzStatement(f *testing.F) {
	f.Add("SELECT a FROM t WHERE b = :b AND c = 'it''s :no' -- :no")
	f.Add("q'[")
	f.Add("BEGIN :x := :y; END;")
	f.Add("/* tomehub:a */")
	f.Fuzz(func(_ *testing.T, text string) {
		parseStatement(text)
		words(text)
		settings(text)
	})
}

// FuzzNumber: what decodes encodes to what decodes alike.
func FuzzNumber(f *testing.F) {
	f.Add([]byte{0xC1, 2})
	f.Add([]byte{0x3E, 100, 102})
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeNumber(b)
		if err != nil {
			return
		}
		again, err := encodeNumeric(v)
		if err != nil {
			return // beyond NUMBER's range
		}
		if w, err := decodeNumber(again); err != nil || asFloat(w) != asFloat(v) {
			t.Errorf("% x is %v, and again % x is %v (%v)", b, v, again, w, err)
		}
	})
}

// asFloat: the least digits of a number that is not whole are a float's, and may round to a whole one.
func asFloat(v Value) float64 {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v.(float64)
}
