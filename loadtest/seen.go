package loadtest

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// seen is what an observer has seen of the server over the whole run. It is bounded, however long the run and whatever
// the server answers.
type seen struct {
	absent      string // why the target is no TomeHub
	silent      string // the first poll that failed
	noAdmin     string // why the admin listener tells nothing; as long as it never did
	admin       bool   // it did
	version     string
	phase       string
	books       ledger
	samples     sampler
	transitions []BreakerTransition
	more        int // transitions left out
	restarts    []Restart
	polls       PollFigures
	spent       time.Duration
	lately      *step
}

// account counts a poll and tells whether it brought something. A poll that lacks the admin listener's part counts as
// failed once that listener has answered.
func (s *seen) account(r *reading, err error, took time.Duration) bool {
	s.polls.Taken++
	s.spent += took
	s.polls.MaxMS = max(s.polls.MaxMS, milliseconds(took))
	var admin *adminError
	isAdmin := errors.As(err, &admin)
	switch {
	case err == nil:
		s.admin = s.admin || r.admin
	case isAdmin && !s.admin:
		s.noAdmin = clip(err.Error(), 200)
	default:
		if !isAdmin && errors.Is(err, errNotTomehub) && s.books.last == nil {
			s.absent = "the target " + clip(err.Error(), 200)
		}
		s.polls.Failed++
		if s.silent == "" {
			s.silent = clip(err.Error(), 200)
		}
		return false
	}
	if r.version != "" {
		s.version, s.phase = r.version, r.phase
	}
	return true
}

// step keeps a reading; nil when a later poll was quicker.
func (s *seen) step(r *reading) *step {
	if s.books.last != nil && r.at < s.books.last.at {
		s.polls.Skipped++
		return nil
	}
	p := s.books.add(r)
	s.lately = p
	s.samples.add(p.sample())
	at := p.at.Seconds()
	if p.restarted && len(s.restarts) < maxTransitions {
		s.restarts = append(s.restarts, Restart{AtS: at})
	}
	if p.before == nil {
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(r.breakers)) {
		for _, to := range p.moves(name) {
			if len(s.transitions) == maxTransitions {
				s.more++
				continue
			}
			s.transitions = append(s.transitions, BreakerTransition{AtS: at, Name: name, To: to})
		}
	}
	return p
}

// moves are the states that a breaker went through in a step. Its counters tell also of those that ended before the
// poll; of several rounds one is told.
func (p *step) moves(name string) []string {
	var all []string
	for _, to := range []struct{ count, state string }{{"opened", "open"}, {"half_opened", "half-open"}, {"closed", breakerClosed}} {
		if p.counts[breakerKey(name, to.count)] > 0 {
			all = append(all, to.state)
		}
	}
	state := p.now.breakers[name]
	i := slices.Index(all, state)
	switch {
	case i >= 0: // the state it is in comes last
		return append(slices.Delete(all, i, i+1), state)
	case state != p.before.breakers[name]: // open becomes half-open when its time is up, and counts it at the next call
		return append(all, state)
	}
	return all
}

// noServer says why there are no figures of the server, or is empty.
func (s *seen) noServer() string {
	switch {
	case s.absent != "":
		return s.absent
	case s.books.several:
		return "the answers about health come from several processes in turn, whose counters cannot be told apart"
	case s.books.last == nil && s.silent != "":
		return "the server told nothing of itself: " + s.silent
	case s.books.last == nil:
		return "the run ended before the server was asked"
	}
	return ""
}
