package loadtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
)

// Bounds of a feeder's file.
const (
	maxFeedSize  = 64 << 20
	maxFeedLines = 1_000_000
	maxFeedLine  = 64 << 10
)

// A feeder hands out values for templates: a query log, a list of names. Its values never change; only the cursor of an
// in-order feeder moves, and that belongs to a run.
type feeder struct {
	name   string
	values []string
	// sums are the weights added up, so that a random number finds its value by halving; nil for feeders in order.
	sums []float64
}

// readFeed reads one value per line. Blank lines and lines that begin with # are left out; "7<TAB>text" gives the value
// "text" the weight 7.
func readFeed(data []byte) (values []string, weights []float64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxFeedLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		if len(values) == maxFeedLines {
			return nil, nil, fmt.Errorf("more than %d lines", maxFeedLines)
		}
		weight := 1.0
		if number, value, ok := strings.Cut(line, "\t"); ok {
			weight, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || weight <= 0 || math.IsInf(weight, 0) {
				return nil, nil, fmt.Errorf("line %d: %q before the tab must be a weight above 0", n, number)
			}
			line = value
		}
		values, weights = append(values, line), append(weights, weight)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("a line has more than %d bytes: %w", maxFeedLine, err)
	}
	if len(values) == 0 {
		return nil, nil, errors.New("no values")
	}
	return values, weights, nil
}

// newFeeder makes a feeder that hands its values out in order when weights is nil, else at random by weight. With
// zipf > 0 the value of rank r (from 1, in the order of the file) is 1/r^zipf times as likely as its weight says:
// the law that the frequencies of search queries follow.
func newFeeder(name string, values []string, weights []float64, zipf float64) *feeder {
	f := &feeder{name: name, values: values}
	sum := 0.0
	for i, w := range weights {
		sum += w / math.Pow(float64(i+1), zipf)
		f.sums = append(f.sums, sum)
	}
	return f
}

// draw returns the number of a value. In order, worker w takes the values that are its own.
func (f *feeder) draw(rng *rand.Rand, cursor *atomic.Uint64, w Worker) int {
	if f.sums == nil {
		return w.nth(int(cursor.Add(1)-1)) % len(f.values)
	}
	x := rng.Float64() * f.sums[len(f.sums)-1]
	return min(sort.Search(len(f.sums), func(i int) bool { return f.sums[i] > x }), len(f.values)-1)
}

// pick is how one of a capture's values is chosen.
type pick int

const (
	pickFirst  pick = iota
	pickRandom      // evenly, anew for each request
	pickNext        // each once, in order; when all are used the step is skipped
)

// A capture keeps values of an answer, as they stood in the JSON, for one user. Its memory is used again and again.
type capture struct {
	raw  []byte
	ends []int // of each value in raw
	used int   // values handed out by pickNext
	cur  int   // the one picked for the request being made
}

func (c *capture) clear() { c.raw, c.ends, c.used, c.cur = c.raw[:0], c.ends[:0], 0, 0 }

func (c *capture) add(value []byte) {
	c.raw = append(c.raw, value...)
	c.ends = append(c.ends, len(c.raw))
}

func (c *capture) value(i int) []byte {
	begin := 0
	if i > 0 {
		begin = c.ends[i-1]
	}
	return c.raw[begin:c.ends[i]]
}

// choose picks a value for the next request; false when there is none left.
func (c *capture) choose(p pick, rng *rand.Rand) bool {
	switch {
	case len(c.ends) == 0:
		return false
	case p == pickRandom:
		c.cur = rng.IntN(len(c.ends))
	case p == pickNext:
		if c.used == len(c.ends) {
			return false
		}
		c.cur = c.used
		c.used++
	}
	return true
}

// picked is the text of the value that choose picked: a string without its quotes.
func (c *capture) picked() string { return unquote(c.value(c.cur)) }

// appendAll writes all values with commas between.
func (c *capture) appendAll(dst []byte) []byte {
	for i := range c.ends {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.value(i)...)
	}
	return dst
}
