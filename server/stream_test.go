package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi-validator/schema_validation"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// answers is an Answerer that does what a test says.
type answers func(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error)

func (f answers) Answer(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
	return f(ctx, r, emit)
}

// A streamRecord is any record of a stream, as a client reads it.
type streamRecord struct {
	Status     string           `json:"status"`
	Count      int              `json:"count"`
	TotalCount int              `json:"total_count"`
	Results    []library.Result `json:"results"`
	Text       string           `json:"text"`
	PassageIDs []int64          `json:"passage_ids"`
	Restart    bool             `json:"restart"`
	Reason     string           `json:"reason"`
	Answer     *answer.Result   `json:"answer"`
	Error      string           `json:"error"`
	Detail     string           `json:"detail"`
	RequestID  string           `json:"request_id"`
}

// readRecords reads lines of JSON, and says what is wrong with them as a stream: the first record
// is chunks_loaded, the last and no other is complete or error.
func readRecords(body []byte) (records []streamRecord, err error) {
	if !bytes.HasSuffix(body, []byte("\n")) {
		return nil, fmt.Errorf("the last line has no end: %.200q", body)
	}
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for i, line := range lines {
		var r streamRecord
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("line %d is not JSON: %w: %.200q", i, err, line)
		}
		records = append(records, r)
		first, last := i == 0, i == len(lines)-1
		switch r.Status {
		case streamLoaded:
			if !first {
				err = fmt.Errorf("record %d is %s", i, r.Status)
			}
		case streamComplete, streamError:
			if !last || first {
				err = fmt.Errorf("record %d of %d is %s", i, len(lines), r.Status)
			}
		case streamAnswer:
			if first || last {
				err = fmt.Errorf("record %d of %d is %s", i, len(lines), r.Status)
			}
		default:
			err = fmt.Errorf("record %d has status %q", i, r.Status)
		}
	}
	return records, err
}

// records reads a whole recorded stream.
func records(t testing.TB, w *httptest.ResponseRecorder) []streamRecord {
	t.Helper()
	if w.Code != 200 || sent(w, "Content-Type") != "application/x-ndjson" || sent(w, "X-Accel-Buffering") != "no" || sent(w, "Content-Length") != "" || !w.Flushed {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
	list, err := readRecords(w.Body.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, w.Body)
	}
	return list
}

func TestStreamThroughARealLibrary(t *testing.T) {
	s := newServer(t, testConfig(), openHouse(t, 6, 120, cached).deps())
	h := s.Handler()
	_, model := description(t)
	schema := model.Components.Schemas.GetOrZero("StreamRecord").Schema()
	lines := schema_validation.NewSchemaValidator()
	f := func(why, method, target, body string, answered, details bool) {
		t.Helper()
		w := ask(t, h, method, target, body)
		for line := range strings.Lines(w.Body.String()) {
			if ok, problems := lines.ValidateSchemaStringWithVersion(schema, line, 3.1); !ok {
				t.Errorf("%s: %.300s is not as described: %v", why, line, problems)
			}
		}
		got := records(t, w)
		plain := decoded[library.SearchResult](t, ask(t, h, "GET", "/api/search?q=time&page_size=20"+map[bool]string{true: "&include=details"}[details], ""))
		if got[0].Count != 20 || got[0].TotalCount != plain.TotalCount {
			t.Errorf("%s: count %d of %d", why, got[0].Count, got[0].TotalCount)
		}
		if diff := cmp.Diff(plain.Results, got[0].Results); diff != "" {
			t.Errorf("%s: other matches than of a search: %s", why, diff)
		}
		var text strings.Builder
		for _, r := range got[1 : len(got)-1] {
			text.WriteString(r.Text)
		}
		last := got[len(got)-1]
		if last.Status != streamComplete || (last.Answer != nil) != answered {
			t.Fatalf("%s: ends with %+v", why, last)
		}
		if answered && (last.Answer.Text == "" || last.Answer.Text != text.String() || len(last.Answer.PassageIDs) == 0) {
			t.Errorf("%s: the pieces are %q, the answer is %+v", why, text.String(), last.Answer)
		}
	}
	f("by URL", "GET", streamPath+"?q=time&page_size=20", "", true, false)
	f("with details", "GET", streamPath+"?q=time&page_size=20&include=details", "", true, true)
	f("by body", "POST", streamPath, `{"query":"time","page_size":20}`, true, false)
	f("without an answer", "POST", streamPath, `{"query":"time","page_size":20,"answer":false}`, false, false)
	f("the URL alone says so", "POST", streamPath+"?answer=false", `{"query":"time","page_size":20}`, false, false)
	if got := records(t, ask(t, h, "GET", streamPath+"?q=nosuchwordanywhere", "")); len(got) != 2 || got[1].Answer.Source != answer.SourceNone {
		t.Errorf("no match: %+v", got)
	}
	if report := s.streams.report(); report.Started != 6 || report.Completed != 6 || report.Active != 0 {
		t.Errorf("%+v", report)
	}
}

func TestStreamsThatCannotBeginHaveAStatus(t *testing.T) {
	f := func(lib *fake, target string, status int, code, part string) {
		t.Helper()
		s := newServer(t, testConfig(), Deps{Library: lib})
		wantError(t, ask(t, s.Handler(), "GET", target, ""), status, code, part)
		if report := s.streams.report(); report.Active != 0 || report.Started+report.Completed+report.Failed+report.ClientGone != 0 {
			t.Errorf("%s: %+v", target, report)
		}
	}
	f(echo(), streamPath, 400, "query_empty", "nothing to search for")
	f(echo(), streamPath+"?q=a&answer=perhaps", 400, "wrong_type", "answer")
	f(failing(errBoom), streamPath+"?q=a", 500, "internal", "request id")
	f(failing(exhaust(t)), streamPath+"?q=a", 503, "pool_exhausted", "DB_POOL_READ_SIZE")
	w := ask(t, newServer(t, testConfig(), Deps{Library: failing(errBoom)}).Handler(), "HEAD", streamPath+"?q=a", "")
	if w.Code != 200 || sent(w, "Content-Type") != "application/x-ndjson" {
		t.Errorf("HEAD: %d, %v", w.Code, w.Header())
	}
}

// What an answer API breaks off is void, and the client is told so before what stands in for it.
func TestStreamTellsOfARestart(t *testing.T) {
	final := answer.Result{Text: "whole", PassageIDs: []int64{1}, Source: answer.SourceExtractive, Degraded: true, Reason: answer.ReasonCut}
	breaksOff := answers(func(_ context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		return final, errors.Join(emit(answer.Piece{Text: "ha"}), emit(answer.Piece{Restart: true, Reason: answer.ReasonCut}), emit(answer.Piece{Text: "whole", PassageIDs: []int64{1}}))
	})
	s := newServer(t, testConfig(), Deps{Library: echo(), Answerer: breaksOff})
	got := records(t, ask(t, s.Handler(), "GET", streamPath+"?q=a", ""))
	want := []streamRecord{
		{Status: streamAnswer, Text: "ha", PassageIDs: []int64{}},
		{Status: streamAnswer, PassageIDs: []int64{}, Restart: true, Reason: "cut"},
		{Status: streamAnswer, Text: "whole", PassageIDs: []int64{1}},
		{Status: streamComplete, Answer: &final},
	}
	if diff := cmp.Diff(want, got[1:]); diff != "" {
		t.Error(diff)
	}
}

// The deadline of a stream, and an answerer that fails, end it with a record that says so.
func TestFaultStreamsEndWithAnErrorRecord(t *testing.T) {
	hang := func(ctx context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		if err := emit(answer.Piece{Text: "so"}); err != nil {
			return answer.Result{}, err
		}
		<-ctx.Done()
		return answer.Result{}, ctx.Err()
	}
	fall := func(context.Context, answer.Request, func(answer.Piece) error) (answer.Result, error) {
		return answer.Result{}, errBoom
	}
	f := func(why string, a answers, code, part string, logged bool, after time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := newServer(t, testConfig(), Deps{Library: echo(), Answerer: a, Logger: slog.New(slog.NewTextHandler(&out, nil))})
			start := time.Now()
			w := ask(t, s.Handler(), "GET", streamPath+"?q=a", "")
			if took := time.Since(start); took != after {
				t.Errorf("%s: after %v, want %v", why, took, after)
			}
			got := records(t, w)
			last := got[len(got)-1]
			if last.Status != streamError || last.Error != code || !strings.Contains(last.Detail, part) || last.RequestID != sent(w, "X-Request-Id") {
				t.Errorf("%s: ends with %+v", why, last)
			}
			if strings.Contains(w.Body.String(), errBoom.Error()) || strings.Contains(out.String(), errBoom.Error()) != logged {
				t.Errorf("%s: the client got %s\nthe log got %s", why, w.Body, &out)
			}
			if report := s.streams.report(); report.Failed != 1 || report.Active != 0 {
				t.Errorf("%s: %+v", why, report)
			}
			if got := s.routeOf(t, "GET "+streamPath); got.Statuses["5xx"] != 1 {
				t.Errorf("%s: counted as %+v", why, got)
			}
		})
	}
	f("the deadline", hang, "deadline_exceeded", "--stream-timeout 5m0s", false, 5*time.Minute)
	f("an answerer that fails", fall, "internal", "request id", true, 0)
}

// The search of a stream has the time of any search.
func TestFaultSearchOfAStreamHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lib := &fake{search: func(ctx context.Context, _ store.Scope, _ library.SearchRequest) (library.SearchResult, error) {
			<-ctx.Done()
			return library.SearchResult{}, ctx.Err()
		}}
		s := newServer(t, testConfig(), Deps{Library: lib})
		start := time.Now()
		wantError(t, ask(t, s.Handler(), "GET", streamPath+"?q=a", ""), 504, "deadline_exceeded", "--request-timeout 1m5s")
		if took := time.Since(start); took != 65*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

func TestStreamsCountAsSearches(t *testing.T) {
	s := newServer(t, ratesConfig(RateLimits{Search: 2}), Deps{Library: echo()})
	for _, target := range []string{streamPath + "?q=a", "/api/search?q=a"} {
		if w := ask(t, s.Handler(), "GET", target, "", "X-Tomehub-User", "ann"); w.Code != 200 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := ask(t, s.Handler(), "POST", streamPath, `{"q":"a"}`, "X-Tomehub-User", "ann"); w.Code != 429 || sent(w, "Retry-After") == "" {
		t.Errorf("the third: %d %v", w.Code, w.Header())
	}
}

func TestStreamsAreRefusedOnceTheListenerIsClosed(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()})
	s.stage.Store(stageLeaving)
	records(t, ask(t, s.Handler(), "GET", streamPath+"?q=a", ""))
	s.stage.Store(stageClosed)
	w := ask(t, s.Handler(), "GET", streamPath+"?q=a", "")
	wantError(t, w, 503, "draining", "another one will answer")
	if sent(w, "Retry-After") == "" || sent(w, "Connection") != "close" {
		t.Errorf("headers %v", w.Header())
	}
	if w := ask(t, s.Handler(), "GET", "/api/search?q=a", ""); w.Code != 200 {
		t.Errorf("a search, meanwhile: %d", w.Code)
	}
	s.handed.Store(true) // then a kept connection notices nothing
	records(t, ask(t, s.Handler(), "GET", streamPath+"?q=a", ""))
}

// FuzzStream holds that a stream is whole lines of JSON with one end, whatever is asked and whatever answered.
func FuzzStream(f *testing.F) {
	lib := echo()
	found := lib.search
	lib.search = func(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		result, err := found(ctx, sc, r)
		result.Query, result.Results = r.Query, []library.Result{{ID: 7, Title: r.Query, Content: r.Query}}
		return result, err
	}
	repeat := answers(func(_ context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		for i := range len(r.Query) {
			if err := emit(answer.Piece{Text: r.Query[i : i+1], Restart: r.Query[i] == 0}); err != nil { // cut within characters, too
				return answer.Result{}, err
			}
		}
		if strings.HasSuffix(r.Query, "!") {
			return answer.Result{}, errors.New(r.Query)
		}
		return answer.Result{Text: r.Query, Source: answer.SourceExtractive}, nil
	})
	cfg := testConfig()
	cfg.Streams.WriteTimeout = time.Hour
	s := newServer(f, cfg, Deps{Library: lib, Answerer: repeat}).Handler()
	for _, body := range []string{
		`{"q":"time"}`, `{"q":"two\nlines\r\n","include_details":true}`, `{"q":"\u2028\u0000</script>"}`, `{"q":"fails!"}`, `{"q":"\ud800 x"}`,
		`q=%0a%00%ff`, `q=dasein&answer=false`, `{"q":"a","answer":null}`, "",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(t, s, "POST", streamPath, body, "Content-Type", curlForm)
		if w.Code != 200 {
			checkFuzzed(t, w)
			return
		}
		if _, err := readRecords(w.Body.Bytes()); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}
