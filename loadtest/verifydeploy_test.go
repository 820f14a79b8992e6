package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestMetricsOf(t *testing.T) {
	f := func(expr string, want ...string) {
		t.Helper()
		got := metricsOf("x", expr)
		for i := range want {
			want[i] += " of x"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
	}
	f(`sum by (job) (rate(tomehub_a_count{job="tomehub_b",route!~"/api|go_c"}[5m]))`, "tomehub_a_count")
	f(`go_sql_x{a='process_y \' go_z'} / process_w`, "go_sql_x", "process_w")
	f(`job:tomehub_slo:ratio_rate5m > 14.4 and up{job="tomehub"} == 0`)
	f(`sum by (tomehub) (up)`)
	f("tomehub_a{b=`\"`} + tomehub_c", "tomehub_a", "tomehub_c")
}

// What somebody broke in the dashboards or the alerts is found and named.
func TestVerifyNoticesBrokenMonitoring(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# TYPE tomehub_a counter\ntomehub_a 1\n# TYPE tomehub_h histogram\ntomehub_h_bucket{le=\"+Inf\"} 1\ntomehub_h_sum 1\ntomehub_h_count 1\n")
	}))
	defer s.Close()
	const rule = "{alert: %s, expr: tomehub_h_count > 1, labels: {severity: page}, annotations: {summary: a, description: b, runbook_url: c, dashboard_url: d}}\n"
	sound := func() map[string]string {
		files := map[string]string{"prometheus/alerts.yml": "groups:\n- rules:\n  - {record: 'job:a', expr: sum(tomehub_a)}\n"}
		for _, name := range planDashboards {
			files["grafana/dashboards/"+name+".json"] = `{"panels": [{"title": "P", "targets": [{"expr": "rate(tomehub_h_bucket[1m])"}]}]}`
		}
		for _, name := range planAlerts {
			files["prometheus/alerts.yml"] += "  - " + fmt.Sprintf(rule, name)
		}
		return files
	}
	f := func(check func(context.Context, *bench) (finding, error), broken func(map[string]string), want string) {
		t.Helper()
		files, deployed := sound(), fstest.MapFS{}
		broken(files)
		for name, text := range files {
			deployed[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got, err := check(t.Context(), &bench{v: &verifier{cfg: VerifyConfig{Deploy: deployed}}, admin: s.URL, client: s.Client()})
		if err != nil {
			got = finding{status: Failed, seen: err.Error()}
		}
		if (got.status == Passed) != (want == "") || !strings.Contains(got.seen, want) {
			t.Errorf("%s: %s, want %q", got.status, got.seen, want)
		}
	}
	nothing := func(map[string]string) {}
	replace := func(file, what, by string) func(map[string]string) {
		return func(files map[string]string) { files[file] = strings.Replace(files[file], what, by, 1) }
	}
	const overview, alerts = "grafana/dashboards/overview.json", "prometheus/alerts.yml"
	f(dashboardsThere, nothing, "")
	f(dashboardsThere, func(files map[string]string) { delete(files, overview) }, "overview has no panel")
	f(dashboardsThere, replace(overview, `"targets"`, `"other"`), `overview: the panel "P" shows nothing`)
	f(dashboardsThere, replace(overview, `[`, ``), "read "+overview)
	f(dashboardsHaveData, nothing, "")
	f(dashboardsHaveData, replace(overview, "tomehub_h_bucket", "tomehub_gone"), "tomehub_gone of overview: P is not exported")
	f(dashboardsHaveData, replace(overview, "tomehub_h_bucket", "tomehub_a_bucket"), "tomehub_a_bucket of overview: P is not exported")
	f(alertsThere, nothing, "")
	f(alertsThere, replace(alerts, "alert: MemoryCritical", "alert: Other"), "MemoryCritical is not there")
	f(alertsThere, replace(alerts, "severity: page", "severity: loud"), `CacheHitRatioLow has the severity "loud"`)
	f(alertsThere, replace(alerts, "runbook_url: c, ", ""), "CacheHitRatioLow lacks runbook_url")
	f(alertsThere, replace(alerts, "groups:", "groups"), "read the alerts")
	f(alertsHaveData, nothing, "")
	f(alertsHaveData, replace(alerts, "sum(tomehub_a)", "sum(tomehub_b)"), "tomehub_b of job:a is not exported")
}
