package profiler

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// judge gives a statement its outcome, by its rate and by its time per execution.
func (c *Comparison) judge(ch *Change) {
	then, now := ch.Then, ch.Now
	switch {
	case then == nil && c.incomplete:
		ch.Outcome = Unknown
	case then == nil:
		ch.Outcome = alone(Added, now, c.Then.WindowUS)
	case now == nil:
		ch.Outcome = alone(Gone, then, c.Now.WindowUS)
	default:
		ch.Outcome, ch.Why = both(then, now, c.Then.WindowUS, c.Now.WindowUS)
	}
}

// alone is the outcome of a statement that ran in one window only. It says something only if the other window, had nothing changed,
// would have seen it too.
func alone(o Outcome, l *Load, other Micros) Outcome {
	if l.PerSecond*other.Seconds() < expectedLeast {
		return Few
	}
	return o
}

// direction is -1, 0 or 1.
func direction(factor float64) int {
	switch {
	case factor >= changedFactor:
		return 1
	case factor <= 1/changedFactor:
		return -1
	}
	return 0
}

func both(then, now *Load, thenWindow, nowWindow Micros) (Outcome, string) {
	if min(then.Executions, now.Executions) < fewExecutions {
		return Few, fmt.Sprintf("%d and %d executions", then.Executions, now.Executions)
	}
	if max(then.TimePerSecond, now.TimePerSecond) < worthPerSecond {
		return Same, ""
	}
	before, _ := then.Avg() // there are executions
	after, _ := now.Avg()
	slower, often := 0, 0
	if before > 0 && after > 0 {
		slower = direction(after / before)
	}
	// Two counts of random events differ by chance; by three deviations they do not.
	deviation := math.Sqrt(then.PerSecond/thenWindow.Seconds() + now.PerSecond/nowWindow.Seconds())
	if math.Abs(now.PerSecond-then.PerSecond) >= deviations*deviation {
		often = direction(now.PerSecond / then.PerSecond)
	}
	var why []string
	switch slower {
	case 1:
		why = append(why, "slower"+byFactor(after/before))
	case -1:
		why = append(why, "faster"+byFactor(before/after))
	}
	switch often {
	case 1:
		why = append(why, "more often"+byFactor(now.PerSecond/then.PerSecond))
	case -1:
		why = append(why, "less often"+byFactor(then.PerSecond/now.PerSecond))
	}
	sum := slower + often
	if sum == 0 && slower != 0 { // one against the other: what it takes of each second decides
		if sum = direction(now.TimePerSecond / then.TimePerSecond); sum == 0 {
			return Mixed, strings.Join(why, ", ")
		}
	}
	switch {
	case sum > 0:
		return Worse, strings.Join(why, ", ")
	case sum < 0:
		return Better, strings.Join(why, ", ")
	}
	return Same, ""
}

// byFactor writes a factor.
func byFactor(f float64) string {
	if f >= 10 {
		return fmt.Sprintf(" ×%.0f", f)
	}
	return fmt.Sprintf(" ×%.1f", f)
}

// sentence tells the most important: the time of the database, and the findings that came or went.
func (c *Comparison) sentence() string {
	few := func(p *Profile) bool { return p.Total.Executions < fewExecutions }
	before, after := c.Then.Total.Elapsed.Seconds()/c.Then.WindowUS.Seconds(), c.Now.Total.Elapsed.Seconds()/c.Now.WindowUS.Seconds()
	said := fmt.Sprintf("Time in the database per second: %s → %s s", significant(before), significant(after))
	if before > 0 {
		said += fmt.Sprintf(" (%s)", risen(after/before))
	}
	switch {
	case few(c.Now) && !few(c.Then):
		return said + fmt.Sprintf("; only %s ran now, so that nothing is proven.", plural(c.Now.Total.Executions, "execution"))
	case few(c.Then):
		return said + fmt.Sprintf("; only %s ran then, so that nothing is proven.", plural(c.Then.Total.Executions, "execution"))
	}
	for _, part := range []struct {
		findings []Finding
		what     string
	}{{c.Arisen, "new"}, {c.Solved, "gone"}} {
		serious := slices.DeleteFunc(slices.Clone(part.findings), func(f Finding) bool { return f.Severity == Low })
		var names []string
		for _, f := range serious[:min(len(serious), 3)] {
			names = append(names, f.Title())
		}
		if len(names) == 0 {
			continue
		}
		verb := " is "
		if len(serious) > 1 {
			verb = " are "
		}
		if n := len(serious) - len(names); n > 0 {
			names = append(names, fmt.Sprintf("%d more", n))
		}
		said += "; " + enumerate(names) + verb + part.what
	}
	return said + "."
}

// enumerate joins names as a sentence does.
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// risen writes a change as a signed percentage; beyond ten times as much a factor reads better.
func risen(factor float64) string {
	switch change := 100 * (factor - 1); {
	case factor > 10:
		return strings.TrimSpace(byFactor(factor))
	case change <= -0.5:
		return fmt.Sprintf("−%.0f %%", -change)
	case change >= 0.5:
		return fmt.Sprintf("+%.0f %%", change)
	}
	return "±0 %"
}

// significant writes a number with two digits that matter.
func significant(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 10:
		return fmt.Sprintf("%.0f", v)
	case v >= 0.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.*f", min(9, 1-int(math.Floor(math.Log10(v)))), v)
}

// differences names what is not the same about the two profiles, besides their statements.
func differences(then, now *Profile) []string {
	var list []string
	for _, d := range []struct{ what, then, now string }{
		{"source", then.Source, now.Source}, {"server", then.Server, now.Server}, {"phase", then.Phase, now.Phase}, {"view", then.View, now.View},
	} {
		if d.then != d.now {
			list = append(list, fmt.Sprintf("The %s differs: %s then, %s now.", d.what, orNone(d.then), orNone(d.now)))
		}
	}
	return list
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
