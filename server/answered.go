package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
)

// Answerer draws an answer to a question from the passages found for it. *answer.Answerer is
// one. It waits for others as long as it will, so it is called when a search is done and holds
// nothing; its only errors are the end of ctx and those of emit.
type Answerer interface {
	Answer(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error)
}

var _ Answerer = (*answer.Answerer)(nil)

// answerRequest asks about the passages of a page of matches with details.
func answerRequest(query string, result library.SearchResult) answer.Request {
	r := answer.Request{Query: query, Passages: make([]answer.Passage, 0, min(len(result.Results), answer.MaxPassages))}
	for _, m := range result.Results[:cap(r.Passages)] {
		p := answer.Passage{ID: m.ID, BookID: m.BookID, Title: m.Title, Content: m.Content, Score: m.Score}
		if m.PageNumber != nil {
			p.PageNumber = *m.PageNumber
		}
		r.Passages = append(r.Passages, p)
	}
	return r
}

// searchAnswered answers a search with an answer beside the matches. result has details, because
// the answer is drawn from them, whether the client wants them or not.
func (s *Server) searchAnswered(c *gin.Context, req searchRequest, result library.SearchResult) {
	start := time.Now()
	answered, err := s.drawAnswer(c.Request.Context(), answerRequest(req.Query, result), nil)
	exchangeOf(c).answering = time.Since(start)
	if err != nil {
		s.fail(c, err)
		return
	}
	if !req.IncludeDetails {
		result = result.WithoutDetails()
	}
	s.answer(c, http.StatusOK, answeredSearch{result, answered})
}

// answeredSearch is a search result with one field more.
type answeredSearch struct {
	library.SearchResult
	answered answer.Result
}

func (a answeredSearch) MarshalJSON() ([]byte, error) {
	body, err := a.SearchResult.AppendJSON(nil)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(a.answered)
	if err != nil {
		return nil, err
	}
	body = append(body[:len(body)-len("}")], `,"answer":`...)
	return append(append(body, encoded...), '}'), nil
}
