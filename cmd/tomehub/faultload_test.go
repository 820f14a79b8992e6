//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A crowd are clients of every kind that a restart can hurt. Every request must be answered with
// 200 and whole; what was not is lost.
type crowd struct {
	t          *testing.T
	url        string
	rest       [2]time.Duration // the shortest and longest pause of clients that keep a connection idle
	answered   atomic.Int64
	streams    atomic.Int64 // answered, of those above
	idle       atomic.Int64 // answered after a pause, of those above
	again      atomic.Int64 // streams that were refused and sent again, as Retry-After says
	lost       atomic.Int64
	refused    atomic.Int64 // of the lost: nobody listened
	mu         sync.Mutex   // guards examples
	examples   []string
	transports []*http.Transport
	clients    int
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// gather starts the crowd: kinds of clients, each several times.
func gather(t *testing.T, url string, rest [2]time.Duration) *crowd {
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{t: t, url: url, rest: rest, stop: stop}
	for range 4 {
		// POST is not sent again by net/http, so what is lost shows.
		c.join(ctx, true, 2*time.Millisecond, c.post)
		c.join(ctx, true, 2*time.Millisecond, c.get)
	}
	c.join(ctx, false, 10*time.Millisecond, c.get)
	c.join(ctx, false, 10*time.Millisecond, c.post)
	for range 2 {
		c.join(ctx, true, 20*time.Millisecond, c.stream)
	}
	for range 20 {
		c.join(ctx, true, 0, c.post)
	}
	return c
}

// join starts a client; a pause of 0 is one of the long pauses.
func (c *crowd) join(ctx context.Context, keepAlive bool, pause time.Duration, ask func(context.Context, *http.Client) error) {
	tr := &http.Transport{DisableKeepAlives: !keepAlive}
	client := &http.Client{Transport: tr, Timeout: 60 * time.Second}
	c.transports = append(c.transports, tr)
	c.clients++
	c.running.Go(func() {
		for ctx.Err() == nil {
			wait := pause
			if pause == 0 {
				wait = c.rest[0] + rand.N(c.rest[1]-c.rest[0])
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			// What has begun is finished, so that nothing is lost by the end of the test.
			if err := ask(context.WithoutCancel(ctx), client); err != nil {
				c.lose(err)
				continue
			}
			c.answered.Add(1)
			if pause == 0 {
				c.idle.Add(1)
			}
		}
	})
}

func (c *crowd) lose(err error) {
	c.lost.Add(1)
	if errors.Is(err, syscall.ECONNREFUSED) {
		c.refused.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.examples) < 10 {
		c.examples = append(c.examples, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// disperse ends the crowd and says what it saw.
func (c *crowd) disperse() string {
	c.stop()
	c.running.Wait()
	for _, tr := range c.transports {
		tr.CloseIdleConnections()
	}
	return fmt.Sprintf("%d answered (%d streams, of which %d were asked for again, %d after %v to %v idle), %d lost, %d of them refused, by %d clients",
		c.answered.Load(), c.streams.Load(), c.again.Load(), c.idle.Load(), c.rest[0], c.rest[1], c.lost.Load(), c.refused.Load(), c.clients)
}

func (c *crowd) get(ctx context.Context, client *http.Client) error {
	_, err := c.ask(ctx, client, http.MethodGet, "/api/search?q=dasein", "")
	return err
}

func (c *crowd) post(ctx context.Context, client *http.Client) error {
	_, err := c.ask(ctx, client, http.MethodPost, "/api/search", `{"query":"being and time","page_size":5}`)
	return err
}

func (c *crowd) stream(ctx context.Context, client *http.Client) error {
	body, err := c.ask(ctx, client, http.MethodPost, "/api/search/stream", `{"query":"dasein","page_size":5}`)
	if refused, ok := errors.AsType[refusedError](err); ok && refused.again > 0 {
		c.again.Add(1)
		time.Sleep(refused.again)
		body, err = c.ask(ctx, client, http.MethodPost, "/api/search/stream", `{"query":"dasein","page_size":5}`)
	}
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	if last := lines[len(lines)-1]; !bytes.Contains(last, []byte(`"status":"complete"`)) {
		return fmt.Errorf("a stream ends with %s", last)
	}
	c.streams.Add(1)
	return nil
}

func (c *crowd) ask(ctx context.Context, client *http.Client, method, path, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // 0 without one
		err = refusedError{fmt.Sprintf("%s: %.200s", res.Status, got), time.Duration(seconds) * time.Second}
	}
	return got, err
}

// A refusedError is an answer that is not 200.
type refusedError struct {
	text  string
	again time.Duration // as long as it says to wait; 0: it says nothing
}

func (e refusedError) Error() string { return e.text }

// until waits for what another process does in its own time.
func until(t *testing.T, what string, bound time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(bound); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}

// reachableOnce tells whether the address accepts a connection.
func reachableOnce(addr string) bool {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(addr, "http://"), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
