package profiler

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// TestOracleDescribe holds what is read about the statements that are shown.
func TestOracleDescribe(t *testing.T) {
	f := func(cfg OracleConfig) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		long := "SELECT /* ö */ '" + strings.Repeat("ö", 2000) + "' FROM long"
		huge := "SELECT '" + strings.Repeat("ö", MaxText) + "' FROM huge"
		each := tomedata.Cost{Elapsed: time.Second}
		c := d.Cursor(tomedata.Statement{
			Text: "SELECT x FROM t WHERE y = :1", Schema: "APP", Module: "web", Action: "search", Plan: 5, Steps: []tomedata.Step{
				{ID: 0, Parent: -1, Operation: "SELECT STATEMENT"},
				{ID: 1, Depth: 1, Operation: "TABLE ACCESS", Options: "FULL", Owner: "APP", Object: "T", Cardinality: 7, Cost: 900, Filter: `"Y"=:1`},
			},
		})
		p := d.window(t, d.source(t, cfg), func() {
			c.Run(1, each)
			for range manyChildren {
				c.AddChild(tomedata.Child{Reasons: []string{"BIND_MISMATCH"}})
				c.Run(1, each)
			}
			c.Flip(6, tomedata.Step{ID: 0, Parent: -1, Operation: "SELECT STATEMENT"}, tomedata.Step{ID: 1, Depth: 1, Operation: "INDEX", Options: "RANGE SCAN", Owner: "APP", Object: "T_Y"})
			c.Run(1, each)
			d.Cursor(tomedata.Statement{Text: long}).Run(1, each)
			d.Cursor(tomedata.Statement{Text: huge}).Run(1, each)
		})
		r := p.of(c.ID())
		if r == nil || r.Detail == nil {
			t.Fatalf("%+v: %+v", cfg, p.Statements)
		}
		want := Detail{
			Text: c.Text(), Schema: "APP", Module: "web", Action: "search", Command: 3, Children: manyChildren + 2,
			Mismatches: map[string]int{"BIND_MISMATCH": manyChildren, "ROLL_INVALID_MISMATCH": 1},
			Plans: map[uint64][]PlanStep{
				5: {{Operation: "SELECT STATEMENT"}, {ID: 1, Depth: 1, Operation: "TABLE ACCESS", Options: "FULL", Object: "APP.T", Rows: 7, Cost: 900, Filter: `"Y"=:1`}},
				6: {{Operation: "SELECT STATEMENT"}, {ID: 1, Depth: 1, Operation: "INDEX", Options: "RANGE SCAN", Object: "APP.T_Y"}},
			},
		}
		if diff := cmp.Diff(want, *r.Detail); diff != "" {
			t.Errorf("%+v: %s", cfg, diff)
		}
		if r := p.of(tomedata.SQLID(long)); r == nil || r.SQL != long {
			t.Errorf("%+v: a text of %d bytes came as %.40q", cfg, len(long), r.SQL)
		}
		if r := p.of(tomedata.SQLID(huge)); r == nil || len(r.SQL) > MaxText || len(r.SQL) < MaxText-4 || !strings.HasSuffix(r.SQL, "ö…") {
			t.Errorf("%+v: a text of %d bytes came in %d", cfg, len(huge), len(r.SQL))
		}
		if len(p.Warnings) > 0 {
			t.Errorf("%+v: %q", cfg, p.Warnings)
		}
	}
	f(OracleConfig{})
	f(OracleConfig{View: ViewStats})
	f(OracleConfig{View: ViewSQL})
	f(OracleConfig{RAC: true})
}

// TestOracleDescribeInLists holds that statements are asked for in lists of few sizes, all of them, and within the bounds.
func TestOracleDescribeInLists(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	o := d.source(t, OracleConfig{})
	if _, err := o.Snapshot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for i := range maxTexts + 50 {
		c := d.Cursor(tomedata.Statement{Text: fmt.Sprintf("SELECT %d FROM t", i)})
		if i%100 == 0 {
			c.Run(1, tomedata.Cost{})
		}
		rows = append(rows, Row{SQLID: c.ID()})
		rows = append(rows, Row{SQLID: c.ID()}, Row{Name: "none"})
	}
	details, warnings, err := o.Describe(t.Context(), rows)
	if err != nil || len(warnings) > 0 || len(details) != maxTexts {
		t.Fatalf("%d details, %q, %v", len(details), warnings, err)
	}
	sent := d.server.Stats().Executions
	if sent["profile_texts"] != maxTexts/100 || sent["profile_plans"] != maxDetailed/10 {
		t.Errorf("texts in %d statements, plans in %d", sent["profile_texts"], sent["profile_plans"])
	}
	for _, ids := range [][]string{{"a"}, {"a", "b"}, slices.Repeat([]string{"a"}, 10), slices.Repeat([]string{"a"}, 11), slices.Repeat([]string{"a"}, 101)} {
		asked := 0
		for _, q := range o.texts.listed("texts", ViewStats, 100, ids) {
			if !slices.Contains(listSizes, len(q.args)) || strings.Count(q.text, ":id") != len(q.args) || !o.texts.own[oracleSQLID(q.text)] {
				t.Errorf("%d ids: %d binds in %s", len(ids), len(q.args), q.text)
			}
			asked += len(q.args)
		}
		if asked < len(ids) {
			t.Errorf("%d ids, %d asked for", len(ids), asked)
		}
	}
}

// TestOracleDescribeSlow holds that details which take too long cost the details and not the report.
func TestOracleDescribeSlow(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	c := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM t"})
	o := d.source(t, OracleConfig{Timeout: 2 * time.Second}) // the other statements must end within it
	hang := make(chan struct{})
	d.Views().Watch(func(view string, _ int) {
		if view == "V$SQL_PLAN" {
			<-hang
		}
	})
	p := d.window(t, o, func() { c.Run(1, tomedata.Cost{Elapsed: time.Second}) })
	close(hang)
	r := p.of(c.ID())
	if r == nil || r.Detail == nil || r.SQL != c.Text() || len(r.Detail.Plans) > 0 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "plans") {
		t.Errorf("%+v, warnings %q", r, p.Warnings)
	}
}

// TestOracleSaved holds that two saved snapshots tell what a live window does, without the database.
func TestOracleSaved(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	c := d.Cursor(tomedata.Statement{
		Text: "SELECT '" + strings.Repeat("x", 2*savedText) + "' FROM t", Schema: "APP", Plan: 5,
		Steps: []tomedata.Step{{ID: 0, Operation: "SELECT STATEMENT"}, {ID: 1, Depth: 1, Operation: "TABLE ACCESS", Options: "FULL", Object: "T"}},
	}).Run(100, tomedata.Cost{Elapsed: time.Second})
	gone := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM gone"}).Run(1, tomedata.Cost{Elapsed: time.Second})
	save := func(name string) Snapshot {
		t.Helper()
		s, err := d.source(t, OracleConfig{Standalone: true}).Snapshot(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := SaveSnapshot(file, s); err != nil {
			t.Fatal(err)
		}
		loaded, err := LoadSnapshot(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, loaded); diff != "" {
			t.Error(diff)
		}
		return loaded
	}
	a := save("a.json")
	c.Run(7, tomedata.Cost{Elapsed: time.Second})
	gone.AgeOut()
	d.Advance(time.Minute)
	b := save("b.json")
	p, err := Between(a, b, Options{Top: 20})
	if err != nil {
		t.Fatal(err)
	}
	r := p.of(c.ID())
	if r == nil || r.Executions != 7 || r.Detail == nil || len(r.Detail.Text) > savedText || r.Detail.Schema != "APP" || len(r.Detail.Plans[5]) != 2 {
		t.Errorf("%+v", r)
	}
	if p.Vanished != 1 || p.Kind != Oracle || p.WindowUS != micros(time.Minute) || p.Own.Executions == 0 {
		t.Errorf("vanished %d, kind %q, window %v, own %+v", p.Vanished, p.Kind, p.WindowUS, p.Own)
	}
}

// TestOracleFiles holds what the statements have in common: see sql/oracle.
func TestOracleFiles(t *testing.T) {
	texts, err := newOracleTexts(false)
	if err != nil {
		t.Fatal(err)
	}
	if len(texts.files) < 10 {
		t.Fatalf("%d files", len(texts.files))
	}
	for name, text := range texts.files {
		upper := strings.ToUpper(text)
		lines := strings.Split(text, "\n")
		if lines[0] != "/* tomehub:profile_"+name+" */" || !strings.HasPrefix(lines[1], hinted) {
			t.Errorf("%s begins with %q", name, lines[:2])
		}
		for word, n := range map[string]int{"SELECT": 1, "FROM ": 1, "JOIN": 0, "ORDER BY": 0, "FETCH": -1, ";": 0, "--": 0, "?": 0} {
			if got := strings.Count(upper, word); n >= 0 && got != n {
				t.Errorf("%s has %d times %s, want %d", name, got, word, n)
			}
		}
		if view := viewIn(text); view != "DUAL" && !strings.HasPrefix(view, "v$") || strings.Contains(view, ",") {
			t.Errorf("%s reads %q", name, view)
		}
		all := compose(text, viewIn(text), true)
		if viewIn(text) != "DUAL" && (!strings.Contains(all, "\nFROM gv$") || strings.Contains(all, "inst_id") == strings.Contains(all, "MIN(")) {
			t.Errorf("%s of all instances: %s", name, all)
		}
	}
}
