package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// profiled is a report as a profile makes it: average active sessions and a ranking.
func profiled() Report {
	rnd := rand.New(rand.NewPCG(1, 2))
	const seconds, start = 300, 1_760_000_000.0
	means := map[string]float64{"CPU": 2.2, "User I/O": 1.6, "Concurrency": 0.1, "Application": 0.05, "Commit": 0.3, "Network": 0.12}
	aas := Chart{
		Name: "aas", Title: "Average active sessions by wait class", Caption: "Sampled each second; above the line sessions wait for a CPU.",
		Kind: StackedChart, X: Axis{Scale: Clock}, Y: Axis{Label: "active sessions"},
		Bounds: []Bound{{8, "8 CPUs"}}, Spans: []Span{{start + 140, start + 190, "lock held by SID 812"}}, InText: true,
	}
	for _, class := range WaitClasses() {
		mean, ok := means[class]
		if !ok {
			continue
		}
		values := make([]float64, seconds)
		for i := range values {
			values[i] = math.Round(max(0, mean*(1+0.3*math.Sin(float64(i)/25))+rnd.NormFloat64()*mean*0.6))
			if class == "Application" && i > 140 && i < 190 {
				values[i] = 3 + math.Round(rnd.Float64()*2)
			}
			if i > 230 && i < 240 {
				values[i] = math.NaN() // the database did not answer
			}
		}
		aas.Series = append(aas.Series, Series{Name: class, Color: WaitClassColor(class), Points: Every(start, 1, values)})
	}
	top := Chart{
		Name: "top", Title: "Top statements by elapsed time", Caption: "Share of the window's database time, by where it went.",
		Kind: BarChart, Y: Axis{Unit: "s"}, InText: true,
		Series: []Series{{Name: "CPU", Color: ColorCPU}, {Name: "User I/O", Color: ColorUserIO}, {Name: "Application", Color: ColorApplication}, {Name: "Commit", Color: ColorCommit}},
	}
	t := Table{Name: "statements", Caption: "Top statements (last 300 s)", Columns: []Column{
		{Name: "SQL ID"}, {Name: "Executions", Align: Right}, {Name: "Exec/s", Align: Right}, {Name: "Total", Align: Right}, {Name: "Avg", Align: Right},
		{Name: "% DB time", Align: Right}, {Name: "Gets/exec", Align: Right}, {Name: "Rows/exec", Align: Right}, {Name: "Plan hash", Align: Right}, {Name: "Schema"}, {Name: "Statement"},
	}}
	for i := range 10 {
		sql := fmt.Sprintf("SELECT id, title, snippet(%d) FROM tomehub_content c JOIN tomehub_items i ON i.id = c.item_id WHERE CONTAINS(c.body, :q, 1) > 0 AND c.book_id = :book_%d ORDER BY SCORE(1) DESC", i, i)
		all := 700 / float64(i*i+1)
		top.Bars = append(top.Bars, Bar{Label: "/* tomehub:search_ids */ " + sql, Title: sql, Values: []float64{all * 0.5, all * 0.35, all * 0.1, all * 0.05},
			Text: fmt.Sprintf("%.1f%% · %.0f s", all/16, all)})
		t.Rows = append(t.Rows, []string{fmt.Sprintf("7ws9cr%dk2mq1z", i), fmt.Sprint(12345 / (i + 1)), fmt.Sprintf("%.1f", 41.1/float64(i+1)), fmt.Sprintf("%.1f s", all), fmt.Sprintf("%.1f ms", 56/float64(i+1)),
			fmt.Sprintf("%.1f%%", all/16), "1,204", "10.0", "3312456789", "TOMEHUB", sql})
	}
	return Report{
		Title: "Profile of oracle://db.example:1521/TOME", Summary: "One statement took 43.8% of the database's time: search_ids, 12,345 times at 56 ms.",
		Facts:  []Fact{{"Source", "v$sqlstats_plan_hash"}, {"Window", "300.2 s"}, {"Coverage", "97.1% of DB time"}, {"Instance", "tome1, 19.21.0.0.0, up 12 days"}, {"Cost of the snapshots", "212 ms"}},
		Tables: []Table{t}, Charts: []Chart{aas, top},
		Notes: []string{"Statements that were aged out of the shared pool during the window are missing.", "Cursors that were still running count with what they had used so far."},
		Data:  map[string]any{"window_s": 300.2},
	}
}

// tested is a report as a load test makes it.
func tested() Report {
	rnd := rand.New(rand.NewPCG(3, 4))
	const n = 1200
	latency := Chart{
		Name: "latency", Title: "Latency over time", Caption: "Of all requests that ended in each second.", Kind: LineChart,
		X: Axis{Scale: Elapsed}, Y: Axis{Label: "latency", Unit: "s", Scale: Log}, Bounds: []Bound{{8, "bound of p95: 8 s"}},
		Spans: []Span{{600, 720, "fault injected: database 10× slower"}}, Marks: []Mark{{900, "replica killed"}},
	}
	rate := Chart{
		Name: "rate", Title: "Requests and errors", Kind: LineChart, Combine: Mean, X: Axis{Scale: Elapsed}, Y: Axis{Label: "requests", Unit: "/s"},
	}
	for k, name := range []string{"p50", "p95", "p99", "max"} {
		values := make([]float64, n)
		for i := range values {
			values[i] = 0.08 * math.Pow(3, float64(k)) * math.Exp(rnd.NormFloat64()*0.2) * (1 + 0.4*math.Sin(float64(i)/90))
			if i >= 600 && i < 720 {
				values[i] *= 6
			}
			if i >= 900 && i < 915 {
				values[i] = math.NaN()
			}
		}
		latency.Series = append(latency.Series, Series{Name: name, Points: Every(0, 1, values)})
	}
	for _, s := range []struct {
		name  string
		mean  float64
		color Color
	}{{"answered", 410, ColorGood}, {"refused (429, 503)", 12, ""}, {"failed", 1.5, ColorBad}} {
		values := make([]float64, n)
		for i := range values {
			values[i] = max(0, s.mean*(1+rnd.NormFloat64()*0.08))
		}
		rate.Series = append(rate.Series, Series{Name: s.name, Color: s.color, Points: Every(0, 1, values)})
	}
	distribution := Chart{Name: "distribution", Title: "Latency distribution", Kind: StepChart, X: Axis{Label: "latency", Unit: "s", Scale: Log}, Y: Axis{Label: "requests"},
		Marks: []Mark{{8, "bound 8 s"}}, Series: []Series{{Name: "requests"}}}
	for i := range 60 {
		x := 0.01 * math.Pow(1.13, float64(i))
		distribution.Series[0].Points = append(distribution.Series[0].Points, Point{x, math.Round(90000 * math.Exp(-math.Pow(math.Log(x/0.3), 2)))})
	}
	capacity := Chart{Name: "capacity", Title: "Capacity", Caption: "Throughput against users, with the fitted Universal Scalability Law.", Kind: ScatterChart,
		X: Axis{Label: "users"}, Y: Axis{Label: "throughput", Unit: "/s"}, Series: []Series{{Name: "measured"}, {Name: "fitted", Line: true}}, Marks: []Mark{{310, "best at 310 users"}}}
	usl := func(u float64) float64 { return 3.2 * u / (1 + 0.0035*(u-1) + 0.0000095*u*(u-1)) }
	for u := 10.0; u <= 600; u += 10 {
		capacity.Series[0].Points = append(capacity.Series[0].Points, Point{u, usl(u) * (1 + rnd.NormFloat64()*0.04)})
		capacity.Series[1].Points = append(capacity.Series[1].Points, Point{u, usl(u)})
		capacity.Series[1].Band = append(capacity.Series[1].Band, Range{u, usl(u) * 0.92, usl(u) * 1.08})
	}
	memory := Chart{Name: "memory", Title: "Memory of the server", Kind: LineChart, X: Axis{Scale: Elapsed}, Y: Axis{Unit: "B"}, Bounds: []Bound{{900 << 20, "GOMEMLIMIT"}},
		Series: []Series{{Name: "resident"}, {Name: "heap in use"}}}
	for i := range memory.Series {
		values := make([]float64, n)
		for j := range values {
			values[j] = float64(600-200*i)*(1<<20) + float64(j%80)*(1<<20)
		}
		memory.Series[i].Points = Every(0, 1, values)
	}
	events := Chart{Name: "events", Title: "Open streams", Kind: LineChart, Combine: Mean, X: Axis{Scale: Elapsed}, Y: Axis{Label: "streams"}, Series: []Series{{Name: "streams", Points: latency.Series[0].Points}},
		Marks: []Mark{{100, "stage 2"}, {300, "stage 3"}, {310, "stage 4"}, {640, "drain"}, {800, "restart"}}}
	empty := Chart{Name: "gc", Title: "Pauses of the garbage collector"}
	r := odd()
	r.Charts = []Chart{latency, rate, distribution, capacity, memory, events, empty}
	return r
}

// parted is a report in parts, as a load test and the story of the checkpoints make it: small charts on one axis of time,
// bars with ranges, tables in their part, the checks at the end.
func parted() Report {
	r := tested()
	whole := 0.25
	for i := range r.Charts {
		c := &r.Charts[i]
		c.Small, c.Part = i > 0, []string{"Users", "Server"}[i%2]
		if c.X.Scale == Elapsed {
			c.X.Max, c.From = 1200, 60
		}
		for j := range c.Series {
			c.Series[j].Whole = &whole
		}
	}
	r.Charts = append(r.Charts, Chart{
		Name: "plan", Title: "Errors beside the plan's", Kind: BarChart, Y: Axis{Unit: "%"}, Part: "Plan", Small: true, Within: "the plan's figure", Series: []Series{{Name: "measured"}},
		Bars: []Bar{{Label: "before", Values: []float64{25.8}, Text: "25.8% (20-30%)", Within: &Range{Low: 20, High: 30}}, {Label: "B", Values: []float64{0.1}, Within: &Range{Low: 5, High: 5}}, {Label: "beyond", Values: []float64{1}}},
	})
	r.Tables = []Table{r.Tables[0], {Name: "loose", Columns: []Column{{Name: "What"}}, Rows: [][]string{{"in no part"}}}}
	r.Tables[0].Part = "Server"
	r.Parts = []Part{{Name: "Plan", Lead: []string{"What the plan says."}}, {Name: "Users"}, {Name: "Nothing"}, {Name: "Server", Lead: []string{"First.", "Second."}}, {Name: "All checks", Checks: true}}
	r.Page = map[string]any{"p95_ms": 1}
	return r
}

// drawn has a chart of every kind, small enough to read in a golden file.
func drawn() Report {
	nan := math.NaN()
	return Report{Title: "Charts", Charts: []Chart{
		{
			Name: "latency", Title: "Latency", Caption: "p95 of each second", X: Axis{Scale: Elapsed}, Y: Axis{Label: "latency", Unit: "s", Scale: Log}, InText: true,
			Series: []Series{{Name: "p50", Points: Every(0, 1, []float64{0.1, 0.2, 0, nan, 0.1, 0.1})}, {Name: "p95", Points: Every(0, 1, []float64{0.5, 1, 9, nan, 2, 0.5})}},
			Bounds: []Bound{{8, "bound 8 s"}}, Spans: []Span{{2, 3, "fault injected"}}, Marks: []Mark{{4, "restart"}},
		},
		{
			Name: "aas", Title: "Average active sessions", Kind: StackedChart, X: Axis{Scale: Clock}, Y: Axis{Label: "sessions"}, InText: true,
			Series: []Series{
				{Name: "CPU", Color: ColorCPU, Points: Every(1_760_000_000, 1, []float64{1, 2, nan, 2})},
				{Name: "Commit", Color: ColorCommit, Points: Every(1_760_000_000, 1, []float64{0, 1, nan, nan})},
			},
		},
		{
			Name: "top", Title: "Top statements", Kind: BarChart, Y: Axis{Unit: "s"}, InText: true, Series: []Series{{Name: "CPU", Color: ColorCPU}, {Name: "waits"}},
			Bars: []Bar{{Label: "search_ids", Title: "SELECT id FROM a WHERE b > 1", Values: []float64{3, 1}, Text: "80% · 4 s"}, {Label: "get", Values: []float64{0.01, nan}}, {Label: "none", Values: []float64{nan, -1}}},
		},
		{Name: "sizes", Title: "Distribution", Kind: StepChart, X: Axis{Unit: "B"}, Y: Axis{Label: "answers"}, Series: []Series{{Name: "answers", Points: []Point{{0, 5}, {1024, 12}, {2048, 3}, {4096, 0}}}}},
		{
			Name: "capacity", Title: "Capacity", Kind: ScatterChart, X: Axis{Label: "users"}, Y: Axis{Unit: "/s"},
			Series: []Series{{Name: "measured", Points: []Point{{10, 30}, {20, 50}, {30, 55}}}, {Name: "fitted", Line: true, Points: []Point{{10, 29}, {30, 56}}, Band: []Range{{10, 25, 33}, {30, 50, 60}}}},
		},
		{Name: "gc", Title: "Pauses"},
	}}
}
