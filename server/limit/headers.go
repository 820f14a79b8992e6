package limit

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WriteHeaders tells the client where it stands. Call it on every limited response, admitted or refused, before the
// header is written. Without decisions it writes nothing. Fields, all whole numbers, rounded so that relying on them works:
//
//   - X-RateLimit-Limit, -Remaining, -Reset: of the rule that binds first (the refusing one with the longest wait, else
//     the one with the fewest requests remaining). Reset is the time, in unix seconds, at which the whole limit is available
//     again if no further request comes.
//   - RateLimit-Policy: "search";q=100;w=60, "global";q=1000;w=60 — every rule: q requests in w seconds.
//   - RateLimit: "search";r=0;t=20, "global";r=900;t=60 — every rule: r requests remain; t seconds until the next one
//     is free when r is 0, else until the whole limit is. Both fields follow draft-ietf-httpapi-ratelimit-headers.
//   - Retry-After, on a refusal: seconds after which this request is admitted.
func WriteHeaders(h http.Header, decisions ...Decision) {
	var buf [maxFields]byte
	for line := range strings.Lines(string(AppendFields(buf[:0], decisions...))) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		h[name] = []string{value}
	}
	if d, refused := refusal(decisions); refused {
		h["Retry-After"] = []string{strconv.FormatInt(Seconds(d.RetryAfter), 10)}
	}
}

// maxFields is about the most bytes that AppendFields appends.
const maxFields = 128 + 2*64*MaxCharges

// AppendFields appends the fields that WriteHeaders sets, all but Retry-After, as the lines of a header. They are spelled
// as the plan and the draft spell them, not as Go would: people grep for them.
func AppendFields(b []byte, decisions ...Decision) []byte {
	if len(decisions) == 0 {
		return b
	}
	first, refused := refusal(decisions)
	if !refused {
		first = &decisions[0]
		for i := range decisions {
			if decisions[i].Remaining < first.Remaining {
				first = &decisions[i]
			}
		}
	}
	b = strconv.AppendInt(append(b, "X-RateLimit-Limit: "...), int64(first.Limit), 10)
	b = strconv.AppendInt(append(b, "\r\nX-RateLimit-Remaining: "...), int64(first.Remaining), 10)
	b = strconv.AppendInt(append(b, "\r\nX-RateLimit-Reset: "...), ceilUnix(first.Reset), 10)
	b = appendPolicy(append(b, "\r\nRateLimit-Policy: "...), decisions)
	b = appendState(append(b, "\r\nRateLimit: "...), decisions, time.Now())
	return append(b, "\r\n"...)
}

// Seconds rounds a wait up to whole seconds, at least 1: for Retry-After and its copy in a body.
func Seconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }

func appendPolicy(b []byte, decisions []Decision) []byte {
	for i := range decisions {
		d := &decisions[i]
		b = appendName(b, i, d)
		b = strconv.AppendInt(append(b, ";q="...), int64(d.Limit), 10)
		b = strconv.AppendInt(append(b, ";w="...), Seconds(d.Rule.Window), 10)
	}
	return b
}

func appendState(b []byte, decisions []Decision, now time.Time) []byte {
	for i := range decisions {
		d := &decisions[i]
		wait := d.Reset.Sub(now)
		if d.Remaining == 0 {
			wait = d.RetryAfter
		}
		b = appendName(b, i, d)
		b = strconv.AppendInt(append(b, ";r="...), int64(d.Remaining), 10)
		b = strconv.AppendInt(append(b, ";t="...), Seconds(wait), 10)
	}
	return b
}

func appendName(b []byte, i int, d *Decision) []byte {
	if i > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, d.Rule.Name...) // New allows no character that would need escaping
	return append(b, '"')
}

func ceilUnix(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}
