package loadtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShippedScenarios(t *testing.T) {
	all, err := List(os.DirFS("../scenarios"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if s.Description == "" {
			t.Errorf("%s: has no description", s.Name)
		}
	}
	if diff := cmp.Diff([]string{"checkpoint-a", "checkpoint-before", "plain-http", "smoke"}, names); diff != "" {
		t.Errorf("shipped scenarios (-want +got):\n%s", diff)
	}
}

// The checkpoints are comparable because their users do the same things.
func TestCheckpointsHaveOneUserModel(t *testing.T) {
	fsys := os.DirFS("../scenarios")
	type model struct {
		Think Pause
		Flows []Flow
	}
	var first *model
	for _, name := range []string{"checkpoint-before.yaml", "checkpoint-a.yaml"} {
		s, err := Load(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{Think: s.Think, Flows: s.Flows}
		if first == nil {
			first = m
			continue
		}
		opt := cmp.AllowUnexported(Flow{}, Step{}, template{}, part{}, headerTemplate{}, take{}, pathPart{}, FieldCheck{})
		if diff := cmp.Diff(first, m, opt); diff != "" {
			t.Errorf("%s has other users than checkpoint-before:\n%s", name, diff)
		}
	}
}

// The plan's limit of 1,000 requests a minute from one address must not turn a checkpoint that is run from one machine
// into a test of the limit.
func TestCheckpointsStayBelowTheAddressLimit(t *testing.T) {
	for _, name := range []string{"checkpoint-before.yaml", "checkpoint-a.yaml"} {
		s, err := Load(os.DirFS("../scenarios"), name)
		if err != nil {
			t.Fatal(err)
		}
		mean := (s.Think.Min + s.Think.Max) / 2
		most := s.Users.curve.most() * (1 + min(s.Total(), time.Minute).Seconds()/mean.Seconds())
		if most > 1000 {
			t.Errorf("%s: %.0f requests in a minute", name, most)
		}
	}
}

// The scenarios in the README are read as any other file.
func TestReadmeScenarios(t *testing.T) {
	readme, err := os.ReadFile("../scenarios/README.md")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile("../scenarios/queries/demo.txt")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```yaml\n")[1:]
	if len(blocks) != 2 {
		t.Errorf("%d scenarios in the README, want 2", len(blocks))
	}
	for i, b := range blocks {
		text, _, _ := strings.Cut(b, "```")
		fsys := fstest.MapFS{"readme.yaml": {Data: []byte(text)}, "queries/demo.txt": {Data: log}}
		if _, err := Load(fsys, "readme.yaml"); err != nil {
			t.Errorf("scenario %d of the README: %v", i+1, err)
		}
	}
}
