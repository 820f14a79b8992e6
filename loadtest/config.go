package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"
)

// Config is what a run needs beside its scenario.
type Config struct {
	Scenario *Scenario
	// Target is the URL of the server, such as http://127.0.0.1:5001; the paths of the scenario come behind it.
	Target string
	Logger *slog.Logger
	// Progress, unless nil, is told how the run goes, about twice a second, by one goroutine, never after Run returned.
	Progress func(Progress)
	// Seed makes users choose the same flows, values and pauses again. 0 is 1.
	Seed uint64
	// TimeScale multiplies every time of the scenario, divides its rates by it, and moves the bounds of its checks
	// likewise. 0 is 1; at most 10.
	TimeScale float64
	// Duration, unless 0, takes the place of the scenario's duration, before it is scaled.
	Duration time.Duration
	// Version of the program, for the result.
	Version string
	// Worker is this generator's place among several that share the scenario; the zero Worker runs all of it.
	Worker Worker
	// Shared says that the server runs on this machine. Where all CPUs are busy, whoever it may be with, nothing that
	// failed is then held against the server.
	Shared bool
	// AdminURL is the admin listener of the server, such as http://127.0.0.1:5002. With it the result tells requests and
	// statements as the server counted them; "" has only what the public health routes tell.
	AdminURL string
	// PrometheusURL is a Prometheus that reads AdminURL, such as http://127.0.0.1:9090. The alerts that the scenario's faults
	// name must then fire there and end; "" leaves the checks of them out, and the result says so.
	PrometheusURL string
	// TopStatements, unless nil, is called at the start of the measured time, and what it returns at the end. An error of
	// either stands in the result's notes and fails nothing.
	TopStatements func(context.Context) (func(context.Context) (*StatementWindow, error), error)
	// ServerPID, unless 0, is the server's process on this machine; the result then tells the CPU time it used.
	ServerPID int

	// Vegeta, unless nil, gets every measured request as a result of vegeta's, in its gob encoding, when its answer is in.
	// Run does not look at errors of writing; a bufio.Writer keeps them for its owner.
	Vegeta io.Writer

	windows   time.Duration                 // how long each window is; 0 leaves it to the length of the run
	transport http.RoundTripper             // tests: takes the place of the network, and vegeta that of the crew
	dial      dialer                        // tests: takes the place of the network
	waiter    waiter                        // tests: must sleep on the bubble's clock
	gauge     func(*gauge)                  // tests: changes what the gauge reads
	serverCPU func() (time.Duration, error) // tests: takes the place of the server's process
	waiting   int                           // tests: how many requests may wait with a goroutine; 0 takes maxWaiting
	observer  http.RoundTripper             // tests: where the observer asks; with transport and without observer it is left out
}

// Progress is how a run goes.
type Progress struct {
	State     State
	Elapsed   time.Duration
	Total     time.Duration // warm-up and measured time
	Users     int           // or visitors
	Window    Window        // the last whole second
	Completed int64         // since the start, the warm-up included
	ErrorRate float64       // percent of these
	// Of the last poll of the server; below 0 when unknown, also when nothing was asked of it meanwhile.
	StatementsPerRequest float64
	HitRate              float64 // percent
}

// State says what a run is doing.
type State string

// The states of a run.
const (
	WarmingUp State = "warm-up"
	Measuring State = "measuring"
	Finishing State = "finishing" // requests under way are waited for
)

// maxTimeScale bounds Config.TimeScale from above, minTimeScale from below: timers are not exact enough beyond.
const (
	minTimeScale = 0.01
	maxTimeScale = 10
)

// validate reports every fault of the Config and returns the parsed target and admin listener, which is nil without one.
func (c Config) validate() (target, admin *url.URL, err error) {
	var faults []error
	if c.Scenario == nil {
		faults = append(faults, errors.New("no scenario"))
	}
	if c.TimeScale < minTimeScale || c.TimeScale > maxTimeScale || math.IsNaN(c.TimeScale) {
		faults = append(faults, fmt.Errorf("time scale %v must be from %v to %v", c.TimeScale, minTimeScale, maxTimeScale))
	}
	if c.Duration < 0 || c.Duration > maxDuration {
		faults = append(faults, fmt.Errorf("duration %v must be from 0 to %v", c.Duration, maxDuration))
	}
	switch w := c.Worker; {
	case !w.valid():
		faults = append(faults, fmt.Errorf("worker %d/%d must be from 1/1 to %d/%d", w.Number, w.Of, MaxWorkers, MaxWorkers))
	case c.Scenario != nil && w.share(c.Scenario.slots()) == 0:
		faults = append(faults, fmt.Errorf("worker %v has nothing to do: the scenario has %d users or places for visitors", w, c.Scenario.slots()))
	}
	target, err = parseTarget("target", c.Target, "http://127.0.0.1:5001")
	faults = append(faults, err)
	if c.AdminURL != "" {
		admin, err = parseTarget("admin listener", c.AdminURL, "http://127.0.0.1:5002")
		faults = append(faults, err)
	}
	if c.PrometheusURL != "" {
		_, err = parseTarget("Prometheus", c.PrometheusURL, "http://127.0.0.1:9090")
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, nil, fmt.Errorf("configure load test: %w", err)
	}
	return target, admin, nil
}

func parseTarget(what, text, example string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s %q must be a URL such as %s, without query or fragment", what, text, example)
	case u.User != nil:
		return nil, fmt.Errorf("%s %q must not carry a password: results name the target; use a header of the scenario", what, u.Redacted())
	}
	return u, nil
}
