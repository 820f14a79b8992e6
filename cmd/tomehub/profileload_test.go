package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/profiler"
)

// post sends JSON and demands the status.
func (s *served) post(t *testing.T, path string, body any, status int) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.url+path, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	var got map[string]any
	if err == nil {
		err = json.Unmarshal(answer, &got)
	}
	if err != nil || resp.StatusCode != status {
		t.Fatalf("POST %s: %d, want %d: %v: %.300s", path, resp.StatusCode, status, err, answer)
	}
	return got
}

// search asks for the first page with its texts and returns how many matches are on it.
func (s *served) search(t *testing.T, query string, pageSize int) int {
	t.Helper()
	asked := map[string]any{"query": query, "include_details": true, "page_size": pageSize}
	return len(s.post(t, "/api/search", asked, http.StatusOK)["results"].([]any))
}

// counted are the executions by statement; those of the library's own upkeep come by the clock, and concepts
// that are known already are not added: both are left out.
func counted(p *profiler.Profile) map[string]int64 {
	counts := map[string]int64{}
	for _, r := range p.Statements {
		if r.Executions > 0 && r.Name != "owners" && r.Name != "concept_add" {
			counts[r.Name] += r.Executions
		}
	}
	return counts
}

// A knownLoad is what is asked of a server, one after the other.
type knownLoad struct{ searches, contents, batches, ingests int }

// send sends the load and returns how many matches were on the pages. Runs with another number share nothing that a cache could know.
func (l knownLoad) send(t *testing.T, s *served, run int) (matches int) {
	t.Helper()
	for i := range l.searches {
		matches += s.search(t, "dasein", 5+20*run+i)
	}
	for i := range l.contents {
		if status := s.get(fmt.Sprintf("/api/content/%d", 300+100*run+i), nil); status != http.StatusOK {
			t.Fatalf("content: %d", status)
		}
	}
	for i := range l.batches {
		s.post(t, "/api/content/batch", map[string]any{"ids": []int{1000 + 100*run + i, 2000 + 100*run + i}}, http.StatusOK)
	}
	for i := range l.ingests {
		text := fmt.Sprintf("Book %d of run %d in phase %s.", i, run, s.phase(t))
		s.post(t, "/api/ingest", map[string]any{"title": text, "content": text}, http.StatusCreated)
	}
	return matches
}

// phase is what the server says of itself.
func (s *served) phase(t *testing.T) string {
	t.Helper()
	src, err := profiler.NewServer(s.admin, nil)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := src.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return snap.Phase
}

// announced is a source that says when a first snapshot was taken.
type announced struct {
	profiler.Source
	begun chan struct{}
}

func (a *announced) Snapshot(ctx context.Context, since *profiler.Snapshot) (profiler.Snapshot, error) {
	s, err := a.Source.Snapshot(ctx, since)
	if since == nil {
		close(a.begun)
	}
	return s, err
}

// profiling begins a profile; the function returned interrupts it and demands these executions.
func profiling(t *testing.T, s *served) (end func(want map[string]int64)) {
	t.Helper()
	server, err := profiler.NewServer(s.admin, nil)
	if err != nil {
		t.Fatal(err)
	}
	src := &announced{server, make(chan struct{})}
	ctx, interrupt := context.WithCancel(t.Context())
	type outcome struct {
		p   *profiler.Profile
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		p, err := profiler.Run(ctx, src, profiler.Options{Duration: time.Hour, Top: 1000})
		done <- outcome{p, err}
	}()
	<-src.begun
	return func(want map[string]int64) {
		t.Helper()
		interrupt()
		got := <-done
		if got.err != nil {
			t.Fatal(got.err)
		}
		if diff := cmp.Diff(want, counted(got.p)); diff != "" || !got.p.Interrupted {
			t.Errorf("phase %s, interrupted %v (-want +got):\n%s", got.p.Phase, got.p.Interrupted, diff)
		}
	}
}

// searchStatements are those that every search takes which no cache answers; the baseline takes one more for each match.
var searchStatements = map[string][]string{
	"baseline": {"count", "search_ids", "titles", "concepts", "relations"},
	"B":        {"search_page_details", "concepts_relations"},
}

// expect are the executions of so many searches with so many matches.
func expect(phase string, searches, matches int64) map[string]int64 {
	want := map[string]int64{}
	for _, name := range searchStatements[phase] {
		want[name] = searches
	}
	if phase == "baseline" {
		want["passage"] = matches
	}
	return want
}

// with adds those of n times the rest of the load, of which a cache knows nothing.
func (l knownLoad) with(want map[string]int64, n int64) map[string]int64 {
	want["passage"] += n * int64(l.contents)
	want["passages"] += n * int64(l.batches)
	for _, name := range []string{
		"book_add", "book_by_hash", "concepts_known", "content_add", "link_add", "metadata_add", "owner_advance", "owner_lock", "words_add",
	} {
		want[name] += n * int64(l.ingests)
	}
	return want
}

// TestProfileOfAKnownLoad: what a profile counts is what was asked for, to the execution; also when it is interrupted in the middle,
// and when two profilers look at once.
func TestProfileOfAKnownLoad(t *testing.T) {
	t.Parallel()
	dir, kept := demoLibrary(t), t.TempDir()
	load, searches := knownLoad{searches: 12, contents: 30, batches: 4, ingests: 2}, knownLoad{searches: 12}
	for _, phase := range []string{"baseline", "B"} {
		s := startServer(t, dir, "--phase", phase, "--demo")
		command(t, 0, "profile", "--url", s.admin, "--save", filepath.Join(kept, phase+"-1"))
		half, whole := profiling(t, s), profiling(t, s)
		matches := int64(load.send(t, s, 0))
		half(load.with(expect(phase, 12, matches), 1))
		matches += int64(load.send(t, s, 1))
		cold := profiling(t, s)
		again := int64(searches.send(t, s, 1)) // the ingests made what the cache knew old
		cold(expect(phase, 12, again))
		whole(load.with(expect(phase, 36, matches+again), 2))
		warm := profiling(t, s)
		if again = int64(searches.send(t, s, 1)); phase == "baseline" {
			warm(expect(phase, 12, again))
		} else {
			warm(map[string]int64{}) // a hit takes none
		}
		command(t, 0, "profile", "--url", s.admin, "--save", filepath.Join(kept, phase+"-2"))
		stopped(t, s)
	}
	compared(t, kept)
}

// compared holds phase B against the baseline, from the files alone.
func compared(t *testing.T, kept string) {
	t.Helper()
	file := func(name string) string { return filepath.Join(kept, name) }
	of := func(phase string, args ...string) string {
		t.Helper()
		return command(t, 0, append([]string{"profile", "--from", file(phase + "-1"), "--to", file(phase + "-2")}, args...)...)
	}
	of("baseline", "--format", "json", "--out", file("old.json"))
	text := of("B", "--compare", file("old.json"))
	for _, want := range []string{"Time in the database per second: ", "N+1 on passage is gone", "The phase differs: baseline then, B now.", "search_ids"} {
		if !strings.Contains(text, want) {
			t.Errorf("the comparison lacks %q:\n%s", want, text)
		}
	}
	for format, want := range map[string]string{"json": `"findings_gone"`, "csv": "Avg(s) then", "markdown": "| gone", "html": "<!DOCTYPE html>"} {
		if got := of("B", "--compare", file("old.json"), "--format", format); !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			t.Errorf("as %s the comparison lacks %q:\n%.400s", format, want, got)
		}
	}
}

// command runs one command line within this process and returns what it wrote to standard output.
func command(t *testing.T, code int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, lookup: func(string) (string, bool) { return "", false }}
	if got := a.run(t.Context(), append(args, "--env-file", "")); got != code {
		t.Fatalf("%v: code %d, want %d\n%s", args, got, code, stderr.String())
	}
	return stdout.String()
}
