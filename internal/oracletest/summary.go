package oracletest

// A summary ends an answer (message 4).
type summary struct {
	code   int
	text   string
	pos    int
	rows   int64
	cursor int
}

func (c *conn) summary(s summary) {
	w := &c.w
	w.put(4)
	w.ub(1, 1) // end-of-call status, sequence
	w.number(s.rows)
	w.ub(s.code, 0, 0, s.cursor, s.pos)
	w.zeros(2)
	w.ub(0, 0)
	w.zeros(2)
	w.ub(0, 0) // the row's address
	w.put(0)
	w.ub(0, 0)
	w.ub(0)
	w.zeros(2)
	w.ub(0, 0)    // padding, successful iterations
	w.ub(0)       // a logical row id
	w.ub(0, 0, 0) // the errors of a batch
	w.ub(s.code)
	w.number(s.rows)
	if s.code != 0 {
		w.clrText(s.text)
	}
}

// fault answers with an error.
func (c *conn) fault(e *Error) {
	c.srv.count(func(st *Stats) { st.Errors[e.Code]++ })
	c.summary(summary{code: e.Code, text: e.text(), pos: e.Pos, cursor: c.failing})
}

// meanings are Oracle's texts of the codes that tests inject or the double gives by itself.
var meanings = map[int]string{
	1:     "unique constraint violated",
	18:    "maximum number of sessions exceeded",
	20:    "maximum number of processes exceeded",
	28:    "your session has been killed",
	54:    "resource busy and acquire with NOWAIT specified or timeout expired",
	60:    "deadlock detected while waiting for resource",
	600:   "internal error code",
	900:   "invalid SQL statement",
	904:   "invalid identifier",
	942:   "table or view does not exist",
	1000:  "maximum open cursors exceeded",
	1001:  "invalid cursor",
	1002:  "fetch out of sequence",
	1008:  "not all variables bound",
	1012:  "not logged on",
	1013:  "user requested cancel of current operation",
	1017:  "invalid username/password; logon denied",
	1033:  "ORACLE initialization or shutdown in progress",
	1034:  "ORACLE not available",
	1036:  "illegal variable name/number",
	1089:  "immediate shutdown or close in progress - no operations are permitted",
	1092:  "ORACLE instance terminated. Disconnection forced",
	1400:  "cannot insert NULL",
	1403:  "no data found",
	1438:  "value larger than specified precision allowed for this column",
	1484:  "arrays can only be bound to PL/SQL statements",
	1555:  "snapshot too old",
	1652:  "unable to extend temp segment",
	1653:  "unable to extend table",
	1722:  "invalid number",
	2091:  "transaction rolled back",
	2396:  "exceeded maximum idle time, please connect again",
	2399:  "exceeded maximum connect time, you are being logged off",
	3001:  "unimplemented feature",
	3106:  "fatal two-task communication protocol error",
	3113:  "end-of-file on communication channel",
	3114:  "not connected to ORACLE",
	3135:  "connection lost contact",
	4021:  "timeout occurred while waiting to lock object",
	4031:  "unable to allocate bytes of shared memory",
	4068:  "existing state of packages has been discarded",
	8177:  "can't serialize access for this transaction",
	12899: "value too large for column",
	20000: "application error",
	22922: "nonexistent LOB value",
	25408: "can not safely replay call",
	29902: "error in executing ODCIIndexStart() routine",
	30006: "resource busy; acquire with WAIT timeout expired",
}

func meaning(code int) string {
	if text, ok := meanings[code]; ok {
		return text
	}
	return "an error that the test asked for"
}

// endsSession tells the codes after which Oracle is gone.
func endsSession(code int) bool {
	switch code {
	case 28, 1012, 1033, 1034, 1089, 1092, 2396, 2399, 3106, 3113, 3114, 3135:
		return true
	}
	return false
}
