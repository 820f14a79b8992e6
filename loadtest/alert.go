package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// AlertFigures tell of the alert that a fault sets off, as a Prometheus has it. Its clock is not scaled with the run's.
type AlertFigures struct {
	Alert string `json:"alert"`
	// FiringMS is from when the fault was put in until the alert fired, OverMS from the fault's end until it fired no more;
	// nil when that was not seen in the time that the checks give it.
	FiringMS *float64 `json:"firing_ms"`
	OverMS   *float64 `json:"over_ms"`
	Error    string   `json:"error,omitempty"` // why nothing can be said
}

// alertPoll is the time between two questions to Prometheus; rules are evaluated every few seconds at most.
const (
	alertPoll    = 500 * time.Millisecond
	maxAlertBody = 16 << 20
	// alertWait is how long an alert is waited for without a check that says how long it may take.
	alertWait = 5 * time.Minute
	// readWait is how long a run waits, before it begins, until Prometheus has read the server once. One that was told of a
	// new target looks at it within five seconds and one interval of scrapes, which few make longer than half a minute.
	readWait = 45 * time.Second
)

// The metrics of alerts, which a run without a Prometheus leaves out.
const (
	metricAlerted   = "fault.alerted"
	metricAlertOver = "fault.alert_over"
)

func isAlertMetric(name string) bool { return name == metricAlerted || name == metricAlertOver }

// withoutAlerts leaves out the checks that only a Prometheus can answer, and says which.
func (s *Scenario) withoutAlerts() (*Scenario, []string) {
	out := *s
	out.Checks = nil
	var left []string
	for _, c := range s.Checks {
		if isAlertMetric(c.Metric) {
			left = append(left, c.Metric)
			continue
		}
		out.Checks = append(out.Checks, c)
	}
	return &out, left
}

// An alertWatch asks a Prometheus which alerts fire about one server.
type alertWatch struct {
	prometheus, admin string
	client            *http.Client
	firing, over      time.Duration // how long to wait for the alert, and for its end
}

// newAlertWatch returns nil without a Prometheus.
func newAlertWatch(scn *Scenario, prometheus, admin string, transport http.RoundTripper) *alertWatch {
	if prometheus == "" {
		return nil
	}
	w := &alertWatch{
		prometheus: strings.TrimSuffix(prometheus, "/"), admin: admin, client: &http.Client{Transport: transport, Timeout: faultTimeout},
		firing: alertWait, over: alertWait,
	}
	for _, c := range scn.Checks {
		if c.High == nil {
			continue
		}
		most := time.Duration(c.High.Value * float64(time.Millisecond))
		switch c.Metric {
		case metricAlerted:
			w.firing = most
		case metricAlertOver:
			w.over = most
		}
	}
	return w
}

// watch follows the alert of a fault that was just put in until it fired and was over, or the time of either has passed. It
// outlasts the load: an alert takes as long as its rule says.
func (w *alertWatch) watch(ctx context.Context, f Fault) *AlertFigures {
	out := &AlertFigures{Alert: f.Alert}
	began := time.Now()
	instance, err := w.instance(ctx)
	before := false
	if err == nil { // no rule can have seen the fault yet
		before, err = w.fires(ctx, f.Alert, instance)
	}
	if err == nil && before {
		err = errors.New("it fired already when the fault was put in, so it proves nothing")
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	for rest(ctx, alertPoll) {
		fires, err := w.fires(ctx, f.Alert, instance)
		past := time.Since(began)
		switch {
		case err != nil && (out.FiringMS == nil && past > w.firing || past > f.For+w.over):
			out.Error = err.Error()
			return out
		case err != nil: // it may be there again at the next look
		case fires && out.FiringMS == nil:
			ms := milliseconds(past)
			out.FiringMS = &ms
		case out.FiringMS == nil && past > w.firing, past > f.For+w.over:
			return out
		case !fires && out.FiringMS != nil && past >= f.For:
			ms := milliseconds(past - f.For)
			out.OverMS = &ms
			return out
		}
	}
	out.Error = "the run was stopped"
	return out
}

// await returns once Prometheus has read the server, or readWait has passed: what is wrong then, watch finds out again and says.
func (w *alertWatch) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	for {
		if _, err := w.instance(ctx); err == nil || !rest(ctx, alertPoll) {
			return
		}
	}
}

// instance is the name by which Prometheus knows the server: the label of the target that it reads at the server's admin
// listener, and up.
func (w *alertWatch) instance(ctx context.Context) (string, error) {
	admin, err := url.Parse(w.admin)
	if err != nil || w.admin == "" {
		return "", errors.New("an alert needs the admin listener (--admin), which tells the server's target from others")
	}
	var targets struct {
		Data struct {
			ActiveTargets []struct {
				ScrapeURL, Health, LastError string
				Labels                       map[string]string
			}
		}
	}
	if err := w.ask(ctx, "/api/v1/targets?state=active", &targets); err != nil {
		return "", err
	}
	for _, t := range targets.Data.ActiveTargets {
		if u, err := url.Parse(t.ScrapeURL); err != nil || u.Host != admin.Host {
			continue
		}
		if t.Health != "up" {
			return "", fmt.Errorf("%s has not read %s (health %s) %s", w.prometheus, t.ScrapeURL, t.Health, t.LastError)
		}
		return t.Labels["instance"], nil
	}
	return "", fmt.Errorf("%s reads no target at %s, so it knows nothing of this server (scrape_configs of Prometheus, --admin or --prometheus-targets)", w.prometheus, admin.Host)
}

// fires says whether the alert fires about the server, or about its whole job.
func (w *alertWatch) fires(ctx context.Context, alert, instance string) (bool, error) {
	var alerts struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := w.ask(ctx, "/api/v1/alerts", &alerts); err != nil {
		return false, err
	}
	for _, a := range alerts.Data.Alerts {
		about, named := a.Labels["instance"]
		if a.State == "firing" && a.Labels["alertname"] == alert && (!named || about == instance) {
			return true, nil
		}
	}
	return false, nil
}

// ask reads an answer of Prometheus' API.
func (w *alertWatch) ask(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.prometheus+path, nil)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	answer, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Prometheus for %s: status %d", path, answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAlertBody)).Decode(into); err != nil {
		return fmt.Errorf("ask Prometheus for %s: %w", path, err)
	}
	return nil
}

// watchAlert follows the alert of the fault of index i in a goroutine of its own.
func (x *injector) watchAlert(ctx context.Context, i int) {
	if x.alerts == nil || x.faults[i].Alert == "" {
		return
	}
	x.watching.Go(func() {
		alert := x.alerts.watch(ctx, x.faults[i])
		x.note(i, func(out *FaultFigures) { out.Alerts = alert })
	})
}

// alertMetrics are those of the alerts, the longest of all faults that name one. An alert that never fired took for ever.
func alertMetrics() map[string]metric {
	worst := func(of func(*AlertFigures) *float64) func(*Result) (float64, string) {
		return func(r *Result) (float64, string) {
			most, some := 0.0, false
			for _, f := range r.Faults {
				a := f.Alerts
				switch {
				case f.Error != "":
					return 0, f.Error
				case a == nil:
					continue
				case a.Error != "":
					return 0, a.Error
				}
				some = true
				if ms := of(a); ms != nil {
					most = max(most, *ms)
				} else {
					most = math.Inf(1)
				}
			}
			if !some {
				return 0, "no fault of this scenario names an alert (alert: NAME)"
			}
			return most, ""
		}
	}
	return map[string]metric{
		metricAlerted:   {unit: unitTime, unscaled: true, result: worst(func(a *AlertFigures) *float64 { return a.FiringMS })},
		metricAlertOver: {unit: unitTime, unscaled: true, result: worst(func(a *AlertFigures) *float64 { return a.OverMS })},
	}
}

// alertTable tells of the alerts that faults set off; it has no rows when nobody asked for them.
func (r *Result) alertTable() reports.Table {
	t := reports.Table{
		Name: "alerts", Caption: "Alerts of the faults, by the Prometheus that was asked; its clock is not scaled",
		Columns: []reports.Column{{Name: "Fault"}, {Name: "Alert"}, {Name: "Firing after", Align: reports.Right}, {Name: "Over after", Align: reports.Right}, {Name: "Why not"}},
	}
	after := func(ms *float64) string {
		if ms == nil {
			return "not seen"
		}
		return formatMS(*ms)
	}
	for _, f := range r.Faults {
		if a := f.Alerts; a != nil {
			t.Rows = append(t.Rows, []string{f.Fault, a.Alert, after(a.FiringMS), after(a.OverMS), a.Error})
		}
	}
	return t
}
