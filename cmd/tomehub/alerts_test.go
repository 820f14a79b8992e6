package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/scenarios"
)

// An alertRule is an alert or a recording of deploy/prometheus/alerts.yml.
type alertRule struct {
	Alert, Record, Expr string
	For                 string
	Labels, Annotations map[string]string
}

// alertRules reads the shipped rules.
func alertRules(t *testing.T) []alertRule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alertRule }
	}
	if err := yaml.Unmarshal([]byte(readDeploy(t, "prometheus/alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []alertRule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// need finds a program that a test runs, or skips the test loudly.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: needs %s (apt-get install %s)", program, debian)
	}
	return path
}

// Whoever is woken finds what happened, what to do and where to look, and the section that it leads to is there.
func TestAlertsHaveRunbooks(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, runbook, _ := strings.Cut(string(page), "\n## Runbook")
	sections := map[string]string{}
	for s := range strings.SplitSeq(runbook, "\n### ") {
		heading, body, _ := strings.Cut(s, "\n")
		sections[heading] = body
	}
	names := map[string]bool{}
	for _, r := range alertRules(t) {
		if r.Alert == "" {
			continue
		}
		names[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		for _, a := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s lacks %s", r.Alert, a)
			}
		}
		if want := "/docs/operations.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
			t.Errorf("%s leads to %s, want …%s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if s := sections[r.Alert]; !strings.Contains(s, "\n```\n") || !strings.Contains(s, r.Labels["severity"]) {
			t.Errorf("docs/operations.md has no section %s with commands and its severity", r.Alert)
		}
	}
	for heading := range sections {
		if regexp.MustCompile(`^[A-Z]\w+$`).MatchString(heading) && !names[heading] {
			t.Errorf("docs/operations.md tells what to do for %s, which is no alert", heading)
		}
	}
	for _, want := range []string{
		"TomehubDown", "TomehubAbsent", "SLOErrorsBudgetBurn", "SLOSlowBudgetBurn", "DBPoolExhausted", "DBPoolSaturated", "DBQuerySlow", "CircuitBreakerOpen",
		"CircuitBreakerFlapping", "CacheHitRatioLow", "MemoryWarning", "MemoryCritical", "MemoryLeakSuspected", "StreamsNearLimit", "RateLimitRejectionsHigh", "RestartLooping",
	} {
		if !names[want] {
			t.Errorf("there is no alert %s", want)
		}
	}
}

// A scenario's fault names an alert that there is.
func TestScenariosNameAlerts(t *testing.T) {
	names := map[string]bool{}
	for _, r := range alertRules(t) {
		names[r.Alert] = true
	}
	list, err := loadtest.List(scenarios.FS)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, sc := range list {
		for _, f := range sc.Faults {
			if f.Alert == "" {
				continue
			}
			if n++; !names[f.Alert] {
				t.Errorf("%s: there is no alert %s", sc.Name, f.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("no scenario names an alert")
	}
}

// testRules runs the unit tests of the rules, in a directory where the rules are these.
func testRules(t *testing.T, promtool, rules string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "rules"}
	for _, name := range []string{"alerts.test.yml", "alerts.long.test.yml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(readDeploy(t, "prometheus/"+name)), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, filepath.Join(dir, name))
	}
	out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
	return string(out), err
}

func TestAlertsByPromtool(t *testing.T) {
	slow(t) // days of samples for the budgets
	promtool := need(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	if out, err := testRules(t, promtool, readDeploy(t, "prometheus/alerts.yml")); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// comparison is a bound in the expression of an alert.
var comparison = regexp.MustCompile(`( (?:>|<|==) )([\d.]+)`)

// movedBounds are the rules with every bound of an alert times a factor, and those without a number exchanged for others.
func movedBounds(rules string, factor float64) string {
	moved := comparison.ReplaceAllStringFunc(rules, func(text string) string {
		m := comparison.FindStringSubmatch(text)
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil || n == 0 && m[1] != " == " {
			return text
		}
		if n == 0 {
			return m[1] + "2"
		}
		return m[1] + strconv.FormatFloat(n*factor, 'g', -1, 64)
	})
	return strings.NewReplacer(`{state="warning"}`, `{state="critical"}`, `{state="critical"}`, `{state="warning"}`,
		`>= go_sql_max_open_connections`, `>= `+strconv.FormatFloat(factor, 'g', -1, 64)+` * go_sql_max_open_connections`,
		`absent(up{job="tomehub"})`, `absent(up{job="other"})`).Replace(moved)
}

// failedCase says whether a line of promtool is of a case of the alert that failed: it begins with the expression that the case asked for.
func (r alertRule) failedCase(line string) bool {
	asked, ok := strings.CutPrefix(strings.TrimSpace(line), "expr:")
	return ok && strings.Contains(asked, `alertname=\"`+r.Alert+`\"`) &&
		(strings.Contains(asked, `severity=\"`+r.Labels["severity"]+`\"`) || !strings.Contains(asked, "severity")) &&
		strings.Contains(asked, r.Labels["window"])
}

// Every alert has a case that fails when its bound is higher by 60 %, and one when it is lower by 40 %.
func TestAlertsNoticeMovedBounds(t *testing.T) {
	slow(t)
	promtool := need(t, "promtool", "prometheus")
	rules := readDeploy(t, "prometheus/alerts.yml")
	for _, factor := range []float64{0.6, 1.6} {
		out, err := testRules(t, promtool, movedBounds(rules, factor))
		if err == nil {
			t.Errorf("bounds times %v: no case fails", factor)
		}
		for _, r := range alertRules(t) {
			if r.Alert == "" {
				continue
			}
			if !slices.ContainsFunc(strings.Split(out, "\n"), r.failedCase) {
				t.Errorf("bounds times %v: no case of %s %v fails", factor, r.Alert, r.Labels)
			}
		}
	}
}

// Pages go to the pager, tickets to their system.
func TestAlertmanagerRoutes(t *testing.T) {
	amtool := need(t, "amtool", "prometheus-alertmanager")
	file := "--config.file=../../deploy/alertmanager/alertmanager.yml"
	f := func(receiver string, labels ...string) {
		t.Helper()
		args := append([]string{"config", "routes", "test", file, "--verify.receivers=" + receiver}, labels...)
		if out, err := exec.CommandContext(t.Context(), amtool, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: want %s: %v\n%s", labels, receiver, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), amtool, "check-config", "../../deploy/alertmanager/alertmanager.yml").CombinedOutput(); err != nil {
		t.Errorf("amtool check-config: %v\n%s", err, out)
	}
	f("pager", "severity=page", "alertname=TomehubDown")
	f("ticket", "severity=ticket", "alertname=DBQuerySlow")
	f("ticket", "alertname=SomebodyElses")
}
