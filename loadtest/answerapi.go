package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Answers is how a chat-completions API behaves that stands behind a server under test: how slowly it answers, and how
// often not at all.
type Answers struct {
	FirstLine time.Duration // from the question to the first piece of an answer
	Lines     int           // pieces of an answer
	Every     time.Duration // between two pieces
	Fail      float64       // percent of the questions that are answered with status 500, at once
	Hang      float64       // percent that are never answered
}

// scaled multiplies the times by f.
func (a Answers) scaled(f float64) Answers {
	a.FirstLine, a.Every = scale(a.FirstLine, f), scale(a.Every, f)
	return a
}

// An AnswerAPI is a chat-completions API on a free port of the loopback address that behaves as its Answers say. It
// streams, as a TomeHub asks, and keeps nothing of what it is asked.
type AnswerAPI struct {
	// URL is what "tomehub serve --answer-url" takes.
	URL string

	behaviour Answers
	server    *http.Server
	serving   sync.WaitGroup
	asked     atomic.Int64

	mu   sync.Mutex // guards rng
	rng  *rand.Rand
	fail error // of serving; set before serving is done
}

// maxQuestion bounds what is read of one question: many times the passages that a TomeHub sends along.
const maxQuestion = 4 << 20

// ServeAnswers starts an AnswerAPI. seed decides which questions fail or hang. The caller must call Close.
func ServeAnswers(a Answers, seed uint64) (*AnswerAPI, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for an API of answers: %w", err)
	}
	api := newAnswerAPI(a, seed)
	api.URL = "http://" + listener.Addr().String() + "/v1"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", api.complete)
	api.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	api.serving.Go(func() {
		if err := api.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			api.fail = fmt.Errorf("serve answers: %w", err)
		}
	})
	return api, nil
}

func newAnswerAPI(a Answers, seed uint64) *AnswerAPI {
	return &AnswerAPI{behaviour: a, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Close closes all connections, which ends the answers under way, and returns when nobody is accepted any more.
func (api *AnswerAPI) Close() error {
	err := api.server.Close()
	api.serving.Wait()
	return errors.Join(api.fail, err)
}

// A fate is what happens to one question.
type fate int

const (
	answered fate = iota
	failed
	hung
)

// draw decides about the next question.
func (api *AnswerAPI) draw() fate {
	api.mu.Lock()
	defer api.mu.Unlock()
	switch x := 100 * api.rng.Float64(); {
	case x < api.behaviour.Fail:
		return failed
	case x < api.behaviour.Fail+api.behaviour.Hang:
		return hung
	}
	return answered
}

// A chatPiece is one event of a streamed completion.
type chatPiece struct {
	Object  string       `json:"object"`
	Choices []chatChoice `json:"choices"`
}

type chatChoice struct {
	Index int `json:"index"`
	Delta struct {
		Content string `json:"content,omitempty"`
	} `json:"delta"`
	FinishReason *string `json:"finish_reason"`
}

// complete answers one question.
func (api *AnswerAPI) complete(w http.ResponseWriter, r *http.Request) {
	// Whole, or net/http would not notice that the asker leaves.
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxQuestion)); err != nil {
		http.Error(w, `{"error": {"message": "the question cannot be read"}}`, http.StatusBadRequest)
		return
	}
	api.asked.Add(1)
	switch api.draw() {
	case failed:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"error": {"message": "this question was to fail"}}`) // who left needs no answer
	case hung:
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // to return would be an answer
	case answered:
		api.stream(r.Context(), w)
	}
}

// stream writes the pieces of an answer until the last one or until the asker leaves.
func (api *AnswerAPI) stream(ctx context.Context, w http.ResponseWriter) {
	a, out := api.behaviour, http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	stop := "stop"
	for n, wait := 1, a.FirstLine; n <= a.Lines; n, wait = n+1, a.Every {
		if !rest(ctx, wait) {
			panic(http.ErrAbortHandler) // to return would be a whole answer
		}
		piece := chatPiece{Object: "chat.completion.chunk", Choices: make([]chatChoice, 1)}
		piece.Choices[0].Delta.Content = fmt.Sprintf("Sentence %d rests on the first passage [1]. ", n)
		if n == a.Lines {
			piece.Choices[0].FinishReason = &stop
		}
		data, err := json.Marshal(piece)
		if err == nil {
			_, err = fmt.Fprintf(w, "data: %s\n\n", data)
		}
		if err != nil || out.Flush() != nil {
			return // the asker is gone
		}
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n") // as above
}

// rest waits for d; false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
