package reports

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
)

// The parts of a report for whoever draws a screen of them.

// WriteText writes the table alone, as WriteText of a report does.
func (t Table) WriteText(w io.Writer, opt TextOptions) error {
	if err := (Report{Tables: []Table{t}}).check(); err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := writeTable(&buf, t, opt); err != nil {
		return err
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write table %q: %w", t.Name, err)
	}
	return nil
}

// Line returns s as one printable line of at most width terminal columns, cut with … where it is longer. Control characters are not
// passed on. A width of 0 or less cuts nothing.
func Line(s string, width int) string {
	if s = oneLine(s); width <= 0 {
		return s
	}
	return cut(s, width)
}

// Clip is Line with the spaces of s left as they are, for lines whose columns stand below each other.
func Clip(s string, width int) string { return cut(printable(s, false), max(1, width)) }

// Lines returns s as printable lines of at most width terminal columns, broken at spaces; its own line breaks stay, and so does
// the white space at the beginning of a line.
func Lines(s string, width int) []string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(s, "\r\n", "\n")) {
		line = strings.TrimRight(line, "\r\n")
		text := oneLine(line)
		indent := strings.Repeat(" ", min(len(line)-len(strings.TrimLeft(line, " \t")), max(0, width/4)))
		lines = append(lines, strings.Split(indent+wrap(text, indent, width-len(indent)), "\n")...)
	}
	return lines
}

// Sparkline draws values that are not negative, one character each, on a scale from 0 to the largest. NaN is a gap.
func Sparkline(values []float64) string {
	high := 0.0
	for _, v := range values {
		if usable(v) {
			high = max(high, v)
		}
	}
	out := make([]rune, len(values))
	for i, v := range values {
		switch {
		case !usable(v):
			out[i] = ' '
		case high == 0:
			out[i] = sparks[0]
		default:
			out[i] = sparks[int(math.Round(max(0, v)/high*float64(len(sparks)-1)))]
		}
	}
	return string(out)
}
