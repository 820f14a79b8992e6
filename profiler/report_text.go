package profiler

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
)

// textCut is how much of a statement the plan's table shows, in characters.
const textCut = 60

// known writes a number where there is one.
func known(number func() (float64, bool), write func(float64) string) string {
	v, ok := number()
	if !ok {
		return ""
	}
	return write(v)
}

// total and average write seconds with the plan's two and four digits, and with more where these would show nothing of it.
func total(s float64) string { return digits(s, 2) }

func average(s float64) string { return digits(s, 4) }

func digits(v float64, least int) string {
	for ; least < 6; least += 2 {
		if v == 0 || v >= math.Pow10(-least) {
			break
		}
	}
	return fmt.Sprintf("%.*f", least, v)
}

// each writes a number per execution.
func each(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v > 0 && v < 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// percent writes a share.
func percent(share float64) string {
	if share > 0 && share < 0.01 {
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// seconds writes a window as the plan does, "300s"; a tenth is shown where it matters.
func seconds(m Micros) string {
	s := m.Seconds()
	if round := math.Round(s); s >= 10 || math.Abs(s-round) < 0.05 && round > 0 {
		return fmt.Sprintf("%.0fs", round)
	}
	return fmt.Sprintf("%.1fs", s)
}

// times writes how often: "once", "12 times".
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func plural[T ~int | ~int64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// tag is the comment with which every statement of ours begins; it names the statement's file.
var tag = regexp.MustCompile(`^\s*/\*\s*tomehub:([A-Za-z0-9_.-]+)\s*\*/\s*`)

// split returns the statement's name and its text on one line. The tag gives the name to a source that knows none, and stays
// in the text only where it says something else than the name.
func split(name, sql string) (string, string) {
	if m := tag.FindStringSubmatch(sql); m != nil && (name == "" || name == m[1]) {
		name, sql = m[1], sql[len(m[0]):]
	}
	return name, strings.Join(strings.Fields(uncommented(sql)), " ")
}

// uncommented leaves out what stands behind -- to the end of a line: on one line with the rest it would hide the rest. A -- within
// quotes is text.
func uncommented(sql string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && strings.HasPrefix(sql[i:], "--"):
			end := strings.IndexByte(sql[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
			c = '\n'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// label names a statement within a sentence.
func label(name, sql string) string {
	name, text := split(name, sql)
	if name != "" {
		return name
	}
	return cut(text)
}

// cut shortens a text to textCut characters; an accent is not parted from its letter.
func cut(s string) string {
	runes := []rune(s[:min(len(s), 4*(textCut+1))]) // a character has at most four bytes; only these matter
	if len(runes) <= textCut {
		return s
	}
	end := textCut - 1
	for end > 0 && unicode.Is(unicode.M, runes[end]) {
		end--
	}
	return strings.TrimRight(string(runes[:end]), " ") + "…"
}
