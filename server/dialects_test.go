package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store/storetest"
)

func TestDialectsSearch(t *testing.T) {
	for name, access := range map[string]library.Access{"two": library.TwoStatements, "five": library.FiveStatements} {
		t.Run(name, func(t *testing.T) {
			tw := newTwins(t, access)
			tw.same("", "GET", search("time"), "", 200) // of an empty library
			tw.fill()
			queries := []string{
				"time", "the", "being time", `"of the"`, `"the time of"`, `time "of the"`, "adaword", "belaword", "DÜŞÜNCE", "dusunce", "strasse", "東京",
				"don't", "well-known", "nothingofthekind", "time nothingofthekind", `"time the of"`, strings.Repeat("time ", 100), "",
			}
			for _, user := range []string{"", "ada", "bela", "nobody"} {
				for _, q := range append(queries, storetest.Hostile...) {
					got := tw.both(user, "GET", search(q, "page_size", "1000", "include_details", "true"), "")
					tw.owned(user, got.sqlite)
					tw.owned(user, got.oracle)
					if diff := gocmp.Diff(settled(got.sqlite), settled(got.oracle), nearly); diff != "" {
						t.Errorf("%q as %q (-SQLite +Oracle):\n%s", q, user, diff)
					}
				}
				for _, q := range queries[:6] {
					for _, size := range []int{1, 7, 50} {
						tw.pages(user, q, size, false)
						tw.pages(user, q, size, true)
					}
				}
			}
		})
	}
}

// pages goes through all pages of a query, by number or by cursor: on both dialects they must hold the
// same passages, each once, and say the same of their number.
func (tw *twins) pages(user, query string, size int, byCursor bool) {
	tw.t.Helper()
	var walks [2][]float64
	total := -1.0
	for i, h := range []http.Handler{tw.sqlite, tw.oracle} {
		cursor, ended := "", false
		for page := 1; page <= 1000 && !ended; page++ {
			target := search(query, "page_size", fmt.Sprint(size), "page", fmt.Sprint(page))
			if byCursor && page > 1 {
				target = search(query, "page_size", fmt.Sprint(size), "cursor", cursor)
			}
			w := ask(tw.t, h, "GET", target, "", identity.UserHeader, user)
			got := decoded[any](tw.t, w)
			if w.Code != 200 {
				tw.t.Fatalf("page %d of %q: %d %s", page, query, w.Code, w.Body)
			}
			tw.owned(user, got)
			if n := number(got, "total_count"); total < 0 {
				total = n
			} else if n != total {
				tw.t.Errorf("%q as %q: total %v, then %v", query, user, total, n)
			}
			last := 101.0 // more than any score of Oracle's
			for _, m := range field[[]any](got, "results") {
				if i == 1 && number(m, "score") > last {
					tw.t.Errorf("%q: passage %v has score %v after %v", query, number(m, "id"), number(m, "score"), last)
				}
				last = number(m, "score")
				walks[i] = append(walks[i], number(m, "id"))
			}
			cursor, ended = field[string](got, "next_cursor"), !field[bool](got, "has_next")
			if ended != (float64(page*size) >= total) {
				tw.t.Errorf("%q: page %d of size %d says has_next %t of %v", query, page, size, !ended, total)
			}
		}
		slices.Sort(walks[i])
		if n := len(slices.Compact(slices.Clone(walks[i]))); n != len(walks[i]) || float64(n) != total {
			tw.t.Errorf("%q as %q, size %d, by cursor %t: %d passages on all pages, %d different ones, total %v", query, user, size, byCursor, len(walks[i]), n, total)
		}
	}
	if diff := gocmp.Diff(walks[0], walks[1]); diff != "" {
		tw.t.Errorf("%q as %q, size %d (-SQLite +Oracle):\n%s", query, user, size, diff)
	}
}

func TestDialectsRest(t *testing.T) {
	tw := newTwins(t, library.TwoStatements)
	tw.same("", "GET", "/api/books", "", 200)
	tw.same("", "GET", "/api/content/1", "", 404)
	tw.fill()
	var every []string
	for _, user := range []string{"", "ada", "bela"} {
		for _, m := range field[[]any](tw.both(user, "GET", search("time", "page_size", "1000"), "").sqlite, "results") {
			every = append(every, fmt.Sprint(int64(number(m, "id"))))
		}
	}
	every = append(every, "999999", fmt.Sprint(int64(1)<<40), every[0])
	for _, user := range []string{"", "ada", "bela", "nobody"} {
		for _, id := range every {
			tw.both(user, "GET", "/api/content/"+id, "")
			got := tw.both(user, "GET", "/api/content/"+id, "")
			if diff := gocmp.Diff(settled(got.sqlite), settled(got.oracle), nearly); diff != "" {
				t.Errorf("content %s as %q (-SQLite +Oracle):\n%s", id, user, diff)
			}
		}
		tw.same(user, "POST", "/api/content/batch", `{"ids":[`+strings.Join(every[:min(900, len(every))], ",")+`]}`, 200)
		tw.same(user, "GET", "/api/books?page_size=3&page=2", "", 200)
		tw.same(user, "GET", "/api/books?page_size=3&page=99", "", 200)
		for id := range tw.owners {
			got := tw.both(user, "GET", fmt.Sprintf("/api/books/%d", int64(id)), "")
			if seen := tw.owners[id] == "" || tw.owners[id] == user; seen != (got.status == 200) {
				t.Errorf("book %v of %q as %q: %d", id, tw.owners[id], user, got.status)
			}
		}
	}
	for _, c := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", search("time", "page", "0"), "", 400},
		{"GET", search("time", "page_size", "1001"), "", 400},
		{"GET", search("time", "page", "11", "page_size", "1000"), "", 400}, // beyond the depth
		{"GET", search("time", "cursor", "nonsense"), "", 400},
		{"GET", search("?!"), "", 400},
		{"POST", "/api/search", `{"query":`, 400},
		{"POST", "/api/search", `{"query":"time","page_size":2,"include_details":true}`, 200},
		{"GET", "/api/content/0", "", 400},
		{"GET", "/api/content/x", "", 400},
		{"GET", "/api/books/9007199254740991", "", 404},
		{"POST", "/api/content/batch", `{"ids":[]}`, 400},
		{"POST", "/api/ingest", `{"title":"empty","text":""}`, 422},
		{"GET", "/api/nowhere", "", 404},
	} {
		if c.status == 200 {
			tw.both("ada", c.method, c.target, c.body)
			continue
		}
		tw.same("ada", c.method, c.target, c.body, c.status)
	}
	tw.changes()
}

// changes stores the same book again and deletes it, by everybody.
func (tw *twins) changes() {
	tw.t.Helper()
	text := "A book that is stored twice and deleted once: uniquelyhere, and a tale of it."
	id := int64(tw.store("ada", "Twice", text))
	body, _ := json.Marshal(map[string]string{"title": "Twice", "author": "An Author", "text": text})
	tw.same("ada", "POST", "/api/ingest", string(body), 200)
	tw.same("ada", "GET", search("uniquelyhere", "include_details", "true"), "", 200)
	tw.same("bela", "GET", search("uniquelyhere"), "", 200)
	book := fmt.Sprintf("/api/books/%d", id)
	tw.same("bela", "DELETE", book, "", 404)
	tw.same("ada", "DELETE", "/api/books/1", "", 403)
	tw.same("ada", "DELETE", book, "", 200)
	tw.same("ada", "DELETE", book, "", 404)
	tw.same("ada", "GET", book, "", 404)
	gone := tw.same("ada", "GET", search("uniquelyhere"), "", 200)
	if n := number(gone.oracle, "total_count"); n != 0 {
		tw.t.Errorf("%v matches in a book that was deleted", n)
	}
	tw.same("ada", "POST", "/api/ingest", string(body), 201) // new again
}
