package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// maxResultSize bounds the result files that are read, in bytes: an hour of windows with their histograms has some ten
// million.
const maxResultSize = 256 << 20

// ReadResult reads a result as `--out` writes it, or the JSON report that has it as its data. name stands in errors.
// The percentiles and tables of a result are believed; what would make merging or drawing it fail is refused.
func ReadResult(name string, r io.Reader) (*Result, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxResultSize+1))
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", name, err)
	}
	if len(data) > maxResultSize {
		return nil, fmt.Errorf("read result %s: has more than %d MiB", name, maxResultSize>>20)
	}
	out, err := decodeResult(data)
	if err == nil {
		err = out.sound()
	}
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", name, err)
	}
	return out, nil
}

// decodeResult finds the result in the file or in the data of a report.
func decodeResult(data []byte) (*Result, error) {
	var head struct {
		Version  int             `json:"schema_version"`
		Scenario *string         `json:"scenario"`
		Data     json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, located(data, err)
	}
	switch {
	case head.Scenario == nil && len(head.Data) > 0 && bytes.Contains(head.Data, []byte(`"scenario"`)):
		return decodeResult(head.Data)
	case head.Scenario == nil:
		return nil, errors.New("is no result of 'tomehub loadtest run' (--out, or --format json)")
	case head.Version != ResultVersion:
		return nil, fmt.Errorf("has schema version %d, this program reads %d", head.Version, ResultVersion)
	}
	out := new(Result)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, located(data, err)
	}
	return out, nil
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

// sound refuses numbers that no run has.
func (r *Result) sound() error {
	most := (2 * maxDuration).Seconds() * maxTimeScale
	within := func(what string, v, least, most float64) error {
		if !(v >= least && v <= most) {
			return fmt.Errorf("%s is %v, must be from %v to %v", what, v, least, most)
		}
		return nil
	}
	faults := []error{
		within("warm_up_s", r.WarmUpS, 0, most), within("duration_s", r.DurationS, 0, most), within("measured_s", r.MeasuredS, 0, most),
		within("year of started_at", float64(r.StartedAt.Year()), 1970, 9999),
		within("the number of windows", float64(len(r.Windows)), 0, 2*maxWindows+1),
	}
	for i := range r.Windows {
		w := &r.Windows[i]
		faults = append(faults, within("start_s", w.StartS, 0, most), within("length_s", w.LengthS, time.Microsecond.Seconds(), most))
	}
	all := []*Figures{&r.Total}
	for i := range r.Steps {
		for _, w := range r.Steps[i].Windows {
			faults = append(faults, within("start_s", w.StartS, 0, most), within("length_s", w.LengthS, time.Microsecond.Seconds(), most))
		}
		faults = append(faults, within("the number of windows of a step", float64(len(r.Steps[i].Windows)), 0, 2*maxWindows+1))
		all = append(all, &r.Steps[i].Figures)
	}
	for _, f := range all {
		for k, n := range f.Kinds {
			faults = append(faults, within("count of "+k.String(), float64(n), 0, math.MaxInt32*1000))
		}
		faults = append(faults, within("rate_per_s", f.Rate, 0, 1e9), within("goodput_per_s", f.Goodput, 0, 1e9))
	}
	return errors.Join(faults...)
}
