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
	"time"

	"go.yaml.in/yaml/v4"
)

// leaves is the longest time that a server takes to leave after SIGTERM, without --shutdown-delay, by its defaults.
const leaves = 2500*time.Millisecond + 25*time.Second + 2*time.Second // the last of the traces

// readDeploy reads a file of deploy/.
func readDeploy(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkNames holds that a tomehub reads the settings that a deployment gives it: a name with a typing error would be
// ignored in silence.
func checkNames(t *testing.T, where string, names []string) {
	t.Helper()
	flags, err := os.ReadFile("../../docs/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Errorf("%s sets nothing", where)
	}
	for _, name := range names {
		known := strings.Contains(string(flags), "["+name+"]") || slices.Contains([]string{"DB_PASSWORD_FILE", "ANSWER_API_KEY_FILE"}, name)
		if !known {
			t.Errorf("%s sets %s, which no command reads", where, name)
		}
	}
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeployCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Environment     map[string]string
			Ports, Volumes  []string
			Restart         string
			StopGracePeriod string `yaml:"stop_grace_period"`
			Deploy          struct {
				Resources struct{ Limits, Reservations struct{ Memory string } }
			}
			CapDrop  []string `yaml:"cap_drop"`
			ReadOnly bool     `yaml:"read_only"`
		}
	}
	readYAML(t, "deploy/compose.yaml", &file)
	for _, want := range []string{"tomehub", "redis", "prometheus", "alertmanager", "grafana"} {
		if _, ok := file.Services[want]; !ok {
			t.Errorf("there is no service %s", want)
		}
	}
	for name, s := range file.Services {
		if s.Restart != "always" {
			t.Errorf("%s is restarted %q", name, s.Restart)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, err := os.Stat(filepath.Join("../../deploy", from)); strings.HasPrefix(from, ".") && err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s to other machines", name, p)
			}
		}
	}
	ours := file.Services["tomehub"]
	if m := ours.Deploy.Resources; m.Limits.Memory != "2G" || m.Reservations.Memory != "1G" { // the plan's, C3
		t.Errorf("memory %+v", m)
	}
	if grace := duration(t, ours.StopGracePeriod); grace <= leaves {
		t.Errorf("killed after %v, and it takes %v to leave", grace, leaves)
	}
	if !ours.ReadOnly || !slices.Equal(ours.CapDrop, []string{"ALL"}) {
		t.Errorf("the container may write, or has capabilities: %+v", ours)
	}
	var names []string
	for name := range ours.Environment {
		names = append(names, name)
	}
	checkNames(t, "deploy/compose.yaml", names)
}

func TestDeployDockerfile(t *testing.T) {
	text := readDeploy(t, "Dockerfile")
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(text, -1)
	if n := len(stages); n != 2 || stages[1][1] != "scratch" {
		t.Errorf("built from %v; want the last to be empty", stages)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if want == nil || stages[0][1] != "golang:"+string(want[1]) {
		t.Errorf("built with %s, go.mod wants %s", stages[0][1], want)
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d+:[1-9]\d+$`).MatchString(text) {
		t.Error("it runs as root")
	}
	commands := (&app{}).newRootCommand()
	for _, m := range regexp.MustCompile(`CMD \[(?:"/tomehub", )?"(\w+)"`).FindAllStringSubmatch(text, -1) {
		if found, _, err := commands.Find([]string{m[1]}); err != nil || found == commands {
			t.Errorf("it runs tomehub %s: %v", m[1], err)
		}
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ENV (.+)$`).FindAllStringSubmatch(text, -1) {
		for _, pair := range strings.Fields(m[1]) {
			names = append(names, pair[:strings.IndexByte(pair, '=')])
		}
	}
	checkNames(t, "deploy/Dockerfile", names)
}

func TestDeployKubernetes(t *testing.T) {
	type probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}
	var object struct {
		Kind string
		Data map[string]string
		Spec struct {
			Template struct {
				Spec struct {
					Grace      int `yaml:"terminationGracePeriodSeconds"`
					Containers []struct {
						Args           []string
						Env            []struct{ Name string }
						StartupProbe   probe `yaml:"startupProbe"`
						LivenessProbe  probe `yaml:"livenessProbe"`
						ReadinessProbe probe `yaml:"readinessProbe"`
					}
				}
			}
		}
	}
	var names []string
	var delay time.Duration
	seen := map[string]int{}
	for text := range strings.SplitSeq(readDeploy(t, "kubernetes/tomehub.yaml"), "\n---\n") {
		o := object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		seen[o.Kind]++
		for name := range o.Data {
			names = append(names, name)
		}
		if o.Kind == "ConfigMap" {
			delay = duration(t, o.Data["TOMEHUB_SHUTDOWN_DELAY"]) + duration(t, o.Data["TOMEHUB_DRAIN_GRACE"]) + duration(t, o.Data["TOMEHUB_DRAIN_TIMEOUT"])
		}
		for _, c := range o.Spec.Template.Spec.Containers {
			for _, e := range c.Env {
				names = append(names, e.Name)
			}
			if grace := time.Duration(o.Spec.Template.Spec.Grace) * time.Second; grace <= delay {
				t.Errorf("killed after %v, and it takes %v to leave", grace, delay)
			}
			live, ready := c.LivenessProbe.HTTPGet, c.ReadinessProbe.HTTPGet
			if live.Path != "/api/health/live" || c.StartupProbe.HTTPGet != live || ready.Path != "/api/health/ready" {
				t.Errorf("probes %+v %+v %+v", c.StartupProbe, live, ready)
			}
		}
	}
	if want := map[string]int{"ConfigMap": 1, "Deployment": 1, "Service": 1, "PodDisruptionBudget": 1, "NetworkPolicy": 1}; len(seen) != len(want) || delay == 0 {
		t.Errorf("objects %v, want %v; drain %v", seen, want, delay)
	}
	checkNames(t, "deploy/kubernetes/tomehub.yaml", names)
}

// TestDeploySystemd has systemd itself read the unit, and say how much it exposes.
func TestDeploySystemd(t *testing.T) {
	text := readDeploy(t, "tomehub.service")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^#?Environment=(\w+)=`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	checkNames(t, "deploy/tomehub.service", names)
	for _, want := range []string{"Type=notify", "Restart=always", "WatchdogSec=", "MemoryMax=2G", "serve --supervise"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not here (Debian: apt-get install systemd): the unit was not read by systemd")
	}
	const installed = "/usr/local/bin/tomehub" // verify wants it to be there
	unit := filepath.Join(t.TempDir(), "tomehub.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(text, installed, "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "tomehub.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=true", unit).CombinedOutput()
	m := regexp.MustCompile(`exposure level for tomehub.service: ([\d.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	if level, _ := strconv.ParseFloat(string(m[1]), 64); level > 2 { // of 10; 1.4 as written
		t.Errorf("exposure %v", level)
	}
}

// TestDocsNameSettings holds that every setting which a page tells people to set is one.
func TestDocsNameSettings(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`\b((?:TOMEHUB|DB|RATE_LIMIT|MAX_CONCURRENT|FIREBASE|ANSWER|AUTH)_[A-Z_]+)=`)
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range setting.FindAllSubmatch(text, -1) {
			if !strings.HasPrefix(string(m[1]), "TOMEHUB_TEST_") {
				names = append(names, string(m[1]))
			}
		}
		if len(names) > 0 {
			checkNames(t, page, names)
		}
	}
}
