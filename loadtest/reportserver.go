package loadtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// right is a column of numbers.
func right(name string, optional ...bool) reports.Column {
	return reports.Column{Name: name, Align: reports.Right, Optional: len(optional) > 0}
}

// serverTables are what the server saw, its routes, and the costliest statements. Their names are "server", "routes",
// "statements", "findings" and "breakers".
func (r *Result) serverTables() []reports.Table {
	f := r.Server
	if f == nil {
		return nil
	}
	all := []reports.Table{f.table()}
	if f.Statements != nil && len(f.Statements.Routes) > 0 {
		all = append(all, f.Statements.table())
	}
	if f.Top != nil && len(f.Top.Statements) > 0 {
		all = append(all, f.Top.table())
	}
	if len(f.Transitions) > 0 {
		all = append(all, f.breakerTable())
	}
	return all
}

// table sets each figure beside its peak and its mean.
func (f *ServerFigures) table() reports.Table {
	t := reports.Table{
		Name: "server", Caption: "What the server saw in the measured time",
		Columns: []reports.Column{{Name: "What"}, right("Count"), right("Mean"), right("Peak"), {Name: "Of these", Wrap: true}},
	}
	add := func(what, count, mean, peak, more string) {
		t.Rows = append(t.Rows, []string{what, count, mean, peak, more})
	}
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	if s := f.Statements; s != nil {
		add("requests", whole(s.Requests), "", "", fmt.Sprintf("%d answered 2xx; health left out", s.OK))
		add("statements", whole(s.Statements), formatNumber(s.PerRequest)+" per request", "", formatNumber(s.PerOK)+" per 2xx")
	}
	if g := f.InFlight; g != nil {
		add("requests under way", "", formatNumber(g.Mean), formatNumber(g.Peak), "")
	}
	for _, p := range f.Pools {
		add("pool "+p.Name+", in use", "", formatNumber(p.InUse.Mean), formatNumber(p.InUse.Peak), fmt.Sprintf("of %d connections", p.Size))
		asked := fmt.Sprintf("%s%% of %d had to wait, %s each; %d refused", formatNumber(p.WaitShare), p.asked(), formatMS(p.WaitMS), p.Refused)
		if p.Left > 0 {
			asked += fmt.Sprintf(", %d left", p.Left)
		}
		add("pool "+p.Name+", waiting", whole(p.Waits), formatNumber(p.Waiting.Mean), formatNumber(p.Waiting.Peak), asked)
	}
	if c := f.Cache; c != nil {
		add("cache hits", whole(c.Hits), formatNumber(c.HitRate)+"%", "", fmt.Sprintf("of %d questions; %d joined another, %d missed", c.Hits+c.Misses+c.Joined, c.Joined, c.Misses))
	}
	if s := f.Streams; s != nil && (s.Started > 0 || s.Refused > 0) {
		add("streams", whole(s.Started), formatNumber(s.Active.Mean), formatNumber(s.Active.Peak),
			fmt.Sprintf("of %d at a time; %d completed, %d failed, %d stalled, %d refused", s.Limit, s.Completed, s.Failed, s.Stalled, s.Refused))
	}
	if m := f.Memory; m != nil {
		growth := "too short for a slope"
		if m.GrowthMiBMin != nil {
			growth = fmt.Sprintf("%+.2f MiB/min", *m.GrowthMiBMin)
		}
		add("memory of the process", "", formatNumber(m.RSS.Mean)+" MiB", formatNumber(m.RSS.Peak)+" MiB", growth)
		pressed := ""
		if m.WarningSeconds+m.CriticalSeconds > 0 {
			pressed = fmt.Sprintf("; warning for %s, critical for %s", formatMS(1000*m.WarningSeconds), formatMS(1000*m.CriticalSeconds))
		}
		add("memory of its limit", "", formatNumber(m.Percent.Mean)+"%", formatNumber(m.Percent.Peak)+"%", fmt.Sprintf("of %.0f MiB%s", m.LimitMiB, pressed))
	}
	for _, b := range f.Breakers {
		if b.Opened > 0 || b.OpenS > 0 || b.Rejected > 0 {
			add("breaker "+b.Name+", opened", whole(b.Opened), "", "", fmt.Sprintf("not closed for %s, %d calls refused; %s at the end", formatMS(1000*b.OpenS), b.Rejected, b.State))
		}
	}
	if n := len(f.Restarts); n > 0 {
		at := make([]string, n)
		for i, r := range f.Restarts {
			at[i] = formatMS(1000 * r.AtS)
		}
		add("restarts, of the whole run", strconv.Itoa(n), "", "", "at "+strings.Join(at, ", "))
	}
	return t
}

// mostRoutes bounds the rows of a table of routes.
const mostRoutes = 20

func (s *StatementFigures) table() reports.Table {
	t := reports.Table{
		Name: "routes", Caption: "Statements by route, as the server counted them",
		Columns: []reports.Column{
			{Name: "Route"}, right("Requests"), right("2xx"), right("Statements"), right("Per request"), right("Per 2xx", true),
			right("Pool wait", true), right("Mean", true),
		},
	}
	for _, r := range s.Routes[:min(len(s.Routes), mostRoutes)] {
		t.Rows = append(t.Rows, []string{
			r.Route, strconv.FormatInt(r.Requests, 10), strconv.FormatInt(r.OK, 10), strconv.FormatInt(r.Statements, 10),
			formatNumber(r.PerRequest), formatNumber(r.PerOK), formatMS(r.WaitMS), formatMS(r.MeanMS),
		})
	}
	return t
}

func (w *StatementWindow) table() reports.Table {
	t := reports.Table{
		Name: "statements", Caption: "The costliest statements of the measured time",
		Columns: []reports.Column{
			{Name: "Statement"}, right("Executions"), right("Per request"), right("Total"), right("Avg"), right("Share"),
			right("Pool wait", true), right("Rows", true), right("Errors", true),
		},
	}
	for _, s := range w.Statements {
		per := ""
		if s.PerRequest > 0 {
			per = formatNumber(s.PerRequest)
		}
		t.Rows = append(t.Rows, []string{
			s.Name, strconv.FormatInt(s.Executions, 10), per, formatMS(s.TotalMS), formatMS(s.AvgMS), formatNumber(s.Share) + "%",
			formatMS(s.WaitMS), strconv.FormatInt(s.Rows, 10), strconv.FormatInt(s.Errors, 10),
		})
	}
	return t
}

func (f *ServerFigures) breakerTable() reports.Table {
	t := reports.Table{
		Name: "breakers", Caption: "Circuit breakers, by when each change was first seen",
		Columns: []reports.Column{right("At"), {Name: "Breaker"}, {Name: "State"}},
	}
	for _, x := range f.Transitions {
		t.Rows = append(t.Rows, []string{formatMS(1000 * x.AtS), x.Name, x.To})
	}
	if f.MoreTransitions > 0 {
		t.Rows = append(t.Rows, []string{"", "", fmt.Sprintf("and %d more", f.MoreTransitions)})
	}
	return t
}

// serverFacts tell who was observed and what that cost.
func (r *Result) serverFacts() []reports.Fact {
	f := r.Server
	if f == nil {
		return nil
	}
	who := "tomehub " + f.Version
	if f.Phase != "" {
		who += ", phase " + f.Phase
	}
	p := f.Polls
	cost := fmt.Sprintf("%d polls, one each %s (%d requests, %.0f KiB; %s each, %s at most)",
		p.Taken, formatMS(1000*p.EveryS), p.Asked, float64(p.Bytes)/1024, formatMS(p.MeanMS), formatMS(p.MaxMS))
	if p.Skipped+p.Failed > 0 {
		cost += fmt.Sprintf("; %d left out because one was under way, %d failed", p.Skipped, p.Failed)
	}
	return []reports.Fact{{Name: "Server", Value: who}, {Name: "Observed", Value: cost}}
}

func (r *Result) serverNotes() []string {
	if r.Server == nil {
		if r.NoServer == "" {
			return nil
		}
		return []string{"No figures of the server: " + r.NoServer + "."}
	}
	notes := r.Server.Notes
	if r.Server.Statements != nil {
		notes = append(notes[:len(notes):len(notes)], "The server's counts are of requests that ended between the readings at the start and the end of the measured time.")
	}
	if r.Server.Top != nil {
		for _, f := range r.Server.Top.Findings {
			notes = append(notes, "Finding: "+f)
		}
	}
	return notes
}
