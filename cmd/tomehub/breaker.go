package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/breaker"
)

// breakerSettings are those of the circuit breakers and of answers without a database.
type breakerSettings struct {
	breaker         bool
	breakerFailures int
	breakerPercent  int
	breakerWindow   time.Duration
	breakerSlow     time.Duration
	breakerOpen     time.Duration
	degrade         bool
	staleFor        time.Duration
}

func (c *breakerSettings) register(s *settings) {
	c.breaker, c.breakerFailures, c.breakerPercent = true, 5, 50
	s.add(boolValue{&c.breaker}, "breaker", "TOMEHUB_BREAKER", "circuit breakers around the database and the answer service (D4)")
	s.add(intValue{&c.breakerFailures, 1, 10000}, "breaker-failures", "TOMEHUB_BREAKER_FAILURES", "failures in a row that open a breaker")
	s.add(intValue{&c.breakerPercent, 1, 100}, "breaker-failure-percent", "TOMEHUB_BREAKER_FAILURE_PERCENT", "part of the calls of --breaker-window that opens a breaker when it fails, from 20 calls on")
	c.breakerWindow, c.breakerSlow, c.breakerOpen = 10*time.Second, 2*time.Second, 3*time.Second
	s.add(durationValue{&c.breakerWindow, 100 * time.Millisecond, hour}, "breaker-window", "TOMEHUB_BREAKER_WINDOW", "time that --breaker-failure-percent looks back")
	s.add(durationValue{&c.breakerSlow, 10 * time.Millisecond, hour}, "breaker-slow", "TOMEHUB_BREAKER_SLOW", "a statement that takes longer is a failure, and is cut when the breaker opens; waits for a connection do not count")
	s.add(durationValue{&c.breakerOpen, 10 * time.Millisecond, hour}, "breaker-open", "TOMEHUB_BREAKER_OPEN", "time before an open breaker lets the first calls through again")
	c.degrade, c.staleFor = true, hour
	s.add(boolValue{&c.degrade}, "degrade", "TOMEHUB_DEGRADE", "answer a search without concepts and relations when the database is crowded or fails")
	s.add(durationValue{&c.staleFor, 0, 7 * day}, "stale-for", "TOMEHUB_STALE_FOR", "while the database cannot be asked, answer from the cache up to this long past its times; 0 does not")
}

// databaseBreaker returns the breaker before the database, or nil when there is none.
func (c *breakerSettings) databaseBreaker(logger *slog.Logger) (*breaker.Breaker, error) {
	if !c.breaker {
		return nil, nil
	}
	b, err := breaker.New(breaker.Config{
		Name: "database", Setting: "--breaker", Sentinel: pool.ErrUnavailable, Logger: logger,
		Failures: c.breakerFailures, Ratio: float64(c.breakerPercent) / 100, Window: c.breakerWindow,
		Slow: c.breakerSlow, OpenFor: c.breakerOpen, Classify: classify,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (--breaker-…)", err)
	}
	return b, nil
}

// answerBreaker returns the breaker before the answer service, or nil when there is none. That
// has times of its own for what is slow.
func (c *breakerSettings) answerBreaker(logger *slog.Logger) (*breaker.Breaker, error) {
	if !c.breaker {
		return nil, nil
	}
	b, err := breaker.New(breaker.Config{
		Name: "answer service", Setting: "--breaker", Logger: logger,
		Failures: c.breakerFailures, Ratio: float64(c.breakerPercent) / 100, Window: c.breakerWindow,
		OpenFor: c.breakerOpen, Classify: answer.Judge,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (--breaker-…)", err)
	}
	return b, nil
}

// classify tells the breaker what the pool thinks of a statement's error.
func classify(err error) breaker.Outcome {
	switch pool.Judge(err) {
	case pool.Answered:
		return breaker.Success
	case pool.Failed:
		return breaker.Failure
	}
	return breaker.Ignored
}

// validate reports what does not go together.
func (c *breakerSettings) validate(statement time.Duration) error {
	if c.breaker && statement > 0 && c.breakerSlow > statement {
		return errors.New("--breaker-slow is longer than --statement-timeout, which would cut the statement first: set it lower")
	}
	return nil
}
