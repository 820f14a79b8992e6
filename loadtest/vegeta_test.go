package loadtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// encodings are vegeta's, as its encode command writes them.
var encodings = map[string]func(io.Writer) vegeta.Encoder{"gob": vegeta.NewEncoder, "json": vegeta.NewJSONEncoder, "csv": vegeta.NewCSVEncoder}

// What a run writes for vegeta has its own counts and response times, in each of vegeta's encodings and as vegeta counts.
func TestVegetaOut(t *testing.T) {
	var out bytes.Buffer
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		r = virtual(context.Background(), t, mergeScenario, hashed, func(c *Config) { c.Vegeta = &out })
	})
	var all []vegeta.Result
	var m vegeta.Metrics
	decode := vegeta.NewDecoder(bytes.NewReader(out.Bytes()))
	for {
		var one vegeta.Result
		if err := decode(&one); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if one.Seq != uint64(len(all)) || one.Method != "GET" || one.Attack != "test" || !strings.HasPrefix(one.URL, "http://fake/") || !strings.Contains(one.URL, "{{user}}") {
			t.Fatalf("result %+v", one)
		}
		if since := one.Timestamp.Sub(r.StartedAt); since < 2*time.Second || since > 12*time.Second {
			t.Fatalf("a result of %v, the measured time is from 2 s to 12 s", since)
		}
		all = append(all, one)
		m.Add(&one)
	}
	m.Close()
	if int64(m.Requests) != r.Total.Completed || int64(m.BytesIn.Total) != r.Total.BytesIn || m.StatusCodes["503"] != int(r.Total.Refused) || m.StatusCodes["500"] != int(r.Total.Failed) {
		t.Errorf("vegeta counts %d requests, %v, %d bytes of %+v", m.Requests, m.StatusCodes, m.BytesIn.Total, r.Total)
	}
	if want := []string{"refused_503: status 503", "status_5xx: status 500"}; !slices.Equal(slices.Sorted(slices.Values(m.Errors)), want) {
		t.Errorf("vegeta's errors %q, want %q", m.Errors, want)
	}
	for name, encoder := range encodings {
		var file bytes.Buffer
		encode := encoder(&file)
		for i := range all {
			if err := encode(&all[i]); err != nil {
				t.Fatal(err)
			}
		}
		back, err := ReadSaved("f."+name, &file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := gocmp.Diff(r.Total.Kinds, back.Total.Kinds); diff != "" {
			t.Errorf("%s: kinds (-ours +back):\n%s", name, diff)
		}
		if diff := gocmp.Diff(r.Errors, back.Errors); diff != "" && back.Errors[0].Kind != r.Errors[0].Kind {
			t.Errorf("%s: errors:\n%s", name, diff)
		}
		near(t, name+": p95", back.Total.Service.P95MS, r.Total.Response.P95MS, 0.1)
		if len(back.Steps) != 2 || back.Steps[0].Completed+back.Steps[1].Completed != back.Total.Completed || back.of("GET /read").Completed != r.of("read").Completed {
			t.Errorf("%s: steps %+v", name, back.Steps)
		}
	}
}

// A file of vegeta's own, with what its attacks leave behind.
func TestReadVegeta(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var file bytes.Buffer
	encode := vegeta.NewEncoder(&file)
	put := func(at, took time.Duration, code uint16, fault string) {
		if err := encode(&vegeta.Result{Attack: "evening", Timestamp: begin.Add(at), Latency: took, Code: code, Error: fault, BytesIn: 10, Method: "GET", URL: "http://10.0.0.5:80/a?x=1"}); err != nil {
			t.Fatal(err)
		}
	}
	put(500*time.Millisecond, 2*time.Second, 200, "")
	put(0, 100*time.Millisecond, 200, "")
	put(time.Second, 100*time.Millisecond, 304, "")
	put(1100*time.Millisecond, 100*time.Millisecond, 404, "404 Not Found")
	put(1200*time.Millisecond, 100*time.Millisecond, 429, "429 Too Many Requests")
	put(1300*time.Millisecond, 2700*time.Millisecond, 0, `Get "http://10.0.0.5/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`)
	put(1400*time.Millisecond, 10*time.Millisecond, 0, "dial tcp: connect: connection refused")
	r, err := ReadSaved("r.bin", &file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Kind]int64{OK: 3, ClientError: 1, RateLimited: 1, Timeout: 1, Unconnected: 1}
	if diff := gocmp.Diff(want, r.Total.Kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if r.MeasuredS != 4 || r.Total.Rate != 7./4 || !r.StartedAt.Equal(begin) || r.Scenario != "evening" || r.Judged || r.Steps[0].Step != "GET /a" || r.Total.BytesIn != 70 {
		t.Errorf("result %+v", r)
	}
	type window struct{ completed, ok, refused, failed, users int64 }
	var got []window
	for _, w := range r.Windows {
		got = append(got, window{w.Completed, w.OK, w.Refused, w.Failed, int64(w.Users)})
	}
	// At 1 s the long one is under way, at 2 s that and the one that runs into its timeout.
	if want := []window{{1, 1, 0, 0, 1}, {4, 1, 1, 2, 2}, {1, 1, 0, 0, 1}, {1, 0, 0, 1, 0}}; !slices.Equal(got, want) {
		t.Errorf("windows %+v, want %+v", got, want)
	}
	if err := r.Report().WriteMarkdown(io.Discard); err != nil {
		t.Error(err)
	}
}

// Paths with ids in them must not make a step each without end.
func TestReadVegetaBoundsSteps(t *testing.T) {
	var file bytes.Buffer
	encode := vegeta.NewEncoder(&file)
	for i := range 500 {
		if err := encode(&vegeta.Result{Timestamp: time.Unix(int64(1000+i), 0), Latency: 1, Code: 200, Method: "GET", URL: fmt.Sprintf("http://h/%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := ReadSaved("f", &file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Steps); n != maxVegetaSteps+1 || r.Steps[n-1].Step != "other" || r.Steps[n-1].Completed != 500-maxVegetaSteps {
		t.Errorf("%d steps, the last %s with %d", n, r.Steps[n-1].Step, r.Steps[n-1].Completed)
	}
}

func TestReadSavedRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := ReadSaved("x", strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x") {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	f("", "is empty")
	f("hello", "result 1: ")
	f("{}", "it names no scenario")
	f("{\n\"scenario\": \"a\",\n\"windows\": [}", "line 3")
	f("{\n\"schema_version\": 1, \"scenario\": \"a\",\n\"windows\": 7}", "line 3")
	const head = `{"scenario": "a", "schema_version": 1, "time_scale": 1, `
	f(`{"scenario": "a", "schema_version": 2}`, "of version 2, this program reads version 1")
	f(head+`"measured_s": -1}`, "it measured for -1 s")
	f(head+`"windows": [{"start_s": 1e300, "length_s": 1}]}`, "window 0: it begins at 1e+300 s")
	f(head+`"windows": [{"start_s": 0, "length_s": 0}]}`, "lasts 0 s")
	f(head+`"total": {"kinds": {"ok": -5}}}`, "it has -5 requests that ended as ok")
	f(head+`"steps": [{"step": "x", "rate_per_s": -1}]}`, "step x: it has -1 requests/s")
	f(`{"attack": "a", "timestamp": "2026-01-01T00:00:00Z", "latency": -5}`+"\n", "result 1: began")
	f("1700000000,200\n", "wrong number of fields")
}

// The report that --format json writes is as good as the result.
func TestReadReport(t *testing.T) {
	r := sampleResult(t, sampleScenario)
	var report bytes.Buffer
	if err := r.Report().WriteJSON(&report); err != nil {
		t.Fatal(err)
	}
	back, err := ReadSaved("r", &report)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(r, back); diff != "" {
		t.Errorf("through a report (-want +got):\n%s", diff)
	}
}

// Whatever a file holds: it is refused, or it can be merged with one like it and shown.
func FuzzReadSaved(f *testing.F) {
	s, err := Parse("f.yaml", []byte("version: 1\nduration: 1s\nusers: {count: 2}"+oneStep+"checks: [{metric: p95, below: 1s, why: w, window: 1s}]"))
	if err != nil {
		f.Fatal(err)
	}
	t := newTally(false)
	t.add(OK, time.Millisecond, time.Millisecond, 5)
	whole := &Result{SchemaVersion: 1, Scenario: "f", StartedAt: time.Unix(1e9, 0).UTC(), MeasuredS: 1, DurationS: 1, TimeScale: 1, Worker: "1/2", Criteria: s.Checks, Steps: []StepFigures{{Step: "step"}}}
	if err := whole.count([]*tally{t}, [kinds]string{}, time.Second); err != nil {
		f.Fatal(err)
	}
	whole.Windows = []Window{{LengthS: 1, Completed: 1, OK: 1, Response: whole.Total.Response.Histogram}}
	data, err := json.Marshal(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, encoder := range encodings {
		var file bytes.Buffer
		if err := encoder(&file)(&vegeta.Result{Timestamp: time.Unix(1e9, 0), Latency: time.Second, Code: 200, Method: "GET", URL: "http://h/x"}); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadSaved("f", bytes.NewReader(data))
		if err != nil {
			return
		}
		other := *r
		other.Worker = strings.Replace(r.Worker, "1/", "2/", 1)
		other.StartedAt = r.StartedAt.Add(time.Millisecond)
		merged, err := Merge([]Part{{"a", r}, {"b", &other}})
		for _, r := range []*Result{r, cmp.Or(merged, r)} {
			if err := r.Report().WriteMarkdown(io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		_ = err
	})
}
