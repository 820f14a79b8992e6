// Package answer draws an answer to a question from the passages that were found for it:
// the best sentences of the passages themselves, or what a chat-completions HTTP API writes from
// them. Whatever that API does (hang, refuse, break off), there is an answer: the sentences, with
// Result.Degraded saying that they stand in and why.
package answer

import (
	"context"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/server/breaker"
)

// Passage is what an answer may be drawn from.
type Passage struct {
	ID         int64
	BookID     int64
	Title      string // of the book
	Content    string
	PageNumber int // 0: unknown
	Score      float64
}

// Request is a question and the passages found for it, best first. The first MaxPassages of
// them are read.
type Request struct {
	Query    string
	Passages []Passage
}

// MaxPassages is how many passages an answer is drawn from.
const MaxPassages = 50

// Piece is one part of an answer that is handed out while it is made. The texts of all
// pieces since the last one with Restart are Result.Text.
type Piece struct {
	Text       string
	PassageIDs []int64 // what Text is drawn from; empty for text without a citation
	// Restart says that the pieces so far are void: the API broke off in the middle of its
	// answer, and another one begins with the next piece. Such a piece has no text.
	Restart bool
	Reason  Reason // of a Restart
}

// Result is an answer.
type Result struct {
	// Text holds citations: [2] stands behind what is drawn from the second of PassageIDs.
	Text       string  `json:"text"`
	PassageIDs []int64 `json:"passage_ids"` // in the order they are first cited; may be empty
	Source     Source  `json:"source"`
	Model      string  `json:"model,omitempty"`     // of SourceChat
	Truncated  bool    `json:"truncated,omitempty"` // the model ran into Chat.MaxTokens
	Degraded   bool    `json:"degraded"`            // an API was to answer and did not
	Reason     Reason  `json:"reason,omitempty"`    // why, with Degraded
}

// Source is who wrote an answer.
type Source string

// The sources. SourceNone is the answer when there is no passage: it has no text, because
// whatever it said would be in a language that nobody asked for.
const (
	SourceNone       Source = "none"
	SourceExtractive Source = "extractive"
	SourceChat       Source = "chat"
)

// Config says who answers. The zero Config answers with sentences of the passages.
type Config struct {
	MaxSentences int  // of an extractive answer; default 5
	MaxBytes     int  // of the text of an extractive answer; default 2048
	Chat         Chat // without a URL no API is asked
	Logger       *slog.Logger
}

// Chat says which API to ask. Zero values mean the defaults.
type Chat struct {
	URL    string // base, such as http://127.0.0.1:11434/v1, or whole, ending in /chat/completions
	Model  string
	APIKey Key // sent as a bearer token; may be empty

	Timeout     time.Duration // longest time of one answer; default 20 s
	IdleTimeout time.Duration // longest silence before or within an answer; default 5 s

	Slots    int           // answers being written at a time; default 4
	Queue    int           // requests that wait for a slot; default Slots
	SlotWait time.Duration // longest such wait; default 100 ms

	MaxTokens    int // asked of the model; default 512
	ContextBytes int // of the passages that are sent; default 12 KiB

	CacheTTL   time.Duration // answers are kept this long; default 10 min, negative keeps none
	CacheBytes int           // of the answers kept; default 4 MiB

	// Breaker keeps calls from an API that fails, and is told of each how it ended. It must
	// classify by Judge. Nil is none.
	Breaker *breaker.Breaker
}

// Key is a secret. It prints as stars wherever it is formatted or logged.
type Key string

const masked = "********"

func (k Key) String() string {
	if k == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from printing the key.
func (k Key) GoString() string { return k.String() }

// LogValue keeps slog from printing the key.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText keeps encoders from printing the key.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Answerer answers. It is safe for concurrent use.
type Answerer struct {
	cfg   Config
	chat  *chat // nil: no API
	log   *slog.Logger
	stats counts
}

// New checks cfg, reporting every fault at once. It asks nobody: an API that is down now may be
// up when it is needed. Close releases the connections.
func New(cfg Config) (*Answerer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	a := &Answerer{cfg: cfg, log: cfg.Logger}
	if cfg.Chat.URL != "" {
		var err error
		if a.chat, err = newChat(cfg.Chat, cfg.Logger); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Close closes idle connections and ends the cache's housekeeping. Answers under way end as
// they would have.
func (a *Answerer) Close() {
	if a.chat == nil {
		return
	}
	a.chat.client.CloseIdleConnections()
	if a.chat.cache != nil {
		a.chat.cache.StopAllGoroutines()
	}
}

// Answer answers r. emit, which may be nil, is called with each piece as it comes, never after
// Answer has returned. There are two errors: ctx ended, and emit's own. While it waits for the
// API, Answer holds one of Chat.Slots and nothing else.
func (a *Answerer) Answer(ctx context.Context, r Request, emit func(Piece) error) (Result, error) {
	if len(r.Passages) > MaxPassages {
		r.Passages = r.Passages[:MaxPassages]
	}
	out := &output{emit: emit}
	if len(r.Passages) == 0 {
		a.stats.count(SourceNone)
		return Result{PassageIDs: []int64{}, Source: SourceNone}, nil
	}
	if a.chat == nil {
		return a.extractive(r, out, "")
	}
	result, err := a.chat.answer(ctx, r, out)
	if err == nil {
		a.stats.count(SourceChat)
		return result, nil
	}
	reason := reasonOf(err)
	if out.err != nil || ctx.Err() != nil {
		a.stats.left.Add(1)
		if out.err != nil {
			return Result{}, out.err
		}
		return Result{}, ctx.Err()
	}
	if out.pieces > 0 {
		if err := out.send(Piece{Restart: true, Reason: reason}); err != nil {
			a.stats.left.Add(1)
			return Result{}, err
		}
	}
	return a.extractive(r, out, reason)
}

// extractive answers with sentences; reason says what they stand in for.
func (a *Answerer) extractive(r Request, out *output, reason Reason) (Result, error) {
	result := Result{PassageIDs: []int64{}, Source: SourceExtractive, Degraded: reason != "", Reason: reason}
	for _, p := range extract(r, a.cfg.MaxSentences, a.cfg.MaxBytes, &result) {
		if err := out.send(p); err != nil {
			a.stats.left.Add(1)
			return Result{}, err
		}
	}
	a.stats.count(SourceExtractive)
	a.stats.degrade(reason)
	return result, nil
}

// An output hands pieces out. It is used by one goroutine.
type output struct {
	emit   func(Piece) error
	pieces int
	busy   time.Duration // spent in emit: a client that reads slowly, not an API that writes slowly
	err    error         // emit's
}

func (o *output) send(p Piece) error {
	if o.emit == nil {
		return nil
	}
	start := time.Now()
	o.pieces++
	o.err = o.emit(p)
	o.busy += time.Since(start)
	return o.err
}
