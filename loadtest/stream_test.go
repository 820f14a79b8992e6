package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// scanned reads text through rooms of all small sizes and through the usual one, which must all say the same.
func scanned(t *testing.T, text string, comments bool, marks ...string) *lineScan {
	t.Helper()
	s := Stream{Last: marks[0], Refused: marks[1:]}
	var first *lineScan
	for _, size := range []int{streamRoom, 1, 2, 3, 5, 8} {
		l := newLineScan(s.marks(), comments)
		size, calls := size+l.carry, 0
		n, err := l.read(iotest.DataErrReader(strings.NewReader(text)), make([]byte, size), func() { calls++ })
		if n != int64(len(text)) || err != nil || calls > 1 || (calls == 1) != (l.lines > 0) {
			t.Errorf("%q through %d bytes: %d bytes, %v, %d lines, told of the first %d times", text, size, n, err, l.lines, calls)
		}
		if first == nil {
			first = l
		} else if l.lines != first.lines || l.last != first.last || l.lastHead() != first.lastHead() {
			t.Errorf("%q through %d bytes: %d lines, %b at %q; else %d, %b, %q", text, size, l.lines, l.last, l.lastHead(), first.lines, first.last, first.lastHead())
		}
	}
	return first
}

func TestLineScan(t *testing.T) {
	f := func(why, text string, lines int64, last markSet, head string) {
		t.Helper()
		l := scanned(t, text, false, "done", "busy", "on")
		if l.lines != lines || l.last != last || l.lastHead() != head {
			t.Errorf("%s: %d lines, marks %b in %q; want %d, %b, %q", why, l.lines, l.last, l.lastHead(), lines, last, head)
		}
	}
	long := strings.Repeat("x", 3*streamRoom)
	f("nothing", "", 0, 0, "")
	f("blanks are no line", "\n \r\n\t\n", 0, 0, "")
	f("a line", "a done b\n", 1, 0b101, "a done b")
	f("a last line without its newline", "a\nbusy", 2, 0b010, "busy")
	f("blank lines at the end", "a\ndone\r\n\r\n\n", 2, 0b101, "done")
	f("a mark in an earlier line", "done\nb\n", 2, 0, "b")
	f("a mark across a newline is none", "do\nne\n", 2, 0, "ne")
	f("a mark deep in a long line", long+"done"+long+"\n", 1, 0b101, long[:lineHead])
	f("a mark at the end of a long one", "a\n"+long+"busy", 2, 0b010, long[:lineHead])
	f("bytes that are no text", "\xff\n", 1, 0, "�")
}

// Servers keep event streams alive by comments, which say nothing to a reader.
func TestLineScanOfEvents(t *testing.T) {
	const text = ": hello\n\ndata: {}\n\ndata: [DONE]\n\n:done\n\n"
	if l := scanned(t, text, true, "[DONE]"); l.lines != 2 || !l.last.has(0) {
		t.Errorf("%d lines, the last %q", l.lines, l.lastHead())
	}
	if l := scanned(t, text, false, "[DONE]"); l.lines != 4 || l.last.has(0) {
		t.Errorf("as lines: %d, the last %q", l.lines, l.lastHead())
	}
}

func TestLineScanError(t *testing.T) {
	l := newLineScan((&Stream{}).marks(), false)
	broken := errors.New("broken")
	n, err := l.read(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), make([]byte, 16), func() {})
	if n != 3 || !errors.Is(err, broken) || l.lines != 1 {
		t.Errorf("%d bytes, %v, %d lines; the second is not whole", n, err, l.lines)
	}
}

func FuzzLineScan(f *testing.F) {
	f.Add("a\ndone\n", "done", uint8(0), false)
	f.Add(": c\n\ndata: x\r\n", "x", uint8(3), true)
	f.Fuzz(func(t *testing.T, text, mark string, more uint8, comments bool) {
		if len(mark) > maxMarkSize || strings.Contains(mark, "\n") {
			return
		}
		l := newLineScan((&Stream{Last: mark}).marks(), comments)
		if _, err := l.read(strings.NewReader(text), make([]byte, l.carry+1+int(more)), func() {}); err != nil {
			t.Fatal(err)
		}
		lines, last := int64(0), ""
		for line := range strings.SplitSeq(text, "\n") {
			if strings.TrimSpace(line) != "" && !(comments && line[0] == ':') {
				lines, last = lines+1, line
			}
		}
		if l.lines != lines || l.last.has(0) != (lines > 0 && strings.Contains(last, mark)) {
			t.Fatalf("%q: %d lines, mark %q found %v; want %d, last %q", text, l.lines, mark, l.last.has(0), lines, last)
		}
	})
}

// A timed piece of an answer comes so long after the one before.
type timed struct {
	after time.Duration
	text  string
}

// pieces is a body whose pieces come in their own time, by the clock of a bubble. It may end in an error.
type pieces struct {
	ctx  context.Context
	left []timed
	err  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, p.err
	}
	select {
	case <-time.After(p.left[0].after):
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
	n := copy(b, p.left[0].text)
	p.left[0] = timed{text: p.left[0].text[n:]}
	if p.left[0].text == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) Close() error { return nil }

// A poured answer has its head after a while and then its pieces.
type poured struct {
	status int
	head   time.Duration
	pieces []timed
	err    error // in place of the end
}

// streamed runs users of a step with the keys against a server that pours the same answer again and again.
func streamed(t *testing.T, scenario, keys string, a poured) (r *Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Target: "http://fake", waiter: newTimerWaiter(), gauge: idle, Scenario: mustParse(t, scenario+`
flows:
  - name: f
    steps:
      - {name: s, get: /, `+keys+"}\n")}
		cfg.transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(a.head):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			end := a.err
			if end == nil {
				end = io.EOF
			}
			return &http.Response{StatusCode: a.status, Body: &pieces{r.Context(), append([]timed{}, a.pieces...), end}}, nil
		})
		var err error
		if r, err = Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// Three lines: head 20 ms after the request, first line 100 ms later, end 200 ms after that.
var threeLines = poured{status: 200, head: 20 * time.Millisecond, pieces: []timed{
	{50 * time.Millisecond, `{"st`}, {50 * time.Millisecond, "atus\":\"first\"}\n"}, {100 * time.Millisecond, "{}\n\n"}, {100 * time.Millisecond, `{"status":"complete"}`},
}}

const oneUser = "duration: 10s\nusers: {count: 1}\nthink: 80ms\n"

// First byte, first line and completion are three times.
func TestStreamTimes(t *testing.T) {
	r := streamed(t, oneUser, `stream: {last: '"status":"complete"'}`, threeLines)
	f := r.of("s")
	if f.OK != 25 || f.OK != f.Completed || f.FirstByte.Count != 25 || f.FirstLine.Count != 25 || f.Complete.Count != 25 {
		t.Fatalf("%+v", f)
	}
	near(t, "first byte", f.FirstByte.P95MS, 20, 0.1)
	near(t, "first line", f.FirstLine.P95MS, 120, 0.1)
	near(t, "completion", f.Complete.P95MS, 320, 0.1)
	near(t, "response", f.Response.P95MS, 320, 0.1)
	if f.Complete.Histogram == "" || f.FirstLine.Histogram == "" || r.Total.FirstLine == nil || r.Total.FirstLine.Count != 25 {
		t.Error("the result lacks histograms, or the total streams")
	}
}

// The clock of a stream starts when its visitor came, not when there was a place for it.
func TestStreamTimesFromIntendedStart(t *testing.T) {
	r := streamed(t, "duration: 2s\narrivals: {rate: 10/s, max_visitors: 1}\n", "stream: true", threeLines)
	f := r.of("s")
	// The 19th is due at 1.9 s and begins when 18 were served, at 0.1 s + 18 * 0.32 s.
	near(t, "first line", f.FirstLine.MaxMS, 4080, 0.1)
	near(t, "completion", f.Complete.MaxMS, 4280, 0.1)
}

func TestStreamKinds(t *testing.T) {
	f := func(why, keys string, a poured, want Kind, detail string, counts ...int64) {
		t.Helper()
		r := streamed(t, oneUser, keys, a)
		f := r.of("s")
		if n := f.Kinds[want]; n == 0 || n != f.Completed {
			t.Errorf("%s: kinds %v, want %v", why, f.Kinds, want)
		}
		if want != OK && (len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Example, detail)) {
			t.Errorf("%s: errors %+v, want %q", why, r.Errors, detail)
		}
		n := f.Completed
		got := []int64{f.FirstByte.Count / n, f.FirstLine.Count / n, f.Complete.Count / n}
		if diff := cmp.Diff(counts, got); diff != "" {
			t.Errorf("%s: times of first byte, first line, completion (-want +got):\n%s", why, diff)
		}
	}
	says := func(lines ...string) poured {
		a := poured{status: 200}
		for _, l := range lines {
			a.pieces = append(a.pieces, timed{10 * time.Millisecond, l + "\n"})
		}
		return a
	}
	broken := func(err error, lines ...string) poured { a := says(lines...); a.err = err; return a }
	status := func(code int) poured { a := says(`{"error":"no"}`); a.status = code; return a }
	hangs := poured{status: 200, pieces: []timed{{10 * time.Millisecond, "a\n"}, {time.Hour, "b"}}}
	const last = "stream: {last: done, refused: [draining, busy], failed: broken}"

	f("any end will do", "stream: true", says("a", "b"), OK, "", 1, 1, 1)
	f("the last line", last, says("a", "done"), OK, "", 1, 1, 1)
	f("no last line", last, says("a done", "b"), Incomplete, "ended without done, at line 2: b", 1, 1, 0)
	f("not a line", "stream: true", says(), Incomplete, "before its first line", 1, 0, 0)
	f("cut off", "stream: true", broken(io.ErrUnexpectedEOF, "a", "b"), Incomplete, "unexpected EOF, after 2 lines and 4 bytes", 1, 1, 0)
	f("cut off behind its last line", last, broken(io.ErrUnexpectedEOF, "a", "done"), Incomplete, "unexpected EOF", 1, 1, 0)
	f("refused within", last, says("a", "busy"), RefusedInStream, "line 2: busy", 1, 1, 0)
	f("a refusal is told before its end", last, says("a", "busy done"), RefusedInStream, "line 2: busy", 1, 1, 0)
	f("failed within", last, says("a", "broken"), FailedInStream, "line 2: broken", 1, 1, 0)
	f("a limit", last, status(429), RateLimited, "status 429", 1, 0, 0)
	f("an overload", last, status(503), Overloaded, "status 503", 1, 0, 0)
	f("a failure", last, status(500), ServerError, "status 500", 1, 0, 0)
	f("too short", last+", expect: {min_bytes: 100}", says("done"), WrongAnswer, "answer has 5 bytes", 1, 1, 0)
	f("no end in time", last+", timeout: 1s", hangs, Timeout, "deadline", 1, 1, 1)
	f("no beginning in time", last+", timeout: 1s", poured{status: 200, head: time.Hour}, Timeout, "deadline", 1, 1, 1)
	f("a late first line", "stream: {first_line_within: 119ms}", threeLines, Slow, "first line after more than 119ms", 1, 1, 1)
	f("in time", "stream: {first_line_within: 120ms}", threeLines, OK, "", 1, 1, 1)
	f("a late end", "stream: {first_line_within: 119ms}, slow_after: 319ms", threeLines, Slow, "answered after more than 319ms", 1, 1, 1)
	f("late, and not whole", "stream: {last: none, first_line_within: 119ms}, slow_after: 319ms", threeLines, Incomplete, "without none", 1, 1, 0)
}

// Timeouts count with the time that was waited, in what had not come.
func TestStreamTimeouts(t *testing.T) {
	r := streamed(t, oneUser, "stream: true, timeout: 1s", poured{status: 200, pieces: []timed{{100 * time.Millisecond, "a\n"}, {time.Hour, "b"}}})
	near(t, "first line", r.Total.FirstLine.P50MS, 100, 0.1)
	near(t, "completion", r.Total.Complete.P50MS, 1000, 0.1)
}

func TestStreamChecks(t *testing.T) {
	f := func(check string, want reports.Verdict, measured string) {
		t.Helper()
		r := streamed(t, oneUser+"checks: [{"+check+", why: w}]\n", "stream: true", threeLines)
		if c := r.Checks[0]; c.Verdict != want || c.Measured != measured {
			t.Errorf("%s: %v %q %s", check, c.Verdict, c.Measured, c.Reason)
		}
	}
	f("metric: first_line_p50, step: s, at_most: 121ms", reports.Pass, "120.1ms")
	f("metric: first_line_p95, at_most: 110ms", reports.Fail, "120.1ms")
	f("metric: complete_p95, step: s, at_most: 321ms", reports.Pass, "320.3ms")
	f("metric: first_byte_p50, step: s, below: 20ms", reports.Fail, "20ms")
	f("metric: complete_p99, step: s, at_most: 1s", reports.Inconclusive, "") // 25 are too few
	f("metric: first_line_p50, step: s, window: 2s, at_most: 121ms", reports.Pass, "120.1ms")
	f("metric: complete_p50, window: 2s, at_most: 300ms", reports.Fail, "320.3ms")
}

// A windowed check of streams may end the run.
func TestStreamCheckAborts(t *testing.T) {
	r := streamed(t, oneUser+"checks: [{metric: first_line_p50, window: 2s, abort: true, below: 120ms, why: w}]\n", "stream: true", threeLines)
	if r.Verdict != reports.Fail || r.MeasuredS > 3 {
		t.Errorf("%v after %vs: %v", r.Verdict, r.MeasuredS, r.Reasons)
	}
}

// Half the time: everything the step says of streams shrinks with it.
func TestStreamScaled(t *testing.T) {
	s := mustParse(t, "users: {count: 1}\nflows: [{name: f, steps: [{name: s, get: /, stream: {first_line_within: 2s, last: x}, read_rate: 8KiB/s, read_pause: 2s, slow_reader: refused}]}]")
	st := s.scaled(0.5).steps[0]
	if diff := cmp.Diff(&Stream{FirstLineWithin: time.Second, Last: "x"}, st.Stream); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&SlowReader{Rate: 16 << 10, Pause: time.Second, Refused: true}, st.Slow); diff != "" {
		t.Error(diff)
	}
	if s.steps[0].Stream.FirstLineWithin != 2*time.Second || s.steps[0].Slow.Pause != 2*time.Second {
		t.Error("scaling changed the scenario itself")
	}
}

func TestStreamReport(t *testing.T) {
	r := streamed(t, oneUser, "stream: true", threeLines)
	tables := r.Report().Tables
	if len(tables) < 2 || tables[1].Name != "streams" {
		t.Fatalf("%+v", tables)
	}
	want := [][]string{{"s", "25", "25", "0", "20ms", "120.1ms", "120.1ms", "120.1ms", "320.3ms", "320.3ms", "320.3ms"}}
	if diff := cmp.Diff(want, tables[1].Rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

// On the network, a server that resets a stream in its middle is seen as one that cut it.
func TestStreamReset(t *testing.T) {
	target := raw(t, func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n")
		c.(*net.TCPConn).SetLinger(0)
	})
	r := short(t, target, "stream: true")
	if f := r.of("s"); f.Completed == 0 || f.Kinds[Incomplete] != f.Completed {
		t.Errorf("kinds %v, %+v", f.Kinds, r.Errors)
	}
}
