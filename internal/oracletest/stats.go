package oracletest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Stats are the server's counters since Start, and its gauges now.
type Stats struct {
	Sessions       int   // logged in now
	PeakSessions   int   // the most at once
	SessionsOpened int64 // logins that succeeded
	SessionsClosed int64
	Refused        int64 // connections and logins refused
	Cursors        int   // open now, over all sessions

	Calls      map[string]int64 // per TTC function: execute, reexecute, fetch, lob, commit, rollback, ping, close_cursors …
	Executions map[string]int64 // per tag of /* tomehub:tag */; "" for statements without; not what the double answers itself
	Breaks     int64            // breaks that ended a call
	Errors     map[int]int64    // answers per ORA code, 1403 (end of rows) apart

	PacketsIn, PacketsOut int64 // PacketsOut counts writes, of one answer each
	BytesIn, BytesOut     int64
}

// SessionStats shows one session.
type SessionStats struct {
	ID             int64
	User           string
	Service        string
	Program        string
	Module, Action string
	Settings       map[string]string // what ALTER SESSION SET gave, names in upper case
	Cursors        int               // open now
	TempLobs       int               // temporary LOBs not yet freed
	Calls          int64             // TTC functions
	Running        string            // the SQL that the handler is answering now
}

type counters struct {
	mu    sync.Mutex // guards stats
	stats Stats

	packetsIn, packetsOut, bytesIn, bytesOut atomic.Int64
}

func (s *Server) count(f func(*Stats)) {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	f(&s.counters.stats)
}

func (s *Server) packetIn(n int) {
	s.counters.packetsIn.Add(1)
	s.counters.bytesIn.Add(int64(n))
}

func (s *Server) packetOut(n int) {
	s.counters.packetsOut.Add(1)
	s.counters.bytesOut.Add(int64(n))
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	var st Stats
	s.count(func(of *Stats) {
		st = *of
		st.Calls, st.Executions, st.Errors = maps.Clone(of.Calls), maps.Clone(of.Executions), maps.Clone(of.Errors)
	})
	c := &s.counters
	st.PacketsIn, st.PacketsOut = c.packetsIn.Load(), c.packetsOut.Load()
	st.BytesIn, st.BytesOut = c.bytesIn.Load(), c.bytesOut.Load()
	for _, of := range s.loggedIn() {
		st.Sessions++
		st.Cursors += int(of.shown.cursors.Load())
	}
	return st
}

// ResetStats sets the counters to zero; the gauges stay.
func (s *Server) ResetStats() {
	s.count(func(st *Stats) { *st = newStats() })
	for _, n := range []*atomic.Int64{&s.counters.packetsIn, &s.counters.packetsOut, &s.counters.bytesIn, &s.counters.bytesOut} {
		n.Store(0)
	}
}

func newStats() Stats {
	return Stats{Calls: map[string]int64{}, Executions: map[string]int64{}, Errors: map[int]int64{}}
}

// shown is what a session shows of itself to other goroutines.
type shown struct {
	calls, cursors, tempLobs atomic.Int64
	running                  atomic.Pointer[string]

	mu   sync.Mutex // guards what follows
	face SessionStats
}

// set takes over what may have changed in the session.
func (sh *shown) set(s *Session) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.face = SessionStats{
		ID: s.ID, User: s.User, Service: s.Service, Program: s.Program, Module: s.Module, Action: s.Action, Settings: maps.Clone(s.Settings),
	}
}

func (sh *shown) stats() SessionStats {
	sh.mu.Lock()
	st := sh.face
	sh.mu.Unlock()
	st.Cursors, st.TempLobs, st.Calls = int(sh.cursors.Load()), int(sh.tempLobs.Load()), sh.calls.Load()
	if sql := sh.running.Load(); sql != nil {
		st.Running = *sql
	}
	return st
}

// Sessions returns the sessions that are logged in now, in the order of their ids.
func (s *Server) Sessions() []SessionStats {
	var all []SessionStats
	for _, c := range s.loggedIn() {
		all = append(all, c.shown.stats())
	}
	slices.SortFunc(all, func(a, b SessionStats) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
