package loadtest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A vegetaLog writes every measured request as a result of vegeta's, in its gob encoding, for its own tools.
//
// A request begins when it was due, so its latency is our response time. Its URL is the step's template: one for each
// step, without what users put in. A failure or refusal has its kind before the error's text.
type vegetaLog struct {
	encode vegeta.Encoder
	name   string
	began  time.Time
	base   string
	seq    uint64
}

func newVegetaLog(w io.Writer, name, base string, began time.Time) *vegetaLog {
	return &vegetaLog{encode: vegeta.NewEncoder(w), name: name, began: began, base: base}
}

// add writes the answer that u has. That the writer failed is for its owner to find out.
func (v *vegetaLog) add(u *user) {
	c := &u.call
	r := vegeta.Result{
		Attack: v.name, Seq: v.seq, Code: uint16(c.status), Timestamp: v.began.Add(c.due), Latency: c.answered - c.due,
		BytesIn: uint64(max(c.bytes, 0)), Method: c.step.Method, URL: v.base + c.step.Path,
	}
	if c.kind != OK {
		r.Error = strings.TrimSuffix(c.kind.String()+": "+clip(c.detail, 200), ": ")
	}
	v.seq++
	_ = v.encode(&r) // a Result of these fields always encodes
}

// Bounds of what is read of vegeta's results.
const (
	maxShots       = 10_000_000 // 32 bytes each while they are read
	maxVegetaLine  = 16 << 20
	maxVegetaSteps = 50 // methods and paths told apart; those beyond are one step
)

// ReadSaved reads what a load test left behind: a result of ours, as ReadResult does, or a file of vegeta's results as
// gob, JSON or CSV, which is told by its first bytes. name stands in errors and in the report of vegeta's results.
func ReadSaved(name string, r io.Reader) (*Result, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(16)
	text := strings.TrimLeft(string(head), " \t\r\n")
	var decode vegeta.Decoder
	switch {
	case text == "":
		return nil, fmt.Errorf("read result %s: is empty", name)
	case strings.HasPrefix(text, `{"attack"`):
		decode = jsonLines(in)
	case text[0] == '{':
		r, err := ReadResult(in)
		if err != nil {
			return nil, fmt.Errorf("read result %s: %w", name, err)
		}
		return r, nil
	case isDigits(text[:min(len(text), 8)]):
		decode = vegeta.NewCSVDecoder(in)
	default:
		decode = vegeta.NewDecoder(in)
	}
	s := shots{number: map[string]uint8{}}
	for {
		var one vegeta.Result
		err := decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.add(&one)
		}
		if err != nil {
			return nil, fmt.Errorf("read result %s: result %d: %w (want a file of 'tomehub loadtest run --out', or vegeta's gob, JSON or CSV)", name, len(s.all)+1, err)
		}
	}
	return s.result(name)
}

func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// jsonLines reads one result a line.
func jsonLines(r io.Reader) vegeta.Decoder {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxVegetaLine)
	return func(out *vegeta.Result) error {
		for lines.Scan() {
			if len(lines.Bytes()) > 0 {
				return json.Unmarshal(lines.Bytes(), out)
			}
		}
		return cmp.Or(lines.Err(), io.EOF)
	}
}

// A shot is one result of vegeta's, as far as it is needed. Times are in nanoseconds since 1970.
type shot struct {
	begin   int64
	latency time.Duration
	kind    Kind
	step    uint8
	bytes   uint32
}

func (s shot) end() int64 { return s.begin + int64(s.latency) }

// shots gather vegeta's results.
type shots struct {
	all      []shot
	names    []string
	number   map[string]uint8 // by name
	attack   string
	examples [kinds]string
}

func (s *shots) add(r *vegeta.Result) error {
	if len(s.all) == maxShots {
		return fmt.Errorf("there are more than %d", maxShots)
	}
	if y := r.Timestamp.Year(); y < 1970 || y > 2200 || r.Latency < 0 || r.Latency > maxDuration {
		return fmt.Errorf("began %v and took %v", r.Timestamp, r.Latency)
	}
	if s.attack == "" {
		s.attack = clip(r.Attack, 100)
	}
	kind := kindOfResult(r)
	if s.examples[kind] == "" {
		s.examples[kind] = clip(r.Error, 200)
	}
	s.all = append(s.all, shot{
		begin: r.Timestamp.UnixNano(), latency: r.Latency, kind: kind, step: s.step(r.Method, r.URL), bytes: uint32(min(r.BytesIn, 1<<32-1)),
	})
	return nil
}

// step is the number of the step that the result counts under: its method and path.
func (s *shots) step(method, url string) uint8 {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		url = "/" + path
	}
	path, _, _ := strings.Cut(url, "?")
	name := strings.TrimSpace(clip(method, 20) + " " + clip(path, 100))
	if name == "" {
		name = "all"
	}
	n, known := s.number[name]
	switch {
	case known:
		return n
	case len(s.names) == maxVegetaSteps:
		name = "other"
		s.names = append(s.names, name)
	case len(s.names) > maxVegetaSteps:
		return maxVegetaSteps
	default:
		s.names = append(s.names, name)
	}
	s.number[name] = uint8(len(s.names) - 1)
	return s.number[name]
}

// kindOfResult sorts a result of vegeta's: by the kind that vegetaLog wrote before its error, by the status, or by the
// words of net/http. As for vegeta, 200 to 399 are successes.
func kindOfResult(r *vegeta.Result) Kind {
	name, _, _ := strings.Cut(r.Error, ":")
	var k Kind
	switch {
	case k.UnmarshalText([]byte(name)) == nil:
		return k
	case r.Code == 0:
		for _, known := range []struct {
			text string
			kind Kind
		}{
			{"deadline exceeded", Timeout}, {"Client.Timeout", Timeout}, {"connection refused", Unconnected}, {"no such host", Unresolved},
			{"connection reset", Reset}, {"broken pipe", Reset}, {"EOF", Closed}, {"too many open files", Exhausted}, {"cannot assign", Exhausted},
			{"tls: ", BadTLS}, {"x509: ", BadTLS},
		} {
			if strings.Contains(r.Error, known.text) {
				return known.kind
			}
		}
		return OtherError
	case r.Code < 200 || r.Code > 399:
		return kindOfStatus(int(r.Code))
	case r.Error != "":
		return OtherError
	}
	return OK
}

// result makes figures and windows of the shots.
func (s *shots) result(name string) (*Result, error) {
	if len(s.all) == 0 {
		return nil, fmt.Errorf("read result %s: has no results", name)
	}
	slices.SortFunc(s.all, func(a, b shot) int { return cmp.Compare(a.end(), b.end()) })
	first := slices.MinFunc(s.all, func(a, b shot) int { return cmp.Compare(a.begin, b.begin) }).begin
	over := max(time.Duration(s.all[len(s.all)-1].end()-first), time.Millisecond)
	if over > maxDuration {
		return nil, fmt.Errorf("read result %s: its requests are spread over %v, at most %v", name, over, maxDuration)
	}
	r := &Result{
		SchemaVersion: ResultVersion, Scenario: cmp.Or(s.attack, "vegeta"), Title: "Results of vegeta: " + name, Target: "see the steps", Model: "open",
		Load: strings.TrimSpace("vegeta attack " + s.attack), StartedAt: time.Unix(0, first).UTC().Truncate(time.Millisecond), TimeScale: 1,
		DurationS: over.Seconds(), MeasuredS: over.Seconds(), Errors: []ErrorFigures{}, Checks: []reports.Check{},
		Reasons: []string{"Read from a file of vegeta's results. Its latencies begin when a worker of vegeta's took a request, so where workers were too few (-max-workers) the wait for one is in none of them."},
	}
	steps := make([]*tally, len(s.names))
	for i, name := range s.names {
		steps[i] = newTally(false)
		r.Steps = append(r.Steps, StepFigures{Flow: "vegeta", Step: name})
	}
	for _, one := range s.all {
		t := steps[one.step]
		t.add(one.kind, one.latency, one.latency, int64(one.bytes))
		t.end(one.kind)
	}
	if err := r.count(steps, s.examples, over); err != nil {
		return nil, err
	}
	return r, s.windows(r, first, over)
}

// windows cuts the shots into windows by when they ended. The users of a window are the requests under way at its end.
func (s *shots) windows(r *Result, first int64, over time.Duration) error {
	width := windowWidth(over)
	begins := make([]int64, len(s.all))
	for i, one := range s.all {
		begins[i] = one.begin
	}
	slices.Sort(begins)
	began, ended := 0, 0
	t := newTally(false)
	for at := time.Duration(0); at < over; at += width {
		until := first + int64(at+width)
		for ; ended < len(s.all) && (s.all[ended].end() < until || at+width >= over); ended++ {
			t.add(s.all[ended].kind, s.all[ended].latency, s.all[ended].latency, 0)
		}
		for began < len(begins) && begins[began] < until {
			began++
		}
		f := t.figures(width)
		text, err := encoded(t.response)
		if err != nil {
			return err
		}
		r.Windows = append(r.Windows, Window{
			StartS: at.Seconds(), LengthS: min(width, over-at).Seconds(), Users: began - ended, Completed: f.Completed, OK: f.OK, Refused: f.Refused, Failed: f.Failed,
			MeanMS: f.Response.MeanMS, P50MS: f.Response.P50MS, P95MS: f.Response.P95MS, P99MS: f.Response.P99MS, MaxMS: f.Response.MaxMS, Response: text,
		})
		t.reset()
	}
	return nil
}
