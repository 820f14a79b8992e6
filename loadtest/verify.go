package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// VerifyVersion is the version of VerifyResult's JSON form.
const VerifyVersion = 1

// VerifyConfig says which lines of the plan's checklists to check, and on what.
type VerifyConfig struct {
	// Phases are some of A, B, C and D; none is all of them.
	Phases []string
	// Binary is the tomehub program, started as the servers that the checks want.
	Binary string
	// Target and Admin are the URLs of a server that runs. With Target no server is started, and what needs one of its
	// own is not run; nor is what would write to the library.
	Target, Admin string
	// ServeArgs are arguments more for every server that is started. They win over those of the check.
	ServeArgs []string
	// Deploy has the dashboards under grafana/dashboards/ and the alerts in prometheus/alerts.yml.
	Deploy fs.FS
	// TopStatements gives a Config.TopStatements for a server's admin listener.
	TopStatements func(admin string) func(context.Context) (func(context.Context) (*StatementWindow, error), error)
	// Explain tells how the embedded library in a directory carries out a statement, one line for each step.
	Explain  func(ctx context.Context, dataDir, statement string) ([]string, error)
	Version  string
	Logger   *slog.Logger
	Progress func(VerifyProgress) // may be nil; never called after Verify returned, nor twice at the same time
}

// VerifyProgress is how a verification goes.
type VerifyProgress struct {
	Done, Total, Failed int
	ID                  string // of the line that was checked last
}

// Status is what a line came to: pass, fail, inconclusive, or not run.
type Status string

// The statuses. Only NotRun lines may be left out of the verdict; VerifyLine.Asked says which.
const (
	Passed    Status = "pass"
	Failed    Status = "fail"
	Undecided Status = "inconclusive"
	NotRun    Status = "not run"
)

// VerifyLine is one line of a checklist.
type VerifyLine struct {
	ID      string `json:"id"` // A1.1 is the first line of task A1's list; A1 is the task in the plan's roll-up
	Phase   string `json:"phase"`
	Plan    string `json:"plan"`              // the plan's words, in short
	Reading string `json:"reading,omitempty"` // how they were read, where they cannot be taken at their word
	Did     string `json:"did"`
	Seen    string `json:"seen,omitempty"`
	Status  Status `json:"verdict"`
	Reason  string `json:"reason,omitempty"` // of inconclusive and not run
	Asked   bool   `json:"asked"`            // it counts for the verdict
	TookMS  int64  `json:"took_ms"`
}

// VerifyResult is what the lines came to. It marshals to JSON and back.
type VerifyResult struct {
	SchemaVersion int             `json:"schema_version"`
	StartedAt     time.Time       `json:"started_at"`
	TookS         float64         `json:"took_s"`
	Version       string          `json:"version,omitempty"`
	Target        string          `json:"target,omitempty"`
	Phases        []string        `json:"phases"`
	Verdict       reports.Verdict `json:"verdict"`
	Interrupted   bool            `json:"interrupted,omitempty"`
	Lines         []VerifyLine    `json:"lines"`
}

const (
	reasonOwnServer   = "needs a server of its own: run without --target"
	reasonInterrupted = "interrupted before its turn"
)

// A verifyCheck is one line of the table. Without run it sums its parts up.
type verifyCheck struct {
	id, plan, reading, did string
	bench                  string // name of the server it runs on; checks of one bench run one after the other
	target                 bool   // a server that is not ours will do
	run                    func(context.Context, *bench) (finding, error)
}

func (c *verifyCheck) phase() string { return c.id[:1] }

// rollUp tells a line of the plan's implementation checklist from those of the tasks.
func (c *verifyCheck) rollUp() bool { return !strings.Contains(c.id, ".") }

// A finding is what a check saw.
type finding struct {
	status Status
	seen   string
}

// judge passes when ok.
func judge(ok bool, format string, args ...any) (finding, error) {
	f := finding{status: Failed, seen: fmt.Sprintf(format, args...)}
	if ok {
		f.status = Passed
	}
	return f, nil
}

// errUndecided is wrapped by an error that says why nothing can be said, where any other error of a check is a failure of
// the server to answer as it must.
var errUndecided = errors.New("cannot be judged")

// A verifier runs the checks.
type verifier struct {
	cfg     VerifyConfig
	library string // a filled library, copied for every server; made before the first one starts
	result  *VerifyResult

	mu   sync.Mutex // guards the lines of result, and done; Progress is called under it
	done VerifyProgress
}

// Verify checks the lines of the plan's validation checklists. When ctx ends it returns what was found until then, marked
// as interrupted. An error is about the configuration, or the library that could not be made.
func Verify(ctx context.Context, cfg VerifyConfig) (result *VerifyResult, err error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure verify: %w", err)
	}
	began := time.Now()
	v := &verifier{cfg: cfg, result: cfg.lines(began)}
	for _, l := range v.result.Lines {
		if l.Status == Undecided && strings.Contains(l.ID, ".") {
			v.done.Total++
		}
	}
	if v.done.Total > 0 && cfg.Target == "" {
		var dir string
		if dir, err = os.MkdirTemp("", "tomehub-verify-"); err != nil {
			return nil, fmt.Errorf("make a directory for verify: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		v.library = filepath.Join(dir, "library")
		if err := v.fill(ctx); err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	v.runAll(ctx)
	v.result.TookS = time.Since(began).Seconds()
	v.result.settle(ctx.Err() != nil)
	return v.result, nil
}

func (cfg *VerifyConfig) validate() error {
	var faults []error
	for i, p := range cfg.Phases {
		cfg.Phases[i] = strings.ToUpper(p)
		if !slices.Contains([]string{"A", "B", "C", "D"}, cfg.Phases[i]) {
			faults = append(faults, fmt.Errorf("phase %q: want A, B, C or D", p))
		}
	}
	if (cfg.Binary == "") == (cfg.Target == "") {
		faults = append(faults, errors.New("want either a program to start as the server, or a target"))
	}
	if cfg.Deploy == nil {
		faults = append(faults, errors.New("want the dashboards and alerts"))
	}
	if cfg.Admin != "" && cfg.Target == "" {
		faults = append(faults, errors.New("an admin listener goes with a target"))
	}
	return errors.Join(faults...)
}

// lines are those of the phases, before anything ran.
func (cfg *VerifyConfig) lines(began time.Time) *VerifyResult {
	out := &VerifyResult{
		SchemaVersion: VerifyVersion, StartedAt: began.UTC().Truncate(time.Millisecond), Version: cfg.Version,
		Target: cfg.Target, Phases: cfg.Phases, Lines: []VerifyLine{},
	}
	if len(cfg.Phases) == 0 {
		out.Phases = []string{"A", "B", "C", "D"}
	}
	for _, c := range verifyChecks() {
		chosen := slices.Contains(out.Phases, c.phase())
		if !chosen {
			continue
		}
		l := VerifyLine{ID: c.id, Phase: c.phase(), Plan: c.plan, Reading: c.reading, Did: c.did, Status: Undecided, Asked: chosen}
		switch {
		case cfg.Target != "" && !c.target && !c.rollUp():
			l.Status, l.Reason, l.Asked = NotRun, reasonOwnServer, false
		default:
			l.Reason = reasonInterrupted
		}
		out.Lines = append(out.Lines, l)
	}
	return out
}

// atATime is how many servers of checks that measure nothing run at the same time.
const atATime = 2

// runAll runs the checks: first those that measure no time, on two servers at a time, then the others alone.
func (v *verifier) runAll(ctx context.Context) {
	groups := map[string][]*verifyCheck{}
	var order []string
	for _, c := range verifyChecks() {
		if l := v.line(c.id); l == nil || l.Status == NotRun || c.run == nil {
			continue
		}
		name := c.bench
		if v.cfg.Target != "" {
			name = "target"
		}
		if _, known := groups[name]; !known {
			order = append(order, name)
		}
		groups[name] = append(groups[name], c)
	}
	turn := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	for _, name := range order {
		if benches[name].alone {
			continue
		}
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			v.runGroup(ctx, name, groups[name])
		})
	}
	wg.Wait()
	for _, name := range order {
		if benches[name].alone {
			v.runGroup(ctx, name, groups[name])
		}
	}
}

// runGroup runs the checks of one server, and stops the server.
func (v *verifier) runGroup(ctx context.Context, name string, checks []*verifyCheck) {
	if ctx.Err() != nil {
		return
	}
	b, err := v.open(ctx, name)
	if err != nil {
		for _, c := range checks {
			v.note(ctx, c.id, finding{}, fmt.Errorf("start the server: %w", err), 0)
		}
		return
	}
	for _, c := range checks {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		f, err := c.run(ctx, b)
		v.note(ctx, c.id, f, err, time.Since(began))
	}
	if err := b.close(ctx); err != nil && v.cfg.Logger != nil {
		v.cfg.Logger.Warn("a server of verify left badly", "server", name, "error", err)
	}
}

func (v *verifier) line(id string) *VerifyLine {
	i := slices.IndexFunc(v.result.Lines, func(l VerifyLine) bool { return l.ID == id })
	if i < 0 {
		return nil
	}
	return &v.result.Lines[i]
}

// note writes down what a check came to.
func (v *verifier) note(ctx context.Context, id string, f finding, err error, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.line(id)
	l.Seen, l.Status, l.Reason, l.TookMS = f.seen, f.status, "", took.Milliseconds()
	switch {
	case ctx.Err() != nil && f.status != Passed:
		l.Status, l.Reason = Undecided, "interrupted"
	case errors.Is(err, errUndecided):
		l.Status, l.Reason = Undecided, err.Error()
	case err != nil:
		l.Status, l.Seen = Failed, err.Error()
	}
	v.done.Done++
	v.done.ID = id
	if l.Status == Failed {
		v.done.Failed++
	}
	if v.cfg.Progress != nil {
		v.cfg.Progress(v.done)
	}
}

// settle sums up the roll-up lines and draws the verdict.
func (r *VerifyResult) settle(interrupted bool) {
	r.Interrupted = interrupted
	for i := range r.Lines {
		if l := &r.Lines[i]; !strings.Contains(l.ID, ".") && l.Status != NotRun {
			r.sumUp(l)
		}
	}
	asked, failed, open := 0, 0, 0
	for _, l := range r.Lines {
		if !l.Asked {
			continue
		}
		asked++
		switch l.Status {
		case Failed:
			failed++
		case Undecided, NotRun:
			open++
		case Passed:
		}
	}
	switch {
	case failed > 0:
		r.Verdict = reports.Fail
	case open > 0 || asked == 0 || interrupted:
		r.Verdict = reports.Inconclusive
	default:
		r.Verdict = reports.Pass
	}
}

// sumUp gives a line of the roll-up the verdict of its task's lines.
func (r *VerifyResult) sumUp(roll *VerifyLine) {
	counts, all := map[Status]int{}, 0
	for _, l := range r.Lines {
		if strings.HasPrefix(l.ID, roll.ID+".") && (l.Asked || l.Status != NotRun) {
			counts[l.Status]++
			all++
		}
	}
	roll.Seen, roll.Reason = fmt.Sprintf("%d of %d lines pass", counts[Passed], all), ""
	switch {
	case all == 0:
		roll.Status, roll.Seen, roll.Reason, roll.Asked = NotRun, "", reasonOwnServer, false
	case counts[Failed] > 0:
		roll.Status = Failed
	case counts[Passed] == all:
		roll.Status = Passed
	default:
		roll.Status, roll.Reason = Undecided, "not every line could be judged"
	}
}
