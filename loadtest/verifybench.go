package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A benchSpec is a server on which checks run.
type benchSpec struct {
	args, env []string
	alone     bool // its checks measure times: no other server runs meanwhile
	none      bool // its checks start the servers that they want
}

// quickLeave lets a server leave as soon as it is told: nobody waits for what is still under way.
var quickLeave = []string{"--drain-grace", "0", "--drain-timeout", "2s", "--log-format", "json"}

var unlimited = []string{"--rate-limit-global", "0", "--rate-limit-search", "0", "--rate-limit-ingest", "0"}

// benches are the servers by name.
var benches = map[string]benchSpec{
	"A":       {args: []string{"--phase", "A"}},
	"timeout": {args: slices.Concat([]string{"--phase", "A", "--db-pool-size", "1", "--db-pool-min", "1", "--db-pool-queue", "100", "--db-pool-timeout", "500ms", "--lab-statement-time", "1s"}, unlimited)},
	"memory":  {args: []string{"--phase", "A", "--lab", "--memory-interval", "100ms", "--log-level", "debug"}},
	"env":     {args: []string{"--phase", "A"}, env: []string{"RATE_LIMIT_SEARCH=7", "DB_POOL_SIZE=13"}},
	"profile": {args: slices.Concat([]string{"--phase", "A", "--lab-statement-time", "20ms"}, unlimited)},
	"cache":   {args: slices.Concat([]string{"--phase", "B", "--cache-ttl-content", "2s", "--log-level", "debug"}, unlimited)},
	"details": {args: slices.Concat([]string{"--phase", "B", "--query-cache=false"}, unlimited)},
	"C":       {args: slices.Concat([]string{"--phase", "C"}, unlimited)},
	"D":       {args: slices.Concat([]string{"--phase", "D"}, unlimited)},
	"breaker": {args: slices.Concat([]string{"--phase", "D", "--lab", "--breaker-open", "200ms", "--query-cache=false"}, unlimited)},
	"streams": {none: true},
	"restart": {args: []string{"--phase", "C", "--lab", "--memory-warning", "75", "--memory-interval", "100ms", "--log-level", "debug"}},
	"leaving": {none: true},
	"pools":   {none: true, alone: true},
	"batch":   {none: true, alone: true},
	"ingest":  {none: true, alone: true},
	"target":  {none: true},
}

// A bench is a server of ours, the target, or only the way to servers.
type bench struct {
	v             *verifier
	spawned       *Spawned // nil without a server of our own
	target, admin string
	client        *http.Client
	users         atomic.Int64
	limited       *reply           // the first refusal for a rate limit, which costs many requests to get
	asked         int              // how many requests that took
	window        *StatementWindow // what was profiled, once
	sent          profiled         // and what was sent meanwhile
	streams       *streamsSeen     // what the flood of streams showed, once
	left          *leftSeen        // what the restart showed, once
	broken        *breakerSeen     // what an outage of the database showed, once
}

// fill makes the demo library that all servers get a copy of.
func (v *verifier) fill(ctx context.Context) error {
	s, err := Spawn(ctx, SpawnConfig{Binary: v.cfg.Binary, Args: append(quickLeave[:len(quickLeave):len(quickLeave)], "--data-dir", v.library), Logger: v.cfg.Logger})
	if err != nil {
		return fmt.Errorf("make the library for verify: %w", err)
	}
	if err := stopSpawned(ctx, s); err != nil {
		return fmt.Errorf("make the library for verify: %w", err)
	}
	return nil
}

// stopSpawned stops a server also when ctx has ended.
func stopSpawned(ctx context.Context, s *Spawned) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace+5*time.Second)
	defer cancel()
	return s.Stop(stopping)
}

// open starts the server of that name.
func (v *verifier) open(ctx context.Context, name string) (*bench, error) {
	spec := benches[name]
	if spec.none {
		b := v.bench()
		b.target, b.admin = strings.TrimSuffix(v.cfg.Target, "/"), strings.TrimSuffix(v.cfg.Admin, "/")
		return b, nil
	}
	return v.start(ctx, spec.args, spec.env)
}

func (v *verifier) bench() *bench {
	return &bench{v: v, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}}
}

// linesKept is enough for the log of a check at debug level.
const linesKept = 5000

func (v *verifier) start(ctx context.Context, args, env []string) (*bench, error) {
	b := v.bench()
	s, err := Spawn(ctx, SpawnConfig{
		Binary: v.cfg.Binary, Args: slices.Concat(quickLeave, args, v.cfg.ServeArgs), Env: env, Library: v.library, KeepLines: linesKept, Logger: v.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	b.spawned, b.target, b.admin = s, s.PublicURL, s.AdminURL
	return b, nil
}

func (b *bench) close(ctx context.Context) error {
	b.client.CloseIdleConnections()
	if b.spawned == nil {
		return nil
	}
	return stopSpawned(ctx, b.spawned)
}

// newUser is a user that no other check uses, so that none has used up the limit of another.
func (b *bench) newUser() string { return fmt.Sprintf("verify-%d-%d", os.Getpid(), b.users.Add(1)) }

// A reply is the whole of an answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// maxVerifyAnswer bounds the body of one answer.
const maxVerifyAnswer = 32 << 20

// get asks a path of the server for nobody.
func (b *bench) get(ctx context.Context, path string) (*reply, error) {
	return b.do(ctx, http.MethodGet, b.target+path, "", "")
}

// post sends JSON for nobody.
func (b *bench) post(ctx context.Context, path, body string) (*reply, error) {
	return b.do(ctx, http.MethodPost, b.target+path, body, "")
}

func (b *bench) do(ctx context.Context, method, url, body, user string) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		req.Header.Set("X-Tomehub-User", user)
	}
	began := time.Now()
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxVerifyAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", req.URL.Path, err)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("%w: the server wants a token: check one that runs with --auth off", errUndecided)
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: data, took: time.Since(began)}, nil
}

// into decodes an answer of status 200 or 201.
func (a *reply) into(v any) error {
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return fmt.Errorf("the server answered %d: %s", a.status, clip(strings.TrimSpace(string(a.body)), 200))
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// number reads a header, -1 without one.
func (a *reply) number(name string) int {
	n, err := strconv.Atoi(a.header.Get(name))
	if err != nil {
		return -1
	}
	return n
}

// health reads one of the health routes.
func (b *bench) health(ctx context.Context, name string, v any) error {
	return b.getInto(ctx, "/api/health/"+name, v)
}

func (b *bench) getInto(ctx context.Context, path string, v any) error {
	a, err := b.get(ctx, path)
	if err != nil {
		return err
	}
	if err := a.into(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// searched is what matters of a search's answer.
type searched struct {
	Results []struct {
		ID      int64           `json:"id"`
		Content string          `json:"content"`
		Meta    json.RawMessage `json:"metadata"`
	} `json:"results"`
	Total    int  `json:"total_count"`
	Page     int  `json:"page"`
	PageSize int  `json:"page_size"`
	Pages    int  `json:"total_pages"`
	HasNext  bool `json:"has_next"`
	Hit      bool `json:"cache_hit"`

	statements int
	took       time.Duration
	bytes      int
	raw        []byte
}

func (s *searched) ids() []int64 {
	var ids []int64
	for _, r := range s.Results {
		ids = append(ids, r.ID)
	}
	return ids
}

// search sends a search; more holds further members of its JSON.
func (b *bench) search(ctx context.Context, query, more string) (*searched, error) {
	return b.searchAs(ctx, "", query, more)
}

func (b *bench) searchAs(ctx context.Context, user, query, more string) (*searched, error) {
	if more != "" {
		more = ", " + more
	}
	a, err := b.do(ctx, http.MethodPost, b.target+"/api/search", fmt.Sprintf(`{"query": %q%s}`, query, more), user)
	if err != nil {
		return nil, err
	}
	s := &searched{statements: a.number("X-Tomehub-Statements"), took: a.took, bytes: len(a.body), raw: a.body}
	if err := a.into(s); err != nil {
		return nil, fmt.Errorf("search %q: %w", query, err)
	}
	return s, nil
}

// ingest puts a book into the library.
func (b *bench) ingest(ctx context.Context, title, text string) error {
	a, err := b.post(ctx, "/api/ingest", fmt.Sprintf(`{"title": %q, "content": %q}`, title, text))
	if err != nil {
		return err
	}
	var book struct {
		ID int64 `json:"book_id"`
	}
	return a.into(&book)
}

// logged returns the first line of the log that holds all the texts, "" when none does.
func (b *bench) logged(texts ...string) string {
	for _, line := range b.spawned.Lines() {
		if !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(line, t) }) {
			return line
		}
	}
	return ""
}

// message is the msg of a line of the log.
func message(line string) string {
	var l struct {
		Msg string `json:"msg"`
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg == "" {
		return clip(line, 100)
	}
	return l.Msg
}

// until asks again and again, for so long at most, and says whether it came true.
func until(ctx context.Context, most time.Duration, done func() (bool, error)) (bool, error) {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return ok, err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// pause waits.
func (b *bench) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pressure makes a server in its lab read so much memory in use, for a time, and waits until its health tells it.
func (b *bench) pressure(ctx context.Context, percent float64, lasts time.Duration) error {
	a, err := b.do(ctx, http.MethodPut, b.admin+"/lab/fault/memory_pressure", fmt.Sprintf(`{"for": %q, "percent": %v}`, lasts, percent), "")
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("put in memory pressure: the server answered %d: %s", a.status, clip(string(bytes.TrimSpace(a.body)), 200))
	}
	shown, err := until(ctx, 5*time.Second, func() (bool, error) {
		var m memoryAnswer
		if err := b.health(ctx, "memory", &m); err != nil {
			return false, err
		}
		return m.Memory != nil && m.Memory.Percent > percent-1 && m.Memory.Percent < percent+1, nil
	})
	if err == nil && !shown {
		err = errors.New("/api/health/memory does not show the memory that is in use")
	}
	return err
}

// bookWords are words that the passages of the demo library, and most books of philosophy, are full of.
var bookWords = []string{"dasein", "time", "being", "care", "question", "world", "truth", "horizon", "meaning", "anxiety", "silence", "hammer"}

// varied is the i-th of 132 searches, each of which has matches in the demo library.
func varied(i int) string {
	n := len(bookWords)
	first := i % n
	return bookWords[first] + " " + bookWords[(first+1+i/n%(n-1))%n]
}
