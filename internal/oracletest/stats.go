package oracletest

// Stats are the server's counters since Start, and its gauges now.
type Stats struct {
	Sessions       int   // logged in now
	SessionsOpened int64 // logins that succeeded
	SessionsClosed int64
	Refused        int64 // connections and logins refused
	Cursors        int   // open now, over all sessions
	PeakSessions   int

	Calls      map[string]int64 // per TTC function: execute, reexecute, fetch, commit, close_cursors …
	Executions map[string]int64 // per tag of /* tomehub:tag */; "" for statements without
	Breaks     int64            // breaks that ended a call
	Errors     map[int]int64    // answers per ORA code, 1403 (end of rows) apart

	PacketsIn, PacketsOut int64
	BytesIn, BytesOut     int64
}

// SessionStats shows one session.
type SessionStats struct {
	ID             int64
	User           string
	Program        string
	Module, Action string
	Cursors        int    // open now
	TempLobs       int    // temporary LOBs not yet freed
	Calls          int64  // TTC functions answered
	Running        string // the SQL that the handler is answering now
}

// Stats returns the counters.
func (s *Server) Stats() Stats { return Stats{} }

// Sessions returns the sessions that are logged in now, in the order of their ids.
func (s *Server) Sessions() []SessionStats { return nil }

// ResetStats sets the counters to zero; the gauges stay.
func (s *Server) ResetStats() {}
