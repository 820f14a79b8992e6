package loadtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// nameEndpoints gives each endpoint a name of its own, from its method and path: get-api-content-id.
func (m *imported) nameEndpoints() {
	taken := map[string]bool{}
	for _, e := range m.endpoints {
		words := []string{strings.ToLower(e.method)}
		for _, s := range e.segments {
			word := strings.Trim(strings.Map(func(r rune) rune {
				if isName(string(r)) && r != '_' {
					return r
				}
				return '-'
			}, strings.ToLower(clipBytes(s.text, 30))), "-")
			switch {
			case s.varies:
				word = "id"
			case word == "":
				continue
			}
			words = append(words, word)
		}
		e.name = unused(clipBytes(strings.Join(words, "-"), 60), taken)
	}
}

// unused is the name, with a number behind it when it is taken.
func unused(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	taken[free] = true
	return free
}

// addJSON keeps the body of one request without its secrets. Objects are kept to find what varies.
func (e *endpoint) addJSON(m *imported, body string) {
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return
	}
	v = withoutSecrets(v, "", func(name string) { m.secrets["field "+clip(name, 40)]++ })
	object, is := v.(map[string]any)
	switch {
	case !is && e.body == "":
		e.body = compactJSON(v)
	case is && len(e.bodies) < maxFeederItems:
		e.bodies = append(e.bodies, object)
	}
}

// template writes a JSON body: that of the first request, with feeders for the texts at its top that differed.
func (e *endpoint) template(m *imported) string {
	if len(e.bodies) == 0 {
		return escapeBraces(e.body)
	}
	first := maps.Clone(e.bodies[0])
	feeders := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(first)) {
		values := map[string]int{}
		for _, b := range e.bodies {
			if text, ok := b[k].(string); ok && len(text) <= maxFeederBytes && text != leftOut {
				values[text]++
			}
		}
		if _, text := first[k].(string); text && len(values) > 1 {
			mark := fmt.Sprintf("\x01%d\x01", len(feeders))
			feeders[compactJSON(mark)] = `"{{` + m.feed(e.name+"_"+k, values) + `}}"`
			first[k] = mark
		}
	}
	text := escapeBraces(compactJSON(first))
	for mark, ref := range feeders {
		text = strings.ReplaceAll(text, mark, ref)
	}
	return text
}

// escapeBraces keeps braces within texts of JSON from being taken for a template's.
func escapeBraces(text string) string { return strings.ReplaceAll(text, "{{", `{\u007b`) }

// path writes the endpoint's path and query as a template.
func (e *endpoint) path() string {
	var b strings.Builder
	for _, s := range e.segments {
		b.WriteByte('/')
		if s.feeder != "" {
			b.WriteString("{{" + s.feeder + "}}")
		} else {
			b.WriteString(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(url.PathEscape(s.text)))
		}
	}
	if q := form(e.query); q != "" {
		b.WriteString("?" + q)
	}
	return b.String()
}

// form writes pairs as a template.
func form(slots []slot) string {
	var all []string
	for _, s := range slots {
		value := url.QueryEscape(s.text)
		if s.feeder != "" {
			value = "{{" + s.feeder + "|query}}"
		}
		all = append(all, url.QueryEscape(s.key)+"="+value)
	}
	return strings.Join(all, "&")
}

// quoted writes text as YAML's double-quoted scalar, which takes what JSON has, but for what YAML calls unprintable.
func quoted(text string) string {
	var b strings.Builder
	for _, r := range compactJSON(strings.ToValidUTF8(text, "\ufffd")) {
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A yamlText is a scenario's file as it is written.
type yamlText struct{ strings.Builder }

func (w *yamlText) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// comment writes a line that nothing recorded can end early.
func (w *yamlText) comment(format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	w.line("# %s", strings.ToValidUTF8(text, " "))
}

// write makes the file of the scenario.
func (m *imported) write(name string) []byte {
	var w, flows yamlText
	m.writeFlows(&flows) // first: it finds the feeders
	kept := 0
	for _, n := range m.of {
		if n >= 0 {
			kept++
		}
	}
	span := m.last.Sub(m.first).Round(time.Second)
	w.comment("Made by 'tomehub loadtest import' from %s, %s: %d requests of %s in %v.", path.Base(strings.ReplaceAll(name, `\`, "/")), article(m.kind), kept, plural(m.sessions, "session"), span)
	for _, what := range slices.Sorted(maps.Keys(m.left)) {
		w.comment("Left out: %d %s.", m.left[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(m.secrets)) {
		w.comment("Not copied, for it may be a secret: %s, %s. Where the server needs it, put one for tests in.", what, times(m.secrets[what]))
	}
	w.line("version: 1")
	w.line("title: %s", quoted("Recorded: "+path.Base(strings.ReplaceAll(name, `\`, "/"))))
	w.line("description: Requests, their order and the pauses between them are as they were recorded. The bounds of the checks are drawn from the recording; replace them by what you need.")
	w.line("")
	w.line("warm_up: 5s")
	w.line("duration: 60s")
	m.writeLoad(&w)
	if !m.tomehub {
		w.line("identity: none")
	}
	m.writeFeeders(&w)
	w.line("")
	w.WriteString(flows.String())
	return []byte(w.String())
}

func article(kind string) string {
	if kind == "access log" {
		return "an access log"
	}
	return "a " + kind
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writeLoad says who comes: a log's sessions at the rate at which they came, or users who do what a browser did.
func (m *imported) writeLoad(w *yamlText) {
	if m.kind == "HAR file" {
		w.line("users: {count: 10, ramp_up: 5s} # one was recorded")
		return
	}
	weights := 0
	for _, c := range m.chains {
		weights += c.sessions
	}
	perMinute := float64(weights) / math.Max(m.last.Sub(m.first).Minutes(), 1.0/60)
	rate := formatNumber(math.Max(perMinute, 0.01)) + "/min"
	if perMinute > 600 {
		rate = formatNumber(perMinute/60) + "/s"
	}
	w.line("arrivals: {rate: %s, spacing: poisson} # as recorded; each visitor walks through one flow", rate)
	if middle, _ := spread(m.gaps); len(m.gaps) > 0 {
		w.line("think: %s # %d pauses, %v in the mean", pauseText(m.gaps), len(m.gaps), roundTime(middle))
	}
}

// roundTime keeps three digits or so, for people.
func roundTime(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// pauseText writes the distribution that has the pauses' mean and deviation: exponential ones deviate by their mean;
// evenly drawn ones reach from the mean by √3 deviations to both sides.
func pauseText(gaps []time.Duration) string {
	mean, deviation := spread(gaps)
	reach := seconds(deviation.Seconds() * math.Sqrt(3))
	switch {
	case mean < time.Millisecond:
		return "0s"
	case deviation < mean/20:
		return roundTime(mean).String()
	case reach >= mean:
		return fmt.Sprintf("{mean: %v}", roundTime(mean))
	}
	return fmt.Sprintf("{min: %v, max: %v}", roundTime(mean-reach), roundTime(mean+reach))
}

// fitting is how many values of each feeder leave the file below half of what a scenario may have.
func (m *imported) fitting() int {
	for most := maxFeederItems; ; most /= 2 {
		size := 0
		for _, f := range m.feeders {
			for _, v := range f.values[:min(len(f.values), most)] {
				size += len(v) + 4
			}
		}
		if size <= maxFileSize/2 || most == 1 {
			return most
		}
	}
}

func (m *imported) writeFeeders(w *yamlText) {
	if len(m.feeders) == 0 {
		return
	}
	w.line("\nfeeders: # a value is drawn once for each flow")
	most := m.fitting()
	for _, f := range m.feeders {
		var values []string
		for _, v := range f.values[:min(len(f.values), most)] {
			values = append(values, quoted(v))
		}
		how := ""
		if f.zipf > 0 {
			how = fmt.Sprintf("pick: zipf, zipf: %s, ", formatNumber(f.zipf))
		}
		note := ""
		if f.note != "" {
			note = " # " + f.note
		}
		w.line("  %s: {%svalues: [%s]}%s", f.name, how, strings.Join(values, ", "), note)
	}
}

// writeFlows writes flows and then the checks of their steps.
func (m *imported) writeFlows(w *yamlText) {
	bodies := map[*endpoint]string{}
	for _, e := range m.endpoints {
		bodies[e] = m.known(e)
	}
	most := 1
	for _, c := range m.chains {
		most = max(most, c.sessions)
	}
	scale := (most + 999_999) / 1_000_000
	steps, flows := map[string]bool{}, map[string]bool{}
	named := map[*endpoint]string{} // the first step of each endpoint
	w.line("flows:")
	for _, c := range m.chains {
		w.line("  - name: %s", unused("then-"+m.endpoints[c.steps[0]].name, flows))
		w.line("    weight: %d", max(1, c.sessions/scale))
		w.line("    steps:")
		for i, n := range c.steps {
			e := m.endpoints[n]
			name := unused(e.name, steps)
			if named[e] == "" {
				named[e] = name
			}
			m.writeStep(w, e, name, bodies[e], int(math.Round(c.repeats[i])))
		}
	}
	m.writeChecks(w, named)
}

// known is the endpoint's JSON body. Routes of this program's own server, whose log has no values, get those it needs.
func (m *imported) known(e *endpoint) string {
	if !m.tomehub {
		return e.template(m)
	}
	switch e.method + " " + e.path() {
	case "GET /api/search", "GET /api/search/stream":
		e.query = []slot{{key: "q", feeder: m.feed("query", map[string]int{"1": 1})}}
	case "POST /api/search", "POST /api/search/stream":
		return `{"query": "{{` + m.feed("query", map[string]int{"1": 1}) + `}}"}`
	case "POST /api/content/batch":
		return `{"ids": [{{` + m.feed("content_id", map[string]int{"1": 1}) + `|raw}}]}`
	}
	return ""
}

func (m *imported) writeStep(w *yamlText, e *endpoint, name, body string, repeat int) {
	w.line("      - name: %s", name)
	w.line("        %s: %s", strings.ToLower(e.method), quoted(e.path()))
	switch {
	case len(e.form) > 0:
		w.line("        headers: {Content-Type: application/x-www-form-urlencoded}")
		w.line("        body: %s", quoted(form(e.form)))
	case body != "":
		w.line("        json: %s", quoted(body))
	}
	if repeat > 1 {
		w.line("        repeat: %d", min(repeat, maxRepeat))
	}
	if len(e.gaps) >= leastGaps || m.kind == "HAR file" && len(e.gaps) > 0 {
		w.line("        think: %s", pauseText(e.gaps))
	}
	if code := e.status(); (code < 200 || code > 299) && code != 304 {
		w.line("        expect: {status: %d} # as it was answered most often", code)
	}
}

// maxImportedChecks bounds the checks of steps, those of the most frequent.
const maxImportedChecks = 20

// writeChecks holds the scenario to what was seen, with room to vary.
func (m *imported) writeChecks(w *yamlText, named map[*endpoint]string) {
	all, wrong := 0, 0
	for _, e := range m.endpoints {
		usual := e.status()
		for code, n := range e.statuses {
			all += n
			if code >= 400 && code != usual {
				wrong += n
			}
		}
	}
	share := 100 * float64(wrong) / float64(max(all, 1))
	w.line("\nchecks: # drawn from the recording")
	w.line("  - {metric: error_rate, at_most: %s%%, why: %s}", formatNumber(math.Min(100, math.Max(1, 2*share))),
		quoted(fmt.Sprintf("Recorded: %d of %d answers were errors (%s%%). Twice that is allowed, and 1%% in any case.", wrong, all, formatNumber(share))))
	for i, e := range m.endpoints {
		if n := e.took.TotalCount(); n > 0 && i < maxImportedChecks && named[e] != "" {
			metric, factor, seen := "p95", 1.5, float64(e.took.ValueAtPercentile(95))/1000
			if n < 20 { // a p95 of so few is their maximum
				metric, factor, seen = "max", 2, float64(e.took.Max())/1000
			}
			w.line("  - {metric: %s, step: %s, at_most: %vms, why: %s}", metric, named[e], math.Max(1, math.Ceil(seen*factor)),
				quoted(fmt.Sprintf("Recorded: the %s of %d requests was %s. %s times that is allowed.", metric, n, formatMS(seen), formatNumber(factor))))
		}
	}
}
