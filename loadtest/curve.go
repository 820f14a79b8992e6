package loadtest

import (
	"math"
	"time"
)

// A curve is a value over time made of straight pieces, in users or arrivals per second. After its last piece it holds
// its last value for ever.
type curve struct{ pieces []piece }

type piece struct {
	begin, length float64 // seconds
	from, to      float64
	before        float64 // the integral of the curve up to begin
}

func newCurve(start float64, stages []Stage) curve {
	var c curve
	at, from, sum := 0.0, start, 0.0
	for _, s := range stages {
		if s.For > 0 {
			p := piece{begin: at, length: s.For.Seconds(), from: from, to: s.To, before: sum}
			c.pieces = append(c.pieces, p)
			at, sum = at+p.length, sum+p.length*(p.from+p.to)/2
		}
		from = s.To
	}
	c.pieces = append(c.pieces, piece{begin: at, length: math.Inf(1), from: from, to: from, before: sum})
	return c
}

// pieceAt finds the piece that covers the moment t, in seconds.
func (c curve) pieceAt(t float64) piece {
	for _, p := range c.pieces {
		if t < p.begin+p.length {
			return p
		}
	}
	return c.pieces[len(c.pieces)-1]
}

func (p piece) slope() float64 { return (p.to - p.from) / p.length } // 0 for the endless last piece

// at is the curve's value.
func (c curve) at(t time.Duration) float64 {
	p := c.pieceAt(t.Seconds())
	return p.from + p.slope()*(t.Seconds()-p.begin)
}

// most is the largest value the curve ever has.
func (c curve) most() float64 {
	most := 0.0
	for _, p := range c.pieces {
		most = max(most, p.from, p.to)
	}
	return most
}

// count is the integral of the curve from 0 to t: how many came by then.
func (c curve) count(t time.Duration) float64 {
	p := c.pieceAt(t.Seconds())
	x := t.Seconds() - p.begin
	return p.before + p.from*x + p.slope()*x*x/2
}

// when is the moment by which n have come. It is the inverse of count, and false when the curve ends at 0 before.
func (c curve) when(n float64) (time.Duration, bool) {
	for _, p := range c.pieces {
		left := n - p.before
		if whole := (p.from + p.to) / 2 * p.length; left > whole || whole == 0 {
			continue
		}
		// The root of from·x + slope·x²/2 = left in the form that does not cancel when the slope is small.
		root := math.Sqrt(max(0, p.from*p.from+2*p.slope()*left))
		if p.from+root == 0 {
			continue
		}
		return seconds(p.begin + 2*left/(p.from+root)), true
	}
	return 0, false
}

// reaches is the first moment, not before after, at which the curve is at v or above it.
func (c curve) reaches(v float64, after time.Duration) (time.Duration, bool) {
	const slack = 1e-9 // of a user, against rounding where a ramp ends
	for _, p := range c.pieces {
		t := max(after.Seconds(), p.begin)
		if t >= p.begin+p.length {
			continue
		}
		if now := p.from + p.slope()*(t-p.begin); now >= v-slack {
			return max(after, seconds(t)), true
		}
		if p.to >= v-slack && p.slope() > 0 {
			return max(after, seconds(p.begin+(v-p.from)/p.slope())), true
		}
	}
	return 0, false
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
