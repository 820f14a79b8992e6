// Package oracletest is a server that Oracle drivers log in to: it speaks TNS and TTC on a loopback port, inside the
// test's own process, and leaves the meaning of every statement to a [Handler].
//
// It proves the way between our code and the driver's socket: login, binds, fetches, LOBs, cancels, pools, errors, lost
// connections. It knows no SQL and proves nothing about Oracle's engine; and what it sends is what the drivers accept,
// not a recording of a real server. docs/oracletest.md says which is which.
//
// Faults (see fault.go) are methods of [Server], to be switched on and off while clients are connected.
package oracletest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Config says what a Server accepts. The zero Config is a server with user TOMEHUB, password secret and service
// FREEPDB1, that answers nothing but what every driver asks by itself.
type Config struct {
	Users    map[string]string // name in upper case → password
	Services []string          // what a client may ask for as SERVICE_NAME or SID; the first one is in DSN
	Handler  Handler           // answers every statement that the double does not answer itself

	MaxSessions int         // 0: no limit; a login beyond it is ORA-00020
	MaxCursors  int         // open cursors of one session, 0: 300, as DBCA sets it; beyond it ORA-01000
	TLS         *tls.Config // nil: plain TCP

	// Logf reports what is odd: broken messages, sessions ended by a fault. nil: silent.
	Logf func(format string, args ...any)
}

const (
	defaultMaxCursors = 300
	defaultService    = "FREEPDB1"
)

func (cfg *Config) fill() {
	if len(cfg.Users) == 0 {
		cfg.Users = map[string]string{"TOMEHUB": "secret"}
	}
	if len(cfg.Services) == 0 {
		cfg.Services = []string{defaultService}
	}
	if cfg.MaxCursors == 0 {
		cfg.MaxCursors = defaultMaxCursors
	}
	if cfg.Handler == nil {
		cfg.Handler = HandlerFunc(func(context.Context, *Call) (*Result, error) {
			return nil, &Error{Code: 900, Message: "invalid SQL statement"}
		})
	}
	if cfg.Logf == nil {
		cfg.Logf = func(string, ...any) {}
	}
}

func (cfg *Config) validate() error {
	var errs []error
	if cfg.MaxSessions < 0 {
		errs = append(errs, fmt.Errorf("MaxSessions is %d; it must be 0 or more", cfg.MaxSessions))
	}
	if cfg.MaxCursors < 1 || cfg.MaxCursors > 65535 {
		errs = append(errs, fmt.Errorf("MaxCursors is %d; it must be 1 to 65535", cfg.MaxCursors))
	}
	for name := range cfg.Users {
		if name != strings.ToUpper(name) {
			errs = append(errs, fmt.Errorf("%q among Users; names are in upper case", name))
		}
	}
	return errors.Join(errs...)
}

// Server is the double. Its methods may be called from any goroutine.
type Server struct {
	cfg       Config
	addr      string
	verifiers verifiers
	faults    faults
	counters  counters

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // accept loops and connections
	lastID atomic.Int64

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[*conn]bool // true: logged in
	closed   bool
}

// Start listens on a free loopback port.
func Start(cfg Config) (*Server, error) {
	cfg.fill()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for Oracle clients: %w", err)
	}
	s := &Server{cfg: cfg, addr: listener.Addr().String(), conns: map[*conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.counters.stats = newStats()
	s.faults.dropAfter = -1
	s.faults.maxSessions, s.faults.maxCursors = cfg.MaxSessions, cfg.MaxCursors
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen(listener)
	return s, nil
}

// Addr is host:port, the same for the life of the server, also while its listener is down.
func (s *Server) Addr() string { return s.addr }

// DSN is host:port/service.
func (s *Server) DSN() string { return s.addr + "/" + s.cfg.Services[0] }

// Close ends every session and waits for their handlers, which see their contexts end.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.cancel()
	var err error
	if s.listener != nil {
		err = s.listener.Close()
	}
	for c := range s.conns {
		_ = c.nc.Close()
		c.in.fail(errEnd)
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// listen serves a listener; s.mu is held.
func (s *Server) listen(listener net.Listener) {
	s.listener = listener
	s.wg.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(nc) })
		}
	})
}

// join and leave keep the list of connections; a closed server takes none.
func (s *Server) join(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = false
	}
	return !s.closed
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// admit logs a session in, if there is room.
func (s *Server) admit(c *conn) *Error {
	limit := s.sessionLimit()
	s.mu.Lock()
	defer s.mu.Unlock()
	open := 1
	for _, in := range s.conns {
		if in {
			open++
		}
	}
	if limit > 0 && open > limit {
		return &Error{Code: 20, Message: fmt.Sprintf("maximum number of processes (%d) exceeded", limit)}
	}
	s.conns[c] = true
	s.count(func(st *Stats) {
		st.SessionsOpened++
		st.PeakSessions = max(st.PeakSessions, open)
	})
	return nil
}

// discharge logs a session out; its connection may live a little longer.
func (s *Server) discharge(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] {
		s.conns[c] = false
		s.count(func(st *Stats) { st.SessionsClosed++ })
	}
}

func (s *Server) loggedIn() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*conn
	for c, in := range s.conns {
		if in {
			all = append(all, c)
		}
	}
	return all
}
