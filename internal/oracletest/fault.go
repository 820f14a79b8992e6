package oracletest

import "time"

// DropAfter closes each connection once the server has sent n more bytes on it, new connections included; n < 0 ends the
// fault.
func (s *Server) DropAfter(n int64) {}

// HalfPacketThenSilence makes the next n answers stop halfway through their packet: the connection stays open and silent.
func (s *Server) HalfPacketThenSilence(n int) {}

// SlowFetch delays every FETCH answer.
func (s *Server) SlowFetch(d time.Duration) {}

// Latency delays every answer of every call, logins apart.
func (s *Server) Latency(d time.Duration) {}

// DeafToBreaks makes the server ignore the client's breaks, as a hung server process does.
func (s *Server) DeafToBreaks(deaf bool) {}

// RefuseConnections answers every new connection with REFUSE and that code (12514, 12516, 12528); 0 ends it.
func (s *Server) RefuseConnections(code int) {}

// ListenerDown closes the listener, or opens it again on the same port. Sessions live on, as Oracle's do.
func (s *Server) ListenerDown(down bool) error { return nil }

// FailNext answers the next n statements with that code instead of asking the handler.
func (s *Server) FailNext(code, n int) {}

// FailNth answers the nth statement from now (1 is the next) with that code.
func (s *Server) FailNth(code, nth int) {}

// FailEvery answers a share of the statements (0 to 1) with that code, drawn from a generator with that seed; share 0
// ends it.
func (s *Server) FailEvery(share float64, code int, seed uint64) {}

// FailTag answers every statement of that tag with that code; 0 ends it.
func (s *Server) FailTag(tag string, code int) {}

// KillSessions ends every session as ALTER SYSTEM KILL SESSION does: the running call, or else the next one, gets
// ORA-00028, and then the connection closes. It returns how many there were.
func (s *Server) KillSessions() int { return 0 }

// DropSessions closes every connection at once, without a word. It returns how many there were.
func (s *Server) DropSessions() int { return 0 }

// SessionLimit changes Config.MaxSessions; 0: no limit.
func (s *Server) SessionLimit(n int) {}

// CursorLimit changes Config.MaxCursors.
func (s *Server) CursorLimit(n int) {}

// ErrorsByMarker makes the server announce its errors with markers first, as some real servers do.
func (s *Server) ErrorsByMarker(on bool) {}
