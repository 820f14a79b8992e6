package oracletest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// faults are what the fault methods have switched on.
type faults struct {
	mu sync.Mutex // guards what follows

	dropAfter, dropTurn int64
	halfPackets         int
	slowFetch, slowCall time.Duration
	deaf                bool
	refuse              int
	redirect            string
	next                []int // codes for the next statements; 0 lets one pass
	share               float64
	shareCode           int
	random              *rand.Rand
	tags                map[string]int
	commits             []int
	lostCommits         int
	logins              []int
	marker              bool
	maxSessions         int
	maxCursors          int
	endToEnd            EndToEnd
}

func (s *Server) change(f func(*faults)) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	f(&s.faults)
}

// DropAfter closes each connection once the server has sent n more bytes on it, new connections included; n < 0 ends the
// fault.
func (s *Server) DropAfter(n int64) {
	s.change(func(f *faults) { f.dropAfter, f.dropTurn = max(n, -1), f.dropTurn+1 })
}

func (s *Server) dropBudget() (n, turn int64) {
	s.change(func(f *faults) { n, turn = f.dropAfter, f.dropTurn })
	return n, turn
}

// HalfPacketThenSilence makes the next n answers to calls stop halfway: the connection stays open and silent until the
// client closes it.
func (s *Server) HalfPacketThenSilence(n int) { s.change(func(f *faults) { f.halfPackets = n }) }

func (s *Server) halves() (yes bool) {
	s.change(func(f *faults) {
		if yes = f.halfPackets > 0; yes {
			f.halfPackets--
		}
	})
	return yes
}

// SlowFetch delays every answer to FETCH, which is where rows after the first ones come from.
func (s *Server) SlowFetch(d time.Duration) { s.change(func(f *faults) { f.slowFetch = d }) }

// Latency delays the answer of every call after the login.
func (s *Server) Latency(d time.Duration) { s.change(func(f *faults) { f.slowCall = d }) }

func (s *Server) latency(call string) (d time.Duration) {
	s.change(func(f *faults) {
		if d = f.slowCall; call == "fetch" {
			d += f.slowFetch
		}
	})
	return d
}

// DeafToBreaks makes the server ignore the client's breaks, as a hung server process does.
func (s *Server) DeafToBreaks(deaf bool) { s.change(func(f *faults) { f.deaf = deaf }) }

func (s *Server) isDeaf() (deaf bool) {
	s.change(func(f *faults) { deaf = f.deaf })
	return deaf
}

// RefuseConnections answers every new connection with REFUSE and that code (12514, 12516, 12528); 0 ends it.
func (s *Server) RefuseConnections(code int) { s.change(func(f *faults) { f.refuse = code }) }

// Redirect answers every new connection with the address of another listener (host:port); "" ends it.
func (s *Server) Redirect(addr string) { s.change(func(f *faults) { f.redirect = addr }) }

func (s *Server) welcome() (refuse int, redirect string) {
	s.change(func(f *faults) { refuse, redirect = f.refuse, f.redirect })
	return refuse, redirect
}

// ListenerDown closes the listener, so that connecting fails, or opens it again on the same port. Sessions live on, as
// Oracle's do.
func (s *Server) ListenerDown(down bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case down && s.listener != nil:
		err := s.listener.Close()
		s.listener = nil
		return err
	case !down && s.listener == nil:
		listener, err := net.Listen("tcp", s.addr)
		if err != nil {
			return fmt.Errorf("listen again: %w", err)
		}
		s.listen(listener)
	}
	return nil
}

// FailNext answers the next n statements with that code instead of asking the handler. Codes after which Oracle is gone
// (3113, 1089 …) close the connection too. What the double answers itself for the drivers' sake never fails.
func (s *Server) FailNext(code, n int) {
	s.change(func(f *faults) { f.next = append(f.next, slices.Repeat([]int{code}, n)...) })
}

// FailNth answers the nth statement from now (1 is the next) with that code.
func (s *Server) FailNth(code, nth int) {
	s.change(func(f *faults) {
		for len(f.next) < nth {
			f.next = append(f.next, 0)
		}
		f.next[nth-1] = code
	})
}

// FailEvery answers a share of the statements (0 to 1) with that code, drawn from a generator with that seed; share 0
// ends it.
func (s *Server) FailEvery(share float64, code int, seed uint64) {
	s.change(func(f *faults) {
		f.share, f.shareCode, f.random = share, code, rand.New(rand.NewPCG(seed, seed))
	})
}

// FailTag answers every statement of that tag with that code; 0 ends it.
func (s *Server) FailTag(tag string, code int) {
	s.change(func(f *faults) {
		if f.tags == nil {
			f.tags = map[string]int{}
		}
		f.tags[tag] = code
	})
}

// fails draws what becomes of one statement.
func (s *Server) fails(tag string) *Error {
	code := 0
	s.change(func(f *faults) {
		if len(f.next) > 0 {
			code, f.next = f.next[0], f.next[1:]
		}
		if code == 0 {
			code = f.tags[tag]
		}
		if code == 0 && f.share > 0 && f.random.Float64() < f.share {
			code = f.shareCode
		}
	})
	if code == 0 {
		return nil
	}
	return &Error{Code: code}
}

// FailLogins refuses the next n logins with that code, passwords being right (28000, 28001, 1033).
func (s *Server) FailLogins(code, n int) {
	s.change(func(f *faults) { f.logins = append(f.logins, slices.Repeat([]int{code}, n)...) })
}

func (s *Server) failsLogin() (e *Error) {
	s.change(func(f *faults) { e, f.logins = firstFailure(f.logins) })
	return e
}

// firstFailure takes the first code off a list.
func firstFailure(codes []int) (*Error, []int) {
	if len(codes) == 0 {
		return nil, nil
	}
	return &Error{Code: codes[0]}, codes[1:]
}

// FailCommits makes the next n commits fail with that code and roll back.
func (s *Server) FailCommits(code, n int) {
	s.change(func(f *faults) { f.commits = append(f.commits, slices.Repeat([]int{code}, n)...) })
}

func (s *Server) failsCommit() (e *Error) {
	s.change(func(f *faults) { e, f.commits = firstFailure(f.commits) })
	return e
}

// LoseCommits makes the next n commits happen, and the connection drop before the client hears of it.
func (s *Server) LoseCommits(n int) { s.change(func(f *faults) { f.lostCommits = n }) }

func (s *Server) losesCommit() (yes bool) {
	s.change(func(f *faults) {
		if yes = f.lostCommits > 0; yes {
			f.lostCommits--
		}
	})
	return yes
}

// KillSessions ends every session as ALTER SYSTEM KILL SESSION does: the running call, or else the next one, gets
// ORA-00028, and then the connection closes. It returns how many there were.
func (s *Server) KillSessions() int {
	victims := s.loggedIn()
	for _, c := range victims {
		c.killed.Store(true)
		c.in.interrupt(errKilled)
	}
	return len(victims)
}

// DropSessions closes every connection at once, without a word. It returns how many there were.
func (s *Server) DropSessions() int {
	victims := s.loggedIn()
	for _, c := range victims {
		c.cancel(errEnd)
		_ = c.nc.Close()
	}
	return len(victims)
}

// SessionLimit changes Config.MaxSessions; 0: no limit. Sessions beyond it stay.
func (s *Server) SessionLimit(n int) { s.change(func(f *faults) { f.maxSessions = n }) }

func (s *Server) sessionLimit() (n int) {
	s.change(func(f *faults) { n = f.maxSessions })
	return n
}

// CursorLimit changes Config.MaxCursors.
func (s *Server) CursorLimit(n int) { s.change(func(f *faults) { f.maxCursors = n }) }

func (s *Server) cursorLimit() (n int) {
	s.change(func(f *faults) { n = f.maxCursors })
	return min(n, 65535)
}

// ErrorsByMarker makes the server announce its errors with markers first, as some real servers do.
func (s *Server) ErrorsByMarker(on bool) { s.change(func(f *faults) { f.marker = on }) }

func (s *Server) byMarker() (on bool) {
	s.change(func(f *faults) { on = f.marker })
	return on
}

// EndToEnd is what the server does with the end-to-end metadata that drivers send ahead of a call.
type EndToEnd int

// The zero EndToEnd heeds it, as Oracle does.
const (
	EndToEndHeeded  EndToEnd = iota
	EndToEndIgnored          // the call is answered, and nothing changes
	EndToEndUnknown          // ORA-03106, and the connection closes
	EndToEndStuck            // the server waits for more, for ever
)

// TakeEndToEnd changes what the server does with end-to-end metadata.
func (s *Server) TakeEndToEnd(how EndToEnd) { s.change(func(f *faults) { f.endToEnd = how }) }

func (s *Server) endToEndMode() (how EndToEnd) {
	s.change(func(f *faults) { how = f.endToEnd })
	return how
}
