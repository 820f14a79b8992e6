package answer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/trace"
)

// chat asks a chat-completions API.
type chat struct {
	cfg    Chat
	url    string
	client *http.Client
	slots  slots
	cache  *otter.Cache[promptKey, Result] // nil keeps nothing
	log    *slog.Logger

	calls, hits atomic.Int64
	coolUntil   atomic.Int64 // Unix nanoseconds; the API asked to be left alone until then

	mu     sync.Mutex           // guards logged
	logged map[Reason]time.Time // when a failure was last logged; at most one entry per reason
}

func newChat(cfg Chat, log *slog.Logger) (*chat, error) {
	u, err := ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", settingURL, err)
	}
	c := &chat{cfg: cfg, url: u.String(), slots: newSlots(cfg), log: log, logged: map[Reason]time.Time{}, client: newClient(cfg)}
	if cfg.APIKey != "" && inTheClear(u) {
		log.Warn("answer API key is sent unencrypted", "setting", settingURL)
	}
	if cfg.CacheTTL > 0 {
		c.cache, err = otter.New(&otter.Options[promptKey, Result]{
			MaximumWeight: uint64(cfg.CacheBytes),
			Weigher: func(_ promptKey, r Result) uint32 {
				return uint32(len(r.Text) + 8*len(r.PassageIDs) + 256)
			},
			ExpiryCalculator: otter.ExpiryWriting[promptKey, Result](cfg.CacheTTL),
		})
	}
	if err != nil {
		return nil, fmt.Errorf("make answer API client: %w", err)
	}
	return c, nil
}

// newClient has connections of its own, as many as slots. It follows no redirect, which would
// carry the question, if not the key, to whoever the API names; and it unpacks nothing.
func newClient(cfg Chat) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: cfg.IdleTimeout}).DialContext,
			TLSHandshakeTimeout:    cfg.IdleTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        cfg.Slots,
			MaxIdleConnsPerHost:    cfg.Slots,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// answer returns the API's answer to r. Its errors are *failure, ctx's and out's.
func (c *chat) answer(ctx context.Context, r Request, out *output) (Result, error) {
	user, sent := prompt(r, c.cfg.ContextBytes)
	r.Passages = r.Passages[:sent]
	key := promptKey(sha256.Sum256([]byte(c.cfg.Model + "\x00" + user)))
	if c.cache != nil {
		if kept, ok := c.cache.GetIfPresent(key); ok {
			c.hits.Add(1)
			kept = kept.forPassages(r.Passages)
			return kept, out.send(Piece{Text: kept.Text, PassageIDs: kept.PassageIDs})
		}
	}
	if left := c.coolDown(); left > 0 {
		return Result{}, fail(ReasonRateLimited, "the API asked to be left alone for another %v", left)
	}
	if c.timeFor(ctx) <= c.cfg.SlotWait { // a deadline that nobody could keep says nothing of the API
		return Result{}, fail(ReasonTimeout, "no time is left of the request")
	}
	if b := c.cfg.Breaker; b != nil {
		if err := b.Ready(); err != nil {
			return Result{}, &failure{reason: ReasonBreakerOpen, err: err}
		}
	}
	if err := c.slots.enter(ctx); err != nil {
		return Result{}, err
	}
	defer c.slots.Release()
	result, err := c.judged(ctx, user, r.Passages, out)
	if err == nil && c.cache != nil && !result.Truncated {
		c.cache.Set(key, result.byPlace(r.Passages))
	}
	return result, err
}

// judged asks, and tells the breaker how it went.
func (c *chat) judged(ctx context.Context, user string, sent []Passage, out *output) (Result, error) {
	if c.cfg.Breaker == nil {
		result, err := c.ask(ctx, user, sent, out)
		_ = c.verdict(ctx, err, out)
		return result, err
	}
	held, end, err := c.cfg.Breaker.Begin(ctx)
	if err != nil {
		return Result{}, &failure{reason: ReasonBreakerOpen, err: err}
	}
	verdict := errNothingLearned // of a panic in emit
	defer func() { end(verdict) }()
	result, err := c.ask(held, user, sent, out)
	verdict = c.verdict(ctx, err, out)
	return result, err
}

// byPlace replaces passage ids by places in the prompt, and forPassages puts ids back: equal
// prompts may come from passages of two owners.
func (r Result) byPlace(sent []Passage) Result {
	places := make([]int64, 0, len(r.PassageIDs))
	for _, id := range r.PassageIDs {
		for i, p := range sent {
			if p.ID == id {
				places = append(places, int64(i))
				break
			}
		}
	}
	r.PassageIDs = places
	return r
}

func (r Result) forPassages(sent []Passage) Result {
	ids := make([]int64, len(r.PassageIDs))
	for i, place := range r.PassageIDs {
		ids[i] = sent[place].ID
	}
	r.PassageIDs = ids
	return r
}

// kept is the number of answers in the cache.
func (c *chat) kept() int {
	if c.cache == nil {
		return 0
	}
	return c.cache.EstimatedSize()
}

// errNothingLearned ends a call that says nothing about the API.
var errNothingLearned = errors.New("the client left, or read too slowly")

// Judge tells a breaker what the end of a call says about the API.
func Judge(err error) breaker.Outcome {
	f, failed := errors.AsType[*failure](err)
	switch {
	case err == nil, failed && f.reason == ReasonFiltered: // it answered
		return breaker.Success
	case failed:
		return breaker.Failure
	}
	return breaker.Ignored
}

// verdict is what the breaker is told of a call. A client that left, or that read so slowly
// that the time went by in sending to it, has taught nothing.
func (c *chat) verdict(ctx context.Context, err error, out *output) error {
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*failure](err)
	if !ok || ctx.Err() != nil || out.err != nil {
		return errNothingLearned
	}
	if f.reason == ReasonTimeout && out.busy > c.cfg.Timeout/2 {
		return errNothingLearned
	}
	if f.retryAfter > 0 {
		c.coolUntil.Store(time.Now().Add(f.retryAfter).UnixNano())
	}
	c.report(f)
	return f
}

// coolDown is how long the API is to be left alone.
func (c *chat) coolDown() time.Duration {
	return max(0, time.Until(time.Unix(0, c.coolUntil.Load())))
}

// reportEvery is how often failures of one kind are logged; Stats counts all.
const reportEvery = time.Minute

func (c *chat) report(f *failure) {
	now := time.Now()
	c.mu.Lock()
	last, known := c.logged[f.reason]
	quiet := known && now.Sub(last) < reportEvery
	if !quiet {
		c.logged[f.reason] = now
	}
	c.mu.Unlock()
	if quiet {
		return
	}
	c.log.Warn("answer API failed", "reason", string(f.reason), "error", f.Error(), "model", c.cfg.Model)
}

// reserve is what is left of the caller's time, at least, for the answer that stands in.
const reserve = 250 * time.Millisecond

// timeFor is how long a call may take that begins now.
func (c *chat) timeFor(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return c.cfg.Timeout
	}
	left := time.Until(end)
	return min(c.cfg.Timeout, left-max(left/10, reserve))
}

// errDeadline and errIdle end a call. Both are timeouts.
var (
	errDeadline = fail(ReasonTimeout, "not done within %s", settingTimeout)
	errIdle     = fail(ReasonTimeout, "silent for longer than %s", settingIdle)
)

// ask sends the request and hands the answer to out as it comes.
func (c *chat) ask(parent context.Context, user string, sent []Passage, out *output) (_ Result, failed error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	deadline := time.AfterFunc(c.timeFor(parent), func() { cancel(errDeadline) })
	defer deadline.Stop()
	idle := time.AfterFunc(c.cfg.IdleTimeout, func() { cancel(errIdle) })
	defer idle.Stop()

	body, err := c.body(user)
	if err != nil {
		return Result{}, fmt.Errorf("encode request to the answer API: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return Result{}, fmt.Errorf("make request to the answer API: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	req.Header.Set("User-Agent", "tomehub")
	// Sends nothing, but lets net/http ask again when a kept connection turns out to be closed.
	req.Header["Idempotency-Key"] = []string{}
	if c.cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+string(c.cfg.APIKey))
	}
	c.calls.Add(1)
	span := c.beginSpan(ctx, req)
	defer func() { endSpan(span, failed) }()
	res, err := c.client.Do(req)
	if err != nil {
		return Result{}, c.classify(ctx, err, ReasonRefused)
	}
	defer res.Body.Close()
	span.Set(trace.Int("http.response.status_code", int64(res.StatusCode)))
	if res.StatusCode != http.StatusOK {
		return Result{}, failureOf(res)
	}
	list := eventsOf(res.Header.Get("Content-Type"), &lively{r: res.Body, idle: idle, wait: c.cfg.IdleTimeout})
	if list == nil {
		return Result{}, fail(ReasonMalformed, "the answer is neither an event stream nor JSON")
	}
	w := &writing{citer: citer{passages: sent}, out: out, idle: idle, wait: c.cfg.IdleTimeout}
	truncated, err := w.read(list)
	if err != nil {
		return Result{}, c.classify(ctx, err, ReasonCut)
	}
	// Read to its end, a connection can be kept; one that does not end is not waited for.
	idle.Reset(endTime)
	_, _ = io.CopyN(io.Discard, res.Body, endBytes)
	return Result{Text: w.text.String(), PassageIDs: w.cited(), Source: SourceChat, Model: c.cfg.Model, Truncated: truncated}, nil
}

// endTime and endBytes bound what is read behind an answer.
const (
	endTime  = 50 * time.Millisecond
	endBytes = 16 << 10
)

// classify gives an error of the network its reason; otherwise is what it is when nothing of
// ours ended the call.
func (c *chat) classify(ctx context.Context, err error, otherwise Reason) error {
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	if f, ok := errors.AsType[*failure](context.Cause(ctx)); ok {
		return f
	}
	switch {
	case ctx.Err() != nil: // the caller's
		return ctx.Err()
	case errors.Is(err, errTooLarge):
		return fail(ReasonTooLarge, "more than %d bytes, or a line of more than %d", maxResponse, maxLine)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{reason: otherwise, err: io.ErrUnexpectedEOF}
	}
	// The URL is the operator's setting, the rest names addresses.
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &failure{reason: ReasonTimeout, err: err}
	}
	return &failure{reason: otherwise, err: err}
}

// lively puts the end of a call off whenever something of the answer arrives.
type lively struct {
	r    io.Reader
	idle *time.Timer
	wait time.Duration
}

func (l *lively) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.idle.Reset(l.wait)
	}
	return n, err
}

// writing is an answer while it comes.
type writing struct {
	citer
	out  *output
	text strings.Builder
	idle *time.Timer
	wait time.Duration
}

// read reads the whole answer, and tells whether the model ran into its bound.
func (w *writing) read(list events) (truncated bool, err error) {
	for {
		event, err := list.next()
		if err != nil {
			return false, err
		}
		p, err := partOf(event)
		if err != nil {
			return false, err
		}
		text, ids := w.add(p.text)
		if p.done {
			text += w.rest()
		}
		if w.text.Len() == 0 {
			text = strings.TrimLeft(text, " \t\r\n")
		}
		if w.text.Len()+len(text) > maxText {
			return false, fail(ReasonTooLarge, "the answer has more than %d bytes", maxText)
		}
		if text != "" {
			w.text.WriteString(text)
			if err := w.send(Piece{Text: text, PassageIDs: ids}); err != nil {
				return false, err
			}
		}
		if p.done && w.text.Len() == 0 {
			return false, fail(ReasonMalformed, "the answer is empty")
		}
		if p.done {
			return p.truncated, nil
		}
	}
}

// send hands a piece out. How long the client takes for it is no silence of the API.
func (w *writing) send(p Piece) error {
	w.idle.Stop()
	err := w.out.send(p)
	w.idle.Reset(w.wait)
	return err
}

func (w *writing) cited() []int64 {
	if w.ids == nil {
		return []int64{}
	}
	return w.ids
}
