package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// docs/api.md is written from openapi.yaml, which other tests hold against real answers.
func TestAPIReference(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	got, file := (&apiReference{root: root.Content[0]}).write(), filepath.Join("..", "docs", "api.md")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/api.md is stale; run 'make docs' (-file +openapi.yaml):\n%s", diff)
	}
}

// An apiReference is openapi.yaml as Markdown, in the order of the file.
type apiReference struct {
	root *yaml.Node
	b    strings.Builder
}

// at is what lies under these keys, references followed; nil when nothing does.
func (a *apiReference) at(n *yaml.Node, keys ...string) *yaml.Node {
	for n != nil {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
			continue
		}
		if ref := value(n, "$ref"); ref != nil {
			n = a.at(a.root, strings.Split(strings.TrimPrefix(ref.Value, "#/"), "/")...)
			continue
		}
		if len(keys) == 0 {
			return n
		}
		n, keys = value(n, keys[0]), keys[1:]
	}
	return nil
}

func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// words is a text under these keys, in one line.
func (a *apiReference) words(n *yaml.Node, keys ...string) string {
	if n = a.at(n, keys...); n == nil {
		return ""
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(n.Value), " "), "|", `\|`)
}

// each calls f for every key of a mapping.
func (a *apiReference) each(n *yaml.Node, f func(key string, v *yaml.Node)) {
	if n = a.at(n); n == nil {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i].Value, n.Content[i+1])
	}
}

func (a *apiReference) write() string {
	fmt.Fprintf(&a.b, "# The API\n\nWritten by `make docs` from server/openapi.yaml, which the server has at `/api/openapi.yaml` and tests hold against its answers; do not edit.\n\n%s",
		a.at(a.root, "info", "description").Value)
	a.each(a.at(a.root, "paths"), func(path string, methods *yaml.Node) {
		a.each(methods, func(method string, op *yaml.Node) { a.operation(strings.ToUpper(method), path, op) })
	})
	a.b.WriteString("\n## What is in bodies\n")
	a.each(a.at(a.root, "components", "schemas"), a.schema)
	return a.b.String()
}

func (a *apiReference) operation(method, path string, op *yaml.Node) {
	fmt.Fprintf(&a.b, "\n## %s %s\n\n%s.\n", method, path, a.words(op, "summary"))
	if text := a.words(op, "description"); text != "" {
		fmt.Fprintf(&a.b, "%s\n", text)
	}
	if params := a.at(op, "parameters"); params != nil {
		a.b.WriteString("\n| parameter | in | | what it is |\n| --- | --- | --- | --- |\n")
		for _, p := range params.Content {
			must := ""
			if a.words(p, "required") == "true" {
				must = "required, "
			}
			fmt.Fprintf(&a.b, "| `%s` | %s | %s%s | %s |\n", a.words(p, "name"), a.words(p, "in"), must, a.kind(value(a.at(p), "schema")), a.words(p, "description"))
		}
	}
	a.each(a.at(op, "requestBody", "content"), func(media string, c *yaml.Node) {
		fmt.Fprintf(&a.b, "\nBody, `%s`: %s\n", media, a.kind(value(c, "schema")))
	})
	a.b.WriteString("\n| answer | body | when |\n| --- | --- | --- |\n")
	a.each(a.at(op, "responses"), func(code string, r *yaml.Node) {
		body := ""
		a.each(a.at(r, "content"), func(_ string, c *yaml.Node) {
			if kind := a.kind(value(a.at(c), "schema")); body == "" {
				body = kind
			}
		})
		fmt.Fprintf(&a.b, "| %s | %s | %s |\n", code, body, a.words(r, "description"))
	})
}

// kind is the type of a schema: a link when it has a name.
func (a *apiReference) kind(schema *yaml.Node) string {
	if schema == nil {
		return ""
	}
	if schema.Kind == yaml.AliasNode {
		schema = schema.Alias
	}
	if ref := value(schema, "$ref"); ref != nil {
		name := ref.Value[strings.LastIndex(ref.Value, "/")+1:]
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	}
	for _, several := range []string{"oneOf", "anyOf", "allOf"} {
		if list := value(schema, several); list != nil {
			var kinds []string
			for _, one := range list.Content {
				kinds = append(kinds, a.kind(one))
			}
			return strings.Join(kinds, map[bool]string{true: " and ", false: " or "}[several == "allOf"])
		}
	}
	kind := a.words(schema, "type")
	if list := a.at(schema, "type"); list != nil && list.Kind == yaml.SequenceNode {
		var kinds []string
		for _, one := range list.Content {
			kinds = append(kinds, one.Value)
		}
		kind = strings.Join(kinds, " or ")
	}
	if items := value(schema, "items"); items != nil {
		kind = "array of " + a.kind(items)
	}
	if values := a.at(schema, "enum"); values != nil {
		var all []string
		for _, v := range values.Content {
			if v.Value != "" {
				all = append(all, v.Value)
			}
		}
		kind = strings.TrimPrefix(kind+": "+strings.Join(all, ", "), ": ")
	}
	low, high := a.words(schema, "minimum"), a.words(schema, "maximum")
	switch {
	case low != "" && high != "":
		kind += ", " + low + " to " + high
	case low != "":
		kind += ", from " + low
	case high != "":
		kind += ", at most " + high
	}
	if normal := a.words(schema, "default"); normal != "" {
		kind += ", " + normal + " if not given"
	}
	return kind
}

func (a *apiReference) schema(name string, schema *yaml.Node) {
	fmt.Fprintf(&a.b, "\n### %s\n\n", name)
	if text := a.words(schema, "description"); text != "" {
		fmt.Fprintf(&a.b, "%s\n\n", text)
	}
	fields := a.at(schema, "properties")
	if fields == nil {
		fmt.Fprintf(&a.b, "%s\n", a.kind(schema))
		return
	}
	a.b.WriteString("| field | type | what it is |\n| --- | --- | --- |\n")
	a.each(fields, func(field string, s *yaml.Node) {
		fmt.Fprintf(&a.b, "| `%s` | %s | %s |\n", field, a.kind(s), a.words(s, "description"))
	})
}
