package server

import (
	"testing"
)

// BenchmarkIdleStream is what a stream holds while its answer is waited for: heap and stacks of
// this process, the client's end of the connection included. The bound is 32 KiB.
func BenchmarkIdleStream(b *testing.B) {
	const n = 1000
	cfg := streamConfig(n)
	for b.Loop() {
		r := run(b, cfg, Deps{Library: echo(), Answerer: idle})
		before := inUse()
		open := r.streams(b, n, getStream)
		r.active(b, n)
		b.ReportMetric(float64(inUse()-before)/n/1024, "KiB/stream")
		for _, c := range open {
			c.Close()
		}
		r.active(b, 0)
		r.stop()
	}
}
