package loadtest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A plainConn has none of a socket but what net.Conn has.
type plainConn struct{ net.Conn }

// A long POST that the server took whole before it closed is not sent again, where the kernel's call cannot be used either.
func TestCrewSendsNoPostTwice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var posts atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				from := bufio.NewReader(c)
				for n := 1; ; n++ {
					r, err := http.ReadRequest(from)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					if posts.Add(1); n == 2 {
						return // taken whole, and not answered
					}
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	cfg := Config{Target: "http://" + l.Addr().String(), gauge: idle, Scenario: mustParse(t, "duration: 300ms\nusers: {count: 1}\nthink: 10ms\ntimeout: 10s\nflows: [{name: f, steps: [{name: s, post: /, body: a}]}]\n")}
	cfg.Scenario.steps[0].body = template{parts: []part{{literal: strings.Repeat("x", 200<<10)}}}
	cfg.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := newDialer().DialContext(ctx, network, address)
		return plainConn{c}, err
	}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.Completed < 4 || r.Total.Completed != posts.Load() || r.Total.Kinds[OK] == r.Total.Completed {
		t.Errorf("%d requests, %d posts taken, %v", r.Total.Completed, posts.Load(), r.Total.Kinds)
	}
}
