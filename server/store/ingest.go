package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/words"
)

// Ingest stores a book, its passages, concepts and relations, in one
// transaction: a crash, an error or the end of ctx leaves all of it or nothing,
// so no search ever finds half a book and the same book can simply be sent
// again. When Ingest returns, the book is on disk.
//
// A book whose hash the owner has already is not stored again; that is decided
// inside the transaction, so of two that arrive together one is the duplicate.
// Faults of b itself are ErrInvalid. A large book is no slow query: ctx bounds it,
// not the pools' bound on statements.
func (s *SQLite) Ingest(ctx context.Context, b NewBook) (Ingested, error) {
	if err := b.validate(); err != nil {
		return Ingested{}, err
	}
	ctx = pool.WithoutQueryTimeout(ctx)
	var done Ingested
	var in ingest
	err := s.write(ctx, s.st.ownerLock, func(tx *pool.Tx) error {
		in = ingest{s: s, tx: tx, book: b}
		var err error
		done, err = in.run(ctx)
		return err
	})
	if err != nil {
		return Ingested{}, fmt.Errorf("store book: %w", err)
	}
	if !done.Duplicate {
		s.owners.publish(b.Owner, in.owner, done.Generation)
	}
	shared, own, _ := s.owners.of(b.Owner)
	done.Generation = max(shared.generation, own.generation)
	return done, nil
}

// ingest is one book on its way into the library.
type ingest struct {
	s    *SQLite
	tx   *pool.Tx
	book NewBook

	owner                 int64 // number
	lastBook, lastPassage int64 // ids given so far
	lastConcept           int64
	bookID, first         int64
	conceptIDs            []int64  // by index into book.Concepts; 0: not stored
	conceptFolds          []string // the folded names
}

func (in *ingest) run(ctx context.Context) (Ingested, error) {
	if err := in.lockOwner(ctx); err != nil {
		return Ingested{}, err
	}
	dup, found, err := in.duplicate(ctx)
	if err != nil || found {
		return dup, err
	}
	in.bookID, in.first = in.lastBook+1, in.lastPassage+1
	n := int64(len(in.book.Passages))
	if end := (in.owner + 1) << ownerShift; in.lastPassage+n >= end || in.lastConcept+int64(len(in.book.Concepts)) >= end {
		return Ingested{}, fmt.Errorf("owner has no ids left for %d passages: %w, at most 2^%d in all", n, ErrTooMany, ownerShift)
	}
	for _, step := range []func(context.Context) error{in.addBook, in.addPassages, in.addConcepts, in.addRelations} {
		if err := step(ctx); err != nil {
			return Ingested{}, err
		}
	}
	done := Ingested{BookID: in.bookID, PassageIDs: sequence(in.first, n)}
	err = in.one(ctx, in.s.st.ownerAdvance, []any{&done.Generation},
		sql.Named("owner", in.owner), sql.Named("book", in.bookID),
		sql.Named("passage", in.lastPassage+n), sql.Named("concept", in.lastConcept))
	return done, err
}

// one runs a statement that must return exactly one row.
func (in *ingest) one(ctx context.Context, st *statement, dest []any, args ...any) error {
	n := 0
	err := in.s.trace.query(ctx, in.tx, nil, st, "", func(r *pool.Rows) error {
		n++
		return r.Scan(dest...)
	}, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("run %s: %d rows: %w", st.name, n, sql.ErrNoRows)
	}
	return err
}

// lockOwner reads what ids the owner has been given, and enters a new owner.
func (in *ingest) lockOwner(ctx context.Context) error {
	dest := []any{&in.owner, &in.lastBook, &in.lastPassage, &in.lastConcept}
	err := in.one(ctx, in.s.st.ownerLock, dest, sql.Named("owner", in.book.Owner))
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := in.one(ctx, in.s.st.ownerAdd, dest, sql.Named("owner", in.book.Owner)); err != nil {
		return fmt.Errorf("enter owner (a library has at most 2^21): %w", err)
	}
	return nil
}

// duplicate looks for a book of the owner with the same hash.
func (in *ingest) duplicate(ctx context.Context) (dup Ingested, found bool, err error) {
	err = in.s.trace.query(ctx, in.tx, nil, in.s.st.bookByHash, "", func(r *pool.Rows) error {
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
	return in.s.trace.exec(ctx, in.tx, in.s.st.bookAdd,
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

// addPassages stores texts, metadata and words table by table, each by one
// prepared statement: going through a table's rows in the order of their ids
// appends to its file pages instead of jumping between them.
func (in *ingest) addPassages(ctx context.Context) error {
	b, st := in.book, &in.s.st
	title, sourceType := valid(b.Title), valid(b.SourceType)
	err := in.each(ctx, st.contentAdd, func(exec execer) error {
		for i, p := range b.Passages {
			if err := exec(in.first+int64(i), in.bookID, i, p.PageNumber, title, sourceType, valid(p.Chapter), valid(p.Content)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = in.each(ctx, st.metadataAdd, func(exec execer) error {
		for i, p := range b.Passages {
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
	})
	if err != nil {
		return err
	}
	return in.each(ctx, st.wordsAdd, func(exec execer) error {
		var index words.Indexer
		for i, p := range b.Passages {
			if err := exec(in.first+int64(i), index.Text(p.Content)); err != nil {
				return err
			}
		}
		return nil
	})
}

// execer runs the prepared statement of one step with its arguments.
type execer func(args ...any) error

// each prepares st and hands do a way to run it for one row after another. One
// row at a time: several in one statement save a tenth for plain tables, and cost
// the full-text index as much, because it writes its buffer out before each.
func (in *ingest) each(ctx context.Context, st *statement, do func(execer) error) error {
	stmt, err := in.tx.Prepare(ctx, st.text)
	if err != nil {
		return fmt.Errorf("run %s: %w", st.name, err)
	}
	defer stmt.Close()
	// The driver watches a context by a goroutine per row, which costs as much
	// as a small row; asking between the rows does as well. The end of ctx undoes
	// the transaction in any case.
	unwatched := context.WithoutCancel(ctx)
	return in.s.trace.batch(ctx, st, func(rows *int64) error {
		return do(func(args ...any) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if _, err := stmt.Exec(unwatched, args...); err != nil {
				return fmt.Errorf("run %s: %w", st.name, err)
			}
			*rows++
			return nil
		})
	})
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
	err := in.each(ctx, in.s.st.conceptAdd, func(exec execer) error {
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
	return in.s.trace.query(ctx, in.tx, nil, in.s.st.conceptsKnown, "", func(r *pool.Rows) error {
		var i int
		var id int64
		if err := r.Scan(&i, &id); err != nil {
			return err
		}
		known[folds[i]] = id
		return nil
	}, sql.Named("folded", string(list)), sql.Named("owner", in.owner))
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
	return in.each(ctx, in.s.st.linkAdd, func(exec execer) error {
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
	return in.each(ctx, in.s.st.relationAdd, func(exec execer) error {
		for _, p := range order {
			if err := exec(p.source, p.target, in.bookID, RelationCoOccurs, weights[p]); err != nil {
				return err
			}
		}
		return nil
	})
}
