package profiler

import (
	"crypto/md5"
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Each file is one SELECT over one view, in its v$ form.
//
//go:embed sql/oracle/*.sql
var oracleFiles embed.FS

const (
	// hinted is how every SELECT begins. CURSOR_SHARING = FORCE would replace the literals, and then the texts in the shared
	// pool were not those that we know.
	hinted  = "SELECT /*+ CURSOR_SHARING_EXACT */ "
	idsBind = "(:id)" // grows to one of listSizes
)

// listSizes are how many ids an IN list may have: few texts, and so few cursors, whatever is asked for.
var listSizes = []int{1, 10, 100}

// oracleTexts are the statements of an OracleSource.
type oracleTexts struct {
	rac   bool
	files map[string]string
	own   map[string]bool // SQL_IDs of all texts that a profiler may send, of either form
}

// oracleQuery is a statement as it is sent.
type oracleQuery struct {
	view  string // whose grant it wants, in its v$ form
	text  string
	args  []any
	bound time.Duration // 0: OracleConfig.Timeout
}

func newOracleTexts(rac bool) (*oracleTexts, error) {
	t := &oracleTexts{rac: rac, files: map[string]string{}, own: map[string]bool{}}
	err := fs.WalkDir(oracleFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := oracleFiles.ReadFile(name)
		t.files[strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "profile_"), ".sql")] = strings.TrimSpace(string(body))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the profiler's statements: %w", err)
	}
	for name, file := range t.files {
		views := []string{viewIn(file)}
		if slices.Contains(switched, name) {
			views = []string{ViewPlanHash, ViewStats, ViewSQL}
		}
		for _, view := range views {
			for _, all := range []bool{false, true} {
				for _, text := range variants(compose(file, view, all)) {
					t.own[oracleSQLID(text)] = true
				}
			}
		}
	}
	return t, nil
}

// switched are the files that are read over whichever view the statements are read from.
var switched = []string{"statements", "present", "texts", "fulltext"}

// viewIn returns the view that a file reads.
func viewIn(file string) string {
	_, behind, _ := strings.Cut(file, "\nFROM ")
	view, _, _ := strings.Cut(behind, "\n")
	return strings.TrimSpace(view)
}

// compose puts a view in place of the file's and turns a statement over v$ into one over gv$, which tells the instance first,
// unless it is of all instances together.
func compose(file, view string, rac bool) string {
	from := "\nFROM "
	text := strings.Replace(file, from+viewIn(file), from+view, 1)
	if rac && strings.HasPrefix(view, "v$") {
		text = strings.Replace(text, from+"v$", from+"gv$", 1)
		if !strings.Contains(text, "MIN(") {
			text = strings.Replace(text, hinted, hinted+"inst_id, ", 1)
		}
	}
	return text
}

// variants are the texts that a composed statement may be sent as.
func variants(text string) []string {
	all := []string{text}
	if strings.Contains(text, idsBind) {
		all = all[:0]
		for _, n := range listSizes {
			all = append(all, widen(text, n))
		}
	}
	if strings.Contains(text, ":since") {
		all = append(all, unfiltered(text))
	}
	return all
}

// unfiltered leaves out the conditions.
func unfiltered(text string) string {
	text, _, _ = strings.Cut(text, "\nWHERE ")
	return text
}

// widen makes room for n ids.
func widen(text string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", :id%d", i+1)
	}
	return strings.Replace(text, idsBind, "("+b.String()[2:]+")", 1)
}

// query is a file's statement over its own view.
func (t *oracleTexts) query(name string, args ...any) oracleQuery {
	return t.over(name, viewIn(t.files[name]), args...)
}

// over is a file's statement over a view.
func (t *oracleTexts) over(name, view string, args ...any) oracleQuery {
	return oracleQuery{view: view, text: compose(t.files[name], view, t.rac), args: args}
}

// listed are the statements, each with a list of ids of a fixed size, that together ask for all ids, largest at a time.
// The last id fills up the last list.
func (t *oracleTexts) listed(name, view string, largest int, ids []string) []oracleQuery {
	q := t.over(name, view)
	var all []oracleQuery
	for part := range slices.Chunk(ids, largest) {
		size := listSizes[slices.IndexFunc(listSizes, func(n int) bool { return n >= len(part) })]
		args := make([]any, size)
		for i := range args {
			args[i] = part[min(i, len(part)-1)]
		}
		all = append(all, oracleQuery{view: view, text: widen(q.text, size), args: args})
	}
	return all
}

// oracleSQLID is the SQL_ID that Oracle gives a text: the last 64 bits of its MD5, a zero byte included, as two
// little-endian words, in 13 digits of base 32. That `select * from dual` is a5ks9fhw2v9s1 is known from many databases.
func oracleSQLID(text string) string {
	sum := md5.Sum(append([]byte(text), 0))
	n := uint64(binary.LittleEndian.Uint32(sum[8:]))<<32 | uint64(binary.LittleEndian.Uint32(sum[12:]))
	var id [13]byte
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = "0123456789abcdfghjkmnpqrstuvwxyz"[n%32]
		n /= 32
	}
	return string(id[:])
}
