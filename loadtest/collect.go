package loadtest

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/tomehub/tomehub/reports"
)

// Window is what ended in one stretch of the run, the warm-up included. Times are in milliseconds.
type Window struct {
	StartS    float64 `json:"start_s"`
	LengthS   float64 `json:"length_s"`
	WarmUp    bool    `json:"warm_up,omitempty"`
	Users     int     `json:"users"` // or visitors, at the window's end
	Completed int64   `json:"completed"`
	OK        int64   `json:"ok"`
	Refused   int64   `json:"refused"`
	Failed    int64   `json:"failed"`
	MeanMS    float64 `json:"mean_ms"`
	P50MS     float64 `json:"p50_ms"`
	P95MS     float64 `json:"p95_ms"`
	P99MS     float64 `json:"p99_ms"`
	MaxMS     float64 `json:"max_ms"`
	// Response is the distribution that the times above are taken from, in the form of Latency.Histogram. It is empty when
	// nobody got an answer in the window.
	Response string `json:"response,omitempty"`
}

// maxWindows bounds the list of windows; a run of more seconds has longer windows.
const maxWindows = 3600

// StepWindow is what ended of one step in one stretch of the measured time. All steps of a run have the same stretches.
// What was due in the warm-up is not in it, nor what ended after the measured time.
type StepWindow struct {
	StartS    float64 `json:"start_s"`
	LengthS   float64 `json:"length_s"`
	Completed int64   `json:"completed"`
	OK        int64   `json:"ok"`
	Refused   int64   `json:"refused"`
	Failed    int64   `json:"failed"`
	Response  string  `json:"response,omitempty"` // as Window.Response
}

// A run has stepWindows windows of each step, so many that a comparison of two runs can tell how much its figures vary;
// fewer when they would be shorter than leastStepWindow.
const (
	stepWindows     = 40
	leastStepWindow = 100 * time.Millisecond
)

// A collector counts what happened. Its memory depends on the scenario and the length of the run, never on the number of
// requests.
type collector struct {
	warm, end time.Duration // the measured time
	width     time.Duration // of a window
	stepWidth time.Duration // of a step's window
	users     func(time.Duration) int
	abort     func(reason string)
	log       *vegetaLog // nil when nobody wants one; used below mu

	mu       sync.Mutex // guards all below
	steps    []*tally
	window   *tally
	opened   time.Duration // when window began
	windows  []Window
	stretch  []*tally       // of each step, since the last of its windows
	since    time.Duration  // when these began
	parts    [][]StepWindow // of each step
	watches  []*watch
	details  [kinds]string           // the first text of each kind
	lag      *hdrhistogram.Histogram // due to sent, of requests that were not held
	held     int64                   // requests that came due while every slot was taken
	warmedUp int64                   // requests left out because they were due in the warm-up
	canceled int64
	all      int64 // completed since the start
	wrong    int64 // of these, refused or failed
	resent   int64 // requests that net/http had to send on a second connection
	inTime   int64 // first requests of visitors, due and sent in the measured time

	// Closed windows whose Response is yet to be written, and the histograms of those that are. Writing one takes about a
	// millisecond, which must not hold up requests that wait for mu.
	unwritten []unwritten
	blanks    []*hdrhistogram.Histogram
	fault     error // of writing one
}

// unwritten is the distribution of a closed window, of all requests or, when part is set, of one step.
type unwritten struct {
	part     bool
	step     int
	window   int
	response *hdrhistogram.Histogram
}

// A watch judges a check in every window of its own length.
type watch struct {
	check  Check
	tally  *tally
	step   int // -1 is all
	opened time.Duration
	judged int
	broken int
	worst  reports.Check
	excess float64
}

// windowWidth is how long the windows of a run are.
func windowWidth(total time.Duration) time.Duration {
	width := time.Second
	for total > maxWindows*width {
		width *= 2
	}
	return width
}

func newCollector(scn *Scenario, users func(time.Duration) int, abort func(string)) *collector {
	width := windowWidth(scn.Total())
	c := &collector{
		warm: scn.WarmUp, end: scn.Total(), width: width, users: users, abort: abort,
		stepWidth: max(leastStepWindow, scn.Duration/stepWindows), since: scn.WarmUp, parts: make([][]StepWindow, len(scn.steps)),
		window: newTally(false), lag: newHistogram(),
	}
	for _, st := range scn.steps {
		c.steps, c.stretch = append(c.steps, newTally(st.Stream != nil)), append(c.stretch, newTally(false))
	}
	for _, check := range scn.Checks {
		if check.Window > 0 && metrics[check.Metric].server == nil {
			w := &watch{
				check: check, tally: newTally(metrics[check.Metric].ofStreams), step: -1, opened: scn.WarmUp + check.After, excess: math.Inf(-1),
			}
			for _, st := range scn.steps {
				if st.Name == check.Step {
					w.step = st.index
				}
			}
			c.watches = append(c.watches, w)
		}
	}
	return c
}

// measured tells whether t lies in the measured time.
func (c *collector) measured(t time.Duration) bool { return t >= c.warm && t < c.end }

// add counts the answer that u has. sent is when its request left, since the run began; first says that it was the first
// one of a visitor.
func (c *collector) add(u *user, sent time.Duration, first bool) {
	k, due := u.call.kind, u.call.due
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(u.call.answered)
	if first && c.measured(due) && sent < c.end {
		c.inTime++
	}
	if k == Canceled {
		c.canceled++
		return
	}
	c.all++
	if k != OK {
		c.wrong++
	}
	if u.call.conns > 1 {
		c.resent++
	}
	if c.details[k] == "" && u.call.detail != "" {
		c.details[k] = clip(u.call.detail, 200)
	}
	response, service := u.call.answered-due, u.call.answered-sent
	c.window.add(k, response, service, u.call.bytes)
	tally := c.steps[u.call.step.index]
	if c.measured(u.call.answered) {
		tally.end(k)
	}
	if due < c.warm {
		c.warmedUp++
		return
	}
	tally.add(k, response, service, u.call.bytes)
	tally.stream(&u.call)
	if u.call.answered < c.end {
		c.stretch[u.call.step.index].add(k, response, service, 0)
	}
	if c.log != nil {
		c.log.add(u)
	}
	if u.call.held {
		c.held++
	} else {
		record(c.lag, sent-due)
	}
	for _, w := range c.watches {
		if due >= c.warm+w.check.After && (w.step < 0 || w.step == u.call.step.index) {
			w.tally.add(k, response, service, u.call.bytes)
			w.tally.stream(&u.call)
			w.tally.end(k)
		}
	}
}

// skip counts a step that was left out.
func (c *collector) skip(st *Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps[st.index].skipped++
}

// tick closes the windows that ended by now. It is called by one goroutine at a time.
func (c *collector) tick(now time.Duration) {
	c.mu.Lock()
	c.turn(now)
	closed := c.unwritten
	c.unwritten = nil
	c.mu.Unlock()
	c.write(closed)
}

// write puts the distributions into their windows.
func (c *collector) write(closed []unwritten) {
	for _, u := range closed {
		text, err := encoded(u.response)
		u.response.Reset()
		c.mu.Lock()
		if u.part {
			c.parts[u.step][u.window].Response = text
		} else {
			c.windows[u.window].Response = text
		}
		c.fault = errors.Join(c.fault, err)
		c.blanks = append(c.blanks, u.response)
		c.mu.Unlock()
	}
}

// blank returns an empty histogram. The caller holds mu.
func (c *collector) blank() *hdrhistogram.Histogram {
	n := len(c.blanks)
	if n == 0 {
		return newHistogram()
	}
	h := c.blanks[n-1]
	c.blanks = c.blanks[:n-1]
	return h
}

// turn closes windows. The caller holds mu.
func (c *collector) turn(now time.Duration) {
	for now >= c.opened+c.width {
		c.close(c.width)
	}
	for now >= c.since+c.stepWidth && c.since+c.stepWidth <= c.end {
		c.part(c.stepWidth)
	}
	for _, w := range c.watches {
		for now >= w.opened+w.check.Window && w.opened+w.check.Window <= c.end {
			w.close(c.abort)
		}
	}
}

// close ends the window that began at opened. The caller holds mu.
func (c *collector) close(length time.Duration) {
	f := c.window.figures(length)
	if f.Response.Count > 0 {
		c.unwritten = append(c.unwritten, unwritten{window: len(c.windows), response: c.window.response})
		c.window.response = c.blank()
	}
	c.windows = append(c.windows, Window{
		StartS: c.opened.Seconds(), LengthS: length.Seconds(), WarmUp: c.opened < c.warm,
		Users: c.users(c.opened + length), Completed: f.Completed, OK: f.OK, Refused: f.Refused, Failed: f.Failed,
		MeanMS: f.Response.MeanMS, P50MS: f.Response.P50MS, P95MS: f.Response.P95MS, P99MS: f.Response.P99MS, MaxMS: f.Response.MaxMS,
	})
	c.window.reset()
	c.opened += length
}

// part ends the window of every step that began at since. The caller holds mu.
func (c *collector) part(length time.Duration) {
	for i, t := range c.stretch {
		f := t.figures(length)
		if f.Response.Count > 0 {
			c.unwritten = append(c.unwritten, unwritten{part: true, step: i, window: len(c.parts[i]), response: t.response})
			t.response = c.blank()
		}
		c.parts[i] = append(c.parts[i], StepWindow{
			StartS: c.since.Seconds(), LengthS: length.Seconds(),
			Completed: f.Completed, OK: f.OK, Refused: f.Refused, Failed: f.Failed,
		})
		t.reset()
	}
	c.since += length
}

// finish closes the window under way at the end of a run.
func (c *collector) finish(now time.Duration) {
	c.mu.Lock()
	c.turn(now)
	if c.window.figures(0).Completed > 0 {
		c.close(max(now-c.opened, time.Millisecond))
	}
	c.mu.Unlock()
	c.tick(now)
}

// close judges one window. A window with too little in it is neither held nor broken.
func (w *watch) close(abort func(string)) {
	f := w.tally.figures(w.check.Window)
	w.tally.reset()
	w.opened += w.check.Window
	w.judge(&f, abort)
}

// judge holds the figures of one window against the check.
func (w *watch) judge(f *Figures, abort func(string)) {
	m := metrics[w.check.Metric]
	v, reason := m.measured(f)
	if reason != "" {
		return
	}
	w.judged++
	if excess := w.check.beyond(v); excess > w.excess {
		w.excess, w.worst = excess, w.check.judge(f)
	}
	if !w.check.holds(v) {
		w.broken++
		if w.check.Abort {
			abort(w.check.name() + ": " + w.check.judge(f).Reason)
		}
	}
}

// result is the check over all windows.
func (w *watch) result() reports.Check {
	if w.judged == 0 {
		empty := Figures{}
		out := w.check.judge(&empty)
		out.Verdict, out.Measured, out.Reason = reports.Inconclusive, "", "no window had enough requests"
		return out
	}
	return w.worst
}

// progress tells how the run goes.
func (c *collector) progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	var p Progress
	if n := len(c.windows); n > 0 {
		p.Window = c.windows[n-1]
	}
	p.Completed = c.all
	if c.all > 0 {
		p.ErrorRate = 100 * float64(c.wrong) / float64(c.all)
	}
	return p
}
