package library

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// resilient has every rung of the ladder.
var resilient = Config{Degrade: true, Cache: CacheConfig{Enabled: true, StaleFor: time.Hour}}

var errReset = errors.New("read tcp: connection reset by peer")

// breakStore lets every statement whose name is in names fail, or all of them; mend ends that.
func breakStore(st *fakeStore, err error, names ...string) (mend func()) {
	st.before = func(_ context.Context, statement string) error {
		for _, name := range names {
			if name == statement {
				return err
			}
		}
		if len(names) == 0 {
			return err
		}
		return nil
	}
	return func() { st.before = nil }
}

// marked searches as a request and tells whether it was marked as stale.
func marked(t *testing.T, l *Library, req SearchRequest) (SearchResult, error, bool) {
	t.Helper()
	var stats store.RequestStats
	r, err := l.Search(store.WithRequest(t.Context(), &stats, "id"), store.Scope{}, req)
	return r, err, stats.Stale.Load()
}

func TestWithoutConceptsRatherThanNotAtAll(t *testing.T) {
	for _, trouble := range []error{errReset, pool.ErrExhausted, pool.ErrUnavailable, fmt.Errorf("%w: %w", pool.ErrQueryTimeout, context.DeadlineExceeded)} {
		bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
			mend := breakStore(st, trouble, "concepts_relations")
			r := mustSearch(t, l, "", ask("being"))
			if r.Mode != ModeKeyword || r.Stale || r.TotalCount != 120 || r.Concepts == nil || r.Relations == nil {
				t.Errorf("%v: mode %s, stale %v, %d matches, concepts %v", trouble, r.Mode, r.Stale, r.TotalCount, r.Concepts)
			}
			mend()
			if r := mustSearch(t, l, "", ask("being")); r.Mode != ModeFull || len(r.Concepts) == 0 {
				t.Errorf("after it was mended: mode %s, %d concepts", r.Mode, len(r.Concepts))
			}
		})
	}
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) { // the ladder off
		breakStore(st, errReset, "concepts_relations")
		if _, err := l.Search(t.Context(), store.Scope{}, ask("being")); !errors.Is(err, errReset) {
			t.Errorf("without Degrade: %v", err)
		}
	})
}

func TestACrowdedStoreIsSpared(t *testing.T) {
	crowded := true
	cfg := resilient
	cfg.Crowded = func() bool { return crowded }
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		if r := mustSearch(t, l, "", ask("being")); r.Mode != ModeKeyword || r.TotalCount != 120 {
			t.Errorf("mode %s with %d matches", r.Mode, r.TotalCount)
		}
		if got := st.total(); got != 1 {
			t.Errorf("%d statements: %v", got, st.calls)
		}
		crowded = false
		if r := mustSearch(t, l, "", ask("being")); r.Mode != ModeFull || len(r.Concepts) == 0 {
			t.Errorf("mode %s", r.Mode)
		}
		crowded = true // what is known already costs the store nothing
		if r := mustSearch(t, l, "", ask("being")); r.Mode != ModeFull || !r.CacheHit {
			t.Errorf("mode %s, hit %v", r.Mode, r.CacheHit)
		}
	})
}

func TestAnOldAnswerRatherThanNone(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		fresh := mustSearch(t, l, "", ask("being"))
		time.Sleep(2 * DefaultConceptsTTL / 3) // pages have expired, concepts have not
		mend := breakStore(st, errReset)
		r, err, stale := marked(t, l, ask("being"))
		if err != nil || r.Mode != ModeCached || !r.Stale || !stale || r.TotalCount != fresh.TotalCount || len(r.Concepts) != len(fresh.Concepts) {
			t.Errorf("mode %s, stale %v, marked %v, %d matches, %d concepts, %v", r.Mode, r.Stale, stale, r.TotalCount, len(r.Concepts), err)
		}
		if got := l.CacheStats().Stale; got == 0 {
			t.Error("not counted")
		}
		if _, err, _ := marked(t, l, ask("w7")); !errors.Is(err, errReset) {
			t.Errorf("what was never asked before: %v", err)
		}
		mend()
		if r, err, stale := marked(t, l, ask("being")); err != nil || r.Mode != ModeFull || r.Stale || stale || r.CacheHit {
			t.Errorf("after it was mended: mode %s, hit %v, marked %v, %v", r.Mode, r.CacheHit, stale, err)
		}
		if r := mustSearch(t, l, "", ask("being")); !r.CacheHit {
			t.Error("the new answer was not kept")
		}
	})
}

func TestAFreshAnswerIsFullInTrouble(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		breakStore(st, errReset)
		if r, err, stale := marked(t, l, ask("being")); err != nil || r.Mode != ModeFull || stale || !r.CacheHit {
			t.Errorf("mode %s, marked %v, hit %v, %v", r.Mode, stale, r.CacheHit, err)
		}
	})
}

func TestOldAnswersHaveAnEndToo(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		breakStore(st, errReset)
		time.Sleep(DefaultContentTTL + resilient.Cache.StaleFor + time.Second)
		if _, err, _ := marked(t, l, ask("being")); !errors.Is(err, errReset) {
			t.Errorf("%v", err)
		}
	})
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) { // no stale answers wanted
		mustSearch(t, l, "", ask("being"))
		st.add("", "being new")
		breakStore(st, errReset)
		if _, err, _ := marked(t, l, ask("being")); !errors.Is(err, errReset) {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAnswerOfAnOlderGeneration(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		st.add("", "being new") // an ingest, and then the outage
		mend := breakStore(st, errReset)
		r, err, stale := marked(t, l, ask("being"))
		if err != nil || r.Mode != ModeCached || !stale || r.TotalCount != 120 {
			t.Errorf("mode %s, marked %v, %d matches, %v", r.Mode, stale, r.TotalCount, err)
		}
		mend()
		if r := mustSearch(t, l, "", ask("being")); r.TotalCount != 121 || r.Mode != ModeFull {
			t.Errorf("after it was mended: %d matches, mode %s", r.TotalCount, r.Mode)
		}
	})
}

func TestAnOldAnswerIsNobodyElses(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		st.add("ann", "secret being")
		mustSearch(t, l, "ann", ask("secret"))
		breakStore(st, errReset)
		for _, other := range []string{"", "bob"} {
			if r, err := l.Search(t.Context(), store.Scope{Owner: other}, ask("secret")); err == nil {
				t.Errorf("%q was shown %d matches of ann", other, r.TotalCount)
			}
		}
	})
}

func TestManyAskForAnExpiredAnswer(t *testing.T) {
	f := func(trouble error, mode Mode, statements int) {
		t.Helper()
		bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
			mustSearch(t, l, "", ask("being"))
			time.Sleep(DefaultContentTTL + time.Second)
			before := st.count("search_page")
			release := make(chan struct{})
			st.before = func(context.Context, string) error { <-release; return trouble }
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					r, err := l.Search(t.Context(), store.Scope{}, ask("being"))
					if err != nil || r.Mode != mode || r.TotalCount != 120 {
						t.Errorf("mode %s, %d matches, %v", r.Mode, r.TotalCount, err)
					}
				})
			}
			synctest.Wait()
			close(release)
			wg.Wait()
			if got := st.count("search_page") - before; got != statements {
				t.Errorf("the search ran %d times, want %d", got, statements)
			}
		})
	}
	f(nil, ModeFull, 1)
	f(errReset, ModeCached, 1)
}

// While the store would refuse, it is not asked, and old entries stay where they are.
func TestARefusingStoreIsNotAsked(t *testing.T) {
	condition := Sound
	cfg := resilient
	cfg.Condition = func() Condition { return condition }
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		time.Sleep(2 * time.Hour / 3)
		condition = Down
		asked := st.total()
		for range 3 {
			if r, err, stale := marked(t, l, ask("being")); err != nil || r.Mode != ModeCached || !stale {
				t.Errorf("mode %s, marked %v, %v", r.Mode, stale, err)
			}
		}
		if got := st.total(); got != asked {
			t.Errorf("%d statements were tried", got-asked)
		}
	})
}

// In doubt one caller finds out, and the others do not wait for it.
func TestADoubtfulStoreIsAskedByOne(t *testing.T) {
	condition := Sound
	cfg := resilient
	cfg.Condition = func() Condition { return condition }
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		time.Sleep(DefaultContentTTL + time.Second)
		condition = Doubtful
		release := make(chan struct{})
		st.before = func(context.Context, string) error { <-release; return errReset }
		var first sync.WaitGroup
		first.Go(func() {
			if r := mustSearch(t, l, "", ask("being")); r.Mode != ModeCached {
				t.Errorf("who asked was answered with mode %s", r.Mode)
			}
		})
		synctest.Wait()
		asked := st.total()
		for range 20 {
			if r, err, stale := marked(t, l, ask("being")); err != nil || !stale || r.Mode != ModeCached { // at once, or the bubble stands still
				t.Errorf("mode %s, %v", r.Mode, err)
			}
		}
		if got := st.total(); got != asked {
			t.Errorf("%d more statements were tried", got-asked)
		}
		close(release)
		first.Wait()
		if n := len(l.cache.taken.byKey); n != 0 {
			t.Errorf("%d entries are still being replaced", n)
		}
	})
}

func TestPassagesInTrouble(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		read := func(ids ...int64) (n int, err error, stale bool) {
			var stats store.RequestStats
			found, _, err := l.Batch(store.WithRequest(t.Context(), &stats, "id"), store.Scope{}, ids)
			return len(found), err, stats.Stale.Load()
		}
		if n, err, _ := read(1, 2, 3); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		time.Sleep(DefaultContentTTL + time.Second)
		mend := breakStore(st, errReset)
		for range 2 { // what was taken out to be replaced is put back
			if n, err, stale := read(1, 2, 3); n != 3 || err != nil || !stale {
				t.Errorf("batch: %d passages, marked %v, %v", n, stale, err)
			}
		}
		if _, err, _ := read(1, 2, 3, 4); !errors.Is(err, errReset) { // 4 was never read: no half answer
			t.Errorf("a batch with an unknown passage: %v", err)
		}
		if p, err := l.Content(t.Context(), store.Scope{}, 2); err != nil || p.ID != 2 {
			t.Errorf("content: %+v, %v", p, err)
		}
		mend()
		if n, err, stale := read(1, 2, 3, 4); n != 4 || err != nil || stale {
			t.Errorf("after it was mended: %d, marked %v, %v", n, stale, err)
		}
	})
}

// That there is nothing is an answer, and a better one than an old passage.
func TestWhatTheStoreAnsweredIsTheAnswer(t *testing.T) {
	bubble(t, resilient, func(t *testing.T, l *Library, st *fakeStore) {
		if _, err := l.Content(t.Context(), store.Scope{}, 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultContentTTL + time.Second)
		breakStore(st, fmt.Errorf("passage 2: %w", store.ErrNotFound))
		if _, err := l.Content(t.Context(), store.Scope{}, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

func TestRecentGenerationsAreBounded(t *testing.T) {
	var g generations
	for i := range maxRecentOwners + 100 {
		g.add(fmt.Sprint(i), 1)
	}
	if n := len(g.byOwner); n != maxRecentOwners {
		t.Errorf("%d owners", n)
	}
	for _, gen := range []int64{5, 7, 6, 7, 8, 9, 10} { // a load that began before a newer one ended is no news
		g.add("ann", gen)
	}
	if got, want := g.of("ann"), [keptGenerations]int64{10, 9, 8, 7}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
