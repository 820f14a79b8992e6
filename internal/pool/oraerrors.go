package pool

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sijms/go-ora/v2/network"
)

// A Class says what an error of the database asks of whoever got it. docs/decisions has the table.
type Class int

const (
	// Statement: the database answered that the statement, or its data, is wrong. Asking again gives the same.
	Statement Class = iota
	// Retry: the session or its moment was the fault. The same statement may pass on another connection.
	Retry
	// Down: the database cannot be reached, is not open, has no room, or does not let us in.
	Down
	// Conflict: another transaction was in the way. The whole transaction may be tried again.
	Conflict
)

func (c Class) String() string {
	switch c {
	case Retry:
		return "retry"
	case Down:
		return "down"
	case Conflict:
		return "conflict"
	}
	return "statement"
}

// OracleError is an error of an Oracle database, or the loss of its connection.
type OracleError struct {
	Code  int // of ORA-<code>; 0 when the connection was lost without a word
	Class Class
	// Position in the statement's text, in bytes from 0; 0 also when there is none.
	Position int

	message string // as the server wrote it; without the driver's additions
	cause   error  // when Code is 0
}

func (e *OracleError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("connection lost: %v", e.cause)
	}
	if e.message == "" {
		return fmt.Sprintf("ORA-%05d", e.Code)
	}
	return e.message
}

// Unwrap returns what the connection was lost by.
func (e *OracleError) Unwrap() error { return e.cause }

// ends reports whether the session is over, or must not be used again, after the error.
func (e *OracleError) ends() bool {
	return e.Code == 0 || oracleCodes[e.Code].ends
}

// codeMeaning is what a code asks for.
type codeMeaning struct {
	class Class
	ends  bool // the session is gone, or not worth keeping
}

// oracleCodes are the codes that are not about the statement. All others are.
var oracleCodes = map[int]codeMeaning{
	// The session was ended or is not usable any more; another one may serve.
	28:    {Retry, true}, // your session has been killed
	1000:  {Retry, true}, // maximum open cursors exceeded: a fresh session has none
	1012:  {Retry, true}, // not logged on
	1013:  {Retry, true}, // user requested cancel of current operation, when nobody did
	2396:  {Retry, true}, // exceeded maximum idle time
	2399:  {Retry, true}, // exceeded maximum connect time
	3106:  {Retry, true}, // fatal two-task communication protocol error
	3113:  {Retry, true}, // end-of-file on communication channel
	3114:  {Retry, true}, // not connected to Oracle
	3135:  {Retry, true}, // connection lost contact
	3136:  {Retry, true}, // inbound connection timed out
	3137:  {Retry, true}, // malformed TTC packet from client rejected
	12152: {Retry, true}, // TNS: unable to send break message
	12537: {Retry, true}, // TNS: connection closed
	12547: {Retry, true}, // TNS: lost contact
	12570: {Retry, true}, // TNS: packet reader failure
	12571: {Retry, true}, // TNS: packet writer failure
	12592: {Retry, true}, // TNS: bad packet
	25408: {Retry, true}, // can not safely replay call
	// The moment was the fault.
	1555: {Retry, false}, // snapshot too old
	4061: {Retry, false}, // existing state of package has been invalidated
	4065: {Retry, false}, // not executed, altered or dropped stored procedure
	4068: {Retry, false}, // existing state of packages has been discarded
	8103: {Retry, false}, // object no longer exists: it is being rebuilt

	// The listener or the instance is not there, or takes nobody.
	18:    {Down, true},  // maximum number of sessions exceeded
	20:    {Down, true},  // maximum number of processes exceeded
	1033:  {Down, true},  // initialization or shutdown in progress
	1034:  {Down, true},  // not available
	1035:  {Down, true},  // only available to users with RESTRICTED SESSION privilege
	1089:  {Down, true},  // immediate shutdown in progress
	1090:  {Down, true},  // shutdown in progress
	1092:  {Down, true},  // instance terminated
	1109:  {Down, true},  // database not open
	12170: {Down, true},  // TNS: connect timeout
	12505: {Down, true},  // TNS: SID unknown to the listener
	12506: {Down, true},  // TNS: listener rejected connection by its access list
	12514: {Down, true},  // TNS: service unknown to the listener
	12516: {Down, true},  // TNS: no handler with matching protocol
	12518: {Down, true},  // TNS: listener could not hand off
	12519: {Down, true},  // TNS: no appropriate handler
	12520: {Down, true},  // TNS: no handler for the type of server
	12521: {Down, true},  // TNS: instance unknown to the listener
	12523: {Down, true},  // TNS: no instance for the client
	12526: {Down, true},  // TNS: all instances are in restricted mode
	12527: {Down, true},  // TNS: all instances are blocking or restricted
	12528: {Down, true},  // TNS: all instances are blocking new connections
	12541: {Down, true},  // TNS: no listener
	12543: {Down, true},  // TNS: destination host unreachable
	12545: {Down, true},  // target host does not exist
	12560: {Down, true},  // TNS: protocol adapter error
	12564: {Down, true},  // TNS: connection refused
	27101: {Down, true},  // shared memory realm does not exist
	4030:  {Down, false}, // out of process memory
	4031:  {Down, false}, // out of shared memory
	1652:  {Down, false}, // no temporary space
	1653:  {Down, false}, // no space for the table
	1654:  {Down, false}, // no space for the index
	1691:  {Down, false}, // no space for the LOB
	1536:  {Down, false}, // space quota exceeded
	30036: {Down, false}, // no undo space
	257:   {Down, false}, // archiver error
	// It does not let us in.
	1005:  {Down, true}, // null password
	1017:  {Down, true}, // invalid username or password
	1045:  {Down, true}, // lacks CREATE SESSION privilege
	28000: {Down, true}, // the account is locked
	28001: {Down, true}, // the password has expired
	28003: {Down, true}, // password verification failed
	28040: {Down, true}, // no matching authentication protocol
	28009: {Down, true}, // connection as SYS should be as SYSDBA
	12660: {Down, true}, // encryption or checksumming parameters incompatible

	// Another transaction was in the way.
	1:     {Conflict, false}, // unique constraint violated
	54:    {Conflict, false}, // resource busy
	60:    {Conflict, false}, // deadlock detected
	2049:  {Conflict, false}, // distributed transaction waiting for lock
	8177:  {Conflict, false}, // can't serialize access
	30006: {Conflict, false}, // resource busy, wait timeout expired
}

// asOracle returns the driver's error in our form.
func asOracle(err error) (*OracleError, bool) {
	if oe, ok := errors.AsType[*OracleError](err); ok {
		return oe, true
	}
	ne, ok := errors.AsType[*network.OracleError](err)
	if !ok || ne.ErrCode == 0 {
		return nil, false
	}
	full := ne.Error() // which fills in a missing message
	message := ne.ErrMsg
	if message == "" {
		message = full
	}
	return &OracleError{
		Code: ne.ErrCode, Class: oracleCodes[ne.ErrCode].class, Position: max(ne.ErrPos(), 0), message: strings.TrimSpace(message),
	}, true
}

// OracleCode returns the ORA code of an error, or 0.
func OracleCode(err error) int {
	if oe, ok := errors.AsType[*OracleError](err); ok {
		return oe.Code
	}
	return 0
}

var textCode = regexp.MustCompile(`DRG-(\d{5})`)

// OracleTextCode returns the code of Oracle Text that an error carries ("DRG-50901"), or 0. Such
// errors have ORA codes that say little, 29902 and 20000.
func OracleTextCode(err error) int {
	oe, ok := errors.AsType[*OracleError](err)
	if !ok {
		return 0
	}
	m := textCode.FindStringSubmatch(oe.message)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// IsConflict reports that another transaction was in the way: the whole transaction may be tried again.
func IsConflict(err error) bool { return hasClass(err, Conflict) || isBusy(err) }

// NotAnswered reports that the database was asked and did not answer, or not by this connection:
// it, and not the request, is at fault, and the same request may succeed later. What a guard
// refuses, without asking, matches ErrUnavailable instead.
func NotAnswered(err error) bool {
	_, connect := errors.AsType[*ConnectError](err)
	return connect || hasClass(err, Down) || hasClass(err, Retry)
}

func hasClass(err error, c Class) bool {
	oe, ok := errors.AsType[*OracleError](err)
	return ok && oe.Class == c
}

// judgeOracle says what an error tells of the database.
func judgeOracle(e *OracleError) Verdict {
	switch {
	case e.Code == 1013:
		return NothingLearned
	case e.Class == Retry && !e.ends(), e.Class == Conflict, e.Class == Statement:
		return Answered
	}
	return Failed
}
