package supervisor

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// happened takes in what a worker says and how it ends.
func (s *Supervisor) happened(e event) {
	at := slices.IndexFunc(s.workers, func(w *worker) bool { return w.number == e.worker })
	if at < 0 {
		return
	}
	w := s.workers[at]
	defer s.tellAlone()
	if e.exited {
		s.workers = slices.Delete(s.workers, at, at+1)
		s.exited(w, e)
		return
	}
	switch e.said {
	case msgReady:
		if w == s.next {
			s.promote(w)
		}
	case msgAlive:
		if w == s.current && s.cfg.Watchdog > 0 {
			w.deadline = time.Now().Add(s.cfg.Watchdog)
		}
	case msgStopping:
		if w == s.current && !w.asked {
			s.leavesByItself(w)
		}
	}
}

// tellAlone tells the worker that serves when those before it are gone: only then is what a memory
// limit over all of them holds its own.
func (s *Supervisor) tellAlone() {
	if s.current == nil || s.current.alone || len(s.workers) > 1 {
		return
	}
	s.current.alone = true
	if err := s.current.proc.tell(alone); err != nil {
		s.log.Warn("worker cannot be told that it is alone; it will not watch its memory", "worker", s.current.number, "error", err)
	}
}

// startNext starts a worker.
func (s *Supervisor) startNext() {
	s.number++
	if s.number > 1 {
		s.restarts[s.cause]++
	}
	proc, err := s.launch(s.number)
	if err != nil {
		s.failed(nil, NotReady, err.Error())
		return
	}
	w := &worker{number: s.number, proc: proc, deadline: time.Now().Add(s.cfg.ReadyTimeout)}
	s.workers = append(s.workers, w)
	s.next, s.last = w, w
	if s.current != nil {
		s.last = s.current
	}
	s.log.Info("worker started", "worker", w.number, "pid", proc.pid())
}

// promote lets a worker that is ready take over from the one that serves.
func (s *Supervisor) promote(w *worker) {
	old := s.current
	s.current, s.next, s.last = w, nil, w
	w.ready, w.deadline = time.Now(), time.Time{}
	if s.cfg.Watchdog > 0 {
		w.deadline = w.ready.Add(s.cfg.Watchdog)
	}
	s.log.Info("worker is ready", "worker", w.number, "pid", w.proc.pid())
	s.notify(fmt.Sprintf("%s\nSTATUS=Serving with worker %d (pid %d)", Ready, w.number, w.proc.pid()))
	if old != nil {
		s.leave(old, s.cfg.StopTimeout)
		old.asked = true
		if err := old.proc.tell(succeeded); err != nil {
			s.log.Warn("worker cannot be told of its successor and is asked by signal", "worker", old.number, "error", err)
			s.send(old, syscall.SIGTERM)
		}
	}
	if s.pending {
		s.pending = false
		s.handOver()
	}
}

// leaveIn begins the time that a worker has to leave; after it, the worker is killed.
func (w *worker) leaveIn(grace time.Duration) {
	w.leaving, w.grace, w.deadline = true, grace, time.Now().Add(grace)
}

// leave lets a worker leave within grace; it serves no more.
func (s *Supervisor) leave(w *worker, grace time.Duration) {
	w.leaveIn(grace)
	if w == s.current {
		s.current = nil
	}
	if leaving := s.leavers(); len(leaving) > maxLeaving {
		s.log.Warn("worker killed: too many are leaving", "worker", leaving[0].number, "leaving", len(leaving), "bound", maxLeaving)
		leaving[0].deadline = time.Time{}
		s.send(leaving[0], os.Kill)
	}
}

func (s *Supervisor) leavers() []*worker {
	return slices.DeleteFunc(slices.Clone(s.workers), func(w *worker) bool { return !w.leaving })
}

// leavesByItself starts the successor of a worker that has begun to leave. Soon after its start
// that is a failure like a crash: nothing is gained by workers that come only to leave.
func (s *Supervisor) leavesByItself(w *worker) {
	s.leave(w, s.cfg.StopTimeout)
	w.asked = true
	if s.ending || s.next != nil {
		return
	}
	if s.wasWell(w) {
		s.log.Info("worker leaves by itself; its successor is started", "worker", w.number)
		s.failures = 0
		s.restart, s.cause = time.Now(), Left
		return
	}
	s.failed(w, Left, fmt.Sprintf("left by itself within %v (--supervise-well) of its start", s.cfg.WellAfter))
}

// wasWell tells whether the worker served long enough for earlier failures to be forgotten.
func (s *Supervisor) wasWell(w *worker) bool {
	return w != nil && !w.ready.IsZero() && time.Since(w.ready) >= s.cfg.WellAfter
}

// exited takes in the end of a worker.
func (s *Supervisor) exited(w *worker, e event) {
	log := s.log.With("worker", w.number, "pid", w.proc.pid(), "code", e.code, "how", e.how)
	serving, starting := w == s.current, w == s.next
	if serving {
		s.current = nil
	}
	if starting {
		s.next = nil
	}
	switch {
	case s.ending:
		s.endedLast(w, e)
	case !w.asked && starting && w.number == 1 && e.code == s.cfg.UsageCode:
		s.end(ExitError{e.code})
	case !w.asked:
		reason, why := Crashed, "ended: "+e.how
		if w.why != "" {
			reason, why = NotReady, w.why
		}
		s.failed(w, reason, why)
	case e.code != 0 && e.code != s.cfg.RestartCode:
		log.Warn("worker left, not in good order")
	default:
		log.Info("worker left")
	}
	if s.pending && s.next == nil && !s.ending {
		s.pending = false
		s.handOver()
	}
}

// endedLast takes the exit code of the worker that served last. One that was never ready served
// nobody: that SIGTERM ended it, however it did, is no fault.
func (s *Supervisor) endedLast(w *worker, e event) {
	s.log.Info("worker ended", "worker", w.number, "code", e.code, "how", e.how)
	if w != s.last || w.ready.IsZero() || s.result != nil || e.code == 0 {
		return
	}
	if s.result = (ExitError{e.code}); e.code < 0 {
		s.result = fmt.Errorf("the worker ended by %s", e.how)
	}
}

// failed counts a failure and decides on the next start. w is nil when it did not even start.
func (s *Supervisor) failed(w *worker, reason Reason, why string) {
	log := s.log.With("why", why)
	if w != nil {
		log = log.With("worker", w.number, "pid", w.proc.pid())
	}
	if s.ending {
		return
	}
	if s.current != nil { // a fresh worker for a hand-over
		log.Error("hand-over failed; the old worker goes on", "serving", s.current.number)
		s.notify(fmt.Sprintf("%s\nSTATUS=Hand-over failed; serving with worker %d", Ready, s.current.number))
		return
	}
	if s.wasWell(w) {
		s.failures = 0
	}
	s.failures++
	s.lastWhy = why
	if s.next != nil {
		log.Error("worker failed; its successor is starting already", "failures", s.failures)
		return
	}
	if s.failures >= s.cfg.MaxFailures {
		s.end(fmt.Errorf("%w after %d failures in a row, the last: the worker %s", ErrGaveUp, s.failures, why))
		return
	}
	wait := backoff(s.failures)
	log.Error("worker failed; another one is started", "failures", s.failures, "wait_ms", wait.Milliseconds())
	s.notify("STATUS=Restarting: the worker " + why)
	s.restart, s.cause = time.Now().Add(wait), reason
}

// asked does what somebody outside wants.
func (s *Supervisor) asked(r request) {
	switch {
	case s.ending:
	case r.pass == nil:
		s.handOver()
	case s.current != nil:
		s.send(s.current, r.pass)
	}
}

// handOver starts a fresh worker, or remembers to.
func (s *Supervisor) handOver() {
	switch {
	case s.next != nil, len(s.leavers()) >= maxLeaving:
		s.pending = true
	case s.current == nil:
		s.restart = time.Now() // whoever asks has mended something: no more waiting
	default:
		s.log.Info("hand-over", "from_worker", s.current.number)
		s.notify(reloading() + "STATUS=Starting a fresh worker")
		s.cause = HandedOver
		s.startNext()
	}
}
