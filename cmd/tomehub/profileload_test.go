package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

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
func (s *served) search(t *testing.T, query string) int {
	t.Helper()
	return len(s.post(t, "/api/search", map[string]any{"query": query, "include_details": true}, http.StatusOK)["results"].([]any))
}

// counted are the executions by statement; those of the library's own upkeep come by the clock and are left out.
func counted(p *profiler.Profile) map[string]int64 {
	counts := map[string]int64{}
	for _, r := range p.Statements {
		if r.Executions > 0 && r.Name != "owners" {
			counts[r.Name] += r.Executions
		}
	}
	return counts
}
