package loadtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// logLine is the common log format (client, identity, user, [time], "request", status, bytes) and, where they are there,
// the combined format's referer and agent, and what servers were told to add.
var logLine = regexp.MustCompile(`^(\S+) \S+ (.*?) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?(.*)$`)

// logTook finds a request time in seconds among what follows: 0.123, "0.123", rt=0.123, request_time=0.123.
var logTook = regexp.MustCompile(`(?:^|[ "])(?:(?:rt|request_time|took)=)?"?(\d{1,6}\.\d{1,9})\b`)

const logTime = "02/Jan/2006:15:04:05 -0700"

// readLog reads one request a line.
func (r *recording) readLog(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecordedLine)
	var broken brokenLines
	n, blank := 0, 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			blank++
			continue
		}
		q, keep, err := r.logged(line)
		if err != nil {
			broken.add(n, err)
			continue
		}
		if !keep {
			continue
		}
		if err := r.keep(q); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w (at most %d bytes)", n+1, err, maxRecordedLine)
	}
	if broken.count > 0 {
		r.left[fmt.Sprintf("that could not be read, the first on %s", strings.SplitN(broken.first[0].Error(), ":", 2)[0])] = broken.count
	}
	return broken.judge(n - blank)
}

// logged reads a line; keep is false for lines that are of no request.
func (r *recording) logged(line string) (q recorded, keep bool, err error) {
	if line[0] == '{' {
		return r.loggedJSON(line)
	}
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		return q, false, errors.New(`is no line of an access log, such as 10.0.0.1 - - [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 12`)
	}
	at, err := time.Parse(logTime, m[3])
	if err != nil {
		return q, false, fmt.Errorf("[%s] is no time such as %s", clip(m[3], 40), logTime)
	}
	q = recorded{session: m[1] + "\x00" + m[2] + "\x00" + m[6], at: at, took: -1}
	q.status, _ = strconv.Atoi(m[5])
	if took := logTook.FindStringSubmatch(m[7]); took != nil {
		q.setTook(took[1], time.Second)
	}
	return q, true, q.setRequest(m[4])
}

// setRequest reads "GET /path?query HTTP/1.1".
func (q *recorded) setRequest(text string) error {
	parts := strings.Fields(text)
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/") {
		return fmt.Errorf("%q is no request such as GET / HTTP/1.1", clip(strings.SplitN(text, "?", 2)[0], 60))
	}
	q.method = parts[0]
	q.setTarget(parts[1])
	return nil
}

func (q *recorded) setTarget(target string) {
	if _, rest, ok := strings.Cut(target, "://"); ok { // as proxies log it
		_, p, _ := strings.Cut(rest, "/")
		target = "/" + p
	}
	target, _, _ = strings.Cut(target, "#")
	q.path, q.query, _ = strings.Cut(target, "?")
}

// setTook takes the request's time, and moves its beginning: lines are written when a request ends.
func (q *recorded) setTook(text string, unit time.Duration) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v*unit.Seconds() < 86400) {
		return
	}
	q.took = time.Duration(math.Round(v * float64(unit)))
	q.at = q.at.Add(-q.took)
}

// loggedJSON reads an object by the names that nginx's variables, common loggers and this program's own server have.
func (r *recording) loggedJSON(line string) (q recorded, keep bool, err error) {
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		return q, false, fmt.Errorf("is no JSON object: %w", err)
	}
	text := func(names ...string) string {
		for _, name := range names {
			switch v := fields[name].(type) {
			case string:
				if v != "" {
					return v
				}
			case float64:
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
		return ""
	}
	route, said := text("route"), text("msg")
	if route != "" && said != "" {
		r.tomehub, r.values = true, false
	} else if said != "" && text("status", "status_code") == "" {
		return q, false, nil // a line of something else in the same log
	}
	q = recorded{session: text("client", "remote_addr", "client_ip", "ip") + "\x00" + text("http_user_agent", "user_agent"), took: -1}
	if q.at, err = jsonTime(text("time", "ts", "timestamp", "@timestamp", "time_iso8601", "time_local", "msec")); err != nil {
		return q, false, err
	}
	q.status, _ = strconv.Atoi(text("status", "status_code", "code"))
	if ms := text("elapsed_ms", "duration_ms", "latency_ms"); ms != "" {
		q.setTook(ms, time.Millisecond)
	} else {
		q.setTook(text("request_time"), time.Second)
	}
	if full := text("request"); full != "" && text("uri", "request_uri", "path", "url") == "" {
		return q, true, q.setRequest(full)
	}
	q.method = text("method", "request_method", "verb")
	target := text("request_uri", "uri", "path", "url")
	if method, path, ok := strings.Cut(route, " "); ok {
		q.method, target = method, path
	}
	if route == "POST /api/ingest" {
		r.leave("ingests: the log does not have the books")
		return q, false, nil
	}
	if q.method == "" || target == "" {
		return q, false, errors.New("has no method and uri (or request)")
	}
	q.setTarget(target)
	return q, true, nil
}

// jsonTime reads RFC 3339, the common log format's time, or seconds since 1970.
func jsonTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, logTime} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil && v > 0 && v < 1e11 {
		return time.Unix(0, 0).Add(time.Duration(v * float64(time.Second))), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time", clip(text, 40))
}
