package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
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
	o := &operator{browser.Start(t), t}
	o.underLoad()
	o.inTrouble()
	o.withoutServer()
	o.withoutScript()
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
	text := o.Text("#findings")
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
	o.sees("ok", "All is well.", "pool read")
	if text := o.Text("#findings"); text != "" {
		o.t.Errorf("all is well, and the page still advises %q", text)
	}
	o.well()
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
	o.sees("critical", "Circuit breaker database is open", "breakers")
	o.advises("DB_DSN", "CircuitBreakerOpen", hostile)
	state.Store(&breaker.Stats{Name: "database", State: breaker.Closed})

	m.use(90, memory.Critical)
	o.sees("critical", "Memory is critical: 461 MB of 512 MB (90 %, cgroup v2 /app)", "memory")
	o.advises("MemoryCritical")
	m.use(75, memory.Warning)
	o.Until(`document.querySelector('[data-card=memory]').className === 'card warning'`)
	m.use(25, memory.OK)

	streams := r.streams(o.t, 2, "GET /api/search/stream?q=time HTTP/1.1\r\nHost: x\r\n\r\n")
	o.sees("critical", "All streams are taken: 2 of 2", "streams")
	o.advises("MAX_CONCURRENT_STREAMS", "StreamsNearLimit")
	for _, conn := range streams {
		if err := conn.Close(); err != nil {
			o.t.Error(err)
		}
	}
	o.Until(`document.querySelector('[data-card=streams]').className === 'card ok'`)
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
	o.Click("#pause")
	o.Until(`document.querySelector('#state').textContent === 'Paused.' && document.querySelector('[data-card=requests] .word').textContent === 'old'`)
	o.Click("#pause")
	o.sees("ok", "All is well.", "requests")
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
