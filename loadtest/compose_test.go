package loadtest

import (
	"bytes"
	"strings"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// theirs is the request as vegeta and net/http put it on a wire.
func theirs(t *testing.T, u *user) (string, error) {
	t.Helper()
	r := u.prepare()
	target := vegeta.Target{Method: r.method, URL: r.url, Header: r.header, Body: r.body}
	req, err := target.Request()
	if err != nil {
		return "", err
	}
	var wire bytes.Buffer
	err = req.Write(&wire)
	return wire.String(), err
}

// composed is a user of a scenario of one step; base is the target.
func composed(t testing.TB, base, scenario string) *user {
	t.Helper()
	u := newUser(0, newShared(mustParse(t, "users: {count: 1}\n"+scenario), base, "run"), 1)
	u.begin()
	return u
}

func TestComposeAsNetHTTP(t *testing.T) {
	f := func(why, base, scenario string) {
		t.Helper()
		u := composed(t, base, scenario)
		got, _, gotErr := u.compose(nil, nil)
		want, wantErr := theirs(t, u)
		if (gotErr != nil) != (wantErr != nil) {
			t.Errorf("%s: we say %v, net/http %v", why, gotErr, wantErr)
		} else if gotErr == nil && string(got) != want {
			t.Errorf("%s: %q, net/http has %q", why, got, want)
		}
	}
	step := func(text string) string { return "flows: [{name: f, steps: [{name: s, " + text + "}]}]\n" }
	const base = "http://example.test:8080"
	f("the least", base, step("get: /"))
	f("a target with a path", base+"/api/v1", step("get: /search"))
	f("a target with letters in its path", base+"/a%20b/ü", step("get: /search"))
	f("a query", base, step(`get: "/search?q=a+b&x=%C3%BC&y=[1]"`))
	f("a query alone", base, step(`get: "/?"`))
	f("letters that a path cannot have", base, step(`get: "/bücher/a|b^c?q=ü\"<"`))
	f("a broken escape", base, step(`get: "/100%/x"`))
	f("a broken escape in the query", base, step(`get: "/x?y=100%"`))
	f("escapes stay as they are", base, step(`get: "/a%2fb%41[c]"`))
	f("two slashes", base, step(`get: "//a//b"`))
	f("a body", base, step(`post: /x, body: "a b"`))
	f("a JSON body", base, step(`put: /x, json: '{"a": 1}'`))
	f("JSON of another type", base, step(`put: /x, json: '{"a": 1}', headers: {content-type: text/plain}`))
	f("no body where there may be one", base, step("post: /x"))
	f("no body where there is none", base, step("delete: /x"))
	f("a body where there is none", base, step("delete: /x, body: a"))
	f("HEAD", base, step("head: /x"))
	f("fields of the scenario and the step", base, "headers: {b: one, A: two, user-agent: three}\n"+step("get: /, headers: {B: four, c: five}"))
	f("fields about the body", base, step("post: /x, body: abc, headers: {content-length: '9', transfer-encoding: chunked, trailer: x}"))
	f("another host", base, step("get: /, headers: {host: other.test}"))
	f("no agent", base, step(`get: /, headers: {user-agent: ""}`))
	f("blanks around", base, step(`get: /, headers: {a: "  b  "}`))
	f("no identity", base, "identity: none\n"+step("get: /"))
	f("values of feeders", base, "feeders: {q: {values: [\"a b/ü?&#\"]}}\n"+step(`get: "/x/{{q}}?q={{q}}&u={{user}}", headers: {a: "{{q}}"}`))
	f("a raw value of a feeder", base, "feeders: {q: {values: [\"a b\"]}}\n"+step(`get: "/x/{{q|raw}}"`))
}

func TestComposeRefuses(t *testing.T) {
	f := func(why, step string) {
		t.Helper()
		u := composed(t, "http://example.test", "feeders: {q: {values: [\"a#b\"]}}\nflows: [{name: f, steps: [{name: s, "+step+"}]}]\n")
		if got, _, err := u.compose(nil, nil); err == nil {
			t.Errorf("%s: composed %q", why, got)
		}
	}
	f("what stands behind # reaches no server", `get: "/{{q|raw}}"`)
	f("control characters, which the transport of net/http refuses", `get: /, headers: {a: "b\x01"}`)
	f("a host that is none, for which net/http sends an empty one", `get: /, headers: {host: "a b"}`)
	f("a broken escape in the path", `get: "/100%/x"`)
}

func FuzzCompose(f *testing.F) {
	f.Add("/a%20b?x=ü", "value")
	f.Add("//a\x00", " blanks ")
	f.Fuzz(func(t *testing.T, path, value string) {
		if strings.ContainsAny(path, "#") || !strings.HasPrefix(path, "/") {
			return
		}
		u := composed(t, "http://example.test", "flows: [{name: f, steps: [{name: s, get: /}]}]\n")
		st := *u.flow.Steps[0]
		st.path = template{parts: []part{{literal: path}}}
		u.flow.Steps[0] = &st
		u.run.plans[0].fields = append(u.run.plans[0].fields, headerTemplate{key: "X-Value", value: template{parts: []part{{literal: value}}}})
		got, _, gotErr := u.compose(nil, nil)
		want, wantErr := theirs(t, u)
		// net/http writes a field with its control characters as blanks when the transport has not looked at it before.
		if gotErr != nil && (wantErr != nil || !validValue([]byte(value))) {
			return
		}
		if gotErr != nil || wantErr != nil || string(got) != want {
			t.Errorf("%q, %v; net/http has %q, %v", got, gotErr, want, wantErr)
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	u := composed(b, "http://127.0.0.1:5001", `
feeders: {query: {values: ["being and time", "düşünce", dasein], pick: zipf}}
flows:
  - {name: f, steps: [{name: s, post: "/api/search", json: '{"query": "{{query}}", "page_size": 20}'}]}
`)
	var request, body []byte
	b.ReportAllocs()
	for b.Loop() {
		u.begin()
		var err error
		if request, body, err = u.compose(request[:0], body[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
