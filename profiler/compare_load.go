package profiler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrNotProfile means that the bytes are something else than a profile.
var ErrNotProfile = errors.New("not a profile")

// LoadProfile reads a report that was written as JSON: a profile, or a comparison, of which it takes the later profile.
func LoadProfile(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load profile: %w", err)
	}
	defer f.Close()
	p, err := decodeProfile(f)
	if err != nil {
		return nil, fmt.Errorf("load profile %s: %w", path, err)
	}
	return p, nil
}

// decodeProfile reads one report and nothing behind it, and holds it against what Compare relies on. An error of reading is
// returned as it is, one of the bytes is an ErrNotProfile that says what they are, where that can be told.
func decodeProfile(r io.Reader) (*Profile, error) {
	in := &boundedReader{r: r, left: MaxSnapshotBytes}
	body, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var file struct {
		Data json.RawMessage `json:"data"` // of a report
		// Of what else comes from tomehub, and is easily taken for a report.
		Statements json.RawMessage `json:"statements"`
		StartedAt  json.RawMessage `json:"started_at"`
		Scenario   json.RawMessage `json:"scenario"`
		Checks     []any           `json:"checks"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		if !strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 512)])), "{") {
			err = errors.New("it is no JSON; the earlier profile is kept with --format json --out FILE")
		}
		return nil, fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	switch {
	case file.Statements != nil && file.StartedAt != nil:
		return nil, fmt.Errorf("%w: it is a snapshot, written by --save; two of them are compared by --from and --to", ErrNotProfile)
	case file.Scenario != nil || len(file.Checks) > 0:
		return nil, fmt.Errorf("%w: it is the result of a load test", ErrNotProfile)
	case file.Data == nil:
		return nil, fmt.Errorf("%w: it lacks what 'tomehub profile --format json' writes", ErrNotProfile)
	}
	var data struct {
		Profile
		Now *Profile `json:"now"` // of a Comparison
	}
	if err := json.Unmarshal(file.Data, &data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	p := &data.Profile
	if data.Now != nil {
		p = data.Now
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	p.active = p.Statements
	return p, nil
}

// check holds what Compare relies on.
func (p *Profile) check() error {
	switch {
	case p.WindowUS <= 0:
		return fmt.Errorf("window_us is %d, and a window is above 0", p.WindowUS)
	case p.From.IsZero() || p.To.IsZero():
		return errors.New("no from or no to")
	case len(p.Statements) > MaxTop:
		return fmt.Errorf("%d statements, and a profile shows at most %d", len(p.Statements), MaxTop)
	}
	for i := range p.Statements {
		r := &p.Statements[i]
		for j, v := range r.Counters.list() {
			if v < 0 {
				return fmt.Errorf("statement %d has %s %d, and a counter is never negative", i+1, counterNames[j], v)
			}
		}
		if len(r.keys()) == 0 {
			return fmt.Errorf("statement %d has neither name nor sql nor sql_id", i+1)
		}
	}
	for j, v := range p.Total.list() {
		if v < 0 {
			return fmt.Errorf("total has %s %d, and a counter is never negative", counterNames[j], v)
		}
	}
	return nil
}
