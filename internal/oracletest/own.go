package oracletest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ask answers what the double knows itself, else injects a failure, else asks the handler.
func (c *conn) ask(ctx context.Context, req *execution, cur *cursor) (*Result, error) {
	st := cur.statement
	if result, err := c.own(st); result != nil || err != nil {
		return result, err
	}
	c.srv.count(func(s *Stats) { s.Executions[st.tag]++ })
	if e := c.srv.fails(st.tag); e != nil {
		return nil, e
	}
	if words(st.text) == "SELECT 1 FROM DUAL" {
		return &Result{Columns: []Column{{Name: "1", Type: Number}}, Rows: [][]Value{{int64(1)}}}, nil
	}
	rows := req.rows
	if len(rows) == 0 {
		rows = [][]Value{nil}
	}
	c.shown.running.Store(&st.text)
	defer c.shown.running.Store(nil)
	result, err := c.srv.cfg.Handler.Serve(ctx, &Call{
		Session: c.sess, SQL: st.text, Tag: st.tag, Names: st.names, Rows: rows, AutoCommit: req.options&optCommit != 0, Parsed: req.options&optParse != 0,
	})
	if result == nil && err == nil {
		result = &Result{}
	}
	return result, err
}

// own answers what drivers ask by themselves, and what belongs to the session.
func (c *conn) own(st statement) (*Result, error) {
	switch w := words(st.text); {
	case w == "SELECT SYSTIMESTAMP FROM DUAL":
		return &Result{Columns: []Column{{Name: "SYSTIMESTAMP", Type: TimestampTZ}}, Rows: [][]Value{{time.Now().UTC()}}}, nil
	case w == "SELECT SYS_CONTEXT ( , ) FROM DUAL" && strings.Contains(st.text, "('USERENV', 'ACTION')"):
		action := Value(c.sess.Action)
		if c.sess.Action == "" {
			action = nil
		}
		return &Result{Columns: []Column{{Name: "ACTION", Size: 64, Nullable: true}}, Rows: [][]Value{{action}}}, nil
	case w == "SELECT DBTIMEZONE FROM DUAL":
		return &Result{Columns: []Column{{Name: "DBTIMEZONE", Size: 6}}, Rows: [][]Value{{"+00:00"}}}, nil
	case strings.HasPrefix(w, "ALTER SESSION SET"):
		for k, v := range settings(st.text) {
			c.sess.Settings[k] = v
		}
		c.shown.set(c.sess)
		return &Result{}, nil
	case strings.HasPrefix(w, "BEGIN DBMS_APPLICATION_INFO"):
		if e := c.srv.fails("application_info"); e != nil {
			return nil, e
		}
		c.sess.Module, c.sess.Action = announced(st.text, c.sess.Module, c.sess.Action)
		c.shown.set(c.sess)
		return &Result{}, nil
	case strings.HasPrefix(w, "BEGIN SELECT MAX ( CASE WHEN PARAMETER"):
		return &Result{}, nil
	case w == "COMMIT":
		return &Result{}, c.commit()
	case w == "ROLLBACK":
		c.rollback()
		return &Result{}, nil
	}
	return nil, nil
}

// consistent holds the handler's answer against the statement: a mistake there would desynchronise the driver.
func consistent(k kind, result *Result) error {
	if isQuery := k == query; isQuery != (result.Columns != nil) {
		return fmt.Errorf("the handler answers with %d columns; a query has columns, nothing else has", len(result.Columns))
	}
	for i, row := range result.Rows {
		if len(row) != len(result.Columns) {
			return fmt.Errorf("the handler's row %d has %d values for %d columns", i, len(row), len(result.Columns))
		}
	}
	return nil
}

// answerDML answers what has no rows.
func (c *conn) answerDML(req *execution, cur *cursor, result *Result) {
	c.parameters()
	if req.counts {
		c.w.ub(len(req.rows))
		rest := result.Affected
		for i := range req.rows {
			n := rest
			if left := int64(len(req.rows) - i); left > 1 {
				n = rest / left
			}
			c.w.number(n)
			rest -= n
		}
	}
	c.summary(summary{rows: result.Affected, cursor: cur.id})
}

func (c *conn) parameters() {
	c.w.put(8)
	c.w.ub(2, 0, 0, 0, 0, 0)
}
