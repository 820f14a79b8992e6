//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A shelfBook is a book of one passage, of which the test knows everything.
type shelfBook struct {
	title, text string
	words       map[string]bool
	certain     time.Time // from when on every fresh answer has it; zero: it may be stored or not
}

// readers are the users, and what they must find.
type readers struct {
	t       *testing.T
	site    *oracleSite
	shared  map[string]*shelfBook // by title
	readers []*reader
	client  *http.Client
}

// answered is what became of one request.
type answered struct {
	at, end time.Duration
	kind    string
	status  int
	code    string
	fresh   bool // what was asked for, as the database has it
	keyword bool // of a search: without concepts, because the database was crowded
}

// vocabulary are the words of all books.
var vocabulary = func() (all []string) {
	for _, a := range []string{"ba", "de", "fi", "go", "hu", "ka"} {
		for _, b := range []string{"lam", "nor", "pes", "rit", "sul", "tov", "vek"} {
			all = append(all, a+b)
		}
	}
	return all
}()

// own is the word that the books of one user have and no others.
func own(user string) string { return "own" + user }

// newBook makes a book of one passage.
func newBook(rng *rand.Rand, title string, extra ...string) *shelfBook {
	b := &shelfBook{title: title, words: map[string]bool{}}
	words := slices.Clone(extra)
	for range 50 {
		words = append(words, vocabulary[rng.IntN(len(vocabulary))])
	}
	for _, w := range words {
		b.words[w] = true
	}
	b.text = strings.Join(words, " ") + "."
	return b
}

func newReaders(t *testing.T, site *oracleSite) *readers {
	c := &readers{
		t: t, site: site, shared: map[string]*shelfBook{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowdSize()}, Timeout: 30 * time.Second},
	}
	for i := range crowdSize() {
		c.readers = append(c.readers, &reader{
			c: c, name: fmt.Sprintf("u%03d", i), rng: rand.New(rand.NewPCG(uint64(i), 7)), writes: i%10 == 0,
			mine: map[string]*shelfBook{}, seen: map[string]int64{},
		})
	}
	return c
}

// fill stores what is there before the faults: books of the shared library and one of each user.
func (c *readers) fill() {
	c.t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 30 {
		b := newBook(rng, fmt.Sprintf("Shared %d", i))
		b.certain = time.Now()
		c.shared[b.title] = b
		if status, body := c.store("", b); status != http.StatusCreated {
			c.t.Fatalf("store %s: %d %s", b.title, status, body)
		}
	}
	var filling sync.WaitGroup
	for part := range slices.Chunk(c.readers, crowdSize()/4) {
		filling.Go(func() {
			for _, r := range part {
				b := newBook(r.rng, "First of "+r.name, own(r.name))
				if status, body := c.store(r.name, b); status != http.StatusCreated {
					c.t.Errorf("store %s: %d %s", b.title, status, body)
				}
				b.certain = time.Now()
				r.mine[b.title] = b
			}
		})
	}
	filling.Wait()
}

// ask sends a request as a user; an answer that does not come is status 0.
func (c *readers) ask(user, method, path, body string) (int, []byte) {
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.site.url+path, strings.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	if user != "" {
		r.Header.Set("X-Tomehub-User", user)
	}
	res, err := c.client.Do(r)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, got
}

func (c *readers) store(user string, b *shelfBook) (int, []byte) {
	body, _ := json.Marshal(map[string]string{"title": b.title, "text": b.text})
	return c.ask(user, http.MethodPost, "/api/ingest", string(body))
}

func (b *shelfBook) has(words []string) bool {
	for _, w := range words {
		if !b.words[w] {
			return false
		}
	}
	return true
}

// checkShelves holds that every book that was acknowledged is there, once, and nothing else.
func (c *readers) checkShelves() {
	c.t.Helper()
	books := 0
	for _, r := range c.readers {
		status, body := c.ask(r.name, http.MethodGet, "/api/search?page_size=1000&q="+own(r.name), "")
		var got foundPage
		if err := json.Unmarshal(body, &got); status != http.StatusOK || err != nil {
			c.t.Fatalf("search: %d %s", status, body)
		}
		var titles []string
		for _, m := range got.Results {
			titles = append(titles, m.Title)
		}
		slices.Sort(titles)
		if want := slices.Sorted(maps.Keys(r.mine)); !slices.Equal(titles, want) {
			c.t.Errorf("%s has %v, want %v", r.name, titles, want)
		}
		books += len(r.mine)
	}
	c.t.Logf("%d books of %d users, all there once", books, len(c.readers))
}

// judge holds what the crowd saw against the bouts: nothing wrong ever, all fresh before the first and, from
// some seconds after each on, again.
func (c *readers) judge(faults []*bout) {
	c.t.Helper()
	var all []answered
	wrong := 0
	for _, r := range c.readers {
		all = append(all, r.said...)
		for _, w := range r.wrong {
			if wrong++; wrong <= 20 {
				c.t.Errorf("wrong: %s", w)
			}
		}
	}
	c.tell(all, &bout{name: "before", to: -mended}, faults[0].from)
	for i, b := range faults {
		next := time.Duration(1 << 62)
		if i+1 < len(faults) {
			next = faults[i+1].from
		}
		c.tell(all, b, next)
	}
	if len(all) < crowdSize()*20 {
		c.t.Errorf("%d requests in all: that is no load", len(all))
	}
}

// tell judges what ended from a bout's beginning to the next one's. The short form runs on machines that
// do other work, which sheds some: there, no more than half of what is asked after the time to mend; and
// that the database could not be asked is a fault on every machine.
func (c *readers) tell(all []answered, b *bout, next time.Duration) {
	c.t.Helper()
	sums, last, n, keyword, after, shed := map[string]int{}, b.to, 0, 0, 0, 0
	for _, a := range all {
		if a.end < b.from || a.end >= next {
			continue
		}
		n++
		if a.keyword {
			keyword++
		}
		late := a.at-b.to > mended
		if late {
			after++
		}
		if a.fresh {
			continue
		}
		what := a.kind + " " + strings.TrimSpace(fmt.Sprint(a.status, " ", a.code))
		if a.status == http.StatusOK {
			what = "stale " + a.kind
		}
		sums[what]++
		last = max(last, a.at)
		if late {
			shed++
			if a.code == "database_unavailable" {
				c.t.Errorf("%s: the database could not be asked %v after its end", b.name, a.at-b.to)
			}
		}
	}
	c.t.Logf("%-15s %5d requests, %d without concepts, not fresh: %v, the last %v after its end", b.name, n, keyword, sums, (last - b.to).Round(time.Millisecond))
	if fullFaults() && shed > 0 || shed > after/2 { // a machine that others use sheds by itself
		c.t.Errorf("%s: %d of %d answers were not fresh later than %v after its end", b.name, shed, after, mended)
	}
}

// leave closes the users' connections.
func (c *readers) leave() { c.client.CloseIdleConnections() }
