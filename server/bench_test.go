package server

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/library"
)

// BenchmarkCachedSearch compares a search that the cache answers, through the whole chain
// (request id, headers, identity, rates, statistics, decoding, cache), with a bare gin
// handler that writes the same bytes. Both run in net/http on a connection that is memory, so
// that the difference is what the chain and its headers cost. The system calls of a real
// connection add the same to both.
func BenchmarkCachedSearch(b *testing.B) {
	h := openHouse(b, 10, 200, library.Config{Cache: library.CacheConfig{Enabled: true}})
	cfg := benchConfig()
	s := newServer(b, cfg, h.deps())
	const target = "/api/search?q=time&include=details&page_size=10"
	body := ask(b, s.Handler(), "GET", target, "").Body.Bytes()

	bare := gin.New()
	bare.GET("/api/search", func(c *gin.Context) { c.Data(http.StatusOK, jsonType[0], body) })
	plain := func(l net.Listener) net.Listener { return l }
	b.Run("bare", func(b *testing.B) { replay(b, &http.Server{Handler: bare}, plain, target) })
	own := func(l net.Listener) net.Listener { return newListener(l, 1) }
	b.Run("chain", func(b *testing.B) { replay(b, s.apiServer(b.Context()), own, target) })
}

// replay serves b.N requests on one connection of a listener.
func replay(b *testing.B, srv *http.Server, listener func(net.Listener) net.Listener, target string) {
	b.ReportAllocs()
	request := "GET " + target + " HTTP/1.1\r\nHost: localhost:5001\r\nUser-Agent: bench\r\nX-Tomehub-User: ann\r\n\r\n"
	conn := &memoryConn{request: request, left: b.N, answered: make(chan struct{}, 1), closed: make(chan struct{})}
	_ = srv.Serve(listener(&oneListener{conn: conn})) // ends with the listener
	<-conn.closed
	if conn.written < b.N*len(request) {
		b.Fatalf("%d bytes of answers to %d requests", conn.written, b.N)
	}
}

// A memoryConn sends the same request again and again, each when the one before is answered,
// and throws the answers away.
type memoryConn struct {
	net.Conn
	request  string
	at, left int
	busy     bool          // a request was sent whole and is not answered yet
	answered chan struct{} // net/http calls its read off, which it does after each answer
	written  int
	closed   chan struct{}
	once     sync.Once
}

func (c *memoryConn) Read(p []byte) (int, error) {
	if c.busy {
		<-c.answered
		c.busy = false
		return 0, os.ErrDeadlineExceeded
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.request[c.at:])
	if c.at += n; c.at == len(c.request) {
		c.at, c.busy = 0, true
		c.left--
	}
	return n, nil
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Unix() < 1000 {
		c.answered <- struct{}{}
	}
	return nil
}

func (c *memoryConn) Write(p []byte) (int, error) {
	c.written += len(p)
	return len(p), nil
}

func (c *memoryConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5001}
}
func (c *memoryConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
}
func (c *memoryConn) SetDeadline(time.Time) error        { return nil }
func (c *memoryConn) SetWriteDeadline(t time.Time) error { return nil }

// A oneListener accepts one connection.
type oneListener struct {
	conn net.Conn
	once sync.Once
}

func (l *oneListener) Accept() (conn net.Conn, err error) {
	err = io.EOF
	l.once.Do(func() { conn, err = l.conn, nil })
	return conn, err
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5001} }
