package library

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tomehub/tomehub/server/store"
)

// encodeList writes a list as JSON, with <, > and & as they are: passages are
// read by people, too, and no answer of the API is HTML.
func encodeList[T any](list []T) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(list); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

var noMetadata = json.RawMessage("{}")

// encodeResults writes what encodeList would, without looking at types while it runs.
func encodeResults(results []Result) ([]byte, error) {
	size := 2
	for i := range results {
		r := &results[i]
		size += 160 + len(r.Title) + len(r.Content) + len(r.Content)/32 + len(r.SourceType) + len(r.Metadata)
	}
	b := append(make([]byte, 0, size), '[')
	for i := range results {
		r := &results[i]
		if math.IsInf(r.Score, 0) || math.IsNaN(r.Score) {
			return nil, fmt.Errorf("score of passage %d is %v", r.ID, r.Score)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"id":`...), r.ID, 10)
		b = appendString(append(b, `,"title":`...), r.Title)
		b = appendFloat(append(b, `,"score":`...), r.Score)
		b = strconv.AppendInt(append(b, `,"book_id":`...), r.BookID, 10)
		number := 0
		if r.PageNumber != nil {
			number = *r.PageNumber
		}
		b = appendPageNumber(b, number)
		if r.Content != "" {
			b = appendString(append(b, `,"content":`...), r.Content)
		}
		if r.SourceType != "" {
			b = appendString(append(b, `,"source_type":`...), r.SourceType)
		}
		if r.Metadata != nil {
			b = append(append(b, `,"metadata":`...), r.Metadata...)
		}
		b = append(b, '}')
	}
	return append(b, ']'), nil
}

// AppendPassage appends a passage as the API shows it: with the names of a search's details.
func AppendPassage(b []byte, p *store.Passage) []byte {
	b = strconv.AppendInt(append(b, `{"id":`...), p.ID, 10)
	b = strconv.AppendInt(append(b, `,"book_id":`...), p.BookID, 10)
	b = appendString(append(b, `,"title":`...), p.Title)
	b = appendString(append(b, `,"content":`...), p.Content)
	b = appendString(append(b, `,"source_type":`...), p.SourceType)
	b = appendPageNumber(b, p.PageNumber)
	if p.Chapter != "" {
		b = appendString(append(b, `,"chapter":`...), p.Chapter)
	}
	b = appendInt(append(b, `,"seq":`...), p.Seq)
	metadata := p.Metadata
	if metadata == nil {
		metadata = noMetadata
	}
	return append(append(append(b, `,"metadata":`...), metadata...), '}')
}

// appendPageNumber writes null for an unknown one.
func appendPageNumber(b []byte, n int) []byte {
	b = append(b, `,"page_number":`...)
	if n <= 0 {
		return append(b, "null"...)
	}
	return appendInt(b, n)
}

// appendFloat writes a finite number as encoding/json does.
func appendFloat(b []byte, f float64) []byte {
	if a := math.Abs(f); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' { // e-09 is e-9
		b = append(b[:n-2], b[n-1])
	}
	return b
}

// Concepts and relations as the API shows them.
type (
	conceptJSON struct {
		ID       int64   `json:"id"`
		Name     string  `json:"name"`
		Score    float64 `json:"score"`    // sum of its weights in the matches
		Passages int     `json:"passages"` // matches that carry it
	}
	relationJSON struct {
		Source string  `json:"source"`
		Target string  `json:"target"`
		Type   string  `json:"type"`
		Weight float64 `json:"weight"`
	}
)

func encodeConcepts(concepts []store.Concept) ([]byte, error) {
	list := make([]conceptJSON, len(concepts))
	for i, c := range concepts {
		list[i] = conceptJSON{ID: c.ID, Name: c.Name, Score: c.Score, Passages: c.Passages}
	}
	return encodeList(list)
}

func encodeRelations(relations []store.Relation) ([]byte, error) {
	list := make([]relationJSON, len(relations))
	for i, r := range relations {
		list[i] = relationJSON{Source: r.Source, Target: r.Target, Type: r.Type, Weight: r.Weight}
	}
	return encodeList(list)
}

// AppendJSON appends the result as JSON. The lists of a result from Search were
// encoded when they were loaded, so a hit copies bytes and encodes a few numbers.
func (r SearchResult) AppendJSON(dst []byte) ([]byte, error) {
	page, rel, err := r.encoded()
	if err != nil {
		return dst, err
	}
	dst = append(r.appendHead(dst), page.json...)
	return r.appendRest(dst, rel), nil
}

// JSONParts returns the result as JSON in three parts. The middle one, the list of results, is
// most of it; it is shared with other callers and must not be changed. Who writes to a slow
// client needs no copy of it.
func (r SearchResult) JSONParts() (head, results, rest []byte, err error) {
	page, rel, err := r.encoded()
	if err != nil {
		return nil, nil, nil, err
	}
	return r.appendHead(nil), page.json, r.appendRest(nil, rel), nil
}

// encoded returns the encoded lists, which a result from Search has.
func (r SearchResult) encoded() (page *searchPage, rel *related, err error) {
	page, rel = r.page, r.related
	if page == nil {
		if page, err = newSearchPage(r.Results, r.TotalCount); err != nil {
			return nil, nil, err
		}
	}
	if rel == nil {
		if rel, err = newRelated(r.Concepts, r.Relations); err != nil {
			return nil, nil, err
		}
	}
	return page, rel, nil
}

func (r SearchResult) appendHead(dst []byte) []byte {
	dst = append(dst, `{"query":`...)
	dst = appendString(dst, r.Query)
	return append(dst, `,"results":`...)
}

func (r SearchResult) appendRest(dst []byte, rel *related) []byte {
	dst = appendInt(append(dst, `,"total_count":`...), r.TotalCount)
	dst = appendInt(append(dst, `,"page":`...), r.Page)
	dst = appendInt(append(dst, `,"page_size":`...), r.PageSize)
	dst = appendInt(append(dst, `,"total_pages":`...), r.TotalPages)
	dst = strconv.AppendBool(append(dst, `,"has_next":`...), r.HasNext)
	if r.NextCursor != "" {
		dst = appendString(append(dst, `,"next_cursor":`...), r.NextCursor)
	}
	dst = append(dst, `,"execution_time_ms":`...)
	dst = strconv.AppendFloat(dst, r.ExecutionTimeMS, 'f', 3, 64)
	dst = strconv.AppendBool(append(dst, `,"cache_hit":`...), r.CacheHit)
	dst = appendString(append(dst, `,"mode":`...), string(r.Mode))
	if r.Stale {
		dst = append(dst, `,"stale":true`...)
	}
	if r.QueryTruncated {
		dst = append(dst, `,"query_truncated":true`...)
	}
	dst = append(append(dst, `,"concepts":`...), rel.conceptsJSON...)
	dst = append(append(dst, `,"relations":`...), rel.relationsJSON...)
	return append(dst, '}')
}

// WithoutDetails returns r as a search without details answers it. Its JSON is encoded anew: it
// is for those who needed the details themselves.
func (r SearchResult) WithoutDetails() SearchResult {
	results := make([]Result, len(r.Results))
	for i, m := range r.Results {
		results[i] = m
		results[i].Content, results[i].SourceType, results[i].Metadata = "", "", nil
	}
	r.Results, r.page = results, nil
	return r
}

// MarshalJSON writes what AppendJSON writes.
func (r SearchResult) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil) }

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string as RFC 8259 wants it. What is not UTF-8
// becomes U+FFFD; U+2028 and U+2029 are escaped, which old JavaScript needs.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\t':
				dst = append(dst, '\\', 't')
			case '\r':
				dst = append(dst, '\\', 'r')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[from:i]...), `\ufffd`...)
			from = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[from:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&15])
			from = i + size
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
