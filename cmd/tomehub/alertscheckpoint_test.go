//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// startTargetsPrometheus runs the shipped Prometheus of load tests, its times scaled, and returns its address and the file by
// which it learns of servers.
func startTargetsPrometheus(t *testing.T) (address, targets string) {
	t.Helper()
	program, dir, address := need(t, "prometheus", "prometheus"), t.TempDir(), freeAddress(t)
	for _, name := range []string{"loadtest.yml", "alerts.yml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(scaleTimes(readDeploy(t, "prometheus/"+name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "loadtest"), 0o755); err != nil {
		t.Fatal(err)
	}
	startTool(t, address, program, "--config.file="+filepath.Join(dir, "loadtest.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	return address, filepath.Join(dir, "loadtest", "server.json")
}

// Prometheus learns of the server that checkpoint d starts, and its alert is a part of the verdict. All else of it may fail here,
// for other tests keep the machine busy.
func TestCheckpointAlertsByPrometheus(t *testing.T) {
	slow(t)
	address, targets := startTargetsPrometheus(t)
	program, out := copyOfProgram(t), filepath.Join(t.TempDir(), "result.json")
	said, err := exec.CommandContext(t.Context(), program, "loadtest", "checkpoint", "d", "--time-scale", "0.1", "--quiet", "--env-file", "",
		"--prometheus", "http://"+address, "--prometheus-targets", targets, "--out", out).CombinedOutput()
	text, readErr := os.ReadFile(out)
	if readErr != nil {
		t.Fatalf("%v: %v\n%s", readErr, err, said)
	}
	var r loadtest.CheckpointResult
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	one := r.Checkpoints[0].Result
	if one == nil {
		t.Fatalf("%v: %s", err, said)
	}
	n := 0
	for _, c := range one.Checks {
		if !strings.HasPrefix(c.Metric, "fault.alert") {
			continue
		}
		n++
		if t.Logf("%s %s", c.Metric, c.Measured); c.Verdict != reports.Pass {
			t.Errorf("%+v, faults %+v", c, one.Faults[0].Alerts)
		}
	}
	if n != 2 || len(one.LeftOut) > 0 {
		t.Errorf("%d checks of the alert, left out %v\n%s", n, one.LeftOut, said)
	}
	if left, err := os.ReadFile(targets); string(left) != "[]\n" {
		t.Errorf("%s is left with %q, %v", targets, left, err)
	}
}

// copyOfProgram is this program under its own name, which TestMain takes for a command. A symbolic link does not do for what
// starts itself again: that would start the test.
func copyOfProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "tomehub")
	if os.Link(self, program) == nil {
		return program
	}
	body, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, body, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}
