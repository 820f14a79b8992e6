package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// raw listens on a loopback port and hands every connection, after it has read one request for /, to answer. What else is
// asked for, by the observer, is not there: it would wait for a server that is silent.
func raw(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				switch r, err := http.ReadRequest(in); {
				case err != nil:
				case r.URL.Path == "/":
					answer(conn)
				default:
					fmt.Fprint(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// short runs one user against target for a moment. expect is the flow's step behind its name and path.
func short(t *testing.T, target, step string, change ...func(*Config)) *Result {
	t.Helper()
	cfg := Config{Target: target, gauge: idle, Scenario: mustParse(t, `
duration: 100ms
users: {count: 1}
think: 20ms
flows:
  - name: f
    steps:
      - {name: s, get: /, `+step+"}\n")}
	for _, f := range change {
		f(&cfg)
	}
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantKind runs one step for a moment, and all its requests must be of the kind.
func wantKind(t *testing.T, why, target, step string, want Kind, detail string) {
	t.Helper()
	r := short(t, target, step)
	if n := r.Total.Kinds[want]; n == 0 || n != r.Total.Completed {
		t.Errorf("%s: kinds %v, want only %v", why, r.Total.Kinds, want)
		return
	}
	wantRefused, wantFailed := int64(0), r.Total.Completed
	switch {
	case want == OK:
		wantFailed = 0
	case want == RateLimited || want == Overloaded:
		wantRefused, wantFailed = wantFailed, 0
	}
	if r.Total.Refused != wantRefused || r.Total.Failed != wantFailed {
		t.Errorf("%s: %d refused, %d failed; want %d, %d", why, r.Total.Refused, r.Total.Failed, wantRefused, wantFailed)
	}
	if want != OK && (len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Example, detail)) {
		t.Errorf("%s: errors %+v, want %q in the example", why, r.Errors, detail)
	}
	if timed := r.Total.Response.Count > 0; timed != want.timed() {
		t.Errorf("%s: its time is in the percentiles: %v", why, timed)
	}
}

// answers is the URL of a server that answers what a scenario sends with code and body.
func answers(t *testing.T, code int, body string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vegeta-Seq") != "" || r.Header.Get("X-Tomehub-User") != "load-1" || strings.Contains(r.RequestURI, "#") {
			http.Error(w, "not what the scenario says", http.StatusTeapot)
			return
		}
		if r.URL.Path == "/elsewhere" {
			return
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestKinds(t *testing.T) {
	t.Parallel()
	f := func(why, target, step string, want Kind, detail string) {
		t.Helper()
		wantKind(t, why, target, step, want, detail)
	}
	status := func(code int, body string) string { return answers(t, code, body) }
	const object = `{"page": 1, "title": "Being", "tags": ["a"], "none": null}`
	f("a right answer", status(200, ""), "timeout: 5s", OK, "")
	f("a limit", status(429, ""), "timeout: 5s", RateLimited, "status 429")
	f("an overload", status(503, ""), "timeout: 5s", Overloaded, "status 503")
	f("an expected 503", status(503, ""), "expect: {status: [200, 503]}", OK, "")
	f("a server error", status(500, ""), "timeout: 5s", ServerError, "status 500")
	f("not found", status(404, ""), "timeout: 5s", ClientError, "status 404")
	f("a redirect is not followed", status(302, ""), "timeout: 5s", OtherStatus, "status 302")
	f("200 where 201 is due", status(200, ""), "expect: {status: 201}", OtherStatus, "status 200")
	f("too short", status(200, "abc"), "expect: {min_bytes: 4}", WrongAnswer, "answer has 3 bytes, must have 4")
	f("long enough", status(200, "abcd"), "expect: {min_bytes: 4}", OK, "")
	f("a page in place of JSON", status(200, "<html>"), "expect: {json: [{path: page, exists: true}]}", NotJSON, "fault at byte 0")
	f("cut JSON", status(200, object[:20]), "expect: {json: [{path: page, exists: true}]}", NotJSON, "not JSON")
	f("a field as it must be", status(200, object), "expect: {json: [{path: page, equals: 1.0}, {path: title, equals: Being}, {path: none, equals: null}, {path: 'tags[0]', equals: a}]}", OK, "")
	f("another value", status(200, object), "expect: {json: [{path: page, equals: 2}]}", WrongAnswer, "page is 1, must be 2")
	f("a text is no number", status(200, `{"page":"1"}`), "expect: {json: [{path: page, equals: 1}]}", WrongAnswer, `page is "1", must be 1`)
	f("a missing field", status(200, object), "expect: {json: [{path: total, exists: true}]}", WrongAnswer, "total is missing")
	f("a field too many", status(200, object), "expect: {json: [{path: page, exists: false}]}", WrongAnswer, "page is there")
	f("JSON beyond all bounds", status(200, `"`+strings.Repeat("x", maxAnswer)+`"`), "expect: {json: [{path: page, exists: true}]}", TooLarge, "16 MiB")
}

func TestKindsOfBrokenConnections(t *testing.T) {
	t.Parallel()
	f := func(why, target, step string, want Kind, detail string) {
		t.Helper()
		wantKind(t, why, target, step, want, detail)
	}
	f("a reset", raw(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), "timeout: 5s", Reset, "connection reset")
	f("a closed connection", raw(t, func(net.Conn) {}), "timeout: 5s", Closed, "EOF")
	f("a cut answer", raw(t, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") }), "timeout: 5s", Truncated, "unexpected EOF")
	f("a cut stream", raw(t, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc") }), "expect: {json: [{path: a, exists: true}]}", Truncated, "unexpected EOF")
	f("no HTTP", raw(t, func(c net.Conn) { fmt.Fprint(c, "220 mail.example ESMTP\r\n") }), "timeout: 5s", BadHTTP, "malformed")
	stop := make(chan struct{})
	f("silence", raw(t, func(net.Conn) { <-stop }), "timeout: 30ms", Timeout, "deadline exceeded")
	f("silence in the middle", raw(t, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"); <-stop }), "timeout: 30ms", Timeout, "deadline exceeded")
	close(stop)
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	f("an unknown certificate", tls.URL, "timeout: 5s", BadTLS, "certificate")
}

// A port that nobody listens on is an error of the run, but a server may also go away in the middle.
func TestKindsWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	target := "http://" + l.Addr().String()
	_, err = Run(context.Background(), Config{Scenario: mustParse(t, "users: {count: 1}"+oneStep), Target: target})
	if err == nil || !strings.Contains(err.Error(), "reach target "+target) {
		t.Errorf("Run against a closed port: %v", err)
	}
	unguarded := func(c *Config) { c.transport = newTransport(1) } // a transport of its own is not knocked at
	if r := short(t, target, "timeout: 5s", unguarded); r.Total.Kinds[Unconnected] == 0 || r.Total.Failed != r.Total.Completed {
		t.Errorf("kinds %v, want unconnected", r.Total.Kinds)
	}
}

func TestKindOfError(t *testing.T) {
	f := func(err error, want Kind) {
		t.Helper()
		if got := kindOfError(err, false); got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
	f(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, Unresolved)
	f(&net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}, Exhausted) // out of ports
	f(&net.OpError{Op: "dial", Err: syscall.EMFILE}, Exhausted)
	f(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, Unconnected)
	f(&net.OpError{Op: "write", Err: syscall.EPIPE}, Reset)
	f(fmt.Errorf("net/http: invalid header field value for %q", "A"), BadRequest)
	f(fmt.Errorf("anything else"), OtherError)
}

func TestKindText(t *testing.T) {
	seen := map[string]bool{}
	for i := range kinds {
		k := Kind(i)
		if seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d has the name %q", i, k)
		}
		seen[k.String()] = true
		data, err := json.Marshal(k)
		var back Kind
		if err != nil || json.Unmarshal(data, &back) != nil || back != k {
			t.Errorf("%v does not come back from JSON: %s, %v", k, data, back)
		}
	}
	var k Kind
	if err := k.UnmarshalText([]byte("odd")); err == nil || Kind(kinds).String() != "kind("+strconv.Itoa(kinds)+")" {
		t.Error("unknown kinds pass")
	}
}
