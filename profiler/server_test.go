package profiler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// running is a tomehub whose counters move with every question.
type running struct {
	asked   atomic.Int64
	started time.Time
}

func (r *running) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet || req.URL.Path != "/statements" {
		http.NotFound(w, req)
		return
	}
	n := r.asked.Add(1)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"schema_version":1,"server":"tomehub v1","phase":"D","started_at":%q,"now":%q,"statements":[
		{"name":"search_page","sql":"/* tomehub:search_page */ SELECT 1","executions":%d,"rows":%d,"errors":%d,"elapsed_us":%d,"max_us":%d,"acquire_wait_us":%d}]}`,
		r.started.Format(time.RFC3339), time.Now().Format(time.RFC3339Nano), 100*n, 1000*n, n, 250_000*n, 9_000, 10*n)
}

func source(t *testing.T, url string, client *http.Client) *Server {
	t.Helper()
	s, err := NewServer(url, client)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProfileOfARunningServer(t *testing.T) {
	h := &running{started: time.Now().Add(-time.Hour)}
	srv := httptest.NewServer(h)
	defer srv.Close()
	src := source(t, srv.URL, nil)
	p, err := Run(t.Context(), src, Options{Duration: 20 * time.Millisecond, Top: 20})
	if err != nil {
		t.Fatal(err)
	}
	want := []Row{{
		Name: "search_page", SQL: "/* tomehub:search_page */ SELECT 1", Share: 1,
		Counters: Counters{Executions: 100, Rows: 1000, Errors: 1, Elapsed: 250_000, AcquireWait: 10},
	}}
	if diff := cmp.Diff(want, p.Statements); diff != "" {
		t.Error(diff)
	}
	if p.Source != "tomehub at "+srv.URL || p.Server != "tomehub v1" || p.Phase != "D" || h.asked.Load() != 2 {
		t.Errorf("source %q, server %q, phase %q, asked %d times", p.Source, p.Server, p.Phase, h.asked.Load())
	}
	if p.WindowUS < 20_000 || p.WindowUS > 10e6 {
		t.Errorf("window of %d µs", p.WindowUS)
	}
}

func TestNewServerAddress(t *testing.T) {
	f := func(url, wantName, wantErr string) {
		t.Helper()
		s, err := NewServer(url, nil)
		switch {
		case wantErr != "":
			if err == nil || !strings.Contains(err.Error(), wantErr) || !strings.Contains(err.Error(), "--url") || strings.Contains(err.Error(), "secret") {
				t.Errorf("NewServer(%q): %v, want %q", url, err, wantErr)
			}
		case err != nil:
			t.Errorf("NewServer(%q): %v", url, err)
		case s.Name() != wantName:
			t.Errorf("NewServer(%q) is %q, want %q", url, s.Name(), wantName)
		}
	}
	f("http://127.0.0.1:5002", "tomehub at http://127.0.0.1:5002", "")
	f("http://127.0.0.1:5002/", "tomehub at http://127.0.0.1:5002", "")
	f("127.0.0.1:5002", "tomehub at http://127.0.0.1:5002", "") // as --admin-listen is written
	f("https://host/admin", "tomehub at https://host/admin", "")
	f("http://me:secret@host:1", "tomehub at http://me:xxxxx@host:1", "") // the password is never shown
	f("", "", "it looks like http://127.0.0.1:5002")
	f("ftp://me:secret@host", "", "ftp://me:xxxxx@host")
	f("http://", "", "it looks like")
	f("http://me:secret@ho st/", "", "it looks like")
	f("http://host/?a=secret#x", "", "it looks like")
	f("http://host:port", "", "invalid port")
}

func TestSnapshotErrors(t *testing.T) {
	f := func(h http.HandlerFunc, client *http.Client, kind error, words ...string) {
		t.Helper()
		srv := httptest.NewServer(h)
		defer srv.Close()
		defer srv.CloseClientConnections()
		url := strings.Replace(srv.URL, "://", "://me:secret@", 1)
		_, err := source(t, url, client).Snapshot(t.Context(), nil)
		if err == nil || kind != nil && !errors.Is(err, kind) || strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("got %v, want %v", err, kind)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v does not say %q", err, w)
			}
		}
	}
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	f(answer(404, `{"error":"not_found"}`), nil, ErrNotTomehub, "404 Not Found", "--url", "--admin-listen", "5002") // the public port
	f(answer(200, "<!doctype html>"), nil, ErrNotTomehub, "--admin-listen")                                         // something else
	f(answer(200, "{}"), nil, ErrNotTomehub, "no schema_version")
	f(answer(200, `{"schema_version":7}`), nil, ErrNotTomehub, "schema_version is 7, and this tomehub reads 1")
	f(func(w http.ResponseWriter, r *http.Request) { // not followed, wherever it leads
		if r.URL.Path == "/statements" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
		fmt.Fprint(w, head+"}")
	}, nil, ErrNotTomehub, "302 Found")
	f(answer(401, ""), nil, nil, "refuses it: 401")
	f(answer(503, "draining\n\x1b[31m"), nil, nil, `503 Service Unavailable: "draining`)
	f(answer(500, ""), nil, nil, `500 Internal Server Error: ""`)
	f(func(w http.ResponseWriter, r *http.Request) { // cut off
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, head)
	}, nil, nil, "unexpected EOF")
	f(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, &http.Client{Timeout: 20 * time.Millisecond}, ErrUnreachable, "--url") // no answer
}

func TestSnapshotOfNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // nobody listens there now
	_, err = source(t, address, nil).Snapshot(t.Context(), nil)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), "--admin-listen") || strings.Contains(err.Error(), "Get ") {
		t.Errorf("got %v", err)
	}
}

func TestSnapshotEndsWithItsContext(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := source(t, srv.URL, nil).Snapshot(ctx, nil)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want the context's own error", err)
	}
}

// TestSnapshotIsTheSavedAnswer: what curl saves is what LoadSnapshot reads.
func TestSnapshotIsTheSavedAnswer(t *testing.T) {
	h := &running{started: time.Now().Add(-time.Hour).Truncate(time.Second)}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/statements", nil))
	got, err := decode(rec.Body)
	if err != nil || len(got.Statements) != 1 || !got.StartedAt.Equal(h.started) {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzServerAnswer: no answer of a server makes the profiler panic, hang or print control characters.
func FuzzServerAnswer(f *testing.F) {
	f.Add(200, []byte(head+`,"statements":[{"name":"a","executions":1}]}`))
	f.Add(200, []byte(head+`,"statements":[{"name":"a`))
	f.Add(500, []byte("\x1b]0;x\a\n"))
	f.Add(302, []byte(""))
	f.Add(999, []byte("x"))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		if code < 200 || code > 999 {
			return
		}
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			rec.WriteHeader(code)
			_, _ = rec.Write(body)
			return rec.Result(), nil
		})}
		s, err := source(t, "h:1", client).Snapshot(t.Context(), nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b\a\x00") {
				t.Errorf("the error holds control characters: %q", err)
			}
			return
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
