package limit

import (
	"net/http"
	"strconv"
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
	if len(decisions) == 0 {
		return
	}
	now := time.Now()
	first, refused := refusal(decisions)
	if !refused {
		first = decisions[0]
		for _, d := range decisions[1:] {
			if d.Remaining < first.Remaining {
				first = d
			}
		}
	}
	// One string holds all values and one array all lists, because this is on the way of every answer.
	var buf [4 * 32 * MaxCharges]byte
	var ends [len(fields)]int
	b := strconv.AppendInt(buf[:0], int64(first.Limit), 10)
	ends[0] = len(b)
	b = strconv.AppendInt(b, int64(first.Remaining), 10)
	ends[1] = len(b)
	b = strconv.AppendInt(b, ceilUnix(first.Reset), 10)
	ends[2] = len(b)
	b = appendPolicy(b, decisions)
	ends[3] = len(b)
	b = appendState(b, decisions, now)
	ends[4] = len(b)
	all, values, start := string(b), new([len(fields)]string), 0
	for i, end := range ends {
		values[i] = all[start:end]
		h[fields[i]] = values[i : i+1 : i+1]
		start = end
	}
	if refused {
		h.Set("Retry-After", strconv.FormatInt(Seconds(first.RetryAfter), 10))
	}
}

// fields are spelled as the plan and the draft spell them, not as Go would: people grep for them.
var fields = [...]string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit"}

// Seconds rounds a wait up to whole seconds, at least 1: for Retry-After and its copy in a body.
func Seconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }

func appendPolicy(b []byte, decisions []Decision) []byte {
	for i, d := range decisions {
		b = appendName(b, i, d)
		b = strconv.AppendInt(append(b, ";q="...), int64(d.Limit), 10)
		b = strconv.AppendInt(append(b, ";w="...), Seconds(d.Rule.Window), 10)
	}
	return b
}

func appendState(b []byte, decisions []Decision, now time.Time) []byte {
	for i, d := range decisions {
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

func appendName(b []byte, i int, d Decision) []byte {
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
