//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

const (
	usualLatency = 4 * time.Millisecond // of every call to the database
	mended       = 5 * time.Second      // after a fault's end every answer must be whole and fresh again
)

// crowdSize is how many users there are, each of whom asks, waits, and asks again. The short form runs beside
// the tests of other packages, which take the cores that 200 users and their database in this process need.
func crowdSize() int {
	if fullFaults() {
		return 200
	}
	return 40
}

// An oracleSite is Oracle's double with the library's schema and, in a process of its own, a server on it.
type oracleSite struct {
	*served
	double *oracletest.Server
	data   *tomedata.Data
}

// startOnOracle migrates the schema by the command line and serves from it.
func startOnOracle(t *testing.T, args ...string) *oracleSite {
	t.Helper()
	site := &oracleSite{data: tomedata.New()}
	var err error
	if site.double, err = oracletest.Start(oracletest.Config{Handler: site.data}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.double.Close(); err != nil {
			t.Error(err)
		}
	})
	env := append(os.Environ(), "DB_DSN="+site.double.DSN(), "DB_USER=tomehub", "DB_PASSWORD=secret")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	migrate := exec.Cmd{Path: self, Args: []string{"tomehub", "migrate", "--env-file", ""}, Env: env}
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("tomehub migrate: %v\n%s", err, out)
	}
	site.served = startProgram(t, func(cmd *exec.Cmd) { cmd.Env = env }, t.TempDir(), slices.Concat([]string{"--log-format", "json"}, unlimited, args)...)
	return site
}

// A bout is one fault of the database: what begins it and what ends it.
type bout struct {
	name       string
	begin, end func()
	lasts      time.Duration
	degrades   bool // readiness says degraded while it lasts, and the breaker opens

	from, to time.Duration // when it was, after the crowd came
}

// bouts are the faults in their order.
func (site *oracleSite) bouts(t *testing.T) []*bout {
	down := func(yes bool) {
		if err := site.double.ListenerDown(yes); err != nil {
			t.Error(err)
		}
	}
	short, outage := 3*time.Second, 2*time.Second
	if fullFaults() {
		short, outage = 10*time.Second, 10*time.Second
	}
	return []*bout{
		{name: "sessions killed", begin: func() { site.double.KillSessions() }, end: func() { site.double.KillSessions() }, lasts: time.Second},
		{name: "listener down", begin: func() { down(true); site.double.DropSessions() }, end: func() { down(false) }, lasts: outage, degrades: true},
		{name: "5 % ORA-03113", begin: func() { site.double.FailEvery(0.05, 3113, 1) }, end: func() { site.double.FailEvery(0, 0, 0) }, lasts: short},
		{name: "commits lost", begin: func() { site.double.LoseCommits(10) }, end: func() { site.double.LoseCommits(0) }, lasts: short},
		{name: "latency × 10", begin: func() { site.double.Latency(10 * usualLatency) }, end: func() { site.double.Latency(usualLatency) }, lasts: short},
	}
}

// TestFaultOracle is the whole server on Oracle's double, under load, while the database fails in every
// way that one does. No answer is ever wrong; what is refused says why; books that were acknowledged are
// there, once; and five seconds after each fault all is as before.
func TestFaultOracle(t *testing.T) {
	if !fullFaults() {
		slow(t)
	}
	if testing.Short() {
		t.Skip("a server under load through five faults takes a minute; run without -short, or make faults")
	}
	site := startOnOracle(t, "--max-concurrent-ingests", "8")
	c := newReaders(t, site)
	c.fill()
	site.double.Latency(usualLatency)
	before := site.goroutines()

	faults := site.bouts(t)
	began := time.Now()
	var crowd sync.WaitGroup
	stop := make(chan struct{})
	for _, r := range c.readers {
		crowd.Go(func() { r.visit(began, stop) })
	}
	calm := mended + time.Second
	if fullFaults() {
		calm = 2 * mended
	}
	for _, b := range faults {
		time.Sleep(calm) // the times of a load
		b.from = time.Since(began)
		b.begin()
		site.watch(t, b)
		b.end()
		b.to = time.Since(began)
	}
	time.Sleep(calm)
	close(stop)
	crowd.Wait()
	c.judge(faults)
	c.checkShelves()
	site.checkStory(t)
	c.leave()
	site.checkLeaks(t, before)
}

// watch waits for the end of a bout and holds what the health routes say meanwhile.
func (site *oracleSite) watch(t *testing.T, b *bout) {
	t.Helper()
	states := map[string]int{}
	for start := time.Now(); time.Since(start) < b.lasts; time.Sleep(100 * time.Millisecond) {
		var ready struct{ Status string }
		if status := site.get("/api/health/ready", &ready); status != http.StatusOK {
			t.Errorf("%s: readiness is %d %s: the load balancer would take away a server that has answers in its cache", b.name, status, ready.Status)
		}
		if status := site.get("/api/health/live", nil); status != http.StatusOK {
			t.Errorf("%s: liveness is %d", b.name, status)
		}
		states[ready.Status]++
	}
	if b.degrades && states["degraded"] == 0 {
		t.Errorf("%s: readiness never said degraded: %v", b.name, states)
	}
}

// checkStory holds that the breaker, the health routes and the log tell what happened.
func (site *oracleSite) checkStory(t *testing.T) {
	t.Helper()
	var got struct {
		Health   string
		Breakers []struct {
			State    string
			Opened   int64
			Closed   int64
			Rejected int64
			Failures int64
		} `json:"circuit_breakers"`
	}
	site.get("/api/health/circuit-breaker", &got)
	if len(got.Breakers) == 0 {
		t.Fatal("there is no circuit breaker")
	}
	db := got.Breakers[0]
	t.Logf("breaker: %+v", db)
	if got.Health != "healthy" && got.Health != "ok" || db.State != "closed" || db.Opened < 1 || db.Closed < 1 || db.Rejected == 0 || db.Failures == 0 {
		t.Errorf("circuit breaker after the faults: %s, %+v", got.Health, db)
	}
	var health struct {
		Status, Database string
	}
	if status := site.get("/api/health", &health); status != http.StatusOK || health.Database != "ok" {
		t.Errorf("health after the faults: %d %+v", status, health)
	}
}

var goroutineTotal = regexp.MustCompile(`total (\d+)`)

// goroutines returns how many the server has.
func (site *oracleSite) goroutines() (n int) {
	site.t.Helper()
	resp, err := http.Get(site.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		site.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		site.t.Fatal(err)
	}
	if m := goroutineTotal.FindSubmatch(body.Bytes()); m != nil {
		fmt.Sscan(string(m[1]), &n)
	}
	return n
}

// poolTotals are what all pools have of sessions.
func (site *oracleSite) poolTotals() (open, busy int) {
	var got struct {
		Pools []struct {
			InUse        int `json:"in_use"`
			Waiting      int `json:"waiting"`
			PhysicalOpen int `json:"physical_open"`
		}
	}
	site.get("/api/health/pools", &got)
	for _, p := range got.Pools {
		open += p.PhysicalOpen
		busy += p.InUse + p.Waiting
	}
	return open, busy
}

// checkLeaks holds that nothing is left: no session that no pool knows, no cursor, no transaction, no
// goroutine; and, once the server has left in good order, nothing at all.
func (site *oracleSite) checkLeaks(t *testing.T, before int) {
	t.Helper()
	until(t, "the double's sessions are the pools', and nothing is in use", 10*time.Second, func() bool {
		open, busy := site.poolTotals()
		return busy == 0 && open == site.double.Stats().Sessions
	})
	open, _ := site.poolTotals()
	for _, s := range site.double.Sessions() {
		if s.Cursors > 1 || s.TempLobs > 0 {
			t.Errorf("session %d (%s, %s) has %d open cursors and %d temporary LOBs after %d calls", s.ID, s.Module, s.Action, s.Cursors, s.TempLobs, s.Calls)
		}
	}
	if n, locks := site.data.Open(); n+locks > 0 {
		t.Errorf("%d transactions with %d locks are open", n, locks)
	}
	after := 0
	until(t, "the server's goroutines are those of before, and of its sessions", 10*time.Second, func() bool {
		after = site.goroutines()
		return after <= before+open
	})
	t.Logf("%d sessions, %d goroutines (%d before the load)", open, after, before)
	log := stopped(t, site.served)
	until(t, "the sessions of a server that has left are gone", 5*time.Second, func() bool { return site.double.Stats().Sessions == 0 })
	for what, n := range site.data.Odd() {
		t.Errorf("the double was asked %d times: %s", n, what)
	}
	checkLog(t, log)
}

// checkLog reads the server's log as an operator does.
func checkLog(t *testing.T, log string) {
	t.Helper()
	if strings.Contains(log, "secret") {
		t.Error("the log has the database's password")
	}
	said := map[string]int{}
	for line := range strings.Lines(log) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line of the log is no JSON: %s", line)
			continue
		}
		if entry.Level == "ERROR" || entry.Level == "WARN" || strings.HasPrefix(entry.Msg, "circuit") {
			said[entry.Level+" "+entry.Msg]++
		}
	}
	t.Logf("log: %v", said)
	opened, closed := said["ERROR circuit breaker opened"], said["INFO circuit breaker closed"]
	if opened < 1 || opened != closed {
		t.Errorf("the log says %d times that the breaker opened, %d times that it closed", opened, closed)
	}
	for what := range said {
		if strings.HasPrefix(what, "ERROR") && what != "ERROR circuit breaker opened" && what != "ERROR request failed" {
			t.Errorf("the log would wake someone: %s", what)
		}
	}
}
