package reports

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A tick is a value on an axis with its label.
type tick struct {
	value float64
	label string
}

// span is the range of values an axis shows. Low is below high, both are finite.
type span struct {
	low, high float64
	scale     Scale
}

// place is where v stands between low (0) and high (1). What has no place, or lies outside, is moved to the nearer end.
func (s span) place(v float64) float64 {
	at := (v - s.low) / (s.high - s.low)
	if s.scale == Log {
		at = (math.Log(v) - math.Log(s.low)) / (math.Log(s.high) - math.Log(s.low))
	}
	if !(at > 0) { // also NaN
		return 0
	}
	return min(at, 1)
}

// newSpan widens what the values cover until it is a range: for one value, for none, and to whole ticks when round is set.
// A linear range begins at 0 when zero is set and no value is below.
func newSpan(low, high float64, scale Scale, zero, round bool, unit string) span {
	s := span{low: low, high: high, scale: scale}
	if scale == Log {
		if !(s.low > 0) || !usable(s.high) || s.low > s.high {
			s.low, s.high = 1, 10
		}
		s.low = max(s.low, s.high/1e12, 1e-12) // beyond that every label would be unreadable
		s.high = max(s.high, s.low*1.000001)
		if round {
			s.low, s.high = logDown(s.low), logUp(s.high)
		}
		if s.low >= s.high {
			s.high = s.low * 10
		}
		return s
	}
	if !usable(low) || !usable(high) || low > high {
		s.low, s.high = 0, 1
	}
	if zero {
		s.low, s.high = min(s.low, 0), max(s.high, 0)
	}
	if s.high-s.low <= max(math.Abs(s.high)*1e-9, 1e-12) { // one value, or so close that a step would not change it
		pad := max(math.Abs(s.high)*0.5, 1e-9)
		if s.low == 0 && s.high == 0 {
			pad = 1
		}
		s.high += pad
		if !zero || s.low < 0 {
			s.low -= pad
		}
	}
	if round {
		step := unitStep(s.high-s.low, 5, max(math.Abs(s.low), math.Abs(s.high)), unit)
		s.low, s.high = math.Floor(s.low/step+1e-9)*step, math.Ceil(s.high/step-1e-9)*step
	}
	return s
}

// logDown and logUp go to the next of 1, 2 and 5 times a power of ten.
func logDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, f := range []float64{5, 2} {
		if v >= f*power*(1-1e-9) {
			return f * power
		}
	}
	return power
}

func logUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, f := range []float64{1, 2, 5} {
		if v <= f*power*(1+1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below step.
func niceStep(step float64) float64 {
	if !(step > 0) || math.IsInf(step, 0) {
		return 1
	}
	return logUp(step)
}

// unitStep is a step of 1, 2 or 5 times a power of ten in the size in which the axis is labelled: 200 MiB, not 191.
func unitStep(length float64, want int, largest float64, unit string) float64 {
	per := sizeOf(largest, unit).per
	return niceStep(length/float64(want)/per) * per
}

// numberTicks are at most about want+1 labelled values of a linear or log axis.
func (s span) numberTicks(want int, unit string) []tick {
	var values []float64
	if s.scale == Log {
		values = s.logValues(want)
	} else {
		values = s.stepValues(unitStep(s.high-s.low, want, max(math.Abs(s.low), math.Abs(s.high)), unit))
	}
	return labelled(values, unit, s.scale == Log)
}

// stepValues are the multiples of step within the range.
func (s span) stepValues(step float64) []float64 {
	var values []float64
	first := math.Ceil(s.low/step - 1e-9)
	for i := 0.0; i < 100; i++ { // a bound that no caller reaches: a step is never below 1/20 of the range
		v := (first + i) * step
		if v > s.high+step*1e-9 {
			break
		}
		values = append(values, v)
	}
	return values
}

// logValues are 1, 2, 5 of each decade, or, of more decades, only every power of ten, or every second, third …
func (s span) logValues(want int) []float64 {
	decades := math.Log10(s.high / s.low)
	factors, skip := []float64{1}, max(1, int(math.Ceil(decades/float64(want))))
	if decades*3 <= float64(want)+1 {
		factors = []float64{1, 2, 5}
	}
	var values []float64
	for e := int(math.Floor(math.Log10(s.low) - 1e-9)); e <= int(math.Ceil(math.Log10(s.high))); e++ {
		if e%skip != 0 {
			continue
		}
		for _, f := range factors {
			if v := f * math.Pow(10, float64(e)); v >= s.low*(1-1e-9) && v <= s.high*(1+1e-9) {
				values = append(values, v)
			}
		}
	}
	return values
}

// labelled writes the values of an axis, all in the size of the largest one, or, on a log axis, each in its own.
func labelled(values []float64, unit string, each bool) []tick {
	ticks := make([]tick, len(values))
	largest, step := 0.0, math.Inf(1)
	for i, v := range values {
		largest = max(largest, math.Abs(v))
		if i > 0 {
			step = min(step, v-values[i-1])
		}
	}
	for i, v := range values {
		u := sizeOf(largest, unit)
		digits := decimals(step / u.per)
		if each {
			u = sizeOf(math.Abs(v), unit)
			digits = decimals(v / u.per)
		}
		label := strconv.FormatFloat(v/u.per, 'f', digits, 64)
		if v == 0 || strings.Trim(label, "-0.") == "" {
			ticks[i] = tick{v, "0"}
			continue
		}
		ticks[i] = tick{v, label + u.tail}
	}
	return ticks
}

// decimals is how many digits behind the point a step of 1, 2 or 5 times a power of ten takes.
func decimals(step float64) int {
	if !(step > 0) || math.IsInf(step, 0) {
		return 0
	}
	return min(9, max(0, int(math.Ceil(-math.Log10(step)-1e-6))))
}

// size is the size in which a unit reads best.
type size struct {
	per  float64
	tail string
}

var (
	secondSizes = []size{{1e-6, " µs"}, {1e-3, " ms"}, {1, " s"}, {60, " min"}, {3600, " h"}}
	byteSizes   = []size{{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}, {1 << 40, " TiB"}}
	plainSizes  = []size{{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}}
)

// sizeOf finds the size for an absolute value. Seconds stay seconds up to 5 minutes, plain numbers stay plain below 10,000.
func sizeOf(v float64, unit string) size {
	sizes, tail, late := plainSizes, unit, 10.0
	switch unit {
	case "s":
		sizes, tail, late = secondSizes, "", 1
	case "B":
		sizes, tail, late = byteSizes, "", 1
	}
	chosen := sizes[0]
	for _, s := range sizes[1:] {
		from := s.per * late
		if unit == "s" && s.per >= 60 {
			from = s.per * 5
		}
		if s.per >= 1e6 && unit != "s" && unit != "B" {
			from = s.per
		}
		if v >= from*(1-1e-9) {
			chosen = s
		}
	}
	return size{chosen.per, chosen.tail + tail}
}

// value writes v with three significant digits and its unit, "–" when there is none.
func value(v float64, unit string) string {
	if !usable(v) {
		return "–"
	}
	u := sizeOf(math.Abs(v), unit)
	if v == 0 && unit == "s" {
		u = sizeOf(1, unit)
	}
	scaled := v / u.per
	digits := 0
	if a := math.Abs(scaled); a > 0 && a < 100 {
		digits = min(9, 2-int(math.Floor(math.Log10(a))))
	}
	text := strconv.FormatFloat(scaled, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return text + u.tail
}

// timeSteps are the steps of a time axis in seconds.
var timeSteps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800}

// timeStep is the first of them that gives at most want ticks; of two seconds or less, and beyond weeks, it is a step as
// of numbers.
func timeStep(length float64, want int) float64 {
	least := length / float64(want)
	if length <= 2 {
		return niceStep(least)
	}
	for _, step := range timeSteps {
		if step >= least {
			return step
		}
	}
	return niceStep(least/604800) * 604800
}

// elapsedTicks count from the beginning of the run.
func (s span) elapsedTicks(want int) []tick {
	step := timeStep(s.high-s.low, want)
	var ticks []tick
	for _, v := range s.stepValues(step) {
		ticks = append(ticks, tick{v, elapsed(v, step, s.high)})
	}
	return ticks
}

// elapsed writes seconds since the beginning as the axis around it reads best.
func elapsed(v, step, longest float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	whole := math.Round(v)
	switch {
	case longest <= 120 || step < 1:
		return sign + strconv.FormatFloat(v, 'f', decimals(step), 64) + " s"
	case longest < 3*3600 && math.Mod(step, 60) == 0:
		return sign + strconv.FormatFloat(whole/60, 'f', 0, 64) + " min"
	case longest < 3*3600:
		return sign + strconv.FormatFloat(math.Floor(whole/60), 'f', 0, 64) + ":" + two(math.Mod(whole, 60))
	}
	return sign + strconv.FormatFloat(math.Floor(whole/3600), 'f', 0, 64) + ":" + two(math.Floor(math.Mod(whole, 3600)/60)) + " h"
}

func two(v float64) string {
	if v < 10 {
		return "0" + strconv.Itoa(int(v))
	}
	return strconv.Itoa(int(v))
}

// clockTicks stand at whole steps of the local day.
func (s span) clockTicks(want int, zone *time.Location) []tick {
	step := timeStep(s.high-s.low, want)
	_, offset := clock(s.low, zone).Zone()
	local := span{low: s.low + float64(offset), high: s.high + float64(offset)}
	layout := "15:04"
	switch {
	case step < 1:
		layout = "15:04:05.000"
	case step < 60:
		layout = "15:04:05"
	case s.high-s.low > 86400:
		layout = "2 Jan 15:04"
	}
	var ticks []tick
	for _, v := range local.stepValues(step) {
		at := v - float64(offset)
		ticks = append(ticks, tick{at, clock(at, zone).Format(layout)})
	}
	return ticks
}

// clock is Unix seconds as a time. What no calendar has a date for becomes the nearest year that has.
func clock(v float64, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	whole, part := math.Modf(min(max(v, -6e10), 2e11)) // years 68 to 8307
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6).In(zone)
}

// ticks are the labelled values of an axis.
func (s span) ticks(a Axis, want int) []tick {
	switch a.Scale {
	case Elapsed:
		return s.elapsedTicks(want)
	case Clock:
		return s.clockTicks(want, a.Zone)
	case Linear, Log:
	}
	return s.numberTicks(want, a.Unit)
}

// at writes a value of an axis for a table or a sentence.
func (a Axis) at(v float64) string {
	switch a.Scale {
	case Elapsed:
		if math.Abs(v) < 120 {
			return value(v, "s")
		}
		return elapsed(v, 1, math.Abs(v))
	case Clock:
		return clock(v, a.Zone).Format("15:04:05")
	case Linear, Log:
	}
	return value(v, a.Unit)
}
