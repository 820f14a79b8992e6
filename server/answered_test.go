package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
)

type answeredBody struct {
	Results []library.Result `json:"results"`
	Total   int              `json:"total_count"`
	Answer  *answer.Result   `json:"answer"`
}

func TestSearchWithAnAnswer(t *testing.T) {
	h := openHouse(t, 3, 60, cached)
	s := newServer(t, testConfig(), h.deps()).Handler()
	f := func(method, target, body string, want, details bool) {
		t.Helper()
		w := ask(t, s, method, target, body)
		if w.Code != 200 {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		got := decoded[answeredBody](t, w)
		if got.Total == 0 || len(got.Results) == 0 || (got.Results[0].Content != "") != details || strings.Contains(w.Body.String(), `"metadata"`) != details {
			t.Errorf("%s %s: details %v wanted: %.300s", method, target, details, w.Body)
		}
		if (got.Answer != nil) != want {
			t.Fatalf("%s %s: answer %+v, wanted %v", method, target, got.Answer, want)
		}
		if !want {
			return
		}
		if got.Answer.Text == "" || got.Answer.Source != answer.SourceExtractive || got.Answer.Degraded || len(got.Answer.PassageIDs) == 0 {
			t.Errorf("%+v", got.Answer)
		}
		for _, id := range got.Answer.PassageIDs {
			if !slices.ContainsFunc(got.Results, func(r library.Result) bool { return r.ID == id }) {
				t.Errorf("the answer cites %d, which is not on the page", id)
			}
		}
	}
	f("GET", "/api/search?q=time&page_size=5", "", false, false)
	f("GET", "/api/search?q=time&page_size=5&answer=true", "", true, false)
	f("GET", "/api/search?q=time&page_size=5&answer=1&include_details=true", "", true, true)
	f("GET", "/api/search?q=time&page_size=5&answer=false", "", false, false)
	f("POST", "/api/search", `{"query":"time","page_size":5,"answer":true}`, true, false)
	f("POST", "/api/search", `{"query":"time","page_size":5,"answer":true,"include":["details"]}`, true, true)
	f("POST", "/api/search?answer", `{"q":"time","page_size":5,"answer":true}`, true, false)
	// What is asked with an answer differs from the same without in the answer alone.
	plain, answered := ask(t, s, "GET", "/api/search?q=being&page_size=3", ""), ask(t, s, "GET", "/api/search?q=being&page_size=3&answer=1", "")
	a, b := decoded[map[string]json.RawMessage](t, plain), decoded[map[string]json.RawMessage](t, answered)
	for _, name := range []string{"query", "results", "total_count", "total_pages", "has_next", "concepts", "relations", "mode"} {
		if string(a[name]) != string(b[name]) {
			t.Errorf("%s is %s without an answer, %s with one", name, a[name], b[name])
		}
	}
	if w := ask(t, s, "POST", "/api/search", `{"query":"time","answer":"yes"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "answer is a string") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, s, "GET", "/api/search?q=time&answer=1&answer=0", ""); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := decoded[answeredBody](t, ask(t, s, "GET", "/api/search?q=nosuchword&answer=1", "")); got.Answer == nil || got.Answer.Source != answer.SourceNone || got.Answer.Text != "" {
		t.Errorf("%+v", got.Answer)
	}
}

// An answer costs no statement more than a search.
func TestAnswersAskNoStatement(t *testing.T) {
	h := openHouse(t, 3, 60, cached)
	s := newServer(t, testConfig(), h.deps()).Handler()
	f := func(target, want string) {
		t.Helper()
		if got := ask(t, s, "GET", target, "").Header().Get("X-Tomehub-Statements"); got != want {
			t.Errorf("%s: %s statements, want %s", target, got, want)
		}
	}
	f("/api/search?q=time&answer=1", "2")
	f("/api/search?q=time&answer=1", "0")
	f("/api/search?q=time&include_details=1", "0") // the page was loaded with details
}

// hungAPI is a chat API that never answers. It reports each request.
func hungAPI(t testing.TB) (url string, reached <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{}, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1<<10)
		for {
			if _, err := r.Body.Read(buf); err != nil {
				break
			}
		}
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/v1", asked
}

func openAnswers(t testing.TB, c answer.Chat) *answer.Answerer {
	t.Helper()
	c.Model = "m"
	a, err := answer.New(answer.Config{Chat: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// While an answer is awaited, nothing of the library is held: no slot, no connection.
func TestHungAnswersHoldNothing(t *testing.T) {
	h := openHouse(t, 3, 60, cached)
	deps := h.deps()
	url, asked := hungAPI(t)
	deps.Answerer = openAnswers(t, answer.Chat{URL: url, Slots: 20, Timeout: time.Hour, IdleTimeout: time.Hour})
	s := newServer(t, testConfig(), deps).Handler()
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			defer func() {
				if p := recover(); p != nil && !errors.Is(p.(error), http.ErrAbortHandler) {
					t.Errorf("panic %v", p)
				}
			}()
			r := httptest.NewRequestWithContext(ctx, "GET", "/api/search?q=time&answer=1", nil)
			s.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	for range 20 {
		<-asked
	}
	for _, p := range h.pools.Stats() {
		if p.InUse != 0 || p.Waiting != 0 {
			t.Errorf("pool %s: %d in use, %d waiting while answers are awaited", p.Name, p.InUse, p.Waiting)
		}
	}
	if w := ask(t, s, "GET", "/api/search?q=being", ""); w.Code != 200 || w.Header().Get("X-Tomehub-Statements") != "2" {
		t.Errorf("a search among hung answers: %d", w.Code)
	}
	cancel() // the clients leave, and nobody waits for the API any more
	waiting.Wait()
	if got := deps.Answerer.(*answer.Answerer).Stats(); got.ClientGone != 20 || got.API.InUse != 0 || got.Degraded[answer.ReasonTimeout] != 0 {
		t.Errorf("%+v, API %+v", got, got.API)
	}
}

// A search whose answer hangs is a search, with the answer that stands in and why it does.
func TestAHungAnswerIsAnsweredFor(t *testing.T) {
	h := openHouse(t, 1, 20, cached)
	deps := h.deps()
	url, _ := hungAPI(t)
	deps.Answerer = openAnswers(t, answer.Chat{URL: url, Timeout: 50 * time.Millisecond})
	w := ask(t, newServer(t, testConfig(), deps).Handler(), "GET", "/api/search?q=time&answer=1", "")
	got := decoded[answeredBody](t, w)
	if w.Code != 200 || got.Answer == nil || !got.Answer.Degraded || got.Answer.Reason != answer.ReasonTimeout || got.Answer.Text == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// BenchmarkSearchBesideHungAnswers measures searches without an answer while the answer API
// hangs, and while there are none. The p99 of the two may differ by a tenth.
func BenchmarkSearchBesideHungAnswers(b *testing.B) {
	h := openHouse(b, 10, 200, cached)
	for _, hung := range []int{0, 100} {
		b.Run(fmt.Sprintf("hung=%d", hung), func(b *testing.B) {
			deps := h.deps()
			url, asked := hungAPI(b)
			deps.Answerer = openAnswers(b, answer.Chat{URL: url, Slots: 100, Timeout: time.Hour, IdleTimeout: time.Hour})
			s := newServer(b, benchConfig(), deps).Handler()
			ctx, cancel := context.WithCancel(b.Context())
			var waiting sync.WaitGroup
			for range hung {
				waiting.Go(func() {
					defer func() { _ = recover() }() // http.ErrAbortHandler: the client left
					s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/api/search?q=time&answer=1", nil))
				})
			}
			for range hung {
				<-asked
			}
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				// Every other search is new to the cache.
				w := ask(b, s, "GET", fmt.Sprintf("/api/search?q=time&page_size=10&page=%d", 1+i%2*(i/2%20)), "")
				took = append(took, time.Since(start))
				if w.Code != 200 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			cancel()
			waiting.Wait()
		})
	}
}
