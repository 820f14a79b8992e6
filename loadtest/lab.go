package loadtest

import (
	"strconv"
	"time"
)

// A Lab makes a spawned server's statements take the times of the plan's profile, as against the plan's own database.
type Lab struct {
	StatementTime time.Duration // mean over the mix of the plan's profile
	Seed          int
}

// ServeArgs are the arguments of "tomehub serve" for a run with that time scale. In the lab the server's own times
// shrink with the scenario's; without one they stay, because a real database has no scale.
func (s Server) ServeArgs(timeScale float64) []string {
	var args []string
	if s.Phase != "" {
		args = append(args, "--phase", s.Phase)
	}
	if s.Lab != nil {
		args = append(args, "--lab", "--lab-statement-time", s.Lab.StatementTime.String(), "--lab-seed", strconv.Itoa(s.Lab.Seed),
			"--lab-time-scale", strconv.FormatFloat(timeScale, 'g', -1, 64))
	}
	return append(args, s.Args...)
}

// AnswersAt is the API of answers for a run with that time scale, nil when the scenario wants none. Its times shrink when
// those of the server do.
func (s Server) AnswersAt(timeScale float64) *Answers {
	if s.Answers == nil || s.Lab == nil {
		return s.Answers
	}
	a := s.Answers.scaled(timeScale)
	return &a
}
