package profiler

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	lookupRate    = 10.0 // executions per second
	lookupRows    = 1.5  // most rows per execution of a lookup
	lookupGets    = 20.0 // most blocks of memory per execution, on Oracle: the height of an index, its table, and room
	lookupLeast   = 100  // executions
	perParent     = 3.0  // lookups for each execution of the statement that listed the rows
	lookupsPerRow = 5.0  // most lookups per row listed, and most rows per lookup: a client opens one of five matches
	listsBound    = 1000 // statements that list rows

	frequentShare = 0.5 // of all executions
	frequentTimes = 3.0 // times what it would run if all ran equally often

	cacheRate    = 1.0   // executions per second, below which a cache has nothing to do
	cacheRows    = 100.0 // most rows per execution: a page, not an export
	cacheWrites  = 0.1   // most writes to its tables per execution
	cacheRepeats = 3.0   // executions per variant of its literals, where these are seen
)

// lists returns the reads that return several rows at a time, most rows first, at most listsBound of them.
func lists(rows []*Row) []*Row {
	var found []*Row
	for _, r := range rows {
		if each, ok := r.RowsPer(); ok && each >= perParent && readStatement.MatchString(r.SQL) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b *Row) int { return cmp.Compare(b.Rows, a.Rows) })
	return found[:min(len(found), listsBound)]
}

// nPlusOne finds a statement that reads one row at a time, for the rows that another statement has just listed. Running often
// with one row each is not enough: a count does that too. Its executions must be about as many as the other's rows, and on
// Oracle, which tells, each must be as cheap as a lookup.
func (f *finder) nPlusOne(r *Row) (Finding, bool) {
	rows, ok := r.RowsPer()
	gets, _ := r.Per(float64(r.Gets))
	rate := f.rate(r.Executions)
	if !ok || rows > lookupRows || gets > lookupGets || r.Executions < lookupLeast || rate < lookupRate || !readStatement.MatchString(r.SQL) {
		return Finding{}, false
	}
	var parent *Row
	nearest := lookupsPerRow
	for _, other := range f.lists {
		if !together(r, other) {
			continue
		}
		off := float64(r.Executions) / float64(other.Rows)
		if off < 1 {
			off = 1 / off
		}
		if off <= nearest && float64(r.Executions) >= perParent*float64(other.Executions) && (parent == nil || off < nearest) {
			parent, nearest = other, off
		}
	}
	if parent == nil {
		return Finding{}, false
	}
	one := Finding{
		Kind: NPlusOne, AtStake: r.Elapsed + r.AcquireWait,
		Evidence: fmt.Sprintf("%d executions (%.1f/s) with %.1f rows each, %.1f for every execution of %s, which returned %d rows",
			r.Executions, rate, rows, float64(r.Executions)/float64(parent.Executions), cmp.Or(label(parent.Name, parent.SQL), parent.SQLID), parent.Rows),
		Advice: "Read the rows at once: --phase B and later take details with the search, and POST /api/content/batch takes 1000 ids.",
	}
	if f.Kind == Oracle {
		one.Evidence += fmt.Sprintf("; %s blocks for each", each(gets))
	}
	if name, _ := split(r.Name, r.SQL); name == "" {
		one.Advice = "Read the rows at once: join it to the statement that lists them, or ask for all ids in one execution."
	}
	return one, true
}

// together tells whether two statements may be of one program: both ours or neither, and of one module where that is known.
func together(a, b *Row) bool {
	nameA, _ := split(a.Name, a.SQL)
	nameB, _ := split(b.Name, b.SQL)
	if (nameA == "") != (nameB == "") {
		return false
	}
	return a.Detail == nil || b.Detail == nil || a.Detail.Module == "" || b.Detail.Module == "" || a.Detail.Module == b.Detail.Module
}

// frequent finds what is executed most, where that is remarkable: of few statements one always is.
func (f *finder) frequent(r *Row) (Finding, bool) {
	part := float64(r.Executions) / float64(max(1, f.Total.Executions))
	if r.Executions < lookupLeast || f.rate(r.Executions) < lookupRate || part <= frequentShare || part < frequentTimes/float64(f.Active-f.Blocks) {
		return Finding{}, false
	}
	avg, _ := r.Avg()
	return Finding{
		Kind: Frequent, AtStake: r.Elapsed + r.AcquireWait,
		Evidence: fmt.Sprintf("%.0f %% of all %d executions, %.1f/s, %s s each", 100*part,
			f.Total.Executions, f.rate(r.Executions), average(avg)),
		Advice: "Each is a way to the database and back, which is not in its time: ask for several at once, or less often.",
	}, true
}

// cached are the reads whose answers a tomehub can keep, with the class that they have there.
var cached = map[string]string{
	"search_page": "content", "search_page_details": "content", "search_after": "content", "search_after_details": "content", "search_ids": "content",
	"search_phrase": "content", "search_phrase_details": "content", "count": "content", "titles": "content", "passage": "content", "passages": "content",
	"concepts": "concepts", "concepts_relations": "concepts", "relations": "relations",
	"books": "default", "book": "default", "totals": "default",
}

// classes are the plan's times, and the settings that they have here.
var classes = map[string]struct{ time, setting string }{
	"concepts":  {"60 min", "TOMEHUB_CACHE_TTL_CONCEPTS"},
	"relations": {"60 min", "TOMEHUB_CACHE_TTL_CONCEPTS"},
	"content":   {"10 min", "TOMEHUB_CACHE_TTL_CONTENT"},
	"default":   {"5 min", "TOMEHUB_CACHE_TTL_DEFAULT"},
}

var (
	ourTable  = regexp.MustCompile(`(?i)\bTOMEHUB_(CONCEPT\w*|RELATION\w*|CONTENT|SEARCH|METADATA)\b`)
	afterFrom = regexp.MustCompile(`(?i)\b(?:FROM|JOIN)\s+([\w$#.]+)`)
	written   = regexp.MustCompile(`^(?is:\s|/\*.*?\*/|--[^\n]*\n)*(?i:INSERT\s+(?:/\*.*?\*/\s*)?INTO|UPDATE|DELETE(?:\s+FROM)?|MERGE\s+INTO|TRUNCATE\s+TABLE)\s+([\w$#.]+)`)
	locking   = regexp.MustCompile(`(?i)\bFOR\s+UPDATE\b`)
)

// classOf proposes the cache's class for a statement, by its name when it is ours and else by its tables. ok is false for what
// must not be kept.
func classOf(name, sql string) (class string, ok bool) {
	if name != "" {
		class, ok = cached[name]
		return class, ok
	}
	class = "default"
	for _, m := range ourTable.FindAllStringSubmatch(sql, -1) {
		switch table := strings.ToUpper(m[1]); {
		case strings.HasPrefix(table, "CONCEPT"):
			return "concepts", true
		case strings.HasPrefix(table, "RELATION"):
			class = "relations"
		case class == "default":
			class = "content"
		}
	}
	return class, true
}

// tablesOf names the tables that a query reads, as they stand there, without their owner.
func tablesOf(sql string) []string {
	var tables []string
	for _, m := range afterFrom.FindAllStringSubmatch(sql, -1) {
		name := bare(m[1])
		if name != "DUAL" && name != "SELECT" && name != "JSON_TABLE" && !slices.Contains(tables, name) {
			tables = append(tables, name)
		}
	}
	return tables
}

func bare(table string) string { return strings.ToUpper(table[strings.LastIndexByte(table, '.')+1:]) }

// cacheable finds reads that are asked again and again, of tables that hardly change. How often the same values are asked
// for is not counted anywhere; only literals show it.
func (f *finder) cacheable(r *Row) (Finding, bool) {
	rows, ok := r.RowsPer()
	if !ok || rows > cacheRows || r.Executions < lookupLeast || f.rate(r.Executions) < cacheRate || r.Elapsed < worthwhile || cacheOn(f.Phase) {
		return Finding{}, false
	}
	name, text := split(r.Name, r.SQL)
	tables := tablesOf(text)
	class, ok := classOf(name, text)
	if !ok || len(tables) == 0 || !readStatement.MatchString(text) || locking.MatchString(text) {
		return Finding{}, false
	}
	repeats := float64(r.Executions) / float64(max(1, r.VariantCount))
	if r.VariantCount > 0 && repeats < cacheRepeats {
		return Finding{}, false
	}
	writes := f.writes(tables)
	if float64(writes) > cacheWrites*float64(r.Executions) {
		return Finding{}, false
	}
	one := Finding{
		Kind: Cacheable, AtStake: r.Elapsed + r.AcquireWait,
		Evidence: fmt.Sprintf("%d executions (%.1f/s) with %s rows each, reading only", r.Executions, f.rate(r.Executions), each(rows)),
	}
	if r.VariantCount > 0 {
		one.Evidence += fmt.Sprintf("; its %d variants came %.1f times each", r.VariantCount, repeats)
	}
	if writes == 0 {
		one.Evidence += "; no write to its tables was seen"
	} else {
		one.Evidence += fmt.Sprintf("; its tables were written to %s", times(writes))
	}
	one.Advice = cacheAdvice(f.Kind, name, class)
	return one, true
}

func cacheAdvice(kind Kind, name, class string) string {
	c := classes[class]
	switch {
	case name == "":
		return fmt.Sprintf("Keep its answers for %s (class %s) in the application that asks, where that is fresh enough.", c.time, class)
	case kind == Oracle:
		return fmt.Sprintf("Class %s, kept for %s: --phase B and later turn the cache on (TOMEHUB_QUERY_CACHE). Where it is on these are its misses: raise %s or TOMEHUB_QUERY_CACHE_SIZE.",
			class, c.time, c.setting)
	}
	return fmt.Sprintf("Class %s, kept for %s (%s): --phase B and later turn the cache on (TOMEHUB_QUERY_CACHE).", class, c.time, c.setting)
}

// cacheOn tells whether a tomehub of that phase keeps answers already: then what reaches its statements are the misses.
func cacheOn(phase string) bool { return phase == "B" || phase == "C" || phase == "D" }

// writes counts the executions of statements that change one of the tables.
func (f *finder) writes(tables []string) (executions int64) {
	if f.written == nil {
		f.written = map[string]int64{}
		for _, r := range f.rows {
			if m := written.FindStringSubmatch(r.SQL); m != nil {
				f.written[bare(m[1])] += r.Executions
			}
		}
	}
	for _, t := range tables {
		executions += f.written[t]
	}
	return executions
}
