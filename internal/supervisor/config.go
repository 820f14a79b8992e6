// Package supervisor keeps one worker process serving: it holds the listening sockets, starts
// a successor before a worker leaves, and starts again a worker that crashed.
package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Config says what a worker is and how long things may take. Every field is required but Env,
// Stdout, Stderr, Logger, Watchdog, Notify and Beat.
type Config struct {
	Path string   // the worker's program
	Args []string // its command line, the program's name first
	Env  []string // its whole environment, to which the supervisor adds what it says to the worker

	// Sockets are held for the supervisor's whole life and passed to every worker, so a client
	// waits in their queue and is never refused while workers change.
	Sockets []Socket

	Stdout, Stderr *os.File // of the workers, directly
	Logger         *slog.Logger

	ReadyTimeout time.Duration // longest time from a worker's start to its READY=1
	StopTimeout  time.Duration // longest time of a worker's leaving; then it is killed
	Watchdog     time.Duration // a worker silent for this long is wedged and killed; 0 never
	WellAfter    time.Duration // a worker that served for this long makes earlier failures forgotten
	MaxFailures  int           // failures in a row after which Run gives up

	// UsageCode is the exit code with which a worker refuses its configuration. At the first
	// start it ends Run: trying again changes nothing.
	UsageCode int
	// RestartCode is the exit code of a worker that left in good order and wants a successor.
	RestartCode int

	// Notify tells the service manager (systemd) a state, and Beat is the interval of its
	// watchdog messages, 0 for none. They are sent only while a worker serves and is well.
	Notify func(state string) error
	Beat   time.Duration
}

// A Socket is a listening socket with the name under which a worker finds it (LISTEN_FDNAMES).
type Socket struct {
	Name string
	File *os.File // from Hold; the caller closes it after Run
}

// validate reports every fault at once.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Path == "" || len(c.Args) == 0 {
		fault("no worker program given")
	}
	if len(c.Sockets) == 0 {
		fault("no socket given")
	}
	const ms = time.Millisecond
	for _, d := range []struct {
		setting         string
		value, min, max time.Duration
	}{
		{"--supervise-ready-timeout", c.ReadyTimeout, ms, 24 * time.Hour},
		{"the workers' stop timeout", c.StopTimeout, ms, 24 * time.Hour},
		{"--supervise-watchdog", c.Watchdog, 0, 24 * time.Hour},
		{"--supervise-well", c.WellAfter, ms, 24 * time.Hour},
		{"the service manager's watchdog interval", c.Beat, 0, 24 * time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			fault("%s is %v: want %v to %v", d.setting, d.value, d.min, d.max)
		}
	}
	if c.MaxFailures < 1 || c.MaxFailures > 1000 {
		fault("--supervise-failures is %d: want 1 to 1000", c.MaxFailures)
	}
	return errors.Join(faults...)
}

// maxLeaving bounds the workers that finish their last requests. A hand-over beyond it waits; a
// worker beyond it that leaves by itself ends the oldest.
const maxLeaving = 4

// The back-off between failures in a row: none after the first, then doubling from firstBackoff.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 15 * time.Second
)

// backoff is the time to wait after that many failures in a row.
func backoff(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	d := firstBackoff
	for range failures - 2 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return d
}

// abortGrace is how long a wedged worker has to write down what its goroutines do (SIGABRT)
// before it is killed.
const abortGrace = 2 * time.Second

// ExitError is a worker's exit code that the supervisor passes on as its own.
type ExitError struct{ Code int }

func (e ExitError) Error() string { return fmt.Sprintf("the worker ended with code %d", e.Code) }

// ErrGaveUp is returned by Run when workers failed MaxFailures times in a row.
var ErrGaveUp = errors.New("gave up")
