package profiler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func cursor(id string, change ...func(*Statement)) Statement {
	s := Statement{SQLID: id, Plan: 1, PlanIsKey: true, Counters: Counters{Executions: 1, Elapsed: 1000, Loads: 1}}
	for _, c := range change {
		c(&s)
	}
	return s
}

func oracleAt(at int64, statements ...Statement) Snapshot {
	return Snapshot{SchemaVersion: 1, Kind: Oracle, View: "v", StartedAt: time.Unix(1, 0), Now: time.Unix(at, 0), Statements: statements}
}

func signed(signature string, elapsed Micros) func(*Statement) {
	return func(s *Statement) { s.Signature, s.Elapsed = signature, elapsed }
}

// TestVariantsAreOneStatement: those of one signature are added, and told of the one with most time.
func TestVariantsAreOneStatement(t *testing.T) {
	text := func(sql string) func(*Statement) { return func(s *Statement) { s.SQL = sql } }
	before := oracleAt(100, cursor("a", signed("7", 100)))
	after := oracleAt(160,
		cursor("x", signed("", 9000)), cursor("y", signed("0", 9000)), cursor("z", signed("0", 8000)), // no signature: none is another's variant
		cursor("a", signed("7", 1100), text("SELECT 1"), func(s *Statement) { s.Executions = 3; s.Versions = 4 }),
		cursor("b", signed("7", 3000), text("SELECT 2"), func(s *Statement) { s.Plan = 2; s.Versions = 2; s.Instance = 2 }),
		cursor("c", signed("8", 500)))
	p := between(t, before, after, Options{Top: 9})
	var r Row
	for _, x := range p.Statements {
		if x.Signature == "7" {
			r = x
		}
	}
	want := Row{
		SQLID: "b", SQL: "SELECT 2", Signature: "7", Variants: []string{"b", "a"}, VariantCount: 2, Versions: 4, Instances: []int32{2}, Share: 4000.0 / 30500,
		Counters: Counters{Executions: 3, Elapsed: 4000, Loads: 1},
		Plans:    []PlanWork{{2, Counters{Executions: 1, Elapsed: 3000, Loads: 1}}, {1, Counters{Executions: 2, Elapsed: 1000}}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	if p.Active != 5 || len(p.Statements) != 5 {
		t.Errorf("%d active, want 5: x, y, z, c and a with b", p.Active)
	}
	if p := between(t, before, after, Options{Top: 9, Variants: true}); p.Active != 6 {
		t.Errorf("%d active with --variants, want 6", p.Active)
	}
}

func TestVariantsAreBounded(t *testing.T) {
	var all []Statement
	for i := range 50 {
		all = append(all, cursor(string(rune('A'+i)), signed("7", Micros(1000-i))))
	}
	r := between(t, oracleAt(100), oracleAt(160, all...), Options{Top: 9}).Statements[0]
	if r.VariantCount != 50 || len(r.Variants) != shownVariants || r.Variants[0] != "A" || !r.is(New) {
		t.Errorf("%d variants, %d named, the first %q, %v", r.VariantCount, len(r.Variants), r.Variants[0], r.States)
	}
}

// TestNewIsTheStatement: a further cursor of a statement that was there is not new, and of variants all must be.
func TestNewIsTheStatement(t *testing.T) {
	child := func(c string) func(*Statement) { return func(s *Statement) { s.Child = c } }
	f := func(why string, want []State, before, after []Statement) {
		t.Helper()
		if got := between(t, oracleAt(100, before...), oracleAt(160, after...), Options{Top: 1}).Statements[0].States; !cmp.Equal(got, want) {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
	list := func(s ...Statement) []Statement { return s }
	f("not there", []State{New}, nil, list(cursor("a")))
	f("another child", nil, list(cursor("a", child("0"))), list(cursor("a", child("0")), cursor("a", child("1"))))
	f("another child in place of the first", nil, list(cursor("a", child("0"))), list(cursor("a", child("1"))))
	f("one variant is new", nil, list(cursor("a", signed("7", 1))), list(cursor("a", signed("7", 5)), cursor("b", signed("7", 9))))
	f("all variants are", []State{New}, nil, list(cursor("a", signed("7", 5)), cursor("b", signed("7", 9))))
	anew := func(s *Statement) { s.Executions, s.Elapsed = 0, 10 }
	f("a child began anew and does not end", []State{Reset, Running}, list(cursor("a", child("0"))), list(cursor("a", child("0"), anew)))
	f("a child began anew among others", []State{Reset}, list(cursor("a", child("0")), cursor("a", child("1"))),
		list(cursor("a", child("0"), anew), cursor("a", child("1"), func(s *Statement) { s.Executions, s.Elapsed = 9, 9000 })))
	does := func(s *Statement) { s.Executions = 1; s.Elapsed = 5000 }
	f("time passed in one child, and another ended", nil, list(cursor("a", child("0")), cursor("a", child("1"))),
		list(cursor("a", child("0"), does), cursor("a", child("1"), func(s *Statement) { s.Executions, s.Elapsed = 2, 2000 })))
	f("time passed in one child alone", []State{Running}, list(cursor("a", child("0"))), list(cursor("a", child("0"), does)))
}

// TestBlocksAreInNoSum: what a PL/SQL block counts its statements count too.
func TestBlocksAreInNoSum(t *testing.T) {
	f := func(why string, want bool, change func(*Statement)) {
		t.Helper()
		after := oracleAt(160, cursor("a", change), cursor("b"))
		after.Time = &TimeModel{DBTime: 4000}
		before := oracleAt(100)
		before.Time = &TimeModel{DBTime: 2000}
		p := between(t, before, after, Options{Top: 9})
		sum, blocks, coverage := Micros(2000), 0, 1.0
		if want {
			sum, blocks, coverage = 1000, 1, 0.5
		}
		if p.Total.Elapsed != sum || p.Blocks != blocks || p.Coverage != coverage || p.Active != 2 {
			t.Errorf("%s: %d µs in all, %d blocks, coverage %v, %d active", why, p.Total.Elapsed, p.Blocks, p.Coverage, p.Active)
		}
		for _, r := range p.Statements {
			if r.is(Block) != (want && r.SQLID == "a") || r.is(Block) == (r.Share > 0) {
				t.Errorf("%s: %s is %v with %v of the time", why, r.SQLID, r.States, r.Share)
			}
		}
	}
	text := func(sql string) func(*Statement) { return func(s *Statement) { s.SQL = sql } }
	f("a query", false, text("SELECT begin FROM t"))
	f("a block", true, text("/* x */ -- y\n begin p; end;"))
	f("a declaration", true, text("DECLARE n NUMBER; BEGIN NULL; END;"))
	f("a call", true, text("call p(:1)"))
	f("a label first", true, text("<<a>> BEGIN NULL; END;"))
	f("a word that begins so", false, text("BEGINNING"))
	f("the number of a block", true, func(s *Statement) { s.Command = 47 })
	f("the number of a call", true, func(s *Statement) { s.Command = 170 })
	f("the number says more than the text", false, func(s *Statement) { s.Command, s.SQL = 3, "begin" })
	f("PL/SQL ran, and there is no signature", true, func(s *Statement) { s.Counters.PLSQL, s.Signature = 1, "0" })
	f("PL/SQL ran in a query", false, func(s *Statement) { s.Counters.PLSQL, s.Signature = 1, "12" })
	f("nothing is known of it", false, func(*Statement) {})
}

// TestDescribedBlocks: the text that is read later says what is a block.
func TestDescribedBlocks(t *testing.T) {
	after := oracleAt(160, cursor("a", func(s *Statement) { s.Counters.PLSQL = 5 }), cursor("b"))
	after.Details = map[string]Detail{"a": {Text: "INSERT INTO t VALUES (1)", Command: 2}, "b": {Text: "BEGIN p; END;"}}
	p := between(t, oracleAt(100), after, Options{Top: 9})
	for _, r := range p.Statements {
		if r.is(Block) != (r.SQLID == "b") || r.Share != map[string]float64{"a": 1}[r.SQLID] {
			t.Errorf("%s: %v, %v of the time", r.SQLID, r.States, r.Share)
		}
	}
	if p.Total.Executions != 1 || p.Blocks != 1 {
		t.Errorf("%d executions, %d blocks", p.Total.Executions, p.Blocks)
	}
	if got := p.active[0].Share; got != p.Statements[0].Share {
		t.Errorf("the shown row has another share than its own: %v", got)
	}
}

// TestGone: a second snapshot that leaves out what did nothing says itself what is gone.
func TestGone(t *testing.T) {
	before := oracleAt(100, cursor("a"), cursor("b", func(s *Statement) { s.Child = "0" }), cursor("b", func(s *Statement) { s.Child = "1" }), cursor("c"))
	after := oracleAt(160)
	after.Since, after.Gone = time.Unix(95, 0), []string{"b", "c"}
	p := between(t, before, after, Options{Top: 1})
	if !p.Partial || p.Vanished != 2 || !cmp.Equal(p.VanishedEx, []string{"b", "c"}) {
		t.Errorf("partial %v, %d vanished: %q", p.Partial, p.Vanished, p.VanishedEx)
	}
	after.Gone = nil
	if p := between(t, before, after, Options{Top: 1}); p.Vanished != 0 || p.VanishedEx != nil {
		t.Errorf("%d vanished, and nobody knows: %q", p.Vanished, p.VanishedEx)
	}
}

// TestWas: a plan that took another's place is told with all that was counted before.
func TestWas(t *testing.T) {
	plan := func(inst int32, plan uint64, n int64) Statement {
		return Statement{SQLID: "a", Plan: plan, Instance: inst, Counters: Counters{Executions: n, Elapsed: Micros(1000 * n)}}
	}
	p := between(t, oracleAt(100, plan(1, 11, 5), plan(2, 11, 7)), oracleAt(160, plan(1, 12, 9), plan(2, 12, 8)), Options{Top: 1})
	r := p.Statements[0]
	if r.Was != 11 || r.Before == nil || r.Before.Executions != 12 || len(r.Plans) != 1 || r.Plans[0].Executions != 5 {
		t.Errorf("%+v", r)
	}
}
