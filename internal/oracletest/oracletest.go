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
	MaxCursors  int         // open cursors of one session, 0: 1000; beyond it ORA-01000
	TLS         *tls.Config // nil: plain TCP

	// Logf reports what is odd: broken messages, sessions ended by a fault. nil: silent.
	Logf func(format string, args ...any)
}

const (
	defaultMaxCursors = 1000
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
			errs = append(errs, fmt.Errorf("Users has %q; names are in upper case", name))
		}
	}
	return errors.Join(errs...)
}

// Server is the double. Its methods may be called from any goroutine.
type Server struct {
	cfg  Config
	addr string

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the accept loop and every connection
	lastID atomic.Int64

	mu       sync.Mutex // guards what follows
	listener net.Listener
	sessions map[int64]*Session
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
	s := &Server{cfg: cfg, addr: listener.Addr().String(), listener: listener, sessions: map[int64]*Session{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Addr is host:port, the same for the life of the server, also while its listener is down.
func (s *Server) Addr() string { return s.addr }

// DSN is host:port/service.
func (s *Server) DSN() string { return s.addr + "/" + s.cfg.Services[0] }

// Close ends every session, waits for their handlers and closes the listener.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel()
	return s.listener.Close()
}
