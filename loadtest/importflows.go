package loadtest

import (
	"cmp"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of what is made of a recording, so that the scenario stays one that people read.
const (
	maxEndpoints   = 60
	maxFlows       = 12
	maxFlowSteps   = 12  // of a flow that several sessions share
	maxHARSteps    = 200 // of the one flow of a HAR file
	maxFeederItems = 300
	maxFeederBytes = 200 // of a value
	leastGaps      = 30  // pauses after a step from which it has its own think time
)

// An endpoint is what a step asks for: requests that differ in nothing but values.
type endpoint struct {
	name     string
	method   string
	segments []slot // of the path
	query    []slot
	form     []slot // of a body that is a form
	bodies   []map[string]any
	body     string // JSON that is no object
	media    string

	requests int
	statuses map[int]int
	took     *hdrhistogram.Histogram // of those whose time is known
	gaps     []time.Duration         // until the same session asked again
}

// A slot is a part of a path, query, form or body: text, or values that a feeder hands out.
type slot struct {
	key    string // of a query or form
	text   string
	varies bool
	values map[string]int
	feeder string
}

// A chain is a row of endpoints that sessions walked through, each repeated so often.
type chain struct {
	steps    []int // indices of endpoints
	repeats  []float64
	sessions int
}

// imported is what a scenario is written from.
type imported struct {
	*recording
	endpoints []*endpoint
	of        []int // endpoint of each request; -1 for those left out
	chains    []chain
	feeders   []feederText
	first     time.Time
	last      time.Time
	sessions  int
	gaps      []time.Duration
}

type feederText struct {
	name   string
	values []string
	zipf   float64 // 0 is even
	note   string
}

func newImported(r *recording) *imported {
	m := &imported{recording: r}
	m.gather()
	m.follow()
	for _, e := range m.endpoints {
		m.vary(e)
	}
	return m
}

// gather sorts requests into endpoints, the most frequent ones.
func (m *imported) gather() {
	number := map[string]int{}
	var keys []string
	for i := range m.requests {
		keys = append(keys, m.key(&m.requests[i]))
		number[keys[i]]++
	}
	frequent := slices.SortedFunc(maps.Keys(number), func(a, b string) int { return cmp.Or(cmp.Compare(number[b], number[a]), cmp.Compare(a, b)) })
	index := map[string]int{}
	for i, k := range frequent {
		if i == maxEndpoints {
			break
		}
		index[k] = i
		m.endpoints = append(m.endpoints, &endpoint{statuses: map[int]int{}, took: newHistogram()})
	}
	m.first, m.last = m.requests[0].at, m.requests[0].at
	for i := range m.requests {
		q := &m.requests[i]
		n, kept := index[keys[i]]
		if !kept {
			m.leave("of endpoints that are rare")
			n = -1
		} else {
			m.endpoints[n].add(m, q)
		}
		m.of = append(m.of, n)
		if q.at.After(m.last) {
			m.last = q.at
		}
	}
	m.nameEndpoints()
}

// key is the same for requests that differ in values alone: method, path with its ids left out, and names in the query.
func (m *imported) key(q *recorded) string {
	var b strings.Builder
	b.WriteString(q.method)
	for seg := range strings.SplitSeq(q.path, "/") {
		if isIDSegment(seg) {
			seg = "\x00"
		}
		b.WriteString("/" + seg)
	}
	for _, s := range pairs(q.query) {
		b.WriteString("&" + s.key)
	}
	return b.String() + " " + q.media
}

// isIDSegment tells parts of paths that name one thing of many: numbers, UUIDs, long hexadecimal ones, names in a route.
func isIDSegment(s string) bool {
	if s == "" {
		return false
	}
	plain, err := url.PathUnescape(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(s, 10, 64)
	return err == nil || s[0] == ':' && len(s) > 1 || uuid.MatchString(s) || len(s) >= 12 && hexadec.MatchString(s) && strings.ContainsAny(s, "0123456789") || looksSecret(plain)
}

// pairs reads a query or form, in its order, without pairs that a template could not hold.
func pairs(query string) []slot {
	var all []slot
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		key, errKey := url.QueryUnescape(name)
		v, errValue := url.QueryUnescape(value)
		if key == "" || errKey != nil || errValue != nil || len(all) == 40 {
			continue
		}
		all = append(all, slot{key: key, text: v})
	}
	return all
}

// add counts a request.
func (e *endpoint) add(m *imported, q *recorded) {
	if e.requests++; e.requests == 1 {
		e.method, e.media = q.method, q.media
	}
	e.statuses[q.status]++
	if q.took >= 0 {
		record(e.took, q.took)
	}
	var segments []slot
	for seg := range strings.SplitSeq(strings.TrimPrefix(q.path, "/"), "/") {
		segments = append(segments, m.segment(seg))
	}
	e.segments = mixed(e.segments, segments)
	e.query = mixed(e.query, m.safe(pairs(q.query)))
	switch {
	case q.body == "":
	case q.media == "application/x-www-form-urlencoded":
		e.form = mixed(e.form, m.safe(pairs(q.body)))
	default:
		e.addJSON(m, q.body)
	}
}

// segment is one part of a path.
func (m *imported) segment(seg string) slot {
	plain, err := url.PathUnescape(seg)
	if err != nil {
		plain = seg
	}
	switch {
	case looksSecret(plain):
		m.secrets["a part of a path"]++
		return slot{text: leftOut}
	case isIDSegment(seg):
		return slot{text: plain, varies: true}
	}
	return slot{text: plain}
}

// safe leaves secrets out of a query or form.
func (m *imported) safe(all []slot) []slot {
	return slices.DeleteFunc(all, func(s slot) bool {
		secret := isSecretName(s.key) || looksSecret(s.text)
		if secret {
			m.secrets["parameter "+clip(s.key, 40)]++
		}
		return secret
	})
}

// mixed adds the values of one request to those of the ones before.
func mixed(all, one []slot) []slot {
	for i, s := range one {
		j := i
		if s.key != "" {
			j = slices.IndexFunc(all, func(o slot) bool { return o.key == s.key })
		}
		if j < 0 || j >= len(all) {
			s.values = map[string]int{}
			all, j = append(all, s), len(all)
		}
		if a := &all[j]; len(s.text) <= maxFeederBytes && (len(a.values) < 10*maxFeederItems || a.values[s.text] > 0) {
			a.values[s.text]++
		}
	}
	return all
}

// vary turns what differs from request to request into feeders.
func (m *imported) vary(e *endpoint) {
	before := ""
	for i := range e.segments {
		s := &e.segments[i]
		if s.varies && len(s.values) > 0 {
			s.feeder = m.feed(before+"_id", s.values)
		} else {
			before = s.text
		}
	}
	for _, slots := range [][]slot{e.query, e.form} {
		for i := range slots {
			if len(slots[i].values) > 1 {
				slots[i].feeder = m.feed(e.name+"_"+slots[i].key, slots[i].values)
			}
		}
	}
}

// feed makes a feeder of values, the most frequent first, or finds the one that has the same.
func (m *imported) feed(name string, values map[string]int) string {
	f := feederText{name: feederName(name)}
	for v := range values {
		f.values = append(f.values, v)
	}
	slices.SortFunc(f.values, func(a, b string) int { return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b)) })
	f.values = f.values[:min(len(f.values), maxFeederItems)]
	f.zipf = zipfOf(f.values, values)
	if !m.values {
		f.values, f.note = []string{"1"}, "the log has no values: put some in"
	}
	for n := 1; ; n++ {
		try := f
		if n > 1 {
			try.name += strconv.Itoa(n)
		}
		i := slices.IndexFunc(m.feeders, func(o feederText) bool { return o.name == try.name })
		if i < 0 {
			m.feeders = append(m.feeders, try)
			return try.name
		}
		if slices.Equal(m.feeders[i].values, f.values) {
			return try.name
		}
	}
}

func feederName(text string) string {
	name := strings.Map(func(r rune) rune {
		if isName(string(r)) {
			return r
		}
		return '_'
	}, clipBytes(strings.ToLower(text), 40))
	name = strings.Trim(name, "_")
	if name == "" || slices.Contains([]string{"user", "iteration", "run", "id"}, name) {
		name = strings.Trim("value_"+name, "_")
	}
	return name
}

// clipBytes is clip without the mark behind.
func clipBytes(s string, most int) string { return s[:min(len(s), most)] }

// zipfOf is the exponent of Zipf's law that fits the frequencies best, by a straight line through their logarithms; 0 when
// all are about as frequent.
func zipfOf(ranked []string, count map[string]int) float64 {
	if len(ranked) < 3 || count[ranked[0]] < 2 {
		return 0
	}
	var n, x, y, xx, xy float64
	for i, v := range ranked {
		lx, ly := math.Log(float64(i+1)), math.Log(float64(max(count[v], 1)))
		n, x, y, xx, xy = n+1, x+lx, y+ly, xx+lx*lx, xy+lx*ly
	}
	slope := -(n*xy - x*y) / (n*xx - x*x)
	if slope < 0.1 {
		return 0
	}
	return math.Min(math.Round(slope*100)/100, 5)
}

// spread is the mean of pauses and their standard deviation.
func spread(gaps []time.Duration) (mean, deviation time.Duration) {
	var sum, squares float64
	for _, g := range gaps {
		sum += g.Seconds()
		squares += g.Seconds() * g.Seconds()
	}
	n := float64(len(gaps))
	if n == 0 {
		return 0, 0
	}
	return seconds(sum / n), seconds(math.Sqrt(max(0, squares/n-sum/n*sum/n)))
}

// status is the one with which the endpoint was answered most often.
func (e *endpoint) status() int {
	return slices.MinFunc(slices.Collect(maps.Keys(e.statuses)), func(a, b int) int {
		return cmp.Or(cmp.Compare(e.statuses[b], e.statuses[a]), cmp.Compare(a, b))
	})
}
