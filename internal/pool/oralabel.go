package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// verdict is what is known of the database and labels.
type verdict int

const (
	untried verdict = iota
	takesLabels
	refusesLabels
)

// labelBound is how long a database has to answer the first labelled call.
const labelBound = 2 * time.Second

// askAction is the first labelled call: the database says itself whether the label came through.
const askAction = "SELECT /* tomehub:session_action */ SYS_CONTEXT('USERENV', 'ACTION') FROM DUAL"

// connectShowing opens a session that shows kinds as Oracle.Kinds asks. What Oracle's own drivers send
// for that is documented nowhere, so the first session tries it: unless the database itself says that the
// label came through, none is sent again for as long as the pools are open.
func (d *oraDialer) connectShowing(ctx context.Context, e endpoint, pool string) (*oraConn, error) {
	c, err := d.connectTo(ctx, e)
	if err != nil {
		return nil, err
	}
	c.home = pool
	if d.oracle.Kinds == NoKinds {
		return c, nil
	}
	takes := d.verdict()
	if takes == untried && c.wire.labels(false) {
		if c, takes, err = d.try(ctx, e, c); err != nil {
			return nil, err
		}
	}
	labelled := takes == takesLabels && c.wire.labels(true)
	c.calls, c.shown = d.oracle.Kinds == AlwaysKinds && !labelled, pool
	return c, nil
}

// try has c try a label, and concludes. It returns c, or its successor when c may not have survived that, by the
// label or by chance: nothing is concluded unless a session can be had without one.
func (d *oraDialer) try(ctx context.Context, e endpoint, c *oraConn) (*oraConn, verdict, error) {
	action, refusal := c.tryLabel(ctx)
	if refusal == nil && action == c.home {
		return c, d.conclude(true, nil), nil
	}
	if refusal == nil {
		return c, d.conclude(false, fmt.Errorf("the session's action is %q, want %q", action, c.home)), nil
	}
	_ = c.Close()
	next, err := d.connectTo(ctx, e)
	if err != nil {
		return nil, untried, err
	}
	next.home = c.home
	return next, d.conclude(false, refusal), nil
}

func (d *oraDialer) verdict() verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.labels
}

// conclude remembers what the first try showed.
func (d *oraDialer) conclude(took bool, err error) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.labels != untried { // others tried at the same time
		return d.labels
	}
	if d.labels = refusesLabels; took {
		d.labels = takesLabels
		return d.labels
	}
	d.log.Warn("the database does not show kinds of requests in v$session", "error", err)
	return d.labels
}

// tryLabel sends a first label and asks the database which action the session has.
func (c *oraConn) tryLabel(ctx context.Context) (action string, err error) {
	c.wire.labels(true)
	defer c.wire.labels(false)
	ctx, cancel := context.WithTimeout(ctx, labelBound)
	defer cancel()
	rows, err := c.QueryContext(ctx, askAction, nil)
	if err != nil {
		return "", fmt.Errorf("ask for the session's action: %w", err)
	}
	got := make([]driver.Value, max(1, len(rows.Columns())))
	if err = errors.Join(rows.Next(got), rows.Close()); err != nil {
		return "", fmt.Errorf("ask for the session's action: %w", err)
	}
	action, _ = got[0].(string) // NULL: it has none
	return action, nil
}
