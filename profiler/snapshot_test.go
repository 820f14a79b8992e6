package profiler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

const head = `{"schema_version":1,"server":"tomehub test","started_at":"2026-03-01T08:00:00Z","now":"2026-03-01T12:00:00Z"`

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, want := range []Snapshot{load(t, "after.json"), {Server: "empty", StartedAt: load(t, "after.json").StartedAt, Now: load(t, "after.json").Now}} {
		if err := SaveSnapshot(path, want); err != nil { // the second time over the first
			t.Fatal(err)
		}
		got, err := LoadSnapshot(path)
		if err != nil {
			t.Fatal(err)
		}
		want.SchemaVersion = SchemaVersion
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: SQL may hold literals, so that only its owner may read it", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := SaveSnapshot(filepath.Join(dir, "no", "such", "dir.json"), Snapshot{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("into a directory that is not there: %v", err)
	}
	if _, err := LoadSnapshot(filepath.Join(dir, "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	// A directory cannot be replaced by a file: the attempt leaves nothing behind.
	if err := os.MkdirAll(filepath.Join(dir, "d.json", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := SaveSnapshot(filepath.Join(dir, "d.json"), Snapshot{}); err == nil {
		t.Error("a directory was replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDecode(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		s, err := decode(strings.NewReader(in))
		switch {
		case want == "" && err != nil:
			t.Errorf("decode(%.80q): %v", in, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrNotSnapshot)):
			t.Errorf("decode(%.80q) = %+v, %v; want %q", in, s, err, want)
		}
	}
	f(head+`,"statements":[]}`, "")
	f(head+`,"statements":null}`, "")                                                // a nil slice
	f(head+`}`, "")                                                                  // none at all
	f(head+`,"new":{"deep":[{}]},"statements":[{"name":"a","cpu_us":1}]}`+" \n", "") // fields of a newer server
	f(head+`,"statements":[{"sql":"a"},{"name":"a","sql":"b"}]}`, "")                // a name is not a text
	f(``, "it is empty")
	f(" \n", "it is empty")
	f(`<html>`, "invalid character")
	f(`[]`, `"[" where "{" is expected`)
	f(`null`, `where "{" is expected`)
	f(`{}`, "no schema_version")
	f(`{"schema_version":2}`, "schema_version is 2, and this tomehub reads 1")
	f(`{"schema_version":1,"started_at":"2026-03-01T08:00:00Z"}`, "no started_at or no now")
	f(head+`,"tables":[]}`, "--compare takes") // a report
	f(`{"schema_version":1,"now":"yesterday"}`, "now: ")
	f(head, "ends in the middle")                               // cut off
	f(head+`,"statements":[{"name":"a"}`, "ends in the middle") // cut off
	f(head+`}{}`, "more behind its end")                        // two at once
	f(head+`,"statements":{}}`, `"{" where "[" is expected`)    // another shape
	f(head+`,"statements":[1]}`, "statement 1: ")               // another shape
	f(head+`,"statements":[{"name":"a"},{}]}`, "statement 2 has neither name nor sql")
	f(head+`,"statements":[{"name":"a","rows":-1}]}`, "statement 1 has rows -1")
	f(head+`,"statements":[{"name":"a","elapsed_us":9223372036854775808}]}`, "statement 1: ")
	f(head+`,"own":{"rows":-1}}`, "own has rows -1")
	f(head+`,"time_model":{"parse_us":-1}}`, "time_model has a counter below 0")
	f(head+`,"statements":[{"name":"a"},{"name":"a"}]}`, `statement 2, "a", is there twice`)
	f(head+`,"statements":[{"name":"a"}],"statements":[{"name":"a"}]}`, "is there twice")
}

func TestDecodeIsBounded(t *testing.T) {
	f := func(r io.Reader, want string) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decode(r)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, errBound) || errors.Is(err, ErrNotSnapshot) {
			t.Errorf("got %v, want %q", err, want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 512<<20 {
			t.Errorf("%d MiB allocated on the way to %v", got>>20, err)
		}
	}
	endless := func(s string) io.Reader {
		return io.MultiReader(strings.NewReader(head+`,"statements":[{}`), &repeat{s: s})
	}
	f(endless(",{}"), "more than 200000 statements")
	f(strings.NewReader(head+`,"instances":[{}`+strings.Repeat(",{}", 3<<20)+`]}`), "instances has 9437")
	f(strings.NewReader(head+`,"new":[{}`+strings.Repeat(",{}", 3<<20)+`]}`), "new has 9437") // of a newer server
	f(io.MultiReader(strings.NewReader(head+`,"server":"`), &repeat{s: "x"}), "more than 96 MiB")
}

// repeat never ends; every read returns s a whole number of times.
type repeat struct{ s string }

func (r *repeat) Read(p []byte) (int, error) {
	n := len(p) - len(p)%len(r.s)
	for i := 0; i < n; i += copy(p[i:n], strings.Repeat(r.s, 1<<10)) {
	}
	return n, nil
}

func TestDecodeReturnsErrorsOfReading(t *testing.T) {
	r := io.MultiReader(strings.NewReader(head), iotest.ErrReader(io.ErrNoProgress))
	if _, err := decode(r); !errors.Is(err, io.ErrNoProgress) || errors.Is(err, ErrNotSnapshot) {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode: whatever a server or a file says, it is refused, or it can be saved, loaded and profiled in every format.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"before.json", "after.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(head + `,"statements":[{"name":"a","sql":"\u0000\ud800|=1","executions":9223372036854775807,"elapsed_us":9223372036854775807}]}`))
	f.Add([]byte(head + `}`))
	f.Add([]byte(`{"schema_version":1,"started_at":"9999-12-31T23:59:59.999999999Z","now":"0001-01-01T00:00:00.1Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := decode(bytes.NewReader(body))
		if err != nil {
			return
		}
		saved, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(bytes.NewReader(saved))
		if err != nil {
			t.Fatalf("what was read is refused when read again: %v", err)
		}
		empty := s
		empty.Statements, empty.Now = nil, s.Now.Add(-1e9)
		for _, before := range []Snapshot{empty, {SchemaVersion: 1, StartedAt: s.StartedAt, Now: empty.Now, Statements: s.Statements}} {
			p, err := Between(before, again, Options{Top: 20})
			if errors.Is(err, ErrNoWindow) || errors.Is(err, ErrNotSnapshot) { // at the ends of time
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range []reports.Format{reports.Text, reports.JSON, reports.CSV, reports.Markdown} {
				if err := p.Report().Write(io.Discard, format, reports.TextOptions{Width: 80}); err != nil {
					t.Fatalf("%s: %v", format, err)
				}
			}
		}
	})
}

// many makes two snapshots of n statements, of which most moved.
func many(n int) (before, after Snapshot) {
	at := func(seconds int, factor int64) Snapshot {
		s := Snapshot{SchemaVersion: 1, Server: "tomehub bench"}
		s.StartedAt, s.Now = epoch, epoch.Add(time.Hour+time.Duration(seconds)*time.Second)
		for i := range n {
			k := int64(i%1000 + 1)
			s.Statements = append(s.Statements, Statement{
				SQL:      fmt.Sprintf("SELECT c%d, title, content FROM tomehub_content_%d WHERE id = :id AND owner_id IN (0, :owner) ORDER BY id", i, i%97),
				Counters: Counters{Executions: k * factor, Rows: k * factor * int64(i%20), Elapsed: Micros(k * factor * 300_000), AcquireWait: Micros(k * factor)},
			})
		}
		return s
	}
	return at(0, 10), at(300, 13)
}
