package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// The names under which a worker finds what its supervisor passes: sockets by LISTEN_FDNAMES, the
// rest in variables of our own.
const (
	PublicSocket  = "public"
	AdminSocket   = "admin"
	ControlSocket = "supervisor" // the worker's line to its supervisor: make a Control of it

	// ParentVariable holds the supervisor's process id. LISTEN_PID, which systemd sets to the
	// process it passes sockets to, cannot be set here: Go offers no step between fork and
	// exec in which the child's id is known. A worker whose parent has this id takes the
	// sockets as if LISTEN_PID were its own; anybody else ignores both.
	ParentVariable = "TOMEHUB_SUPERVISOR_PID"
	// WorkerVariable counts the workers of one supervisor from 1.
	WorkerVariable = "TOMEHUB_WORKER"
	// RestartsVariable counts, by reason, the workers that one supervisor started in place of
	// others, the one that reads it included: reason=count, separated by commas. A worker's own
	// counters end with it; these go on.
	RestartsVariable = "TOMEHUB_WORKER_RESTARTS"
)

// A Reason says why a worker was started in place of another.
type Reason string

// The reasons.
const (
	HandedOver Reason = "handover"  // somebody asked for a fresh one
	Left       Reason = "memory"    // the one before left by itself, which it does for want of memory alone
	Crashed    Reason = "crash"     // it ended unasked
	Wedged     Reason = "wedged"    // it no longer found itself well
	NotReady   Reason = "not_ready" // it did not start, or was not ready in time
)

// Reasons are all of them.
func Reasons() []Reason { return []Reason{HandedOver, Left, Crashed, Wedged, NotReady} }

// formatRestarts writes counts as RestartsVariable has them.
func formatRestarts(counts map[Reason]int64) string {
	var parts []string
	for _, r := range Reasons() {
		parts = append(parts, string(r)+"="+strconv.FormatInt(counts[r], 10))
	}
	return strings.Join(parts, ",")
}

// ParseRestarts reads what RestartsVariable holds. Every reason is in the result; what is no count
// of a reason is left out, because a number for dashboards is no cause to refuse serving.
func ParseRestarts(text string) map[string]int64 {
	counts := map[string]int64{}
	for _, r := range Reasons() {
		counts[string(r)] = 0
	}
	for part := range strings.SplitSeq(text, ",") {
		name, count, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(count, 10, 64)
		if _, known := counts[name]; known && err == nil && n >= 0 {
			counts[name] = n
		}
	}
	return counts
}

// What Wait returns.
var (
	ErrSucceeded = errors.New("another worker has taken over")
	ErrOrphaned  = errors.New("the supervisor is gone")
)

// A Control is a worker's line to its supervisor.
type Control struct{ conn net.Conn }

// NewControl takes the file over and closes it.
func NewControl(f *os.File) (*Control, error) {
	conn, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open the line to the supervisor: %w", err)
	}
	return &Control{conn}, nil
}

// sayTimeout bounds the sending of a message to a side that does not read.
const sayTimeout = time.Second

// Tell says one state or, one a line, several to the supervisor.
func (c *Control) Tell(state string) error { return say(c.conn, state) }

func say(conn net.Conn, state string) error {
	if err := conn.SetWriteDeadline(time.Now().Add(sayTimeout)); err != nil {
		return err
	}
	_, err := conn.Write([]byte(state + "\n"))
	return err
}

// Wait returns ErrSucceeded when another worker accepts in this one's place, ErrOrphaned when
// the supervisor died, and net.ErrClosed after Close. It calls alone when the workers before this
// one are gone, which once shared its memory limit.
func (c *Control) Wait(alone func()) error {
	told := false
	err := listen(c.conn, func(m message) {
		switch {
		case m == msgAlone:
			alone()
		case m == msgSucceeded && !told:
			told = true
			_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // ends listen; fails only when it has ended
		}
	})
	switch {
	case told:
		return ErrSucceeded
	case errors.Is(err, net.ErrClosed):
		return err
	}
	return ErrOrphaned
}

// Close ends a Wait under way.
func (c *Control) Close() error { return c.conn.Close() }
