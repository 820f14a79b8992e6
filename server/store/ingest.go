package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/words"
)

// ingest is one book on its way into the library.
type ingest struct {
	c    *core
	tx   *pool.Tx
	book NewBook
	each each

	owner                 int64 // number
	lastBook, lastPassage int64 // ids given so far
	lastConcept           int64
	bookID, first         int64
	conceptIDs            []int64  // by index into book.Concepts; 0: not stored
	conceptFolds          []string // the folded names
}

// execer takes one row for the statement of a step, its values in the order of the
// statement's parameters, as int, int64, float64 or string.
type execer func(values ...any) error

// each hands do an execer of st and returns when all rows are stored: the dialect's way to run
// one statement for many rows.
type each func(ctx context.Context, st *statement, do func(execer) error) error

// begin gives the book and its passages their ids, after what the owner has been given.
func (in *ingest) begin() error {
	in.bookID, in.first = in.lastBook+1, in.lastPassage+1
	n := int64(len(in.book.Passages))
	if end := (in.owner + 1) << ownerShift; in.lastPassage+n >= end || in.lastConcept+int64(len(in.book.Concepts)) >= end {
		return fmt.Errorf("owner has no ids left for %d passages: %w, at most 2^%d in all", n, ErrTooMany, ownerShift)
	}
	return nil
}

// advance are the arguments of owner_advance: the ids given last.
func (in *ingest) advance() []any {
	return []any{
		sql.Named("owner", in.owner), sql.Named("book", in.bookID),
		sql.Named("passage", in.lastPassage+int64(len(in.book.Passages))), sql.Named("concept", in.lastConcept),
	}
}

// store stores the book under the ids that come next, without a word of it to the owner's row, or
// finds that the owner has it already. addPassages is the dialect's part.
func (in *ingest) store(ctx context.Context, addPassages func(context.Context) error) (Ingested, error) {
	dup, found, err := in.duplicate(ctx)
	if err != nil || found {
		return dup, err
	}
	if err := in.begin(); err != nil {
		return Ingested{}, err
	}
	for _, step := range []func(context.Context) error{in.addBook, addPassages, in.addConcepts, in.addRelations} {
		if err := step(ctx); err != nil {
			return Ingested{}, err
		}
	}
	return Ingested{BookID: in.bookID, PassageIDs: sequence(in.first, int64(len(in.book.Passages)))}, nil
}

// one runs a statement that must return exactly one row.
func (in *ingest) one(ctx context.Context, st *statement, dest []any, args ...any) error {
	n := 0
	err := in.c.trace.query(ctx, in.tx, nil, st, "", func(r *pool.Rows) error {
		n++
		return r.Scan(dest...)
	}, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("run %s: %d rows: %w", st.name, n, sql.ErrNoRows)
	}
	return err
}

// duplicate looks for a book of the owner with the same hash.
func (in *ingest) duplicate(ctx context.Context) (dup Ingested, found bool, err error) {
	err = in.c.trace.query(ctx, in.tx, nil, in.c.writes.bookByHash, "", func(r *pool.Rows) error {
		var first, n int64
		err := r.Scan(&dup.BookID, &first, &n)
		dup.Duplicate, dup.PassageIDs = true, sequence(first, n)
		return err
	}, sql.Named("owner", in.owner), sql.Named("hash", in.book.Hash))
	return dup, dup.Duplicate, err
}

func sequence(first, n int64) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = first + int64(i)
	}
	return ids
}

func (in *ingest) addBook(ctx context.Context) error {
	count := 0
	for _, p := range in.book.Passages {
		count += countWords(p.Content)
	}
	b := in.book
	return in.c.trace.exec(ctx, in.tx, in.c.writes.bookAdd,
		sql.Named("id", in.bookID), sql.Named("title", valid(b.Title)), sql.Named("author", valid(b.Author)),
		sql.Named("source_type", valid(b.SourceType)), sql.Named("hash", b.Hash),
		sql.Named("first_passage", in.first), sql.Named("passages", len(b.Passages)),
		sql.Named("words", count), sql.Named("created_at_ms", time.Now().UnixMilli()))
}

// countWords counts as readers do: runs between spaces that have a letter or a digit.
func countWords(s string) (n int) {
	counted := false
	for _, r := range s {
		switch {
		case counted && r != ' ' && r < utf8.RuneSelf && r > ' ': // within a word, mostly
		case unicode.IsSpace(r):
			counted = false
		case !counted && (unicode.IsLetter(r) || unicode.IsNumber(r)):
			counted = true
			n++
		}
	}
	return n
}

// valid makes s valid UTF-8, which JSON and the index presuppose.
func valid(s string) string {
	if utf8.ValidString(s) { // many times faster, and nearly always so
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// contentRows gives the values of content_add, a row for each passage.
func (in *ingest) contentRows(exec execer) error {
	b := in.book
	title, sourceType := valid(b.Title), valid(b.SourceType)
	for i, p := range b.Passages {
		if err := exec(in.first+int64(i), in.bookID, i, p.PageNumber, title, sourceType, valid(p.Chapter), valid(p.Content)); err != nil {
			return err
		}
	}
	return nil
}

// metadataRows gives the values of metadata_add, a row for each passage that has some.
func (in *ingest) metadataRows(exec execer) error {
	for i, p := range in.book.Passages {
		if p.Metadata == nil {
			continue
		}
		text, err := json.Marshal(p.Metadata)
		if err != nil {
			return fmt.Errorf("metadata of passage %d: %w", i, err)
		}
		if err := exec(in.first+int64(i), string(text)); err != nil {
			return err
		}
	}
	return nil
}

// addConcepts enters the concepts that the owner does not have yet and links all to their passages.
func (in *ingest) addConcepts(ctx context.Context) error {
	b := in.book
	in.conceptIDs = make([]int64, len(b.Concepts))
	in.conceptFolds = make([]string, len(b.Concepts))
	known := map[string]int64{} // folded name → id; 0: not known yet
	var folds []string
	for i, c := range b.Concepts {
		fold := words.IndexText(c.Name)
		if fold == "" || len(c.Passages) == 0 {
			continue
		}
		in.conceptFolds[i] = fold
		if _, ok := known[fold]; !ok {
			known[fold] = 0
			folds = append(folds, fold)
		}
	}
	if len(folds) == 0 {
		return nil
	}
	if err := in.knownConcepts(ctx, folds, known); err != nil {
		return err
	}
	err := in.each(ctx, in.c.writes.conceptAdd, func(exec execer) error {
		for i, fold := range in.conceptFolds {
			if fold == "" {
				continue
			}
			if known[fold] == 0 {
				in.lastConcept++
				known[fold] = in.lastConcept
				if err := exec(in.lastConcept, strings.TrimSpace(valid(b.Concepts[i].Name)), fold); err != nil {
					return err
				}
			}
			in.conceptIDs[i] = known[fold]
		}
		return nil
	})
	if err != nil {
		return err
	}
	return in.addLinks(ctx)
}

// knownConcepts fills in the ids of those names that the owner has already.
func (in *ingest) knownConcepts(ctx context.Context, folds []string, known map[string]int64) error {
	list, err := json.Marshal(folds)
	if err != nil {
		return err
	}
	return in.c.trace.query(ctx, in.tx, nil, in.c.writes.conceptsKnown, "", func(r *pool.Rows) error {
		var i int
		var id int64
		if err := r.Scan(&i, &id); err != nil {
			return err
		}
		known[folds[i]] = id
		return nil
	}, sql.Named("folded", in.c.list(string(list))), sql.Named("owner", in.owner))
}

// addLinks stores which passages carry which concepts. A passage that carries
// one under two spellings carries it once, with the larger weight.
func (in *ingest) addLinks(ctx context.Context) error {
	type link struct {
		concept int64
		weight  float64
	}
	byPassage := make([][]link, len(in.book.Passages))
	for i, c := range in.book.Concepts {
		if id := in.conceptIDs[i]; id != 0 {
			for _, p := range c.Passages {
				byPassage[p] = append(byPassage[p], link{id, c.Score})
			}
		}
	}
	return in.each(ctx, in.c.writes.linkAdd, func(exec execer) error {
		for i, links := range byPassage {
			slices.SortFunc(links, func(a, b link) int {
				return cmp.Or(cmp.Compare(a.concept, b.concept), cmp.Compare(b.weight, a.weight))
			})
			links = slices.CompactFunc(links, func(a, b link) bool { return a.concept == b.concept })
			for _, l := range links {
				if err := exec(in.first+int64(i), l.concept, l.weight); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// addRelations stores the book's relations, one row per pair, the concept whose
// folded name comes first as its source.
func (in *ingest) addRelations(ctx context.Context) error {
	type pair struct{ source, target int64 }
	weights := map[pair]float64{}
	var order []pair // a map's order would make the file differ from run to run
	for _, r := range in.book.Relations {
		a, b := r.Source, r.Target
		if in.conceptFolds[a] > in.conceptFolds[b] {
			a, b = b, a
		}
		p := pair{in.conceptIDs[a], in.conceptIDs[b]}
		if p.source == 0 || p.target == 0 || p.source == p.target {
			continue // a concept that is not stored, or two spellings of one
		}
		if _, ok := weights[p]; !ok {
			order = append(order, p)
		}
		weights[p] += r.Weight
	}
	if len(order) == 0 {
		return nil
	}
	return in.each(ctx, in.c.writes.relationAdd, func(exec execer) error {
		for _, p := range order {
			if err := exec(p.source, p.target, in.bookID, RelationCoOccurs, weights[p]); err != nil {
				return err
			}
		}
		return nil
	})
}
