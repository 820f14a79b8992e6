package profiler

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tomehub/tomehub/reports"
)

// textCut is how much of a statement the plan's table shows, in characters.
const textCut = 60

// Report tells the profile as the plan's table: Exec, Total(s), Avg(s), SQL, and behind them what else is known. A cell is
// empty where there is no such number. Data is the Profile itself, with the statements' text whole.
func (p *Profile) Report() reports.Report {
	r := reports.Report{
		Title:   fmt.Sprintf("%s (last %s)", p.Rank.title(p.Top), seconds(p.WindowUS)),
		Summary: p.summary(),
		Facts:   p.facts(),
		Tables:  []reports.Table{p.table()},
		Notes:   p.notes(),
		Data:    p,
	}
	if len(p.Findings) > 0 {
		r.Tables = append(r.Tables, p.findings())
	}
	return r
}

func (p *Profile) summary() string {
	if p.Active == 0 {
		return "No statement ran in this window. Run some searches or an ingest meanwhile, or take a longer --duration."
	}
	return fmt.Sprintf("%s ran %d times and took %.2f s in all, %.2f running at a time on average.",
		plural(p.Active, "statement"), p.Total.Executions, p.Total.Elapsed.Seconds(), p.Total.Elapsed.Seconds()/p.WindowUS.Seconds())
}

func (p *Profile) facts() []reports.Fact {
	server := p.Server
	if p.Phase != "" {
		server += ", phase " + p.Phase
	}
	window := fmt.Sprintf("%.3f s, from %s to %s", p.WindowUS.Seconds(), stamp(p.From), stamp(p.To))
	if p.Interrupted {
		window += fmt.Sprintf("; interrupted, %s were asked for", seconds(p.AskedUS))
	}
	facts := []reports.Fact{
		{Name: "Source", Value: p.Source},
		{Name: "Server", Value: fmt.Sprintf("%s, up %v", server, p.To.Sub(p.StartedAt).Round(time.Second))},
		{Name: "Window", Value: window},
		{Name: "Statements", Value: fmt.Sprintf("%d known, %d with work in the window, %d shown", p.Known, p.Active, len(p.Statements))},
		{Name: "Executions", Value: fmt.Sprintf("%d, %.1f/s", p.Total.Executions, p.rate(p.Total.Executions))},
		{Name: "Waited", Value: fmt.Sprintf("%.2f s for connections", p.Total.AcquireWait.Seconds())},
	}
	if p.SnapshotsUS != [2]Micros{} {
		facts = append(facts, reports.Fact{Name: "Cost", Value: fmt.Sprintf("two snapshots, %.1f ms and %.1f ms",
			float64(p.SnapshotsUS[0])/1e3, float64(p.SnapshotsUS[1])/1e3)})
	}
	return facts
}

func (p *Profile) notes() []string {
	var notes []string
	if p.Active > 0 {
		notes = append(notes, "Total(s) and Avg(s) are of this window alone, from the start of an execution to its last row; Wait/exec(s) comes before them.")
	}
	states := map[State]int{}
	for i := range p.active {
		for _, s := range p.active[i].States {
			states[s]++
		}
	}
	if n := states[Reset]; n > 0 {
		notes = append(notes, fmt.Sprintf("RESET: the counters of %s began anew within the window; what they had counted before is lost, so the truth is larger.", plural(n, "statement")))
	}
	if n := states[Running]; n > 0 {
		notes = append(notes, fmt.Sprintf("RUNNING: no execution of %s ended in the window, so there is no average.", plural(n, "statement")))
	}
	if p.Vanished > 0 {
		more := ""
		if n := p.Vanished - len(p.VanishedEx); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		notes = append(notes, fmt.Sprintf("%s of the first snapshot %s gone in the second, and what they did meanwhile is unknown: %s%s.",
			plural(p.Vanished, "statement"), map[bool]string{true: "is", false: "are"}[p.Vanished == 1], strings.Join(p.VanishedEx, "; "), more))
	}
	return notes
}

func (p *Profile) table() reports.Table {
	t := reports.Table{
		Name: "statements",
		Columns: []reports.Column{
			{Name: "Exec", Align: reports.Right}, {Name: "Total(s)", Align: reports.Right}, {Name: "Avg(s)", Align: reports.Right}, {Name: "SQL"},
			{Name: "Statement"}, {Name: "%", Align: reports.Right}, {Name: "State", Optional: true},
			{Name: "Rows/exec", Align: reports.Right, Optional: true}, {Name: "Exec/s", Align: reports.Right, Optional: true},
			{Name: "Wait/exec(s)", Align: reports.Right, Optional: true}, {Name: "Errors", Align: reports.Right, Optional: true},
			{Name: "Max(s)", Align: reports.Right, Optional: true},
		},
	}
	for i := range p.Statements {
		t.Rows = append(t.Rows, p.cells(&p.Statements[i]))
	}
	return t
}

func (p *Profile) cells(r *Row) []string {
	name, text := split(r.Name, r.SQL)
	if !p.fullText {
		text = cut(text)
	}
	states := make([]string, len(r.States))
	for i, s := range r.States {
		states[i] = string(s)
	}
	longest := ""
	if r.Max > 0 {
		longest = fmt.Sprintf("%.4f", r.Max.Seconds())
	}
	return []string{
		strconv.FormatInt(r.Executions, 10), fmt.Sprintf("%.2f", r.Elapsed.Seconds()), known("%.4f", r.Avg), text,
		name, fmt.Sprintf("%.1f", 100*r.Share), strings.Join(states, " "),
		known("%.1f", r.RowsPer), fmt.Sprintf("%.1f", p.rate(r.Executions)),
		known("%.4f", r.WaitPer), strconv.FormatInt(r.Errors, 10), longest,
	}
}

func (p *Profile) findings() reports.Table {
	t := reports.Table{Name: "findings", Caption: "Findings", Columns: []reports.Column{
		{Name: "Finding"}, {Name: "Statement"}, {Name: "Evidence", Wrap: true}, {Name: "What to do", Wrap: true},
	}}
	for _, f := range p.Findings {
		t.Rows = append(t.Rows, []string{findingName(f.Kind), f.Statement, f.Evidence, f.Advice})
	}
	return t
}

// findingName says a kind of finding in words.
func findingName(kind string) string {
	switch kind {
	case Dominant:
		return "over half"
	case NPlusOne:
		return "N+1"
	case Waiting:
		return "pool waits"
	case Failing:
		return "errors"
	case Endless:
		return "does not end"
	}
	return strings.ReplaceAll(kind, "_", " ") // also of a newer tomehub
}

func (p *Profile) rate(n int64) float64 { return float64(n) / p.WindowUS.Seconds() }

func known(format string, number func() (float64, bool)) string {
	v, ok := number()
	if !ok {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// seconds writes a window as the plan does, "300s"; a tenth is shown where it matters.
func seconds(m Micros) string {
	s := m.Seconds()
	if round := math.Round(s); s >= 10 || math.Abs(s-round) < 0.05 && round > 0 {
		return fmt.Sprintf("%.0fs", round)
	}
	return fmt.Sprintf("%.1fs", s)
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
