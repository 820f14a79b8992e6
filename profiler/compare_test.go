package profiler

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

// profiled makes a profile of what ran within a window.
func profiled(window time.Duration, rows ...Row) *Profile {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	p := &Profile{
		Source: "tomehub at http://127.0.0.1:5002", Server: "tomehub v1", Phase: "baseline", StartedAt: at.Add(-time.Hour),
		From: at, To: at.Add(window), WindowUS: micros(window), Rank: ByElapsed, Top: 20, Active: len(rows), Known: len(rows), active: rows,
	}
	for i := range rows {
		p.Total = p.Total.plus(rows[i].Counters)
	}
	for i := range rows {
		if p.Total.Elapsed > 0 {
			rows[i].Share = float64(rows[i].Elapsed) / float64(p.Total.Elapsed)
		}
	}
	p.rank()
	p.Findings = []Finding{}
	return p
}

// work is n executions of each microseconds.
func work(name string, n, each int64) Row {
	return Row{Name: name, SQL: "SELECT " + name, Counters: Counters{Executions: n, Elapsed: Micros(n * each)}}
}

func compare(t *testing.T, then, now *Profile) *Comparison {
	t.Helper()
	c, err := Compare(then, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompareOutcomes(t *testing.T) {
	f := func(why string, then, now *Row, want Outcome, wantWhy string) {
		t.Helper()
		side := func(r *Row) *Profile {
			if r == nil {
				return profiled(10 * time.Second)
			}
			return profiled(10*time.Second, *r)
		}
		c := compare(t, side(then), side(now))
		if len(c.Changes) != 1 || c.Changes[0].Outcome != want || c.Changes[0].Why != wantWhy {
			t.Errorf("%s: %+v, want %q (%s)", why, c.Changes, want, wantWhy)
		}
	}
	row := func(n, each int64) *Row { r := work("passage", n, each); return &r }
	f("equal", row(1000, 1000), row(1000, 1000), Same, "")
	f("ten times as slow", row(1000, 1000), row(1000, 10_000), Worse, "slower ×10")
	f("faster", row(1000, 10_000), row(1000, 4000), Better, "faster ×2.5")
	f("the same time, run twice as often", row(1000, 1000), row(2000, 1000), Worse, "more often ×2.0")
	f("run less often", row(5000, 1000), row(500, 1000), Better, "less often ×10")
	f("slower and less often, and dearer in all", row(1000, 1000), row(500, 10_000), Worse, "slower ×10, less often ×2.0")
	f("slower and less often, and cheaper in all", row(5000, 1000), row(500, 2000), Better, "slower ×2.0, less often ×10")
	f("slower and less often, the same in all", row(1000, 1000), row(500, 2000), Mixed, "slower ×2.0, less often ×2.0")
	f("a fifth more is nothing", row(1000, 1000), row(1000, 1200), Same, "")
	f("more often by chance", row(50, 10_000), row(65, 10_000), Same, "")
	f("just too few", row(29, 1000), row(1000, 100_000), Few, "29 and 1000 executions")
	f("just enough", row(30, 1000), row(1000, 100_000), Worse, "slower ×100, more often ×33")
	f("nobody would notice", row(1000, 0), row(30, 1), Same, "")
	f("new", nil, row(10, 1000), Added, "")
	f("new, or missed by chance", nil, row(9, 1000), Few, "")
	f("gone", row(10, 1000), nil, Gone, "")
	f("gone, or missed by chance", row(9, 1000), nil, Few, "")
}

// A statement that ran a hundred times an hour is not gone because a second went by without it.
func TestCompareOfWindowsOfDifferentLength(t *testing.T) {
	c := compare(t, profiled(time.Hour, work("rare", 100, 1000), work("often", 36_000, 1000)), profiled(time.Second, work("often", 100, 1000)))
	if c.Changes[1].Outcome != Few || c.Changes[0].Outcome != Better && c.Changes[0].Outcome != Worse {
		t.Errorf("%+v", c.Changes)
	}
	for _, ch := range c.Changes {
		if ch.Name == "often" && (ch.Then.PerSecond != 10 || ch.Now.PerSecond != 100) {
			t.Errorf("rates %v then and %v now", ch.Then.PerSecond, ch.Now.PerSecond)
		}
	}
}

func TestCompareMatches(t *testing.T) {
	oracle := func(id, name, signature string, n int64, variants ...string) Row {
		return Row{SQLID: id, Name: name, Signature: signature, Variants: variants, Counters: Counters{Executions: n, Elapsed: Micros(n)}}
	}
	f := func(why string, then, now []Row, want ...[2]int64) {
		t.Helper()
		c := compare(t, profiled(time.Minute, then...), profiled(time.Minute, now...))
		got := map[[2]int64]int{}
		for _, ch := range c.Changes {
			var pair [2]int64
			if ch.Then != nil {
				pair[0] = ch.Then.Executions
			}
			if ch.Now != nil {
				pair[1] = ch.Now.Executions
			}
			got[pair]++
		}
		wanted := map[[2]int64]int{}
		for _, p := range want {
			wanted[p]++
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("by name, though the text changed", []Row{work("a", 100, 1)}, []Row{{Name: "a", SQL: "another", Counters: Counters{Executions: 7}}}, [2]int64{100, 7})
	f("by id", []Row{oracle("x", "", "", 100)}, []Row{oracle("x", "", "", 7), oracle("y", "", "", 5)}, [2]int64{100, 7}, [2]int64{0, 5})
	f("by signature", []Row{oracle("x", "", "9", 100)}, []Row{oracle("y", "", "9", 7)}, [2]int64{100, 7})
	f("by a variant", []Row{oracle("x", "", "", 100, "y")}, []Row{oracle("y", "", "", 7)}, [2]int64{100, 7})
	f("a row that joins two", []Row{oracle("x", "n", "", 1), oracle("y", "", "9", 2)}, []Row{oracle("x", "", "9", 7)}, [2]int64{3, 7})
	f("by text", []Row{{SQL: "SELECT  1", Counters: Counters{Executions: 100}}}, []Row{{SQL: "SELECT 1", Counters: Counters{Executions: 7}}}, [2]int64{100, 7})
	f("by the tag in the text", []Row{{SQLID: "x", SQL: "/* tomehub:passage */ SELECT 1", Counters: Counters{Executions: 100}}}, []Row{work("passage", 7, 1)}, [2]int64{100, 7})
}

func TestCompareSentence(t *testing.T) {
	f := func(then, now *Profile, want string) {
		t.Helper()
		if got := compare(t, then, now).Sentence; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	with := func(p *Profile, findings ...Finding) *Profile { p.Findings = findings; return p }
	nPlusOne := Finding{Kind: NPlusOne, Statement: "passage"}
	f(with(profiled(10*time.Second, work("a", 3200, 10_000)), nPlusOne), profiled(20*time.Second, work("a", 800, 10_000)),
		"Time in the database per second: 3.2 → 0.40 s (−88 %); N+1 on passage is gone.")
	f(profiled(10*time.Second, work("a", 100, 1000)), with(profiled(10*time.Second, work("a", 100, 1000)), nPlusOne, Finding{Kind: Waiting}),
		"Time in the database per second: 0.010 → 0.010 s (±0 %); N+1 on passage and pool waits are new.")
	f(profiled(10*time.Second, work("a", 100, 1000)), profiled(10*time.Second, work("a", 10_000, 1000)),
		"Time in the database per second: 0.010 → 1.0 s (×100).")
	// Without load every finding is gone, and nothing is solved.
	f(with(profiled(10*time.Second, work("a", 3200, 10_000)), nPlusOne), profiled(10*time.Second, work("a", 29, 10)),
		"Time in the database per second: 3.2 → 0.000029 s (−100 %); only 29 executions ran now, so that nothing is proven.")
	f(profiled(10*time.Second), profiled(10*time.Second, work("a", 100, 1000)),
		"Time in the database per second: 0 → 0.010 s; only 0 executions ran then, so that nothing is proven.")
	f(with(profiled(time.Second, work("a", 100, 1000)), Finding{Kind: Slow, Statement: "a"}, Finding{Kind: Slow, Statement: "b"}, Finding{Kind: Slow, Statement: "c"}, Finding{Kind: Slow, Statement: "d"}),
		profiled(time.Second, work("a", 100, 1000)), "Time in the database per second: 0.10 → 0.10 s (±0 %); slow on a, slow on b, slow on c and 1 more are gone.")
}

// What the earlier file does not show may have run all the same.
func TestCompareWithAnIncompleteFile(t *testing.T) {
	then := profiled(10*time.Second, work("a", 3000, 1000), work("b", 1000, 1000))
	then.Top = 1
	then.rank()
	loaded := roundTrip(t, then)
	c := compare(t, loaded, profiled(10*time.Second, work("a", 3000, 1000), work("b", 1000, 1000)))
	outcomes := map[string]Outcome{}
	for _, ch := range c.Changes {
		outcomes[ch.Name] = ch.Outcome
	}
	if diff := cmp.Diff(map[string]Outcome{"a": Same, "b": Unknown}, outcomes); diff != "" {
		t.Error(diff)
	}
	if notes := strings.Join(c.Report().Notes, "\n"); !strings.Contains(notes, "shows 1 of its 2 statements") {
		t.Errorf("the notes are %s", notes)
	}
}

func TestCompareRefuses(t *testing.T) {
	f := func(change func(then, now *Profile), want string) {
		t.Helper()
		then, now := profiled(time.Second, work("a", 1, 1)), profiled(time.Second, work("a", 1, 1))
		change(then, now)
		if _, err := Compare(then, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(_, now *Profile) { now.Kind = Oracle }, "the earlier one is of a tomehub, this one of an Oracle database")
	f(func(then, _ *Profile) { then.Lifetime = true }, "--lifetime")
	f(func(then, _ *Profile) { then.WindowUS = 0 }, "not a profile")
}

func TestCompareSaysWhatElseDiffers(t *testing.T) {
	then, now := profiled(time.Second, work("a", 1, 1)), profiled(time.Second, work("a", 1, 1))
	now.Phase, now.Server = "B", "tomehub v2"
	want := []string{"The server differs: tomehub v1 then, tomehub v2 now.", "The phase differs: baseline then, B now."}
	if diff := cmp.Diff(want, compare(t, then, now).Differ); diff != "" {
		t.Error(diff)
	}
}

// The worst comes first, the best last; what changed least is left out.
func TestCompareOrder(t *testing.T) {
	then := profiled(10*time.Second, work("better", 1000, 10_000), work("gone", 500, 10_000), work("same", 1000, 1000), work("worse", 1000, 1000))
	now := profiled(10*time.Second, work("better", 1000, 1000), work("new", 100, 100_000), work("same", 1000, 1000), work("worse", 1000, 9000))
	now.Top = 4
	c := compare(t, then, now)
	var names []string
	for _, ch := range c.Changes {
		names = append(names, ch.Name)
	}
	if diff := cmp.Diff([]string{"new", "worse", "gone", "better"}, names); diff != "" || c.Left != 1 {
		t.Errorf("%d left out; %s", c.Left, diff)
	}
}

// roundTrip writes a profile as JSON and loads it.
func roundTrip(t *testing.T, p *Profile) *Profile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.json")
	save(t, path, p.Report())
	loaded, err := LoadProfile(path)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func save(t *testing.T, path string, r reports.Report) {
	t.Helper()
	var buf bytes.Buffer
	if err := r.WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadProfile(t *testing.T) {
	p := profiled(10*time.Second, work("a", 100, 1000))
	if diff := cmp.Diff(p.Statements, roundTrip(t, p).Statements); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(t.TempDir(), "comparison.json")
	save(t, path, compare(t, p, profiled(5*time.Second, work("b", 100, 1000))).Report())
	if loaded, err := LoadProfile(path); err != nil || len(loaded.Statements) != 1 || loaded.Statements[0].Name != "b" {
		t.Errorf("of a comparison the later profile is taken: %+v, %v", loaded, err)
	}
}

func TestLoadProfileRefuses(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadProfile(path); !errors.Is(err, ErrNotProfile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", body, err, want)
		}
	}
	snapshot, err := json.Marshal(load(t, "before.json"))
	if err != nil {
		t.Fatal(err)
	}
	f(string(snapshot), "it is a snapshot, written by --save; two of them are compared by --from and --to")
	f(`{"schema_version":1,"scenario":"x","checks":[]}`, "load test")
	f(`{"schema_version":1,"title":"x","checks":[{"name":"p95"}],"data":{}}`, "load test")
	f("Exec  Total(s)\n", "it is no JSON; the earlier profile is kept with --format json --out FILE")
	f("", "it is no JSON")
	f(`{"data":{"window_us":1`, "unexpected end")
	f(`{"data":{}}`, "window_us is 0")
	f(`{"data":{"window_us":1}}`, "no from or no to")
	f(`{"data":{"window_us":1,"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z","statements":[{}]}}`, "statement 1 has neither")
	f(`{"data":{"window_us":1,"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z","statements":[{"name":"a","rows":-1}]}}`, "rows -1")
	f(`{"data":{"window_us":1,"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z","total":{"rows":-1}}}`, "rows -1")
	f(`{"schema_version":1}`, "lacks what 'tomehub profile --format json' writes")
	if _, err := LoadProfile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// FuzzLoadProfile: whatever a file holds, it is refused or can be compared and written.
func FuzzLoadProfile(f *testing.F) {
	var buf bytes.Buffer
	p := profiled(10*time.Second, work("a", 100, 1000), Row{SQLID: "x", Signature: "1", Counters: Counters{Executions: 1}})
	if err := p.Report().WriteJSON(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte(`{"data":{"now":{"window_us":9223372036854775807,"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z","statements":[{"sql":"--","name":"a","elapsed_us":9223372036854775807}]}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		then, err := decodeProfile(bytes.NewReader(body))
		if err != nil {
			return
		}
		now := profiled(time.Second, work("a", 100, 1000))
		now.Kind, now.Lifetime = then.Kind, then.Lifetime
		for _, pair := range [][2]*Profile{{then, now}, {now, then}, {then, then}} {
			c, err := Compare(pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range []reports.Format{reports.Text, reports.JSON} {
				if err := c.Report().Write(new(bytes.Buffer), format, reports.TextOptions{Width: 80}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
