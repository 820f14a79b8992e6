package oracletest

import (
	"context"
	"fmt"
	"strings"
)

// A Handler answers statements. Serve runs on the session's goroutine, one call of a session at a time; ctx ends when the
// client breaks the call, logs off or is lost, when the session is killed, and when the server closes. What Serve returns
// then is not used, except that it has ended.
//
// An error that is (or wraps) an *Error reaches the client with its code; any other becomes ORA-00600 with its text.
type Handler interface {
	Serve(ctx context.Context, c *Call) (*Result, error)
}

// HandlerFunc is a Handler of one function.
type HandlerFunc func(ctx context.Context, c *Call) (*Result, error)

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, c *Call) (*Result, error) { return f(ctx, c) }

// A TxHandler is a Handler that hears of the ends of transactions. Commit is called for the client's commit and after
// every statement with auto-commit; its error is the answer of that call. Rollback is called for the client's rollback,
// and once when the session ends in whatever way, a commit before it or not.
type TxHandler interface {
	Handler
	Commit(s *Session) error
	Rollback(s *Session)
}

// Value is nil, string, []byte, int64 (a NUMBER that is whole), float64, or time.Time. A CLOB is a string. In a Result
// also int, bool (1 or 0), and Decimal.
type Value = any

// Decimal is a NUMBER by its digits, for values that neither int64 nor float64 holds: "-12.345".
type Decimal string

// A Call is one execution of one statement.
type Call struct {
	Session *Session
	SQL     string
	Tag     string    // "search_page" of /* tomehub:search_page */, or ""
	Names   []string  // the placeholders' names in the order of their positions, without colon, in upper case
	Rows    [][]Value // the binds in the same order: one row for a plain statement, n for array DML; never empty

	AutoCommit bool
	Parsed     bool // the client sent the text, so that Oracle counts a parse call; else it executes an open cursor again
}

// Arg returns the bind of the first placeholder of that name (in any case) in a row, nil when there is none.
func (c *Call) Arg(row int, name string) Value {
	for i, n := range c.Names {
		if row < len(c.Rows) && i < len(c.Rows[row]) && strings.EqualFold(n, name) {
			return c.Rows[row][i]
		}
	}
	return nil
}

// Type is a column's data type.
type Type int

// The column types. The zero Type is Varchar2.
const (
	Varchar2 Type = iota
	Number
	Clob
	Date
	Timestamp
	TimestampTZ
	Raw
	BinaryDouble
)

// Column describes one column of a Result.
type Column struct {
	Name     string
	Type     Type
	Size     int // in bytes, for Varchar2 and Raw; 0: 4000
	Nullable bool
}

// Result answers one Call. Without Columns it is the answer to DML or DDL, and Affected is the number of rows.
type Result struct {
	Columns  []Column
	Rows     [][]Value
	Affected int64

	// Next, when there is one, gives the rows behind Rows, a new slice each, and nil after the last one. It is called as
	// the client fetches, by the session's goroutine, and no more once the cursor is closed or has failed.
	Next func() ([]Value, error)
}

// All returns the rows, those of Next too, which has none afterwards.
func (r *Result) All() ([][]Value, error) {
	rows := r.Rows
	for r.Next != nil {
		row, err := r.Next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Error is what Oracle would say. Message is without the ORA- prefix, which the double adds (unless it is there); without
// a Message it has Oracle's text of the commoner codes.
// Pos is the position in the statement's text, counted in bytes from 0.
type Error struct {
	Code    int
	Message string
	Pos     int
}

func (e *Error) Error() string { return e.text() }

func (e *Error) text() string {
	prefix := fmt.Sprintf("ORA-%05d", e.Code)
	if len(e.Message) >= len(prefix) && e.Message[:len(prefix)] == prefix {
		return e.Message
	}
	if e.Message == "" {
		return prefix + ": " + meaning(e.Code)
	}
	return prefix + ": " + e.Message
}

// Session is one client that has logged in. Its fields belong to the session: the handler reads them, and writes Values,
// only during its own calls. Server.Sessions shows them to a test.
type Session struct {
	ID      int64
	User    string
	Service string
	Program string
	Module  string // what the client last announced by end-to-end metadata (DBMS_APPLICATION_INFO's module)
	Action  string
	Values  map[string]any // for the handler's own state, such as the transaction's

	Settings map[string]string // what ALTER SESSION SET gave, names in upper case
}
