package library

import (
	"context"
	"sync"

	"github.com/tomehub/tomehub/server/trace"
)

// result is the source in the words of spans and metrics.
func (s source) result() string {
	return [...]string{loaded: "miss", hit: "hit", joined: "joined", fromSecond: "second_level", stale: "stale", skipped: "skipped"}[s]
}

// saw records a look into the cache that took no time worth telling.
func (c *cache) saw(ctx context.Context, k key, from source) {
	if !c.traced {
		return
	}
	if span := trace.From(ctx); span.Recorded() {
		span.Record("cache "+k.class.String(), trace.Internal, 0, "", cacheClass(k.class), trace.String("tomehub.cache.result", from.result()))
	}
}

// sawMany is saw for the hits of one request for many.
func (c *cache) sawMany(ctx context.Context, of class, n int) {
	if !c.traced {
		return
	}
	if span := trace.From(ctx); span.Recorded() {
		span.Record("cache "+of.String(), trace.Internal, 0, "", cacheClass(of), trace.String("tomehub.cache.result", hit.result()), trace.Int("tomehub.cache.keys", int64(n)))
	}
}

func cacheClass(of class) trace.Attr { return trace.String("tomehub.cache.class", of.String()) }

// A look is a look into the cache that may load, or wait for somebody else's load; nil does nothing.
type look struct {
	cache *cache
	span  *trace.Span
	keys  []key
}

// beginLook is nil when nobody traces the request. keys are of one class.
func (c *cache) beginLook(ctx context.Context, keys ...key) *look {
	span := trace.From(ctx).Child("cache "+keys[0].class.String(), trace.Internal)
	if span == nil {
		return nil
	}
	span.Set(cacheClass(keys[0].class))
	c.flights.enter(keys)
	return &look{c, span, keys}
}

// within returns the context of what the look leads to.
func (l *look) within(ctx context.Context) context.Context {
	if l == nil {
		return ctx
	}
	return trace.With(ctx, l.span)
}

// end records the look, with a link to whoever has loaded what this one waited for.
func (l *look) end(from source, err error) {
	if l == nil {
		return
	}
	leaders := l.cache.flights.leave(l.keys)
	l.span.Set(trace.String("tomehub.cache.result", from.result()))
	if from == joined {
		l.link(leaders)
	}
	if err != nil {
		l.span.Fail("_OTHER", "") // the request's span has the code
	}
	l.span.End()
}

// endMany is end for a look at many keys.
func (l *look) endMany(led, waited int) {
	if l == nil {
		return
	}
	leaders := l.cache.flights.leave(l.keys)
	l.span.Set(trace.Int("tomehub.cache.loaded", int64(led)), trace.Int("tomehub.cache.joined", int64(waited)))
	l.link(leaders)
	l.span.End()
}

func (l *look) link(leaders []trace.SpanContext) {
	for _, leader := range leaders {
		if leader != l.span.Context() {
			l.span.Link(leader)
		}
	}
}

// leads tells those who wait for the load of k which span it runs in.
func (c *cache) leads(ctx context.Context, k key) {
	if !c.traced {
		return
	}
	if span := trace.From(ctx).Context(); span.Sampled {
		c.flights.lead(k, span)
	}
}

// flights are the keys that traced requests wait for, with the span that loads each. A key is there as long as one of them
// is, so that there are no more than requests in flight ask for.
type flights struct {
	mu    sync.Mutex // guards byKey and what it holds
	byKey map[key]*flight
}

type flight struct {
	waiting int
	leader  trace.SpanContext
}

func (f *flights) enter(keys []key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil {
		f.byKey = map[key]*flight{}
	}
	for _, k := range keys {
		one := f.byKey[k]
		if one == nil {
			one = &flight{}
			f.byKey[k] = one
		}
		one.waiting++
	}
}

// lead is called by who has entered.
func (f *flights) lead(k key, leader trace.SpanContext) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.byKey[k]; one != nil {
		one.leader = leader
	}
}

// leave returns the spans that have loaded these keys, each once.
func (f *flights) leave(keys []key) (leaders []trace.SpanContext) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[trace.SpanContext]bool{}
	for _, k := range keys {
		one := f.byKey[k]
		if one.waiting--; one.waiting == 0 {
			delete(f.byKey, k)
		}
		if leader := one.leader; leader.Valid() && !seen[leader] {
			seen[leader] = true
			leaders = append(leaders, leader)
		}
	}
	return leaders
}
