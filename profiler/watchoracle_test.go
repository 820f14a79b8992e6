package profiler

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// TestWatchOracle watches a double whose counters move, whose cursors leave and come again, and which restarts.
func TestWatchOracle(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	src := d.source(t, OracleConfig{})
	busy := d.Cursor(tomedata.Statement{Text: "SELECT busy FROM dual"})
	quiet := d.Cursor(tomedata.Statement{Text: "SELECT quiet FROM dual"})
	cost := tomedata.Cost{Elapsed: time.Millisecond, CPU: time.Millisecond, Rows: 1}
	busy.Run(1000, cost)
	quiet.Run(500, cost)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var intervals []Interval
	// What happens after each of the intervals.
	steps := []func(){
		func() { busy.Run(10, cost) },
		func() { busy.Run(20, cost); quiet.Run(1, cost) },
		d.Restart,
		func() { busy = d.Cursor(tomedata.Statement{Text: "SELECT busy FROM dual"}); busy.Run(5, cost) },
		end,
	}
	cfg := WatchConfig{Interval: MinInterval, Options: Options{Top: 10, Force: true}}
	err := Watch(ctx, src, cfg, func(i Interval) {
		intervals = append(intervals, i)
		d.Advance(10 * time.Second)
		steps[len(intervals)-1]()
	})
	if err != nil || len(intervals) != len(steps) {
		t.Fatalf("%d intervals, %v", len(intervals), err)
	}
	f := func(at int, text string, executions int64, states ...State) {
		t.Helper()
		p := intervals[at].Profile
		if p == nil {
			t.Fatalf("interval %d: %v", at, intervals[at].Err)
		}
		for _, r := range p.Statements {
			if r.SQL == text {
				if r.Executions != executions || len(r.States) != len(states) || len(states) == 1 && r.States[0] != states[0] {
					t.Errorf("interval %d: %s %d times, %v; want %d, %v", at, text, r.Executions, r.States, executions, states)
				}
				return
			}
		}
		if executions != 0 {
			t.Errorf("interval %d: %s is not there", at, text)
		}
	}
	f(1, "SELECT busy FROM dual", 10)
	f(1, "SELECT quiet FROM dual", 0)
	f(2, "SELECT busy FROM dual", 20)
	f(2, "SELECT quiet FROM dual", 1) // it was left out of the second snapshot, and is not new
	if !errors.Is(intervals[3].Err, ErrRestarted) {
		t.Errorf("interval 3: %v", intervals[3].Err)
	}
	f(4, "SELECT busy FROM dual", 5, New)
}
