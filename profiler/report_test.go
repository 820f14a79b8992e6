package profiler

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestDigits: the plan's digits, and more only where these would show nothing.
func TestDigits(t *testing.T) {
	f := func(write func(float64) string, v float64, want string) {
		t.Helper()
		if got := write(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	f(total, 125.5, "125.50")
	f(total, 0.01, "0.01")
	f(total, 0.0099, "0.0099")
	f(total, 0.000031, "0.000031")
	f(total, 0, "0.00")
	f(average, 0.251, "0.2510")
	f(average, 0.0001, "0.0001")
	f(average, 0.00009, "0.000090")
	f(average, 0, "0.0000")
	f(each, 0, "0.0")
	f(each, 0.003, "0.003")
	f(each, 0.26, "0.3")
	f(each, 999.96, "1000.0")
	f(each, 60677.4, "60677")
	f(percent, 0.004, "0.4 %")
	f(percent, 0.5, "50 %")
	f(percent, 0, "0 %")
}

// TestMaxIsNotBelowAvg: both are written with the same digits, so that the larger never looks smaller.
func TestMaxIsNotBelowAvg(t *testing.T) {
	for us := Micros(1); us < 2000; us += 7 {
		avg := average(us.Seconds() * 0.999)
		if longest := average(us.Seconds()); strings.TrimRight(longest, "0") < strings.TrimRight(avg, "0") {
			t.Errorf("of %d µs: average %s, longest %s", us, avg, longest)
		}
	}
}

func TestSummary(t *testing.T) {
	f := func(want string, p Profile) {
		t.Helper()
		p.sum()
		if got := p.summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	once := Row{Counters: Counters{Executions: 1, Elapsed: 900}}
	f("1 statement ran once and took 0.0009 s in all, 0.00 running at a time on average.", Profile{WindowUS: 1e6, Active: 1, active: []Row{once}})
	block := Row{Counters: Counters{Executions: 1, Elapsed: 900}, States: []State{Block}}
	f("1 statement ran once and took 0.0009 s in all, 0.00 running at a time on average; the statements of 1 PL/SQL block are among them.",
		Profile{WindowUS: 1e6, Active: 2, active: []Row{once, block}})
	f("No statement ran in this window. Run some searches or an ingest meanwhile, or take a longer --duration.", Profile{WindowUS: 1})
	f("No statement has run.", Profile{WindowUS: 1, Lifetime: true})
}

// TestCoverageIsExplained: when the statements are not most of DB time it is said what else took it, and when they are more, why.
func TestCoverageIsExplained(t *testing.T) {
	f := func(db Micros, want ...string) {
		t.Helper()
		row := Row{Counters: Counters{Executions: 1, Elapsed: 80, PLSQL: 5e6}}
		p := Profile{Kind: Oracle, WindowUS: 1e6, Active: 1, active: []Row{row}, Time: &TimeModel{DBTime: db, Parse: 7e6}, Vanished: 2, VanishedEx: []string{"a"}}
		p.sum()
		notes := strings.Join(p.notes(), "\n")
		for _, w := range want {
			if !strings.Contains(notes, w) {
				t.Errorf("DB time %d: %q does not say %q", db, notes, w)
			}
		}
		if len(want) == 0 && strings.Contains(notes, "DB time") {
			t.Errorf("DB time %d: %q", db, notes)
		}
	}
	f(101, "Only 79 % of DB time", "parsing (7.00 s in all)", "PL/SQL itself (5.00 s)", "2 statements that left", "aged out")
	f(100)
	f(77)
	f(76, "more than all of DB time (105 %)", "parallel query")
	f(0)
}

// TestColumnsByKind: a source has the columns that it counts, and the one of the rank is never left out.
func TestColumnsByKind(t *testing.T) {
	f := func(kind Kind, rank Rank, lifetime bool, want, never string) {
		t.Helper()
		var names []string
		needed := 0
		for _, c := range (&Profile{Kind: kind, Rank: rank, Lifetime: lifetime}).columns() {
			names = append(names, c.Name)
			if !c.Optional {
				needed++
			}
		}
		if got := strings.Join(names[:needed], " "); got != want {
			t.Errorf("%s by %s: always %q, want %q", kind, rank, got, want)
		}
		all := " " + strings.Join(names, " ") + " "
		for _, n := range strings.Fields(never) {
			if strings.Contains(all, " "+n+" ") {
				t.Errorf("%q has %q among %q", kind, n, all)
			}
		}
		for i, n := range names {
			for _, other := range names[:i] {
				if n == other {
					t.Errorf("%q is there twice: %q", n, all)
				}
			}
		}
	}
	const plan = "Exec Total(s) Avg(s) SQL Statement %"
	f(Tomehub, ByElapsed, false, plan, "CPU(s) Gets/exec Plan SQL_ID")
	f(Tomehub, ByWait, false, plan+" Wait(s)", "")
	f(Tomehub, ByRows, false, plan+" Rows", "")
	f(Oracle, ByAvg, false, plan, "Wait/exec(s) Errors Max(s)") // and never a percentile
	f(Oracle, ByCPU, false, plan+" CPU(s)", "")
	f(Oracle, ByGets, false, plan+" Gets", "")
	f(Oracle, ByReads, false, plan+" Reads", "")
	f(Oracle, ByExecutions, true, plan, "Exec/s")
}

func TestPlanCell(t *testing.T) {
	f := func(r Row, want string) {
		t.Helper()
		if got := planCell(&r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(Row{}, "")
	f(Row{Plans: []PlanWork{{Plan: 5}}}, "5")
	f(Row{Plans: []PlanWork{{Plan: 5}, {Plan: 6}, {Plan: 7}}}, "5 +2")
	f(Row{Plans: []PlanWork{{Plan: 5}}, Was: 4}, "5, was 4")
	f(Row{Plans: []PlanWork{{Plan: 0}}, States: []State{Block}}, "")
}

// TestRankOfAnotherKind: what a source does not count it cannot be ordered by, and the error says what it knows.
func TestRankOfAnotherKind(t *testing.T) {
	_, err := Run(t.Context(), &moving{}, Options{Duration: time.Second, Top: 1, Rank: ByCPU})
	if !errors.Is(err, ErrRank) || err.Error() != "--rank cpu: it is not counted there; a running tomehub knows elapsed, executions, avg, rows, wait" {
		t.Errorf("got %v", err)
	}
	for _, kind := range []Kind{Tomehub, Oracle} {
		for _, r := range RanksOf(kind) {
			if err := r.knownTo(kind); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestParallelIsSaid: more time than the window has passed in one statement.
func TestParallelIsSaid(t *testing.T) {
	f := func(elapsed Micros, want bool) {
		t.Helper()
		row := Row{Name: "a", States: []State{Running}, Counters: Counters{Elapsed: elapsed}}
		notes := strings.Join((&Profile{Kind: Oracle, WindowUS: 10e6, Active: 1, active: []Row{row}}).notes(), "\n")
		if strings.Contains(notes, "More time passed in a than the window is long") != want {
			t.Errorf("%d µs: %s", elapsed, notes)
		}
	}
	f(11e6, false)
	f(11e6+1, true)
}
