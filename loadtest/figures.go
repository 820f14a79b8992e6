package loadtest

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Figures are the numbers of one step, or of all. Rates are in percent of Completed; times are in milliseconds.
//
// Completed counts every request that was due in the measured time and ended, also after it; what the end of the run
// cut off counts nowhere. ErrorRate is everything a user was not served for: FailedRate and RefusedRate together.
// Rate and Goodput count what ended within the measured time, all and the OK ones.
type Figures struct {
	Completed   int64          `json:"completed"`
	OK          int64          `json:"ok"`
	Refused     int64          `json:"refused"`
	Failed      int64          `json:"failed"`
	Skipped     int64          `json:"skipped"` // steps left out because no earlier answer had the value they need
	ErrorRate   float64        `json:"error_rate"`
	FailedRate  float64        `json:"failed_rate"`
	RefusedRate float64        `json:"refused_rate"`
	Rate        float64        `json:"rate_per_s"`
	Goodput     float64        `json:"goodput_per_s"`
	BytesIn     int64          `json:"bytes_in"`
	Kinds       map[Kind]int64 `json:"kinds"` // those that happened
	// Response runs from when the request was due, Service from when it was sent. Both leave out refusals and broken
	// connections, which are quick and would flatter the server; timeouts are in with the time that was waited.
	Response Latency `json:"response"`
	Service  Latency `json:"service"`
	// Of streams, nil of other steps; they run from when the request was due. FirstByte and FirstLine are of all streams
	// that came so far, whatever became of them; Complete is of the whole ones, right answers and late ones. Timeouts are
	// in each, when they did not come so far, with the time that was waited.
	FirstByte *Latency `json:"first_byte,omitempty"`
	FirstLine *Latency `json:"first_line,omitempty"`
	Complete  *Latency `json:"complete,omitempty"`
}

// withoutHistograms is f with the figures alone.
func (f Figures) withoutHistograms() Figures {
	f.Response.Histogram, f.Service.Histogram = "", ""
	for _, l := range []**Latency{&f.FirstByte, &f.FirstLine, &f.Complete} {
		if *l != nil {
			bare := **l
			bare.Histogram = ""
			*l = &bare
		}
	}
	return f
}

// Latency is a distribution of times. Its percentiles are within 0.1 % of the exact ones.
type Latency struct {
	Count  int64   `json:"count"`
	MeanMS float64 `json:"mean_ms"`
	P50MS  float64 `json:"p50_ms"`
	P90MS  float64 `json:"p90_ms"`
	P95MS  float64 `json:"p95_ms"`
	P99MS  float64 `json:"p99_ms"`
	P999MS float64 `json:"p999_ms"`
	MaxMS  float64 `json:"max_ms"`
	// Histogram is the whole distribution in microseconds, in HdrHistogram's V2 compressed form, so that results of
	// several generators can be merged.
	Histogram string `json:"histogram,omitempty"`
}

// Bounds of the histograms, in microseconds. Three digits cost 140 KB each and hold every percentile to 0.1 %.
const (
	histogramMin    = 1
	histogramMax    = int64(time.Hour / time.Microsecond)
	histogramDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(histogramMin, histogramMax, histogramDigits)
}

// record puts d into h, at the nearest end when it is out of its range.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	v := min(max(int64((d+time.Microsecond/2)/time.Microsecond), histogramMin), histogramMax)
	if err := h.RecordValue(v); err != nil {
		panic(fmt.Sprintf("loadtest: value %d is outside its own histogram: %v", v, err)) // min and max above exclude it
	}
}

func latency(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	ms := func(q float64) float64 { return float64(h.ValueAtPercentile(q)) / 1000 }
	return Latency{
		Count: h.TotalCount(), MeanMS: h.Mean() / 1000,
		P50MS: ms(50), P90MS: ms(90), P95MS: ms(95), P99MS: ms(99), P999MS: ms(99.9), MaxMS: float64(h.Max()) / 1000,
	}
}

// exported is latency with the histogram itself.
func exported(h *hdrhistogram.Histogram) (Latency, error) {
	l := latency(h)
	var err error
	l.Histogram, err = encoded(h)
	return l, err
}

// A tally gathers requests. Its size does not depend on how many there are.
type tally struct {
	kinds    [kinds]int64
	skipped  int64
	bytes    int64
	ended    int64 // within the measured time
	endedOK  int64
	response *hdrhistogram.Histogram
	service  *hdrhistogram.Histogram
	streams  *streamTally // nil when none of the steps is a stream
}

// A streamTally gathers how far streams came, and when.
type streamTally struct{ firstByte, firstLine, complete *hdrhistogram.Histogram }

// newTally makes a tally of one step or several, of which one is a stream or none.
func newTally(streams bool) *tally {
	t := &tally{response: newHistogram(), service: newHistogram()}
	if streams {
		t.streams = newStreamTally()
	}
	return t
}

func newStreamTally() *streamTally {
	return &streamTally{newHistogram(), newHistogram(), newHistogram()}
}

// add counts one request that was due in the measured time.
func (t *tally) add(k Kind, response, service time.Duration, bytes int64) {
	t.kinds[k]++
	t.bytes += bytes
	if k.timed() {
		record(t.response, response)
		record(t.service, service)
	}
}

// stream adds the times of one stream that was due in the measured time; another request is passed over.
func (t *tally) stream(c *call) {
	if t.streams == nil || c.step.Stream == nil {
		return
	}
	waited := c.kind == Timeout
	for _, x := range []struct {
		to   *hdrhistogram.Histogram
		came stage
		at   time.Duration
	}{{t.streams.firstByte, headCame, c.head}, {t.streams.firstLine, lineCame, c.firstLine}, {t.streams.complete, allCame, c.answered}} {
		switch {
		case c.came >= x.came:
			record(x.to, x.at-c.due)
		case waited:
			record(x.to, c.answered-c.due)
		}
	}
}

// end counts one request that ended in the measured time, whenever it was due.
func (t *tally) end(k Kind) {
	t.ended++
	if k == OK {
		t.endedOK++
	}
}

func (t *tally) merge(o *tally) {
	for i := range t.kinds {
		t.kinds[i] += o.kinds[i]
	}
	t.skipped, t.bytes = t.skipped+o.skipped, t.bytes+o.bytes
	t.ended, t.endedOK = t.ended+o.ended, t.endedOK+o.endedOK
	t.response.Merge(o.response)
	t.service.Merge(o.service)
	if o.streams == nil {
		return
	}
	if t.streams == nil {
		t.streams = newStreamTally()
	}
	t.streams.firstByte.Merge(o.streams.firstByte)
	t.streams.firstLine.Merge(o.streams.firstLine)
	t.streams.complete.Merge(o.streams.complete)
}

func (t *tally) reset() {
	response, service, streams := t.response, t.service, t.streams
	response.Reset()
	service.Reset()
	if streams != nil {
		streams.firstByte.Reset()
		streams.firstLine.Reset()
		streams.complete.Reset()
	}
	*t = tally{response: response, service: service, streams: streams}
}

// figures turns the tally into numbers; over is how long it gathered.
func (t *tally) figures(over time.Duration) Figures {
	f := Figures{Skipped: t.skipped, BytesIn: t.bytes, Kinds: map[Kind]int64{}}
	for i, n := range t.kinds {
		k := Kind(i)
		if n == 0 {
			continue
		}
		f.Kinds[k] = n
		switch {
		case k == Canceled:
			continue
		case k.refused():
			f.Refused += n
		case k.failed():
			f.Failed += n
		default:
			f.OK += n
		}
		f.Completed += n
	}
	if f.Completed > 0 {
		f.FailedRate = 100 * float64(f.Failed) / float64(f.Completed)
		f.RefusedRate = 100 * float64(f.Refused) / float64(f.Completed)
		f.ErrorRate = 100 * float64(f.Failed+f.Refused) / float64(f.Completed)
	}
	if over > 0 {
		f.Rate, f.Goodput = float64(t.ended)/over.Seconds(), float64(t.endedOK)/over.Seconds()
	}
	f.Response, f.Service = latency(t.response), latency(t.service)
	if s := t.streams; s != nil {
		firstByte, firstLine, complete := latency(s.firstByte), latency(s.firstLine), latency(s.complete)
		f.FirstByte, f.FirstLine, f.Complete = &firstByte, &firstLine, &complete
	}
	return f
}
