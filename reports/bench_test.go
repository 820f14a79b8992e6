package reports

import (
	"io"
	"testing"
)

// BenchmarkWrite writes 1,000 rows of seven columns.
func BenchmarkWrite(b *testing.B) {
	r := odd()
	row := r.Tables[0].Rows[0]
	for range 1000 {
		r.Tables[0].Rows = append(r.Tables[0].Rows, row)
	}
	for _, format := range Formats() {
		b.Run(string(format), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Write(io.Discard, format, TextOptions{Width: 120}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteHTML writes the largest usual page: 5 charts of 4 lines with 1,200 points, 10 tables.
func BenchmarkWriteHTML(b *testing.B) {
	r := large()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.WriteHTML(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(written(b, r)))/1024, "KiB/page")
}
