package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
)

// spectator notes which actions sessions show while statements run in them.
type spectator struct {
	oracletest.TxHandler

	mu      sync.Mutex // guards actions
	actions map[string]bool
}

func (s *spectator) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	s.mu.Lock()
	s.actions[c.Session.Module+" "+c.Session.Action] = true
	s.mu.Unlock()
	return s.TxHandler.Serve(ctx, c)
}

// take returns the actions noted since it was last called.
func (s *spectator) take() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = slices.Sorted(maps.Keys(s.actions))
	s.actions = map[string]bool{}
	return all
}

// A DBA sees in v$session what each request is, and that costs no call.
func TestOracleShowsTheKindsOfRequests(t *testing.T) {
	calls := map[pool.Kinds]map[string]int64{}
	for _, kinds := range []pool.Kinds{pool.NoKinds, pool.FreeKinds} {
		calls[kinds] = map[string]int64{}
		dba := &spectator{actions: map[string]bool{}}
		h := openDouble(t, library.Config{Access: library.TwoStatements}, func(_ *pool.Config, o *pool.Oracle) { o.Kinds = kinds },
			func(h oracletest.TxHandler) oracletest.Handler { dba.TxHandler = h; return dba })
		api := newServer(t, testConfig(), h.deps()).Handler()
		f := func(want, method, target, body string) {
			t.Helper()
			dba.take()
			h.double.ResetStats()
			w := ask(t, api, method, target, body)
			if w.Code >= 300 {
				t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
			}
			for call, n := range h.double.Stats().Calls {
				if call != "end_to_end" {
					calls[kinds][fmt.Sprintf("%s %s %s", method, target, call)] += n
				}
			}
			shown := []string{"tomehub " + want}
			if kinds == pool.NoKinds {
				shown = nil
				for _, a := range dba.take() {
					if a != "tomehub read" && a != "tomehub write" {
						t.Errorf("%s %s: %s", method, target, a)
					}
				}
			}
			if diff := gocmp.Diff(shown, dba.take()); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", method, target, diff)
			}
		}
		f("ingest", "POST", "/api/ingest", `{"title":"A book","text":"Of time and tides. `+strings.Repeat("More of it. ", 300)+`"}`)
		f("search", "GET", "/api/search?q=time", "")
		f("search", "POST", "/api/search", `{"query":"tides","include_details":true}`)
		f("stream", "GET", "/api/search/stream?q=time", "")
		f("content", "GET", "/api/content/1", "")
		f("batch", "POST", "/api/content/batch", `{"ids":[1,2]}`)
		f("books", "GET", "/api/books", "")
		f("books", "GET", "/api/books/1", "")
		f("delete", "DELETE", "/api/books/1", "")
		for _, s := range h.double.Sessions() {
			if s.Module != "tomehub" || s.Action == "" {
				t.Errorf("an idle session shows module %q, action %q", s.Module, s.Action)
			}
		}
	}
	if diff := gocmp.Diff(calls[pool.NoKinds], calls[pool.FreeKinds]); diff != "" {
		t.Errorf("kinds cost calls (-without +with):\n%s", diff)
	}
}
