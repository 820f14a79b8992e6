package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// example is a span with everything.
func example() *Span {
	at := Extract(http.Header{"Traceparent": {goodParent}, "Tracestate": {"a=1"}})
	link := at
	link.Span, link.State = SpanID{7: 9}, ""
	return &Span{
		at: at, parent: SpanID{7: 1}, remote: true, kind: Server, name: "GET /api/search", start: begun, end: begun.Add(1500 * time.Microsecond), ended: true,
		attrs:  []Attr{String("s", "text"), Int("i", 1<<53+1), Float("f", 0.5), Bool("b", true)},
		events: []event{{"first token", begun.Add(time.Millisecond), nil}}, links: []SpanContext{link}, failed: true, why: "because",
	}
}

// The JSON of OTLP by the words of its specification: ids in hexadecimal digits, 64-bit numbers as text, kinds and codes as numbers.
func TestConsole(t *testing.T) {
	var out bytes.Buffer
	if _, err := NewConsole(&out, []Attr{String("service.name", "tomehub")}).Export(t.Context(), []*Span{example(), {at: example().at, name: "plain", kind: Internal, start: begun, end: begun}}); err != nil {
		t.Fatal(err)
	}
	want := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tomehub"}}]},"scopeSpans":[{"scope":{"name":"github.com/tomehub/tomehub/server/trace"},"spans":[` +
		`{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","traceState":"a=1","parentSpanId":"0000000000000001","flags":769,"name":"GET /api/search","kind":2,` +
		`"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000001500000",` +
		`"attributes":[{"key":"s","value":{"stringValue":"text"}},{"key":"i","value":{"intValue":"9007199254740993"}},{"key":"f","value":{"doubleValue":0.5}},{"key":"b","value":{"boolValue":true}}],` +
		`"events":[{"timeUnixNano":"1700000000001000000","name":"first token"}],` +
		`"links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"0000000000000009","flags":257}],"status":{"code":2,"message":"because"}},` +
		`{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","traceState":"a=1","flags":257,"name":"plain","kind":1,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000000","status":{}}]}]}]}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A fakeCollector answers requests one after the other, the last answer again and again.
type fakeCollector struct {
	answers []answer
	asked   []*http.Request
	bodies  [][]byte
	at      []time.Time
}

type answer struct {
	status           int
	retryAfter, kind string
	body             []byte
	err              error
}

func (c *fakeCollector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.asked, c.bodies, c.at = append(c.asked, r), append(c.bodies, body), append(c.at, time.Now())
	a := c.answers[min(len(c.asked), len(c.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{"Content-Type": {a.kind}}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.body))}, nil
}

func newTestOTLP(t *testing.T, c *fakeCollector, change func(*OTLPConfig)) *OTLP {
	t.Helper()
	cfg := DefaultOTLP()
	cfg.URL, cfg.Headers, cfg.Resource = "http://collector.example/secret-path", map[string]string{"Authorization": "Bearer token"}, []Attr{String("service.name", "tomehub")}
	change(&cfg)
	o, err := NewOTLP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o.client.Transport = c
	return o
}

func TestExportIsRepeated(t *testing.T) {
	f := func(answers []answer, refused int, failed bool, pauses string, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := &fakeCollector{answers: answers}
			n, err := newTestOTLP(t, c, func(*OTLPConfig) {}).Export(t.Context(), []*Span{example()})
			if n != refused || (err != nil) != failed {
				t.Errorf("%s: %d refused, %v", why, n, err)
			}
			if err != nil && (strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%s: the error tells a secret: %v", why, err)
			}
			var seconds []string
			for i := range c.at {
				if i > 0 { // half of a pause is chance: rounded up, it is the pause
					seconds = append(seconds, fmt.Sprint(int((c.at[i].Sub(c.at[i-1])+time.Second-1)/time.Second)))
				}
			}
			got := strings.Join(seconds, " ")
			if begin, more := strings.CutSuffix(pauses, "…"); got != pauses && !(more && strings.HasPrefix(got, begin)) {
				t.Errorf("%s: pauses %q, want %q", why, got, pauses)
			}
			if took := c.at[len(c.at)-1].Sub(c.at[0]); took >= DefaultOTLP().Timeout {
				t.Errorf("%s: it goes on for %v", why, took)
			}
		})
	}
	partial, err := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{RejectedSpans: 1}})
	if err != nil {
		t.Fatal(err)
	}
	f([]answer{{status: 200}}, 0, false, "", "taken")
	f([]answer{{status: 202}}, 0, false, "", "taken for later")
	f([]answer{{status: 200, kind: "application/x-protobuf", body: partial}}, 1, false, "", "refused in part")
	f([]answer{{status: 200, kind: "application/json", body: []byte(`{"partialSuccess":{"rejectedSpans":"1"}}`)}}, 1, false, "", "likewise, in JSON")
	f([]answer{{status: 200, kind: "application/json", body: []byte(`{"partialSuccess":{"rejectedSpans":-1}}`)}}, 0, false, "", "nonsense refuses nothing")
	f([]answer{{status: 200, kind: "application/json", body: []byte(`<`)}}, 0, false, "", "nor what is no JSON")
	f([]answer{{status: 200, kind: "application/x-protobuf", body: []byte{255}}}, 0, false, "", "nor what is no message")
	f([]answer{{status: 503}, {status: 429}, {status: 200}}, 0, false, "1 2", "busy, twice")
	f([]answer{{status: 503, retryAfter: "4"}, {status: 200}}, 0, false, "4", "it says when")
	f([]answer{{status: 503, retryAfter: "3600"}}, 0, true, "", "too late for this batch")
	f([]answer{{err: errors.New("connection refused")}, {status: 200}}, 0, false, "1", "it starts just now")
	f([]answer{{status: 503}}, 0, true, "1 2 …", "until the time is over, which is 10 s")
	f([]answer{{err: errors.New("connection refused")}}, 0, true, "1 2 …", "nobody there; the client's error names the address")
	f([]answer{{status: 400}}, 0, true, "", "it will not take that")
	f([]answer{{status: 302}}, 0, true, "", "redirects are not followed")
}

func TestExportWire(t *testing.T) {
	f := func(change func(*OTLPConfig), kind, encoding string) {
		t.Helper()
		c := &fakeCollector{answers: []answer{{status: 200}}}
		if _, err := newTestOTLP(t, c, change).Export(t.Context(), []*Span{example()}); err != nil {
			t.Fatal(err)
		}
		h, body := c.asked[0].Header, c.bodies[0]
		if h.Get("Content-Type") != kind || h.Get("Content-Encoding") != encoding || h.Get("Authorization") != "Bearer token" || c.asked[0].Method != "POST" || c.asked[0].URL.Path != "/secret-path" {
			t.Errorf("%s to %v with %v", c.asked[0].Method, c.asked[0].URL, h)
		}
		if encoding == "gzip" {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if kind == "application/json" {
			var console bytes.Buffer
			_, _ = NewConsole(&console, []Attr{String("service.name", "tomehub")}).Export(t.Context(), []*Span{example()})
			if string(body)+"\n" != console.String() {
				t.Errorf("%s", body)
			}
			return
		}
		var got collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if want := request([]Attr{String("service.name", "tomehub")}, []*Span{example()}); !proto.Equal(&got, want) {
			t.Errorf("%v, want %v", &got, want)
		}
	}
	f(func(*OTLPConfig) {}, "application/x-protobuf", "")
	f(func(c *OTLPConfig) { c.Gzip = true }, "application/x-protobuf", "gzip")
	f(func(c *OTLPConfig) { c.JSON, c.Gzip = true, true }, "application/json", "gzip")
}

func TestCheckURL(t *testing.T) {
	f := func(address string, good bool) {
		t.Helper()
		err := CheckURL(address)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
		if _, made := NewOTLP(OTLPConfig{URL: address, Timeout: time.Second}); (made == nil) != good {
			t.Errorf("%s: %v", address, made)
		}
	}
	f("http://127.0.0.1:4318/v1/traces", true)
	f("https://collector.example", true)
	f("127.0.0.1:4318", false)
	f("grpc://secret:4317", false)
	f("http://user:secret@host", false)
	f("http://", false)
}

// An export under way ends with its context.
func TestExportEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := newTestOTLP(t, &fakeCollector{answers: []answer{{status: 503}}}, func(*OTLPConfig) {})
		time.AfterFunc(100*time.Millisecond, cancel)
		start := time.Now()
		if _, err := o.Export(ctx, []*Span{example()}); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
