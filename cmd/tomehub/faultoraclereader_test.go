//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A reader is one user, with books of his own. Only his own goroutine uses it.
type reader struct {
	c      *readers
	name   string
	rng    *rand.Rand
	mine   map[string]*shelfBook
	seen   map[string]int64 // ids of passages by title
	doubt  *shelfBook       // sent, and not acknowledged
	writes bool
	said   []answered
	wrong  []string
}

// visit asks until stop closes, and then stores what is still in doubt.
func (r *reader) visit(began time.Time, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			for range 10 {
				if r.doubt == nil {
					return
				}
				r.ingest(began)
			}
			r.wrong = append(r.wrong, "cannot store "+r.doubt.title+" after the faults")
			return
		case <-time.After(500*time.Millisecond + rand.N(time.Second)):
		}
		switch n := r.rng.IntN(10); {
		case r.doubt != nil && n < 5, r.writes && n == 9:
			r.ingest(began)
		case n == 8 && len(r.seen) > 0:
			r.content(began)
		default:
			r.search(began)
		}
	}
}

// note keeps what became of a request, and checks that a refusal is one of those there may be.
func (r *reader) note(began, at time.Time, kind string, status int, body []byte, fresh, keyword bool) {
	a := answered{at: at.Sub(began), end: time.Since(began), kind: kind, status: status, fresh: fresh, keyword: keyword}
	if status != http.StatusOK && status != http.StatusCreated {
		var e struct{ Error string }
		_ = json.Unmarshal(body, &e)
		a.code = e.Error
		known := status == http.StatusTooManyRequests ||
			status == http.StatusServiceUnavailable && slices.Contains([]string{"pool_exhausted", "database_unavailable", "database_busy", "ingest_busy"}, a.code)
		if !known {
			r.wrong = append(r.wrong, fmt.Sprintf("%s at %v: %d %.200s", kind, a.at, status, body))
		}
	}
	r.said = append(r.said, a)
}

// ingest stores a new book, or the one in doubt again.
func (r *reader) ingest(began time.Time) {
	again := r.doubt != nil
	if !again {
		title := fmt.Sprintf("Later %d of %s", len(r.mine), r.name)
		r.doubt = newBook(r.rng, title, own(r.name))
		r.mine[title] = r.doubt
	}
	at := time.Now()
	status, body := r.c.store(r.name, r.doubt)
	switch {
	case status == http.StatusCreated:
		r.doubt.certain, r.doubt = time.Now(), nil
	case status == http.StatusOK && again: // an ingest whose answer was lost had stored it
		// Nothing tells the server of that commit but its own look at the database, every 200 ms.
		r.doubt.certain, r.doubt = time.Now().Add(time.Second), nil
	case status == http.StatusOK:
		r.wrong = append(r.wrong, "a new book is a duplicate: "+r.doubt.title)
	}
	r.note(began, at, "ingest", status, body, status == http.StatusOK || status == http.StatusCreated, false)
}

// content reads a passage that an earlier search found.
func (r *reader) content(began time.Time) {
	titles := slices.Sorted(maps.Keys(r.seen))
	title := titles[r.rng.IntN(len(titles))]
	at := time.Now()
	status, body := r.c.ask(r.name, http.MethodGet, fmt.Sprintf("/api/content/%d", r.seen[title]), "")
	if status == http.StatusOK {
		var got struct{ Title, Content string }
		if err := json.Unmarshal(body, &got); err != nil || got.Title != title || got.Content != r.book(title).text {
			r.wrong = append(r.wrong, fmt.Sprintf("passage %d is not that of %s: %.300s", r.seen[title], title, body))
		}
	}
	r.note(began, at, "content", status, body, status == http.StatusOK, false)
}

// book returns a book that this reader may see, or nil.
func (r *reader) book(title string) *shelfBook {
	if b := r.mine[title]; b != nil {
		return b
	}
	return r.c.shared[title]
}

// query makes one of thousands: a word, two, one's own, another's.
func (r *reader) query() []string {
	word := func() string { return vocabulary[r.rng.IntN(len(vocabulary))] }
	switch n := r.rng.IntN(20); {
	case n < 2:
		return []string{own(r.name)}
	case n < 3:
		return []string{own(r.c.readers[r.rng.IntN(crowdSize())].name)}
	case n < 8:
		return []string{word()}
	}
	return []string{word(), word()}
}

// foundPage is what a search answers.
type foundPage struct {
	Total   int `json:"total_count"`
	Mode    string
	Stale   bool
	Results []struct {
		ID             int64
		Title, Content string
	}
}

func (r *reader) search(began time.Time) {
	words := r.query()
	at := time.Now()
	status, body := r.c.ask(r.name, http.MethodGet, "/api/search?page_size=100&include_details=true&q="+url.QueryEscape(strings.Join(words, " ")), "")
	var got foundPage
	if status == http.StatusOK {
		if err := json.Unmarshal(body, &got); err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
		r.check(words, at, got)
	}
	keyword := got.Mode == "keyword"
	r.note(began, at, "search", status, body, status == http.StatusOK && (keyword || got.Mode == "full") && !got.Stale, keyword)
}

// check holds an answer against what this reader's shelves have: everything that matches, once, with its
// text, and nothing else. A book in doubt may be there; an answer that says it is stale may lack what came late.
func (r *reader) check(words []string, at time.Time, got foundPage) {
	fault := func(format string, args ...any) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s, %v (mode %s, stale %t): ", r.name, words, got.Mode, got.Stale)+fmt.Sprintf(format, args...))
	}
	if got.Total != len(got.Results) {
		fault("total %d of %d", got.Total, len(got.Results))
	}
	found := map[string]bool{}
	for _, m := range got.Results {
		b := r.book(m.Title)
		if b == nil {
			fault("%q is not to be seen", m.Title)
			continue
		}
		if found[m.Title] {
			fault("%q twice", m.Title)
		}
		if !b.has(words) || m.Content != b.text {
			fault("%q does not match, or has another text: %.200s", m.Title, m.Content)
		}
		found[m.Title] = true
		r.seen[m.Title] = m.ID
	}
	for _, shelf := range []map[string]*shelfBook{r.c.shared, r.mine} {
		for title, b := range shelf {
			missing := b.has(words) && !found[title] && !b.certain.IsZero() && at.After(b.certain)
			late := strings.HasPrefix(title, "Later")
			if missing && !(late && (got.Stale || got.Mode == "cached")) {
				fault("%q is not found", title)
			}
		}
	}
}
