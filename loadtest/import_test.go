package loadtest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustImport(t testing.TB, text string, opt ImportOptions) (string, *Scenario) {
	t.Helper()
	out, err := Import("dir/in.log", strings.NewReader(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("imported.yaml", out)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), s
}

// logged writes lines of an access log, sorted by time as servers do.
type logWriter struct{ lines []string }

func (w *logWriter) put(client string, at time.Duration, request string, status int, took time.Duration) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(at + took)
	w.lines = append(w.lines, fmt.Sprintf("%s\x00%s - ada [%s] %q %d 99 \"https://example.test/\" \"agent\" %.3f",
		end.Format(time.RFC3339Nano), client, end.Format(logTime), request, status, took.Seconds()))
}

func (w *logWriter) text() string {
	slices.Sort(w.lines)
	var b strings.Builder
	for _, l := range w.lines {
		_, line, _ := strings.Cut(l, "\x00")
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Requests, their rows, weights and pauses come out as they went in.
func TestImportLog(t *testing.T) {
	var w logWriter
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 { // search, then read twice, 4 s apart; two in three come from readers
		client := fmt.Sprintf("10.1.0.%d", i)
		at := time.Duration(i) * 10 * time.Second
		w.put(client, at, fmt.Sprintf("GET /api/search?q=word%d&page=1 HTTP/1.1", i%7), 200, 200*time.Millisecond)
		if i%3 > 0 {
			w.put(client, at+4200*time.Millisecond, fmt.Sprintf("GET /api/content/%d HTTP/1.1", rng.IntN(50)), 200, 20*time.Millisecond)
			w.put(client, at+8220*time.Millisecond, fmt.Sprintf("GET /api/content/%d HTTP/1.1", rng.IntN(50)), 404-204*min(i%10, 1), 20*time.Millisecond)
		}
	}
	w.put("10.9.9.9", time.Second, "GET /logo.png HTTP/1.1", 200, 0)
	w.put("10.9.9.9", time.Second, "OPTIONS /api/search HTTP/1.1", 204, 0)
	text, s := mustImport(t, w.text(), ImportOptions{})
	if len(s.Flows) != 2 || s.Flows[0].Weight != 40 || s.Flows[1].Weight != 20 || len(s.Flows[0].Steps) != 2 || s.Flows[0].Steps[1].Repeat != 2 {
		t.Fatalf("flows:\n%s", text)
	}
	if got := s.Flows[0].Steps[0].Path; got != "/api/search?q={{get_api_search_q|query}}&page=1" {
		t.Errorf("path %q", got)
	}
	if got := s.Flows[0].Steps[1].Path; got != "/api/content/{{content_id}}" {
		t.Errorf("path %q", got)
	}
	// 60 sessions begin in 598 s; the log's times are whole seconds.
	if rate := 60 * s.Arrivals.Rate; math.Abs(rate-60/(598./60)) > 0.1 || !s.Arrivals.Poisson {
		t.Errorf("%v arrivals/min", rate)
	}
	if think := s.Think.mean(); think < 3500*time.Millisecond || think > 4500*time.Millisecond {
		t.Errorf("think %v, recorded 4 s", s.Think)
	}
	for _, want := range []string{"140 requests of 60 sessions", "Left out: 1 of files such as pictures", "Left out: 1 with a method that scenarios do not have"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, never := range []string{"10.1.0", "10.9", "ada", "example.test", "agent"} {
		if strings.Contains(text, never) {
			t.Errorf("%q was copied", never)
		}
	}
	checks := map[string]float64{}
	for _, c := range s.Checks {
		checks[c.Metric+" "+c.Step] = c.High.Value
		if !strings.HasPrefix(c.Why, "Recorded: ") {
			t.Errorf("why %q", c.Why)
		}
	}
	if checks["p95 get-api-search"] != 301 || checks["p95 get-api-content-id"] != 31 || math.Abs(checks["error_rate "]-100*2*4./140) > 0.01 {
		t.Errorf("checks %v", checks)
	}
	if _, with := mustImport(t, w.text(), ImportOptions{Static: true}); len(with.steps) != len(s.steps)+1 {
		t.Error("--static keeps no picture")
	}
}

// Rows that only one session walked through become flows of one step: no request is lost from the mix.
func TestImportKeepsTheMix(t *testing.T) {
	var w logWriter
	rng := rand.New(rand.NewPCG(3, 4))
	want := map[string]float64{}
	total := 0.0
	for i := range 100 {
		at := time.Duration(i) * time.Second
		for range 1 + rng.IntN(20) {
			p := []string{"/a", "/b", "/c", "/d"}[min(rng.IntN(10), 3)]
			w.put(fmt.Sprint("10.0.0.", i), at, "GET "+p+" HTTP/1.1", 200, 10*time.Millisecond)
			want[p]++
			total++
			at += 2 * time.Second
		}
	}
	_, s := mustImport(t, w.text(), ImportOptions{})
	got, all := map[string]float64{}, 0.0
	for _, f := range s.Flows {
		for _, st := range f.Steps {
			got[st.Path] += float64(f.Weight * st.Repeat)
			all += float64(f.Weight * st.Repeat)
		}
	}
	for p, n := range want {
		if share := n / total; math.Abs(got[p]/all-share) > 0.03 {
			t.Errorf("%s is %.3f of all requests, was %.3f", p, got[p]/all, share)
		}
	}
}

// A client that comes back later begins a new session.
func TestImportSessions(t *testing.T) {
	var w logWriter
	for i := range 4 {
		w.put("10.0.0.1", time.Duration(i)*11*time.Minute, "GET /a HTTP/1.1", 200, 0)
		w.put("10.0.0.1", time.Duration(i)*11*time.Minute+5*time.Second, "GET /b HTTP/1.1", 200, 0)
	}
	text, s := mustImport(t, w.text(), ImportOptions{})
	if len(s.Flows) != 1 || s.Flows[0].Weight != 4 || !strings.Contains(text, "of 4 sessions in 33m5s") || s.Think.mean() != 5*time.Second {
		t.Errorf("scenario:\n%s", text)
	}
}

func TestImportLogForms(t *testing.T) {
	f := func(line, path string, status int, took time.Duration) {
		t.Helper()
		r := &recording{left: map[string]int{}, secrets: map[string]int{}}
		q, keep, err := r.logged(line)
		if err != nil || !keep {
			t.Errorf("%s: %v %v", line, keep, err)
			return
		}
		begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(-max(took, 0))
		if q.path != path || q.status != status || q.took != took || !q.at.Equal(begin) || q.method != "GET" {
			t.Errorf("%s\n%+v", line, q)
		}
	}
	const at = "[02/Jan/2026:03:04:05 +0000]"
	f(`10.0.0.1 - - `+at+` "GET /a HTTP/1.1" 200 12`, "/a", 200, -1)
	f(`::1 - ada lovelace `+at+` "GET /a?b=c HTTP/2.0" 304 -`, "/a", 304, -1)
	f(`h - - `+at+` "GET /a HTTP/1.1" 200 12 "-" "agent \"x\""`, "/a", 200, -1)
	f(`h - - `+at+` "GET /a HTTP/1.1" 200 12 "-" "a 1.5" 0.125`, "/a", 200, 125*time.Millisecond)
	f(`h - - `+at+` "GET /a HTTP/1.1" 200 12 "-" "a" rt=0.125 uct="0.000"`, "/a", 200, 125*time.Millisecond)
	f(`h - - `+at+` "GET /a HTTP/1.1" 200 12 "-" "a" "0.125"`, "/a", 200, 125*time.Millisecond)
	f(`h - - `+at+` "GET /a HTTP/1.1" 200 12 "-" "a" 125000`, "/a", 200, -1) // microseconds or what: nobody knows
	f(`h - - `+at+` "GET http://other.test/a#x HTTP/1.1" 200 12`, "/a", 200, -1)
	f(`{"time":"2026-01-02T03:04:05Z","request_method":"GET","request_uri":"/a","status":"200","request_time":"0.125","remote_addr":"h"}`, "/a", 200, 125*time.Millisecond)
	f(`{"msec":1767323045,"request":"GET /a?x HTTP/1.1","status":503}`, "/a", 503, -1)
	f(`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"request","route":"GET /api/content/:id","status":200,"elapsed_ms":125,"client":"h"}`, "/api/content/:id", 200, 125*time.Millisecond)
}

// The log of this program's server has routes and no values; what a step needs is put in to be replaced.
func TestImportOwnLog(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		for _, route := range []string{"POST /api/search", "GET /api/content/:id", "POST /api/content/batch", "POST /api/ingest"} {
			fmt.Fprintf(&b, `{"time":"2026-01-02T03:%02d:05Z","level":"INFO","msg":"request","route":%q,"status":200,"elapsed_ms":5,"client":"h%d"}`+"\n", i, route, i)
		}
		b.WriteString(`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"memory"}` + "\n")
	}
	text, s := mustImport(t, b.String(), ImportOptions{})
	for _, want := range []string{`{\"query\": \"{{query}}\"}`, `/api/content/{{content_id}}`, `{\"ids\": [{{content_id|raw}}]}`, "the log has no values: put some in", "30 ingests"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if s.Identity.Header == "" {
		t.Error("users of a TomeHub have no names")
	}
}

const harText = `{"log": {"entries": [
{"startedDateTime": "2026-01-02T03:04:05.000Z", "time": 30, "request": {"method": "GET", "url": "https://books.example/a%20b/{{x}}", "headers": [{"name": "Cookie", "value": "SECRET1"}, {"name": "Authorization", "value": "SECRET2"}]}, "response": {"status": 200}},
{"startedDateTime": "2026-01-02T03:04:06.000Z", "time": 30, "request": {"method": "GET", "url": "https://cdn.example/x"}, "response": {"status": 200}},
{"startedDateTime": "2026-01-02T03:04:07.030Z", "time": 100, "request": {"method": "POST", "url": "https://books.example/api/search?access_token=SECRET3&lang=de", "postData": {"mimeType": "application/json", "text": "{\"query\": \"one {{two}}\", \"n\": 12345678901234567890, \"password\": \"SECRET4\", \"auth\": {\"deep\": [\"SECRET5\", 7]}, \"note\": \"eyJSECRET6.aaaaaaaaaaaaaaaaaa.b\"}"}}, "response": {"status": 200}},
{"startedDateTime": "2026-01-02T03:04:12.130Z", "time": 300, "request": {"method": "POST", "url": "https://books.example/api/search?access_token=SECRET3&lang=de", "postData": {"mimeType": "application/json", "text": "{\"query\": \"three\", \"n\": 1, \"password\": \"SECRET4\", \"auth\": {}, \"note\": \"\"}"}}, "response": {"status": 200}},
{"startedDateTime": "2026-01-02T03:04:13.000Z", "time": 20, "request": {"method": "POST", "url": "https://books.example/login", "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "who=me&passwd=SECRET7&next=%2Fa%26b"}}, "response": {"status": 302}},
{"startedDateTime": "2026-01-02T03:04:14.000Z", "time": 20, "request": {"method": "GET", "url": "https://books.example/reset/q8Zr3kXv9TtLw0PmBn5SECRET8"}, "response": {"status": 404}},
{"startedDateTime": "2026-01-02T03:04:15.000Z", "time": 20, "request": {"method": "POST", "url": "https://books.example/up", "postData": {"mimeType": "multipart/form-data", "text": "--SECRET9"}}, "response": {"status": 200}}
]}}`

// A browser's session comes out as one flow with its pauses, and without its secrets.
func TestImportHAR(t *testing.T) {
	text, s := mustImport(t, harText, ImportOptions{})
	if i := strings.Index(text, "SECRET"); i >= 0 {
		t.Errorf("a secret was copied: %s", text[max(0, i-40):i+20])
	}
	for _, host := range []string{"books.example", "cdn.example"} {
		if strings.Contains(text, host) {
			t.Errorf("the host %s was copied", host)
		}
	}
	for _, told := range []string{"header cookie, once", "header authorization, once", "parameter access_token, 2 times", "field password, 2 times", "field auth.deep, 2 times", "field note, once", "parameter passwd, once", "a part of a path, once", "1 to other hosts", "1 with a body that is neither"} {
		if !strings.Contains(text, told) {
			t.Errorf("%q is not told:\n%s", told, text)
		}
	}
	if len(s.Flows) != 1 || s.Users == nil {
		t.Fatalf("scenario:\n%s", text)
	}
	steps := s.Flows[0].Steps
	u := newUser(0, newShared(s, "http://fake", "run"), 1)
	u.skipped = func(*Step) {}
	u.begin()
	first := u.prepare()
	if !u.advance() || len(steps) != 4 {
		t.Fatalf("%d steps:\n%s", len(steps), text)
	}
	search := u.prepare()
	if first.url != "http://fake/a%20b/%7B%7Bx%7D%7D#0" || search.url != "http://fake/api/search?lang=de#0" {
		t.Errorf("URLs %q and %q", first.url, search.url)
	}
	got := string(search.body)
	one := `{"auth":{"deep":["left-out","left-out"]},"n":12345678901234567890,"note":"left-out","password":"left-out","query":"one {{two}}"}`
	if got != one && got != strings.Replace(one, "one {{two}}", "three", 1) {
		t.Errorf("body %s", got)
	}
	if steps[1].Repeat != 2 || steps[0].Think.mean() != 2*time.Second || steps[1].Think.mean().Round(time.Second) != 3*time.Second {
		t.Errorf("repeat %d, think %v and %v", steps[1].Repeat, steps[0].Think, steps[1].Think)
	}
	if !strings.Contains(text, `body: "who=me&next=%2Fa%26b"`) || !slices.Equal(steps[2].Expect.Status, []int{302}) || !slices.Equal(steps[3].Expect.Status, []int{404}) {
		t.Errorf("form or statuses:\n%s", text)
	}
	if _, other := mustImport(t, harText, ImportOptions{Host: "cdn.example"}); len(other.steps) != 1 || other.steps[0].Path != "/x" {
		t.Error("--host keeps another host's requests")
	}
}

// Of a JSON body no field is lost, whatever the fields are called, and what lies below a secret name is left out.
func TestWithoutSecrets(t *testing.T) {
	in := map[string]any{"a": map[string]any{"a.b": "x", "b": "y"}, "token": map[string]any{"token.x": "s", "x": json.Number("7"), "token": "t"}}
	want := map[string]any{"a": map[string]any{"a.b": "x", "b": "y"}, "token": map[string]any{"token.x": leftOut, "x": leftOut, "token": leftOut}}
	if diff := cmp.Diff(want, withoutSecrets(in, "", func(string) {})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLooksSecret(t *testing.T) {
	f := func(v string, want bool) {
		t.Helper()
		if looksSecret(v) != want {
			t.Errorf("looksSecret(%q) = %v", v, !want)
		}
	}
	f("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", true)
	f("q8Zr3kXv9TtLw0PmBn5a", true)
	f("da39a3ee5e6b4b0d3255bfef95601890afd80709", true)
	f("ada@example.test", true)
	f("7f3c2a10-1111-4222-8333-444455556666", false)
	f("12345678901234567890123456789012", false)
	f("being-and-time-an-introduction", false)
	f("dasein", false)
	f("a long sentence of a query, 1234 words and more", false)
}

// Pauses keep their mean and their deviation: 0.577 s is 1/√3.
func TestPauseText(t *testing.T) {
	f := func(a, b time.Duration, want string) {
		t.Helper()
		if got := pauseText([]time.Duration{a, b, b, a}); got != want {
			t.Errorf("%v and %v: got %s, want %s", a, b, got, want)
		}
	}
	f(3*time.Second, 3*time.Second, "3s")
	f(0, 0, "0s")
	f(2*time.Second-577350*time.Microsecond, 2*time.Second+577350*time.Microsecond, "{min: 1s, max: 3s}")
	f(0, 40*time.Second, "{mean: 20s}")
}

func TestZipfOf(t *testing.T) {
	count := map[string]int{}
	var ranked []string
	for i := range 50 {
		v := fmt.Sprint("v", i)
		ranked = append(ranked, v)
		count[v] = int(10_000 / math.Pow(float64(i+1), 1.2))
	}
	if got := zipfOf(ranked, count); math.Abs(got-1.2) > 0.02 {
		t.Errorf("exponent %v, want 1.2", got)
	}
	for v := range count {
		count[v] = 5
	}
	if got := zipfOf(ranked, count); got != 0 {
		t.Errorf("exponent %v of what is even", got)
	}
}

func TestImportRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Import("x", strings.NewReader(text), ImportOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	const good = `h - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 12` + "\n"
	f("", "has no request to keep")
	f("# a comment\n", "has no request to keep")
	f(good+"\nnonsense\n", "line 3: is no line of an access log")
	f(good+strings.Replace(good, "02/Jan", "32/Jan", 1), "line 2: [32/Jan/2026:03:04:05 +0000] is no time")
	f(good+strings.Replace(good, "GET /a HTTP/1.1", "\\x16\\x03", 1), "line 2: ")
	f(good+"{\n", "line 2: is no JSON object")
	f(good+`{"time": "x", "method": "GET", "uri": "/"}`, `line 2: "x" is no time`)
	f(good+`{"time": "2026-01-02T03:04:05Z"}`, "line 2: has no method and uri")
	f(good+strings.Repeat("x", maxRecordedLine+1), "line 2: ")
	f("{\"log\":\n{\"entries\": 7}}", "line 2")
	f("{\"log\": {\"entries\": [\n{]}}", "line 2")
	f(`{"log": {"entries": [{"startedDateTime": "x", "request": {"url": "http://h/"}}]}}`, "entry 1: startedDateTime")
	f(`{"log": {"entries": [{"request": {"url": "http://h/%zz?token=SECRET"}}]}}`, "entry 1: its URL is none")
	f(strings.Replace(good, "200", "999", 1), "left out 1 that got no answer")
	// One line in many may be broken; the scenario says so.
	if text, _ := mustImport(t, strings.Repeat(good, 30)+"nonsense\n", ImportOptions{}); !strings.Contains(text, "1 that could not be read, the first on line 31") {
		t.Errorf("a broken line is not told:\n%s", text)
	}
}

// Whatever is recorded, the scenario made of it is valid, or there is an error.
func FuzzImport(f *testing.F) {
	f.Add(harText)
	f.Add(`h - - [02/Jan/2026:03:04:05 +0000] "GET /a/12?q=%22{{x}}%07 HTTP/1.1" 200 12 "-" "a" 0.125` + "\n" + `h - - [02/Jan/2026:03:04:06 +0000] "POST /b HTTP/1.1" 500 -`)
	f.Add(`{"time":"2026-01-02T03:04:05Z","msg":"request","route":"GET /api/content/:id","status":200,"elapsed_ms":5}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Import("x", strings.NewReader(text), ImportOptions{Static: true}); err != nil && strings.Contains(err.Error(), "please report") {
			t.Fatal(err)
		}
	})
}
