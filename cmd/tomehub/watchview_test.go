package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"github.com/tomehub/tomehub/profiler"
)

// screen is a view without a terminal.
type screen struct {
	*watchView
	t    *testing.T
	rank atomic.Pointer[profiler.Rank]
}

func newScreen(t *testing.T, width, height int) *screen {
	src, err := profiler.NewServer("127.0.0.1:5002", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t}
	r := profiler.ByElapsed
	s.rank.Store(&r)
	s.watchView = newWatchView(src, profiler.WatchConfig{Interval: 10 * time.Second}, &s.rank)
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// drawn is the screen's text, which must fit.
func (s *screen) drawn() string {
	s.t.Helper()
	text := escapes.ReplaceAllString(s.View().Content, "")
	lines := strings.Split(text, "\n")
	if len(lines) > s.height && text != "" {
		s.t.Errorf("%d lines on a screen of %d:\n%s", len(lines), s.height, text)
	}
	for _, line := range lines {
		if w := twwidth.WidthNoCache(line); w > s.width {
			s.t.Errorf("a line of %d columns on a screen of %d: %q", w, s.width, line)
		}
	}
	return text
}

func (s *screen) press(keys ...string) tea.Cmd {
	var cmd tea.Cmd
	named := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "pgdown": tea.KeyPgDown, "end": tea.KeyEnd, "home": tea.KeyHome, "esc": tea.KeyEscape, "enter": tea.KeyEnter}
	for _, k := range keys {
		switch code, known := named[k]; {
		case k == "ctrl+c":
			_, cmd = s.Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		case known:
			_, cmd = s.Update(tea.KeyPressMsg{Code: code})
		default:
			_, cmd = s.Update(tea.KeyPressMsg{Code: []rune(k)[0], Text: k})
		}
	}
	return cmd
}

// has demands pieces of text on the screen, and those with a ! before them not there.
func (s *screen) has(pieces ...string) {
	s.t.Helper()
	text := s.drawn()
	for _, p := range pieces {
		if not, ok := strings.CutPrefix(p, "!"); ok && strings.Contains(text, not) {
			s.t.Errorf("%q is on the screen:\n%s", not, text)
		} else if !ok && !strings.Contains(text, p) {
			s.t.Errorf("%q is not on the screen:\n%s", p, text)
		}
	}
}

// interval makes a profile of statements s0, s1, … with falling time and rising executions.
func interval(t *testing.T, statements int) profiler.Interval {
	t.Helper()
	before := profiler.Snapshot{SchemaVersion: 1, Server: "tomehub v1", Phase: "A", StartedAt: time.Unix(1, 0), Now: time.Unix(1_000_000, 0)}
	after := before
	after.Now = before.Now.Add(10 * time.Second)
	for i := range statements {
		st := profiler.Statement{Name: fmt.Sprintf("s%d", i), SQL: fmt.Sprintf("SELECT\n  %d\nFROM somewhere", i)}
		before.Statements = append(before.Statements, st)
		st.Counters = profiler.Counters{Executions: int64(10 + i), Rows: 1, Elapsed: profiler.Micros(1_000_000 - 1000*i)}
		after.Statements = append(after.Statements, st)
	}
	p, err := profiler.Between(before, after, profiler.Options{Top: 100})
	if err != nil {
		t.Fatal(err)
	}
	return profiler.Interval{Profile: p, At: after.Now, Sums: profiler.Sums{Began: before.Now, Reported: 1, Window: p.WindowUS, Total: p.Total}}
}

func TestWatchViewShowsAnInterval(t *testing.T) {
	s := newScreen(t, 110, 24)
	s.has("tomehub at http://127.0.0.1:5002", "figures come after 10s", "q quit")
	s.Update(interval(t, 3))
	s.has("tomehub v1, phase A", "window 10.0 s", "3 of 3 statements", "by elapsed", "Running 0.30 █", "Exec/s 3.3 █", "intervals 1, executions 33, running 0.30", "s0", "s2", "SELECT 1 FROM somewhere")
	if !strings.Contains(s.View().Content, reverse+"  10      1.00") || !s.View().AltScreen {
		t.Errorf("the first statement is not marked:\n%q", s.View().Content)
	}
}

func TestWatchViewKeys(t *testing.T) {
	s := newScreen(t, 110, 24)
	s.press("x", "down", "f", "p", "p", "esc") // before there is anything
	s.Update(interval(t, 3))
	s.has("by executions") // as it was asked for
	if got := *s.rank.Load(); got != profiler.ByExecutions {
		t.Errorf("the watch is told %q", got)
	}
	s.press("e")
	if text := s.drawn(); strings.Index(text, "s0") > strings.Index(text, "s2") {
		t.Errorf("not by elapsed:\n%s", text)
	}
	s.press("x")
	if text := s.drawn(); strings.Index(text, "s0") < strings.Index(text, "s2") {
		t.Errorf("not by executions:\n%s", text)
	}
	s.press("c")
	s.has("This source does not count cpu.", "by executions")
	s.press("down", "f")
	s.has("s1\n11 executions, 1.00 s in all", "SELECT\n  1\nFROM somewhere", "!s2")
	s.press("f")
	s.has("s2", "!does not count")
	s.press("?")
	s.has("Ctrl-C      quit", "!s2")
	s.press("esc")
	s.has("s2")
	for _, k := range []string{"q", "ctrl+c"} {
		if cmd := s.press(k); cmd == nil || cmd() != (tea.QuitMsg{}) {
			t.Errorf("%s does not quit", k)
		}
	}
}

// What is selected stays selected when the order changes below it.
func TestWatchViewKeepsTheSelection(t *testing.T) {
	s := newScreen(t, 110, 24)
	s.Update(interval(t, 5))
	s.press("down", "down", "down")
	if got := s.row().Name; got != "s3" {
		t.Fatalf("selected %s", got)
	}
	next := interval(t, 5)
	next.Profile = next.Profile.By(profiler.ByExecutions)
	r := profiler.ByExecutions
	s.rank.Store(&r)
	s.Update(next)
	if got := s.row().Name; got != "s3" || s.selected != 1 {
		t.Errorf("selected %s, row %d", got, s.selected)
	}
	s.Update(interval(t, 1)) // it is gone
	if got := s.row(); got == nil || got.Name != "s0" {
		t.Errorf("selected %+v", got)
	}
}

func TestWatchViewScrolls(t *testing.T) {
	s := newScreen(t, 110, 16)
	s.Update(interval(t, 90))
	s.has("s0 ", "!s89 ")
	s.press("end")
	s.has("s89 ", "!s0 ")
	s.press("up", "up")
	s.has("s87 ", "s89 ")
	s.press("home")
	s.has("s0 ", "!s89 ")
	s.press("pgdown", "pgdown")
	if s.selected == 0 || !strings.Contains(s.View().Content, reverse) {
		t.Errorf("row %d is selected and not to be seen", s.selected)
	}
	s.press("?", "end", "pgdown", "up") // a page ends with its last line
	s.has("could not be read")
}

func TestWatchViewHolds(t *testing.T) {
	s := newScreen(t, 110, 24)
	s.Update(interval(t, 1))
	s.press("p")
	s.Update(interval(t, 2))
	s.Update(profiler.Interval{Err: errors.New("lost"), At: time.Unix(0, 0), Sums: profiler.Sums{Failed: 1}})
	s.has("HELD, 2 newer", "1 of 1 statements", "!lost")
	s.press("p")
	s.has("!HELD", "2 of 2 statements", "lost")
}

// An interval that fails is shown beside what was seen last, until the next one.
func TestWatchViewShowsTrouble(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.Update(interval(t, 2))
	s.Update(profiler.Interval{Err: fmt.Errorf("take a snapshot: %w \x1b[2J", profiler.ErrUnreachable), At: time.Unix(3600, 0), Sums: profiler.Sums{Failed: 4}})
	s.has("No figures, 4 so far: take a snapshot: the server cannot be reached", "(01:00:00 UTC)", "failed 4", "s1", "Running - ")
	if strings.Contains(s.View().Content, "\x1b[2J") {
		t.Error("an error's escape sequence reaches the terminal")
	}
	s.Update(profiler.Interval{Err: profiler.ErrRestarted, Sums: profiler.Sums{Restarts: 1}})
	s.has("A new beginning: the server was restarted", "restarts 1")
	s.Update(interval(t, 2))
	s.has("!beginning", "!No figures")
}

// Whatever the size, the picture fits and nothing panics.
func TestWatchViewFitsEveryScreen(t *testing.T) {
	s := newScreen(t, 0, 0)
	for round := range 5 {
		switch round {
		case 1:
			s.Update(interval(t, 30))
		case 2:
			s.Update(profiler.Interval{Err: errors.New(strings.Repeat("long words of trouble ", 40)), Sums: profiler.Sums{Failed: 1}})
		case 3:
			s.press("end", "f")
		case 4:
			s.press("?")
		}
		for _, width := range []int{0, 1, 2, 7, 39, 80, 300} {
			for _, height := range []int{0, 1, 2, 3, 5, 8, 13, 60} {
				s.Update(tea.WindowSizeMsg{Width: width, Height: height})
				s.drawn()
			}
		}
	}
}

func TestWatchViewIsBounded(t *testing.T) {
	s := newScreen(t, 80, 24)
	i := interval(t, 1)
	for range 3 * watchHistory {
		s.Update(i)
	}
	if len(s.running) != watchHistory || len(s.rate) != watchHistory || cap(s.rate) > 4*watchHistory {
		t.Errorf("%d and %d values are kept, in room for %d", len(s.running), len(s.rate), cap(s.rate))
	}
	s.Update(profiler.Interval{Err: errors.New("x")})
	if last := s.rate[watchHistory-1]; !math.IsNaN(last) {
		t.Errorf("an interval without figures is drawn as %v", last)
	}
}
