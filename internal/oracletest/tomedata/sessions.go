package tomedata

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// A Session is a row of V$SESSION that the test sets.
type Session struct {
	SID, Serial int64  // Serial 0: 1
	User        string // "": TOMEHUB, or NULL for a BACKGROUND
	Status      string // "": ACTIVE
	// State, Event and WaitClass: with an Event and no State, it waits for that; without both it is on CPU, and has the
	// Event and WaitClass of its last wait, which are stale: SQL*Net message from client, Idle.
	State, Event, WaitClass  string
	Wait                     time.Duration // WAIT_TIME_MICRO
	SQLID                    string
	Module, Action           string
	Type                     string // "": USER; or BACKGROUND
	Program, Machine         string
	Blocker, BlockerInstance int64 // BLOCKING_SESSION and BLOCKING_INSTANCE; Blocker 0: none
	AudSID                   int64
}

const onCPU = "WAITED SHORT TIME"

func (s *Session) fill() {
	for _, d := range []struct {
		set *string
		as  string
	}{{&s.Status, "ACTIVE"}, {&s.Type, "USER"}} {
		if *d.set == "" {
			*d.set = d.as
		}
	}
	if s.User == "" && s.Type == "USER" {
		s.User = Schema
	}
	if s.Serial == 0 {
		s.Serial = 1
	}
	if s.State == "" && s.Event != "" {
		s.State = "WAITING"
	}
	if s.State == "" {
		s.State, s.Event, s.WaitClass = onCPU, "SQL*Net message from client", "Idle"
	}
}

// SetSessions puts sessions in the place of those that it set before. The double's own are shown beside them; their SIDs
// count from 1.
func (in *Instance) SetSessions(all ...Session) {
	all = slices.Clone(all)
	for i := range all {
		all[i].fill()
	}
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	in.sessions = all
}

// allSessions are the double's, then the test's.
func (in *Instance) allSessions() []Session {
	in.db.mu.RLock()
	set, servers := in.sessions, []*oracletest.Server{}
	for _, i := range in.db.instances {
		if i.server != nil && !slices.Contains(servers, i.server) {
			servers = append(servers, i.server)
		}
	}
	in.db.mu.RUnlock()
	var all []Session
	for _, server := range servers {
		for _, s := range server.Sessions() {
			if in.db.connected(&oracletest.Session{Service: s.Service}) != in {
				continue
			}
			one := Session{SID: s.ID, User: s.User, Program: s.Program, Module: s.Module, Action: s.Action, AudSID: audSID(s.ID), Machine: "localhost"}
			if s.Running != "" {
				one.SQLID = SQLID(s.Running)
			} else {
				one.Status, one.Event, one.WaitClass = "INACTIVE", "SQL*Net message from client", "Idle"
			}
			one.fill()
			all = append(all, one)
		}
	}
	return append(all, set...)
}

// over goes through a list as the rows of a view.
func over[R any](rows []R) func(*R) bool {
	return func(r *R) bool {
		if len(rows) == 0 {
			return false
		}
		*r, rows = rows[0], rows[1:]
		return true
	}
}

func yes(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

func (ch *child) has(reason string) bool { return slices.Contains(ch.Reasons, reason) }

// reason is the CLOB of V$SQL_SHARED_CURSOR, XML without a root.
func (ch *child) reason() string {
	var b strings.Builder
	for i, r := range ch.Reasons {
		fmt.Fprintf(&b, "<ChildNode><ChildNumber>%d</ChildNumber><ID>%d</ID><reason>%s</reason></ChildNode>", ch.number, i+1, r)
	}
	return b.String()
}

// A sample is a session in V$ACTIVE_SESSION_HISTORY.
type sample struct {
	Session
	id   int64
	at   time.Time
	disk bool // every tenth goes to DBA_HIST_ACTIVE_SESS_HISTORY
}

// Sample has V$ACTIVE_SESSION_HISTORY take the sessions that are active now, at the database's time; every tenth sample
// is an AWR sample. It is what Oracle does each second.
func (in *Instance) Sample() {
	all := in.allSessions()
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	id := int64(1)
	if n := len(in.samples); n > 0 {
		id = in.samples[n-1].id + 1
	}
	for _, s := range all {
		if s.Status == "ACTIVE" && (s.State != "WAITING" || s.WaitClass != "Idle") {
			in.samples = append(in.samples, sample{s, id, in.db.clock().In(in.db.zone), id%10 == 0})
		}
	}
}

// timeModel are the statistics of V$SYS_TIME_MODEL that are always there.
var timeModel = []string{
	"DB time", "DB CPU", "background elapsed time", "background cpu time", "sequence load elapsed time", "parse time elapsed", "hard parse elapsed time",
	"sql execute elapsed time", "connection management call elapsed time", "failed parse elapsed time", "PL/SQL execution elapsed time",
}

type statistic struct {
	in    *Instance
	name  string
	value int64
}

func (in *Instance) eachStatistic() func(*statistic) bool {
	in.db.mu.RLock()
	defer in.db.mu.RUnlock()
	var all []statistic
	for _, name := range timeModel {
		all = append(all, statistic{in, name, in.spent[name]})
	}
	return over(all)
}

// setViews adds every view of the database.
func (db *database) setViews() {
	db.setCursorViews()
	db.setSessionViews()
	db.setHistoryView()
	setView(db, "SYS_TIME_MODEL", (*Instance).eachStatistic,
		textField("STAT_NAME", 64, func(r *statistic) string { return r.name }),
		numberOf("VALUE", func(r *statistic) int64 { return r.value }),
		numberOf("CON_ID", func(r *statistic) int64 { return r.in.cfg.Container }))
	once := func(in *Instance) func(**Instance) bool { return over([]*Instance{in}) }
	setView(db, "INSTANCE", once,
		numberOf("INSTANCE_NUMBER", func(r **Instance) int64 { return int64((*r).number) }),
		textField("INSTANCE_NAME", 16, func(r **Instance) string { return (*r).cfg.Name }),
		textField("HOST_NAME", 64, func(r **Instance) string { return (*r).cfg.Host }),
		textField("VERSION", 17, func(r **Instance) string { return (*r).cfg.Version }),
		dateOf("STARTUP_TIME", func(r **Instance) time.Time { return (*r).started() }),
		textField("STATUS", 12, func(**Instance) string { return "OPEN" }),
		textField("PARALLEL", 3, func(**Instance) string { return map[bool]string{true: "YES", false: "NO"}[db.clustered()] }),
		numberOf("CON_ID", func(r **Instance) int64 { return (*r).cfg.Container }))
	setView(db, "DATABASE", once,
		numberOf("DBID", func(**Instance) int64 { return db.id() }),
		textField("NAME", 9, func(**Instance) string { return db.name }),
		textField("DB_UNIQUE_NAME", 30, func(**Instance) string { return db.name }),
		textField("OPEN_MODE", 20, func(**Instance) string { return "READ WRITE" }),
		textField("CDB", 3, func(r **Instance) string { return map[bool]string{true: "YES", false: "NO"}[(*r).cfg.Container > 0] }),
		numberOf("CON_ID", func(r **Instance) int64 { return (*r).cfg.Container }))
}

func (in *Instance) started() time.Time {
	in.db.mu.RLock()
	defer in.db.mu.RUnlock()
	return in.db.wall(in.startup)
}

func (db *database) clustered() bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return len(db.instances) > 1
}

// id is DBID, of the database's name.
func (db *database) id() int64 { return int64(binary.LittleEndian.Uint32(sumOf(db.name))) }
