package loadtest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// A Stream says that an answer comes line by line, as NDJSON and server-sent events do, and how its last line reads. Its
// first byte, its first line and its completion are measured apart. A blank line is no line, and of server-sent events
// (text/event-stream) a comment, with which servers keep connections alive, is none either.
type Stream struct {
	FirstLineWithin time.Duration // a first line later than this after the request was due is a failure; 0 has no such bound
	Last            string        // in the last line of a whole answer; "" takes every end that HTTP takes for one
	Refused         []string      // one of them in the last line: the server refused after it had begun to answer
	Failed          []string      // one of them in the last line: the server says that it failed
}

// Bounds of the texts that are looked for in the last line.
const (
	maxMarks    = 32
	maxMarkSize = 200 // bytes
)

// marks are the texts looked for: Last, then Refused, then Failed.
func (s *Stream) marks() [][]byte {
	all := [][]byte{[]byte(s.Last)}
	for _, text := range slices.Concat(s.Refused, s.Failed) {
		all = append(all, []byte(text))
	}
	return all
}

// scaled returns the stream of a run whose times are multiplied by f; nil stays nil.
func (s *Stream) scaled(f float64) *Stream {
	if s == nil {
		return nil
	}
	c := *s
	c.FirstLineWithin = scale(s.FirstLineWithin, f)
	return &c
}

// judge holds the last line of an answer that came to its end against what it should be.
func (s *Stream) judge(l *lineScan) (Kind, string) {
	line := fmt.Sprintf("line %d: %s", l.lines, l.lastHead())
	for i := range s.Refused {
		if l.last.has(1 + i) {
			return RefusedInStream, line
		}
	}
	for i := range s.Failed {
		if l.last.has(1 + len(s.Refused) + i) {
			return FailedInStream, line
		}
	}
	switch {
	case l.lines == 0:
		return Incomplete, "the answer ended before its first line"
	case !l.last.has(0):
		return Incomplete, fmt.Sprintf("the answer ended without %s, at %s", s.Last, line)
	}
	return OK, ""
}

// stage is how far a streamed answer came.
type stage uint8

const (
	nothingCame stage = iota
	headCame
	lineCame
	allCame // to the end that the step expects
)

// A markSet tells which texts were found, each by its place.
type markSet uint64

func (m markSet) has(i int) bool { return m&(1<<i) != 0 }

// lineHead is how much of a line is kept, to be shown.
const lineHead = 160

// A lineScan looks at an answer as it comes. It keeps the beginning of a line and nothing else, however long lines are
// and however many come.
type lineScan struct {
	marks    [][]byte
	carry    int  // bytes of a line that a mark begun before them may need: one less than the longest mark
	comments bool // lines that begin with a colon are none

	lines    int64
	last     markSet // found in the last line
	found    markSet // in the line at hand
	full     bool    // the line at hand has more than blanks
	head     [lineHead]byte
	headLen  int
	ended    [lineHead]byte // head of the last line
	endedLen int
}

func newLineScan(marks [][]byte, comments bool) *lineScan {
	l := &lineScan{marks: marks, comments: comments}
	for _, m := range marks {
		l.carry = max(l.carry, len(m)-1)
	}
	return l
}

// read takes r to its end, through room, which must be longer than any mark. firstLine is called once, when the first line
// is whole.
func (l *lineScan) read(r io.Reader, room []byte, firstLine func()) (size int64, err error) {
	kept := 0
	for err == nil {
		var n int
		n, err = r.Read(room[kept:])
		size += int64(n)
		before := l.lines
		kept = copy(room, l.take(room[:kept+n], kept))
		if err == io.EOF {
			l.endLine() // the last line need not end in a newline
		}
		if before == 0 && l.lines > 0 {
			firstLine()
		}
	}
	if err == io.EOF {
		return size, nil
	}
	return size, err
}

// take looks at data, of which the first bytes were seen before. It returns those that must be seen again.
func (l *lineScan) take(data []byte, seen int) []byte {
	for {
		end := bytes.IndexByte(data[seen:], '\n')
		if end < 0 {
			break
		}
		l.look(data[:seen+end], data[seen:seen+end])
		l.endLine()
		data, seen = data[seen+end+1:], 0
	}
	l.look(data, data[seen:])
	return data[max(0, len(data)-l.carry):]
}

// look searches a part of the line at hand; fresh is what of it was not there before.
func (l *lineScan) look(part, fresh []byte) {
	for i, m := range l.marks {
		if !l.found.has(i) && bytes.Contains(part, m) {
			l.found |= 1 << i
		}
	}
	l.headLen += copy(l.head[l.headLen:], fresh)
	l.full = l.full || len(bytes.TrimSpace(fresh)) > 0
}

func (l *lineScan) endLine() {
	if l.full && !(l.comments && l.head[0] == ':') {
		l.lines++
		l.last, l.ended, l.endedLen = l.found, l.head, l.headLen
	}
	l.found, l.full, l.headLen = 0, false, 0
}

// lastHead is the beginning of the last line, to be shown.
func (l *lineScan) lastHead() string {
	return strings.ToValidUTF8(strings.TrimSpace(string(l.ended[:l.endedLen])), "�")
}

// streamRoom is what a stream under way is read through: ten thousand of them hold 40 MiB.
const streamRoom = 4 << 10

// readStream reads an answer line by line.
func (x *exchange) readStream(u *user, a incoming) {
	c := &u.call
	c.came, c.head = headCame, x.clock()
	room, _ := x.rooms.Get().(*[streamRoom]byte)
	if room == nil {
		room = new([streamRoom]byte)
	}
	defer x.rooms.Put(room)
	s, right := c.step.Stream, c.step.Expect.accepts(a.status)
	scan := newLineScan(c.step.marks, a.events)
	size, err := scan.read(a.body, room[:], func() {
		if right { // an error's page has lines as well
			c.came, c.firstLine = lineCame, x.clock()
		}
	})
	x.finished(u, a.status, nil, size, err)
	if err != nil {
		if c.kind == Incomplete {
			c.detail += fmt.Sprintf(", after %d lines and %d bytes", scan.lines, size)
		}
		return
	}
	if c.kind != OK && c.kind != Slow {
		return
	}
	if kind, detail := s.judge(scan); kind != OK {
		c.kind, c.detail = kind, detail
		return
	}
	c.came = allCame
	if c.kind == OK && s.FirstLineWithin > 0 && c.firstLine-c.due > s.FirstLineWithin {
		c.kind, c.detail = Slow, "first line after more than "+s.FirstLineWithin.String()
	}
}

// streamTable has the steps that are streams.
func (r *Result) streamTable() reports.Table {
	t := reports.Table{
		Name: "streams", Caption: "Streamed answers (times from when each was due)",
		Columns: []reports.Column{
			{Name: "Step"}, {Name: "Streams", Align: reports.Right}, {Name: "Whole", Align: reports.Right},
			{Name: "Incomplete", Align: reports.Right}, {Name: "First byte p50", Align: reports.Right, Optional: true},
			{Name: "First line p50", Align: reports.Right}, {Name: "First line p95", Align: reports.Right},
			{Name: "First line p99", Align: reports.Right, Optional: true}, {Name: "Complete p50", Align: reports.Right},
			{Name: "Complete p95", Align: reports.Right}, {Name: "Complete p99", Align: reports.Right, Optional: true},
		},
	}
	for i := range r.Steps {
		f := &r.Steps[i].Figures
		if f.FirstByte == nil || f.FirstLine == nil || f.Complete == nil {
			continue
		}
		count := func(n int64) string { return strconv.FormatInt(n, 10) }
		cells := []string{r.Steps[i].Step, count(f.Completed), count(f.OK + f.Kinds[Slow]), count(f.Kinds[Incomplete])}
		for _, x := range []struct {
			of *Latency
			ms float64
		}{
			{f.FirstByte, f.FirstByte.P50MS},
			{f.FirstLine, f.FirstLine.P50MS}, {f.FirstLine, f.FirstLine.P95MS}, {f.FirstLine, f.FirstLine.P99MS},
			{f.Complete, f.Complete.P50MS}, {f.Complete, f.Complete.P95MS}, {f.Complete, f.Complete.P99MS},
		} {
			cell := ""
			if x.of.Count > 0 {
				cell = formatMS(x.ms)
			}
			cells = append(cells, cell)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}
