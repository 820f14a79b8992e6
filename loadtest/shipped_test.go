package loadtest

import (
	"os"
	"slices"
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
		for _, c := range s.Checks {
			if len(c.Why) < 20 {
				t.Errorf("%s: check of %s does not say where its bound comes from: %q", s.Name, c.Metric, c.Why)
			}
		}
	}
	if diff := cmp.Diff([]string{"checkpoint-a", "checkpoint-b", "checkpoint-before", "checkpoint-beyond", "checkpoint-c", "checkpoint-d", "plain-http", "smoke",
		"soak", "stress-cold-cache", "stress-ingest-during-search", "stress-memory", "stress-n-plus-one", "stress-overload-10x",
		"stress-slow-answerer", "stress-stream-flood"}, names); diff != "" {
		t.Errorf("shipped scenarios (-want +got):\n%s", diff)
	}
}

// shippedCheckpoints are in the order of the plan.
func shippedCheckpoints(t *testing.T) []*Scenario {
	t.Helper()
	var all []*Scenario
	for _, name := range []string{"before", "a", "b", "c", "d", "beyond"} {
		s, err := Load(os.DirFS("../scenarios"), "checkpoint-"+name+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// The checkpoints are comparable because their users do the same things. They differ in the server, the number of users,
// how long they measure, their checks, and, from phase C on, in streams, ingests and faults beside these users.
func TestCheckpointsHaveOneUserModel(t *testing.T) {
	type model struct {
		WarmUp, Timeout, SlowAfter time.Duration
		Think, Pace                Pause
		Ramp                       time.Duration
		Flow                       Flow
		Headers                    []headerTemplate
		Feeders                    []*feeder
		Lab                        *Lab
	}
	opt := cmp.AllowUnexported(Flow{}, Step{}, template{}, part{}, headerTemplate{}, take{}, pathPart{}, FieldCheck{}, feeder{}, Pause{})
	var first *model
	var beside []Flow
	for i, s := range shippedCheckpoints(t) {
		m := &model{
			WarmUp: s.WarmUp, Timeout: s.steps[0].Timeout, SlowAfter: s.steps[0].SlowAfter, Think: s.Think, Pace: s.Pace,
			Ramp: s.Users.Stages[0].For, Flow: s.Flows[0], Headers: s.headers, Feeders: s.feeders, Lab: s.Server.Lab,
		}
		if first == nil {
			first = m
		}
		if diff := cmp.Diff(first, m, opt); diff != "" {
			t.Errorf("%s has other users than checkpoint-before:\n%s", s.Name, diff)
		}
		switch {
		case i < 3 && len(s.Flows) != 1:
			t.Errorf("%s has %d flows, want the users' alone: streams and ingests come with phase C", s.Name, len(s.Flows))
		case i == 3:
			beside = s.Flows[1:]
		case i > 3:
			if diff := cmp.Diff(beside, s.Flows[1:], opt); diff != "" {
				t.Errorf("%s has other streams and ingests than checkpoint-c:\n%s", s.Name, diff)
			}
		}
	}
}

// The plan's users, of both its tables: where they disagree the greater number, but for phase A.
func TestCheckpointsHaveThePlansUsers(t *testing.T) {
	var got []string
	for _, s := range shippedCheckpoints(t) {
		got = append(got, s.Server.Phase+" "+s.Load())
	}
	want := []string{
		"baseline 100 users (all after 15s)", "A 100 users (all after 15s)", "B 200 users (all after 15s)",
		"C 250 users (all after 15s)", "D 300 users (all after 15s)", "D 500 users (all after 15s)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("phases and users (-want +got):\n%s", diff)
	}
}

// The rate limits must not turn a checkpoint that is run from one machine into a test of the limits: every user has an
// address, and asks for less than the plan's 100 searches a minute, however quick the answers.
func TestCheckpointsStayBelowTheRateLimits(t *testing.T) {
	for _, s := range shippedCheckpoints(t) {
		address := map[string]bool{}
		r := newShared(s, "http://fake", "run")
		for i := range s.slots() {
			u := newUser(i, r, 1)
			u.begin()
			address[u.prepare().header.Get("X-Forwarded-For")] = true
		}
		if len(address) != s.slots() || !slices.Contains(s.Server.Args, "--trusted-proxies") {
			t.Errorf("%s: %d users share %d addresses", s.Name, s.slots(), len(address))
		}
		for _, st := range s.steps {
			if st.Pace == nil || st.Pace.Min < 60*time.Second/100 {
				t.Errorf("%s: step %s may be asked for more than 100 times a minute", s.Name, st.Name)
			}
		}
	}
}

// Nor must they turn a stress into one: at most 100 searches and 10 books a minute of one user, who has an address.
func TestStressStaysBelowTheRateLimits(t *testing.T) {
	all, err := List(os.DirFS("../scenarios"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if !strings.HasPrefix(s.Name, "stress-") && s.Name != "soak" {
			continue
		}
		if len(s.headers) != 1 || s.headers[0].key != "X-Forwarded-For" || !slices.Contains(s.Server.Args, "--trusted-proxies") {
			t.Errorf("%s: its users have no addresses", s.Name)
		}
		for _, f := range s.Flows {
			searches, books, length := 0, 0, time.Duration(0) // of one user, in the shortest time
			for _, st := range f.Steps {
				pace := s.Pace.Min
				if st.Pace != nil {
					pace = st.Pace.Min
				}
				length += time.Duration(st.Repeat) * pace
				if st.Path == "/api/ingest" {
					books += st.Repeat
				} else {
					searches += st.Repeat
				}
			}
			if s.Arrivals != nil { // visitors take the identities in turn
				length = time.Duration(float64(s.Arrivals.Identities) / s.Arrivals.curve.most() * float64(time.Second))
			}
			if per := length.Minutes(); float64(searches) > 100*per || float64(books) > 10*per {
				t.Errorf("%s: flow %s has %d searches and %d books in %v", s.Name, f.Name, searches, books, length)
			}
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
