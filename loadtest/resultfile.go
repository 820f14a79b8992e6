package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ErrNotResult is the error of ReadResult and LoadResult about a file that holds no result this version reads.
var ErrNotResult = errors.New("not the result of a load test")

// Bounds of a result file. The longest run that is allowed makes about 30 MB.
const (
	maxResultBytes = 64 << 20
	maxCounted     = int64(1e12) // requests, in any of its counts
)

// LoadResult reads the file that 'loadtest run --out' wrote, or its report in the format json. The error names the file.
func LoadResult(path string) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	r, err := ReadResult(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read result %s: %w", path, err)
	}
	return r, nil
}

// ReadResult reads a result, or a report with one as its data. It reads at most 64 MiB. What it returns has the counts,
// steps and windows of a run, of which the histograms are not decoded yet.
func ReadResult(in io.Reader) (*Result, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxResultBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxResultBytes {
		return nil, fmt.Errorf("%w: larger than %d MiB", ErrNotResult, maxResultBytes>>20)
	}
	var kind struct {
		Version     int             `json:"schema_version"`
		Scenario    *string         `json:"scenario"`
		Data        json.RawMessage `json:"data"`
		Checkpoints json.RawMessage `json:"checkpoints"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, notJSON(data, err)
	}
	if kind.Scenario == nil && kind.Data != nil {
		data = kind.Data
		kind.Data = nil
		if err := json.Unmarshal(data, &kind); err != nil {
			return nil, notJSON(data, err)
		}
	}
	switch {
	case kind.Checkpoints != nil:
		return nil, fmt.Errorf("%w: it is that of 'loadtest checkpoint', with several in it", ErrNotResult)
	case kind.Scenario == nil:
		return nil, fmt.Errorf("%w: it names no scenario", ErrNotResult)
	case kind.Version != ResultVersion:
		return nil, fmt.Errorf("%w: it is of version %d, this program reads version %d", ErrNotResult, kind.Version, ResultVersion)
	}
	r := new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, notJSON(data, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotResult, err)
	}
	return r, nil
}

// notJSON says in a word what is wrong with the text of a file.
func notJSON(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input" {
		return fmt.Errorf("%w: it is empty or cut short", ErrNotResult)
	}
	return fmt.Errorf("%w: %w", ErrNotResult, located(data, err))
}

// located says on which line JSON is broken.
func located(data []byte, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte{'\n'}), err)
}

// check finds numbers that no run can have, so that nobody computes with them.
func (r *Result) check() error {
	switch {
	case len(r.Windows) > 2*maxWindows:
		return fmt.Errorf("it has %d windows, at most %d are read", len(r.Windows), 2*maxWindows)
	case !(r.MeasuredS >= 0 && r.MeasuredS <= maxDuration.Seconds() && r.WarmUpS >= 0 && r.WarmUpS <= maxDuration.Seconds()):
		return fmt.Errorf("it measured for %v s after %v s", r.MeasuredS, r.WarmUpS)
	case !(r.TimeScale > 0):
		return fmt.Errorf("its time scale is %v", r.TimeScale)
	}
	for i := range r.Windows {
		w := &r.Windows[i]
		if err := checkStretch(w.StartS, w.LengthS, w.Completed, w.OK, w.Refused, w.Failed); err != nil {
			return fmt.Errorf("window %d: %w", i, err)
		}
	}
	if err := r.Total.check(); err != nil {
		return err
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		if err := s.Figures.check(); err != nil {
			return fmt.Errorf("step %s: %w", s.Step, err)
		}
		if len(s.Windows) > maxPieces {
			return fmt.Errorf("step %s has %d windows, at most %d are read", s.Step, len(s.Windows), maxPieces)
		}
		for j := range s.Windows {
			w := &s.Windows[j]
			if err := checkStretch(w.StartS, w.LengthS, w.Completed, w.OK, w.Refused, w.Failed); err != nil {
				return fmt.Errorf("step %s, window %d: %w", s.Step, j, err)
			}
		}
	}
	return nil
}

// check finds counts and rates that no run can have.
func (f *Figures) check() error {
	for k, n := range f.Kinds {
		if n < 0 || n > maxCounted {
			return fmt.Errorf("it has %d requests that ended as %v", n, k)
		}
	}
	if !(f.Rate >= 0 && f.Rate <= 1e9 && f.Goodput >= 0 && f.Goodput <= 1e9) {
		return fmt.Errorf("it has %v requests/s, %v of them right", f.Rate, f.Goodput)
	}
	return nil
}

func checkStretch(start, length float64, completed int64, parts ...int64) error {
	if !(start >= 0 && length > 0 && start+length <= 3*maxDuration.Seconds()) {
		return fmt.Errorf("it begins at %v s and lasts %v s", start, length)
	}
	if completed < 0 || completed > maxCounted {
		return fmt.Errorf("it has %d requests", completed)
	}
	for _, n := range parts {
		if n < 0 || n > completed {
			return fmt.Errorf("it has %d requests, %d of one kind", completed, n)
		}
	}
	return nil
}

// decodeHistogram reads a histogram of this package, and no other: those of other ranges would lose values in a merge.
func decodeHistogram(text string) (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read histogram: %w", err)
	}
	if h.LowestTrackableValue() != histogramMin || h.HighestTrackableValue() != histogramMax || h.SignificantFigures() != histogramDigits {
		return nil, fmt.Errorf("read histogram: is from %d to %d with %d digits, want %d to %d with %d",
			h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), histogramMin, histogramMax, histogramDigits)
	}
	return h, nil
}
