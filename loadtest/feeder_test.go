package loadtest

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFeederDraws(t *testing.T) {
	f := func(why string, f *feeder, want []float64) {
		t.Helper()
		const n = 200_000
		rng := rand.New(rand.NewPCG(1, 1))
		var cursor atomic.Uint64
		counts := make([]int, len(f.values))
		for range n {
			counts[f.draw(rng, &cursor, Worker{})]++
		}
		for i, w := range want {
			if got := float64(counts[i]) / n; math.Abs(got-w) > 0.005 {
				t.Errorf("%s: value %d is drawn with %.3f, want %.3f", why, i, got, w)
			}
		}
	}
	values := []string{"a", "b", "c"}
	even := []float64{1, 1, 1}
	f("evenly", newFeeder("f", values, even, 0), []float64{1. / 3, 1. / 3, 1. / 3})
	f("by weight", newFeeder("f", values, []float64{6, 3, 1}, 0), []float64{0.6, 0.3, 0.1})
	f("by Zipf's law", newFeeder("f", values, even, 1), []float64{6. / 11, 3. / 11, 2. / 11})
	f("in order", newFeeder("f", values, nil, 0), []float64{1. / 3, 1. / 3, 1. / 3})

	inOrder := newFeeder("f", values, nil, 0)
	var cursor atomic.Uint64
	var got []string
	for range 4 {
		got = append(got, values[inOrder.draw(nil, &cursor, Worker{})])
	}
	if strings.Join(got, "") != "abca" {
		t.Errorf("in order gives %q", got)
	}
}

func TestCapture(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var c capture
	if c.choose(pickFirst, rng) || c.choose(pickRandom, rng) || c.choose(pickNext, rng) {
		t.Error("an empty capture has a value")
	}
	c.add([]byte(`1`))
	c.add([]byte(`"zwei"`))
	var next []string
	for c.choose(pickNext, rng) {
		next = append(next, c.picked())
	}
	if strings.Join(next, " ") != "1 zwei" {
		t.Errorf("next gives %q", next)
	}
	seen := map[string]int{}
	for range 1000 {
		c.choose(pickRandom, rng)
		seen[c.picked()]++
	}
	if len(seen) != 2 || seen["1"] < 400 || seen["1"] > 600 {
		t.Errorf("random gives %v", seen)
	}
	if got := string(c.appendAll(nil)); got != `1,"zwei"` {
		t.Errorf("all are %s", got)
	}
	c.clear()
	if c.choose(pickNext, rng) || len(c.appendAll(nil)) > 0 {
		t.Error("a cleared capture has a value")
	}
}

func TestReadFeedBounds(t *testing.T) {
	f := func(data, want string) {
		t.Helper()
		_, _, err := readFeed([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("readFeed = %v, want %q in it", err, want)
		}
	}
	f("", "no values")
	f("-1\tx", "must be a weight above 0")
	f("Inf\tx", "must be a weight above 0")
	f(strings.Repeat("x", maxFeedLine+1), "more than 65536 bytes")
	f(strings.Repeat("x\n", maxFeedLines+1), "more than 1000000 lines")
}
