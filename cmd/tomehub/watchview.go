package main

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	tea "charm.land/bubbletea/v2"

	"github.com/tomehub/tomehub/profiler"
)

// watchHistory bounds the intervals whose figures the view keeps: more than any terminal has columns.
const watchHistory = 600

// rankKeys are the keys that order the statements.
var rankKeys = map[string]profiler.Rank{
	"e": profiler.ByElapsed, "c": profiler.ByCPU, "g": profiler.ByGets, "r": profiler.ByReads, "x": profiler.ByExecutions,
	"a": profiler.ByAvg, "w": profiler.ByWait, "o": profiler.ByRows,
}

// watchView is what the live view shows. It changes by messages alone: intervals, keys and sizes.
type watchView struct {
	source string
	kind   profiler.Kind
	every  string
	rank   *atomic.Pointer[profiler.Rank] // read by the watch

	width, height int
	now           profiler.Interval // the last that came
	latest, shown *profiler.Profile // the same unless held or ordered anew; nil until the first
	trouble       string            // why the last interval has no profile
	running, rate []float64         // of the intervals; NaN where there is none

	selected int
	top      int // first row or line on the screen
	page     watchPage
	pageTop  int // first line of a page
	held     bool
	behind   int    // intervals that came while held
	said     string // an answer to the last key
}

// watchPage is what covers the table.
type watchPage int

const (
	tablePage watchPage = iota
	textPage
	helpPage
)

func newWatchView(src profiler.Source, cfg profiler.WatchConfig, rank *atomic.Pointer[profiler.Rank]) *watchView {
	return &watchView{source: src.Name(), kind: src.Kind(), every: printDuration(cfg.Interval), rank: rank}
}

// Init has nothing to ask for.
func (v *watchView) Init() tea.Cmd { return nil }

// Update takes one message.
func (v *watchView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.width, v.height = msg.Width, msg.Height
	case profiler.Interval:
		v.take(msg)
	case tea.KeyPressMsg:
		return v, v.key(msg.String())
	}
	return v, nil
}

// take keeps an interval. While the picture is held only the figures over time go on.
func (v *watchView) take(i profiler.Interval) {
	running, rate := math.NaN(), math.NaN()
	if i.Profile != nil {
		running, rate = i.Profile.Running(), i.Profile.PerSecond()
		v.latest = i.Profile
	}
	if i.Profile != nil || i.Err != nil {
		v.running, v.rate = bounded(v.running, running), bounded(v.rate, rate)
	}
	v.now = i
	if v.held {
		v.behind++
		return
	}
	v.reveal()
}

// reveal shows what came last.
func (v *watchView) reveal() {
	v.behind, v.trouble = 0, ""
	if v.now.Err != nil {
		v.trouble = watchTrouble(v.now) + " (" + clock(v.now.At) + ")"
	}
	if v.latest != nil && v.latest != v.shown {
		v.show(v.latest)
	}
}

func bounded(list []float64, value float64) []float64 {
	if list = append(list, value); len(list) > watchHistory {
		list = append(list[:0], list[len(list)-watchHistory:]...)
	}
	return list
}

// show puts a profile on the screen; the selected statement stays selected, wherever it stands now.
func (v *watchView) show(p *profiler.Profile) {
	old := v.row()
	if r := *v.rank.Load(); p.Rank != r && r != "" {
		p = p.By(r)
	}
	v.shown = p
	if old == nil {
		return
	}
	for i := range p.Statements {
		if s := &p.Statements[i]; s.Name == old.Name && s.SQLID == old.SQLID && (s.SQLID != "" || s.SQL == old.SQL) {
			v.selected = i
			return
		}
	}
	v.selected = min(v.selected, max(0, len(p.Statements)-1))
}

// row is the selected statement, or nil.
func (v *watchView) row() *profiler.Row {
	if v.shown == nil || v.selected >= len(v.shown.Statements) {
		return nil
	}
	return &v.shown.Statements[v.selected]
}

// key does what a key stands for.
func (v *watchView) key(k string) tea.Cmd {
	v.said = ""
	switch k {
	case "q", "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "?", "h":
		v.turn(helpPage)
	case "f", "enter":
		if v.row() != nil {
			v.turn(textPage)
		}
	case "esc":
		v.page, v.pageTop = tablePage, 0
	case "p", "space":
		v.hold()
	default:
		if r, ok := rankKeys[k]; ok {
			v.order(r)
			return nil
		}
		v.move(k)
	}
	return nil
}

// turn opens a page, or closes it when it is open.
func (v *watchView) turn(p watchPage) {
	if v.page == p {
		p = tablePage
	}
	v.page, v.pageTop = p, 0
}

func (v *watchView) hold() {
	if v.held = !v.held; !v.held && v.behind > 0 {
		v.reveal()
	}
}

// order changes the rank, of what is shown at once and of the intervals to come.
func (v *watchView) order(r profiler.Rank) {
	if !slices.Contains(profiler.RanksOf(v.kind), r) {
		v.said = fmt.Sprintf("This source does not count %s.", r)
		return
	}
	v.rank.Store(&r)
	if v.shown != nil {
		v.shown = v.shown.By(r)
		v.selected, v.top = 0, 0
	}
}

// move goes up and down, among the statements or the lines of a page.
func (v *watchView) move(k string) {
	at, last := &v.pageTop, math.MaxInt32 // bounded when it is drawn
	if v.page == tablePage {
		if at = &v.selected; v.shown == nil {
			return
		}
		last = max(0, len(v.shown.Statements)-1)
	}
	step := max(1, v.height-10)
	switch k {
	case "up", "k":
		*at--
	case "down", "j":
		*at++
	case "pgup":
		*at -= step
	case "pgdown":
		*at += step
	case "home":
		*at = 0
	case "end":
		*at = last
	}
	*at = min(max(0, *at), last)
}
