package profiler

import (
	"cmp"
	"fmt"
	"slices"
)

const (
	waitShare    = 0.2 // of a statement's time
	blockedLeast = 3   // samples: one or two may be the ordinary wait for a commit
)

// locked finds statements that wait for locks: by their counters, and by the samples of sessions, which also see waits that
// have not ended.
func (f *finder) locked(r *Row) (Finding, bool) {
	seen := f.blocked(r)
	counted := r.Application >= worthwhile && share(r.Application, r.Elapsed) >= waitShare
	if !counted && seen < blockedLeast {
		return Finding{}, false
	}
	one := f.lock(r.Name, r.SQL, seen, f.holders(r.SQLID, r.Variants))
	if counted {
		one.Evidence = fmt.Sprintf("%s of its %.2f s waited for locks of the application", percent(min(1, share(r.Application, r.Elapsed))), r.Elapsed.Seconds()) +
			prefixed("; ", one.Evidence)
		one.AtStake = max(one.AtStake, r.Application)
	}
	return one, true
}

// blocked counts the samples in which a session waited in the statement for another session.
func (f *finder) blocked(r *Row) int {
	if f.Activity == nil || r.SQLID == "" {
		return 0
	}
	n := 0
	for i, id := range append([]string{r.SQLID}, r.Variants...) {
		if i == 0 || id != r.SQLID {
			n += f.Activity.Blocked[id]
		}
	}
	return n
}

// lockedUnseen finds waits that no counter of the window shows: of statements that left it, or whose execution has not ended.
func (f *finder) lockedUnseen() []Finding {
	if f.Activity == nil {
		return nil
	}
	told := map[string]bool{}
	for _, r := range f.rows {
		told[r.SQLID] = true
		for _, id := range r.Variants {
			told[id] = true
		}
	}
	var found []Finding
	for _, id := range byCount(f.Activity.Blocked) {
		n := f.Activity.Blocked[id]
		if n < blockedLeast || told[id] && id != "" || len(found) == findingsBound {
			continue
		}
		one := f.lock("", "", n, f.holders(id, nil))
		one.Statement, one.SQLID = id, id
		found = append(found, one)
	}
	return found
}

// lock tells what the samples of sessions show of a wait.
func (f *finder) lock(name, sql string, seen int, holders []Lock) Finding {
	one := Finding{
		Kind:   Locked,
		Advice: "Make the transactions that hold the lock shorter: no work of others between their first change and their commit.",
	}
	if own, _ := split(name, sql); own == "library_lock" || own == "owner_lock" || own == "library_advance" {
		one.Advice = "Commits of ingests stand in line for one library; more write connections (DB_POOL_WRITE_SIZE) make that line longer, not faster. Ingest fewer books at a time."
	}
	if a := f.Activity; a != nil && seen > 0 {
		sessions := float64(seen) / float64(max(1, a.Samples))
		one.AtStake = Micros(sessions * float64(f.WindowUS))
		one.Evidence = fmt.Sprintf("%.2f sessions stood blocked on average", sessions)
	}
	if len(holders) == 0 {
		return one
	}
	h := holders[0]
	who := fmt.Sprintf("session %d", h.Holder)
	if h.Instance > 0 {
		who += fmt.Sprintf(" of instance %d", h.Instance)
	}
	if h.Module != "" {
		who += ", " + h.Module
	}
	switch {
	case h.Idle:
		who += ", which did nothing itself"
		one.Advice = fmt.Sprintf("Session %d sits in an open transaction: find out who forgot to commit, and end it (ALTER SYSTEM KILL SESSION) when nobody needs it.", h.Holder)
	case h.SQLID != "":
		who += ", which ran " + f.named(h.SQLID)
	}
	if h.Event != "" {
		one.Evidence += " (" + h.Event + ")"
	}
	one.Evidence += fmt.Sprintf(", most often by %s: %s", who, plural(h.Samples, "sample"))
	return one
}

// holders are the sessions that others waited for in one statement, most samples first.
func (f *finder) holders(id string, variants []string) []Lock {
	if f.Activity == nil {
		return nil
	}
	var found []Lock
	for _, l := range f.Activity.Locks {
		if l.Waiting == id || slices.Contains(variants, l.Waiting) {
			found = append(found, l)
		}
	}
	return found
}

// named is how the report calls the statement of an SQLID.
func (f *finder) named(id string) string {
	for _, r := range f.rows {
		if r.SQLID == id {
			return cmp.Or(label(r.Name, r.SQL), id)
		}
	}
	return id
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// contention finds waits for what sessions share in memory.
func contention(r *Row) (Finding, bool) {
	return waits(Contention, "latches, mutexes and hot blocks", r, r.Concurrency,
		"Many sessions change or parse the same at once: see the top event of the sessions; buffer busy waits want fewer writers of one block, library cache and cursor waits fewer parses.")
}

// cluster finds waits for blocks of other instances.
func cluster(r *Row) (Finding, bool) {
	return waits(Cluster, "other instances", r, r.Cluster,
		"Let one instance do this work (a service of its own), so that its blocks stay there.")
}

func waits(kind, what string, r *Row, of Micros, advice string) (Finding, bool) {
	if of < worthwhile || share(of, r.Elapsed) < waitShare {
		return Finding{}, false
	}
	return Finding{
		Kind: kind, AtStake: of, Advice: advice,
		Evidence: fmt.Sprintf("%s of its %.2f s waited for %s", percent(min(1, share(of, r.Elapsed))), r.Elapsed.Seconds(), what),
	}, true
}
