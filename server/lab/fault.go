package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Name is the name of a fault.
type Name string

// The faults.
const (
	DatabaseDown   Name = "database_down"   // statements fail at once, as without a listener
	DatabaseSlow   Name = "database_slow"   // statements take Factor times as long
	MemoryPressure Name = "memory_pressure" // the monitor reads Percent of the limit in use
)

var names = []Name{DatabaseDown, DatabaseSlow, MemoryPressure}

// ErrUnknownFault is what Put, Clear and Read return for a name that is none.
var ErrUnknownFault = errors.New("unknown fault")

// Bounds of a fault. A fault ends by itself, so that a load test that is killed leaves a healthy server behind.
const (
	minFor    = 10 * time.Millisecond
	maxFor    = 10 * time.Minute
	maxFactor = 1000
	maxBody   = 4 << 10
)

// A Fault is one that is on.
type Fault struct {
	Fault   Name    `json:"fault"`
	For     string  `json:"for"`               // as asked, such as 10s
	Factor  float64 `json:"factor,omitempty"`  // of database_slow
	Percent float64 `json:"percent,omitempty"` // of memory_pressure
	Own     bool    `json:"own,omitempty"`     // of memory_pressure: it is this process's, so that a restart would help
	LeftMS  float64 `json:"left_ms"`           // until it ends by itself
}

type fault struct {
	Fault
	until time.Time
}

// active returns the fault while it is on. l.mu is held.
func (l *Lab) active(n Name) *fault {
	f := l.faults[n]
	if f == nil || !time.Now().Before(f.until) {
		return nil
	}
	return f
}

// Put puts a fault in, in the place of one of the same name.
func (l *Lab) Put(f Fault) error {
	lasts, err := f.check(l.cfg.Statement)
	if err != nil {
		return fmt.Errorf("put in fault %s: %w", f.Fault, err)
	}
	l.mu.Lock()
	l.faults[f.Fault] = &fault{Fault: f, until: time.Now().Add(lasts)}
	l.mu.Unlock()
	l.log.Warn("lab: fault put in", "fault", string(f.Fault), "for_ms", lasts.Milliseconds(), "factor", f.Factor, "percent", f.Percent)
	return nil
}

// check reports every fault of a fault at once.
func (f Fault) check(statement time.Duration) (time.Duration, error) {
	if !slices.Contains(names, f.Fault) {
		return 0, ErrUnknownFault
	}
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	lasts, err := time.ParseDuration(f.For)
	if err != nil || lasts < minFor || lasts > maxFor {
		add("for is %q: want %v to %v", f.For, minFor, maxFor)
	}
	switch slow := f.Fault == DatabaseSlow; {
	case slow && statement == 0:
		add("statements take no time here: set --lab-statement-time")
	case slow && !(f.Factor >= 1 && f.Factor <= maxFactor):
		add("factor is %v: want 1 to %d", f.Factor, maxFactor)
	case !slow && f.Factor != 0:
		add("factor is %v: only database_slow has one", f.Factor)
	}
	switch pressure := f.Fault == MemoryPressure; {
	case pressure && !(f.Percent > 0 && f.Percent <= 100):
		add("percent is %v: want more than 0, at most 100", f.Percent)
	case !pressure && f.Percent != 0:
		add("percent is %v: only memory_pressure has one", f.Percent)
	}
	if f.Own && f.Fault != MemoryPressure {
		add("own is true: only memory_pressure has it")
	}
	return lasts, errors.Join(faults...)
}

// Clear takes a fault out; one that is not in is no error.
func (l *Lab) Clear(n Name) error {
	if !slices.Contains(names, n) {
		return fmt.Errorf("take out fault %s: %w", n, ErrUnknownFault)
	}
	l.mu.Lock()
	was := l.active(n) != nil
	delete(l.faults, n)
	l.mu.Unlock()
	if was {
		l.log.Warn("lab: fault taken out", "fault", string(n))
	}
	return nil
}

// Read reads a fault of that name from a body such as {"for": "10s", "factor": 5}.
func Read(n Name, body io.Reader) (Fault, error) {
	f := Fault{Fault: n}
	if !slices.Contains(names, n) {
		return f, fmt.Errorf("fault %.40q: %w, want %s", string(n), ErrUnknownFault, Names())
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return f, fmt.Errorf("read fault: %w", err)
	}
	if len(data) > maxBody {
		return f, fmt.Errorf("read fault: the body has more than %d bytes", maxBody)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	in := struct {
		For     *string  `json:"for"`
		Factor  *float64 `json:"factor"`
		Percent *float64 `json:"percent"`
		Own     *bool    `json:"own"`
	}{&f.For, &f.Factor, &f.Percent, &f.Own}
	if err := dec.Decode(&in); err != nil {
		return f, fmt.Errorf(`read fault: %w; want such as {"for": "10s"}`, err)
	}
	if in.For == nil || in.Factor == nil || in.Percent == nil || in.Own == nil {
		return f, errors.New("read fault: null is no value")
	}
	if dec.More() {
		return f, errors.New("read fault: something stands behind the JSON")
	}
	return f, nil
}

// Names lists the faults for people.
func Names() string {
	var list []string
	for _, n := range names {
		list = append(list, string(n))
	}
	return strings.Join(list, ", ")
}
