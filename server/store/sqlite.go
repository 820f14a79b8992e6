package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"database/sql"

	"github.com/tomehub/tomehub/internal/pool"
)

// Options are the settings of a store.
type Options struct {
	Logger    *slog.Logger  // nil discards
	SlowQuery time.Duration // statements that take at least this long, waits for connections not counted, are logged at warn; 0: none
}

// SQLite is a library in one SQLite file. It is safe for concurrent use, and so
// are several processes on one file.
type SQLite struct {
	pools  *pool.Pools
	trace  tracer
	all    *statements
	st     sqliteStatements
	owners owners
}

// sqliteStatements are the statements by their use.
type sqliteStatements struct {
	searchIDs, count, searchPage, searchPageDetails *statement
	searchAfter, searchAfterDetails                 *statement
	searchPhrase, searchPhraseDetails               *statement
	titles, passage, passages                       *statement
	concepts, relations, conceptsRelations          *statement
	books, book, totals, ping, owners, libraryFile  *statement

	ownerLock, ownerAdd, ownerAdvance, ownerTouch   *statement
	bookByHash, bookAdd                             *statement
	contentAdd, metadataAdd, wordsAdd               *statement
	conceptsKnown, conceptAdd, linkAdd, relationAdd *statement
	bookSpan, relationsDelete, conceptsDelete       *statement
	linksDelete, wordsDelete                        *statement
	metadataDelete, contentDelete, bookDelete       *statement
	optimize, changes, checkpoint                   *statement
	migrationsCreate, migrationsKnown               *statement
	migrations, migrationAdd                        *statement
}

func takeSQLite(all *statements) sqliteStatements {
	return sqliteStatements{
		searchIDs: all.take("search_ids"), count: all.take("count"),
		searchAfter: all.take("search_after"), searchAfterDetails: all.take("search_after_details"),
		searchPage: all.take("search_page"), searchPageDetails: all.take("search_page_details"),
		searchPhrase: all.take("search_phrase"), searchPhraseDetails: all.take("search_phrase_details"),
		titles: all.take("titles"), passage: all.take("passage"), passages: all.take("passages"),
		concepts: all.take("concepts"), relations: all.take("relations"), conceptsRelations: all.take("concepts_relations"),
		books: all.take("books"), book: all.take("book"), totals: all.take("totals"), ping: all.take("ping"),
		owners: all.take("owners"), libraryFile: all.take("library_file"),

		ownerLock: all.take("owner_lock"), ownerAdd: all.take("owner_add"),
		ownerAdvance: all.take("owner_advance"), ownerTouch: all.take("owner_touch"),
		bookByHash: all.take("book_by_hash"), bookAdd: all.take("book_add"),
		contentAdd: all.take("content_add"), metadataAdd: all.take("metadata_add"), wordsAdd: all.take("words_add"),
		conceptsKnown: all.take("concepts_known"), conceptAdd: all.take("concept_add"),
		linkAdd: all.take("link_add"), relationAdd: all.take("relation_add"),
		bookSpan: all.take("book_span"), relationsDelete: all.take("relations_delete"), conceptsDelete: all.take("concepts_delete"),
		linksDelete: all.take("links_delete"), wordsDelete: all.take("words_delete"),
		metadataDelete: all.take("metadata_delete"), contentDelete: all.take("content_delete"), bookDelete: all.take("book_delete"),
		optimize: all.take("optimize"), changes: all.take("changes"), checkpoint: all.take("checkpoint"),
		migrationsCreate: all.take("migrations_create"), migrationsKnown: all.take("migrations_known"),
		migrations: all.take("migrations"), migrationAdd: all.take("migration_add"),
	}
}

// OpenSQLite brings the library behind pools to the newest schema and returns its
// store. The store does not own the pools: closing them ends it. Opening may
// take as long as ctx allows: the pools' bound on statements does not hold for it.
func OpenSQLite(ctx context.Context, pools *pool.Pools, opt Options) (*SQLite, error) {
	files, err := fs.Sub(migrationFiles, "migrations/sqlite")
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	steps, err := loadMigrations(files)
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	return openSQLite(ctx, pools, opt, steps)
}

func openSQLite(ctx context.Context, pools *pool.Pools, opt Options, steps []migration) (*SQLite, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	all, err := loadStatements("sqlite")
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	s := &SQLite{
		pools: pools, all: all, st: takeSQLite(all),
		trace:  tracer{logger: opt.Logger, slow: opt.SlowQuery},
		owners: owners{byName: map[string]owner{}, seen: -1},
	}
	if err := all.done(); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	ctx = pool.WithoutQueryTimeout(ctx) // a migration goes through the whole library, readOwners through all owners
	var file string
	if err := s.read(ctx, s.st.libraryFile, "", func(r *pool.Rows) error { return r.Scan(&file) }); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	if err := s.migrate(ctx, steps); err != nil {
		return nil, fmt.Errorf("open library %s: %w", file, err)
	}
	w := &s.owners.watch
	w.files, w.began = []string{file, file + "-wal"}, time.Now()
	if err := s.readOwners(ctx); err != nil {
		return nil, fmt.Errorf("open library %s: %w", file, err)
	}
	return s, nil
}

// Ping runs the smallest statement, through the same pool as a search.
func (s *SQLite) Ping(ctx context.Context) error {
	return s.read(ctx, s.st.ping, "", func(*pool.Rows) error { return nil })
}

// Statements returns what each statement has cost since the store was opened, by name.
func (s *SQLite) Statements() []StatementStats { return s.all.stats() }

// Totals returns how many books and passages scope sees.
func (s *SQLite) Totals(ctx context.Context, scope Scope) (books, passages int, err error) {
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.st.totals, "", func(r *pool.Rows) error {
		return r.Scan(&books, &passages)
	}, sql.Named("lo", lo), sql.Named("hi", hi))
	return books, passages, err
}

// Books returns a page of the books that scope sees, newest first, and how many there are in all.
func (s *SQLite) Books(ctx context.Context, scope Scope, page Page) (books []Book, total int, err error) {
	offset, err := page.offset(MaxPageSize)
	if err != nil {
		return nil, 0, err
	}
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.st.books, "", func(r *pool.Rows) error {
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
	}, sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("size", page.Size), sql.Named("offset", offset))
	return books, total, err
}

// Book returns one book, or ErrNotFound when scope does not see it.
func (s *SQLite) Book(ctx context.Context, scope Scope, id int64) (b Book, err error) {
	lo, hi, _ := s.span(ctx, scope)
	found := false
	err = s.read(ctx, s.st.book, "", func(r *pool.Rows) error {
		found = true
		var created int64
		err := r.Scan(&b.ID, &b.Title, &b.Author, &b.SourceType, &b.Hash, &b.Passages, &b.Words, &created)
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
func (s *SQLite) Passage(ctx context.Context, scope Scope, id int64) (p Passage, err error) {
	lo, hi, _ := s.span(ctx, scope)
	found := false
	err = s.read(ctx, s.st.passage, "", func(r *pool.Rows) error {
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
func (s *SQLite) Passages(ctx context.Context, scope Scope, ids []int64) ([]Passage, error) {
	list, err := idList(ids, MaxPageSize)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	lo, hi, _ := s.span(ctx, scope)
	found := make([]Passage, 0, len(ids))
	err = s.read(ctx, s.st.passages, "", func(r *pool.Rows) error {
		p, err := scanPassage(r, scope)
		found = append(found, p)
		return err
	}, sql.Named("ids", list), sql.Named("lo", lo), sql.Named("hi", hi))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Titles returns ID, BookID, Title and PageNumber of the passages with these
// ids that scope sees, in the order of ids. At most MaxPageSize ids.
func (s *SQLite) Titles(ctx context.Context, scope Scope, ids []int64) ([]Passage, error) {
	list, err := idList(ids, MaxPageSize)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	lo, hi, _ := s.span(ctx, scope)
	found := make([]Passage, 0, len(ids))
	err = s.read(ctx, s.st.titles, "", func(r *pool.Rows) error {
		var p Passage
		err := r.Scan(&p.ID, &p.BookID, &p.Title, &p.PageNumber)
		p.Owner = scope.ownerOf(p.ID)
		found = append(found, p)
		return err
	}, sql.Named("ids", list), sql.Named("lo", lo), sql.Named("hi", hi))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// scanPassage reads the columns that the statements passage and passages share.
func scanPassage(r *pool.Rows, scope Scope) (p Passage, err error) {
	var metadata sql.NullString
	err = r.Scan(&p.ID, &p.BookID, &p.Seq, &p.PageNumber, &p.Title, &p.SourceType, &p.Chapter, &p.Content, &metadata)
	if err != nil {
		return p, err
	}
	p.Owner = scope.ownerOf(p.ID)
	p.Metadata, err = readMetadata(p.ID, metadata)
	return p, err
}

// readMetadata returns nil when there is none.
func readMetadata(id int64, text sql.NullString) (json.RawMessage, error) {
	if !text.Valid || text.String == "null" {
		return nil, nil
	}
	raw := json.RawMessage(text.String)
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
	text, err := json.Marshal(ids)
	if err != nil {
		return "", errors.Join(err)
	}
	return string(text), nil
}
