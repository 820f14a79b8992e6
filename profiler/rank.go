package profiler

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rank is the number by which statements are ordered, the largest first.
type Rank string

// The ranks.
const (
	ByElapsed    Rank = "elapsed"    // time of all executions: where the database's time goes
	ByCPU        Rank = "cpu"        // time on a processor
	ByGets       Rank = "gets"       // blocks read from memory
	ByReads      Rank = "reads"      // blocks read from disk
	ByExecutions Rank = "executions" // what runs most
	ByAvg        Rank = "avg"        // time per execution: what a user waits for
	ByRows       Rank = "rows"       // rows of all executions
	ByWait       Rank = "wait"       // time spent waiting for a connection
)

// ErrRank means that the source does not count what the statements were to be ordered by. It is a fault of usage.
var ErrRank = errors.New("is not counted there")

// Ranks lists every rank, the default first.
func Ranks() []Rank {
	return []Rank{ByElapsed, ByCPU, ByGets, ByReads, ByExecutions, ByAvg, ByRows, ByWait}
}

// RanksOf lists the ranks that a kind of source knows, the default first.
func RanksOf(kind Kind) []Rank {
	if kind == Oracle {
		return []Rank{ByElapsed, ByCPU, ByGets, ByReads, ByExecutions, ByAvg, ByRows}
	}
	return []Rank{ByElapsed, ByExecutions, ByAvg, ByRows, ByWait}
}

// knownTo returns an ErrRank that names the ranks of the kind, unless r is one of them.
func (r Rank) knownTo(kind Kind) error {
	if slices.Contains(RanksOf(kind), r) {
		return nil
	}
	what := "a running tomehub"
	if kind == Oracle {
		what = "an Oracle database"
	}
	return fmt.Errorf("--rank %s: it %w; %s knows %s", r, ErrRank, what, strings.Join(rankNames(RanksOf(kind)), ", "))
}

func rankNames(ranks []Rank) []string {
	names := make([]string, len(ranks))
	for i, r := range ranks {
		names[i] = string(r)
	}
	return names
}

// ParseRank finds a rank by its name; the error names --rank and lists them all.
func ParseRank(name string) (Rank, error) {
	if r := Rank(name); slices.Contains(Ranks(), r) {
		return r, nil
	}
	return "", fmt.Errorf("--rank %q is not one of %s", name, strings.Join(rankNames(Ranks()), ", "))
}

// of is the number that the rank goes by. Without an average a statement comes after all that have one.
func (r Rank) of(row *Row) float64 {
	switch r {
	case ByCPU:
		return float64(row.CPU)
	case ByGets:
		return float64(row.Gets)
	case ByReads:
		return float64(row.Reads)
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
	case ByCPU:
		return fmt.Sprintf("Top %d Queries by CPU Time", top)
	case ByGets:
		return fmt.Sprintf("Top %d Queries by Blocks Read from Memory", top)
	case ByReads:
		return fmt.Sprintf("Top %d Queries by Blocks Read from Disk", top)
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
			strings.Compare(a.Name, b.Name), strings.Compare(a.SQL, b.SQL), strings.Compare(a.SQLID, b.SQLID),
		)
	})
	p.Statements = append([]Row{}, p.active[:min(p.Top, len(p.active))]...)
}
