package loadtest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Bounds of a history.
const (
	maxHistory     = 500      // runs kept in a directory, the newest
	maxRunFile     = 64 << 10 // bytes
	trendRuns      = 20       // runs that a trend shows
	maxSkippedTold = 3
)

// A History keeps a summary of each run in a directory, one small file a run. Runs that end at the same time do not
// disturb each other: each file is written beside, under a name of its own, and renamed when it is whole.
type History struct {
	dir  string
	keep int
}

// OpenHistory makes the directory unless it is there. It may hold other files, which are left alone.
func OpenHistory(dir string) (*History, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return &History{dir: dir, keep: maxHistory}, nil
}

// A PastRun is what a history keeps of a run. Times are in milliseconds.
type PastRun struct {
	SchemaVersion int             `json:"schema_version"`
	Scenario      string          `json:"scenario"`
	Digest        string          `json:"scenario_digest,omitempty"`
	Target        string          `json:"target"` // the server's URL, or "spawned"
	TimeScale     float64         `json:"time_scale"`
	Worker        string          `json:"worker,omitempty"`
	StartedAt     time.Time       `json:"started_at"`
	Generator     string          `json:"generator,omitempty"` // versions
	Server        string          `json:"server,omitempty"`
	Load          string          `json:"load"`
	MeasuredS     float64         `json:"measured_s"`
	Judged        bool            `json:"judged"`
	Verdict       reports.Verdict `json:"verdict"`
	Completed     int64           `json:"completed"`
	Rate          float64         `json:"rate_per_s"`
	ErrorRate     float64         `json:"error_rate"`
	P50MS         float64         `json:"p50_ms"`
	P95MS         float64         `json:"p95_ms"`
	P99MS         float64         `json:"p99_ms"`
}

// Past is the summary of a result. target is the kind of its server: "spawned", or its URL.
func (r *Result) Past(target string) PastRun {
	p := PastRun{
		SchemaVersion: ResultVersion, Scenario: r.Scenario, Digest: r.Digest, Target: target, TimeScale: r.TimeScale, Worker: r.Worker,
		StartedAt: r.StartedAt, Generator: r.Environment.Generator, Load: r.Load, MeasuredS: r.MeasuredS, Judged: r.Judged, Verdict: r.Verdict,
		Completed: r.Total.Completed, Rate: r.Total.Rate, ErrorRate: r.Total.ErrorRate,
		P50MS: r.Total.Response.P50MS, P95MS: r.Total.Response.P95MS, P99MS: r.Total.Response.P99MS,
	}
	if r.Server != nil {
		p.Server = r.Server.Version
	}
	return p
}

// like tells whether the two runs may stand in one trend.
func (p *PastRun) like(o *PastRun) bool {
	return p.Scenario == o.Scenario && p.Target == o.Target && p.TimeScale == o.TimeScale && p.Worker == o.Worker
}

// historyTime orders files by name as their runs began.
const historyTime = "20060102T150405.000Z"

// Add keeps the run and removes the oldest ones beyond 500.
func (h *History) Add(p PastRun) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("add to history: %w", err)
	}
	name := "run-" + p.StartedAt.UTC().Format(historyTime) + "-" + strings.ToLower(rand.Text()[:10]) + ".json"
	tmp := filepath.Join(h.dir, "."+name+".tmp")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o666); err != nil {
		return errors.Join(fmt.Errorf("add to history: %w", err), os.Remove(tmp))
	}
	if err := os.Rename(tmp, filepath.Join(h.dir, name)); err != nil {
		return errors.Join(fmt.Errorf("add to history: %w", err), os.Remove(tmp))
	}
	names, err := h.names()
	if err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)-h.keep)] {
		if err := os.Remove(filepath.Join(h.dir, old)); err != nil && !errors.Is(err, fs.ErrNotExist) { // another run may have been first
			return fmt.Errorf("remove old run from history: %w", err)
		}
	}
	return nil
}

// names lists the files of runs, the oldest first.
func (h *History) names() ([]string, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "run-") && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// A Trend is the last runs of one scenario, against one kind of server, at one time scale; the newest is the last.
type Trend struct {
	Runs    []PastRun
	Skipped []string // files that could not be read, and why
}

// Trend returns the last 20 runs like p, which is in the history itself by then.
func (h *History) Trend(p PastRun) (Trend, error) {
	var t Trend
	names, err := h.names()
	if err != nil {
		return t, err
	}
	for _, name := range names {
		run, err := h.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile by another run
		case err != nil:
			t.Skipped = append(t.Skipped, name+": "+err.Error())
		case run.like(&p):
			t.Runs = append(t.Runs, run)
		}
	}
	slices.SortStableFunc(t.Runs, func(a, b PastRun) int { return a.StartedAt.Compare(b.StartedAt) })
	t.Runs = t.Runs[max(0, len(t.Runs)-trendRuns):]
	return t, nil
}

func (h *History) read(name string) (p PastRun, err error) {
	f, err := os.Open(filepath.Join(h.dir, name))
	if err != nil {
		return p, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxRunFile {
		return p, errors.Join(err, fmt.Errorf("has more than %d KiB", maxRunFile>>10))
	}
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return p, fmt.Errorf("is no run: %w", err)
	}
	if p.SchemaVersion != ResultVersion || p.Scenario == "" || p.StartedAt.IsZero() {
		return p, fmt.Errorf("is no run of schema version %d", ResultVersion)
	}
	return p, nil
}

// Extend adds the trend to the report of its newest run: a table, a sentence, and charts of response times and rates,
// which text shows as sparklines.
func (t Trend) Extend(r *reports.Report) {
	for i, s := range t.Skipped {
		if i == maxSkippedTold {
			r.Notes = append(r.Notes, fmt.Sprintf("History: %d more files left out.", len(t.Skipped)-i))
			break
		}
		r.Notes = append(r.Notes, "History: left out "+clip(s, 200))
	}
	if len(t.Runs) == 0 {
		return
	}
	r.Notes = append(r.Notes, t.sentence())
	r.Tables = append(r.Tables, t.table())
	if len(t.Runs) > 1 {
		r.Charts = append(r.Charts,
			t.chart("history", "Response times of the last runs", "s",
				trendLine{"p50", func(p *PastRun) float64 { return p.P50MS / 1000 }}, trendLine{"p95", func(p *PastRun) float64 { return p.P95MS / 1000 }}),
			t.chart("history_rate", "Requests of the last runs", "/s", trendLine{"rate", func(p *PastRun) float64 { return p.Rate }}),
			t.chart("history_errors", "Errors of the last runs", "%", trendLine{"errors", func(p *PastRun) float64 { return p.ErrorRate }}))
	}
}

// sentence sets the newest run beside the ones before.
func (t Trend) sentence() string {
	last, before := t.Runs[len(t.Runs)-1], t.Runs[:len(t.Runs)-1]
	if len(before) == 0 {
		return "History: the first run of this scenario against this kind of server at this time scale."
	}
	var p95s, rates []float64
	for i := range before {
		p95s, rates = append(p95s, before[i].P95MS), append(rates, before[i].Rate)
	}
	p95, rate := median(p95s), median(rates)
	return fmt.Sprintf("History: p95 %s and %s/s; the median of the %s before: %s and %s/s. Runs differ by chance; 'tomehub loadtest compare' says what is more than that.",
		formatMS(last.P95MS), formatNumber(last.Rate), plural(len(before), "run"), formatMS(p95), formatNumber(rate))
}

func (t Trend) table() reports.Table {
	out := reports.Table{
		Name: "history", Caption: "The last runs of this scenario, the newest last",
		Columns: []reports.Column{
			{Name: "Began"}, {Name: "Verdict"}, right("Requests"), right("Rate"), right("Errors"), right("p50"), right("p95"), right("p99"),
			{Name: "Server", Optional: true}, {Name: "Scenario", Optional: true},
		},
	}
	for i, p := range t.Runs {
		verdict, scenario := "not judged", ""
		if p.Judged {
			verdict = p.Verdict.Mark() + " " + p.Verdict.String()
		}
		if i > 0 && p.Digest != t.Runs[i-1].Digest {
			scenario = "changed"
		}
		out.Rows = append(out.Rows, []string{
			p.StartedAt.UTC().Format("2006-01-02 15:04:05"), verdict, fmt.Sprint(p.Completed), formatNumber(p.Rate) + "/s", formatNumber(p.ErrorRate) + "%",
			formatMS(p.P50MS), formatMS(p.P95MS), formatMS(p.P99MS), clip(p.Server, 30), scenario,
		})
	}
	return out
}

// A trendLine is one figure of past runs.
type trendLine struct {
	name string
	of   func(*PastRun) float64
}

// chart draws figures by the number of the run, so that runs of one hour and of one month stand alike.
func (t Trend) chart(name, title, unit string, all ...trendLine) reports.Chart {
	c := reports.Chart{Name: name, Title: title, X: reports.Axis{Label: "run", Max: float64(len(t.Runs))}, Y: reports.Axis{Unit: unit}, InText: true}
	for _, s := range all {
		line := reports.Series{Name: s.name}
		for i := range t.Runs {
			line.Points = append(line.Points, reports.Point{X: float64(i + 1), Y: s.of(&t.Runs[i])})
		}
		c.Series = append(c.Series, line)
	}
	return c
}
