package loadtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// mergedTable shows each generator of a merged result, so that one that differs is seen. Its name is "generators".
func (r *Result) mergedTable() reports.Table {
	t := reports.Table{
		Name: "generators", Caption: "The generators, each by its own result",
		Columns: []reports.Column{
			{Name: "Result"}, {Name: "Worker", Optional: true}, right("Began"), right("Measured"), right("Requests"), right("Rate"), right("Errors"),
			right("p95"), right("Send lag p99"), right("CPU"), {Name: "Own verdict"},
		},
	}
	for _, g := range r.Merged {
		verdict := "not judged"
		if g.Judged {
			verdict = g.Verdict.String()
		}
		t.Rows = append(t.Rows, []string{
			g.Name, g.Worker, "+" + formatMS(milliseconds(g.StartedAt.Sub(r.StartedAt))), formatMS(1000 * g.MeasuredS), strconv.FormatInt(g.Completed, 10),
			formatNumber(g.Rate) + "/s", formatNumber(g.ErrorRate) + "%", formatMS(g.P95MS), formatMS(g.SendLagMS),
			fmt.Sprintf("%.0f%% of %d", g.CPUPercent, g.CPUs), verdict,
		})
	}
	return t
}

// mergedNotes say what a reader must know of figures that several generators gathered.
func (r *Result) mergedNotes() []string {
	if len(r.Merged) == 0 {
		return nil
	}
	notes := []string{
		fmt.Sprintf("Merged from %d generators. Percentiles are of all requests together, from the generators' histograms, and within 0.1%% of the exact ones; "+
			"the curves over time lay windows side by side by the generators' clocks, to the nearest window.", len(r.Merged)),
		"Of the generators' CPU, memory and send lag the facts show the highest; the table has each.",
	}
	if strings.Contains(r.Target, ", ") {
		notes = append(notes, "The generators had different targets; only if these are one server do the figures belong together.")
	}
	return notes
}
