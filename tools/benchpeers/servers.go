package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// body is what both servers answer.
const body = `{"results":[1]}`

// stillness is how long /slow waits with its answer: what keeps the connections of tools busy that know no time to think.
const stillness = 3 * time.Second

// serve runs both servers until its standard input ends. It prints the URL of the full one, the URL of the small one, and
// after each line that it reads how many requests both have answered.
func serve() error {
	var answered atomic.Int64
	full, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	small, err := net.Listen("tcp", "127.0.0.1:0")
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
			fmt.Println(answered.Load())
		}
		faults <- lines.Err()
	}()
	return <-faults
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
// request must come in one segment and have no body, as those of all tools do here.
func serveSmall(l net.Listener, answered *atomic.Int64) error {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			room := make([]byte, 4096)
			for {
				if _, err := conn.Read(room); err != nil {
					return
				}
				answered.Add(1)
				if _, err := conn.Write(answer); err != nil {
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

// answered is how many requests the server has answered.
func (s *server) answered() (n int64, err error) {
	if _, err := io.WriteString(s.ask, "\n"); err != nil {
		return 0, err
	}
	if !s.says.Scan() {
		return 0, errors.New("the server has ended")
	}
	_, err = fmt.Sscan(s.says.Text(), &n)
	return n, err
}

func (s *server) stop() {
	_ = s.ask.Close()
	_ = s.wait()
}
