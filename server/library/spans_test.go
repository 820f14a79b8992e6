package library

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// A told span is one as the console exporter writes it.
type toldSpan struct {
	SpanID, ParentSpanID, Name string
	Links                      []struct{ SpanID string }
	Attributes                 []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
}

func (s toldSpan) attr(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// traced runs do with a tracer in a bubble, on a library whose statements have spans, and returns them all.
func traced(t *testing.T, do func(t *testing.T, l *Library, st *fakeStore, root func(http.Header) context.Context)) (told []toldSpan) {
	t.Helper()
	cfg := cached
	cfg.Traced = true
	var out strings.Builder
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		tracer, err := trace.New(trace.DefaultConfig(), trace.NewConsole(&out, nil))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = tracer.Run(ctx) })
		st.before = func(ctx context.Context, name string) error { // after is stopAt's
			trace.From(ctx).Record(name, trace.Client, 0, "")
			return nil
		}
		n := 0
		do(t, l, st, func(h http.Header) context.Context {
			n++
			return trace.With(t.Context(), tracer.Root(fmt.Sprint("request ", n), trace.Server, time.Now(), h))
		})
		cancel()
		running.Wait()
		if n := len(l.cache.flights.byKey); n != 0 {
			t.Errorf("%d keys are still waited for", n)
		}
	})
	for line := range strings.Lines(out.String()) {
		var m struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []toldSpan } }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		told = append(told, m.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	return told
}

// Of those who join one search, the first has the statement below its look, and the others a link to that look.
func TestSpansOfJoinedSearches(t *testing.T) {
	told := traced(t, func(t *testing.T, l *Library, st *fakeStore, root func(http.Header) context.Context) {
		release := stopAt(st, "search_page")
		var all sync.WaitGroup
		for range 5 {
			ctx := root(nil)
			all.Go(func() {
				if _, err := l.Search(ctx, store.Scope{}, ask("being")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		release()
		all.Wait()
	})
	i := slices.IndexFunc(told, func(s toldSpan) bool { return s.Name == "search_page" })
	if i < 0 {
		t.Fatalf("no statement: %+v", told)
	}
	leader, results := told[i].ParentSpanID, map[string]int{}
	for _, s := range told {
		if s.Name != "cache content" {
			continue
		}
		result := s.attr("tomehub.cache.result")
		results[result]++
		linked := len(s.Links) == 1 && s.Links[0].SpanID == leader
		if (result == "joined") != linked || (result == "miss") != (s.SpanID == leader) {
			t.Errorf("%s has links %v, the leader is %s", result, s.Links, leader)
		}
	}
	if results["miss"] != 1 || results["joined"] != 4 {
		t.Errorf("%v", results)
	}
}

// Of two batches at the same time, the second loads what the first does not, and links to it for the rest.
func TestSpansOfJoinedBatches(t *testing.T) {
	told := traced(t, func(t *testing.T, l *Library, st *fakeStore, root func(http.Header) context.Context) {
		release := stopAt(st, "passages")
		var all sync.WaitGroup
		for _, ids := range [][]int64{{1, 2, 3}, {2, 3, 4}} {
			ctx := root(nil)
			all.Go(func() {
				if _, _, err := l.Batch(ctx, store.Scope{}, ids); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		release()
		all.Wait()
	})
	var looks []toldSpan
	for _, s := range told {
		if s.Name == "cache content" {
			looks = append(looks, s)
		}
	}
	slices.SortFunc(looks, func(a, b toldSpan) int { return len(a.Links) - len(b.Links) })
	if len(looks) != 2 || len(looks[0].Links) != 0 || looks[0].attr("tomehub.cache.loaded") != "3" ||
		len(looks[1].Links) != 1 || looks[1].Links[0].SpanID != looks[0].SpanID || looks[1].attr("tomehub.cache.loaded") != "1" || looks[1].attr("tomehub.cache.joined") != "2" {
		t.Errorf("%+v", looks)
	}
}

// One that is not recorded leads nobody, and one that is recorded may follow it.
func TestSpansOfUnrecordedLeader(t *testing.T) {
	told := traced(t, func(t *testing.T, l *Library, st *fakeStore, root func(http.Header) context.Context) {
		release := stopAt(st, "search_page")
		var all sync.WaitGroup
		for _, ctx := range []context.Context{root(http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}}), root(nil)} {
			all.Go(func() { mustSearchIn(ctx, t, l) })
			synctest.Wait()
		}
		release()
		all.Wait()
	})
	for _, s := range told {
		if s.Name == "cache content" && (s.attr("tomehub.cache.result") != "joined" || len(s.Links) > 0) {
			t.Errorf("%+v", s)
		}
	}
	if len(told) < 2 {
		t.Errorf("%+v", told)
	}
}

// A leader that is not recorded leads nobody either when its load begins while another waits already.
func TestUnrecordedLeaderIsNoLink(t *testing.T) {
	cfg := cached
	cfg.Traced = true
	l := openFake(t, newFakeStore(1), cfg)
	tracer, err := trace.New(trace.DefaultConfig(), trace.NewConsole(io.Discard, nil))
	if err != nil {
		t.Fatal(err)
	}
	keys := []key{{text: "k"}}
	for flags, want := range map[string]int{"00": 0, "01": 1} {
		root := tracer.Root("r", trace.Server, time.Now(), http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-" + flags}})
		l.cache.flights.enter(keys)
		l.cache.leads(trace.With(t.Context(), root), keys[0])
		if got := l.cache.flights.leave(keys); len(got) != want {
			t.Errorf("flags %s: leaders %v", flags, got)
		}
	}
}

func mustSearchIn(ctx context.Context, t *testing.T, l *Library) {
	if _, err := l.Search(ctx, store.Scope{}, ask("being")); err != nil {
		t.Error(err)
	}
}
