package profiler

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
)

const (
	// poolSetting has the test binary be a database with a shared pool of that many cursors.
	poolSetting   = "TOMEHUB_TEST_SHARED_POOL"
	benchCursors  = 100_000
	benchMoving   = 5_000 // active within the window
	benchCPUBound = 2 * time.Second
	benchHeap     = 150 << 20
)

// TestSharedPool is no test: it is the database of BenchmarkOracleSnapshots, in a process of its own, so that the other's CPU
// time and memory are the profiler's alone.
func TestSharedPool(t *testing.T) {
	var cursors int
	if _, err := fmt.Sscan(os.Getenv(poolSetting), &cursors); err != nil {
		t.Skip("run by BenchmarkOracleSnapshots")
	}
	in := tomedata.NewInstance(tomedata.InstanceConfig{})
	all := in.Fill(cursors)
	server, err := oracletest.Start(oracletest.Config{Handler: in.Views()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	fmt.Printf("DSN %s\n", server.DSN())
	lines := bufio.NewScanner(os.Stdin) // each line: a window begins
	for lines.Scan() {
		for _, c := range all[:min(benchMoving, len(all))] {
			c.Run(3, tomedata.Cost{Elapsed: time.Millisecond, CPU: time.Millisecond, Gets: 10, Rows: 1})
		}
		fmt.Println("MOVED")
	}
}

// sharedPool starts that process. move has its cursors run.
func sharedPool(b *testing.B, cursors int) (dsn string, move func()) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestSharedPool$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", poolSetting, cursors))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	next := func(prefix string) string {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return strings.TrimSpace(rest)
			}
		}
		b.Fatalf("the shared pool ended before it said %s", prefix)
		return ""
	}
	dsn = next("DSN")
	return dsn, func() {
		if _, err := io.WriteString(in, "\n"); err != nil {
			b.Fatal(err)
		}
		next("MOVED")
	}
}

// peakHeap watches the heap in use until stop is called, which returns the highest value seen, in bytes.
func peakHeap() (stop func() uint64) {
	var peak atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { cancel(); <-done; return peak.Load() }
}

// BenchmarkOracleSnapshots is a pair of snapshots of 100,000 cursors, 5,000 of which worked in between, and their difference.
// cpu-ms and peak-MB are of this process alone: the database is another.
func BenchmarkOracleSnapshots(b *testing.B) {
	for _, view := range []string{ViewPlanHash, ViewSQL} {
		b.Run(view, func(b *testing.B) { benchOracleSnapshots(b, view) })
	}
}

func benchOracleSnapshots(b *testing.B, view string) {
	dsn, move := sharedPool(b, benchCursors)
	db, err := pool.OpenOracleSessions(b.Context(), pool.Oracle{User: "TOMEHUB", Password: "secret", DSN: dsn, Prefetch: 1000}, 1, "profile")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var cpu time.Duration
	var peak uint64
	pairs := 0
	for b.Loop() {
		o, err := NewOracle(OracleConfig{Place: "bench", View: view, Timeout: time.Minute}, db)
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		stop := peakHeap()
		start := cpuTime(b)
		before, err := o.Snapshot(b.Context(), nil)
		mid := cpuTime(b)
		move()
		between := cpuTime(b)
		after, err2 := o.Snapshot(b.Context(), &before)
		if err := errors.Join(err, err2); err != nil {
			b.Fatal(err)
		}
		p, err := difference(before, after, time.Minute, Options{Top: 20})
		// Ten literals each are one statement.
		if err != nil || p.Active < benchMoving/10 || len(after.Statements) < benchMoving || len(before.Statements) < benchCursors {
			b.Fatalf("%d active, %d read of %d: %v", p.Active, len(after.Statements), len(before.Statements), err)
		}
		cpu += cpuTime(b) - between + mid - start
		peak = max(peak, stop())
		pairs++
	}
	cpu /= time.Duration(pairs)
	b.ReportMetric(float64(cpu.Milliseconds()), "cpu-ms/op")
	b.ReportMetric(float64(peak>>20), "peak-MB")
	if !testing.Short() && (cpu > benchCPUBound || peak > benchHeap) { // a busy machine makes CPU time longer, too
		b.Errorf("a pair takes %v of CPU and %d MB; at most %v and %d MB are wanted", cpu, peak>>20, benchCPUBound, benchHeap>>20)
	}
}
