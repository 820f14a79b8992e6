package loadtest

import (
	"testing"
)

// templateUser has a feeder "query" and captures "id" (7, "a b") and "none" (empty).
func templateUser() (*user, scope) {
	f := newFeeder("query", []string{"what \"is\" & ü/\x01\n"}, nil, 0)
	u := newUser(41, newShared(&Scenario{feeders: []*feeder{f}, Flows: []Flow{{picks: make([]pick, 2), Steps: []*Step{{}}}}}, "http://x", "r1"), 1)
	u.begin()
	u.captures[0].add([]byte("7"))
	u.captures[0].add([]byte(`"a b"`))
	return u, scope{feeders: map[string]int{"query": 0}, captures: map[string]int{"id": 0, "none": 1}}
}

func TestTemplate(t *testing.T) {
	f := func(text string, in place, want string) {
		t.Helper()
		u, sc := templateUser()
		tpl, err := compile(text, in, sc)
		if err != nil {
			t.Fatalf("compile %q: %v", text, err)
		}
		if got := tpl.render(u); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	f("/a/{{query}}", inPath, "/a/what%20%22is%22%20&%20%C3%BC%2F%01%0A") // a path segment
	f("/a?q={{query}}&u={{ user }}", inPath, "/a?q=what+%22is%22+%26+%C3%BC%2F%01%0A&u=42")
	f("/a?q={{query|path}}", inPath, "/a?q=what%20%22is%22%20&%20%C3%BC%2F%01%0A")
	f(`{"q":"{{query}}"}`, inJSON, `{"q":"what \"is\" & ü/\u0001\u000a"}`)
	f("{{query}}", inHeader, `what "is" & ü/`) // no second header, however a query log was written
	f("{{query}}", inBody, "what \"is\" & ü/\x01\n")
	f("{{query|json}}", inBody, `what \"is\" & ü/\u0001\u000a`)
	f("{{query|query}}", inBody, "what+%22is%22+%26+%C3%BC%2F%01%0A")
	f("{{query|raw}}", inPath, "what \"is\" & ü/\x01\n")
	f("{{iteration}}-{{run}}", inBody, "1-r1")
	f("/c/{{id}}", inPath, "/c/7")
	f(`{"ids":[{{id|all}}]}`, inJSON, `{"ids":[7,"a b"]}`)
	f(`{"a":{"b":"{{user}}"}}`, inJSON, `{"a":{"b":"42"}}`) // closing braces that are not the template's
	f("no templates } {", inBody, "no templates } {")
}

func TestTemplateNeeds(t *testing.T) {
	_, sc := templateUser()
	tpl, err := compile("/{{id}}/{{none}}/{{user}}", inPath, sc)
	if err != nil {
		t.Fatal(err)
	}
	if got := tpl.captures(); len(got) != 2 || got[0] != 0 || got[1] != 1 {
		t.Errorf("captures() = %v, want [0 1]", got)
	}
}
