package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A decoder reads YAML nodes strictly and collects every fault with its line, so that an author sees them all at once.
// Values read after a fault are zero; nothing may use them before err has been asked.
type decoder struct {
	file   string
	faults []fault
}

type fault struct {
	line int
	text string
}

func (d *decoder) faultf(n *yaml.Node, format string, args ...any) {
	d.faults = append(d.faults, fault{line: n.Line, text: fmt.Sprintf(format, args...)})
}

// err joins the faults in the order of their lines, each as "file:line: text".
func (d *decoder) err() error {
	slices.SortStableFunc(d.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	var all []error
	for _, f := range d.faults {
		all = append(all, fmt.Errorf("%s:%d: %s", d.file, f.line, f.text))
	}
	return errors.Join(all...)
}

// parseYAML returns the top node of the one document in data.
func (d *decoder) parseYAML(data []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		line, text := 1, err.Error()
		var at *yaml.LoadError
		if errors.As(err, &at) {
			line, text = max(1, at.Mark.Line), at.Message
		}
		d.faultf(&yaml.Node{Line: line}, "not YAML: %s", text)
		return nil
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	return &doc
}

// A section is one mapping of the file while it is read. Whatever key was not asked for by the time of close is unknown.
type section struct {
	d      *decoder
	node   *yaml.Node
	name   string // as faults call it
	keys   []*yaml.Node
	values map[string]*yaml.Node
	asked  []string
}

func (d *decoder) section(n *yaml.Node, name string) *section {
	s := &section{d: d, node: n, name: name, values: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		d.faultf(n, "%s must be a mapping of keys to values", name)
		return s
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || v.Kind == yaml.AliasNode || k.Value == "<<":
			d.faultf(k, "%s: aliases and merges are not part of a scenario file", name)
		case s.values[k.Value] != nil:
			d.faultf(k, "%s: key %q is there twice", name, k.Value)
		default:
			s.keys, s.values[k.Value] = append(s.keys, k), v
		}
	}
	return s
}

// get returns the value of key, or nil when it is not there.
func (s *section) get(key string) *yaml.Node {
	s.asked = append(s.asked, key)
	return s.values[key]
}

// has tells whether key is there.
func (s *section) has(key string) bool { return s.values[key] != nil }

// need is get, and a fault when the key is not there.
func (s *section) need(key string) *yaml.Node {
	n := s.get(key)
	if n == nil && s.node.Kind == yaml.MappingNode {
		s.d.faultf(s.node, "%s: %s is missing", s.name, key)
	}
	return n
}

// close reports every key that nobody asked for.
func (s *section) close() {
	for _, k := range s.keys {
		if slices.Contains(s.asked, k.Value) {
			continue
		}
		text := fmt.Sprintf("%s: unknown key %q", s.name, k.Value)
		if near := nearest(k.Value, s.asked); near != "" {
			text += fmt.Sprintf(", is it %q?", near)
		} else {
			text += "; known: " + strings.Join(sorted(s.asked), ", ")
		}
		s.d.faultf(k, "%s", text)
	}
}

// scalar returns the text of a scalar that is not null.
func (s *section) scalar(n *yaml.Node, key, want string) (string, bool) {
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		s.d.faultf(n, "%s: %s must be %s", s.name, key, want)
		return "", false
	}
	return n.Value, true
}

func (s *section) text(key string) string {
	text, _ := s.scalar(s.get(key), key, "text")
	return strings.TrimSpace(text)
}

// word is text that is one of the known words.
func (s *section) word(key, normal string, known ...string) string {
	n := s.get(key)
	text, ok := s.scalar(n, key, "one of "+strings.Join(known, ", "))
	if !ok {
		return normal
	}
	if !slices.Contains(known, text) {
		s.d.faultf(n, "%s: %s is %q, must be one of %s", s.name, key, text, strings.Join(known, ", "))
		return normal
	}
	return text
}

func (s *section) duration(key string, normal, least, most time.Duration) time.Duration {
	n := s.get(key)
	text, ok := s.scalar(n, key, "a time with a unit, such as 30s")
	if !ok {
		return normal
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		s.d.faultf(n, "%s: %s is %q, must be a time with a unit, such as 30s or 1m30s", s.name, key, text)
		return normal
	}
	if v < least || v > most {
		s.d.faultf(n, "%s: %s is %v, must be from %v to %v", s.name, key, v, least, most)
		return normal
	}
	return v
}

func (s *section) integer(key string, normal, least, most int) int {
	n := s.get(key)
	text, ok := s.scalar(n, key, "a whole number")
	if !ok {
		return normal
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < least || v > most {
		s.d.faultf(n, "%s: %s is %q, must be a whole number from %d to %d", s.name, key, text, least, most)
		return normal
	}
	return v
}

// quantity reads a number behind which one of the units may stand: 10%, 200/s.
func (s *section) quantity(key string, normal, least, most float64, units map[string]float64) float64 {
	n := s.get(key)
	text, ok := s.scalar(n, key, "a number")
	if !ok {
		return normal
	}
	v, ok := parseQuantity(text, units)
	if !ok || v < least || v > most {
		s.d.faultf(n, "%s: %s is %q, must be a number%s from %s to %s",
			s.name, key, text, unitHint(units), formatNumber(least), formatNumber(most))
		return normal
	}
	return v
}

// parseQuantity reads "10 %" with the units {"%": 1}; a bare number is allowed only when "" is among the units.
func parseQuantity(text string, units map[string]float64) (float64, bool) {
	number := strings.TrimRight(text, "/%abcdefghijklmnopqrstuvwxyzBGKM ")
	factor, known := units[strings.TrimSpace(text[len(number):])]
	v, err := strconv.ParseFloat(number, 64)
	return v * factor, known && err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

func unitHint(units map[string]float64) string {
	var known []string
	for u := range units {
		if u != "" {
			known = append(known, u)
		}
	}
	if len(known) == 0 {
		return ""
	}
	return " with " + strings.Join(sorted(known), " or ")
}

// list returns the items of a sequence.
func (s *section) list(key string) []*yaml.Node {
	n := s.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.d.faultf(n, "%s: %s must be a list", s.name, key)
		return nil
	}
	var items []*yaml.Node
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			s.d.faultf(item, "%s: aliases and merges are not part of a scenario file", s.name)
			continue
		}
		items = append(items, item)
	}
	return items
}

// texts returns the items of a list of scalars.
func (s *section) texts(key string) []string {
	var all []string
	for _, item := range s.list(key) {
		if text, ok := s.scalar(item, "each item of "+key, "text"); ok {
			all = append(all, text)
		}
	}
	return all
}

func sorted(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}

// nearest finds the known word that differs from word by at most two letters, or "".
func nearest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if n := distance(word, k); n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
