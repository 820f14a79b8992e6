package profiler

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// trial is a profile of ten seconds on Oracle with some rows; it is changed by what a case is about.
type trial struct {
	kind  Kind
	phase string
	time  *TimeModel
	act   *Activity
	rows  []Row

	window Micros // instead of the ten seconds
}

// found returns kind and statement of each finding, and the findings.
func (c trial) found(t *testing.T) (string, []Finding) {
	t.Helper()
	p := Profile{Kind: c.kind, Phase: c.phase, WindowUS: cmp.Or(c.window, 10e6), Active: len(c.rows), active: c.rows, Time: c.time, Activity: c.act}
	p.sum()
	var names []string
	found := p.find()
	for _, f := range found {
		names = append(names, strings.TrimSpace(f.Kind+" "+f.Statement))
		if f.Evidence == "" || f.Advice == "" || f.Severity == "" || f.AtStake < 0 {
			t.Errorf("a finding without evidence, advice, severity or time: %+v", f)
		}
		if findingName(f.Kind) == f.Kind && f.Kind != "literals" && f.Kind != Slow && f.Kind != Parsing && f.Kind != Cacheable && f.Kind != Contention {
			t.Errorf("%s has no name", f.Kind)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", "), found
}

func ora(name string, exec, rows int64, elapsed Micros, change ...func(*Row)) Row {
	r := Row{
		Name: name, SQLID: name, SQL: "/* tomehub:" + name + " */ SELECT 1 FROM t", Counters: Counters{Executions: exec, Rows: rows, Elapsed: elapsed},
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func foreign(sql string) func(*Row) { return func(r *Row) { r.SQL, r.Name = sql, "" } }

// judge returns what holds the findings of a trial against those that are wanted.
func judge(t *testing.T) func(why, want string, c trial) {
	return func(why, want string, c trial) {
		t.Helper()
		c.kind = Oracle
		if got, _ := c.found(t); got != want {
			t.Errorf("%s: found %q, want %q", why, got, want)
		}
	}
}

func rows(r ...Row) trial { return trial{rows: r} }

func model(db, parse, hard Micros, r ...Row) trial {
	return trial{rows: r, time: &TimeModel{DBTime: db, Parse: parse, HardParse: hard}}
}

// set names the type of a change.
func set(change func(*Row)) func(*Row) { return change }

// TestOracleFindings: each finding with just enough evidence, and just not.
func TestOracleFindings(t *testing.T) {
	f := judge(t)
	f("half of DB time is not more", "", model(4e6, 0, 0, ora("a", 9, 9, 2e6)))
	f("more than half of DB time, also alone", "dominant a", model(4e6, 0, 0, ora("a", 9, 9, 2e6+1)))
	f("DB time counts, not the others of the report", "", model(4e6, 0, 0, ora("a", 9, 9, 1.9e6), ora("b", 9, 9, 1e5)))
	f("less than a second of DB time", "", model(999_999, 0, 0, ora("a", 9, 9, 9e5)))
	f("a second of DB time", "dominant a", model(1e6, 0, 0, ora("a", 9, 9, 9e5)))
	f("DB time did not move: the others are held against it", "dominant a", model(0, 0, 0, ora("a", 9, 9, 2e6), ora("b", 9, 9, 1e6)))
	f("no DB time: the others are held against it", "dominant a", rows(ora("a", 9, 9, 2e6), ora("b", 9, 9, 1e6)))
	block := set(func(r *Row) { r.mark(Block, true) })
	f("a block is never dominant nor slow", "", rows(ora("a", 2, 9, 9e6, block), ora("b", 9, 9, 1e6), ora("c", 9, 9, 1e6)))
	f("a block that does not end", "endless a", rows(ora("a", 0, 0, 9e6, block, set(func(r *Row) { r.running() }))))

	often := func(n int64) []Row {
		all := []Row{ora("often", n, n, 1000)}
		for i := range 6 {
			all = append(all, ora(fmt.Sprint("x", i), 100, 100, 1000))
		}
		return all
	}
	f("over half of the executions", "most_executed often", rows(often(601)...))
	f("half of the executions", "", rows(often(600)...))
	slowly := often(601)
	for i := range slowly {
		slowly[i].Executions /= 6
	}
	f("ten a second are often enough", "most_executed often", rows(slowly...))
	slowly[0].Executions = 99
	f("99 are not", "", rows(slowly...))
	f("of few statements one is always most", "", rows(often(500)[0], ora("b", 100, 100, 1), ora("c", 100, 100, 1)))

	gets := func(n int64) func(*Row) { return func(r *Row) { r.Gets = n } }
	module := func(m string) func(*Row) { return func(r *Row) { r.Detail = &Detail{Module: m} } }
	list := ora("list", 100, 1000, 1e5)
	f("lookups of few blocks", "n_plus_one read", rows(list, ora("read", 1000, 1000, 1e5, gets(20_000))))
	f("ten a second", "n_plus_one read", rows(ora("list", 10, 100, 1e5), ora("read", 100, 100, 1e5)))
	f("lookups of many blocks are no lookups", "", rows(list, ora("read", 1000, 1000, 1e5, gets(20_001))))
	f("of another program", "", rows(list, ora("read", 1000, 1000, 1e5, foreign("select a from b"))))
	f("of another module", "", rows(ora("list", 100, 1000, 1e5, module("A")), ora("read", 1000, 1000, 1e5, module("B"))))
	f("of the same module", "n_plus_one read", rows(ora("list", 100, 1000, 1e5, module("A")), ora("read", 1000, 1000, 1e5, module("A"))))

}

// TestParentOfLookups: the list whose rows are as many as the lookups, and of equals the one that lists more.
func TestParentOfLookups(t *testing.T) {
	f := func(want string, lists ...Row) {
		t.Helper()
		_, found := rows(append(lists, ora("read", 1000, 1000, 1e5))...).found(t)
		if len(found) == 0 || found[0].Kind != NPlusOne || !strings.Contains(found[0].Evidence, "execution of "+want+",") {
			t.Errorf("%+v, want the parent %s", found, want)
		}
	}
	f("near", ora("far", 100, 4000, 1e5), ora("near", 100, 1100, 1e5), ora("few", 100, 400, 1e5))
	f("more", ora("less", 100, 500, 1e5), ora("more", 100, 2000, 1e5))
	f("rare", ora("often", 400, 1200, 1e5), ora("rare", 100, 1500, 1e5)) // thrice each execution at least
}

// TestWaitAndParseFindings: what sessions wait for, and what the database parses.
func TestWaitAndParseFindings(t *testing.T) {
	f := judge(t)
	app := func(us Micros) func(*Row) { return func(r *Row) { r.Application = us } }
	f("a fifth and a second of locks", "lock_waits a", rows(ora("a", 9, 9, 5e6, app(1e6))))
	f("less than a fifth", "", rows(ora("a", 9, 9, 5_000_100, app(1e6))))
	f("less than a second", "", rows(ora("a", 9, 9, 1e6, app(999_999))))
	blocked := func(n int) *Activity { return &Activity{Samples: 10, Blocked: map[string]int{"a": n}} }
	f("three samples of a blocked session", "lock_waits a", trial{rows: []Row{ora("a", 9, 9, 1e5)}, act: blocked(3)})
	f("two may be an ordinary wait", "", trial{rows: []Row{ora("a", 9, 9, 1e5)}, act: blocked(2)})
	f("blocked, and in no row", "lock_waits a", trial{rows: []Row{ora("b", 9, 9, 1e5)}, act: blocked(3)})
	f("blocked in no row, twice", "", trial{act: blocked(2)})
	f("blocked in a variant", "lock_waits b", trial{rows: []Row{ora("b", 9, 9, 1e5, set(func(r *Row) { r.Variants, r.VariantCount = []string{"b", "a"}, 2 }))}, act: blocked(3)})

	conc := func(us Micros) func(*Row) { return func(r *Row) { r.Concurrency = us } }
	f("a fifth and a second of latches", "concurrency a", rows(ora("a", 9, 9, 5e6, conc(1e6))))
	f("less than a fifth of latches", "", rows(ora("a", 9, 9, 5_000_100, conc(1e6))))
	f("other instances", "cluster a", rows(ora("a", 9, 9, 5e6, set(func(r *Row) { r.Cluster = 1e6 }))))
	f("less than a second of other instances", "", rows(ora("a", 9, 9, 1e6, set(func(r *Row) { r.Cluster = 999_999 }))))
	io := func(us Micros) func(*Row) { return func(r *Row) { r.UserIO = us } }
	f("half of it waits for the disk", "io_bound a", rows(ora("a", 9, 9, 2e6, io(1e6))))
	f("less than half for the disk", "", rows(ora("a", 9, 9, 2_000_100, io(1e6))))
	f("less than a second for the disk", "", rows(ora("a", 9, 9, 999_999, io(999_999))))

	f("a tenth of DB time parsing hard", "parsing", model(10e6, 1e6, 1e6))
	f("less than a tenth parsing hard", "", model(10_000_100, 1e6, 1e6))
	f("less than a second parsing hard", "", model(2e6, 999_999, 999_999))
	f("a tenth parsing softly", "parsing", model(10e6, 1_400_000, 400_000))
	f("less than a tenth parsing softly", "", model(10_000_100, 1_400_000, 400_000))
	loads := func(n int64) func(*Row) { return func(r *Row) { r.Loads = n } }
	f("parsed hard 20 times of 100", "hard_parses a", rows(ora("a", 100, 0, 1000, loads(20))))
	f("parsed hard 20 times of more", "", rows(ora("a", 101, 0, 1000, loads(20))))
	f("parsed hard 19 times", "", rows(ora("a", 19, 0, 1000, loads(19))))
	variants := func(n int) func(*Row) { return func(r *Row) { r.VariantCount = n } }
	f("20 variants, each less than three times", "literals a", rows(ora("a", 59, 0, 1000, variants(20), loads(20))))
	f("20 variants, each three times", "hard_parses a", rows(ora("a", 60, 0, 1000, variants(20), loads(20))))
	f("19 variants", "", rows(ora("a", 19, 0, 1000, variants(19))))
	f("100 cursors", "child_cursors a", rows(ora("a", 9, 0, 1000, set(func(r *Row) { r.Versions = 100 }))))
	f("99 cursors", "", rows(ora("a", 9, 0, 1000, set(func(r *Row) { r.Versions = 99 }))))
	f("100 cursors, as the pool itself says", "child_cursors a", rows(ora("a", 9, 0, 1000, set(func(r *Row) { r.Detail = &Detail{Children: 100} }))))
}

// TestCacheable: what could be kept, and what could not.
func TestCacheable(t *testing.T) {
	f := func(why, want string, c trial) {
		t.Helper()
		got, found := c.found(t)
		advice := ""
		if len(found) > 0 {
			advice = found[0].Advice
		}
		if want == "" && got != "" || want != "" && (!strings.HasPrefix(got, "cacheable") || !strings.Contains(advice, want)) {
			t.Errorf("%s: found %q, %q, want %q", why, got, advice, want)
		}
	}
	of := func(kind Kind, phase, name, text string, exec, rows int64, elapsed Micros, others ...Row) trial {
		return trial{kind: kind, phase: phase, rows: append([]Row{{Name: name, SQLID: "x", SQL: text, Counters: Counters{Executions: exec, Rows: rows, Elapsed: elapsed}}}, others...)}
	}
	const text = "SELECT a FROM TOMEHUB_CONTENT WHERE id = :1"
	f("often, of few rows, a second in all", "class content", of(Oracle, "", "", text, 100, 10_000, 1e6))
	f("once a second is what a cache wants", "class content", trial{kind: Oracle, window: 100e6, rows: of(Oracle, "", "", text, 100, 100, 1e6).rows})
	f("and less is not", "", trial{kind: Oracle, window: 100e6 + 1, rows: of(Oracle, "", "", text, 100, 100, 1e6).rows})
	f("99 times", "", of(Oracle, "", "", text, 99, 99, 1e6))
	f("many rows", "", of(Oracle, "", "", text, 100, 10_001, 1e6))
	f("less than a second", "", of(Oracle, "", "", text, 100, 100, 999_999))
	f("concepts", "60 min (class concepts)", of(Oracle, "", "", "select * from tomehub_concepts c join TOMEHUB_CONTENT d on 1 = 1", 100, 100, 1e6))
	f("relations", "60 min (class relations)", of(Oracle, "", "", "SELECT * FROM X.TOMEHUB_RELATIONS", 100, 100, 1e6))
	f("relations and content", "class relations", of(Oracle, "", "", "SELECT * FROM TOMEHUB_RELATIONS JOIN TOMEHUB_CONTENT ON 1 = 1", 100, 100, 1e6))
	f("another's table", "5 min (class default)", of(Oracle, "", "", "SELECT * FROM SALES", 100, 100, 1e6))
	f("locks its rows", "", of(Oracle, "", "", text+" FOR UPDATE", 100, 100, 1e6))
	f("changes rows", "", of(Oracle, "", "", "UPDATE TOMEHUB_CONTENT SET a = 1", 100, 100, 1e6))
	f("of no table", "", of(Oracle, "", "", "SELECT SYSDATE FROM DUAL", 100, 100, 1e6))
	f("ours, by its name", "TOMEHUB_CACHE_TTL_CONTENT", of(Oracle, "", "search_page", text, 100, 100, 1e6))
	f("ours, of the default class", "TOMEHUB_CACHE_TTL_DEFAULT", of(Oracle, "", "books", text, 100, 100, 1e6))
	f("ours, and never kept", "", of(Oracle, "", "owners", text, 100, 100, 1e6))
	f("a tomehub before its cache", "--phase B", of(Tomehub, "A", "search_page", text, 100, 100, 1e6))
	f("a tomehub with its cache", "", of(Tomehub, "B", "search_page", text, 100, 100, 1e6))
	written := func(n int64) Row {
		return Row{SQLID: "w", SQL: "/* x */ insert /*+ append */ into TOME.TOMEHUB_CONTENT values (1)", Counters: Counters{Executions: n, Elapsed: 1e6}}
	}
	f("written once for ten reads", "class content", of(Oracle, "", "", text, 100, 100, 1e6, written(10)))
	f("written more often", "", of(Oracle, "", "", text, 100, 100, 1e6, written(11)))
	several := of(Oracle, "", "", text, 100, 100, 1e6)
	several.rows[0].VariantCount = 10
	f("its literals come again", "class content", several)
	several.rows[0].VariantCount = 34
	if got, _ := several.found(t); got != "literals x "+text {
		t.Errorf("its literals do not come three times: %s", got)
	}
}

func TestFullScans(t *testing.T) {
	table := func(filter string) PlanStep {
		return PlanStep{Depth: 1, Operation: "TABLE ACCESS", Options: "FULL", Object: "TOME.BIG", Cost: 900, Filter: filter}
	}
	f := func(why, want string, gets, rows int64, elapsed Micros, steps ...PlanStep) {
		t.Helper()
		r := ora("a", 10, rows, elapsed)
		r.Gets, r.Plans, r.Detail = gets, []PlanWork{{Plan: 5}}, &Detail{Plans: map[uint64][]PlanStep{5: append([]PlanStep{{Operation: "SELECT STATEMENT"}}, steps...)}}
		_, found := trial{kind: Oracle, rows: []Row{r}}.found(t)
		got := ""
		if len(found) > 0 {
			got = found[0].Advice
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
	const id = `"ID"=:B1`
	f("many blocks for few rows", "CREATE INDEX IX_BIG_ID ON TOME.BIG (ID)", 5000, 500, 1e6, table(id))
	f("a small table", "", 4999, 10, 1e6, table(id))
	f("many rows come of it", "", 5000, 501, 1e6, table(id))
	f("less than a second", "", 5000, 500, 999_999, table(id))
	tiny := table(id)
	tiny.Cost = 9
	f("tiny for the optimizer, whatever the rest reads", "", 5000, 500, 1e6, tiny)
	tiny.Cost = 0
	f("its cost is not known", "CREATE INDEX", 5000, 500, 1e6, tiny)
	f("by an index", "", 5000, 10, 1e6, PlanStep{Depth: 1, Operation: "TABLE ACCESS", Options: "BY INDEX ROWID", Object: "TOME.BIG", Filter: id})
	f("the end of an index", "", 5000, 10, 1e6, PlanStep{Depth: 1, Operation: "INDEX", Options: "FULL SCAN (MIN/MAX)", Object: "TOME.IX", Filter: id})
	f("on another machine's disks", "CREATE INDEX", 5000, 10, 1e6, PlanStep{Operation: "TABLE ACCESS", Options: "STORAGE FULL", Object: "TOME.BIG", Filter: id})
	f("all of an index, for its table", "ON TOME.BIG (ID)", 5000, 10, 1e6,
		PlanStep{Depth: 1, Operation: "TABLE ACCESS", Options: "BY INDEX ROWID BATCHED", Object: "TOME.BIG"},
		PlanStep{Depth: 2, Operation: "INDEX", Options: "FULL SCAN", Object: "TOME.IX", Filter: id})
	f("all of an index alone", "the table of TOME.IX that begins with (ID)", 5000, 10, 1e6,
		PlanStep{Depth: 1, Operation: "SORT"}, PlanStep{Depth: 2, Operation: "INDEX", Options: "FAST FULL SCAN", Object: "TOME.IX", Filter: id})
	f("nothing is filtered", "no index helps", 5000, 10, 1e6, table(""))
	f("a conversion", "ID is converted", 5000, 10, 1e6, table(`TO_NUMBER("ID")=:B1`))
	f("of two scans the one that an index could replace", "(ID)", 5000, 10, 1e6, table(""), table(id))
	f("a name that wants quotes", `ON "My"."t x" ("Col")`, 5000, 10, 1e6, PlanStep{Operation: "TABLE ACCESS", Options: "FULL", Object: "My.t x", Filter: `"Col"=1`})
}

func TestPlanFlips(t *testing.T) {
	f := func(why, want string, r Row) {
		t.Helper()
		r.SQLID, r.SQL = "a", "SELECT 1"
		for _, p := range r.Plans {
			r.Counters = r.Counters.plus(p.Counters)
		}
		one, ok := planFlip(&r)
		if got := one.Evidence; ok != (got != "") {
			t.Errorf("%s: found %v: %q", why, ok, got)
		}
		got := ""
		if ok {
			got = one.Evidence
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
	work := func(plan uint64, exec int64, elapsed Micros) PlanWork {
		return PlanWork{Plan: plan, Counters: Counters{Executions: exec, Elapsed: elapsed}}
	}
	f("two plans, one twice as slow", "plan 2 took 0.2000 s over 10 executions, plan 1 0.1000 s over 100 executions", Row{Plans: []PlanWork{work(1, 100, 10e6), work(2, 10, 2e6)}})
	f("not twice as slow", "", Row{Plans: []PlanWork{work(1, 100, 10e6), work(2, 10, 1_999_000)}})
	f("less than a second lost", "", Row{Plans: []PlanWork{work(1, 100, 10e6), work(2, 9, 1_800_000)}})
	f("the other did not run to an end", "", Row{Plans: []PlanWork{work(1, 100, 10e6), work(2, 0, 9e6)}})
	f("one plan", "", Row{Plans: []PlanWork{work(1, 100, 10e6)}})
	f("variants have plans of their own", "", Row{VariantCount: 2, Plans: []PlanWork{work(1, 100, 10e6), work(2, 10, 2e6)}})
	before := func(exec int64, elapsed Micros) *Counters { return &Counters{Executions: exec, Elapsed: elapsed} }
	f("another plan, twice as slow as before", "plan 2 in place of 1: 0.2000 s over 10 executions, and before the window 0.1000 s over 50",
		Row{Was: 1, Before: before(50, 5e6), Plans: []PlanWork{work(2, 10, 2e6)}})
	f("another plan, not twice as slow", "", Row{Was: 1, Before: before(50, 5e6), Plans: []PlanWork{work(2, 10, 1_999_000)}})
	f("another plan, and nothing is known of before", "plan 2 in place of 1", Row{Was: 1, Before: before(0, 0), Plans: []PlanWork{work(2, 10, 2e6)}})
	f("another plan, a second lost", "plan 2", Row{Was: 1, Before: before(10, 1e6), Plans: []PlanWork{work(2, 10, 2e6)}})
	f("another plan, less lost", "", Row{Was: 1, Before: before(10, 900_100), Plans: []PlanWork{work(2, 10, 1_900_000)}})
	f("the same plan", "", Row{Plans: []PlanWork{work(2, 10, 9e6)}})
}

// TestSeverity: what is at stake is held against all the time there was.
func TestSeverity(t *testing.T) {
	f := func(at, base Micros, want string) {
		t.Helper()
		if got := (&finder{base: base}).weighed(Finding{AtStake: at}).Severity; got != want {
			t.Errorf("%d of %d is %s, want %s", at, base, got, want)
		}
	}
	f(25, 100, High)
	f(24, 100, Medium)
	f(5, 100, Medium)
	f(4, 100, Low)
	f(4, 0, Low)
	_, found := trial{kind: Tomehub, rows: []Row{
		{Name: "slow", Counters: Counters{Executions: 1, Elapsed: 50e6}}, {Name: "slower", Counters: Counters{Executions: 1, Elapsed: 900e6}},
		{Name: "fails", Counters: Counters{Executions: 500, Errors: 50, Elapsed: 1}}, {Name: "some", Counters: Counters{Executions: 500, Errors: 5, Elapsed: 1}},
	}}.found(t)
	var got []string
	for _, x := range found {
		got = append(got, x.Severity+" "+x.Kind+" "+x.Statement)
	}
	want := "high dominant slower, high slow slower, high failing fails, medium slow slow, medium failing some"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

// TestOther: the parts of a time never make the rest negative, nor run over.
func TestOther(t *testing.T) {
	f := func(c Counters, want Micros) {
		t.Helper()
		if got := c.Other(); got != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
	}
	f(Counters{Elapsed: 100, CPU: 20, UserIO: 10, Concurrency: 5, Application: 4, Cluster: 1}, 60)
	f(Counters{Elapsed: 100, CPU: 90, UserIO: 20}, 0)
	f(Counters{Elapsed: 1, CPU: math.MaxInt64, UserIO: math.MaxInt64, Cluster: math.MaxInt64}, 0)
}
