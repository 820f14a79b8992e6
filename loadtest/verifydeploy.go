package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v4"
)

// planDashboards are the titles that the plan's monitoring needs, by file.
var planDashboards = []string{"database", "loadtest", "overview", "resilience"}

// planAlerts are the failures that somebody must hear of.
var planAlerts = []string{
	"CacheHitRatioLow", "CircuitBreakerFlapping", "CircuitBreakerOpen", "DBPoolExhausted", "DBPoolSaturated", "DBQuerySlow",
	"MemoryCritical", "MemoryLeakSuspected", "MemoryWarning", "RateLimitRejectionsHigh", "RestartLooping", "SLOErrorsBudgetBurn",
	"SLOSlowBudgetBurn", "StreamsNearLimit", "TomehubAbsent", "TomehubDown",
}

// A dashboard is what verify reads of Grafana's JSON.
type dashboard struct {
	Title  string
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// An alertingRule is one entry of a group of Prometheus' rules: it records a series or raises an alert.
type alertingRule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

// dashboards are those that come with this program, by the name of their file.
func (b *bench) dashboards() (map[string]dashboard, error) {
	all := map[string]dashboard{}
	files, err := fs.Glob(b.v.cfg.Deploy, "grafana/dashboards/*.json")
	if err != nil {
		return nil, fmt.Errorf("look for dashboards: %w", err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(b.v.cfg.Deploy, file)
		if err != nil {
			return nil, fmt.Errorf("read a dashboard: %w", err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all[strings.TrimSuffix(path.Base(file), ".json")] = d
	}
	return all, nil
}

// rules are those that come with this program.
func (b *bench) rules() ([]alertingRule, error) {
	text, err := fs.ReadFile(b.v.cfg.Deploy, "prometheus/alerts.yml")
	if err != nil {
		return nil, fmt.Errorf("read the alerts: %w", err)
	}
	var file struct {
		Groups []struct{ Rules []alertingRule }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read the alerts: %w", err)
	}
	var all []alertingRule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

func dashboardsThere(_ context.Context, b *bench) (finding, error) {
	all, err := b.dashboards()
	if err != nil {
		return finding{}, err
	}
	var faults []string
	for _, name := range planDashboards {
		if len(all[name].Panels) == 0 {
			faults = append(faults, name+" has no panel")
		}
	}
	panels := 0
	for name, d := range all {
		for _, p := range d.Panels {
			panels++
			if p.Title == "" || len(p.Targets) == 0 {
				faults = append(faults, fmt.Sprintf("%s: the panel %q shows nothing", name, p.Title))
			}
		}
	}
	slices.Sort(faults)
	if len(faults) > 0 {
		return judge(false, "%s", strings.Join(faults, "; "))
	}
	return judge(true, "%s: %d panels", strings.Join(slices.Sorted(maps.Keys(all)), ", "), panels)
}

func dashboardsHaveData(ctx context.Context, b *bench) (finding, error) {
	all, err := b.dashboards()
	if err != nil {
		return finding{}, err
	}
	var asked []string
	for name, d := range all {
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				asked = append(asked, metricsOf(name+": "+p.Title, t.Expr)...)
			}
		}
	}
	return b.exported(ctx, asked)
}

func alertsThere(_ context.Context, b *bench) (finding, error) {
	rules, err := b.rules()
	if err != nil {
		return finding{}, err
	}
	var faults []string
	known := map[string]bool{}
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		known[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			faults = append(faults, fmt.Sprintf("%s has the severity %q", r.Alert, s))
		}
		for _, must := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
			if r.Annotations[must] == "" {
				faults = append(faults, r.Alert+" lacks "+must)
			}
		}
	}
	for _, name := range planAlerts {
		if !known[name] {
			faults = append(faults, name+" is not there")
		}
	}
	slices.Sort(faults)
	if len(faults) > 0 {
		return judge(false, "%s", strings.Join(faults, "; "))
	}
	return judge(true, "all %d alerts, each with its severity, runbook and dashboard", len(known))
}

func alertsHaveData(ctx context.Context, b *bench) (finding, error) {
	rules, err := b.rules()
	if err != nil {
		return finding{}, err
	}
	var asked []string
	for _, r := range rules {
		asked = append(asked, metricsOf(r.Record+r.Alert, r.Expr)...)
	}
	return b.exported(ctx, asked)
}

var (
	promString = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`")
	promName   = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// metricsOf are the server's metrics that an expression of PromQL asks for, each as "metric of WHERE". It takes names for
// metrics by what they begin with: labels of ours do not begin so, and a parser of all of PromQL is as large as the rest of
// this program.
func metricsOf(where, expr string) []string {
	var all []string
	for _, name := range promName.FindAllString(promString.ReplaceAllString(expr, ""), -1) {
		if prefix, _, _ := strings.Cut(name, "_"); slices.Contains([]string{"tomehub", "go", "process"}, prefix) && strings.Contains(name, "_") {
			all = append(all, name+" of "+where)
		}
	}
	return all
}

// exported judges whether the server exports all that is asked for, as metricsOf has it.
func (b *bench) exported(ctx context.Context, asked []string) (finding, error) {
	s, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	names := map[string]bool{}
	var faults []string
	for _, a := range asked {
		name, _, _ := strings.Cut(a, " ")
		names[name] = true
		if !s.has(name) {
			faults = append(faults, a+" is not exported")
		}
	}
	if len(faults) > 0 {
		return judge(false, "%s", strings.Join(faults, "; "))
	}
	return judge(len(names) > 0, "%d metrics asked for, all exported", len(names))
}

// has tells whether a family was scraped, or a histogram or summary of which name is a part.
func (s *scrape) has(name string) bool {
	if s.families[name] != nil {
		return true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		base, cut := strings.CutSuffix(name, part)
		f := s.families[base]
		if !cut || f == nil {
			continue
		}
		histogram, summary := f.GetType() == dto.MetricType_HISTOGRAM, f.GetType() == dto.MetricType_SUMMARY
		return histogram || summary && part != "_bucket"
	}
	return false
}
