package loadtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// userAgent is what a request says of its sender unless the scenario says otherwise.
const userAgent = "tomehub-loadtest/1"

// A requestPlan is what the requests of a step have in common.
type requestPlan struct {
	fields []headerTemplate // each name once, sorted; without Host and User-Agent, and those that frame the body
	host   template
	agent  template
	length bool // Content-Length stands in the head even when it is 0
	replay bool // to send the request twice does no harm, so it may be sent again when a line was closed
}

// newRequestPlan settles which of several fields with one name is sent: the step's before the scenario's before ours.
func newRequestPlan(scn *Scenario, st *Step, host string) requestPlan {
	p := requestPlan{
		host:   template{parts: []part{{literal: host}}},
		agent:  template{parts: []part{{literal: userAgent}}},
		length: st.Method == http.MethodPost || st.Method == http.MethodPut || st.Method == http.MethodPatch,
		replay: st.Method == http.MethodGet || st.Method == http.MethodHead,
	}
	byKey := map[string]template{}
	if id := scn.Identity; id.Header != "" {
		byKey[id.Header] = id.value
	}
	if len(st.body.parts) > 0 && st.isJSON {
		byKey["Content-Type"] = template{parts: []part{{literal: "application/json"}}}
	}
	for _, h := range slices.Concat(scn.headers, st.headers) {
		byKey[h.key] = h.value
	}
	for key, value := range byKey {
		switch key {
		case "Host":
			p.host = value
			continue
		case "User-Agent":
			p.agent = value
			continue
		case "Content-Length", "Transfer-Encoding", "Trailer":
			continue // the body says what they must be
		case "Idempotency-Key", "X-Idempotency-Key":
			p.replay = true
		}
		p.fields = append(p.fields, headerTemplate{key: key, value: value})
	}
	slices.SortFunc(p.fields, func(a, b headerTemplate) int { return strings.Compare(a.key, b.key) })
	return p
}

// plan is the one of the step at hand.
func (u *user) plan() *requestPlan { return &u.run.plans[u.call.step.index] }

// compose starts a call for the user's next request and writes the request behind dst, byte for byte as net/http would
// send it. body is room for the request's body. Both come back, perhaps grown.
func (u *user) compose(dst, body []byte) (request, room []byte, err error) {
	st := u.open()
	p := u.plan()
	dst = append(append(dst, st.Method...), ' ')
	dst = append(dst, u.run.basePath...)
	from := len(dst)
	dst = st.path.append(dst, u)
	if !plainTarget(dst[from:]) {
		if dst, err = u.escapeTarget(dst, from); err != nil {
			return dst, body, err
		}
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	if dst, err = u.field(dst, "Host", p.host); err != nil {
		return dst, body, err
	}
	if dst, err = u.field(dst, "User-Agent", p.agent); err != nil {
		return dst, body, err
	}
	body = st.body.append(slices.Grow(body, st.body.room()), u)
	if len(body) > 0 || p.length {
		dst = append(dst, "Content-Length: "...)
		dst = append(strconv.AppendInt(dst, int64(len(body)), 10), "\r\n"...)
	}
	for i := range p.fields {
		if dst, err = u.field(dst, p.fields[i].key, p.fields[i].value); err != nil {
			return dst, body, err
		}
	}
	return append(append(dst, "\r\n"...), body...), body, nil
}

// field writes one field of the head.
func (u *user) field(dst []byte, key string, value template) ([]byte, error) {
	begin := len(dst)
	dst = append(append(dst, key...), ": "...)
	from := len(dst)
	dst = value.append(dst, u)
	text := dst[from:]
	if !validValue(text) {
		return dst, fmt.Errorf("invalid value of the field %s", key)
	}
	if n := len(text); n > 0 && (blank(text[0]) || blank(text[n-1])) {
		dst = append(dst[:from], strings.Trim(string(text), " \t")...)
	}
	switch key {
	case "Host":
		if host := string(dst[from:]); host != u.run.host && !httpguts.ValidHostHeader(host) {
			return dst, fmt.Errorf("invalid Host %q", host)
		}
	case "User-Agent":
		if len(dst) == from {
			return dst[:begin], nil // an empty one asks for none
		}
	}
	return append(dst, "\r\n"...), nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// plainTarget tells whether a rendered path and query stand in a request as they are.
func plainTarget(text []byte) bool {
	query := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '?':
			query = true
		case c == '%' && (i+2 >= len(text) || !hex(text[i+1]) || !hex(text[i+2])):
			return false
		case c == '%', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("/-_.~!$&'()*+,;=:@", c) >= 0:
		case !query || c <= ' ' || c >= 0x7f || c == '#':
			return false
		}
	}
	return true
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// escapeTarget has net/url write what stands in dst[from:], the rare path with letters that a path cannot have.
func (u *user) escapeTarget(dst []byte, from int) ([]byte, error) {
	whole, err := url.Parse(u.run.base + string(dst[from:]))
	if err != nil {
		return dst, err
	}
	uri := whole.RequestURI()
	if whole.Fragment != "" || strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return dst, fmt.Errorf("invalid path %q", uri)
	}
	return append(dst[:from-len(u.run.basePath)], uri...), nil
}
