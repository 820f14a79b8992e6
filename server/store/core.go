package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// core is what the dialects share: all methods that read, the memory of owners and generations,
// and how a statement is run and counted. A statement has the same name, parameters and columns in
// each dialect that has it.
type core struct {
	pools  *pool.Pools
	trace  tracer
	all    *statements
	reads  readStatements
	writes writeStatements
	owners owners

	text    func(Query) (string, error) // writes a query in the language of the dialect's text index
	list    func(string) any            // how a JSON array is bound
	refresh time.Duration               // longest wait for the news of other processes
}

// readStatements are those of a store's reading methods.
type readStatements struct {
	searchIDs, count, searchPage, searchPageDetails *statement
	searchAfter, searchAfterDetails                 *statement
	searchPhrase, searchPhraseDetails               *statement // of a dialect where phrases have a cheaper way to the same page
	titles, passage, passages                       *statement
	concepts, relations, conceptsRelations          *statement
	books, book, totals, ping, owners, migrations   *statement
}

func takeReads(all *statements) readStatements {
	st := readStatements{
		searchIDs: all.take("search_ids"), count: all.take("count"),
		searchAfter: all.take("search_after"), searchAfterDetails: all.take("search_after_details"),
		searchPage: all.take("search_page"), searchPageDetails: all.take("search_page_details"),
		titles: all.take("titles"), passage: all.take("passage"), passages: all.take("passages"),
		concepts: all.take("concepts"), relations: all.take("relations"), conceptsRelations: all.take("concepts_relations"),
		books: all.take("books"), book: all.take("book"), totals: all.take("totals"), ping: all.take("ping"),
		owners: all.take("owners"), migrations: all.take("migrations"),
	}
	st.searchPhrase, st.searchPhraseDetails = st.searchPage, st.searchPageDetails
	return st
}

// writeStatements are those of what changes a library.
type writeStatements struct {
	ownerLock, ownerAdd, ownerAdvance, ownerTouch   *statement
	bookByHash, bookAdd, contentAdd, metadataAdd    *statement
	conceptsKnown, conceptAdd, linkAdd, relationAdd *statement
	bookSpan, relationsDelete, conceptsDelete       *statement
	linksDelete, metadataDelete, contentDelete      *statement
	bookDelete, migrationsCreate, migrationAdd      *statement
}

func takeWrites(all *statements) writeStatements {
	return writeStatements{
		ownerLock: all.take("owner_lock"), ownerAdd: all.take("owner_add"),
		ownerAdvance: all.take("owner_advance"), ownerTouch: all.take("owner_touch"),
		bookByHash: all.take("book_by_hash"), bookAdd: all.take("book_add"),
		contentAdd: all.take("content_add"), metadataAdd: all.take("metadata_add"),
		conceptsKnown: all.take("concepts_known"), conceptAdd: all.take("concept_add"),
		linkAdd: all.take("link_add"), relationAdd: all.take("relation_add"),
		bookSpan: all.take("book_span"), relationsDelete: all.take("relations_delete"), conceptsDelete: all.take("concepts_delete"),
		linksDelete: all.take("links_delete"), metadataDelete: all.take("metadata_delete"),
		contentDelete: all.take("content_delete"), bookDelete: all.take("book_delete"),
		migrationsCreate: all.take("migrations_create"), migrationAdd: all.take("migration_add"),
	}
}

// newCore loads the statements of a dialect.
func newCore(dialect string, pools *pool.Pools, opt Options) (*core, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	all, err := loadStatements(dialect)
	if err != nil {
		return nil, err
	}
	return &core{
		pools: pools, all: all, reads: takeReads(all), writes: takeWrites(all),
		trace:  tracer{logger: opt.Logger, slow: opt.SlowQuery, executed: opt.Executed},
		owners: owners{byName: map[string]owner{}, seen: -1},
	}, nil
}

// Ping runs the smallest statement, through the same pool as a search.
func (s *core) Ping(ctx context.Context) error {
	return s.read(ctx, s.reads.ping, "", func(*pool.Rows) error { return nil })
}

// Statements returns what each statement has cost since the store was opened, by name.
func (s *core) Statements() []StatementStats { return s.all.stats() }

// Totals returns how many books and passages scope sees.
func (s *core) Totals(ctx context.Context, scope Scope) (books, passages int, err error) {
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.reads.totals, "", func(r *pool.Rows) error {
		return r.Scan(&books, &passages)
	}, sql.Named("lo", lo), sql.Named("hi", hi))
	return books, passages, err
}

// Books returns a page of the books that scope sees, newest first, and how many there are in all.
func (s *core) Books(ctx context.Context, scope Scope, page Page) (books []Book, total int, err error) {
	offset, err := page.offset(MaxPageSize)
	if err != nil {
		return nil, 0, err
	}
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.reads.books, "", func(r *pool.Rows) error {
		var b struct {
			id, passages, words, created    sql.NullInt64
			title, author, sourceType, hash sql.NullString
		}
		err := r.Scan(&total, &b.id, &b.title, &b.author, &b.sourceType, &b.hash, &b.passages, &b.words, &b.created)
		if err != nil || !b.id.Valid {
			return err // the page is past the last book
		}
		books = append(books, Book{
			ID: b.id.Int64, Owner: scope.ownerOf(b.id.Int64),
			Title: b.title.String, Author: b.author.String, SourceType: b.sourceType.String, Hash: b.hash.String,
			Passages: int(b.passages.Int64), Words: int(b.words.Int64), CreatedAt: time.UnixMilli(b.created.Int64).UTC(),
		})
		return nil
	}, sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("page_size", page.Size), sql.Named("offset", offset))
	return books, total, err
}

// Book returns one book, or ErrNotFound when scope does not see it.
func (s *core) Book(ctx context.Context, scope Scope, id int64) (b Book, err error) {
	lo, hi, _ := s.span(ctx, scope)
	found := false
	err = s.read(ctx, s.reads.book, "", func(r *pool.Rows) error {
		found = true
		var created int64
		err := r.Scan(&b.ID, (*text)(&b.Title), (*text)(&b.Author), (*text)(&b.SourceType), &b.Hash, &b.Passages, &b.Words, &created)
		b.Owner, b.CreatedAt = scope.ownerOf(b.ID), time.UnixMilli(created).UTC()
		return err
	}, sql.Named("id", id), sql.Named("lo", lo), sql.Named("hi", hi))
	if err == nil && !found {
		err = fmt.Errorf("book %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Book{}, err
	}
	return b, nil
}

// Passage returns one passage with its text and metadata, or ErrNotFound when scope does not see it.
func (s *core) Passage(ctx context.Context, scope Scope, id int64) (p Passage, err error) {
	lo, hi, _ := s.span(ctx, scope)
	found := false
	err = s.read(ctx, s.reads.passage, "", func(r *pool.Rows) error {
		found = true
		p, err = scanPassage(r, scope)
		return err
	}, sql.Named("id", id), sql.Named("lo", lo), sql.Named("hi", hi))
	if err == nil && !found {
		err = fmt.Errorf("passage %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Passage{}, err
	}
	return p, nil
}

// Passages returns the passages with these ids that scope sees, in the order of
// ids, with their texts and metadata, by one statement. At most MaxPageSize ids.
func (s *core) Passages(ctx context.Context, scope Scope, ids []int64) ([]Passage, error) {
	return s.byIDs(ctx, scope, s.reads.passages, ids, scanPassage)
}

// Titles returns ID, BookID, Title and PageNumber of the passages with these
// ids that scope sees, in the order of ids. At most MaxPageSize ids.
func (s *core) Titles(ctx context.Context, scope Scope, ids []int64) ([]Passage, error) {
	return s.byIDs(ctx, scope, s.reads.titles, ids, func(r *pool.Rows, scope Scope) (p Passage, err error) {
		err = r.Scan(&p.ID, &p.BookID, (*text)(&p.Title), &p.PageNumber)
		p.Owner = scope.ownerOf(p.ID)
		return p, err
	})
}

// byIDs runs a statement that gives a row for each of ids that scope sees.
func (s *core) byIDs(ctx context.Context, scope Scope, st *statement, ids []int64, scan func(*pool.Rows, Scope) (Passage, error)) ([]Passage, error) {
	list, err := idList(ids, MaxPageSize)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	lo, hi, _ := s.span(ctx, scope)
	found := make([]Passage, 0, len(ids))
	err = s.read(ctx, st, "", func(r *pool.Rows) error {
		p, err := scan(r, scope)
		found = append(found, p)
		return err
	}, sql.Named("ids", s.list(list)), sql.Named("lo", lo), sql.Named("hi", hi))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// scanPassage reads the columns that the statements passage and passages share.
func scanPassage(r *pool.Rows, scope Scope) (p Passage, err error) {
	var metadata sql.NullString
	err = r.Scan(&p.ID, &p.BookID, &p.Seq, &p.PageNumber,
		(*text)(&p.Title), (*text)(&p.SourceType), (*text)(&p.Chapter), (*text)(&p.Content), &metadata)
	if err != nil {
		return p, err
	}
	p.Owner = scope.ownerOf(p.ID)
	p.Metadata, err = readMetadata(p.ID, metadata)
	return p, err
}

// text is a string column that Oracle, which keeps no empty text, may give as NULL.
type text string

// Scan implements sql.Scanner.
func (t *text) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case []byte:
		*t = text(v)
	default:
		return fmt.Errorf("column of type %T is no text", value)
	}
	return nil
}

// readMetadata returns nil when there is none.
func readMetadata(id int64, stored sql.NullString) (json.RawMessage, error) {
	if !stored.Valid || stored.String == "null" {
		return nil, nil
	}
	raw := json.RawMessage(stored.String)
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return nil, fmt.Errorf("metadata of passage %d is no JSON object", id)
	}
	return raw, nil
}

// idList returns ids as the JSON array that json_each reads: one parameter, and
// one statement in the database's cache, however many they are.
func idList(ids []int64, most int) (string, error) {
	if len(ids) > most {
		return "", fmt.Errorf("%d ids: %w, at most %d", len(ids), ErrTooMany, most)
	}
	array, err := json.Marshal(ids)
	if err != nil {
		return "", err
	}
	return string(array), nil
}
