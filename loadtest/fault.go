package loadtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Fault is put into a TomeHub that runs in its lab, by its admin listener, and ends there by itself.
type Fault struct {
	Fault   string        // database_down, database_slow or memory_pressure
	At      time.Duration // after the warm-up
	For     time.Duration
	Factor  float64 // database_slow: how many times as long statements take
	Percent float64 // memory_pressure: the use of the limit that is pretended
	Own     bool    // memory_pressure: the memory is the server's own, so that a restart helps and is due
	Alert   string  // that it sets off in a Prometheus; "" is none
}

var faultNames = []string{"database_down", "database_slow", "memory_pressure"}

// maxFaults bounds the faults of a scenario.
const maxFaults = 100

// FaultFigures tell of one fault: when the server's own health first showed it, and when it showed it no more.
type FaultFigures struct {
	Fault string  `json:"fault"`
	AtS   float64 `json:"at_s"` // put in, in seconds since the run began
	ForS  float64 `json:"for_s"`
	// SeenMS is from when it was put in until health showed it, OverMS from its end until health showed it no more; nil
	// when that was not seen before the run ended.
	SeenMS *float64 `json:"seen_ms"`
	SeenBy string   `json:"seen_by,omitempty"` // what health said first
	OverMS *float64 `json:"over_ms"`
	Error  string   `json:"error,omitempty"` // why it could not be put in
	// Alerts tells of the alert that it set off; nil when no Prometheus was asked, or it names none.
	Alerts *AlertFigures `json:"alerts,omitempty"`
}

// faultPoll is the time between two looks at the server's health, in a run that is not scaled.
const (
	faultPoll     = 250 * time.Millisecond
	minFaultPoll  = 50 * time.Millisecond
	faultTimeout  = 2 * time.Second
	maxHealthBody = 1 << 20
)

// An injector puts the faults of a scenario in and watches the server's health for them.
type injector struct {
	faults        []Fault
	warm          time.Duration
	clock         func() time.Duration
	target, admin string
	client        *http.Client
	every         time.Duration
	alerts        *alertWatch    // nil when no Prometheus is asked
	watching      sync.WaitGroup // for the alerts of faults

	mu      sync.Mutex // guards figures
	figures []FaultFigures
}

// newInjector returns nil when the scenario has no faults. admin may be "".
func newInjector(scn *Scenario, target, admin string, scale float64, clock func() time.Duration, transport http.RoundTripper) *injector {
	if len(scn.Faults) == 0 {
		return nil
	}
	x := &injector{
		faults: scn.Faults, warm: scn.WarmUp, clock: clock, target: strings.TrimSuffix(target, "/"), admin: strings.TrimSuffix(admin, "/"),
		client: &http.Client{Transport: transport, Timeout: faultTimeout},
		every:  min(faultPoll, max(minFaultPoll, time.Duration(scale*float64(faultPoll)))),
	}
	for _, f := range x.faults {
		x.figures = append(x.figures, FaultFigures{Fault: f.Fault, ForS: f.For.Seconds(), Error: "the run ended before its time"})
	}
	return x
}

// run puts every fault in at its time and returns when the last one was seen to be over, or ctx ends. Alerts come and go
// later: they are waited for until they are over, or whole ends.
func (x *injector) run(ctx, whole context.Context) {
	var wg sync.WaitGroup
	for i := range x.faults {
		wg.Go(func() { x.one(ctx, whole, i) })
	}
	wg.Wait()
	x.watching.Wait()
	x.client.CloseIdleConnections()
}

// one carries out the fault of index i.
func (x *injector) one(ctx, whole context.Context, i int) {
	f := x.faults[i]
	if !rest(ctx, x.warm+f.At-x.clock()) {
		return
	}
	err := x.put(ctx, f)
	began := x.clock()
	x.note(i, func(out *FaultFigures) {
		out.AtS, out.Error = began.Seconds(), ""
		if err != nil {
			out.Error = err.Error()
		}
	})
	if err != nil {
		return
	}
	x.watchAlert(whole, i)
	seen := false
	for rest(ctx, x.every) {
		shown, err := x.shown(ctx, f)
		now := x.clock()
		switch {
		case err != nil: // what cannot be read shows nothing
		case shown != "" && !seen:
			seen = true
			x.note(i, func(out *FaultFigures) {
				ms := milliseconds(now - began)
				out.SeenMS, out.SeenBy = &ms, shown
			})
		case shown == "" && now >= began+f.For:
			if seen {
				x.note(i, func(out *FaultFigures) { ms := milliseconds(now - began - f.For); out.OverMS = &ms })
			}
			return
		}
	}
}

func (x *injector) note(i int, change func(*FaultFigures)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(&x.figures[i])
}

// result returns what is known of the faults.
func (x *injector) result() []FaultFigures {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.figures)
}

var errNoLab = errors.New("a fault needs the admin listener (--admin, or --spawn) of a server that runs in its lab (serve --lab)")

// put sends a fault to the server's lab.
func (x *injector) put(ctx context.Context, f Fault) error {
	if x.admin == "" {
		return errNoLab
	}
	body, err := json.Marshal(struct {
		For     string  `json:"for"`
		Factor  float64 `json:"factor,omitempty"`
		Percent float64 `json:"percent,omitempty"`
		Own     bool    `json:"own,omitempty"`
	}{f.For.String(), f.Factor, f.Percent, f.Own})
	if err != nil {
		return fmt.Errorf("put in fault %s: %w", f.Fault, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, x.admin+"/lab/fault/"+f.Fault, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("put in fault %s: %w", f.Fault, err)
	}
	answer, err := x.client.Do(req)
	if err != nil {
		return fmt.Errorf("put in fault %s: %w", f.Fault, err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // for the error alone
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("put in fault %s: %w", f.Fault, errNoLab)
	}
	return fmt.Errorf("put in fault %s: status %d: %s", f.Fault, answer.StatusCode, clip(strings.TrimSpace(string(said)), 300))
}

// shown asks the server's public health whether it shows the fault, and in which words; "" is no.
func (x *injector) shown(ctx context.Context, f Fault) (string, error) {
	if f.Fault == "memory_pressure" {
		var memory struct{ Health string }
		if err := x.ask(ctx, "/api/health/memory", &memory); err != nil {
			return "", err
		}
		if memory.Health == "warning" || memory.Health == "critical" {
			return "memory " + memory.Health + " (/api/health/memory)", nil
		}
		return "", nil
	}
	var breakers struct {
		Health   string
		Breakers []struct{ Name, State string } `json:"circuit_breakers"`
	}
	var ready struct{ Status, Database string }
	errBreakers, errReady := x.ask(ctx, "/api/health/circuit-breaker", &breakers), x.ask(ctx, "/api/health/ready", &ready)
	for _, b := range breakers.Breakers {
		if b.State != "closed" {
			return "breaker of the " + b.Name + " " + b.State + " (/api/health/circuit-breaker)", nil
		}
	}
	if ready.Database == "down" || f.Fault == "database_slow" && ready.Database == "saturated" {
		return "database " + ready.Database + " (/api/health/ready)", nil
	}
	return "", cmp.Or(errBreakers, errReady)
}

// ask reads a health route; 503 is an answer like 200.
func (x *injector) ask(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.target+path, nil)
	if err != nil {
		return err
	}
	answer, err := x.client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusServiceUnavailable {
		return errors.New("status " + strconv.Itoa(answer.StatusCode))
	}
	return json.NewDecoder(io.LimitReader(answer.Body, maxHealthBody)).Decode(into)
}

// faultMetrics are those of the faults, the worst of all of them. A fault that health never showed took for ever.
func faultMetrics() map[string]metric {
	worst := func(of func(*FaultFigures) *float64) func(*Result) (float64, string) {
		return func(r *Result) (float64, string) {
			if len(r.Faults) == 0 {
				return 0, "no fault was put in"
			}
			most := 0.0
			for i := range r.Faults {
				f := &r.Faults[i]
				if f.Error != "" {
					return 0, f.Error
				}
				if ms := of(f); ms != nil {
					most = max(most, *ms)
				} else {
					most = math.Inf(1)
				}
			}
			return most, ""
		}
	}
	return map[string]metric{
		"fault.seen": {unit: unitTime, result: worst(func(f *FaultFigures) *float64 { return f.SeenMS })},
		"fault.over": {unit: unitTime, result: worst(func(f *FaultFigures) *float64 { return f.OverMS })},
	}
}

// scaledFaults moves faults with the clock of a scaled run.
func scaledFaults(faults []Fault, f float64) []Fault {
	out := slices.Clone(faults)
	for i := range out {
		out[i].At, out[i].For = scale(out[i].At, f), scale(out[i].For, f)
	}
	return out
}
