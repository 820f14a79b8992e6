package loadtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// What we write is what the library writes, whatever was in the encoder before.
func TestEncodedAsTheLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := func(values int, spread float64, times int64) {
		t.Helper()
		h := newHistogram()
		for range values {
			record(h, time.Duration(math.Exp(rng.Float64()*spread))*time.Microsecond)
			if err := h.RecordValues(min(1+int64(rng.ExpFloat64()*1000), histogramMax), times); err != nil {
				t.Fatal(err)
			}
		}
		got, err := encoded(h)
		if err != nil {
			t.Fatal(err)
		}
		want, err := h.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		if values > 0 && got != string(want) || values == 0 && got != "" {
			t.Errorf("%d values: %s, the library writes %s", values, got, want)
		}
	}
	f(0, 1, 1)
	f(1, 0, 1)
	f(1, 25, 1)
	f(3, 0, 1)
	f(40, 10, 300)
	f(5000, 22, 1)
	f(5000, 3, 1<<40)
	f(2, 1, 1)
}

func BenchmarkEncoded(b *testing.B) {
	h := newHistogram()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		record(h, time.Duration(rng.ExpFloat64()*float64(50*time.Millisecond)))
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encoded(h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.EncodeV2(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
