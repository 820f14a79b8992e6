package loadtest

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

const always = "checks: [{metric: completed, at_least: 1, why: w}]"

// A run that is stopped ends at once, whatever its requests wait for, and says what it has.
func TestInterrupt(t *testing.T) {
	f := func(why, load string, underWay bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(5*time.Second, cancel)
			begin := time.Now()
			var n atomic.Int64
			r := virtual(ctx, t, "warm_up: 1s\ntimeout: 9m\n"+load+"\n"+always+oneStep, func(r *http.Request) (int, string) {
				if n.Add(1) > 20 {
					<-r.Context().Done()
				}
				return 200, ""
			})
			if took := time.Since(begin) - 5*time.Second; took > 500*time.Millisecond {
				t.Errorf("%s: stopped after %v", why, took)
			}
			if !r.Interrupted || r.Verdict != reports.Inconclusive || r.MeasuredS != 4 || underWay != (r.Canceled > 0) || r.Total.Failed != 0 {
				t.Errorf("%s: interrupted %v, %v, measured %vs, %d cut off, %d failed", why, r.Interrupted, r.Verdict, r.MeasuredS, r.Canceled, r.Total.Failed)
			}
			if want := "interrupted after 4s of 10s; the figures are of that part"; !strings.HasPrefix(strings.Join(r.Reasons, ""), want) {
				t.Errorf("%s: reasons %q", why, r.Reasons)
			}
		})
	}
	f("every user waits for an answer", "users: {count: 3}", true)
	f("users think", "users: {count: 3}\nthink: 9m", false)
	f("every place is taken", "arrivals: {rate: 100/s, max_visitors: 5}", true)
	f("visitors come", "arrivals: {rate: 100/s}", true)
	f("nobody is due", "arrivals: {stages: [{for: 0s, to: 30/s}, {for: 1s, to: 30/s}, {for: 0s, to: 0/s}]}", true)
}

func TestOutOfTimeInTheWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		r := virtual(ctx, t, "warm_up: 5s\nusers: {count: 1}\nthink: 1s\n"+always+oneStep, newWatcher(0).serve)
		if r.Verdict != reports.Inconclusive || r.Reasons[0] != "out of time in the warm-up; nothing was measured" || r.Total.Completed != 0 {
			t.Errorf("%v, reasons %q, %d measured", r.Verdict, r.Reasons, r.Total.Completed)
		}
	})
}

// TestInterrupt with the real clock, waiter and network; only that it ends and leaves nothing behind is asserted.
func TestInterruptForReal(t *testing.T) {
	asked := make(chan struct{}, 100)
	ctx, cancel := context.WithCancelCause(context.Background())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // the observer, which finds no TomeHub
			http.NotFound(w, r)
			return
		}
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer srv.Close()
	go func() {
		for range 20 {
			<-asked
		}
		cancel(errors.New("a cause that net/http passes on as the request's error"))
	}()
	r, err := Run(ctx, Config{Scenario: mustParse(t, "connections: per_user\nusers: {count: 20}"+oneStep), Target: srv.URL + "/"})
	if err != nil || !r.Interrupted || r.Canceled != 20 || r.Generator.Connections != 20 {
		t.Errorf("Run = %+v, %v; want 20 requests cut off on 20 connections", r, err)
	}
}

// Answers that come after the end count, since their users waited for them.
func TestLateAnswersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := virtual(context.Background(), t, "timeout: 8s\nusers: {count: 4}"+oneStep, func(r *http.Request) (int, string) {
			time.Sleep(6 * time.Second)
			return 200, ""
		})
		if r.Total.Completed != 8 || r.Total.Rate != 0.4 { // 4 within the 10 s, 4 more 2 s later
			t.Errorf("%d completed, %v/s; want 8 and 0.4/s", r.Total.Completed, r.Total.Rate)
		}
		if took := time.Since(begin); took != 12*time.Second {
			t.Errorf("the run took %v, want 12s", took)
		}
		if n := len(r.Windows); n != 13 || r.Windows[12].Completed != 4 { // they came at 12 s sharp
			t.Errorf("%d windows, want 13 with 4 requests in the last", n)
		}
	})
}

// Whoever waits for a place when the time is over is served still: to leave them out would hide the wait.
func TestHeldVisitorsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := virtual(context.Background(), t, "duration: 2s\narrivals: {rate: 10/s, max_visitors: 1}"+oneStep, func(*http.Request) (int, string) {
			time.Sleep(150 * time.Millisecond)
			return 200, ""
		})
		// The 19th is due at 1.9 s and begins when 18 were served, at 0.1 s + 18 * 0.15 s.
		if r.Total.Completed != 19 || math.Abs(r.Total.Response.MaxMS-1050) > 1 {
			t.Errorf("%d completed, the longest wait %vms; want 19 and 1050", r.Total.Completed, r.Total.Response.MaxMS)
		}
	})
}

func TestSlowAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		r := virtual(context.Background(), t, "slow_after: 100ms\nusers: {count: 1}"+oneStep, func(*http.Request) (int, string) {
			time.Sleep(time.Duration(100+n.Add(1)%2) * time.Millisecond) // 101, 100, 101, …
			return 200, ""
		})
		if ok, slow := r.Total.OK, r.Total.Kinds[Slow]; slow != 50 || ok != 50 || r.Total.ErrorRate != 50 {
			t.Errorf("%d in time, %d late; want 50 and 50", ok, slow)
		}
	})
}

func TestGeneratorHealth(t *testing.T) {
	quick := func(*http.Request) (int, string) { return 200, "" }
	f := func(why, scenario string, change func(*Config), server fakeServer, want reports.Verdict, reason string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := virtual(context.Background(), t, scenario+oneStep, server, change)
			if r.Verdict != want || r.Verdict != r.Checks[0].Verdict {
				t.Errorf("%s: %v (check %v), want %v", why, r.Verdict, r.Checks[0].Verdict, want)
			}
			if got := strings.Join(r.Reasons, "; "); got != reason {
				t.Errorf("%s: reasons %q, want %q", why, got, reason)
			}
		})
	}
	none := func(*Config) {}
	users, failing := "users: {count: 2}\nthink: 1s\n"+always, "users: {count: 2}\nthink: 1s\nchecks: [{metric: completed, at_least: 1000, why: w}]"
	f("a healthy run", users, none, quick, reports.Pass, "")
	f("a failed one", failing, none, quick, reports.Fail, "")
	f("a scenario with other bounds", users+"\ngenerator: {max_cpu: 30%}", cpu(0.4), quick, reports.Inconclusive,
		"the generator used 40% of all CPUs, above 30% (generator.max_cpu)")
	f("a busy generator", users, cpu(0.95), quick, reports.Inconclusive,
		"the generator used 95% of all CPUs, above 90% (generator.max_cpu)")
	f("a busy generator fails nobody either", failing, cpu(0.95), quick, reports.Inconclusive,
		"the generator used 95% of all CPUs, above 90% (generator.max_cpu)")
	f("a generator that sends late", users, func(c *Config) { c.waiter = lateWaiter{c.waiter} }, quick, reports.Inconclusive,
		"the generator sent late: p99 of its send lag is 70ms, above 50ms (generator.max_send_lag)")
	slowly := func(*http.Request) (int, string) { time.Sleep(2 * time.Second); return 200, "" }
	late := func(c *Config) { c.waiter = lateWaiter{c.waiter} }
	f("to answers of two seconds that is little of them", users+"\ngenerator: {max_send_lag_share: 4%}", late, slowly, reports.Pass, "")
	f("and yet too much of them", users+"\ngenerator: {max_send_lag_share: 3%}", late, slowly, reports.Inconclusive,
		"the generator sent late: p99 of its send lag is 70ms, above 60ms (3% of the median answer, generator.max_send_lag_share)")
	f("no ports left", users, func(c *Config) { c.transport = fullMachine{} }, quick, reports.Inconclusive,
		"the generator's machine ran out of ports or files for 20 requests")
	f("blind", users, func(c *Config) {
		c.gauge = func(g *gauge) {
			g.read = func() (time.Duration, uint64, error) { return 0, 0, errors.New("no /proc") }
		}
	}, quick, reports.Inconclusive, "the generator could not watch itself: no /proc")

	// A server that holds 10 visitors for a second each serves 10 of 20 per second.
	second := func(*http.Request) (int, string) { time.Sleep(time.Second); return 200, "" }
	asked := "timeout: 1s\narrivals: {rate: 20/s, max_visitors: 10}\n"
	f("the rate is reached", "arrivals: {rate: 20/s, max_visitors: 25}\n"+always, none, second, reports.Pass, "")
	f("the rate is not reached", asked+always, func(c *Config) { c.Scenario.steps[0].Timeout = 2 * time.Second }, second, reports.Inconclusive,
		"100 of 199 visitors were sent in time (50.3%), the asked rate needs 95%")
	f("who fails below the asked rate fails", asked+"checks: [{metric: p95, below: 1100ms, why: w}]",
		func(c *Config) { c.Scenario.steps[0].Timeout = 2 * time.Second }, second, reports.Fail,
		"100 of 199 visitors were sent in time (50.3%), the asked rate needs 95%")
}

// cpu makes the gauge see a process that uses this share of all CPUs.
func cpu(share float64) func(*Config) {
	return func(c *Config) {
		c.gauge = func(g *gauge) {
			begin := time.Now()
			g.cpus = 2
			g.read = func() (time.Duration, uint64, error) {
				return time.Duration(2 * share * float64(time.Since(begin))), 1 << 20, nil
			}
		}
	}
}

// A lateWaiter oversleeps.
type lateWaiter struct{ waiter }

func (w lateWaiter) wait(d time.Duration) { w.waiter.wait(d + 70*time.Millisecond) }

// A fullMachine has no ports left.
type fullMachine struct{}

func (fullMachine) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}
}

func TestWindowedChecks(t *testing.T) {
	// The server is slow from 4 s to 5 s.
	server := func() fakeServer {
		begin := time.Now()
		return func(*http.Request) (int, string) {
			if at := time.Since(begin); at >= 4*time.Second && at < 5*time.Second {
				time.Sleep(90 * time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			return 200, ""
		}
	}
	const users = "users: {count: 1}\n"
	synctest.Test(t, func(t *testing.T) {
		r := virtual(context.Background(), t, users+`
checks:
  - {metric: p50, below: 50ms, why: the whole run is quick}
  - {metric: p50, below: 50ms, window: 2s, why: but not each two seconds}
  - {metric: p50, below: 200ms, window: 2s, why: each is below 200ms}
  - {metric: rate, above: 60/s, step: step, window: 5s, why: w}
  - {metric: p999, below: 200ms, window: 2s, why: too few in a window}
`+oneStep, server())
		var got []string
		for _, c := range r.Checks {
			got = append(got, c.Name+": "+c.Measured+" "+c.Bound+" "+c.Verdict.String()+" "+c.Reason)
		}
		want := []string{
			"all requests: 10ms < 50ms pass ",
			"all requests, each 2s: 10ms < 50ms pass ", // 10 slow ones of 110
			"all requests, each 2s: 10ms < 200ms pass ",
			"step, each 5s: 81.8/s > 60/s pass ",
			"all requests, each 2s:  < 200ms inconclusive no window had enough requests",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("checks (-want +got):\n%s", diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := virtual(context.Background(), t, "warm_up: 1s\n"+users+`
checks: [{metric: p95, below: 50ms, window: 2s, abort: true, why: w}]
`+oneStep, server())
		if took := time.Since(begin); took < 5*time.Second || took > 5500*time.Millisecond {
			t.Errorf("stopped after %v, want 5s: the window from 3s to 5s breaks the bound", took)
		}
		want := "stopped by a check: all requests, each 2s: p95 is 100ms, must be < 50ms"
		if r.Verdict != reports.Fail || r.Interrupted || r.Reasons[0] != want {
			t.Errorf("%v, interrupted %v, reasons %q; want fail and %q", r.Verdict, r.Interrupted, r.Reasons, want)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []Progress
		virtual(context.Background(), t, "duration: 2s\nwarm_up: 1s\nusers: {count: 3, ramp_up: 1s}\nthink: 400ms"+oneStep,
			newWatcher(600*time.Millisecond).serve, func(c *Config) { c.Progress = func(p Progress) { all = append(all, p) } })
		if len(all) < 30 {
			t.Fatalf("told %d times", len(all))
		}
		states := map[State]int{}
		for i, p := range all {
			states[p.State]++
			if p.Total != 3*time.Second || i > 0 && (p.Elapsed <= all[i-1].Elapsed || p.Completed < all[i-1].Completed) {
				t.Errorf("progress %d goes back: %+v", i, p)
			}
		}
		if last := all[len(all)-1]; last.Users != 3 || last.Completed == 0 || len(states) != 3 {
			t.Errorf("last %+v, states %v", last, states)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := Run(context.Background(), cfg)
		if err == nil || err.Error() != want {
			t.Errorf("Run = %v, want %s", err, want)
		}
	}
	s := mustParse(t, "users: {count: 1}"+oneStep)
	f(Config{Target: "localhost:5001", TimeScale: 100, Duration: -1}, "configure load test: no scenario\n"+
		"time scale 100 must be from 0.01 to 10\n"+
		"duration -1ns must be from 0 to 168h0m0s\n"+
		`target "localhost:5001" must be a URL such as http://127.0.0.1:5001, without query or fragment`)
	f(Config{Scenario: s, Target: "http://x/?a=b"}, `configure load test: target "http://x/?a=b" must be a URL such as http://127.0.0.1:5001, without query or fragment`)
	f(Config{Scenario: s, Target: "http://me:secret@x"}, `configure load test: target "http://me:xxxxx@x" must not carry a password: results name the target; use a header of the scenario`)
	f(Config{Scenario: s, Target: "http://x", AdminURL: "5002"}, `configure load test: admin listener "5002" must be a URL such as http://127.0.0.1:5002, without query or fragment`)
	f(Config{Scenario: s, Target: "http://[::1"}, `configure load test: target: parse "http://[::1": missing ']' in host`)
}

func TestDurationTakesTheScenariosPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := virtual(context.Background(), t, "users: {count: 1}\nthink: 900ms"+oneStep, newWatcher(100*time.Millisecond).serve,
			func(c *Config) { c.Duration = 3 * time.Second })
		if r.Total.Completed != 3 || r.DurationS != 3 {
			t.Errorf("%d requests in %vs, want 3 in 3s", r.Total.Completed, r.DurationS)
		}
	})
}

// On a machine that has no CPU left, what fails is not held against a server on the same machine; what holds, holds.
func TestBusyMachine(t *testing.T) {
	f := func(shared bool, busy float64, below string, want reports.Verdict, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWatcher(100 * time.Millisecond)
			text := "users: {count: 1}\nchecks: [{metric: max, below: " + below + ", why: w}]" + oneStep
			r := virtual(context.Background(), t, text, w.serve, func(c *Config) {
				c.Shared = shared
				c.gauge = func(g *gauge) {
					idle(g)
					began := time.Now()
					g.machine = func() (float64, float64) {
						s := time.Since(began).Seconds()
						return busy * s, (1 - busy) * s
					}
				}
			})
			if r.Verdict != want || (len(r.Reasons) > 0) != (want == reports.Inconclusive) {
				t.Errorf("%s: %v %q, want %v", why, r.Verdict, r.Reasons, want)
			}
			if math.Abs(r.Generator.MachinePercent-100*busy) > 1 {
				t.Errorf("%s: the machine was busy to %.0f%%", why, r.Generator.MachinePercent)
			}
		})
	}
	f(true, 0.97, "50ms", reports.Inconclusive, "a fail on a busy machine")
	f(true, 0.97, "1s", reports.Pass, "a pass on a busy machine")
	f(true, 0.5, "50ms", reports.Fail, "a fail on one with room")
	f(false, 0.97, "50ms", reports.Fail, "the server is elsewhere: it has no part in this machine")
}
