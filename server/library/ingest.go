package library

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"

	"github.com/tomehub/tomehub/server/library/extract"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

const (
	// wordsPerPassage is the plan's passage: about a paragraph, which reads by itself.
	wordsPerPassage = 120
	// MaxTitleBytes bounds titles and authors, which are stored with every passage.
	MaxTitleBytes = 1000

	// A book has one keyphrase per three passages, at least minConcepts and at most
	// maxConcepts: beyond that they name sentences and not what the book is about.
	minConcepts          = 30
	maxConcepts          = 1000
	relationsPerConcept  = 3
	untitled             = "Untitled"
	defaultMaxInputBytes = 50 << 20 // of extract.Limits
)

// Document is a book on its way in.
type Document struct {
	Title    string // "" takes the file's own, else the file name without its ending
	Author   string // "" takes the file's own
	Filename string // says nothing about the format, which is told by content
	// Body is read at most as far as Config.Extract.MaxBytes.
	Body io.Reader
}

// IngestResult says what became of a document.
type IngestResult struct {
	BookID int64  `json:"book_id"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Format string `json:"format"` // text, markdown, html or epub
	// A book's passages have consecutive ids: the first one and their number name them all.
	FirstPassageID int64 `json:"first_passage_id"`
	Passages       int   `json:"passages"`
	Concepts       int   `json:"concepts"`  // found in the document; the library may have had them
	Relations      int   `json:"relations"` // likewise
	// Duplicate: the owner has stored the same bytes before. The ids, title and author
	// are those of the book from then; nothing was stored.
	Duplicate bool `json:"duplicate"`
}

// Ingest reads a document and stores it as a book of owner's ("" for the shared
// library). When it returns without an error the book is on disk and in every
// search that begins afterwards; with one, nothing of it is stored. What the
// document is at fault for is a *BadInput. Ingest waits for no slot: who brings in books
// for several clients at once holds one of EnterIngest for each.
func (l *Library) Ingest(ctx context.Context, owner string, doc Document) (IngestResult, error) {
	reading := trace.From(ctx).Child("read book", trace.Internal)
	book, err := l.prepare(owner, doc)
	reading.Set(trace.Int("tomehub.ingest.passages", int64(len(book.Passages))))
	reading.End()
	if err != nil {
		return IngestResult{}, err
	}
	storing := trace.From(ctx).Child("store book", trace.Internal)
	done, err := l.store.Ingest(trace.With(ctx, storing), book)
	storing.Set(trace.Bool("tomehub.ingest.duplicate", done.Duplicate))
	storing.End()
	if err != nil {
		return IngestResult{}, fmt.Errorf("ingest %q: %w", book.Title, err)
	}
	r := IngestResult{
		BookID: done.BookID, Title: book.Title, Author: book.Author, Format: book.SourceType,
		Passages: len(done.PassageIDs),
		Concepts: len(book.Concepts), Relations: len(book.Relations), Duplicate: done.Duplicate,
	}
	if len(done.PassageIDs) > 0 {
		r.FirstPassageID = done.PassageIDs[0]
	}
	if done.Duplicate {
		known, err := l.store.Book(ctx, store.Scope{Owner: owner}, done.BookID)
		if err != nil {
			return IngestResult{}, fmt.Errorf("read the book that %q repeats: %w", book.Title, err)
		}
		r.Title, r.Author, r.Format = known.Title, known.Author, known.SourceType
	}
	return r, nil
}

// prepare reads and cuts a document.
func (l *Library) prepare(owner string, doc Document) (store.NewBook, error) {
	title, author, err := cleanNames(doc)
	if err != nil {
		return store.NewBook{}, err
	}
	data, err := l.readBody(doc.Body)
	if err != nil {
		return store.NewBook{}, err
	}
	text, err := extract.Read(data, l.cfg.Extract)
	if err != nil {
		return store.NewBook{}, badDocument(err)
	}
	passages := extract.Passages(text, wordsPerPassage)
	if len(passages) == 0 {
		return store.NewBook{}, badInput(CodeNoText, "there is no text in the file")
	}
	digest := sha256.Sum256(data)
	book := newBook(text, passages)
	book.Owner, book.Hash = owner, hex.EncodeToString(digest[:])
	book.Title = firstOf(title, clip(text.Title), clip(stem(doc.Filename)), untitled)
	book.Author = firstOf(author, clip(text.Author))
	for i := range book.Passages {
		if book.Author != "" {
			book.Passages[i].Metadata["author"] = book.Author
		}
	}
	return book, nil
}

func (l *Library) readBody(body io.Reader) ([]byte, error) {
	if body == nil {
		return nil, badInput(CodeFileEmpty, "the file is empty")
	}
	most := l.cfg.Extract.MaxBytes
	if most <= 0 {
		most = defaultMaxInputBytes
	}
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if int64(len(data)) > most {
		return nil, badInput(CodeFileTooLarge, "the file is larger than %d bytes, the most allowed", most)
	}
	return data, nil
}

// newBook turns passages, and what they are about, into what the store keeps.
func newBook(text extract.Text, passages []extract.Passage) store.NewBook {
	b := store.NewBook{SourceType: string(text.Format), Passages: make([]store.NewPassage, len(passages))}
	for i, p := range passages {
		metadata := map[string]any{"words": p.Words}
		if p.Chapter != "" {
			metadata["chapter"] = p.Chapter
		}
		if text.Language != "" {
			metadata["language"] = text.Language
		}
		b.Passages[i] = store.NewPassage{Content: p.Content, PageNumber: p.Page, Chapter: p.Chapter, Metadata: metadata}
	}
	phrases := extract.Keyphrases(passages, min(max(len(passages)/3, minConcepts), maxConcepts))
	b.Concepts = make([]store.NewConcept, len(phrases))
	for i, k := range phrases {
		b.Concepts[i] = store.NewConcept{Name: k.Name, Score: k.Score, Passages: k.Passages}
	}
	for _, pair := range extract.CoOccurrences(phrases, len(passages), relationsPerConcept*len(phrases)) {
		b.Relations = append(b.Relations, store.NewRelation{Source: pair.A, Target: pair.B, Weight: pair.Weight})
	}
	return b
}

var documentCodes = map[extract.Kind]string{
	extract.Empty:       CodeFileEmpty,
	extract.TooLarge:    CodeFileTooLarge,
	extract.NotText:     CodeFileNotText,
	extract.BadArchive:  CodeArchiveBroken,
	extract.Bomb:        CodeArchiveBomb,
	extract.NoText:      CodeNoText,
	extract.Unsupported: CodeFileUnsupported,
}

// badDocument gives a refusal of extract, which is a sentence, its code.
func badDocument(err error) error {
	var refused *extract.Error
	if !errors.As(err, &refused) || documentCodes[refused.Kind] == "" {
		return fmt.Errorf("extract text: %w", err)
	}
	return badInput(documentCodes[refused.Kind], "%s", refused.Detail)
}

// cleanNames checks what the caller said; what a file says is clipped instead.
func cleanNames(doc Document) (title, author string, err error) {
	title, author = oneLine(doc.Title), oneLine(doc.Author)
	if len(title) > MaxTitleBytes {
		return "", "", badInput(CodeTitleTooLong, "title has %d bytes: want at most %d", len(title), MaxTitleBytes)
	}
	if len(author) > MaxTitleBytes {
		return "", "", badInput(CodeAuthorTooLong, "author has %d bytes: want at most %d", len(author), MaxTitleBytes)
	}
	return title, author, nil
}

// oneLine makes valid text of one line without control characters, single-spaced.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

// clip is oneLine, cut to MaxTitleBytes between characters.
func clip(s string) string {
	s = oneLine(s)
	if len(s) <= MaxTitleBytes {
		return s
	}
	return strings.ToValidUTF8(s[:MaxTitleBytes], "")
}

// stem is a file's name without its directories, of any system, and its ending.
func stem(filename string) string {
	base := path.Base(strings.ReplaceAll(filename, `\`, "/"))
	if base == "." || base == "/" {
		return ""
	}
	if name := strings.TrimSuffix(base, path.Ext(base)); name != "" {
		return name
	}
	return base
}

func firstOf(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}
