package loadtest

import (
	"cmp"
	"container/heap"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/tomehub/tomehub/reports"
)

// A simulation is a run of users against a server with a queue, without a clock: what a real run would have measured.
type simulation struct {
	slower  float64                                   // factor of every service time
	noise   float64                                   // standard deviation of the logarithm of that factor between runs
	weather func(*rand.Rand) func(at float64) float64 // factor of service times over time; nil is 1
	errors  float64                                   // share of requests that fail
}

// What disturbs a server on a machine that others use too. Each is of a mean of about 1, and correlated in time.
var weathers = map[string]func(*rand.Rand) func(float64) float64{
	"queueing": nil,
	"bursts": func(rng *rand.Rand) func(float64) float64 {
		var from, to []float64
		for at := 5 * rng.ExpFloat64(); at < 80; at += 12 * rng.ExpFloat64() {
			from, to = append(from, at), append(to, at+rng.ExpFloat64())
		}
		return func(at float64) float64 {
			for i := range from {
				if at >= from[i] && at < to[i] {
					return 1.4
				}
			}
			return 1
		}
	},
	"drift": func(rng *rand.Rand) func(float64) float64 {
		slope := 0.08 * (2*rng.Float64() - 1)
		return func(at float64) float64 { return 1 + slope*(at-32)/30 }
	},
	"correlated": func(rng *rand.Rand) func(float64) float64 {
		steps := make([]float64, 400)
		for i, x := 0, 0.0; i < len(steps); i++ {
			x = 0.9*x + 0.03*rng.NormFloat64()
			steps[i] = math.Exp(x)
		}
		return func(at float64) float64 { return steps[min(len(steps)-1, int(at*5))] }
	},
}

// arrivals are users by when they ask next.
type arrivals []float64

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i] < a[j] }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(v any)        { *a = append(*a, v.(float64)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// run simulates a minute of 40 users who search and read, on a server that serves 14 at a time.
func (s simulation) run(rng *rand.Rand) *runSample {
	const users, slots, warm, length, windows = 40, 14, 2.0, 60.0, stepWindows
	factor := s.slower * math.Exp(s.noise*rng.NormFloat64())
	weather := func(float64) float64 { return 1 }
	if s.weather != nil {
		weather = s.weather(rng)
	}
	steps := [2][]fragment{make([]fragment, windows), make([]fragment, windows)}
	for i := range windows {
		for _, list := range steps {
			list[i].start, list[i].seconds = warm+float64(i)*length/windows, length/windows
		}
	}
	asking, free := make(arrivals, users), make(arrivals, slots)
	for i := range asking {
		asking[i] = 0.2 * rng.Float64()
	}
	heap.Init(&asking)
	for asking[0] < warm+length {
		at := asking[0]
		step, mean := rng.IntN(2), 0.03
		if step == 0 {
			mean = 0.12
		}
		begin := max(at, free[0])
		end := begin + mean*factor*weather(begin)*math.Exp(0.4*rng.NormFloat64()-0.08)
		free[0] = end
		heap.Fix(&free, 0)
		if window := int((end - warm) / length * windows); end >= warm && window < windows && at >= warm {
			ok := int64(1)
			if rng.Float64() < s.errors {
				ok = 0
			}
			f := &steps[step][window]
			f.completed, f.ok, f.wrong = f.completed+1, f.ok+ok, f.wrong+1-ok
			f.times = append(f.times, bar(int64(1e6*(end-at))))
		}
		asking[0] = end + 0.1 + 0.1*rng.ExpFloat64()
		heap.Fix(&asking, 0)
	}
	for _, list := range steps {
		for i := range list {
			times := list[i].times
			slices.SortFunc(times, func(a, b hdrhistogram.Bar) int { return cmp.Compare(a.To, b.To) })
			list[i].times = nil
			list[i].plus(0, 0, times[:min(1, len(times))])
			list[i].plus(0, 0, times[min(1, len(times)):])
		}
	}
	out := sampled(addedUp(steps[:]), [][]fragment{steps[0], steps[1]})
	out.measures = append(out.measures, measure{reason: "no server"})
	return out
}

// bar is the bucket of a histogram of three digits that holds v.
func bar(v int64) hdrhistogram.Bar {
	shift := max(0, bits.Len64(uint64(v))-11)
	from := v >> shift << shift
	return hdrhistogram.Bar{From: from, To: from + 1<<shift - 1, Count: 1}
}

// comparedSims judges simulated runs.
func comparedSims(before, after []*runSample) *Comparison {
	o := CompareOptions{}.defaults()
	c := &Comparison{MinEffect: o.MinEffect, MinErrors: o.MinErrors, RunNoise: o.RunNoise}
	c.judge(before, after, []string{"search", "read"})
	return c
}

// repeats is how often each bound is tried. make slow tries it ten times as often.
func repeats() int {
	if os.Getenv("TOMEHUB_SLOW") != "" {
		return 200
	}
	return 48
}

// tallied counts outcomes of comparisons.
type tallied struct{ regressed, improved, untold int }

func (n *tallied) add(c *Comparison) {
	switch {
	case c.Verdict == reports.Fail:
		n.regressed++
	case slices.ContainsFunc(c.Changes, func(ch Change) bool { return ch.Outcome == Improved }):
		n.improved++
	case c.Verdict == reports.Inconclusive:
		n.untold++
	}
}

// The bounds that compare is held to, over four kinds of noise: a server that did not change shows a change in at most 5 %
// of comparisons, and is hardly ever beyond judgement; one that takes 20 % longer is caught in at least 95 %.
func TestFalseAlarmsAndMisses(t *testing.T) {
	names := []string{"queueing", "bursts", "drift", "correlated"}
	var same, slower tallied
	for i := range repeats() {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		server := simulation{slower: 1, noise: 0.02, weather: weathers[names[i%len(names)]], errors: 0.01}
		before, after := server.run(rng), server.run(rng)
		same.add(comparedSims([]*runSample{before}, []*runSample{after}))
		server.slower = 1.2
		slower.add(comparedSims([]*runSample{before}, []*runSample{server.run(rng)}))
	}
	t.Logf("of %d: identical %+v, slower by 20%% %+v", repeats(), same, slower)
	n := float64(repeats())
	if alarms := float64(same.regressed+same.improved) / n; alarms > 0.05 {
		t.Errorf("identical runs showed a change in %.1f%%, want at most 5%%", 100*alarms)
	}
	if untold := float64(same.untold) / n; untold > 0.15 {
		t.Errorf("identical runs could not be told in %.1f%%, want at most 15%%", 100*untold)
	}
	if caught := float64(slower.regressed) / n; caught < 0.95 {
		t.Errorf("a server slower by 20%% was caught in %.1f%%, want 95%%", 100*caught)
	}
}

// Where runs differ more than is assumed, several of them tell: they keep the alarms down that one on each side raises.
func TestSeveralRunsMeasureTheNoise(t *testing.T) {
	var one, three tallied
	for i := range repeats() / 10 {
		rng := rand.New(rand.NewPCG(uint64(i), 8))
		server := simulation{slower: 1, noise: 0.12}
		var before, after []*runSample
		for range 3 {
			before, after = append(before, server.run(rng)), append(after, server.run(rng))
		}
		for j := range before {
			one.add(comparedSims(before[j:j+1], after[j:j+1]))
		}
		three.add(comparedSims(before, after))
	}
	n := repeats() / 10
	t.Logf("one on each side, of %d: %+v; three, of %d: %+v", 3*n, one, n, three)
	if alarms := one.regressed + one.improved; 10*alarms < 3*3*n {
		t.Errorf("of %d comparisons of one run with one %d raised an alarm, want a third: is the noise there?", 3*n, alarms)
	}
	if alarms := three.regressed + three.improved; 5*alarms > n {
		t.Errorf("of %d comparisons of three runs with three %d raised an alarm, want few", n, alarms)
	}
}
