package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// body is what both servers answer.
const body = `{"results":[1]}`

// stillness is how long /slow waits with its answer: what keeps the connections of tools busy that know no time to think.
const stillness = 3 * time.Second

// serve runs both servers until its standard input ends. It prints the URL of the full one, the URL of the small one, and
// after each line that it reads how many requests both have answered, and how many connections were open at the same
// time, at most, since the line before.
func serve() error {
	var answered atomic.Int64
	var conns connections
	full, err := conns.listen()
	if err != nil {
		return err
	}
	small, err := conns.listen()
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\nhttp://%s\n", full.Addr(), small.Addr())
	faults := make(chan error, 3)
	go func() { faults <- serveFull(full, &answered) }()
	go func() { faults <- serveSmall(small, &answered) }()
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			fmt.Println(answered.Load(), conns.most())
		}
		faults <- lines.Err()
	}()
	return <-faults
}

// connections counts those that are open.
type connections struct{ now, peak atomic.Int64 }

func (c *connections) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return listener{l, c}, err
}

// most is how many were open at the same time since it was last asked.
func (c *connections) most() int64 { return c.peak.Swap(c.now.Load()) }

type listener struct {
	net.Listener
	count *connections
}

// Accept counts the connection until it is closed. Only one goroutine accepts on each listener, and only one listener is
// in use at a time, so that no peak is lost.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.count.peak.Store(max(l.count.peak.Load(), l.count.now.Add(1)))
	return &countedConn{Conn: c, count: l.count}, nil
}

type countedConn struct {
	net.Conn
	count *connections
	once  sync.Once
}

// Close may be called more than once.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.count.now.Add(-1) })
	return c.Conn.Close()
}

// serveFull is what a server of net/http costs. Below /slow it waits, below /never it does not answer.
func serveFull(l net.Listener, answered *atomic.Int64) error {
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter) {
		answered.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body) // who has gone needs no answer
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { reply(w) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(stillness):
			reply(w)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return http.Serve(l, mux)
}

// serveSmall answers every request with the same bytes and does no more, so that the generator is the bottleneck. A
// request must come in one segment and have no body, as those of all tools do here. A client of HTTP/1.0, which ab is,
// must be told that its connection stays.
func serveSmall(l net.Listener, answered *atomic.Int64) error {
	const head, rest = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", "Content-Length: %d\r\n\r\n%s"
	answer := fmt.Appendf(nil, head+rest, len(body), body)
	old := fmt.Appendf(nil, head+"Connection: keep-alive\r\n"+rest, len(body), body)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			room := make([]byte, 4096)
			for {
				n, err := conn.Read(room)
				if err != nil {
					return
				}
				answered.Add(1)
				says := answer
				if line, _, _ := bytes.Cut(room[:n], []byte("\r\n")); bytes.HasSuffix(line, []byte("HTTP/1.0")) {
					says = old
				}
				if _, err := conn.Write(says); err != nil {
					return
				}
			}
		}()
	}
}

// A server is the process of serve.
type server struct {
	full, small string // URLs
	ask         io.WriteCloser
	says        *bufio.Scanner
	wait        func() error
}

// startServer starts this program again as the server, on one core.
func startServer(core string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := pinned(core, self, "serve")
	s := &server{wait: cmd.Wait}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if s.ask, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.says = bufio.NewScanner(out)
	for _, url := range []*string{&s.full, &s.small} {
		if !s.says.Scan() {
			return nil, errors.New("the server did not start")
		}
		*url = s.says.Text()
	}
	return s, nil
}

// A sight is what the server has seen: all requests that it answered, and the most connections at the same time since it
// was last asked.
type sight struct{ answered, open int64 }

func (s *server) seen() (now sight, err error) {
	if _, err := io.WriteString(s.ask, "\n"); err != nil {
		return now, err
	}
	if !s.says.Scan() {
		return now, errors.New("the server has ended")
	}
	_, err = fmt.Sscan(s.says.Text(), &now.answered, &now.open)
	return now, err
}

func (s *server) stop() {
	_ = s.ask.Close()
	_ = s.wait()
}
