package profiler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

func TestChartsOfAnOracleProfile(t *testing.T) {
	p := between(t, load(t, "oracle-before.json"), load(t, "oracle-after.json"), Options{Top: 3, Rank: ByGets})
	p.Activity = busy()
	charts := p.charts()
	var names []string
	for _, c := range charts {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"active_sessions", "time", "executions"}, names); diff != "" {
		t.Fatal(diff)
	}
	aas, sum := charts[0], 0.0
	if aas.Kind != reports.StackedChart || aas.Series[0].Name != OnCPU || aas.Series[0].Color != reports.ColorCPU {
		t.Errorf("CPU is not at the bottom: %+v", aas.Series[0])
	}
	for _, s := range aas.Series {
		for _, point := range s.Points {
			sum += point.Y
		}
	}
	if want, _ := p.Activity.AAS(""); !near(sum/float64(len(aas.Series[0].Points)), want) {
		t.Errorf("the areas are %.3f sessions high on average, want %.3f", sum/float64(len(aas.Series[0].Points)), want)
	}
	// Bars are by time, whatever the table's order and length, and are made of parts that add up to the time.
	bars := charts[1].Bars
	if len(bars) <= p.Top {
		t.Errorf("%d bars", len(bars))
	}
	last := -1.0
	for i, r := range p.largest(func(r *Row) int64 { return int64(r.Elapsed) }) {
		height := 0.0
		for _, v := range bars[i].Values {
			height += v
		}
		if len(bars[i].Values) != len(charts[1].Series) || !near(height, r.Elapsed.Seconds()) && height < r.Elapsed.Seconds() {
			t.Errorf("%s is %v high, and took %v s", bars[i].Label, bars[i].Values, r.Elapsed.Seconds())
		}
		if r.is(Block) || last >= 0 && r.Elapsed.Seconds() > last {
			t.Errorf("%s is out of place", bars[i].Label)
		}
		last = r.Elapsed.Seconds()
	}
}

// busy is a minute of sessions that work and wait in turn.
func busy() *Activity {
	acc := newAccumulator(time.Minute)
	for i := range 60 {
		s := Sample{At: time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC)}
		for n, class := range []string{"User I/O", OnCPU, "Application", "Concurrency", "Something new"} {
			for range (i*(n+1)/7 + n) % (6 - n) {
				s.Active = append(s.Active, ActiveSession{Class: class, Event: "an event"})
			}
		}
		acc.add(s, nil)
	}
	return acc.activity()
}

func near(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }

func TestChartsOfATomehub(t *testing.T) {
	p := between(t, load(t, "before.json"), load(t, "after.json"), Options{Top: 3})
	charts := p.charts()
	if len(charts) != 2 || len(charts[0].Series) != 0 || len(charts[0].Bars) == 0 {
		t.Fatalf("%+v", charts)
	}
	if p = between(t, load(t, "before.json"), load(t, "after.json"), Options{Top: 3, Lifetime: true}); len(p.charts()) != 1 {
		t.Errorf("a lifetime has rates: %+v", p.charts())
	}
	p.active, p.Active = nil, 0
	if len(p.charts()) != 0 {
		t.Error("nothing ran, and there is a chart")
	}
}

// TestGoldenComparison holds phase B, made of the same snapshots, against the recorded window.
func TestGoldenComparison(t *testing.T) {
	f := func(name string, format reports.Format, width int, before, after string, change func(*Snapshot, map[key]Statement)) {
		t.Helper()
		then, later := between(t, load(t, before), load(t, after), Options{Top: 50}), load(t, after)
		earlier := map[key]Statement{}
		for _, st := range load(t, before).Statements {
			earlier[st.key()] = st
		}
		change(&later, earlier)
		c := compare(t, then, between(t, load(t, before), later, Options{Top: 50}))
		goldenReport(t, name, c.Report(), format, width)
	}
	quicker := func(s *Snapshot, before map[key]Statement) { // every other statement does half of what it did
		s.Phase = "B"
		for i := range s.Statements {
			st := &s.Statements[i]
			old := before[st.key()]
			if did := st.Counters.minus(old.Counters); i%2 == 0 && !did.fell() {
				st.Counters = old.Counters.plus(fromList(halved(did.list())))
			}
		}
	}
	f("compare.txt", reports.Text, 0, "before.json", "after.json", quicker)
	f("compare-100.txt", reports.Text, 100, "before.json", "after.json", quicker)
	f("compare-oracle.md", reports.Markdown, 0, "oracle-before.json", "oracle-after.json", quicker)
	f("compare-oracle.csv", reports.CSV, 0, "oracle-before.json", "oracle-after.json", quicker)
}

func halved(l [counters]int64) [counters]int64 {
	for i := range l {
		l[i] /= 2
	}
	return l
}
