package pool

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// actions answers like numbers and notes the action that the session shows meanwhile, per tag.
type actions struct {
	numbers
	mu   sync.Mutex // guards seen
	seen []string   // "tag action"
}

func (h *actions) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	h.mu.Lock()
	h.seen = append(h.seen, c.Tag+" "+c.Session.Action)
	h.mu.Unlock()
	return h.numbers.Serve(ctx, c)
}

// take returns what was noted since it was last called.
func (h *actions) take() (seen []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen, h.seen = h.seen, nil
	return seen
}

// oneSession opens a pool of one session for everything, showing kinds.
func oneSession(t testing.TB, s *oracletest.Server, kinds Kinds, log *bytes.Buffer) *Pools {
	t.Helper()
	return openOracle(t, s, func(c *Config, o *Oracle) {
		c.Single, c.Read.Min, c.Read.Size = true, 1, 1
		if log != nil {
			c.Logger = slog.New(slog.NewTextHandler(log, nil))
		}
		o.Kinds = kinds
	})
}

func wantAction(t testing.TB, s *oracletest.Server, want string) {
	t.Helper()
	for _, sess := range s.Sessions() {
		if sess.Action != want || sess.Module != "tomehub" {
			t.Errorf("session %d shows module %q, action %q, want tomehub, %q", sess.ID, sess.Module, sess.Action, want)
		}
	}
}

// trips returns how many calls f makes and how many of them say a kind.
func trips(s *oracletest.Server, f func()) (calls, labels int64) {
	s.ResetStats()
	f()
	for call, n := range s.Stats().Calls {
		switch call {
		case "end_to_end":
			labels += n
		case "close_cursors", "free_lobs": // these ride along too
		default:
			calls += n
		}
	}
	return calls, labels
}

// The kind is there while the statement runs, and costs no call.
func TestOracleKindsAreShown(t *testing.T) {
	h := &actions{}
	s := double(t, h)
	ps := oneSession(t, s, FreeKinds, nil)
	wantAction(t, s, "main") // opened for nobody in particular
	c := acquire(t, ps.Read())
	ask := func(kind string) {
		t.Helper()
		if got, err := queryOn(WithKind(t.Context(), kind), c, 4); err != nil || got != 4 {
			t.Errorf("%q: got %d, %v", kind, got, err)
		}
	}
	plain, _ := trips(s, func() { ask("") })
	for _, k := range []struct {
		kind, shown string
		labels      int64
	}{
		{"search", "search", 1},
		{"search", "search", 0}, // nothing changed
		{"content", "content", 1},
		{"", "main", 1}, // nobody's work
		{strings.Repeat("k", longestKind), strings.Repeat("k", longestKind), 1},
		{strings.Repeat("k", longestKind+1), "main", 1}, // would not fit into every packet
		{"it's", "main", 0},
		{"größe", "main", 0},
		{"search", "search", 1},
	} {
		h.take()
		calls, labels := trips(s, func() { ask(k.kind) })
		if calls != plain || labels != k.labels {
			t.Errorf("%q: %d calls and %d labels, want %d and %d", k.kind, calls, labels, plain, k.labels)
		}
		if got, want := h.take(), []string{"echo " + k.shown}; !slices.Equal(got, want) {
			t.Errorf("%q: the database saw %q, want %q", k.kind, got, want)
		}
		wantAction(t, s, k.shown) // an idle session shows what it was last for
	}
}

func TestOracleKindsInATransaction(t *testing.T) {
	h := &actions{}
	s := double(t, h)
	ps := oneSession(t, s, FreeKinds, nil)
	ctx := WithKind(t.Context(), "ingest")
	c := acquire(t, ps.Write())
	_, labels := trips(s, func() {
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		h.take()
		st, err := tx.Prepare(ctx, insert)
		if err != nil {
			t.Fatal(err)
		}
		long := slices.Repeat([]string{strings.Repeat("x", 3000)}, 50) // over many packets, each as full as it gets
		for range 2 {
			if _, err := st.Exec(ctx, long); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
	if got, want := h.take(), []string{"insert ingest", "insert ingest"}; !slices.Equal(got, want) || labels != 1 {
		t.Errorf("the database saw %q with %d labels, want %q with one", got, labels, want)
	}
	wantAction(t, s, "ingest")
	c.Release()
	wantRight(t, ps, 9)
}

// A session that takes another's place knows nothing of what that one showed.
func TestOracleKindsAfterRenewal(t *testing.T) {
	h := &actions{}
	s := double(t, h)
	ps := oneSession(t, s, FreeKinds, nil)
	c := acquire(t, ps.Read())
	ctx := WithKind(t.Context(), "search")
	for _, end := range []func(){func() {}, func() { s.KillSessions() }, func() { s.DropSessions() }} {
		end()
		h.take()
		if got, err := queryOn(ctx, c, 5); err != nil || got != 5 {
			t.Fatalf("got %d, %v", got, err)
		}
		if seen := h.take(); len(seen) == 0 || seen[len(seen)-1] != "echo search" {
			t.Errorf("the database saw %q", seen)
		}
	}
}

// The first session finds out what the database does with labels; no later one sends what that does not take.
func TestOracleKindsWhereTheyAreNotTaken(t *testing.T) {
	for name, how := range map[string]oracletest.EndToEnd{
		"ignored": oracletest.EndToEndIgnored, "unknown": oracletest.EndToEndUnknown, "stuck": oracletest.EndToEndStuck,
	} {
		t.Run(name, func(t *testing.T) {
			if how == oracletest.EndToEndStuck && testing.Short() {
				t.Skip("takes as long as a database that does not answer is waited for")
			}
			h, log := &actions{}, &bytes.Buffer{}
			s := double(t, h)
			s.TakeEndToEnd(how)
			ps := oneSession(t, s, FreeKinds, log)
			ctx := WithKind(t.Context(), "search")
			c := acquire(t, ps.Read())
			for range 3 {
				h.take()
				if got, err := queryOn(ctx, c, 5); err != nil || got != 5 {
					t.Errorf("got %d, %v", got, err)
				}
				if seen := h.take(); seen[len(seen)-1] != "echo main" {
					t.Errorf("the database saw %q", seen)
				}
				s.DropSessions()
			}
			if n := strings.Count(log.String(), "does not show kinds"); n != 1 {
				t.Errorf("said %d times, want once:\n%s", n, log)
			}
		})
	}
}

// Nothing is concluded from a session whose opening was given up.
func TestOracleKindsAreTriedAgain(t *testing.T) {
	s := double(t, &actions{})
	o := account(s)
	o.Kinds = FreeKinds
	d := &oraDialer{oracle: o, places: mustParse(t, o.DSN), log: slog.New(slog.DiscardHandler)}
	s.TakeEndToEnd(oracletest.EndToEndStuck)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		await(t, "a session", func() bool { return s.Stats().SessionsOpened > 0 })
		leave()
	}()
	if _, err := d.connect(ctx, "read"); err == nil || d.verdict() != untried {
		t.Errorf("%v, verdict %d", err, d.verdict())
	}
	s.TakeEndToEnd(oracletest.EndToEndHeeded)
	c, err := d.connect(t.Context(), "read")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if d.verdict() != takesLabels {
		t.Error("not tried again")
	}
}

// Where labels do not work, AlwaysKinds says kinds by calls, and whatever comes of those, the statement runs.
func TestOracleKindsByCalls(t *testing.T) {
	h, log := &actions{}, &bytes.Buffer{}
	s := double(t, h)
	s.TakeEndToEnd(oracletest.EndToEndIgnored)
	ps := oneSession(t, s, AlwaysKinds, log)
	c := acquire(t, ps.Read())
	ask := func(kind string) {
		t.Helper()
		if got, err := queryOn(WithKind(t.Context(), kind), c, 5); err != nil || got != 5 {
			t.Errorf("%q: got %d, %v", kind, got, err)
		}
	}
	plain, _ := trips(s, func() { ask("") })
	for _, k := range []struct {
		kind, shown string
		more        int64
	}{{"search", "search", 2}, {"search", "search", 0}, {"content", "content", 2}, {"", "main", 2}} {
		calls, _ := trips(s, func() { ask(k.kind) })
		if calls != plain+k.more {
			t.Errorf("%q: %d calls, want %d", k.kind, calls, plain+k.more)
		}
		wantAction(t, s, k.shown)
	}
	for _, end := range []func() int{s.KillSessions, s.DropSessions} { // which the call is the first to meet
		end()
		ask("search")
		if seen := h.take(); seen[len(seen)-1] != "echo search" {
			t.Errorf("the database saw %q, the last of a session in the lost one's place", seen)
		}
		ask("content")
	}
	s.FailTag("application_info", 6550)
	for _, kind := range []string{"search", "content", "search"} {
		ask(kind)
	}
	if n := s.Stats().Errors[6550]; n != 1 {
		t.Errorf("asked %d times for what is not allowed, want once", n)
	}
}

// Below TLS nobody can write into the driver's packets: the session shows its pool, or kinds by calls.
func TestOracleKindsBelowTLS(t *testing.T) {
	cert, roots := authority(t, time.Now().Add(time.Hour))
	for kinds, want := range map[Kinds]string{FreeKinds: "main", AlwaysKinds: "search"} {
		s := secureDouble(t, cert)
		ps := openOracle(t, s, func(c *Config, o *Oracle) {
			c.Single, c.Read.Min, c.Read.Size = true, 1, 1
			o.DSN, o.roots, o.Kinds = "tcps://"+s.DSN(), roots, kinds
		})
		c := acquire(t, ps.Read())
		if got, err := queryOn(WithKind(t.Context(), "search"), c, 5); err != nil || got != 5 {
			t.Errorf("got %d, %v", got, err)
		}
		wantAction(t, s, want)
		if s.Stats().Calls["end_to_end"] != 0 {
			t.Error("a label below TLS")
		}
	}
}

// A database that takes labels is asked for by no call.
func TestOracleKindsAlwaysAreFreeWhereTheyCan(t *testing.T) {
	s := double(t, &actions{})
	ps := oneSession(t, s, AlwaysKinds, nil)
	c := acquire(t, ps.Read())
	plain, _ := trips(s, func() { _, _ = queryOn(t.Context(), c, 5) })
	calls, labels := trips(s, func() { _, _ = queryOn(WithKind(t.Context(), "search"), c, 5) })
	if calls != plain || labels != 1 {
		t.Errorf("%d calls and %d labels, want %d and 1", calls, labels, plain)
	}
}

// What goes out is what node-oracledb 6.10 sends for `connection.action = 'search'; connection.ping()`, but for its
// sequence numbers and its data flags.
func TestLabelIsAsOraclesOwn(t *testing.T) {
	node := "0000002e06000000" + "0000" + "118700" + "0000" + "0110" + "0000" + "0000" + "010106" +
		"00000000" + "0000" + "00000000" + "0000" + "06736561726368" + "039300"
	ping := []byte{0, 0, 0, 13, packetData, 0, 0, 0, 0, 0, ttcFunction, 0x93, 0}
	before := slices.Clone(ping)
	if got := hex.EncodeToString(labelled(ping, "search")); got != node {
		t.Errorf("\n got %s\nwant %s", got, node)
	}
	if !bytes.Equal(ping, before) {
		t.Error("the driver's packet was written to")
	}
}

// A label goes nowhere but ahead of a call, on a session whose packets are as the driver put them together.
func TestLabelGoesAheadOfCallsAlone(t *testing.T) {
	data := func(flags byte, payload ...byte) []byte {
		p := append([]byte{0, 0, 0, 0, packetData, 0, 0, 0, 0, flags}, payload...)
		p[3] = byte(len(p))
		return p
	}
	ping, closing := data(0, 3, 0x93, 0), data(0, 0x11, 0x69, 0, 1, 1, 1, 1, 7, 3, 0x93, 0)
	version := slices.Clone(versionCall)
	signed := data(0, append(slices.Clone(versionCall[packetHead:]), 0xAB, 0xCD, 0)...) // a checksum follows
	older := data(0, 3, 0x3B, 0, 1, 2, 1, 0, 1, 1)
	narrow := slices.Clone(ping)
	narrow[1], narrow[3] = narrow[3], 0
	type packets [][]byte
	f := func(what string, before, after packets, want bool) {
		t.Helper()
		l := label{}
		for _, p := range before {
			l.onto(p)
		}
		l.turn(true)
		l.want("search")
		var out, last []byte
		for _, p := range after {
			out, last = l.onto(p), p
		}
		if got := len(out) != len(last); got != want {
			t.Errorf("%s: labelled %t, want %t: %x", what, got, want, out)
		}
	}
	f("a ping", packets{version}, packets{ping}, true)
	f("cursors closed on the way", packets{version}, packets{closing}, true)
	f("after a marker", packets{version}, packets{breakMarker(true), ping}, true)
	f("once", packets{version}, packets{ping, ping}, false)
	f("nothing was seen in the clear", packets{ping}, packets{ping}, false)
	f("checksums", packets{signed}, packets{ping}, false)
	f("a database before 18c", packets{older}, packets{ping}, false)
	f("a marker", packets{version}, packets{breakMarker(true)}, false)
	f("the end of the session", packets{version}, packets{data(0x40)}, false)
	f("data flags", packets{version}, packets{data(1, 3, 0x93, 0)}, false)
	f("no call", packets{version}, packets{data(0, 7, 1, 2)}, false)
	f("after no call, which is the rest of something", packets{version}, packets{data(0, 7, 1, 2), ping}, false)
	f("short lengths", packets{version}, packets{narrow}, false)
	f("nothing", packets{version}, packets{nil}, false)
}

// FuzzLabel holds that a label changes nothing of what the driver wrote, and keeps to its bound.
func FuzzLabel(f *testing.F) {
	f.Add([]byte{0, 0, 0, 13, 6, 0, 0, 0, 0, 0, 3, 0x93, 0}, "search")
	f.Add(versionCall, "k")
	f.Fuzz(func(t *testing.T, p []byte, kind string) {
		l := label{clear: true, on: true}
		l.want(kindOf(WithKind(context.Background(), kind), "read"))
		out := l.onto(slices.Clone(p))
		if bytes.Equal(out, p) {
			return
		}
		rest := out[len(out)-len(p)+packetHead:]
		if n := len(out) - len(p); n > 54 || !bytes.Equal(rest, p[packetHead:]) || !bytes.Equal(out[4:packetHead], p[4:packetHead]) {
			t.Errorf("%x became %x", p, out)
		}
	})
}
