package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/browser"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/lab"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/memory"
	"github.com/tomehub/tomehub/server/store"
)

var (
	phone = browser.View{Width: 390}
	night = browser.View{Width: 1200, Dark: true}
)

// TestBrowserOpsPage looks at the operators' page in a real browser while servers get into trouble and out of it.
func TestBrowserOpsPage(t *testing.T) {
	slow(t)
	o := &operator{browser.Start(t), t}
	o.underLoad()
	o.judges()
	o.inTrouble()
	o.withoutServer()
	o.withoutScript()
}

// slow skips a test of which go test ./... has too many in its four minutes.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("TOMEHUB_SLOW") == "" {
		t.Skip("SKIPPED: looks at a page in a browser for half a minute; make slow, or TOMEHUB_SLOW=1, runs it")
	}
}

// An operator looks at the page.
type operator struct {
	*browser.Browser
	t *testing.T
}

// sees waits until the sentence at the top has a part, the state that goes with it, and a card the same state in words.
func (o *operator) sees(level, sentence, card string) {
	o.t.Helper()
	o.Until(`document.querySelector('#banner').className === 'state ` + level + `' && document.querySelector('#state').textContent.includes(` + quoted(sentence) + `)`)
	if card != "" {
		o.Until(`(c => c && c.className === 'card ` + level + `' && c.querySelector('.word').textContent === '` + level + `')(document.querySelector('[data-card=` + quoted(card) + `]'))`)
	}
	o.reads()
}

// advises demands that what mends it is named.
func (o *operator) advises(parts ...string) {
	o.t.Helper()
	text := o.Text("#banner") + o.Text("#findings")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			o.t.Errorf("%q is not in what the page advises:\n%s", part, text)
		}
	}
}

// reads demands that all of it can be read, without scrolling sideways.
func (o *operator) reads() {
	o.t.Helper()
	if pale := o.Pale(); len(pale) > 0 {
		o.t.Errorf("too little contrast: %s", strings.Join(pale, "; "))
	}
	var width int
	o.Eval(`innerWidth`, &width)
	if wide := o.Wide(); wide > width {
		o.t.Errorf("the page is %d wide on a screen of %d", wide, width)
	}
	if bad := o.Overlaps("#cards, header, footer nav, .card h3"); len(bad) > 0 {
		o.t.Errorf("parts cover each other: %s", strings.Join(bad, "; "))
	}
}

// well demands that nothing was told to the console.
func (o *operator) well() {
	o.t.Helper()
	for _, fault := range o.Faults() {
		o.t.Error(fault)
	}
}

// underLoad has more people search than one connection serves: its pool turns red, and green again when they have left.
func (o *operator) underLoad() {
	o.t.Helper()
	l, err := lab.New(lab.Config{Statement: 60 * time.Millisecond, Seed: 1})
	if err != nil {
		o.t.Fatal(err)
	}
	l.Start()
	h := openHouseOn(o.t, 3, 60, library.Config{}, func(c *pool.Config) {
		c.Read.Size, c.Hold = 1, l.Hold
	})
	deps := h.deps()
	deps.Lab = l
	r := run(o.t, testConfig(), deps)
	o.Open(r.admin+"/", night)
	o.sees("ok", "All is well.", "")
	ctx, leave := context.WithCancel(o.t.Context())
	var people sync.WaitGroup
	c := client(o.t)
	for i := range 6 {
		people.Go(func() {
			for ctx.Err() == nil {
				searchOnce(ctx, c, r.url, []string{"time", "world", "river"}[i%3])
			}
		})
	}
	o.sees("critical", "Pool read is exhausted: 1 of 1 connections are in use", "pool read")
	o.advises("DB_POOL_READ_SIZE", "tomehub profile", "DBPoolExhausted")
	o.Until(`document.querySelector('#statements').textContent.includes('search_page')`)
	o.Until(`/[1-9]/.test(document.querySelector('[data-card=requests] .main').textContent)`)
	o.Until(`/[1-9].* ms|s$/.test(document.querySelector('[data-card=times] .main').textContent)`)
	o.Until(`document.querySelector('#say').textContent.startsWith('critical: Pool read is exhausted') && document.title.startsWith('✖ Pool read')`)
	leave()
	people.Wait()
	o.looksAway()
	o.sees("ok", "All is well.", "pool read")
	if text := o.Text("#findings"); text != "" {
		o.t.Errorf("all is well, and the page still advises %q", text)
	}
	o.well()
}

// looksAway hides the page: it asks less, and at once when it is looked at again.
func (o *operator) looksAway() {
	o.t.Helper()
	const asked = `performance.getEntriesByType('resource').filter(e => e.name.endsWith('/ops')).length`
	var first, then int
	o.Eval(`new Promise(done => { Object.defineProperty(document, 'hidden', {value: true, configurable: true}); setTimeout(() => done(`+asked+`), 1200) })`, &first)
	o.Eval(`new Promise(done => setTimeout(() => done(`+asked+`), 1500))`, &then)
	if then != first {
		o.t.Errorf("nobody looks, and the page asked %d times in 1.5 s", then-first)
	}
	o.Eval(`(delete document.hidden, document.dispatchEvent(new Event('visibilitychange')), document.hidden ? 1 : 0)`, &first)
	o.Until(asked + ` > ` + strconv.Itoa(then))
	if first != 0 {
		o.t.Error("the page is still hidden")
	}
}

// searchOnce asks once; what comes back is not looked at.
func searchOnce(ctx context.Context, c *http.Client, server, query string) {
	q, err := http.NewRequestWithContext(ctx, "GET", server+"/api/search?q="+url.QueryEscape(query), nil)
	if err != nil {
		return
	}
	if answer, err := c.Do(q); err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

// inTrouble has a server whose parts get into trouble one after the other, with texts that would like to be more than texts.
func (o *operator) inTrouble() {
	o.t.Helper()
	const hostile = `<img src=x onerror=document.title='owned'><script>document.title='owned'</script>`
	m := newScripted()
	var state atomic.Pointer[breaker.Stats]
	state.Store(&breaker.Stats{Name: "database", State: breaker.Closed})
	var calls atomic.Int64
	cfg := streamConfig(2)
	cfg.AdminListen = "127.0.0.1:0"
	r := run(o.t, cfg, Deps{
		Library: echo(), Answerer: idle, Memory: m, Restarts: map[string]int64{hostile: 1},
		Breakers: func() []breaker.Stats { return []breaker.Stats{*state.Load()} },
		Statements: func() []store.StatementStats {
			n := calls.Add(1)
			return []store.StatementStats{{Name: hostile, SQL: hostile, Executions: n, Elapsed: time.Duration(n) * time.Millisecond}}
		},
	})
	o.Open(r.admin+"/", phone)
	o.sees("warning", "The server began anew", "process")
	o.Until(`document.querySelector('#statements th') && document.querySelector('#statements').textContent.includes('onerror=')`)

	state.Store(&breaker.Stats{Name: "database", State: breaker.Open, LastError: hostile})
	streams := r.streams(o.t, 2, "GET /api/search/stream?q=time HTTP/1.1\r\nHost: x\r\n\r\n")
	r.active(o.t, 2)
	m.use(90, memory.Critical)
	o.sees("critical", "Circuit breaker database is open", "breakers")
	o.sees("critical", "", "memory")
	o.sees("critical", "", "streams")
	o.advises("DB_DSN", "CircuitBreakerOpen", hostile, "Memory is critical: 461 MB of 512 MB (90 %, cgroup v2 /app)", "MemoryCritical",
		"All streams are taken: 2 of 2", "MAX_CONCURRENT_STREAMS", "StreamsNearLimit")

	state.Store(&breaker.Stats{Name: "database", State: breaker.Closed})
	m.use(75, memory.Warning)
	for _, conn := range streams {
		if err := conn.Close(); err != nil {
			o.t.Error(err)
		}
	}
	o.sees("warning", "Memory runs short", "memory")
	o.sees("warning", "", "memory")
	o.Until(`['breakers', 'streams'].every(c => document.querySelector('[data-card=' + c + ']').className === 'card ok')`)
	var markup int
	o.Eval(`document.querySelectorAll('main img, main script').length`, &markup)
	var title string
	o.Eval(`document.title`, &title)
	if markup != 0 || title == "owned" {
		o.t.Errorf("a text became %d elements, and the title is %q", markup, title)
	}
	o.well()
}

// withoutServer has the server go and come back. The figures of before must not look like those of now.
func (o *operator) withoutServer() {
	o.t.Helper()
	first := run(o.t, streamConfig(2), Deps{Library: echo()})
	o.Open(first.admin+"/", phone)
	o.sees("ok", "All is well.", "requests")
	first.stop()
	if err := first.ended(o.t); err != nil {
		o.t.Error(err)
	}
	o.Until(`/^No answer for [0-9]+ s[.]$/.test(document.querySelector('#state').textContent)`)
	o.Until(`document.querySelector('#banner').className === 'state critical' && document.querySelector('#now').textContent.includes('not live')`)
	o.Until(`Array.from(document.querySelectorAll('.card .word')).every(w => w.textContent === 'old')`)
	o.Until(`document.querySelector('#say').textContent.startsWith('critical: No answer for')`)
	o.reads()
	for _, fault := range o.Faults() { // the browser's own, of the requests that failed
		if !strings.Contains(fault, "net::ERR_") {
			o.t.Error(fault)
		}
	}
	admin, err := net.Listen("tcp", strings.TrimPrefix(first.admin, "http://"))
	if err != nil {
		o.t.Fatal(err)
	}
	run(o.t, streamConfig(2), Deps{Library: echo(), AdminListener: admin})
	o.sees("ok", "All is well.", "requests")
	o.Press("Tab")
	o.Press("Enter")
	o.Until(`document.querySelector('#state').textContent === 'Paused.' && document.querySelector('[data-card=requests] .word').textContent === 'old'`)
	o.Click("#pause")
	o.sees("ok", "All is well.", "requests")
}

// judges holds the rules against answers of a server that differ by 5 s and by what a line says. Nothing is wrong without it.
func (o *operator) judges() {
	o.t.Helper()
	s, _ := fullServer(o.t)
	r := httptest.NewServer(s.AdminHandler())
	o.t.Cleanup(r.Close)
	o.Open(r.URL+"/", phone)
	o.judgesParts()
	o.judgesTraffic()
	o.well()
}

// finds changes what /ops tells, and the page must judge it so.
func (o *operator) finds(change string, want ...string) {
	o.t.Helper()
	var got []string
	o.Eval(`(async () => {
		const {judge} = await import('/page/rules.js'), {History} = await import('/page/figures.js');
		const old = await (await fetch('/ops')).json(), d = structuredClone(old), read = d.pools[0], req = d.requests;
		d.now = new Date(Date.parse(old.now) + 5000).toISOString();
		`+change+`;
		const h = new History();
		h.add(0, old);
		h.add(5000, d);
		return judge(h.view()).map(f => [f.level, f.card, f.runbook, f.what, f.mend].join(' '));
	})()`, &got)
	if len(got) != len(want) {
		o.t.Errorf("%s: %d findings, want %d: %q", change, len(got), len(want), got)
		return
	}
	for i, one := range got {
		for part := range strings.SplitSeq(want[i], "…") {
			if !strings.Contains(one, part) {
				o.t.Errorf("%s: finding %q, want %q in it", change, one, part)
			}
		}
	}
}

// judgesParts is about what the server is made of.
func (o *operator) judgesParts() {
	o.t.Helper()
	o.finds(`0`)
	o.finds(`read.in_use = read.size; read.waiting = 0`, "warning pool read DBPoolSaturated Pool read is nearly full: 100 % of its 8…DB_POOL_READ_SIZE")
	o.finds(`read.in_use = read.size; read.waiting = 3`, "critical pool read DBPoolExhausted…8 of 8 connections are in use, 3 callers wait.")
	o.finds(`read.in_use = 6`)
	o.finds(`read.shed += 7`, "critical pool read DBPoolExhausted…and 7 were refused")
	o.finds(`read.timed_out += 1; read.queue_full += 2`, "and 3 were refused")
	o.finds(`read.waiting = 3; read.in_use = 7`, "nearly full: 88 %")
	o.finds(`read.name = old.pools[0].name = 'main'; read.shed += 1`, "pool main…raise DB_POOL_SIZE")
	o.finds(`d.pools[1].shed += 1`, "pool write…raise DB_POOL_WRITE_SIZE")
	o.finds(`d.circuit_breakers[0].state = 'half-open'`, "warning breakers CircuitBreakerOpen…half-open…DB_DSN")
	o.finds(`d.circuit_breakers[0] = {...d.circuit_breakers[0], name: 'answer service', state: 'open', last_error: 'dial: no'}`, "warning breakers…It last said: dial: no…ANSWER_URL")
	o.finds(`d.database = 'down'`, "critical breakers CircuitBreakerOpen The database does not answer.…DB_DSN")
	o.finds(`d.memory.health = 'unknown'`, "warning memory MemoryWarning The memory cannot be read")
	o.finds(`d.memory.health = 'critical'; d.memory.restart_enabled = false`, "critical memory MemoryCritical…refused…TOMEHUB_MEMORY_RESTART")
	o.finds(`d.memory.health = 'warning'`, "warning memory MemoryWarning…TOMEHUB_QUERY_CACHE_SIZE")
	o.finds(`d.streams.active_streams = 81; d.streams.utilization = 0.81`, "warning streams StreamsNearLimit 81 of 100 streams")
	o.finds(`d.streams.active_streams = 80; d.streams.utilization = 0.8`)
	o.finds(`d.streams.refused.timed_out += 2`, "critical streams StreamsNearLimit…2 were refused…MAX_CONCURRENT_STREAMS")
	o.finds(`d.streams.max_concurrent = 0`)
}

// judgesTraffic is about what was asked of it.
func (o *operator) judgesTraffic() {
	o.t.Helper()
	o.finds(`req.total += 1000; req.failed += 10`, "warning errors SLOErrorsBudgetBurn 1.0 % of requests failed in the last 5 s: 10 of 1,000.")
	o.finds(`req.total += 1000; req.failed += 50`, "critical errors SLOErrorsBudgetBurn 5.0 % of requests")
	o.finds(`req.total += 1000; req.failed += 9`)
	o.finds(`req.total += 4; req.failed += 4`, "warning errors…100 %")
	o.finds(`req.total += 100; req.limited += 20`, "warning limits RateLimitRejectionsHigh 20 % of requests…TOMEHUB_TRUSTED_PROXIES")
	o.finds(`req.total += 1000; req.limited += 49`)
	o.finds(`req.times_us = [[80, 80], [6291456, 20]]`, "critical times SLOSlowBudgetBurn…longer than 6.0 s")
	o.finds(`req.times_us = [[80, 96], [6291456, 4]]`)
	o.finds(`req.times_us = [[6291456, 19]]`)
	o.finds(`d.connections = 10000`, "critical process…10,000 of 10,000 connections…TOMEHUB_MAX_CONNECTIONS")
	o.finds(`d.connections = 9500`, "warning process")
	o.finds(`d.ingests.queue_full += 2`, "warning ingests…2 books were refused…TOMEHUB_MAX_CONCURRENT_INGESTS")
	o.finds(`d.limits.storage.up = false`, "warning limits…RATE_LIMIT_STORAGE")
	o.finds(`d.cache.second_level.up = false`, "warning cache…TOMEHUB_CACHE_STORAGE")
	o.finds(`d.statements = [{name: 'search_page', executions: 20, elapsed_us: 21e6, acquire_wait_us: 0, errors: 0}]`, "warning times DBQuerySlow Statement search_page takes 1.1 s")
	o.finds(`d.statements = [{name: 'search_page', executions: 19, elapsed_us: 21e6, acquire_wait_us: 0, errors: 0}]`)
	const late = `old.started_at = d.started_at = new Date(Date.parse(old.now) - 3600e3).toISOString(); d.cache.misses += 60; d.cache.hits += `
	o.finds(late+`50`, "warning cache CacheHitRatioLow Only 45 % of questions")
	o.finds(late + `60`)
	o.finds(late + `30`)             // too few to tell
	o.finds(`d.cache.misses += 200`) // a cache that has just begun
	o.finds(`d.cache = old.cache = null`)
	o.finds(`d.restarts = {crash: 2, handover: 1}`, "warning process RestartLooping The server began anew…crash: 2")
	o.finds(`d.restarts = {handover: 3}`)
	o.finds(`d.status = 'draining'`, "warning process…The server is draining.")
	o.finds(`d.status = 'restarting'; d.memory.restart_requested = true; d.memory.reason = 'a leak'`, "warning process MemoryCritical The server is restarting: a leak.")
	o.finds(`old.started_at = 'before'; req.total += 100; req.failed += 100`)                // what another process counted
	o.finds(`d.connections = 9500; read.shed += 1`, "critical pool read", "warning process") // the worst first
}

func (o *operator) withoutScript() {
	o.t.Helper()
	_ = o.Faults()
	r := run(o.t, testConfig(), Deps{Library: echo()})
	o.Open(r.admin+"/", browser.View{Width: 390, NoScript: true})
	text, _ := o.Painted()
	if !strings.Contains(text, "Without JavaScript this page cannot show the server live.") || !strings.Contains(text, "circuit-breakers") || strings.Contains(text, "Asking the server") {
		o.t.Errorf("without JavaScript the page reads %q", text)
	}
	o.well()
}
