package library

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/store"
)

// bubble runs f in a synctest bubble with a cached library over a fake store.
func bubble(t *testing.T, cfg Config, f func(t *testing.T, l *Library, st *fakeStore)) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore(120)
		l, err := New(cfg, st)
		if err != nil {
			t.Fatal(err)
		}
		f(t, l, st)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// stopAt makes the named statement wait, rows in hand, until release is called.
func stopAt(st *fakeStore, name string) (release func()) {
	stop := make(chan struct{})
	st.after = func(ctx context.Context, statement string) error {
		if statement != name {
			return nil
		}
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return func() { close(stop) }
}

func TestThousandColdSearchesRunOneStatementSet(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		release := stopAt(st, "search_page")
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				r, err := l.Search(t.Context(), store.Scope{}, ask("being"))
				if err != nil || r.TotalCount != 120 || r.CacheHit {
					t.Errorf("got %d matches, hit %v, %v", r.TotalCount, r.CacheHit, err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if got := st.total(); got != 2 {
			t.Errorf("1,000 equal searches ran %d statements, want 2: %v", got, st.calls)
		}
		s := l.CacheStats()
		if c := s.Classes["content"]; c.Misses != 1 || c.Joined != 999 || c.Hits != 0 {
			t.Errorf("content counts %+v, want 1 miss and 999 joined", c)
		}
	})
}

func TestLeaderWhoLeavesFailsNobody(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		release := stopAt(st, "search_page")
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = l.Search(ctx, store.Scope{}, ask("being")) })
		synctest.Wait() // the first one leads
		for range 20 {
			wg.Go(func() {
				if _, err := l.Search(t.Context(), store.Scope{}, ask("being")); err != nil {
					t.Errorf("a waiter failed: %v", err)
				}
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		release()
		wg.Wait()
		if got := st.count("search_page"); got != 1 {
			t.Errorf("the search ran %d times, want once", got)
		}
	})
}

func TestWaiterLeavesAtOnce(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		release := stopAt(st, "search_page")
		var wg sync.WaitGroup
		wg.Go(func() { mustSearch(t, l, "", ask("being")) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := l.Search(ctx, store.Scope{}, ask("being"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("the waiter left with %v after %v, want its deadline after 1s", err, time.Since(start))
		}
		release()
		wg.Wait()
	})
}

func TestLoadRunsUnderItsOwnDeadline(t *testing.T) {
	cfg := cached
	cfg.LoadTimeout = 3 * time.Second
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		st.before = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		_, err := l.Search(t.Context(), store.Scope{}, ask("being"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != cfg.LoadTimeout {
			t.Errorf("the load ended with %v after %v, want its deadline after %v", err, time.Since(start), cfg.LoadTimeout)
		}
	})
}

func TestErrorsAreSharedButNotKept(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		broken := errors.New("broken")
		stop := make(chan struct{})
		st.before = func(context.Context, string) error { <-stop; return broken }
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := l.Search(t.Context(), store.Scope{}, ask("being")); !errors.Is(err, broken) {
					t.Errorf("got %v, want the store's error", err)
				}
			})
		}
		synctest.Wait()
		close(stop)
		wg.Wait()
		if got := st.total(); got != 1 {
			t.Errorf("10 equal searches failed by %d statements, want 1", got)
		}
		st.before = nil
		if r := mustSearch(t, l, "", ask("being")); r.CacheHit || r.TotalCount != 120 {
			t.Errorf("after the cure: %d matches, hit %v", r.TotalCount, r.CacheHit)
		}
	})
}

// The trap of every cache: rows are read, a write commits, the rows are kept.
func TestWriteDuringLoadIsNeverReadStale(t *testing.T) {
	for _, access := range []Access{TwoStatements, FiveStatements} {
		for _, owner := range []string{"", "ada"} {
			cfg := cached
			cfg.Access = access
			bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
				first := map[Access]string{TwoStatements: "search_page", FiveStatements: "titles"}[access]
				release := stopAt(st, first)
				var wg sync.WaitGroup
				wg.Go(func() { mustSearch(t, l, "ada", ask("being")) })
				synctest.Wait()
				st.add(owner, "being new") // committed, and visible to who asks from now on
				var late SearchResult
				wg.Go(func() { late = mustSearch(t, l, "ada", ask("being")) })
				synctest.Wait()
				release()
				wg.Wait()
				if late.TotalCount != 121 {
					t.Errorf("%v, written by %q: a search after the write found %d matches, want 121", access, owner, late.TotalCount)
				}
				if r := mustSearch(t, l, "ada", ask("being")); r.TotalCount != 121 || !r.CacheHit {
					t.Errorf("%v, written by %q: later %d matches, hit %v, want 121 from the cache", access, owner, r.TotalCount, r.CacheHit)
				}
			})
		}
	}
}

func TestOneOwnersWriteLeavesOthersEntries(t *testing.T) {
	st := newFakeStore(10)
	l := openFake(t, st, cached)
	mustSearch(t, l, "ada", ask("being"))
	mustSearch(t, l, "bob", ask("being"))
	st.add("bob", "being bob")
	if r := mustSearch(t, l, "ada", ask("being")); !r.CacheHit || r.TotalCount != 10 {
		t.Errorf("ada after bob's write: %d matches, hit %v, want 10 from the cache", r.TotalCount, r.CacheHit)
	}
	if r := mustSearch(t, l, "bob", ask("being")); r.CacheHit || r.TotalCount != 11 {
		t.Errorf("bob after his write: %d matches, hit %v, want 11 asked anew", r.TotalCount, r.CacheHit)
	}
	st.add("", "being shared")
	if r := mustSearch(t, l, "ada", ask("being")); r.CacheHit || r.TotalCount != 11 {
		t.Errorf("ada after a write to the shared library: %d matches, hit %v, want 11 asked anew", r.TotalCount, r.CacheHit)
	}
}

func TestOwnersNeverShareEntries(t *testing.T) {
	st := newFakeStore(0)
	st.add("ada", "secret being")
	l := openFake(t, st, cached)
	mustSearch(t, l, "ada", ask("secret"))
	if _, err := l.Content(t.Context(), store.Scope{Owner: "ada"}, 1); err != nil {
		t.Fatal(err)
	}
	st.add("", "shared") // from here on all have the same generation
	mustSearch(t, l, "ada", ask("secret"))
	if _, err := l.Content(t.Context(), store.Scope{Owner: "ada"}, 1); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"", "bob", "ada "} {
		sc := store.Scope{Owner: other}
		if r := mustSearch(t, l, other, ask("secret")); r.TotalCount != 0 || len(r.Results) != 0 {
			t.Errorf("%q finds ada's passage", other)
		}
		if _, err := l.Content(t.Context(), sc, 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q reads ada's passage: %v", other, err)
		}
		found, unknown, err := l.Batch(t.Context(), sc, []int64{1})
		if err != nil || len(found) != 0 || !cmp.Equal(unknown, []int64{1}) {
			t.Errorf("%q reads ada's passage in a batch: %v %v %v", other, found, unknown, err)
		}
	}
}

// A first book, stored while a search of its owner is loading, must not get into what all others share.
func TestFirstBookWhileLoading(t *testing.T) {
	st := newFakeStore(0)
	st.add("", "shared being")
	l := openFake(t, st, cached)
	sc, gen, err := l.sees(t.Context(), store.Scope{Owner: "ada"})
	if err != nil || sc.Owner != "" {
		t.Fatalf("ada, who has nothing, sees %q: %v", sc.Owner, err)
	}
	st.add("ada", "secret being") // between the look and the load
	s := search{scope: sc, gen: gen, page: 1, size: 10}
	if s.query, err = store.ParseQuery("being"); err != nil {
		t.Fatal(err)
	}
	s.canonical = s.query.String()
	if p, _, err := l.searchPage(t.Context(), s); err != nil || p.total != 1 {
		t.Errorf("loaded for everybody: %+v %v, want the shared passage alone", p, err)
	}
	if r := mustSearch(t, l, "ada", ask("being")); r.TotalCount != 2 {
		t.Errorf("ada finds %d after her first book, want 2", r.TotalCount)
	}
	if r := mustSearch(t, l, "bob", ask("being")); r.TotalCount != 1 {
		t.Errorf("bob finds %d, want 1", r.TotalCount)
	}
}

func TestClassesExpireAtTheirTimes(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		after := func(d time.Duration, want map[string]int) {
			t.Helper()
			time.Sleep(d)
			clear(st.calls)
			mustSearch(t, l, "", ask("being"))
			if _, err := l.Books(t.Context(), store.Scope{}, 1, 10); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, st.calls); diff != "" {
				t.Errorf("after another %v (-want +got):\n%s", d, diff)
			}
		}
		after(0, map[string]int{"search_page": 1, "concepts_relations": 1, "books": 1})
		after(5*time.Minute-time.Second, map[string]int{})
		after(2*time.Second, map[string]int{"books": 1})                   // default: 5 min
		after(4*time.Minute+57*time.Second, map[string]int{})              // 9:58 since the page was loaded
		after(3*time.Second, map[string]int{"search_page": 1, "books": 1}) // content: 10 min
		after(45*time.Minute, map[string]int{"search_page": 1, "books": 1})
		after(4*time.Minute+58*time.Second, map[string]int{}) // 59:59 since the concepts were loaded
		after(2*time.Second, map[string]int{"concepts_relations": 1, "books": 1})
		if s := l.CacheStats(); s.Evictions.Expired == 0 {
			t.Errorf("no expiry is counted: %+v", s)
		}
	})
}

func TestWhatMakesAKey(t *testing.T) {
	st := newFakeStore(120).owned("ada")
	l := openFake(t, st, cached)
	f := func(wantHit bool, owner string, req SearchRequest, why string) {
		t.Helper()
		if r := mustSearch(t, l, owner, req); r.CacheHit != wantHit {
			t.Errorf("%s: hit %v, want %v", why, r.CacheHit, wantHit)
		}
	}
	f(false, "", ask("word being"), "cold")
	f(true, "", ask("word being"), "the same")
	f(true, "", ask("  BEING   Word "), "the same words in another order, case and spacing")
	f(false, "", ask(`"word being"`), "a phrase is another query")
	f(false, "", SearchRequest{Query: "word being", Page: 2, PageSize: 50}, "another page")
	f(false, "", SearchRequest{Query: "word being", Page: 1, PageSize: 51}, "another size")
	f(false, "", SearchRequest{Query: "word being", Page: 1, PageSize: 50, IncludeDetails: true}, "with details")
	f(false, "ada", ask("word being"), "a user with books")
	f(true, "bob", ask("word being"), "a user without any sees what everybody sees")
	if got := st.count("concepts_relations"); got != 4 {
		t.Errorf("what is related was asked %d times, want 4: pages of the same matches share it, users with books do not", got)
	}
}

func TestCacheStaysWithinItsBytes(t *testing.T) {
	st := newFakeStore(200)
	cfg := cached
	cfg.Cache.MaxBytes = minCacheBytes
	l := openFake(t, st, cfg)
	for i := range 400 {
		st.owned(fmt.Sprint("user", i))
		mustSearch(t, l, fmt.Sprint("user", i), SearchRequest{Query: "being", Page: 1, PageSize: 100, IncludeDetails: true})
	}
	l.cache.entries.CleanUp()
	s := l.CacheStats()
	if s.Bytes > s.MaxBytes || s.Bytes < s.MaxBytes/2 || s.Evictions.Size == 0 {
		t.Errorf("%d bytes of at most %d are kept, %d evicted", s.Bytes, s.MaxBytes, s.Evictions.Size)
	}
	if got := int64(l.cache.entries.WeightedSize()); got != s.Bytes {
		t.Errorf("the classes count %d bytes, the cache %d", s.Bytes, got)
	}
	if got := int64(l.cache.entries.EstimatedSize()); got != s.Entries {
		t.Errorf("the classes count %d entries, the cache %d", s.Entries, got)
	}
}

func TestDisabledCacheAsksEveryTime(t *testing.T) {
	st := newFakeStore(10)
	l := openFake(t, st, Config{})
	for range 3 {
		if r := mustSearch(t, l, "", ask("being")); r.CacheHit {
			t.Error("a hit without a cache")
		}
	}
	if got := st.total(); got != 6 {
		t.Errorf("3 searches ran %d statements, want 6", got)
	}
	if s := l.CacheStats(); s.Enabled || s.Entries != 0 || s.MaxBytes != 0 {
		t.Errorf("stats of a cache that is off: %+v", s)
	}
}

func TestBatchSharesLoads(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		release := stopAt(st, "passages")
		var wg sync.WaitGroup
		var failed atomic.Int64
		for range 50 {
			wg.Go(func() {
				found, unknown, err := l.Batch(t.Context(), store.Scope{}, []int64{3, 1, 999, 3, -1, 999})
				want := []int64{3, 1, 3}
				for i, p := range found {
					if i >= len(want) || p.ID != want[i] {
						failed.Add(1)
					}
				}
				if err != nil || len(found) != 3 || !cmp.Equal(unknown, []int64{999, -1}) {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if failed.Load() > 0 {
			t.Errorf("%d of 50 equal batches went wrong", failed.Load())
		}
		// Callers that start together may share out the three ids among them, but each id is asked for once.
		if got := st.count("passages"); got > 3 {
			t.Errorf("50 equal batches ran %d statements, want at most one per id", got)
		}
		clear(st.calls)
		if _, unknown, err := l.Batch(t.Context(), store.Scope{}, []int64{0, -1}); err != nil || len(unknown) != 2 || st.total() != 0 {
			t.Errorf("ids that cannot be: unknown %v, %v, asked %v", unknown, err, st.calls)
		}
		if _, err := l.Content(t.Context(), store.Scope{}, 3); err != nil || st.total() != 0 {
			t.Errorf("a passage of a batch is asked for again: %v %v", st.calls, err)
		}
		if _, err := l.Content(t.Context(), store.Scope{}, 4); err != nil {
			t.Error(err)
		}
		if _, _, err := l.Batch(t.Context(), store.Scope{}, []int64{4, 3}); err != nil || st.count("passages") != 0 {
			t.Errorf("a batch asks for passages that were read: %v %v", st.calls, err)
		}
	})
}

func TestBatchErrorIsNotKept(t *testing.T) {
	st := newFakeStore(10)
	l := openFake(t, st, cached)
	broken := errors.New("broken")
	st.before = func(context.Context, string) error { return broken }
	if _, _, err := l.Batch(t.Context(), store.Scope{}, []int64{1, 2}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the store's error", err)
	}
	st.before = nil
	if found, _, err := l.Batch(t.Context(), store.Scope{}, []int64{1, 2}); err != nil || len(found) != 2 {
		t.Errorf("after the cure: %d passages, %v", len(found), err)
	}
}

// A panic is the leader's own, for the server to recover; whoever waited gets an
// error, and the key is free again.
func TestPanicInLoadBlocksNobody(t *testing.T) {
	bubble(t, cached, func(t *testing.T, l *Library, st *fakeStore) {
		stop := make(chan struct{})
		st.before = func(context.Context, string) error { <-stop; panic("boom") }
		var panicked, failed atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				defer func() {
					if recover() != nil {
						panicked.Add(1)
					}
				}()
				if _, err := l.Search(t.Context(), store.Scope{}, ask("being")); err != nil {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		close(stop)
		wg.Wait()
		if panicked.Load() != 1 || failed.Load() != 9 {
			t.Errorf("%d searches panicked and %d failed, want the leader and 9 others", panicked.Load(), failed.Load())
		}
		st.before = nil
		mustSearch(t, l, "", ask("being"))
	})
}

func TestNewReportsAllFaults(t *testing.T) {
	_, err := New(Config{
		Access: 7, LoadTimeout: -1, Ingest: IngestConfig{Slots: -1},
		Cache: CacheConfig{Enabled: true, MaxBytes: 10, ContentTTL: -time.Second},
	}, newFakeStore(0))
	if err == nil {
		t.Fatal("no error")
	}
	if joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 4 {
		t.Errorf("want access, load timeout, ingest and cache named, got: %v", err)
	}
}
