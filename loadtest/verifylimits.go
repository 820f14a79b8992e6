package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// searchNothing is the plan's own request, which asks for nothing and counts all the same.
func (b *bench) searchNothing(ctx context.Context, user string) (*reply, error) {
	return b.do(ctx, http.MethodGet, b.target+"/api/search", "", user)
}

func limitsCount(ctx context.Context, b *bench) (finding, error) {
	user := b.newUser()
	var remaining [2]int
	limit := 0
	for i := range remaining {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return finding{}, err
		}
		limit, remaining[i] = a.number("X-RateLimit-Limit"), a.number("X-RateLimit-Remaining")
		if a.number("X-RateLimit-Reset") < 0 {
			return judge(false, "the answer has no X-RateLimit-Reset")
		}
	}
	return judge(limit > 0 && remaining[0] == limit-1 && remaining[1] == limit-2, "limit %d, %d and %d remaining", limit, remaining[0], remaining[1])
}

// mostLimit is the largest limit that is tried out.
const mostLimit = 2000

// exhaust uses up the searches of a user, once for the bench, and returns the first refusal.
func (b *bench) exhaust(ctx context.Context) (*reply, error) {
	if b.limited != nil {
		return b.limited, nil
	}
	user := b.newUser()
	for b.asked = 1; ; b.asked++ {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return nil, err
		}
		limit := a.number("X-RateLimit-Limit")
		switch {
		case a.status == http.StatusTooManyRequests:
			a.header.Set("X-Verify-User", user)
			b.limited = a
			return a, nil
		case limit > mostLimit:
			return nil, fmt.Errorf("%w: the limit of %d is too high to use it up here", errUndecided, limit)
		case limit < 0 || b.asked > limit+1:
			return nil, fmt.Errorf("none of %d searches was refused (X-RateLimit-Limit: %q)", b.asked, a.header.Get("X-RateLimit-Limit"))
		}
	}
}

func limitExceeded(ctx context.Context, b *bench) (finding, error) {
	a, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	limit := a.number("X-RateLimit-Limit")
	return judge(b.asked == limit+1, "%d searches pass, number %d gets 429", b.asked-1, b.asked)
}

func limitsPerRoute(ctx context.Context, b *bench) (finding, error) {
	refused, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	user := refused.header.Get("X-Verify-User")
	read, err := b.do(ctx, http.MethodGet, b.target+"/api/content/1", "", user)
	if err != nil {
		return finding{}, err
	}
	put, err := b.do(ctx, http.MethodPost, b.target+"/api/ingest", "{}", user)
	if err != nil {
		return finding{}, err
	}
	search, ingest, other := refused.number("X-RateLimit-Limit"), put.number("X-RateLimit-Limit"), read.number("X-RateLimit-Limit")
	ok := read.status != http.StatusTooManyRequests && put.status != http.StatusTooManyRequests && ingest > 0 && ingest != search && other != search
	return judge(ok, "per minute: search %d, ingest %d, everything %d; searches refused, a read gets %d, an empty ingest %d", search, ingest, other, read.status, put.status)
}

func limitsByEnvironment(ctx context.Context, b *bench) (finding, error) {
	user := b.newUser()
	limit, passed := 0, 0
	for range 8 {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return finding{}, err
		}
		limit = a.number("X-RateLimit-Limit")
		if a.status != http.StatusTooManyRequests {
			passed++
		}
	}
	pools, err := b.pools(ctx)
	if err != nil {
		return finding{}, err
	}
	ok := limit == 7 && passed == 7 && len(pools) == 1
	for _, p := range pools {
		ok = ok && p.Size == 13
	}
	return judge(ok, "X-RateLimit-Limit is %d, %d of 8 searches pass; pools: %s", limit, passed, poolsText(pools))
}

func retryAfter(ctx context.Context, b *bench) (finding, error) {
	a, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	after := a.number("Retry-After")
	return judge(after >= 1 && after <= 60 && strings.Contains(string(a.body), fmt.Sprintf(`"retry_after":%d`, after)),
		"Retry-After: %q; the body is %s", a.header.Get("Retry-After"), clip(string(a.body), 150))
}
