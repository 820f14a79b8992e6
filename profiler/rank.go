package profiler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Rank is the number by which statements are ordered, the largest first.
type Rank string

// The ranks.
const (
	ByElapsed    Rank = "elapsed"    // time of all executions: where the database's time goes
	ByExecutions Rank = "executions" // what runs most
	ByAvg        Rank = "avg"        // time per execution: what a user waits for
	ByRows       Rank = "rows"       // rows of all executions
	ByWait       Rank = "wait"       // time spent waiting for a connection
)

// Ranks lists every rank, the default first.
func Ranks() []Rank { return []Rank{ByElapsed, ByExecutions, ByAvg, ByRows, ByWait} }

// ParseRank finds a rank by its name; the error names --rank and lists them all.
func ParseRank(name string) (Rank, error) {
	var names []string
	for _, r := range Ranks() {
		if string(r) == name {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", fmt.Errorf("--rank %q is not one of %s", name, strings.Join(names, ", "))
}

// of is the number that the rank goes by. Without an average a statement comes after all that have one.
func (r Rank) of(row *Row) float64 {
	switch r {
	case ByExecutions:
		return float64(row.Executions)
	case ByAvg:
		if avg, ok := row.Avg(); ok {
			return avg
		}
		return -1
	case ByRows:
		return float64(row.Rows)
	case ByWait:
		return float64(row.AcquireWait)
	case ByElapsed:
	}
	return float64(row.Elapsed)
}

// title is the plan's for the default rank, and its like for the others.
func (r Rank) title(top int) string {
	switch r {
	case ByExecutions:
		return fmt.Sprintf("Top %d Most Executed Queries", top)
	case ByAvg:
		return fmt.Sprintf("Top %d Slowest Queries on Average", top)
	case ByRows:
		return fmt.Sprintf("Top %d Queries by Rows", top)
	case ByWait:
		return fmt.Sprintf("Top %d Queries by Wait for a Connection", top)
	case ByElapsed:
	}
	return fmt.Sprintf("Top %d Slowest Queries", top)
}

// rank orders the active rows and takes the first of them. Equal rows stand in the order of their elapsed time, then of
// their names, so that the same counters always give the same report.
func (p *Profile) rank() {
	slices.SortFunc(p.active, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(p.Rank.of(&b), p.Rank.of(&a)), cmp.Compare(b.Elapsed, a.Elapsed), cmp.Compare(b.Executions, a.Executions),
			strings.Compare(a.Name, b.Name), strings.Compare(a.SQL, b.SQL),
		)
	})
	p.Statements = append([]Row{}, p.active[:min(p.Top, len(p.active))]...)
}
