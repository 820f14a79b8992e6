package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/store"
)

// TestStatementFiles holds that a statement's file says its name and binds its values.
func TestStatementFiles(t *testing.T) {
	files, err := filepath.Glob("sql/*/*.sql")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	code, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, name := range code {
		if text, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, "_test.go") {
			source.Write(text)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		if !strings.HasPrefix(string(text), "/* tomehub:"+name+" */\n") {
			t.Errorf("%s does not begin with its tag", file)
		}
		if !strings.Contains(source.String(), `take("`+name+`")`) {
			t.Errorf("%s is taken by nothing", file)
		}
		block := strings.Contains(string(text), "\nBEGIN\n") // PL/SQL
		if strings.Contains(string(text), ";") && !block {
			t.Errorf("%s holds more than one statement", file)
		}
		if strings.Contains(string(text), "%") {
			t.Errorf("%s is to be formatted: bind parameters instead", file)
		}
	}
	if regexp.MustCompile(`(?i)"[^"]*\b(SELECT|INSERT INTO|DELETE FROM|UPDATE)\b[^"]*"`).MatchString(source.String()) {
		t.Error("a statement stands in the code: give it a file")
	}
}

func TestSlowStatements(t *testing.T) {
	logged := func(level slog.Level, slow time.Duration) []map[string]any {
		t.Helper()
		var out bytes.Buffer
		s := open(t, filepath.Join(t.TempDir(), "library.db"), store.Options{
			Logger: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level})), SlowQuery: slow,
		})
		q, err := store.ParseQuery("Geheimnis")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ingest(t.Context(), store.NewBook{Hash: "h", Passages: []store.NewPassage{{Content: "ein Geheimnis"}}}); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		ctx := store.WithRequest(t.Context(), nil, "req-7")
		if _, err := s.SearchPage(ctx, store.Scope{}, q, store.Page{Number: 1, Size: 5}, true); err != nil {
			t.Fatal(err)
		}
		if level > slog.LevelDebug && strings.Contains(strings.ToLower(out.String()), "geheimnis") {
			t.Errorf("what the user searched for is in the log: %s", out.String())
		}
		var lines []map[string]any
		for d := json.NewDecoder(&out); d.More(); {
			var line map[string]any
			if err := d.Decode(&line); err != nil {
				t.Fatal(err)
			}
			delete(line, "time")
			if elapsed, ok := line["elapsed_ms"].(float64); !ok || elapsed <= 0 {
				t.Errorf("elapsed_ms is %v", line["elapsed_ms"])
			}
			delete(line, "elapsed_ms")
			delete(line, "acquire_wait_ms")
			if line["statement"] == "search_page_details" {
				lines = append(lines, line)
			}
		}
		return lines
	}
	warning := map[string]any{"level": "WARN", "msg": "slow statement", "statement": "search_page_details", "rows": 1.0, "request_id": "req-7"}
	if diff := cmp.Diff([]map[string]any{warning}, logged(slog.LevelInfo, time.Nanosecond)); diff != "" {
		t.Error(diff)
	}
	if got := logged(slog.LevelDebug, time.Nanosecond); len(got) != 2 || got[1]["query"] != `"geheimnis"` || got[1]["level"] != "DEBUG" {
		t.Errorf("at debug: %v", got)
	}
	if got := logged(slog.LevelDebug, time.Hour); got != nil {
		t.Errorf("none is that slow: %v", got)
	}
	if got := logged(slog.LevelDebug, 0); got != nil {
		t.Errorf("off: %v", got)
	}
}

func TestStatementsCountErrors(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "library.db"), store.Options{})
	stats := func(name string) store.StatementStats {
		for _, st := range s.Statements() {
			if st.Name == name {
				return st
			}
		}
		return store.StatementStats{}
	}
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if st := stats("ping"); st.Executions != 3 || st.Rows != 3 || st.Errors != 0 {
		t.Errorf("after three: %+v", st)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("client gone")
	cancel(gone)
	if err := s.Ping(ctx); !errors.Is(err, gone) && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want why the context ended", err)
	}
	if _, err := s.Generation(ctx, store.Scope{}); err == nil {
		t.Error("Generation answers a caller who left")
	}
}

func TestStatementStatsJSON(t *testing.T) {
	in := store.StatementStats{Name: "count", SQL: "/* tomehub:count */ SELECT 1", Executions: 3, Rows: 4, Errors: 1,
		Elapsed: 1500 * time.Microsecond, MaxElapsed: time.Millisecond, AcquireWait: 7 * time.Microsecond}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"count","sql":"/* tomehub:count */ SELECT 1","executions":3,"rows":4,"errors":1,"elapsed_us":1500,"max_us":1000,"acquire_wait_us":7}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	var out store.StatementStats
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("%+v, %v, want %+v", out, err, in)
	}
}
