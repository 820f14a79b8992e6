package answer

import (
	"bytes"
	"encoding/json"
)

// A completion is one message of the API: a whole answer, or a part of a streamed one.
type completion struct {
	Choices []struct {
		Index        int     `json:"index"`
		Delta        message `json:"delta"`
		Message      message `json:"message"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Error *apiError `json:"error"`
}

type message struct {
	Content *string `json:"content"`
}

// An apiError is an error that comes with status 200, in the middle of a stream. What it says
// is not read: it may repeat the question.
type apiError struct {
	limited bool
}

// UnmarshalJSON takes the forms in use: a text, or an object with code, type and status of
// whatever kind.
func (e *apiError) UnmarshalJSON(raw []byte) error {
	var known struct {
		Code, Type, Status any
	}
	_ = json.Unmarshal(raw, &known) // a text has none of them
	for _, v := range []any{known.Code, known.Type, known.Status} {
		switch v {
		case float64(429), "429", "rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "RESOURCE_EXHAUSTED":
			e.limited = true
		}
	}
	return nil
}

// A part is what one message adds to an answer.
type part struct {
	text      string
	done      bool // nothing follows
	truncated bool // the model ran into its bound
}

var endOfStream = []byte("[DONE]")

// partOf reads one message.
func partOf(event []byte) (part, error) {
	event = bytes.TrimSpace(event)
	if bytes.Equal(event, endOfStream) {
		return part{done: true}, nil
	}
	var c completion
	if err := json.Unmarshal(event, &c); err != nil {
		return part{}, fail(ReasonMalformed, "a message is not a completion")
	}
	if c.Error != nil {
		if c.Error.limited {
			return part{}, fail(ReasonRateLimited, "an error within the stream")
		}
		return part{}, fail(ReasonStatus, "an error within the stream")
	}
	var p part
	for _, choice := range c.Choices { // none in a message of usage statistics
		if choice.Index != 0 {
			continue
		}
		switch {
		case choice.Message.Content != nil:
			p.text, p.done = *choice.Message.Content, true // a whole answer
		case choice.Delta.Content != nil:
			p.text = *choice.Delta.Content
		}
		switch choice.FinishReason {
		case "":
		case "content_filter":
			return part{}, fail(ReasonFiltered, "finish_reason is content_filter")
		case "length":
			p.done, p.truncated = true, true
		default:
			p.done = true
		}
	}
	return p, nil
}
