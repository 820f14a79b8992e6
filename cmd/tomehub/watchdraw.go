package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/tomehub/tomehub/profiler"
	"github.com/tomehub/tomehub/reports"
)

const watchHints = "q quit  e/c/g/r/x/a/w/o rank  ↑↓ select  f full text  p pause  ? help"

var watchHelp = []string{
	"q, Ctrl-C      quit",
	"e  elapsed     rank by the time of all executions",
	"c  cpu         … by CPU time (Oracle)",
	"g  gets        … by blocks read from memory (Oracle)",
	"r  reads       … by blocks read from disk (Oracle)",
	"x  executions  … by executions",
	"a  avg         … by the time of one execution",
	"w  wait        … by the wait for a connection (tomehub)",
	"o  rows        … by rows",
	"↑ ↓ j k        select a statement; PgUp, PgDn, Home and End go further",
	"f, Enter       the whole text of the selected statement and what is known about it",
	"p, space       hold the picture; the watch goes on behind it",
	"Esc            back",
	"",
	"Each interval is the difference from the snapshot before. ! is a finding of the last interval,",
	"? something that could not be read.",
}

// View draws the whole screen.
func (v *watchView) View() tea.View {
	view := tea.NewView(strings.Join(v.lines(), "\n"))
	view.AltScreen = true
	view.WindowTitle = "tomehub profile"
	return view
}

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
	dim     = "\x1b[2m"
	plain   = "\x1b[0m"
)

// lines are those of the screen, no more than it has.
func (v *watchView) lines() []string {
	if v.width <= 0 || v.height <= 0 {
		return nil
	}
	lines := v.head()
	room := v.height - len(lines) - 2 // a blank line above, the keys below
	if room > 0 {
		lines = append(lines, "")
		body := v.body(room)
		for len(body) < room {
			body = append(body, "")
		}
		lines = append(lines, body...)
	}
	if len(lines) < v.height {
		hint := watchHints
		if v.said != "" {
			hint = v.said
		}
		lines = append(lines, dim+reports.Clip(hint, v.width)+plain)
	}
	return lines[:min(len(lines), v.height)]
}

// head says what is watched and how it goes.
func (v *watchView) head() []string {
	title := "tomehub profile · " + v.source
	state := "every " + v.every
	if p := v.shown; p != nil {
		title += " · " + p.Server
		if p.Phase != "" {
			title += ", phase " + p.Phase
		}
		state = fmt.Sprintf("%s · window %.1f s · every %s · by %s · %d of %d statements", clock(p.To), p.WindowUS.Seconds(), v.every, p.Rank, len(p.Statements), p.Active)
	} else if v.trouble == "" {
		state = "The first snapshot is taken; figures come after " + v.every + "."
	}
	if v.held {
		state = fmt.Sprintf("HELD, %d newer · ", v.behind) + state
	}
	lines := []string{bold + reports.Line(title, v.width) + plain, reports.Line(state, v.width)}
	if line := v.figures(); line != "" {
		lines = append(lines, line)
	}
	if s := v.now.Sums; s.Reported+s.Failed+s.Restarts > 0 {
		lines = append(lines, dim+reports.Line(watchSums(s), v.width)+plain)
	}
	if v.trouble != "" {
		lost := reports.Lines(v.trouble, v.width)
		for _, line := range lost[:min(len(lost), 3)] {
			lines = append(lines, red+line+plain)
		}
	}
	return lines
}

// figures are the two numbers that tell whether something happens, with their last values as sparklines.
func (v *watchView) figures() string {
	if len(v.rate) == 0 {
		return ""
	}
	last := func(list []float64, format string) string {
		if x := list[len(list)-1]; !math.IsNaN(x) {
			return fmt.Sprintf(format, x)
		}
		return "-"
	}
	name := "Running"
	if v.shown != nil && v.shown.Activity != nil {
		name = "AAS"
	}
	first := fmt.Sprintf("%s %s ", name, last(v.running, "%.2f"))
	second := fmt.Sprintf("  Exec/s %s ", last(v.rate, "%.1f"))
	each := min(40, (v.width-len(first)-len(second))/2)
	if each < 4 {
		return reports.Line(first+second, v.width)
	}
	tail := func(list []float64) []float64 { return list[max(0, len(list)-each):] }
	return first + reports.Sparkline(tail(v.running)) + second + reports.Sparkline(tail(v.rate))
}

// body fills the room between head and keys.
func (v *watchView) body(room int) []string {
	switch {
	case v.page == helpPage:
		return v.scrolled(watchHelp, room)
	case v.page == textPage && v.row() != nil:
		return v.scrolled(v.details(v.row()), room)
	case v.shown == nil:
		return nil
	}
	notes := v.notes()
	notes = notes[:min(len(notes), max(0, room/3))]
	lines := v.table(room - len(notes))
	return append(lines, notes...)
}

// scrolled is the part of a page that has room.
func (v *watchView) scrolled(text []string, room int) []string {
	v.pageTop = min(v.pageTop, max(0, len(text)-room))
	var lines []string
	for _, line := range text[v.pageTop:min(len(text), v.pageTop+room)] {
		lines = append(lines, reports.Clip(line, v.width))
	}
	return lines
}

// table has as many statements as there is room for, the selected one among them.
func (v *watchView) table(room int) []string {
	const heads = 2 // the names, and the line below
	rows := room - heads - 1
	if rows < 1 {
		return nil
	}
	n := len(v.shown.Statements)
	if n == 0 {
		return []string{"No statement ran in this interval."}
	}
	v.top = min(max(v.top, v.selected-rows+1), v.selected, max(0, n-rows))
	end := min(n, v.top+rows)
	var b bytes.Buffer
	if err := v.shown.Table(v.top, end).WriteText(&b, reports.TextOptions{Width: v.width}); err != nil {
		return []string{reports.Line(err.Error(), v.width)}
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, line := range lines {
		line = reports.Clip(line, v.width)
		if i == heads+v.selected-v.top {
			line = reverse + line + plain
		}
		lines[i] = line
	}
	return lines[:min(len(lines), room)]
}

// notes are the findings and what could not be read, a line each.
func (v *watchView) notes() []string {
	var lines []string
	for _, f := range v.shown.Findings {
		lines = append(lines, bold+reports.Line("! "+f.Title()+": "+f.Evidence, v.width)+plain)
	}
	for _, w := range v.shown.Warnings {
		lines = append(lines, reports.Line("? "+w, v.width))
	}
	return lines
}

// details are the selected statement's text, whole, and what is known about it.
func (v *watchView) details(r *profiler.Row) []string {
	name := r.Name
	if r.SQLID != "" {
		name = strings.TrimSpace(name + " " + r.SQLID)
	}
	avg := "no execution ended"
	if each, ok := r.Avg(); ok {
		avg = fmt.Sprintf("%.4f s each", each)
	}
	lines := []string{
		reports.Line(name, v.width),
		reports.Line(fmt.Sprintf("%d executions, %.2f s in all (%.1f %%), %s, %d rows", r.Executions, r.Elapsed.Seconds(), 100*r.Share, avg, r.Rows), v.width), "",
	}
	lines = append(lines, reports.Lines(r.SQL, v.width)...)
	if r.Detail == nil {
		return lines
	}
	for _, w := range r.Plans {
		lines = append(lines, "", reports.Line(fmt.Sprintf("Plan %d: %d executions, %.2f s", w.Plan, w.Executions, w.Elapsed.Seconds()), v.width))
		for _, s := range r.Detail.Plans[w.Plan] {
			line := fmt.Sprintf("%3d %s%s", s.ID, strings.Repeat(" ", max(0, min(s.Depth, 30))), reports.Line(s.Operation+" "+s.Options+" "+s.Object, 0))
			lines = append(lines, reports.Clip(line, v.width))
		}
	}
	return lines
}
