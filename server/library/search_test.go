package library

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/store"
)

// codeOf is the code of a BadInput, or the error's text.
func codeOf(err error) string {
	var bad *BadInput
	if errors.As(err, &bad) {
		return bad.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSearchChecksItsRequest(t *testing.T) {
	st := newFakeStore(10)
	l := openFake(t, st, cached)
	f := func(req SearchRequest, want string) {
		t.Helper()
		_, err := l.Search(t.Context(), store.Scope{}, req)
		if got := codeOf(err); got != want {
			t.Errorf("Search(%.40q, page %d of size %d): %q, want %q", req.Query, req.Page, req.PageSize, got, want)
		}
		if err != nil && (strings.HasSuffix(err.Error(), ".") || strings.ToLower(err.Error()[:1]) != err.Error()[:1]) {
			t.Errorf("%q begins with a capital or ends with a full stop", err)
		}
	}
	f(ask("being"), "")
	f(ask(""), CodeQueryEmpty)
	f(ask(" \t\n"), CodeQueryEmpty)
	f(ask(`?!"*()`), CodeQueryNoWords)             // nothing to search for
	f(ask("🙂"), CodeQueryNoWords)                  // no letter either
	f(ask("NOT * AND ("), "")                      // words like others
	f(ask("be\x00ing \xff"), "")                   // not text, no reason to fail
	f(ask(strings.Repeat("a", MaxQueryBytes)), "") // the longest
	f(ask(strings.Repeat("a", MaxQueryBytes+1)), CodeQueryTooLong)
	f(SearchRequest{Query: "being", PageSize: 50}, CodePageRange)
	f(SearchRequest{Query: "being", Page: -1, PageSize: 50}, CodePageRange)
	f(SearchRequest{Query: "being", Page: 1}, CodePageSizeRange)
	f(SearchRequest{Query: "being", Page: 1, PageSize: 1000}, "")
	f(SearchRequest{Query: "being", Page: 1, PageSize: 1001}, CodePageSizeRange)
	f(SearchRequest{Query: "being", Page: 200, PageSize: 50}, "") // the deepest
	f(SearchRequest{Query: "being", Page: 201, PageSize: 50}, CodePageTooDeep)
	f(SearchRequest{Query: "being", Page: math.MaxInt, PageSize: 1000}, CodePageTooDeep) // does not overflow
	f(SearchRequest{Query: "being", Page: 10_000, PageSize: 1}, "")
	if got := st.count("search_page"); got != 7 { // the good ones
		t.Errorf("%d requests reached the store, want the 7 good ones", got)
	}
}

func TestMessagesNameParameterAndRange(t *testing.T) {
	l := openFake(t, newFakeStore(1), cached)
	f := func(req SearchRequest, want string) {
		t.Helper()
		_, err := l.Search(t.Context(), store.Scope{}, req)
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	f(SearchRequest{Query: "being", Page: 1, PageSize: 5000}, "page_size is 5000: want 1 to 1000")
	f(SearchRequest{Query: "being", Page: 0, PageSize: 50}, "page is 0: want at least 1")
	f(SearchRequest{Query: "being", Page: 300, PageSize: 50}, "page is 300: want at most 200 with a page_size of 50 (10000 results); follow next_cursor from page to page to read further")
	if _, err := l.Books(t.Context(), store.Scope{}, 3000, 1000); err == nil || err.Error() != "page is 3000: want at most 1000 with a page_size of 1000 (1000000 results)" {
		t.Errorf("books have no cursor: %v", err)
	}
}

func TestPages(t *testing.T) {
	l := openFake(t, newFakeStore(120), cached)
	f := func(page, size, wantResults, wantPages int, wantNext bool) {
		t.Helper()
		r := mustSearch(t, l, "", SearchRequest{Query: "being", Page: page, PageSize: size})
		if r.TotalCount != 120 || len(r.Results) != wantResults || r.TotalPages != wantPages || r.HasNext != wantNext || (r.NextCursor != "") != wantNext ||
			r.Page != page || r.PageSize != size {
			t.Errorf("page %d of size %d: %d results of %d, %d pages, next %v %q", page, size, len(r.Results), r.TotalCount, r.TotalPages, r.HasNext, r.NextCursor)
		}
	}
	f(1, 50, 50, 3, true)
	f(2, 50, 50, 3, true)
	f(3, 50, 20, 3, false)
	f(4, 50, 0, 3, false) // past the end
	f(2, 60, 60, 2, false)
	f(1, 1000, 120, 1, false)
	f(120, 1, 1, 120, false)
	r := mustSearch(t, l, "", ask("nothing matches this"))
	if r.TotalCount != 0 || r.TotalPages != 0 || r.HasNext {
		t.Errorf("no matches: %+v", r)
	}
}

func TestDetails(t *testing.T) {
	for _, access := range []Access{TwoStatements, FiveStatements} {
		l := openFake(t, newFakeStore(2), Config{Access: access})
		page := 1
		req := SearchRequest{Query: "being", Page: 1, PageSize: 50}
		want := []Result{{ID: 1, Title: "Shared", Score: 1, BookID: 1}, {ID: 2, Title: "Shared", Score: 0.5, BookID: 1, PageNumber: &page}}
		if diff := cmp.Diff(want, mustSearch(t, l, "", req).Results); diff != "" {
			t.Errorf("%v without details (-want +got):\n%s", access, diff)
		}
		req.IncludeDetails = true
		for i := range want {
			want[i].Content, want[i].SourceType, want[i].Metadata = []string{"word w1 being", "word w2 being"}[i], "text", json.RawMessage(`{"words":3}`)
		}
		if diff := cmp.Diff(want, mustSearch(t, l, "", req).Results); diff != "" {
			t.Errorf("%v with details (-want +got):\n%s", access, diff)
		}
	}
}

// What is written by hand says what encoding/json would.
func TestPassagesAsJSON(t *testing.T) {
	nasty := "\x00\x1f\"\\/\n<&>\u2028 🤔 \xff"
	clean := strings.ToValidUTF8(nasty, "\uFFFD")
	p := store.Passage{ID: 1 << 52, BookID: 2, Owner: "ada", Title: nasty, Content: nasty, SourceType: nasty, PageNumber: 7, Chapter: nasty, Seq: 3, Metadata: json.RawMessage(`{"words":9}`)}
	f := func(why string, p store.Passage, want map[string]any) {
		t.Helper()
		var got map[string]any
		raw := AppendPassage([]byte("["), &p)
		if err := json.Unmarshal(raw[1:], &got); err != nil {
			t.Fatalf("%s: %v in %s", why, err, raw)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("everything", p, map[string]any{
		"id": float64(1 << 52), "book_id": 2.0, "title": clean, "content": clean, "source_type": clean,
		"page_number": 7.0, "chapter": clean, "seq": 3.0, "metadata": map[string]any{"words": 9.0},
	})
	f("nothing", store.Passage{ID: 1}, map[string]any{
		"id": 1.0, "book_id": 0.0, "title": "", "content": "", "source_type": "",
		"page_number": nil, "seq": 0.0, "metadata": map[string]any{},
	})
	var results []Result
	for i, score := range []float64{0, 1, -2.5, 1e-7, 3e21, 1.8211557900973287e-6, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		results = append(results, newResult(store.Match{Passage: p, Score: score}, i%2 == 0), newResult(store.Match{Score: score}, i%2 == 0))
	}
	want, err := encodeList(results)
	if err != nil {
		t.Fatal(err)
	}
	got, err := encodeResults(results)
	if number := string(appendFloat(nil, 1e-7)); number != "1e-7" {
		t.Errorf("1e-7 is written as %s", number)
	}
	var wanted, had []Result
	if err := errors.Join(err, json.Unmarshal(want, &wanted), json.Unmarshal(got, &had)); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if diff := cmp.Diff(wanted, had); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	for _, score := range []float64{math.NaN(), math.Inf(1)} {
		if got, err := encodeResults([]Result{{Score: score}}); err == nil {
			t.Errorf("a score of %v became %s", score, got)
		}
	}
}

// AppendJSON splices what was encoded at load; it must say what the fields say.
func TestSearchJSON(t *testing.T) {
	l := openFake(t, newFakeStore(60), cached)
	f := func(req SearchRequest) {
		t.Helper()
		for range 2 { // cold and hit
			r := mustSearch(t, l, "", req)
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			type plain SearchResult // without MarshalJSON
			r.ExecutionTimeMS = math.Round(r.ExecutionTimeMS*1000) / 1000
			concepts, relations := []conceptJSON{}, []relationJSON{}
			for _, c := range r.Concepts {
				concepts = append(concepts, conceptJSON(c))
			}
			for _, x := range r.Relations {
				relations = append(relations, relationJSON(x))
			}
			byFields, err := json.Marshal(struct {
				plain
				Concepts  []conceptJSON  `json:"concepts"`
				Relations []relationJSON `json:"relations"`
			}{plain(r), concepts, relations})
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(byFields, &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-fields +AppendJSON):\n%s", req, diff)
			}
		}
	}
	f(ask("being"))
	f(SearchRequest{Query: "being", Page: 1, PageSize: 10, IncludeDetails: true})
	f(ask(`"being" <b>&</b> ` + "\u2028\t\x01"))
	f(ask(strings.Repeat("many words ", 100)))
	f(ask("matches nothing"))
}

func TestSearchJSONFieldsAndEmptyLists(t *testing.T) {
	l := openFake(t, newFakeStore(1), cached)
	r := mustSearch(t, l, "", ask("matches nothing"))
	r.ExecutionTimeMS = 1.25
	got, err := r.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"query":"matches nothing","results":[],"total_count":0,"page":1,"page_size":50,"total_pages":0,"has_next":false,` +
		`"execution_time_ms":1.250,"cache_hit":false,"mode":"full","concepts":[],"relations":[]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r = mustSearch(t, l, "", SearchRequest{Query: "being", Page: 1, PageSize: 1, IncludeDetails: true})
	results, err := encodeList(r.Results)
	if err != nil {
		t.Fatal(err)
	}
	want = `[{"id":1,"title":"Shared","score":1,"book_id":1,"page_number":null,"content":"word w1 being","source_type":"text","metadata":{"words":3}}]`
	if diff := cmp.Diff(want, string(results)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A result that was not made by Search encodes its fields.
	if raw, err := (SearchResult{}).AppendJSON(nil); err != nil || !strings.Contains(string(raw), `"results":[]`) {
		t.Errorf("the zero result: %s %v", raw, err)
	}
}

func TestTruncatedQueryIsSaid(t *testing.T) {
	l := openFake(t, newFakeStore(1), cached)
	r := mustSearch(t, l, "", ask(strings.Repeat("a b c d ", store.MaxQueryWords)))
	if raw, err := r.AppendJSON(nil); err != nil || !strings.Contains(string(raw), `"query_truncated":true`) {
		t.Errorf("%s %v", raw, err)
	}
}

func TestCursorWalksAllMatchesOnce(t *testing.T) {
	for _, access := range []Access{TwoStatements, FiveStatements} {
		st := newFakeStore(120)
		cfg := cached
		cfg.Access = access
		l := openFake(t, st, cfg)
		var ids []int64
		req := SearchRequest{Query: "being", Page: 1, PageSize: 7, IncludeDetails: true}
		for n := 1; ; n++ {
			r := mustSearch(t, l, "", req)
			if r.Page != n || r.TotalCount != 120 || r.TotalPages != 18 || r.HasNext != (n < 18) {
				t.Fatalf("step %d: page %d of %d, %d matches, next %v", n, r.Page, r.TotalPages, r.TotalCount, r.HasNext)
			}
			for _, m := range r.Results {
				ids = append(ids, m.ID)
				if m.Content == "" {
					t.Fatalf("match %d has no details", m.ID)
				}
			}
			if !r.HasNext {
				break
			}
			req.Cursor, req.Page = r.NextCursor, 0
		}
		if len(ids) != 120 || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 120 {
			t.Errorf("%v: the walk met %v", access, ids)
		}
		calls := st.total()
		if r := mustSearch(t, l, "", req); !r.CacheHit || st.total() != calls {
			t.Errorf("%v: a page by cursor is not kept", access)
		}
	}
}

func TestCursorPastTheDeepestPage(t *testing.T) {
	l := openFake(t, newFakeStore(10_120), cached)
	r := mustSearch(t, l, "", SearchRequest{Query: "being", Page: 10, PageSize: 1000})
	if !r.HasNext || r.TotalPages != 11 {
		t.Fatalf("page 10: %d pages, next %v", r.TotalPages, r.HasNext)
	}
	r = mustSearch(t, l, "", SearchRequest{Query: "being", PageSize: 1000, Cursor: r.NextCursor})
	if len(r.Results) != 120 || r.Results[0].ID != 10_001 || r.Page != 11 || r.HasNext {
		t.Errorf("behind page 10: %d results from %d on page %d", len(r.Results), r.Results[0].ID, r.Page)
	}
}

func TestCursorRefusals(t *testing.T) {
	st := newFakeStore(120).owned("ada", "bob")
	l := openFake(t, st, cached)
	good := mustSearch(t, l, "ada", ask("being word")).NextCursor
	everybodys := mustSearch(t, l, "", ask("being word")).NextCursor
	f := func(owner, query, cursor, want string) {
		t.Helper()
		_, err := l.Search(t.Context(), store.Scope{Owner: owner}, SearchRequest{Query: query, PageSize: 50, Cursor: cursor})
		if got := codeOf(err); got != want {
			t.Errorf("cursor %.20s… of %q for %q: %q, want %q", cursor, owner, query, got, want)
		}
	}
	f("ada", "being word", good, "")
	for page, want := range map[int]string{0: "", 2: "", 1: CodeConflict, 3: CodeConflict, -1: CodeConflict} { // it leads to page 2
		_, err := l.Search(t.Context(), store.Scope{Owner: "ada"}, SearchRequest{Query: "being word", Page: page, PageSize: 50, Cursor: good})
		if got := codeOf(err); got != want {
			t.Errorf("page %d beside the cursor: %q (%v), want %q", page, got, err, want)
		}
	}
	_, err := l.Search(t.Context(), store.Scope{Owner: "ada"}, SearchRequest{Query: "being word", PageSize: 25, Cursor: good})
	if got := codeOf(err); got != CodeCursorInvalid {
		t.Errorf("a cursor of pages of 50 for pages of 25: %q", got)
	}
	f("ada", "WORD  being", good, "") // the same query in other letters
	f("bob", "being word", good, CodeCursorInvalid)
	f("", "being word", good, CodeCursorInvalid)
	f("", "being word", everybodys, "")
	f("cem", "being word", everybodys, "") // who has stored nothing, as everybody
	f("ada", "being word", everybodys, CodeCursorExpired)
	f("ada", "being", good, CodeCursorInvalid)
	f("ada", "being word", "page2", CodeCursorInvalid)
	f("ada", "being word", good+"A", CodeCursorInvalid)
	f("ada", "being word", strings.Repeat("A", 1<<20), CodeCursorInvalid)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bent := slices.Clone(raw)
		bent[i] ^= 1
		f("ada", "being word", base64.RawURLEncoding.EncodeToString(bent), CodeCursorInvalid)
	}
	if _, err = l.Search(t.Context(), store.Scope{Owner: "ada"}, SearchRequest{Query: "being word", PageSize: 1001, Cursor: good}); codeOf(err) != CodePageSizeRange {
		t.Errorf("a page size of 1001 with a cursor: %v", err)
	}
	st.add("ada", "being word more")
	f("ada", "being word", good, CodeCursorExpired)
}

// Whoever knows that there is no key can seal what he likes: it must not reach further than a query of his own.
func TestForgedCursorIsHarmless(t *testing.T) {
	l := openFake(t, newFakeStore(10), cached)
	s, err := l.check(t.Context(), store.Scope{}, SearchRequest{Query: "being", Page: 1, PageSize: 5})
	if err != nil {
		t.Fatal(err)
	}
	f := func(c cursor, want string) {
		t.Helper()
		_, err := l.Search(t.Context(), store.Scope{}, SearchRequest{Query: "being", PageSize: 5, Cursor: l.sealCursor(c, s)})
		if got := codeOf(err); got != want {
			t.Errorf("cursor %+v: %q, want %q", c, got, want)
		}
	}
	f(cursor{position: 5, total: 10, score: 0.2, id: 5}, "")
	f(cursor{position: 0, total: 10, score: 0.2, id: 5}, CodeCursorInvalid)
	f(cursor{position: -5, total: 10, score: 0.2, id: 5}, CodeCursorInvalid)
	f(cursor{position: 4, total: 10, score: 0.2, id: 5}, CodeCursorInvalid)
	f(cursor{position: 15, total: 10, score: 0.2, id: 5}, CodeCursorInvalid)
	f(cursor{position: 5, total: math.MaxInt64, score: 0.2, id: 5}, CodeCursorInvalid)
	f(cursor{position: 5, total: 10, score: math.NaN(), id: 5}, CodeCursorInvalid)
	f(cursor{position: 5, total: 10, score: math.Inf(1), id: 5}, CodeCursorInvalid)
	f(cursor{position: 5, total: 10, score: 0.2, id: -1}, CodeCursorInvalid)
	f(cursor{gen: 7, position: 5, total: 10, score: 0.2, id: 5}, CodeCursorExpired)
	// A false total is told to its forger alone.
	mustSearch(t, l, "", SearchRequest{Query: "being", PageSize: 5, Cursor: l.sealCursor(cursor{position: 5, total: 999, score: 0.2, id: 5}, s)})
	r := mustSearch(t, l, "", SearchRequest{Query: "being", PageSize: 5, Cursor: l.sealCursor(cursor{position: 5, total: 10, score: 0.2, id: 5}, s)})
	if r.TotalCount != 10 {
		t.Errorf("total %d after a forged one of 999, want 10", r.TotalCount)
	}
	keyed := openFake(t, newFakeStore(10), Config{CursorKey: []byte("secret")})
	_, err = keyed.Search(t.Context(), store.Scope{}, SearchRequest{Query: "being", PageSize: 5, Cursor: l.sealCursor(cursor{position: 5, total: 10, score: 0.2, id: 5}, s)})
	if codeOf(err) != CodeCursorInvalid {
		t.Errorf("a cursor sealed without the key: %v", err)
	}
}

func TestBooksAndBatchCheckTheirInput(t *testing.T) {
	l := openFake(t, newFakeStore(3), cached)
	f := func(err error, want string) {
		t.Helper()
		if got := codeOf(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	books := func(page, size int) error { _, err := l.Books(t.Context(), store.Scope{}, page, size); return err }
	f(books(1, 50), "")
	f(books(0, 50), CodePageRange)
	f(books(1, 1001), CodePageSizeRange)
	f(books(math.MaxInt, 1), CodePageTooDeep)
	batch := func(n int) error { _, _, err := l.Batch(t.Context(), store.Scope{}, make([]int64, n)); return err }
	f(batch(0), CodeIDsEmpty)
	f(batch(1000), "")
	f(batch(1001), CodeIDsTooMany)
	b, err := l.Books(t.Context(), store.Scope{}, 2, 1)
	if err != nil || len(b.Books) != 1 || b.TotalCount != 2 || b.TotalPages != 2 || b.HasNext {
		t.Errorf("%+v %v", b, err)
	}
	if b, err = l.Books(t.Context(), store.Scope{}, 9, 1); err != nil || b.Books == nil {
		t.Errorf("past the last book: %+v %v", b, err)
	}
	if _, err := l.Content(t.Context(), store.Scope{}, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("passage 0: %v", err)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", `"\/`, "\x00\x1f\x7f", "düşünce 電車 🙂", "\xff\xc3", "\u2028\u2029", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := appendString(nil, s)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%q becomes %s: %v", s, raw, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && got != want {
			t.Errorf("%q comes back as %q", s, got)
		}
	})
}

func FuzzCursor(f *testing.F) {
	l, err := New(Config{}, newFakeStore(1))
	if err != nil {
		f.Fatal(err)
	}
	s := search{canonical: "being", size: 1}
	f.Add(l.sealCursor(cursor{position: 1, total: 2, score: 1, id: 1}, s))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := l.openCursor(text, s)
		if err != nil {
			if code := codeOf(err); code != CodeCursorInvalid && code != CodeCursorExpired {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if again := l.sealCursor(*c, s); again != text {
			t.Errorf("%q opens, and seals as %q", text, again)
		}
	})
}
