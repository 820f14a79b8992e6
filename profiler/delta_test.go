package profiler

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSince(t *testing.T) {
	f := func(old *Statement, now Statement, want Row) {
		t.Helper()
		if diff := cmp.Diff(want, now.since(old)); diff != "" {
			t.Error(diff)
		}
	}
	st := func(exec, rows int64, elapsed, longest Micros) Statement {
		return Statement{Name: "a", SQL: "b", Counters: Counters{Executions: exec, Rows: rows, Elapsed: elapsed}, Max: longest}
	}
	at := func(s Statement) *Statement { return &s }
	row := func(exec, rows int64, elapsed, longest Micros, states ...State) Row {
		return Row{Name: "a", SQL: "b", Counters: Counters{Executions: exec, Rows: rows, Elapsed: elapsed}, Max: longest, States: states}
	}
	f(at(st(10, 100, 1000, 90)), st(15, 150, 1600, 90), row(5, 50, 600, 0))            // the difference; the maximum is from before
	f(at(st(10, 100, 1000, 90)), st(15, 150, 1600, 200), row(5, 50, 600, 200))         // the maximum rose, so it is of the window
	f(at(st(10, 100, 1000, 90)), st(10, 100, 1000, 90), row(0, 0, 0, 0))               // nothing happened
	f(nil, st(3, 30, 300, 120), row(3, 30, 300, 120, New))                             // all of it is new
	f(at(st(10, 100, 1000, 90)), st(2, 20, 200, 110), row(2, 20, 200, 110, Reset))     // fell: what stands there is since then
	f(at(st(10, 100, 1000, 90)), st(12, 20, 2000, 95), row(12, 20, 2000, 95, Reset))   // one counter is enough
	f(at(st(10, 100, 1000, 90)), st(20, 200, 2000, 80), row(20, 200, 2000, 80, Reset)) // all overtook, but a maximum never falls
	f(at(st(10, 100, 1000, 90)), st(10, 100, 9000, 90), row(0, 0, 8000, 0, Running))   // time without an end
	f(nil, st(0, 0, 500, 0), row(0, 0, 500, 0, New, Running))                          // began in the window, has not ended
	f(at(st(5, 0, 5000, 0)), st(0, 0, 500, 0), row(0, 0, 500, 0, Reset, Running))      // began anew, has not ended
	f(at(st(0, 0, 0, 0)), st(math.MaxInt64, 0, 0, 0), row(math.MaxInt64, 0, 0, 0))     // the largest counter
}

func TestTotalsDoNotRunOver(t *testing.T) {
	before := Snapshot{SchemaVersion: 1, StartedAt: time.Unix(1, 0), Now: time.Unix(2, 0)}
	after := before
	after.Now = time.Unix(3, 0)
	for _, name := range []string{"a", "b", "c"} {
		after.Statements = append(after.Statements, Statement{Name: name, Counters: Counters{Executions: math.MaxInt64, Elapsed: math.MaxInt64}})
	}
	p := between(t, before, after, Options{Top: 3})
	if p.Total.Executions != math.MaxInt64 || p.Total.Elapsed != math.MaxInt64 {
		t.Errorf("total %+v", p.Total)
	}
}

func TestSharesAndVanished(t *testing.T) {
	p := between(t, load(t, "before.json"), load(t, "after.json"), Options{Top: 2})
	var shares float64
	for _, r := range p.active {
		shares += r.Share
	}
	if math.Abs(shares-1) > 1e-9 {
		t.Errorf("shares add up to %v, also those that are not shown", shares)
	}
	if p.Known != 10 || p.Active != 9 || len(p.Statements) != 2 || p.Vanished != 2 {
		t.Errorf("%d known, %d active, %d shown, %d vanished; want 10, 9, 2, 2", p.Known, p.Active, len(p.Statements), p.Vanished)
	}
	if len(p.VanishedEx) != 2 || p.VanishedEx[0] != "gone" || !strings.HasPrefix(p.VanishedEx[1], "update somebody") {
		t.Errorf("vanished %q", p.VanishedEx)
	}
}

func TestVanishedAreBounded(t *testing.T) {
	before := Snapshot{SchemaVersion: 1, StartedAt: time.Unix(1, 0), Now: time.Unix(2, 0)}
	after := before
	after.Now = time.Unix(3, 0)
	for i := range 12 {
		before.Statements = append(before.Statements, Statement{Name: strings.Repeat("x", i+1), Counters: Counters{Executions: 1}})
	}
	p := between(t, before, after, Options{Top: 1})
	notes := p.Report().Notes
	if len(p.VanishedEx) != 10 || p.Vanished != 12 || len(notes) != 1 || !strings.HasSuffix(notes[0], "xxxxxxxxxx and 2 more.") {
		t.Errorf("%d named of %d: %q", len(p.VanishedEx), p.Vanished, notes)
	}
}

func TestRanks(t *testing.T) {
	rows := []Row{
		{Name: "often", Counters: Counters{Executions: 1000, Rows: 10, Elapsed: 5e6, AcquireWait: 2, CPU: 8}},
		{Name: "slow", Counters: Counters{Executions: 2, Rows: 20, Elapsed: 4e6, AcquireWait: 3, CPU: 9}},
		{Name: "running", Counters: Counters{Elapsed: 9e6}},
		{Name: "wide", Counters: Counters{Executions: 10, Rows: 5000, Elapsed: 1e6, AcquireWait: 9, Reads: 3}},
		{Name: "tie2", Counters: Counters{Executions: 1, Elapsed: 7, Gets: 4}},
		{Name: "tie1", Counters: Counters{Executions: 1, Elapsed: 7}},
	}
	f := func(rank Rank, want string) {
		t.Helper()
		p := Profile{Rank: rank, Top: 6, active: append([]Row(nil), rows...)}
		p.rank()
		var got []string
		for _, r := range p.Statements {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("by %s: %s, want %s", rank, strings.Join(got, " "), want)
		}
	}
	f(ByElapsed, "running often slow wide tie1 tie2")
	f(ByExecutions, "often wide slow tie1 tie2 running")
	f(ByAvg, "slow wide often tie1 tie2 running") // without an average: last
	f(ByRows, "wide slow often running tie1 tie2")
	f(ByWait, "wide slow often running tie1 tie2")
	f(ByCPU, "slow often running wide tie1 tie2")
	f(ByGets, "tie2 running often slow wide tie1")
	f(ByReads, "wide running often slow tie1 tie2")
	for _, r := range Ranks() {
		if got, err := ParseRank(string(r)); got != r || err != nil {
			t.Errorf("ParseRank(%q) = %q, %v", r, got, err)
		}
	}
}

func TestSplitAndCut(t *testing.T) {
	f := func(name, sql, wantName, wantText string) {
		t.Helper()
		gotName, gotText := split(name, sql)
		if gotName != wantName || gotText != wantText {
			t.Errorf("split(%q, %q) = %q, %q", name, sql, gotName, gotText)
		}
	}
	f("search", "/* tomehub:search */\nSELECT\n\t1", "search", "SELECT 1") // the tag is the name
	f("", "/*tomehub:search*/SELECT 1", "search", "SELECT 1")              // and gives it
	f("other", "/* tomehub:search */ SELECT 1", "other", "/* tomehub:search */ SELECT 1")
	f("", "/* app:x */ SELECT 1", "", "/* app:x */ SELECT 1") // somebody else's tag
	f("", "", "", "")

	long := strings.Repeat("a", 60)
	for in, want := range map[string]string{
		long:                                   long,                          // 60 fit
		long + "b":                             strings.Repeat("a", 59) + "…", // 61 do not
		strings.Repeat("日", 61):                strings.Repeat("日", 59) + "…", // characters, not bytes
		strings.Repeat("😀", 100_000):           strings.Repeat("😀", 59) + "…", // four bytes each
		strings.Repeat("a", 58) + "e\u0301xyz": strings.Repeat("a", 58) + "…", // e with its accent goes whole
		strings.Repeat("a", 58) + " bcd":       strings.Repeat("a", 58) + "…", // no space before the mark
	} {
		if got := cut(in); got != want {
			t.Errorf("cut(%.80q) = %q, want %q", in, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[time.Duration]string{
		300*time.Second + 4*time.Millisecond: "300s", // as the plan's title
		10 * time.Second:                     "10s",
		2500 * time.Millisecond:              "2.5s",
		2003 * time.Millisecond:              "2s",
		40 * time.Millisecond:                "0.0s",
		400 * time.Millisecond:               "0.4s",
		99600 * time.Millisecond:             "100s",
	} {
		if got := seconds(micros(in)); got != want {
			t.Errorf("seconds(%v) = %s, want %s", in, got, want)
		}
	}
}

// TestCursorsOfOneStatement: each cursor is subtracted from its own, and the statement is their sum.
func TestCursorsOfOneStatement(t *testing.T) {
	oracle := func(at int64, statements ...Statement) Snapshot {
		return Snapshot{SchemaVersion: 1, Kind: Oracle, View: "v$sql", StartedAt: time.Unix(1, 0), Now: time.Unix(at, 0), Statements: statements}
	}
	child := func(child string, inst int32, plan uint64, exec int64, elapsed Micros) Statement {
		return Statement{SQLID: "7ws837zynp1zv", Child: child, Instance: inst, Plan: plan, PlanIsKey: true, Counters: Counters{Executions: exec, Elapsed: elapsed}}
	}
	p := between(t,
		oracle(100, child("0", 1, 11, 1000, 5000), child("1", 1, 11, 10, 900), child("0", 2, 11, 70, 700)),
		oracle(160, child("0", 1, 11, 1010, 5050), child("1", 1, 11, 3, 30), child("0", 2, 11, 70, 1700), child("2", 1, 12, 5, 500)), Options{Top: 5})
	want := []Row{{
		SQLID: "7ws837zynp1zv", Counters: Counters{Executions: 18, Elapsed: 1580}, Share: 1, States: []State{Reset}, Instances: []int32{1, 2},
		Plans: []PlanWork{{11, Counters{Executions: 13, Elapsed: 1080}}, {12, Counters{Executions: 5, Elapsed: 500}}},
	}}
	if diff := cmp.Diff(want, p.Statements); diff != "" {
		t.Error(diff)
	}
	// The same snapshots with one plan per row, as v$sqlstats has it: the plan is no key, and a change is told.
	flip := func(at int64, plan uint64, exec int64) Snapshot {
		s := oracle(at, Statement{SQLID: "7ws837zynp1zv", Plan: plan, Counters: Counters{Executions: exec}})
		return s
	}
	if r := between(t, flip(100, 11, 5), flip(160, 12, 9), Options{Top: 1}).Statements[0]; r.Was != 11 || r.Executions != 4 || r.Plans[0].Plan != 12 || len(r.States) != 0 {
		t.Errorf("after a change of plan: %+v", r)
	}
}
