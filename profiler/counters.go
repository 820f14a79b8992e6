package profiler

import (
	"fmt"
	"math"
)

// Counters are what one statement, or all, did: since it was first seen in a Snapshot, within the window in a Profile. What
// its source does not count is 0; Kind tells which that is.
type Counters struct {
	Executions  int64  `json:"executions"`
	Rows        int64  `json:"rows"`            // returned or changed
	Errors      int64  `json:"errors"`          // a tomehub alone counts them
	Elapsed     Micros `json:"elapsed_us"`      // running and fetching; on Oracle parsing too. Without the wait for a connection
	AcquireWait Micros `json:"acquire_wait_us"` // waiting for a connection before running; a tomehub alone counts it

	// What Oracle alone counts.
	CPU         Micros `json:"cpu_us,omitempty"`
	UserIO      Micros `json:"user_io_us,omitempty"` // waits, by class
	Concurrency Micros `json:"concurrency_us,omitempty"`
	Application Micros `json:"application_us,omitempty"` // row locks among them
	Cluster     Micros `json:"cluster_us,omitempty"`
	PLSQL       Micros `json:"plsql_us,omitempty"` // running PL/SQL
	Gets        int64  `json:"gets,omitempty"`     // blocks read from memory
	Reads       int64  `json:"reads,omitempty"`    // blocks read from disk
	Fetches     int64  `json:"fetches,omitempty"`
	Sorts       int64  `json:"sorts,omitempty"`
	Parses      int64  `json:"parses,omitempty"` // calls to parse, soft ones too
	Loads       int64  `json:"loads,omitempty"`  // of the cursor into the shared pool: hard parses
	Invalid     int64  `json:"invalidations,omitempty"`
}

const counters = 18

// counterNames are the fields in the order of list, as they stand in JSON.
var counterNames = [counters]string{
	"executions", "rows", "errors", "elapsed_us", "acquire_wait_us",
	"cpu_us", "user_io_us", "concurrency_us", "application_us", "cluster_us", "plsql_us",
	"gets", "reads", "fetches", "sorts", "parses", "loads", "invalidations",
}

func (c *Counters) list() [counters]int64 {
	return [counters]int64{
		c.Executions, c.Rows, c.Errors, int64(c.Elapsed), int64(c.AcquireWait),
		int64(c.CPU), int64(c.UserIO), int64(c.Concurrency), int64(c.Application), int64(c.Cluster), int64(c.PLSQL),
		c.Gets, c.Reads, c.Fetches, c.Sorts, c.Parses, c.Loads, c.Invalid,
	}
}

func (c *Counters) check() error {
	for i, v := range c.list() {
		if v < 0 {
			return fmt.Errorf("has %s %d, and a counter is never negative", counterNames[i], v)
		}
	}
	return nil
}

func fromList(l [counters]int64) Counters {
	return Counters{
		Executions: l[0], Rows: l[1], Errors: l[2], Elapsed: Micros(l[3]), AcquireWait: Micros(l[4]),
		CPU: Micros(l[5]), UserIO: Micros(l[6]), Concurrency: Micros(l[7]), Application: Micros(l[8]), Cluster: Micros(l[9]), PLSQL: Micros(l[10]),
		Gets: l[11], Reads: l[12], Fetches: l[13], Sorts: l[14], Parses: l[15], Loads: l[16], Invalid: l[17],
	}
}

// Avg returns the seconds per execution. Without an execution that ended there is none.
func (c Counters) Avg() (seconds float64, ok bool) { return c.Per(c.Elapsed.Seconds()) }

// Other is the time that is neither on a processor nor in a wait that is counted by itself. It is never negative: the CPU of
// parallel servers and the rounding of clocks may make the parts larger than the whole.
func (c Counters) Other() Micros {
	rest := c.Elapsed
	for _, part := range []Micros{c.CPU, c.UserIO, c.Concurrency, c.Application, c.Cluster} {
		rest = max(0, rest-part)
	}
	return rest
}

// RowsPer returns the rows per execution.
func (c Counters) RowsPer() (float64, bool) { return c.Per(float64(c.Rows)) }

// WaitPer returns the seconds that an execution waited for its connection, on average.
func (c Counters) WaitPer() (seconds float64, ok bool) { return c.Per(c.AcquireWait.Seconds()) }

// Per returns v per execution.
func (c Counters) Per(v float64) (float64, bool) {
	if c.Executions == 0 {
		return 0, false
	}
	return v / float64(c.Executions), true
}

func (c Counters) minus(o Counters) Counters {
	a, b := c.list(), o.list()
	for i := range a {
		a[i] -= b[i]
	}
	return fromList(a)
}

// plus stays at the largest value instead of running over: counters of a broken source may be anything.
func (c Counters) plus(o Counters) Counters {
	a, b := c.list(), o.list()
	for i := range a {
		if a[i] > math.MaxInt64-b[i] {
			a[i] = math.MaxInt64
		} else {
			a[i] += b[i]
		}
	}
	return fromList(a)
}

func (c Counters) fell() bool {
	for _, v := range c.list() {
		if v < 0 {
			return true
		}
	}
	return false
}
