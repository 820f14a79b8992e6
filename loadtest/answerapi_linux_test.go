package loadtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask puts a question to an API, and returns the answer, how long it took, and whether it was cut off.
func ask(ctx context.Context, api *AnswerAPI) (out *httptest.ResponseRecorder, took time.Duration, cut bool) {
	out = httptest.NewRecorder()
	began := time.Now()
	defer func() { took, cut = time.Since(began), recover() == http.ErrAbortHandler }()
	api.complete(out, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"stream": true}`)))
	return
}

func TestAnswersTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newAnswerAPI(Answers{FirstLine: 500 * time.Millisecond, Lines: 20, Every: 100 * time.Millisecond}, 1)
		out, took, cut := ask(t.Context(), api)
		if took != 2400*time.Millisecond || cut {
			t.Errorf("20 pieces took %v, want 0.5 s and 19 times 0.1 s", took)
		}
		body := out.Body.String()
		if n := strings.Count(body, `"content":"Sentence `); n != 20 || !strings.HasSuffix(body, "data: [DONE]\n\n") {
			t.Errorf("%d pieces in %q", n, body)
		}
		if n := strings.Count(body, `"finish_reason":"stop"`); n != 1 || out.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%d pieces say that they are the last one, of type %q", n, out.Header().Get("Content-Type"))
		}
		leaving, leave := context.WithTimeout(t.Context(), 650*time.Millisecond)
		defer leave()
		if out, took, cut := ask(leaving, api); !cut || took != 650*time.Millisecond || strings.Count(out.Body.String(), "data: ") != 2 {
			t.Errorf("to who left after 650 ms: %q until %v", out.Body, took)
		}
	})
}

// Shares are of all questions, and the same seed fails the same ones.
func TestAnswersFailAndHang(t *testing.T) {
	draws := func(seed uint64) (list []fate) {
		api := newAnswerAPI(Answers{Lines: 1, Fail: 20, Hang: 10}, seed)
		for range 10_000 {
			list = append(list, api.draw())
		}
		return list
	}
	n := map[fate]int{}
	for _, f := range draws(1) {
		n[f]++
	}
	if n[failed] < 1900 || n[failed] > 2100 || n[hung] < 900 || n[hung] > 1100 {
		t.Errorf("of 10,000 questions %d failed and %d hung, want 20 %% and 10 %%", n[failed], n[hung])
	}
	if !slices.Equal(draws(1), draws(1)) || slices.Equal(draws(1), draws(2)) {
		t.Error("the seed does not decide which questions fail")
	}
	synctest.Test(t, func(t *testing.T) {
		if out, took, cut := ask(t.Context(), newAnswerAPI(Answers{Fail: 100, FirstLine: time.Second}, 1)); cut || out.Code != 500 || took != 0 {
			t.Errorf("a question that fails: %d after %v", out.Code, took)
		}
		waiting, leave := context.WithTimeout(t.Context(), time.Hour)
		defer leave()
		if out, took, cut := ask(waiting, newAnswerAPI(Answers{Hang: 100}, 1)); !cut || took != time.Hour || out.Body.Len() > 0 {
			t.Errorf("a question that hangs: %q after %v", out.Body, took)
		}
	})
}

// The API is there as long as the server is, and an answer that hangs does not keep it.
func TestSpawnWithAnswers(t *testing.T) {
	s, _, err := spawnFake(t, "", func(c *SpawnConfig) { c.Answers = &Answers{Hang: 100} })
	if err != nil {
		t.Fatal(err)
	}
	args := s.cmd.Args
	at := slices.Index(args, "--answer-url")
	if at < 0 || !slices.Contains(args, "--answer-model") {
		t.Fatalf("the server is not told where to ask: %q", args)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	cut := make(chan error)
	go func() {
		answer, err := client.Post(args[at+1]+"/chat/completions", "application/json", strings.NewReader("{}"))
		if err == nil {
			answer.Body.Close()
		}
		cut <- err
	}()
	for s.api.asked.Load() == 0 {
		time.Sleep(time.Millisecond) // a real connection
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-cut; err == nil {
		t.Error("a question that hangs was answered when the server was stopped")
	}
	if _, err := client.Get(args[at+1]); err == nil {
		t.Error("the API is there after the server was stopped")
	}
}

func TestAnswersShrinkWithTheLab(t *testing.T) {
	a := &Answers{FirstLine: time.Second, Every: 100 * time.Millisecond, Lines: 3, Hang: 5}
	f := func(s Server, want Answers) {
		t.Helper()
		if got := s.AnswersAt(0.1); *got != want {
			t.Errorf("%+v, want %+v", *got, want)
		}
	}
	f(Server{Answers: a, Lab: &Lab{}}, Answers{FirstLine: 100 * time.Millisecond, Every: 10 * time.Millisecond, Lines: 3, Hang: 5})
	f(Server{Answers: a}, *a) // its server's own times stay
	if got := (Server{Lab: &Lab{}}).AnswersAt(0.1); got != nil {
		t.Errorf("a scenario without answers has %+v", got)
	}
}
