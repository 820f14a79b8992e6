package server

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/tomehub/tomehub/server/library"
)

func TestMetricsFormats(t *testing.T) {
	h, m := measuredHouse(t, 1, 20, library.Config{}, unchanged)
	deps := h.deps()
	deps.Metrics = m
	s := newServer(t, testConfig(), deps)
	ask(t, s.Handler(), "GET", "/api/search?q=time", "", "X-Request-Id", "find-me-7")
	ask(t, s.Handler(), "GET", "/api/search?q=time", "", "X-Request-Id", strings.Repeat("x", maxRequestID))
	plain := ask(t, s.AdminHandler(), "GET", "/metrics", "")
	if kind := plain.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") || strings.Contains(plain.Body.String(), "find-me-7") {
		t.Errorf("%s, with an exemplar %v", kind, strings.Contains(plain.Body.String(), "find-me-7"))
	}
	open := ask(t, s.AdminHandler(), "GET", "/metrics", "", "Accept", "application/openmetrics-text; version=1.0.0")
	body := open.Body.String()
	if kind := open.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("%s, which ends with %q", kind, body[max(0, len(body)-20):])
	}
	for _, name := range []string{"tomehub_http_request_duration_seconds", "tomehub_db_query_duration_seconds", "tomehub_db_acquire_seconds"} {
		found := false
		for line := range strings.Lines(body) {
			found = found || strings.HasPrefix(line, name+"_bucket") && strings.Contains(line, `# {request_id="find-me-7"}`)
		}
		if !found {
			t.Errorf("no bucket of %s names the request", name)
		}
	}
	if w := ask(t, newServer(t, testConfig(), Deps{Library: echo()}).AdminHandler(), "GET", "/metrics", ""); w.Code != 404 || !strings.Contains(w.Body.String(), "--metrics") {
		t.Errorf("without metrics: %d %s", w.Code, w.Body)
	}
	if _, err := New(testConfig(), deps); err == nil || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("metrics given to two servers: %v", err)
	}
}

func TestPromtoolLint(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: needs promtool (apt-get install prometheus)")
	}
	s, _ := fullServer(t)
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = ask(t, s.AdminHandler(), "GET", "/metrics", "").Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// docs/metrics.md is written from the metrics of a server that has everything.
func TestMetricsReference(t *testing.T) {
	s, _ := fullServer(t)
	got, file := metricsReference(families(t, s.AdminHandler())), filepath.Join("..", "docs", "metrics.md")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/metrics.md is stale; run 'make docs' (-file +program):\n%s", diff)
	}
}

// openValues says what the values of labels are that are too many to list, or not known here.
var openValues = map[string]string{
	"op":                               "the name of a statement: a file of server/store/sql/*, without .sql",
	"code":                             "HTTP status; 200 and 500 are there from the start, others once they were sent",
	"version":                          "of the build",
	"phase":                            "baseline, A, B, C, D",
	"method":                           "GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE, OTHER",
	"name":                             "database, answer service",
	"pool":                             "read, write; main for a single pool",
	"db_name":                          "read, write; main for a single pool",
	"reason of tomehub_restarts_total": "handover, memory, crash, wedged, not_ready",
}

// metricsReference lists the metrics in Markdown.
func metricsReference(all map[string]*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("# Metrics\n\nWritten by `make docs` from a running server; do not edit.\n\n" +
		"`/metrics` of the admin listener, in the text format of Prometheus or, for who asks for it, as OpenMetrics with the request id of\n" +
		"one request in each bucket (exemplars). Part of phase D; `--metrics` turns it on and off. Every label has a closed set of values, and\n" +
		"its series are there from the start at 0. A server that lacks a part (memory monitor, breaker, second level of the cache) lacks its series.\n\n" +
		"The `go_sql_` names are those of client_golang's collector of database/sql, and tell of the gate before it: that is where callers wait.\n" +
		"`go_` and `process_` metrics of the Go runtime and the process are client_golang's own and not listed.\n\n" +
		"| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "tomehub_") && !strings.HasPrefix(name, "go_sql_") {
			continue
		}
		f := all[name]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), labelSets(f), f.GetHelp())
	}
	b.WriteString("\n## Label values\n\n")
	for _, label := range []string{"route", "op", "code", "method", "pool", "db_name", "name", "version", "phase"} {
		values := openValues[label]
		if label == "route" {
			values = strings.Join(labelValues(all["tomehub_http_requests_in_flight"], label), ", ")
		}
		fmt.Fprintf(&b, "- `%s`: %s\n", label, values)
	}
	return b.String()
}

func labelValues(f *dto.MetricFamily, name string) []string {
	values := map[string]bool{}
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if l.GetName() == name {
				values[l.GetValue()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(values))
}

// labelSets tells the labels of a metric, with their values where they are its own.
func labelSets(f *dto.MetricFamily) string {
	var out []string
	for _, l := range f.Metric[0].Label {
		name := l.GetName()
		switch values, known := openValues[name+" of "+f.GetName()]; {
		case known:
			out = append(out, fmt.Sprintf("`%s`: %s", name, values))
		case openValues[name] != "" || name == "route":
			out = append(out, "`"+name+"`")
		default:
			out = append(out, fmt.Sprintf("`%s`: %s", name, strings.Join(labelValues(f, name), ", ")))
		}
	}
	return strings.Join(out, "; ")
}
