package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func pageParameters(ctx context.Context, b *bench) (finding, error) {
	bad := []string{`"page": 0`, `"page": -1`, `"page": "two"`, `"page_size": 0`, `"page_size": -5`, `"page_size": 100000`, `"page": 1.5`}
	var taken []string
	for _, p := range bad {
		a, err := b.post(ctx, "/api/search", `{"query": "dasein", `+p+`}`)
		if err != nil {
			return finding{}, err
		}
		if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
			taken = append(taken, fmt.Sprintf("%s gets %d", p, a.status))
		}
	}
	if len(taken) > 0 {
		return judge(false, "%s", strings.Join(taken, "; "))
	}
	good, err := b.search(ctx, "dasein", `"page": 1, "page_size": 50`)
	if err != nil {
		return finding{}, err
	}
	return judge(good.Page == 1 && good.PageSize == 50, "%d bad ones get 400, page 1 with 50 passes", len(bad))
}

// pagedQuery has matches for several pages in the demo library.
const pagedQuery = "dasein"

// walk reads a search page by page.
func (b *bench) walk(ctx context.Context, size, most int, more string) (pages []*searched, err error) {
	for page := 1; page <= most; page++ {
		s, err := b.search(ctx, pagedQuery, fmt.Sprintf(`"page": %d, "page_size": %d%s`, page, size, more))
		if err != nil {
			return nil, err
		}
		pages = append(pages, s)
		if len(s.Results) < size || page >= s.Pages {
			break
		}
	}
	return pages, nil
}

// mostPages bounds a walk through a library that is not ours.
const mostPages = 40

func totalCount(ctx context.Context, b *bench) (finding, error) {
	const size = 50
	pages, err := b.walk(ctx, size, mostPages, "")
	if err != nil {
		return finding{}, err
	}
	seen, same := map[int64]bool{}, true
	for _, p := range pages {
		for _, id := range p.ids() {
			seen[id] = true
		}
		same = same && p.Total == pages[0].Total && p.Pages == pages[0].Pages
	}
	total := pages[0].Total
	if total > size*mostPages {
		return finding{}, fmt.Errorf("%w: %d matches are too many to read them all", errUndecided, total)
	}
	return judge(same && len(seen) == total && pages[0].Pages == (total+size-1)/size && total > size, "total_count %d, total_pages %d; %d different passages on %d pages", total, pages[0].Pages, len(seen), len(pages))
}

func offsets(ctx context.Context, b *bench) (finding, error) {
	whole, err := b.search(ctx, pagedQuery, `"page_size": 50`)
	if err != nil {
		return finding{}, err
	}
	var ids []int64
	for page := 1; page <= 5; page++ {
		s, err := b.search(ctx, pagedQuery, fmt.Sprintf(`"page": %d, "page_size": 10`, page))
		if err != nil {
			return finding{}, err
		}
		if len(s.Results) > 10 || s.Page != page {
			return judge(false, "page %d of 10 has %d results and says it is page %d", page, len(s.Results), s.Page)
		}
		ids = append(ids, s.ids()...)
	}
	return judge(len(ids) > 10 && slices.Equal(ids, whole.ids()), "5 pages of 10 are the same %d passages in the same order as a page of 50", len(ids))
}

func hasNext(ctx context.Context, b *bench) (finding, error) {
	pages, err := b.walk(ctx, 50, mostPages, "")
	if err != nil {
		return finding{}, err
	}
	for i, p := range pages {
		if last := 50*(i+1) >= p.Total; p.HasNext == last {
			return judge(false, "has_next is %v on page %d of %d", p.HasNext, i+1, p.Pages)
		}
	}
	behind, err := b.search(ctx, pagedQuery, fmt.Sprintf(`"page": %d, "page_size": 50`, pages[0].Pages+1))
	if err != nil {
		return finding{}, err
	}
	return judge(len(pages) > 1 && !behind.HasNext && len(behind.Results) == 0, "true on %d pages, false on the last and behind it", len(pages)-1)
}

func pageIsFast(ctx context.Context, b *bench) (finding, error) {
	const details = `, "include_details": true`
	var onePage, allPages []time.Duration
	var oneBytes, allBytes, total int
	for range 5 {
		one, err := b.walk(ctx, 50, 1, details)
		if err != nil {
			return finding{}, err
		}
		all, err := b.walk(ctx, 50, mostPages, details)
		if err != nil {
			return finding{}, err
		}
		onePage, oneBytes, allBytes, total = append(onePage, one[0].took), one[0].bytes, 0, all[0].Total
		took := time.Duration(0)
		for _, p := range all {
			took += p.took
			allBytes += p.bytes
		}
		allPages = append(allPages, took)
	}
	slices.Sort(onePage)
	slices.Sort(allPages)
	one, all := onePage[2], allPages[2]
	return judge(2*one < all && 2*oneBytes < allBytes, "50 results: %v, %d KiB; all %d: %v, %d KiB", one.Round(100*time.Microsecond), oneBytes/1024, total, all.Round(100*time.Microsecond), allBytes/1024)
}
