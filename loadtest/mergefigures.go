package loadtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/tomehub/tomehub/reports"
)

// figures adds up what was counted, step by step.
func (m *merger) figures() error {
	m.out.Steps = make([]StepFigures, len(m.parts[0].Result.Steps))
	steps := make([]*tally, len(m.out.Steps))
	for i := range steps {
		first := m.parts[0].Result.Steps[i]
		m.out.Steps[i] = StepFigures{Flow: first.Flow, Step: first.Step}
		steps[i] = newTally(first.FirstLine != nil)
		for _, p := range m.parts {
			t, err := p.Result.Steps[i].tally(p.Result.MeasuredS)
			if err != nil {
				return fmt.Errorf("%s: step %s: %w", p.Name, first.Step, err)
			}
			steps[i].merge(t)
		}
	}
	if err := m.stepWindows(); err != nil {
		return err
	}
	examples := [kinds]string{}
	for _, p := range m.parts {
		for _, e := range p.Result.Errors {
			if examples[e.Kind] == "" {
				examples[e.Kind] = e.Example
			}
		}
	}
	return m.out.count(steps, examples, seconds(m.out.MeasuredS))
}

// tally is what the figures were made of. over is how long they were gathered, in seconds.
func (f *Figures) tally(over float64) (*tally, error) {
	t := newTally(f.FirstLine != nil)
	t.skipped, t.bytes = f.Skipped, f.BytesIn
	t.ended, t.endedOK = int64(math.Round(f.Rate*over)), int64(math.Round(f.Goodput*over))
	for k, n := range f.Kinds {
		t.kinds[k] = n
	}
	err := errors.Join(f.Response.into(t.response), f.Service.into(t.service))
	if t.streams != nil && f.FirstByte != nil && f.Complete != nil {
		err = errors.Join(err, f.FirstByte.into(t.streams.firstByte), f.FirstLine.into(t.streams.firstLine), f.Complete.into(t.streams.complete))
	}
	return t, err
}

// into adds the distribution to h.
func (l *Latency) into(h *hdrhistogram.Histogram) error {
	if l.Count > 0 && l.Histogram == "" {
		return errors.New("has percentiles without their histogram, which cannot be merged")
	}
	return addHistogram(h, l.Histogram)
}

// addHistogram adds an encoded histogram to h; "" is an empty one.
func addHistogram(h *hdrhistogram.Histogram, text string) error {
	if text == "" {
		return nil
	}
	o, err := decodeHistogram(text)
	if err != nil {
		return err
	}
	h.Merge(o)
	return nil
}

// windows lays the parts' windows side by side, by when each generator began. A window goes to the nearest one of the
// merged run, so it may be off by half of its length.
func (m *merger) windows() error {
	width := 0.0
	for _, p := range m.parts {
		for _, w := range p.Result.Windows {
			width = math.Max(width, w.LengthS)
		}
	}
	at := map[int][]*Window{}
	last := -1
	for _, p := range m.parts {
		shift := p.Result.StartedAt.Sub(m.out.StartedAt).Seconds()
		for i := range p.Result.Windows {
			w := &p.Result.Windows[i]
			n := int(math.Round((shift + w.StartS) / width))
			at[n], last = append(at[n], w), max(last, n)
		}
	}
	if last >= 2*maxWindows {
		return fmt.Errorf("the generators' windows reach over %d, at most %d can be merged", last+1, 2*maxWindows)
	}
	h := newHistogram()
	for n := 0; n <= last; n++ {
		w, err := mergedWindow(at[n], h)
		if err != nil {
			return fmt.Errorf("window at %v s: %w", float64(n)*width, err)
		}
		w.StartS = float64(n) * width
		if w.LengthS == 0 {
			w.LengthS = width
		}
		m.out.Windows = append(m.out.Windows, w)
	}
	return nil
}

// stepWindows lays the windows of each step side by side in the same way.
func (m *merger) stepWindows() error {
	h := newHistogram()
	for i := range m.out.Steps {
		width, last := 0.0, -1
		at := map[int][]*Window{}
		for _, p := range m.parts {
			for _, w := range p.Result.Steps[i].Windows {
				width = math.Max(width, w.LengthS)
			}
		}
		for _, p := range m.parts {
			shift := p.Result.StartedAt.Sub(m.out.StartedAt).Seconds() - m.out.WarmUpS
			for _, w := range p.Result.Steps[i].Windows {
				n := max(0, int(math.Round((shift+w.StartS)/width)))
				at[n] = append(at[n], &Window{LengthS: w.LengthS, Completed: w.Completed, OK: w.OK, Refused: w.Refused, Failed: w.Failed, Response: w.Response})
				last = max(last, n)
			}
		}
		if last > 2*maxWindows {
			return fmt.Errorf("the windows of step %s reach over %d, at most %d can be merged", m.out.Steps[i].Step, last+1, 2*maxWindows)
		}
		for n := 0; n <= last; n++ {
			w, err := mergedWindow(at[n], h)
			if err != nil {
				return fmt.Errorf("window of step %s: %w", m.out.Steps[i].Step, err)
			}
			if w.LengthS == 0 {
				w.LengthS = width
			}
			m.out.Steps[i].Windows = append(m.out.Steps[i].Windows, StepWindow{
				StartS: m.out.WarmUpS + float64(n)*width, LengthS: w.LengthS, Completed: w.Completed, OK: w.OK, Refused: w.Refused, Failed: w.Failed, Response: w.Response,
			})
		}
	}
	return nil
}

// mergedWindow adds windows of the same time up. h is room to do it in.
func mergedWindow(all []*Window, h *hdrhistogram.Histogram) (Window, error) {
	h.Reset()
	var out Window
	for _, w := range all {
		out.LengthS, out.WarmUp, out.Users = math.Max(out.LengthS, w.LengthS), out.WarmUp || w.WarmUp, out.Users+w.Users
		out.Completed, out.OK = out.Completed+w.Completed, out.OK+w.OK
		out.Refused, out.Failed = out.Refused+w.Refused, out.Failed+w.Failed
		if err := addHistogram(h, w.Response); err != nil {
			return out, err
		}
	}
	l, err := exported(h)
	out.MeanMS, out.P50MS, out.P95MS, out.P99MS, out.MaxMS, out.Response = l.MeanMS, l.P50MS, l.P95MS, l.P99MS, l.MaxMS, l.Histogram
	return out, err
}

// generator puts the health of all generators together: counts are added, of the machines' use it is the highest.
func (m *merger) generator() {
	g := &m.out.Generator
	lag, whole := newHistogram(), true
	for _, p := range m.parts {
		o := &p.Result.Generator
		if err := o.SendLag.into(lag); err != nil {
			whole = false
		}
		if o.SendLag.P99MS > g.SendLag.P99MS {
			g.SendLag = o.SendLag
		}
		g.MaxLagMS, g.MaxCPU = o.MaxLagMS, o.MaxCPU
		g.CPUPercent, g.RSSMiB, g.MachinePercent = max(g.CPUPercent, o.CPUPercent), max(g.RSSMiB, o.RSSMiB), max(g.MachinePercent, o.MachinePercent)
		g.Connections, g.Resent, g.Held = g.Connections+o.Connections, g.Resent+o.Resent, g.Held+o.Held
		g.Asked, g.InTime, g.Exhausted = g.Asked+o.Asked, g.InTime+o.InTime, g.Exhausted+o.Exhausted
		for _, problem := range o.Problems {
			g.Problems = append(g.Problems, p.Name+": "+problem)
		}
		if g.Busy == "" {
			g.Busy = o.Busy
		}
	}
	if whole { // else the worst generator's stands
		g.SendLag = latency(lag)
	}
}

// server takes over what one generator saw of the server, because all of them saw the same one: the first that saw it.
func (m *merger) server() {
	for _, p := range m.parts {
		r := p.Result
		if m.out.Server == nil && r.Server != nil {
			s := *r.Server
			s.Notes = append(slices.Clone(s.Notes), fmt.Sprintf("The server's figures are those that %s read; they are of all generators' requests, and its times count from when that one began.", p.Name))
			m.out.Server, m.out.NoServer = &s, ""
		}
		if m.out.Server == nil && m.out.NoServer == "" {
			m.out.NoServer = r.NoServer
		}
		if len(m.out.Faults) == 0 {
			m.out.Faults, m.out.LeftOut = r.Faults, r.LeftOut
		}
	}
}

// judge holds the merged figures against the scenario's checks and beside what it expects.
func (m *merger) judge() {
	for _, c := range m.out.Criteria {
		if slices.Contains(m.out.LeftOut, c.Metric) {
			continue
		}
		m.out.Checks = append(m.out.Checks, m.check(c))
	}
	for _, e := range m.parts[0].Result.Expected {
		x := ExpectedFigure{Metric: e.Metric, Step: e.Step, Figure: e.Figure}
		of, known := metrics[e.Metric]
		switch {
		case !known:
		case of.server != nil:
			x.Measured = m.seenOfServer(e)
		case of.result != nil:
			if v, reason := of.result(m.out); reason == "" {
				x.Measured = of.format(v)
			}
		default:
			if v, reason := of.measured(m.out.of(e.Step)); reason == "" {
				x.Measured = of.format(v)
			}
		}
		m.out.Expected = append(m.out.Expected, x)
	}
}

// seenOfServer is what the first generator that saw the server measured.
func (m *merger) seenOfServer(e ExpectedFigure) string {
	for _, p := range m.parts {
		for _, x := range p.Result.Expected {
			if x.Metric == e.Metric && x.Step == e.Step && x.Measured != "" {
				return x.Measured
			}
		}
	}
	return ""
}

// check judges one check anew.
func (m *merger) check(c Check) reports.Check {
	of, known := metrics[c.Metric]
	switch {
	case !known:
		return reports.Check{Name: c.Step, Metric: c.Metric, Why: c.Why, Reason: "this version does not know the metric"}
	case c.ofWhole() && m.parts[0].Result.Worker == "":
		return c.conclude(0, "each generator ran the whole scenario, and the bound is of one of them: split the load with --worker")
	case of.server != nil:
		return m.ofServer(c)
	case of.result != nil:
		return c.conclude(of.result(m.out))
	case c.Window > 0:
		return m.inWindows(c)
	}
	return c.conclude(of.measured(m.out.of(c.Step)))
}

// own finds the check as part p judged it.
func (c Check) own(p Part) (reports.Check, bool) {
	i := slices.IndexFunc(p.Result.Checks, func(o reports.Check) bool {
		return o.Name == c.name() && o.Metric == c.Metric && o.Bound == c.bound()
	})
	if i < 0 {
		return reports.Check{}, false
	}
	return p.Result.Checks[i], true
}

// ofServer takes the verdict of the generators that saw the server, the worst of them.
func (m *merger) ofServer(c Check) reports.Check {
	out := c.conclude(0, "no generator saw the server")
	for _, p := range m.parts {
		own, ok := c.own(p)
		if !ok || own.Measured == "" && out.Reason != "" {
			continue
		}
		if out.Measured == "" || own.Verdict == reports.Fail && out.Verdict != reports.Fail {
			out = own
		}
	}
	return out
}
