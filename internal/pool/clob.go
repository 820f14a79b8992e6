package pool

import go_ora "github.com/sijms/go-ora/v2"

// MaxVarchar is how many bytes of text Oracle takes for a bind that is no LOB, whatever MAX_STRING_SIZE says.
const MaxVarchar = 4000

// Text is text as it is bound for Oracle: itself, or, longer than MaxVarchar, a temporary CLOB, which costs
// round trips of its own. As plain text it would go as LONG, which most expressions refuse (ORA-01460, ORA-01461).
func Text(s string) any {
	if len(s) <= MaxVarchar {
		return s
	}
	return go_ora.Clob{String: s, Valid: true}
}
