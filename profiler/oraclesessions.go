package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// A sample that takes as long as two ticks tells of another moment than it says.
	sampleBound = 2 * time.Second
	// After so many in a row that were too slow no more are taken: each costs the database a session.
	maxSlowSamples = 3
	maxSessions    = 20_000 // of one sample
	maxHistory     = 1_000_000
	// Our sessions name themselves so.
	ownModule, ownAction = "tomehub", "profile"
)

var errSamplesOver = fmt.Errorf("no more samples are taken: %d in a row took more than %v", maxSlowSamples, sampleBound)

// Sample reads v$session, for at most 2 s. Sampling ends for good when three samples in a row took longer.
func (o *OracleSource) Sample(ctx context.Context) (Sample, error) {
	const view = "v$session"
	switch {
	case o.missing[view]:
		return Sample{}, o.unsampled(view)
	case o.slow >= maxSlowSamples:
		return Sample{}, errSamplesOver
	}
	q := o.texts.query("sessions")
	q.bound = sampleBound
	s := Sample{At: time.Now().Add(o.skew)}
	var inst number
	var r sessionRow
	err := o.each(ctx, q, o.dest(&inst, &r.sid, &r.state, &r.event, &r.class, &r.waited, &r.sqlID, &r.module, &r.action, &r.blocker), func() bool {
		if a, ok := r.active(o, r.state == "WAITING"); ok {
			a.Instance = int32(inst)
			s.Active = append(s.Active, a)
		}
		return len(s.Active) < maxSessions
	})
	switch {
	case errors.Is(err, errOracleSlow):
		o.slow++
	case refused(err):
		o.missing[view] = true
		return Sample{}, o.unsampled(view)
	case err == nil:
		o.slow = 0
	}
	return s, err
}

// unsampled is an ErrGrant.
func (o *OracleSource) unsampled(view string) error {
	return fmt.Errorf("%w: %s", ErrGrant, o.without(view, "who waits for what is unknown"))
}

// sessionRow is one row of v$session, or one of v$active_session_history.
type sessionRow struct {
	sid, waited, blocker                       number
	state, event, class, sqlID, module, action text
}

// active returns the session unless it is idle or ours. While a session does not wait, event and class are those of its last wait.
func (r *sessionRow) active(o *OracleSource, waits bool) (ActiveSession, bool) {
	if o.texts.own[string(r.sqlID)] || r.module == ownModule && r.action == ownAction || waits && r.class == "Idle" {
		return ActiveSession{}, false
	}
	a := ActiveSession{SID: int64(r.sid), Class: OnCPU, SQLID: string(r.sqlID), Module: string(r.module), Action: string(r.action)}
	if waits {
		a.Class, a.Event, a.WaitedUS, a.BlockedBy = string(r.class), string(r.event), Micros(r.waited), int64(r.blocker)
	}
	return a, true
}

// KeepsHistory tells that the sessions' past may be read, by licence.
func (o *OracleSource) KeepsHistory() bool { return o.cfg.DiagnosticsPack }

// History reads v$active_session_history: one sample for each second from from up to to, by the database's clock. Seconds that
// the history has already forgotten are left out at the beginning.
func (o *OracleSource) History(ctx context.Context, from, to time.Time) (samples []Sample, err error) {
	const view = "v$active_session_history"
	if o.missing[view] {
		return nil, o.unsampled(view)
	}
	if from, err = o.historyFrom(ctx, from); refused(err) {
		o.missing[view] = true
		return nil, o.unsampled(view)
	} else if err != nil {
		return nil, err
	}
	from = from.Truncate(time.Second)
	for at := from; at.Before(to); at = at.Add(time.Second) {
		samples = append(samples, Sample{At: at})
	}
	var at text
	var inst number
	var r sessionRow
	var odd error
	rows := 0
	q := o.texts.query("history", from.In(o.zone).Format(wallFormat), to.In(o.zone).Format(wallFormat))
	err = o.each(ctx, q, o.dest(&inst, &at, &r.sid, &r.state, &r.event, &r.class, &r.sqlID, &r.module, &r.action, &r.blocker), func() bool {
		sampled, err := time.ParseInLocation(wallFormat, string(at), o.zone)
		if err != nil {
			odd = err
			return false
		}
		n := int(sampled.Sub(from) / time.Second)
		if a, ok := r.active(o, r.state == "WAITING"); ok && n >= 0 && n < len(samples) {
			a.Instance = int32(inst)
			samples[n].Active = append(samples[n].Active, a)
		}
		rows++
		return rows < maxHistory
	})
	if rows == maxHistory {
		return nil, fmt.Errorf("read %s: more than %d rows: profile a shorter window", o.shown(view), maxHistory)
	}
	return samples, errors.Join(err, odd)
}

// historyFrom is from, or when the history begins, if that is later.
func (o *OracleSource) historyFrom(ctx context.Context, from time.Time) (time.Time, error) {
	var oldest text
	if err := o.each(ctx, o.texts.query("history_begin"), []any{&oldest}, func() bool { return false }); err != nil || oldest == "" {
		return from, err
	}
	begin, err := time.ParseInLocation(wallFormat, string(oldest), o.zone)
	if err == nil && begin.After(from) {
		return begin, nil
	}
	return from, err
}
