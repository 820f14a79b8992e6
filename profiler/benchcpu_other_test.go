//go:build !unix

package profiler

import (
	"testing"
	"time"
)

// cpuTime is only known on Unix.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	tb.Skip("NOT RUN: wants getrusage")
	return 0
}
