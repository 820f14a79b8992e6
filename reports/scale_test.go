package reports

import (
	"math"
	"strings"
	"testing"
	"time"
)

func labels(ticks []tick) string {
	var all []string
	for _, t := range ticks {
		all = append(all, t.label)
	}
	return strings.Join(all, " | ")
}

func TestTicks(t *testing.T) {
	f := func(a Axis, low, high float64, want string) {
		t.Helper()
		s := newSpan(low, high, a.Scale, a.Scale == Linear, a.Scale == Linear || a.Scale == Log, a.Unit)
		if got := labels(s.ticks(a, 5)); got != want {
			t.Errorf("%s %q from %g to %g: %s\nwant %s", scales[a.Scale], a.Unit, low, high, got, want)
		}
	}
	f(Axis{}, 0, 10, "0 | 2 | 4 | 6 | 8 | 10")
	f(Axis{}, 3, 9.7, "0 | 2 | 4 | 6 | 8 | 10") // begins at 0
	f(Axis{}, -3, 4, "-4 | -2 | 0 | 2 | 4")
	f(Axis{}, 0, 0.3, "0 | 0.1 | 0.2 | 0.3")
	f(Axis{}, 0, 1e6, "0 | 0.2M | 0.4M | 0.6M | 0.8M | 1.0M")
	f(Axis{}, 0, 10000, "0 | 2k | 4k | 6k | 8k | 10k") // all in the size of the largest
	f(Axis{Unit: "/s"}, 0, 410, "0 | 100/s | 200/s | 300/s | 400/s | 500/s")
	f(Axis{Unit: "%"}, 0, 100, "0 | 20% | 40% | 60% | 80% | 100%")
	f(Axis{Unit: "s"}, 0, 0.25, "0 | 50 ms | 100 ms | 150 ms | 200 ms | 250 ms")
	f(Axis{Unit: "s"}, 0, 9.2, "0 | 2 s | 4 s | 6 s | 8 s | 10 s")
	f(Axis{Unit: "s"}, 0, 600, "0 | 2 min | 4 min | 6 min | 8 min | 10 min")
	f(Axis{Unit: "B"}, 0, 900<<20, "0 | 200 MiB | 400 MiB | 600 MiB | 800 MiB | 1000 MiB") // binary steps
	f(Axis{}, 0, 0, "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1.0")                                     // nothing but 0
	f(Axis{}, 7, 7, "0 | 2 | 4 | 6 | 8")                                                   // one value
	f(Axis{}, math.Inf(1), math.Inf(-1), "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1.0")                // no value
	f(Axis{Scale: Log, Unit: "s"}, 0.012, 27, "10 ms | 100 ms | 1 s | 10 s")
	f(Axis{Scale: Log, Unit: "s"}, 1.2, 4, "1 s | 2 s | 5 s")
	f(Axis{Scale: Log}, 1, 1e9, "1 | 100 | 10k | 1M | 100M")
	f(Axis{Scale: Log}, 0, 100, "1 | 2 | 5 | 10") // no low end: any range will do
	f(Axis{Scale: Log}, 5, 5, "5 | 10")           // one value
	f(Axis{Scale: Elapsed}, 0, 60, "0 s | 15 s | 30 s | 45 s | 60 s")
	f(Axis{Scale: Elapsed}, 0, 2, "0.0 s | 0.5 s | 1.0 s | 1.5 s | 2.0 s")
	f(Axis{Scale: Elapsed}, 0, 150, "0:00 | 0:30 | 1:00 | 1:30 | 2:00 | 2:30")
	f(Axis{Scale: Elapsed}, 0, 1200, "0 min | 5 min | 10 min | 15 min | 20 min")
	f(Axis{Scale: Elapsed}, 0, 4*3600, "0:00 h | 1:00 h | 2:00 h | 3:00 h | 4:00 h")
	f(Axis{Scale: Elapsed}, -30, 60, "-30 s | 0 s | 30 s | 60 s") // a warm-up before
	f(Axis{Scale: Clock}, 1_760_000_000, 1_760_000_300, "08:54 | 08:55 | 08:56 | 08:57 | 08:58")
	f(Axis{Scale: Clock}, 1_760_000_000, 1_760_000_020, "08:53:20 | 08:53:25 | 08:53:30 | 08:53:35 | 08:53:40")
	f(Axis{Scale: Clock, Zone: time.FixedZone("IST", 5*3600+1800)}, 1_760_000_000, 1_760_007_200, "14:30 | 15:00 | 15:30 | 16:00") // whole hours there, not in UTC
	f(Axis{Scale: Clock}, 1_760_000_000, 1_760_000_000+3*86400, "10 Oct 00:00 | 11 Oct 00:00 | 12 Oct 00:00")
}

// TestSpans demands of many ranges that ticks are few, in order, within the range, and tell each other apart.
func TestSpans(t *testing.T) {
	values := []float64{-1e18, -3e5, -1, -1e-9, 0, 1e-300, 1e-9, 0.07, 1, 1 + 1e-12, 60, 299, 301, 86400, 1 << 30, 1_760_000_000, 1e18, math.NaN(), math.Inf(1)}
	for _, low := range values {
		for _, high := range values {
			for scale := range scales {
				for _, unit := range []string{"", "s", "B", "%"} {
					a := Axis{Scale: Scale(scale), Unit: unit}
					s := newSpan(low, high, a.Scale, a.Scale == Linear, a.Scale <= Log, unit)
					if !(s.low < s.high) || !usable(s.low/8) || !usable(s.high/8) || a.Scale == Log && s.low <= 0 {
						t.Fatalf("%v from %g to %g became %g to %g", a, low, high, s.low, s.high)
					}
					ticks := s.ticks(a, 6)
					if len(ticks) > 16 {
						t.Fatalf("%v from %g to %g: %d ticks", a, s.low, s.high, len(ticks))
					}
					for i, tick := range ticks {
						if at := s.place(tick.value); !(at >= 0 && at <= 1) || tick.label == "" || i > 0 && tick.value <= ticks[i-1].value {
							t.Fatalf("%v from %g to %g: tick %v at %g", a, s.low, s.high, tick, at)
						}
					}
				}
			}
		}
	}
}

func TestValue(t *testing.T) {
	f := func(v float64, unit, want string) {
		t.Helper()
		if got := value(v, unit); got != want {
			t.Errorf("value(%g, %q) = %q, want %q", v, unit, got, want)
		}
	}
	f(0, "", "0")
	f(0.14444, "", "0.144")
	f(1234, "", "1234")
	f(12345, "", "12.3k")
	f(-2.5, "%", "-2.5%")
	f(410.4, "/s", "410/s")
	f(0, "s", "0 s")
	f(0.000012, "s", "12 µs")
	f(0.0561, "s", "56.1 ms")
	f(9.2, "s", "9.2 s")
	f(299, "s", "299 s")
	f(3703, "s", "61.7 min")
	f(0, "B", "0 B")
	f(1536, "B", "1.5 KiB")
	f(3<<30, "B", "3 GiB")
	f(math.NaN(), "s", "–")
	f(math.Inf(-1), "", "–")
}

func TestDownsample(t *testing.T) {
	f := func(values []float64, limit int, how Combine, want []Point) {
		t.Helper()
		got := downsample(Every(0, 1, values), limit, how)
		same := len(got) == len(want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].X == want[i].X && (got[i].Y == want[i].Y || math.IsNaN(got[i].Y) && math.IsNaN(want[i].Y))
		}
		if !same {
			t.Errorf("downsample(%v, %d, %d) = %v, want %v", values, limit, how, got, want)
		}
	}
	nan := math.NaN()
	f([]float64{1, 2, 3}, 3, Extremes, []Point{{0, 1}, {1, 2}, {2, 3}})                                                           // few enough stay
	f([]float64{5, 9, 1, 3, 3, 3, 2, 8}, 6, Extremes, []Point{{1, 9}, {2, 1}, {6, 2}, {7, 8}})                                    // a spike stays, in its place
	f([]float64{1, 3, 5, 7}, 3, Mean, []Point{{1.5, 4}})                                                                          // one bucket
	f([]float64{1, 3, nan, nan, nan, nan, 5, 7, 9, 11}, 8, Mean, []Point{{0.5, 2}, {2, nan}, {3, nan}, {5, nan}, {6, 5}, {8, 9}}) // an outage stays one
}

// TestDownsampleKeepsWhatMatters holds for random series: the limit, the order, the extremes, and that a long gap stays.
func TestDownsampleKeepsWhatMatters(t *testing.T) {
	for _, r := range []Report{profiled(), tested()} {
		for _, c := range r.Charts {
			for _, s := range c.Series {
				points := ordered(s.Points, false)
				for _, limit := range []int{12, 100, 333, 1199} {
					for _, how := range []Combine{Extremes, Mean} {
						got := downsample(points, limit, how)
						before, after := statsOf(points, 0), statsOf(got, 0)
						if len(got) > limit {
							t.Errorf("%s: %d points for a limit of %d", s.Name, len(got), limit)
						}
						if how == Extremes && (before.max != after.max && !math.IsNaN(before.max) || before.min != after.min && !math.IsNaN(before.min)) {
							t.Errorf("%s: from %g to %g became %g to %g", s.Name, before.min, before.max, after.min, after.max)
						}
						for i := 1; i < len(got); i++ {
							if got[i].X < got[i-1].X {
								t.Fatalf("%s: out of order at %d", s.Name, i)
							}
						}
					}
				}
			}
		}
	}
}

func TestOrdered(t *testing.T) {
	got := ordered([]Point{{2, 1}, {math.NaN(), 1}, {1, math.Inf(1)}, {0, 5}}, false)
	if len(got) != 3 || got[0] != (Point{0, 5}) || !math.IsNaN(got[1].Y) || got[2] != (Point{2, 1}) {
		t.Errorf("%v", got)
	}
	if got := ordered([]Point{{0, 1}, {-1, 1}, {1, 1}}, true); len(got) != 1 {
		t.Errorf("on a log axis: %v", got)
	}
}

func TestStacked(t *testing.T) {
	nan := math.NaN()
	got := stacked([]Series{
		{Points: []Point{{0, 1}, {1, nan}, {2, 3}, {3, nan}}},
		{Points: []Point{{0, 2}, {2, nan}, {3, nan}, {4, -7}}},
	}, 100)
	want := [][]float64{{1, nan, 3, nan, 0}, {2, nan, 0, nan, 0}} // a missing class is 0, a missing moment a gap
	for i := range want {
		for j, v := range want[i] {
			if g := got[i][j].Y; g != v && !(math.IsNaN(g) && math.IsNaN(v)) {
				t.Errorf("series %d at %d is %g, want %g", i, j, g, v)
			}
		}
	}
}

func TestPathIsShort(t *testing.T) {
	var l path
	l.to(0, 440, true)
	l.to(3, 430, false)
	l.to(3, 430, false) // the same place again
	l.to(2, 431, false)
	l.close()
	l.dot(5, 6)
	if got, want := string(l.b), "M0 440l3-10-1 1zM5 6h0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWaitClassColors(t *testing.T) {
	if got := WaitClassColor("User I/O"); got != ColorUserIO {
		t.Errorf("User I/O is %q", got)
	}
	if got := WaitClassColor("no such class"); got != ColorOther {
		t.Errorf("an unknown class is %q", got)
	}
	if got := Color(`x"><b>`).class(9); got != "k2" {
		t.Errorf("an unknown colour has the class %q", got)
	}
	if names := WaitClasses(); names[0] != "CPU" || len(names) != 14 {
		t.Errorf("%v", names)
	}
}
