package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const deployed = "../../deploy/grafana/dashboards"

// What compose.yaml gives to Grafana is what this program writes.
func TestDashboardsAreFresh(t *testing.T) {
	want := files()
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(deployed, name)); err != nil || string(got) != string(text) {
			t.Errorf("%s is stale; run 'go run .' in tools/dashboards: %v", name, err)
		}
	}
	found, err := os.ReadDir(deployed)
	if err != nil || len(found) != len(want) {
		t.Errorf("%d files in %s, want %d: %v", len(found), deployed, len(want), err)
	}
}

// Panels have their place, and none lies on another.
func TestPanelsArePlaced(t *testing.T) {
	for name, d := range dashboards() {
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= gridWidth {
						t.Fatalf("%s: %q lies on %q, or beyond the edge", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Title == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: %+v lacks a title, a unit or an expression", name, p)
			}
		}
	}
}

// A name is a metric with the labels that its series have.
type names map[string]map[string]bool

// recorded are the series that alerts.yml records.
var recorded = regexp.MustCompile(`(?m)^ +- record: (\S+)$`)

// check reports what an expression asks for that is not there.
func (known names) check(expr string) []string {
	tree, err := parser.ParseExpr(strings.NewReplacer("$__rate_interval", "1m", "$instance", ".+").Replace(expr))
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has, found := known[s.Name]
		if !found {
			faults = append(faults, "no metric "+s.Name)
		}
		for _, m := range s.LabelMatchers {
			if own := m.Name == labels.MetricName || m.Name == "job" || m.Name == "instance"; found && !own && !has[m.Name] {
				faults = append(faults, s.Name+" has no label "+m.Name)
			}
		}
		return nil
	})
	return faults
}

func TestExpressionsNameWhatAServerExports(t *testing.T) {
	known := scrape(t)
	rules, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range recorded.FindAllStringSubmatch(string(rules), -1) {
		known[m[1]] = map[string]bool{}
	}
	known["up"] = map[string]bool{}
	groups, faults := rulefmt.Parse(rules, false)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			for _, fault := range known.check(r.Expr) {
				t.Errorf("%s%s: %s in %s", r.Alert, r.Record, fault, r.Expr)
			}
		}
	}
	n := 0
	for name, d := range dashboards() {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				n++
				for _, fault := range known.check(q.Expr) {
					t.Errorf("%s, %q: %s in %s", name, p.Title, fault, q.Expr)
				}
				for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
					if by := regexp.MustCompile(`by \(([^)]+)\)`).FindStringSubmatch(q.Expr); by != nil && !slices.Contains(strings.Split(by[1], ", "), m[1]) {
						t.Errorf("%s, %q: the legend names %s, which the expression sums away", name, p.Title, m[1])
					}
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("%d expressions were checked", n)
	}
	for _, wrong := range []string{"tomehub_no_such_metric", `up{} +`, `tomehub_streams_active{route="x"}`, `rate(tomehub_build_info[1m`} {
		if len(known.check(wrong)) == 0 {
			t.Errorf("%s passes", wrong)
		}
	}
}

// scrape reads the metrics of a server in phase D.
func scrape(t *testing.T) names {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "tomehub")
	build := exec.Command("go", "build", "-o", binary, "./cmd/tomehub")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ready := filepath.Join(dir, "ready.json")
	serve := exec.Command(binary, "serve", "--phase", "D", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", dir, "--ready-file", ready, "--env-file", "")
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serve.Process.Kill(); serve.Wait() })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		select {
		case <-deadline:
			t.Fatal("the server is not ready after a minute")
		case <-tick.C:
		}
		var at struct {
			Admin string `json:"admin_url"`
		}
		if text, err := os.ReadFile(ready); err == nil && json.Unmarshal(text, &at) == nil {
			return read(t, at.Admin+"/metrics")
		}
	}
}

// line is a series of the text format: its name, and its labels.
var (
	line  = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? \S+$`)
	label = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
)

func read(t *testing.T, address string) names {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	known := names{}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		m := line.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		has := map[string]bool{}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			has[l[1]] = true
		}
		if known[m[1]] == nil {
			known[m[1]] = has
		}
		maps.Copy(known[m[1]], has)
	}
	return known
}
