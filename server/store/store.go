// Package store keeps the library: books cut into passages, the index over
// their words, the concepts they share, and who owns them.
//
// Every statement stands in a file of its own under sql/<dialect> and is counted
// under that file's name; every method that reads takes a Scope, outside of which
// it sees nothing; every change is one transaction, and a number, the
// generation, changes with it, so that answers kept from before are never taken
// for current ones.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// Bounds of one call. A caller who exceeds one gets ErrTooMany.
const (
	MaxPageSize = 1000  // matches or books of one page, and ids of one batch
	MaxIDs      = 10000 // matches that SearchIDs returns at once, which carry no text
	MaxConcepts = 100   // concepts, and relations, of one answer
	MaxOwner    = 256   // bytes of an owner's name
	MaxText     = 1000  // characters of a title, an author, a chapter, a source type, a hash, a concept's name
)

// What a caller may branch on, with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrNoTerms  = errors.New("query has no letter and no digit to search for")
	ErrTooMany  = errors.New("too many")
	ErrNewer    = errors.New("library was written by a newer tomehub")
	ErrInvalid  = errors.New("invalid book")
)

// Scope is what a caller may see: the shared library, whose owner is "", and what Owner has stored.
type Scope struct {
	Owner string
}

// Page is a part of a long result. Number counts from 1.
type Page struct {
	Number, Size int
}

// offset returns how many results come before the page; page numbers beyond all results are fine.
func (p Page) offset(most int) (int64, error) {
	if p.Number < 1 || p.Size < 1 {
		return 0, fmt.Errorf("page %d of size %d: both must be at least 1", p.Number, p.Size)
	}
	if p.Size > most {
		return 0, fmt.Errorf("page size %d: %w, at most %d", p.Size, ErrTooMany, most)
	}
	before := int64(p.Number - 1)
	if before > math.MaxInt64/int64(p.Size) {
		return math.MaxInt64, nil
	}
	return before * int64(p.Size), nil
}

// Passage is a stored piece of a book, the unit found.
type Passage struct {
	ID, BookID int64
	Owner      string // "" for the shared library
	Title      string // of the book
	Content    string
	SourceType string // what the book was made from, as told at its ingest
	PageNumber int    // 0 when unknown
	Chapter    string // "" when unknown
	Seq        int    // its place in the book, from 0
	// Metadata is a JSON object, as it is stored; nil when there is none. What shows it copies
	// it: taking it apart and putting it together took half the time of a batch.
	Metadata json.RawMessage
}

// Match is a passage found by a query. Score is higher for better ones: on SQLite its BM25 weight,
// k1 = 1.2 and b = 0.75, over the words of all stored passages; on Oracle the score of Oracle Text,
// a whole number from 1 to 100.
type Match struct {
	Passage
	Score float64
}

// MatchPage is a page of matches, best first, equal scores in the order of
// their ids, and how many matches there are on all pages.
type MatchPage struct {
	Matches []Match
	Total   int
}

// Concept is a keyphrase of the passages asked about: Passages of them carry
// it, and Score is the sum of its weights in them.
type Concept struct {
	ID       int64
	Name     string
	Score    float64
	Passages int
}

// Relation ties two concepts by their names. Weight is summed over the books
// in scope; it has no direction, Source and Target are in alphabetical order.
type Relation struct {
	Source, Target, Type string
	Weight               float64
}

// RelationCoOccurs is the type of a relation between concepts that stand in the same passages.
const RelationCoOccurs = "co_occurs"

// Book is a stored book.
type Book struct {
	ID              int64
	Owner           string // "" for the shared library
	Title, Author   string
	SourceType      string
	Passages, Words int
	CreatedAt       time.Time // UTC, whole milliseconds
	Hash            string
}

// NewBook is everything of one book. It is stored as a whole or not at all.
type NewBook struct {
	Owner         string // "" for the shared library
	Title, Author string
	SourceType    string
	Hash          string // tells the same book of the same owner again; required
	Passages      []NewPassage
	Concepts      []NewConcept
	Relations     []NewRelation
}

// NewPassage is one passage of a NewBook, in reading order.
type NewPassage struct {
	Content    string // valid UTF-8; bytes that are not become U+FFFD
	PageNumber int
	Chapter    string
	Metadata   map[string]any // kept as JSON: numbers come back as float64
}

// NewConcept is a keyphrase of a NewBook. Names that fold to the same words are
// one concept within an owner's library. One without passages is not stored.
type NewConcept struct {
	Name     string
	Score    float64 // its weight in each of its passages
	Passages []int   // indexes into NewBook.Passages
}

// NewRelation ties two concepts of a NewBook.
type NewRelation struct {
	Source, Target int // indexes into NewBook.Concepts
	Weight         float64
}

// Ingested says what became of a NewBook.
type Ingested struct {
	BookID     int64
	PassageIDs []int64 // in the order of NewBook.Passages
	Duplicate  bool    // the owner has a book with that hash; BookID and PassageIDs are its, nothing was stored
	Generation int64   // of the owner's scope, from which on the book is seen
}

// validate reports every fault of b that would make it half a book, at once.
func (b NewBook) validate() error {
	var faults []error
	add := func(format string, args ...any) {
		if len(faults) == 10 {
			return // enough to see what is wrong
		}
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if len(b.Owner) > MaxOwner {
		add("owner has %d bytes, at most %d", len(b.Owner), MaxOwner)
	}
	if !utf8.ValidString(b.Owner) {
		add("owner %q is not valid UTF-8, so it could not be told from others", b.Owner)
	}
	texts := func(what string, texts ...string) {
		for _, s := range texts {
			if n := utf8.RuneCountInString(s); n > MaxText {
				add("%s has %d characters, at most %d", what, n, MaxText)
			}
		}
	}
	texts("title", b.Title)
	texts("author", b.Author)
	texts("source type", b.SourceType)
	texts("hash", b.Hash)
	if b.Hash == "" {
		add("hash is empty, by which the same book is told again")
	}
	if len(b.Passages) == 0 {
		add("no passages")
	}
	for _, p := range b.Passages {
		texts("chapter", p.Chapter)
	}
	for i, c := range b.Concepts {
		texts("concept's name", c.Name)
		for _, p := range c.Passages {
			if p < 0 || p >= len(b.Passages) {
				add("concept %d names passage %d of %d", i, p, len(b.Passages))
			}
		}
		if math.IsNaN(c.Score) || math.IsInf(c.Score, 0) {
			add("concept %d has the score %v", i, c.Score)
		}
	}
	for i, r := range b.Relations {
		if min(r.Source, r.Target) < 0 || max(r.Source, r.Target) >= len(b.Concepts) {
			add("relation %d ties concepts %d and %d of %d", i, r.Source, r.Target, len(b.Concepts))
		}
		if math.IsNaN(r.Weight) || math.IsInf(r.Weight, 0) {
			add("relation %d has the weight %v", i, r.Weight)
		}
	}
	return errors.Join(faults...)
}
