package loadtest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func cacheWorks(ctx context.Context, b *bench) (finding, error) {
	more := fmt.Sprintf(`"page_size": %d`, 11+os.Getpid()%80) // at a target, one that nobody asked for yet
	first, err := b.search(ctx, "being time", more)
	if err != nil {
		return finding{}, err
	}
	second, err := b.search(ctx, "being time", more)
	if err != nil {
		return finding{}, err
	}
	ok := !first.Hit && first.statements > 0 && second.Hit && second.statements == 0 && slices.Equal(first.ids(), second.ids()) && first.Total == second.Total
	return judge(ok, "first: %d statements, cache_hit %v; again: %d statements, cache_hit %v", first.statements, first.Hit, second.statements, second.Hit)
}

func cacheKeys(ctx context.Context, b *bench) (finding, error) {
	variants := []struct{ query, more string }{
		{"dasein being", `"page_size": 5`}, {"dasein time", `"page_size": 5`}, {"dasein being", `"page_size": 6`},
		{"dasein being", `"page_size": 5, "page": 2`}, {"dasein being", `"page_size": 5, "include_details": true`},
	}
	var firsts []*searched
	for i, v := range variants {
		s, err := b.search(ctx, v.query, v.more)
		if err != nil {
			return finding{}, err
		}
		// Details may be joined to a page that is kept, and at a target somebody may have asked the same.
		if s.Hit && i != len(variants)-1 && b.spawned != nil {
			return judge(false, "%s with {%s} is answered from another one's entry", v.query, v.more)
		}
		firsts = append(firsts, s)
	}
	hits := 0
	for i, v := range variants {
		s, err := b.search(ctx, v.query, v.more)
		if err != nil {
			return finding{}, err
		}
		if s.Hit {
			hits++
		}
		if !slices.Equal(s.ids(), firsts[i].ids()) || (len(s.Results) > 0 && s.Results[0].Content != firsts[i].Results[0].Content) {
			return judge(false, "%s with {%s} is answered otherwise the second time", v.query, v.more)
		}
	}
	for _, s := range firsts {
		if len(s.Results) < 5 {
			return finding{}, fmt.Errorf("%w: the library has too few matches", errUndecided)
		}
	}
	differ := !slices.Equal(firsts[0].ids(), firsts[1].ids()) && len(firsts[2].Results) == 6 && !slices.Equal(firsts[0].ids(), firsts[3].ids()) && firsts[4].Results[0].Content != ""
	return judge(differ && hits == len(variants), "%d variants have answers of their own, %d of them are hits the second time", len(variants), hits)
}

func cacheExpires(ctx context.Context, b *bench) (finding, error) {
	var c struct {
		Cache struct {
			Classes map[string]struct {
				TTL float64 `json:"ttl_seconds"`
			} `json:"classes"`
		} `json:"cache"`
	}
	if err := b.health(ctx, "cache", &c); err != nil {
		return finding{}, err
	}
	query := "care " + b.newUser()
	var hits []bool
	for _, wait := range []time.Duration{0, 0, 2500 * time.Millisecond} {
		if err := b.pause(ctx, wait); err != nil {
			return finding{}, err
		}
		s, err := b.search(ctx, query, "")
		if err != nil {
			return finding{}, err
		}
		hits = append(hits, s.Hit)
	}
	return judge(slices.Equal(hits, []bool{false, true, false}), "cache_hit %v at first, %v at once, %v after 2.5 s; TTL of passages %v s, of concepts %v s",
		hits[0], hits[1], hits[2], c.Cache.Classes["content"].TTL, c.Cache.Classes["concepts"].TTL)
}

func cacheInvalidated(ctx context.Context, b *bench) (finding, error) {
	word := "zuverl" + strings.ReplaceAll(b.newUser(), "-", "x")
	var before *searched
	for range 2 {
		var err error
		if before, err = b.search(ctx, word, ""); err != nil {
			return finding{}, err
		}
	}
	if err := b.ingest(ctx, "About "+word, "This book is about "+word+" and about nothing else."); err != nil {
		return finding{}, err
	}
	after, err := b.search(ctx, word, "")
	if err != nil {
		return finding{}, err
	}
	return judge(before.Hit && before.Total == 0 && !after.Hit && after.Total == 1, "before: cache_hit %v, %d matches; right after the ingest: cache_hit %v, %d match", before.Hit, before.Total, after.Hit, after.Total)
}

func cacheLog(ctx context.Context, b *bench) (finding, error) {
	const query = "anxiety" // no other check asks for this alone
	for range 2 {
		if _, err := b.search(ctx, query, ""); err != nil {
			return finding{}, err
		}
	}
	var hit, miss string
	if _, err := until(ctx, 2*time.Second, func() (bool, error) {
		hit, miss = b.logged(`"Search cache HIT"`, `"query":"`+query+`"`), b.logged(`"Search cache MISS"`, query)
		return hit != "" && miss != "", nil
	}); err != nil {
		return finding{}, err
	}
	return judge(hit != "" && miss != "", "MISS logged: %v, HIT logged: %v", miss != "", hit != "")
}
