package tomedata

import (
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

type sessionRow struct {
	in *Instance
	Session
}

// orNull is a NUMBER that 0 makes NULL.
func orNull(n int64) oracletest.Value {
	if n == 0 {
		return nil
	}
	return n
}

// setSessionViews adds V$SESSION.
func (db *database) setSessionViews() {
	count, words := numberOf[sessionRow], textField[sessionRow]
	number := func(name string, get func(*sessionRow) oracletest.Value) field[sessionRow] {
		return field[sessionRow]{oracletest.Column{Name: name, Type: oracletest.Number}, get}
	}
	each := func(in *Instance) func(*sessionRow) bool {
		var all []sessionRow
		for _, s := range in.allSessions() {
			all = append(all, sessionRow{in, s})
		}
		return over(all)
	}
	setView(db, "SESSION", each,
		count("SID", func(r *sessionRow) int64 { return r.SID }),
		count("SERIAL#", func(r *sessionRow) int64 { return r.Serial }),
		count("AUDSID", func(r *sessionRow) int64 { return r.AudSID }),
		words("USERNAME", 128, func(r *sessionRow) string { return r.User }),
		words("STATUS", 8, func(r *sessionRow) string { return r.Status }),
		words("STATE", 19, func(r *sessionRow) string { return r.State }),
		words("EVENT", 64, func(r *sessionRow) string { return r.Event }),
		words("WAIT_CLASS", 64, func(r *sessionRow) string { return r.WaitClass }),
		count("WAIT_TIME_MICRO", func(r *sessionRow) int64 { return r.Wait.Microseconds() }),
		words("SQL_ID", 13, func(r *sessionRow) string { return r.SQLID }),
		words("MODULE", 64, func(r *sessionRow) string { return r.Module }),
		words("ACTION", 64, func(r *sessionRow) string { return r.Action }),
		words("TYPE", 10, func(r *sessionRow) string { return r.Type }),
		words("PROGRAM", 84, func(r *sessionRow) string { return r.Program }),
		words("MACHINE", 64, func(r *sessionRow) string { return r.Machine }),
		number("BLOCKING_SESSION", func(r *sessionRow) oracletest.Value { return orNull(r.Blocker) }),
		number("BLOCKING_INSTANCE", func(r *sessionRow) oracletest.Value {
			if r.Blocker == 0 {
				return nil
			}
			return max(r.BlockerInstance, 1)
		}),
		words("BLOCKING_SESSION_STATUS", 11, func(r *sessionRow) string {
			switch {
			case r.Blocker > 0:
				return "VALID"
			case r.State == "WAITING":
				return "NO HOLDER"
			}
			return "NOT IN WAIT"
		}),
		count("CON_ID", func(r *sessionRow) int64 { return r.in.cfg.Container }))
}

// setHistoryView adds V$ACTIVE_SESSION_HISTORY.
func (db *database) setHistoryView() {
	history := func(in *Instance) func(*sample) bool {
		in.db.mu.RLock()
		defer in.db.mu.RUnlock()
		return over(in.samples)
	}
	waiting := func(r *sample, s string) string { // of a session on CPU there is none
		if r.State != "WAITING" {
			return ""
		}
		return s
	}
	setView(db, "ACTIVE_SESSION_HISTORY", history,
		numberOf("SAMPLE_ID", func(r *sample) int64 { return r.id }),
		field[sample]{oracletest.Column{Name: "SAMPLE_TIME", Type: oracletest.Timestamp}, func(r *sample) oracletest.Value {
			return db.wall(r.at).Add(time.Duration(r.at.Nanosecond()))
		}},
		textField("IS_AWR_SAMPLE", 1, func(r *sample) string { return yes(r.disk) }),
		numberOf("SESSION_ID", func(r *sample) int64 { return r.SID }),
		numberOf("SESSION_SERIAL#", func(r *sample) int64 { return r.Serial }),
		textField("SESSION_TYPE", 10, func(r *sample) string {
			if r.Type == "BACKGROUND" {
				return r.Type
			}
			return "FOREGROUND"
		}),
		textField("SESSION_STATE", 7, func(r *sample) string {
			if r.State == "WAITING" {
				return r.State
			}
			return "ON CPU"
		}),
		textField("EVENT", 64, func(r *sample) string { return waiting(r, r.Event) }),
		textField("WAIT_CLASS", 64, func(r *sample) string { return waiting(r, r.WaitClass) }),
		textField("SQL_ID", 13, func(r *sample) string { return r.SQLID }),
		textField("MODULE", 64, func(r *sample) string { return r.Module }),
		textField("ACTION", 64, func(r *sample) string { return r.Action }),
		textField("PROGRAM", 64, func(r *sample) string { return r.Program }),
		field[sample]{oracletest.Column{Name: "BLOCKING_SESSION", Type: oracletest.Number}, func(r *sample) oracletest.Value { return orNull(r.Blocker) }})
}
