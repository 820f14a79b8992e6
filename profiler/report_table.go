package profiler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// A column is one of the table of statements.
type column struct {
	reports.Column
	cell func(*Row) string
}

func numeric(name string, cell func(*Row) string) column {
	return column{reports.Column{Name: name, Align: reports.Right}, cell}
}

func words(name string, cell func(*Row) string) column {
	return column{reports.Column{Name: name}, cell}
}

// columns are the plan's four, what names the statement, and then what the source counts: on a narrow terminal the last one
// is left out first.
func (p *Profile) columns() []column {
	all := []column{
		numeric("Exec", func(r *Row) string { return strconv.FormatInt(r.Executions, 10) }),
		numeric("Total(s)", func(r *Row) string { return total(r.Elapsed.Seconds()) }),
		numeric("Avg(s)", func(r *Row) string { return known(r.Avg, average) }),
		words("SQL", p.textCell),
		words("Statement", func(r *Row) string { name, _ := split(r.Name, r.SQL); return cmp.Or(name, r.SQLID) }),
		numeric("%", func(r *Row) string {
			if r.is(Block) {
				return ""
			}
			return fmt.Sprintf("%.1f", 100*r.Share)
		}),
	}
	needed := len(all)
	all = append(all, words("State", func(r *Row) string {
		names := make([]string, len(r.States))
		for i, s := range r.States {
			names[i] = string(s)
		}
		return strings.Join(names, " ")
	}))
	if p.Kind == Oracle {
		all = append(all, p.oracleColumns()...)
	} else {
		all = append(all, p.tomehubColumns()...)
	}
	if p.Lifetime { // there is no rate of counters that began at different times
		all = slices.DeleteFunc(all, func(c column) bool { return c.Name == "Exec/s" })
	}
	for i := needed; i < len(all); i++ {
		all[i].Optional = true
	}
	if c, ok := p.rankColumn(); ok { // the order of the rows is seen at every width
		all = slices.DeleteFunc(all, func(x column) bool { return x.Name == c.Name })
		all = slices.Insert(all, needed, c)
	}
	return all
}

// rankColumn is what the statements are ordered by, where the first columns do not show it.
func (p *Profile) rankColumn() (column, bool) {
	count := func(name string, of func(*Row) int64) (column, bool) {
		return numeric(name, func(r *Row) string { return strconv.FormatInt(of(r), 10) }), true
	}
	switch p.Rank {
	case ByCPU:
		return cpuColumn(), true
	case ByGets:
		return count("Gets", func(r *Row) int64 { return r.Gets })
	case ByReads:
		return count("Reads", func(r *Row) int64 { return r.Reads })
	case ByRows:
		return count("Rows", func(r *Row) int64 { return r.Rows })
	case ByWait:
		return numeric("Wait(s)", func(r *Row) string { return total(r.AcquireWait.Seconds()) }), true
	case ByElapsed, ByExecutions, ByAvg:
	}
	return column{}, false
}

func cpuColumn() column {
	return numeric("CPU(s)", func(r *Row) string { return total(r.CPU.Seconds()) })
}

func (p *Profile) rateColumn() column {
	return numeric("Exec/s", func(r *Row) string { return fmt.Sprintf("%.1f", p.rate(r.Executions)) })
}

func rowsColumn() column {
	return numeric("Rows/exec", func(r *Row) string { return known(r.RowsPer, each) })
}

func (p *Profile) tomehubColumns() []column {
	return []column{
		rowsColumn(), p.rateColumn(),
		numeric("Wait/exec(s)", func(r *Row) string { return known(r.WaitPer, average) }),
		numeric("Errors", func(r *Row) string { return strconv.FormatInt(r.Errors, 10) }),
		numeric("Max(s)", func(r *Row) string {
			if r.Max == 0 {
				return ""
			}
			return average(r.Max.Seconds())
		}),
	}
}

func (p *Profile) oracleColumns() []column {
	per := func(name string, of func(*Row) int64) column {
		return numeric(name, func(r *Row) string {
			return known(func() (float64, bool) { return r.Per(float64(of(r))) }, each)
		})
	}
	time := func(name string, of func(*Row) Micros) column {
		return numeric(name, func(r *Row) string { return total(of(r).Seconds()) })
	}
	detail := func(name string, of func(*Detail) string) column {
		return words(name, func(r *Row) string {
			if r.Detail == nil {
				return ""
			}
			return of(r.Detail)
		})
	}
	columns := []column{
		per("Gets/exec", func(r *Row) int64 { return r.Gets }), rowsColumn(),
		cpuColumn(),
		time("User I/O(s)", func(r *Row) Micros { return r.UserIO }),
		per("Reads/exec", func(r *Row) int64 { return r.Reads }),
		p.rateColumn(),
		time("Concurrency(s)", func(r *Row) Micros { return r.Concurrency }),
		time("Application(s)", func(r *Row) Micros { return r.Application }),
		time("Other(s)", func(r *Row) Micros { return r.Other() }),
		words("Plan", planCell),
		numeric("Variants", func(r *Row) string {
			if r.VariantCount == 0 {
				return ""
			}
			return strconv.Itoa(r.VariantCount)
		}),
		words("SQL_ID", func(r *Row) string { return r.SQLID }),
		detail("Module", func(d *Detail) string { return d.Module }),
		detail("Schema", func(d *Detail) string { return d.Schema }),
		time("Cluster(s)", func(r *Row) Micros { return r.Cluster }),
	}
	if len(p.Instances) > 1 {
		columns = append(columns, words("Inst", func(r *Row) string {
			ids := make([]string, len(r.Instances))
			for i, id := range slices.Sorted(slices.Values(r.Instances)) {
				ids[i] = strconv.Itoa(int(id))
			}
			return strings.Join(ids, " ")
		}))
	}
	return columns
}

// planCell names the plan with most time, how many others there were, and the one that it took the place of.
func planCell(r *Row) string {
	if len(r.Plans) == 0 || r.is(Block) {
		return ""
	}
	cell := strconv.FormatUint(r.Plans[0].Plan, 10)
	if more := len(r.Plans) - 1; more > 0 {
		cell += fmt.Sprintf(" +%d", more)
	}
	if r.Was != 0 {
		cell += fmt.Sprintf(", was %d", r.Was)
	}
	return cell
}

func (p *Profile) textCell(r *Row) string {
	_, text := split(r.Name, r.SQL)
	switch {
	case text == "" && r.SQLID != "":
		return "(its text is gone)"
	case p.fullText:
		return text
	}
	return cut(text)
}

func (p *Profile) table() reports.Table {
	t := reports.Table{Name: "statements"}
	columns := p.columns()
	for _, c := range columns {
		t.Columns = append(t.Columns, c.Column)
	}
	for i := range p.Statements {
		cells := make([]string, len(columns))
		for j, c := range columns {
			cells[j] = c.cell(&p.Statements[i])
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// table tells the average active sessions by wait class, most first, and their sum.
func (a *Activity) table() reports.Table {
	t := reports.Table{
		Name:    "activity",
		Caption: fmt.Sprintf("Average active sessions, of %s of %s", plural(a.Samples, "sample"), a.Origin),
		Columns: []reports.Column{
			{Name: "Wait class"}, {Name: "Sessions", Align: reports.Right}, {Name: "%", Align: reports.Right}, {Name: "Top event"},
			{Name: "Longest wait(s)", Align: reports.Right, Optional: true},
		},
	}
	sum := 0
	for _, n := range a.Classes {
		sum += n
	}
	if sum == 0 {
		t.Caption += ": none, the database was idle"
		return t
	}
	for _, class := range byCount(a.Classes) {
		longest := ""
		if us := a.Longest[class]; us > 0 && class != OnCPU {
			longest = total(Micros(us).Seconds())
		}
		n := a.Classes[class]
		t.Rows = append(t.Rows, []string{class, a.average(n), fmt.Sprintf("%.1f", 100*float64(n)/float64(sum)), a.topEvent(class), longest})
	}
	t.Rows = append(t.Rows, []string{"all", a.average(sum), "100.0", "", ""})
	return t
}

func (a *Activity) average(sessions int) string {
	return fmt.Sprintf("%.2f", float64(sessions)/float64(a.Samples))
}

// topEvent names what the sessions of a class waited for most, with its share of the class.
func (a *Activity) topEvent(class string) string {
	for _, event := range byCount(a.Events) {
		if a.ClassOf[event] == class {
			return fmt.Sprintf("%s (%s)", event, percent(float64(a.Events[event])/float64(max(1, a.Classes[class]))))
		}
	}
	return ""
}

// findings tells what is worth doing.
func (p *Profile) findings() reports.Table {
	t := reports.Table{Name: "findings", Caption: "Findings", Columns: []reports.Column{
		{Name: "Finding"}, {Name: "Statement"}, {Name: "Evidence", Wrap: true}, {Name: "What to do", Wrap: true},
		{Name: "Severity", Optional: true}, {Name: "At stake(s)", Align: reports.Right, Optional: true},
	}}
	for _, f := range p.Findings {
		t.Rows = append(t.Rows, []string{findingName(f.Kind), f.Statement, f.Evidence, f.Advice, f.Severity, total(f.AtStake.Seconds())})
	}
	return t
}
