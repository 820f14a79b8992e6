// Package loadtest runs scenarios against a TomeHub, or any other HTTP server, and judges what it measured.
//
// A scenario says who comes (users who think between requests, or arrivals at a rate), what they do (weighted flows of
// requests) and which bounds must hold (checks, each with the reason for its bound). vegeta sends the requests; the
// rest is here: who sends when, what an answer is worth, histograms, and the generator's own health. A run whose
// generator was the bottleneck is Inconclusive, never Pass.
package loadtest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// FormatVersion is the version that a scenario file must name.
const FormatVersion = 1

// Bounds of a scenario. They keep a typing error from becoming an attack or an endless run.
const (
	maxUsers    = 100_000
	maxRate     = 1_000_000 // arrivals per second
	maxDuration = 7 * 24 * time.Hour
	maxTimeout  = 10 * time.Minute
	maxRepeat   = 1000 // times a step runs in one flow, and values one take keeps: the largest page of a search
	maxFileSize = 1 << 20
)

// A Scenario is a load test as its file describes it. It is complete and free of faults, because Load and Parse return
// none that is not, and nothing changes it afterwards: one Scenario may be run many times, also at once.
type Scenario struct {
	File        string // as given to Load or Parse
	Name        string // the file's base name without .yaml
	Title       string
	Description string
	Server      Server // what to start when the scenario brings its own server
	WarmUp      time.Duration
	Duration    time.Duration // measured, after the warm-up
	Users       *Users        // the closed model; exactly one of Users and Arrivals is set
	Arrivals    *Arrivals     // the open model
	Think       Pause         // after each answer, unless the step has its own
	// Pace is the least time from when a user asked to when it asks again; Think comes on top only where the answer was
	// that late. Users who want an answer every three seconds wait for slow ones, and do not hurry for quick ones.
	Pace      Pause
	Faults    []Fault // put in during the run
	Identity  Identity
	PerUser   bool // every user keeps connections of its own
	Generator GeneratorBounds
	Flows     []Flow
	Checks    []Check
	Expected  []Expected

	digest  string // of the file and those of its feeders
	headers []headerTemplate
	feeders []*feeder
	steps   []*Step // of all flows, in the order of the file; Step.index points here
}

// Server says which server a scenario wants when it is run on one of its own.
type Server struct {
	Phase string   // "" leaves the server's default
	Args  []string // further arguments of "tomehub serve"
	Lab   *Lab     // nil: statements take the time they take
	// Answers, unless nil, is the chat-completions API that the server is to ask for its answers.
	Answers *Answers
}

// Users is the closed model: as many users as the curve says, each waiting for its answer and thinking before it asks
// again. So no more requests are under way than there are users.
type Users struct {
	Stages []Stage // a single stage of length 0 is a plain count
	curve  curve
}

// Arrivals is the open model: visitors come at a rate, whatever the server does, and walk through one flow each.
type Arrivals struct {
	Rate        float64 // per second at the start
	Stages      []Stage
	Poisson     bool // gaps as strangers make them; otherwise even
	MaxVisitors int  // most at a time; whoever comes then waits, and the wait counts in the response time
	Identities  int  // visitors take these identities in turn
	curve       curve
}

// A Stage leads from the value before it in a straight line to To, over For.
type Stage struct {
	For time.Duration
	To  float64 // users, or arrivals per second
}

// A Pause is a time drawn anew each time: evenly between Min and Max, or, when Mean is set, exponentially around Mean.
type Pause struct{ Min, Max, Mean time.Duration }

// Identity names the virtual user to the server. An empty Header sends none.
type Identity struct {
	Header string
	value  template
}

// GeneratorBounds tell when the generator itself was the bottleneck.
type GeneratorBounds struct {
	MaxSendLag      time.Duration // p99 of the time from when a request was due to when it was sent
	MaxSendLagShare float64       // percent of the median answer that this may be when that is longer
	MaxCPU          float64       // percent of all CPUs this process may use
}

// A Flow is what one user does in a row.
type Flow struct {
	Name   string
	Weight int
	Steps  []*Step
	picks  []pick // of each capture, by its index
}

// A Step is one request of a flow and what its answer must be.
type Step struct {
	Name      string // unique in the scenario; its figures stand under this name
	Method    string
	Path      string // the template as written
	Repeat    int
	Think     *Pause // after each answer; nil takes the scenario's
	Pace      *Pause // likewise
	Timeout   time.Duration
	SlowAfter time.Duration // an answer later than this is a failure; 0 has no such bound
	Expect    Expect
	Stream    *Stream     // nil when the answer is no stream
	Slow      *SlowReader // nil when the answer is read as quickly as it comes

	index   int
	path    template
	body    template
	isJSON  bool
	headers []headerTemplate
	takes   []take
	needs   []int      // captures its templates use; the step is skipped when one of them is empty
	reads   []jsonPath // of Expect.JSON and then of takes
	marks   [][]byte   // of Stream
}

// Expect says which answers are right.
type Expect struct {
	Status   []int // empty: 200 to 299
	MinBytes int64
	JSON     []FieldCheck
}

// A FieldCheck holds one field of a JSON answer against what it must be.
type FieldCheck struct {
	Path   string
	Absent bool    // the field must not be there
	Equals *string // a JSON scalar as text; nil asks only that the field is there
	text   bool    // Equals was written as a string
}

// A take keeps values of an answer for later steps of the flow.
type take struct {
	capture int // index into the flow's captures
	path    jsonPath
	pick    pick
	max     int
}

// headerTemplate is one request header.
type headerTemplate struct {
	key   string
	value template
}

// Expected is a figure somebody else gave; the report sets it beside the measured one and nobody judges it.
type Expected struct{ Metric, Step, Figure string }

// Load reads the scenario in file name of fsys, and the files its feeders name, which are looked up beside it. The error
// holds every fault of the file, one line each: "name:line: fault".
func Load(fsys fs.FS, name string) (*Scenario, error) {
	data, err := readBounded(fsys, name, maxFileSize)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return parse(name, data, func(file string) ([]byte, error) {
		return readBounded(fsys, path.Join(path.Dir(name), file), maxFeedSize)
	})
}

// Parse reads a scenario that needs no other files; a feeder that names one is a fault. name stands in the errors and
// gives the scenario its name.
func Parse(name string, data []byte) (*Scenario, error) {
	return parse(name, data, func(string) ([]byte, error) {
		return nil, errors.New("this scenario was not read from a directory; give values in place of the file")
	})
}

// List loads every *.yaml file at the top of fsys, sorted by name. Scenarios with faults are left out and their faults
// are in the error, so both results may be set.
func List(fsys fs.FS) ([]*Scenario, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list scenarios: %w", err)
	}
	slices.Sort(names)
	var all []*Scenario
	var faults []error
	for _, name := range names {
		s, err := Load(fsys, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		all = append(all, s)
	}
	return all, errors.Join(faults...)
}

func readBounded(fsys fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: has %d bytes, at most %d are read", name, info.Size(), most)
	}
	return fs.ReadFile(fsys, name)
}

// Load describes the load in words: "100 users (ramp 5s)", "200 arrivals/s".
func (s *Scenario) Load() string {
	if s.Users != nil {
		most := s.Users.curve.most()
		text := fmt.Sprintf("%.0f users", most)
		if most == 1 {
			text = "1 user"
		}
		if t, ok := s.Users.curve.reaches(most, 0); ok && t > 0 {
			text += fmt.Sprintf(" (all after %v)", t)
		}
		return text
	}
	text := formatNumber(s.Arrivals.Rate) + " arrivals/s"
	if most := s.Arrivals.curve.most(); most != s.Arrivals.Rate {
		text += fmt.Sprintf(" (up to %s/s)", formatNumber(most))
	}
	return text
}

// Model returns "closed" or "open".
func (s *Scenario) Model() string {
	if s.Users != nil {
		return "closed"
	}
	return "open"
}

// Total is how long requests are started: the warm-up and the measured time.
func (s *Scenario) Total() time.Duration { return s.WarmUp + s.Duration }

// slots is how many users or visitors there can be at a time.
func (s *Scenario) slots() int {
	if s.Users != nil {
		return int(s.Users.curve.most())
	}
	return s.Arrivals.MaxVisitors
}

// longestTimeout bounds how long an answer, and so the end of a run, can be waited for.
func (s *Scenario) longestTimeout() time.Duration {
	var most time.Duration
	for _, st := range s.steps {
		most = max(most, st.Timeout)
	}
	return most
}

// scaled returns the scenario with every time multiplied by f, rates divided by it, and the bounds of its checks
// likewise. The bounds on the generator stay: its clock is the machine's.
func (s *Scenario) scaled(f float64) *Scenario {
	if f == 1 {
		return s
	}
	c := *s
	c.WarmUp, c.Duration, c.Think = scale(s.WarmUp, f), scale(s.Duration, f), s.Think.scaled(f)
	c.Pace, c.Faults = s.Pace.scaled(f), scaledFaults(s.Faults, f)
	if s.Users != nil {
		u := Users{Stages: scaleStages(s.Users.Stages, f, 1)}
		u.curve = newCurve(0, u.Stages)
		c.Users = &u
	}
	if s.Arrivals != nil {
		a := *s.Arrivals
		a.Rate, a.Stages = a.Rate/f, scaleStages(a.Stages, f, 1/f)
		a.curve = newCurve(a.Rate, a.Stages)
		c.Arrivals = &a
	}
	c.steps = make([]*Step, len(s.steps))
	c.Flows = slices.Clone(s.Flows)
	for i := range c.Flows {
		c.Flows[i].Steps = make([]*Step, len(s.Flows[i].Steps))
		for j, st := range s.Flows[i].Steps {
			copied := *st
			copied.Timeout, copied.SlowAfter = scale(st.Timeout, f), scale(st.SlowAfter, f)
			if st.Think != nil {
				p := st.Think.scaled(f)
				copied.Think = &p
			}
			if st.Pace != nil {
				p := st.Pace.scaled(f)
				copied.Pace = &p
			}
			copied.Stream, copied.Slow = st.Stream.scaled(f), st.Slow.scaled(f)
			c.Flows[i].Steps[j], c.steps[st.index] = &copied, &copied
		}
	}
	c.Checks = slices.Clone(s.Checks)
	for i := range c.Checks {
		c.Checks[i] = c.Checks[i].scaled(f)
	}
	return &c
}

// during returns the scenario measured for d instead.
func (s *Scenario) during(d time.Duration) *Scenario {
	if d == 0 {
		return s
	}
	c := *s
	c.Duration = d
	return &c
}

func scale(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }

func (p Pause) scaled(f float64) Pause {
	return Pause{Min: scale(p.Min, f), Max: scale(p.Max, f), Mean: scale(p.Mean, f)}
}

func scaleStages(stages []Stage, times, values float64) []Stage {
	out := slices.Clone(stages)
	for i := range out {
		out[i].For, out[i].To = scale(out[i].For, times), out[i].To*values
	}
	return out
}

// baseName is "checkpoint-a" for "scenarios/checkpoint-a.yaml".
func baseName(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }
