package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"
)

// A Supervisor keeps a worker serving. Make it with New and run it once.
type Supervisor struct {
	cfg    Config
	log    *slog.Logger
	launch func(number int) (process, error) // starts a process that posts to events until its exit

	events   chan event
	requests chan request

	// All below belongs to Run's goroutine.
	workers  []*worker        // all that live, oldest first
	current  *worker          // serves; nil between a failure and the next worker's READY
	next     *worker          // starting; nil when none is
	last     *worker          // the one whose exit code is the supervisor's
	number   int              // of the worker started last
	failures int              // in a row
	lastWhy  string           // of the last failure
	restart  time.Time        // when to start the next worker; zero for never
	cause    Reason           // of the next start
	restarts map[Reason]int64 // workers started in place of others, by reason
	beat     time.Time        // when to tell the service manager that all is well; zero for never
	pending  bool             // a hand-over was asked for and could not begin yet
	ending   bool             // no worker is started any more
	result   error
}

// A process is one worker as the system has it.
type process interface {
	pid() int
	signal(os.Signal) error
	tell(line string) error
}

// An event is what a worker says or how it ended.
type event struct {
	worker int
	said   message
	exited bool
	code   int    // of the exit; -1 when a signal ended it
	how    string // for people
}

// A request comes from outside: a signal to pass on, or without one a hand-over.
type request struct{ pass os.Signal }

// A worker is started, serves, and leaves.
type worker struct {
	number   int
	proc     process
	ready    time.Time // zero until it said READY
	leaving  bool
	asked    bool          // its end is the supervisor's will, or accounted for already
	why      string        // the supervisor ended it for this; a failure to be counted when it is gone
	deadline time.Time     // of what it is doing; zero for none
	grace    time.Duration // what it has to leave in, before deadline
	alone    bool          // it was told that those before it are gone
}

// New checks the configuration, reporting every fault at once. It starts nothing.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure supervisor: %w", err)
	}
	s := &Supervisor{cfg: cfg, log: cfg.Logger, events: make(chan event), requests: make(chan request, 4), restarts: map[Reason]int64{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.launch = s.startProcess
	return s, nil
}

// HandOver asks for a fresh worker: once it is ready, the old one leaves. Where a fresh one is
// starting already, another follows. It never blocks; requests beyond a handful are one.
func (s *Supervisor) HandOver() { s.request(request{}) }

// Forward passes a signal on to the worker that serves. One that starts has no handler yet and
// would die of it.
func (s *Supervisor) Forward(sig os.Signal) { s.request(request{sig}) }

func (s *Supervisor) request(r request) {
	select {
	case s.requests <- r:
	default: // those that wait already do the same
	}
}

// Run starts a worker and keeps one serving until ctx ends; then it sends SIGTERM to all and waits
// for them, StopTimeout at most. It returns nil when the worker left with 0, ExitError for its
// other codes, and an error that is ErrGaveUp when workers fail in a row. No worker outlives it.
func (s *Supervisor) Run(ctx context.Context) error {
	s.restart = time.Now()
	if s.cfg.Beat > 0 && s.cfg.Notify != nil {
		s.beat = s.restart.Add(s.cfg.Beat)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	for !s.ending || len(s.workers) > 0 {
		s.expire(time.Now())
		if s.ending && len(s.workers) == 0 {
			break
		}
		timer.Reset(s.untilNext(time.Now()))
		select {
		case <-done:
			done = nil
			s.stop()
		case r := <-s.requests:
			s.asked(r)
		case e := <-s.events:
			s.happened(e)
		case <-timer.C:
		}
	}
	return s.result
}

// untilNext is the time to the next deadline.
func (s *Supervisor) untilNext(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	consider := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	consider(s.restart)
	consider(s.beat)
	for _, w := range s.workers {
		consider(w.deadline)
	}
	return max(0, next.Sub(now))
}

// expire does what is due.
func (s *Supervisor) expire(now time.Time) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for _, w := range slices.Clone(s.workers) {
		if due(w.deadline) {
			w.deadline = time.Time{}
			s.overdue(w)
		}
	}
	if due(s.restart) {
		s.restart = time.Time{}
		s.startNext()
	}
	if due(s.beat) {
		s.beat = now.Add(s.cfg.Beat)
		if s.current != nil && !s.ending {
			s.notify(Alive)
		}
	}
}

// overdue ends a worker that took too long for what it was doing.
func (s *Supervisor) overdue(w *worker) {
	switch {
	case w.leaving:
		s.log.Warn("worker killed: it did not leave in time", "worker", w.number, "pid", w.proc.pid(), "bound", w.grace.String())
		s.send(w, os.Kill)
	case w.ready.IsZero():
		w.why = fmt.Sprintf("was not ready within %v (--supervise-ready-timeout)", s.cfg.ReadyTimeout)
		s.send(w, os.Kill)
	default:
		s.log.Error("worker is wedged: it is made to write its goroutines down and is killed",
			"worker", w.number, "pid", w.proc.pid(), "silent_for", s.cfg.Watchdog.String())
		s.send(w, syscall.SIGABRT)
		s.leave(w, abortGrace)
		w.asked = true
		s.failed(w, Wedged, fmt.Sprintf("did not find itself well for %v (--supervise-watchdog)", s.cfg.Watchdog))
	}
}

// stop lets all workers leave for good.
func (s *Supervisor) stop() {
	s.log.Info("supervisor stopping", "workers", len(s.workers))
	s.end(nil)
}

// end starts no worker any more and asks those that live to leave.
func (s *Supervisor) end(result error) {
	if s.ending {
		return
	}
	s.ending, s.result, s.restart, s.pending = true, result, time.Time{}, false
	s.notify(Stopping)
	for _, w := range s.workers {
		if !w.leaving {
			w.asked = true
			w.leaveIn(s.cfg.StopTimeout)
			s.send(w, syscall.SIGTERM)
		}
	}
}

// send signals a worker; one that is gone already says so by its event.
func (s *Supervisor) send(w *worker, sig os.Signal) {
	if err := w.proc.signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.log.Warn("worker cannot be signalled", "worker", w.number, "signal", sig.String(), "error", err)
	}
}

// notify tells the service manager.
func (s *Supervisor) notify(state string) {
	if s.cfg.Notify == nil {
		return
	}
	if err := s.cfg.Notify(state); err != nil {
		s.log.Warn("service manager cannot be told", "state", state, "error", err)
	}
}
