package profiler

import (
	"bytes"
	"encoding/json"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/tomehub/tomehub/reports"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// BenchmarkProfile takes two snapshots of the most statements that are allowed through all that follows their reading, and,
// separately, reads one of them. heap-MB is what is alive at the end, with both snapshots.
func BenchmarkProfile(b *testing.B) {
	before, after := many(100_000)
	b.Run("difference-100000", func(b *testing.B) {
		b.ReportAllocs()
		var p *Profile
		for b.Loop() {
			p = between(b, before, after, Options{Top: 20})
			if err := p.Report().WriteText(io.Discard, reports.TextOptions{Width: 120}); err != nil {
				b.Fatal(err)
			}
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
		runtime.KeepAlive(p)
	})
	body, err := json.Marshal(after)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode-100000", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := decode(bytes.NewReader(body)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
