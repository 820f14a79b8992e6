package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// ab speaks HTTP/1.0 and lets a connection stay only when the answer says so.
func TestServersKeepConnections(t *testing.T) {
	var answered atomic.Int64
	var conns connections
	f := func(why string, serve func(net.Listener, *atomic.Int64) error, version, says string) {
		t.Helper()
		l, err := conns.listen()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- serve(l, &answered) }()
		defer func() { l.Close(); <-ended }()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		before := answered.Load()
		for range 3 {
			if _, err := io.WriteString(conn, "GET / "+version+"\r\nHost: a\r\n"+says+"\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", why, err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body || resp.ContentLength != int64(len(body)) {
				t.Fatalf("%s: %q, %v", why, got, err)
			}
			if keeps := strings.EqualFold(resp.Header.Get("Connection"), "keep-alive"); keeps != (version == "HTTP/1.0") {
				t.Errorf("%s: the answer says that the connection stays: %v", why, keeps)
			}
		}
		if n := answered.Load() - before; n != 3 {
			t.Errorf("%s: %d requests counted, want 3", why, n)
		}
		if n := conns.most(); n < 1 {
			t.Errorf("%s: %d connections counted, want 1", why, n)
		}
	}
	f("full", serveFull, "HTTP/1.1", "")
	f("full for ab", serveFull, "HTTP/1.0", "Connection: Keep-Alive\r\n")
	f("small", serveSmall, "HTTP/1.1", "")
	f("small for ab", serveSmall, "HTTP/1.0", "Connection: Keep-Alive\r\n")
}

func TestConnectionsAreCounted(t *testing.T) {
	var conns connections
	l, err := conns.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var ours []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		taken, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, taken)
	}
	ours[0].Close()
	ours[0].Close() // http.Server closes twice
	if n := conns.most(); n != 3 {
		t.Errorf("%d at most, want 3", n)
	}
	if n := conns.most(); n != 2 {
		t.Errorf("%d at most since then, want 2", n)
	}
}
